from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bihrnet.errors import BihrnetError
from bihrnet.files import WriteError, replacing


def fail_halfway(target: Path, error: BaseException) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half")
        raise error


def test_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "file.txt"
    for text in ("first", "second"):
        with replacing(target) as temporary:
            assert temporary.parent == target.parent
            assert temporary.suffix == ".txt"
            temporary.write_text(text)
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken"), BihrnetError("no")])
def test_old_file_survives_whatever_happens(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(type(error)):
        fail_halfway(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(WriteError, match=r"file\.txt: cannot be written: No space left on device"):
        fail_halfway(target, OSError(errno.ENOSPC, "No space left on device"))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("")
    for target in (tmp_path / "folder", tmp_path / "plain" / "file"):
        with pytest.raises(WriteError, match="cannot be written"), replacing(target):
            pytest.fail("there is nothing to write to")

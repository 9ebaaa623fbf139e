"""torch's files: read without running code, written whole or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from bihrnet.errors import BihrnetError
from bihrnet.nn import torch_file
from bihrnet.nn.torch_file import read_torch_file, write_torch_file


class Marker:
    """An object whose unpickling would run code."""

    def __reduce__(self):
        return print, ("this must never be printed",)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.ckpt"
    write_torch_file({"a": torch.arange(3), "b": {"c": [1, 2.5, "d", None]}}, path)
    content = read_torch_file(path)
    assert content["a"].tolist() == [0, 1, 2]
    assert content["b"] == {"c": [1, 2.5, "d", None]}
    assert [file.name for file in path.parent.iterdir()] == ["a.ckpt"]


def test_arrays_beside_the_weights_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "mmpose.pth"
    sigmas = np.array([0.025, 0.035], dtype=np.float32)
    torch.save({"meta": {"sigmas": sigmas, "flip": np.array([1, 0])}}, path)
    assert np.array_equal(read_torch_file(path)["meta"]["sigmas"], sigmas)


def test_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Marker()}, path)
    with pytest.raises(BihrnetError, match=r"evil\.pth: it holds Python objects"):
        read_torch_file(path)
    assert capsys.readouterr().out == ""


def test_broken_files_give_one_sentence(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pth"
    torch.save({"weight": torch.ones(1000)}, whole)
    data = whole.read_bytes()
    broken = {
        "empty.pth": b"",
        "text.pth": b"not a checkpoint",
        "cut.pth": data[: len(data) // 2],
        "no-end.pth": data[:-30],
        "zeroed.pth": bytes(len(data)),
        "image.pth": b"\xff\xd8\xff\xe0" + data,
        "pickle.pth": pickle.dumps([1, 2]),
        "noise.pth": np.random.default_rng(0).bytes(1000),
    }
    for name, content in broken.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BihrnetError, match=name) as caught:
            read_torch_file(path)
        assert "\n" not in str(caught.value)
        assert "Python objects" not in str(caught.value)
    for missing in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(BihrnetError, match="no such file"):
            read_torch_file(missing)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ckpt"
    write_torch_file({"version": 1}, path)

    def full_disk(content: object, target: Path) -> None:
        target.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch_file.torch, "save", full_disk)
    with pytest.raises(BihrnetError, match=r"a\.ckpt: cannot be written"):
        write_torch_file({"version": 2}, path)
    monkeypatch.undo()
    assert read_torch_file(path) == {"version": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]

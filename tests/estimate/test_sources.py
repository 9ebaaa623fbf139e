from __future__ import annotations

from pathlib import Path

import pytest

from bihrnet.errors import BihrnetError
from bihrnet.estimate.sources import Source, find_sources


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: pictures, a video and what is neither; the content does not matter."""
    for name in ("b.jpg", "a.PNG", "c.mp4", "notes.txt", ".hidden.jpg", "deep/d.webp", "deep/e.md"):
        path = tmp_path / "pics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "pics" / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*inputs: str) -> list[str]:
    return [source.name for source in find_sources(inputs)]


def test_a_folder_gives_its_pictures_and_videos_in_order() -> None:
    assert find_sources(["pics"]) == [
        Source("image", "pics/a.PNG"),
        Source("image", "pics/b.jpg"),
        Source("video", "pics/c.mp4"),
    ]


def test_globs() -> None:
    assert names("pics/*.jpg") == ["pics/b.jpg"]
    assert names("pics/*") == ["pics/a.PNG", "pics/b.jpg", "pics/c.mp4"]
    assert names("pics/**/*.webp") == ["pics/deep/d.webp"]
    assert names("pics/[ab].*") == ["pics/a.PNG", "pics/b.jpg"]


def test_a_file_by_itself_is_an_image_unless_its_name_says_video(folder: Path) -> None:
    assert find_sources(["pics/notes.txt"]) == [Source("image", "pics/notes.txt")]
    assert find_sources(["pics/c.mp4"]) == [Source("video", "pics/c.mp4")]
    (folder / "odd[1].jpg").touch()
    assert names("odd[1].jpg") == ["odd[1].jpg"]


def test_cameras(folder: Path) -> None:
    assert find_sources(["0", "webcam:0", "webcam:12"]) == [
        Source("webcam", "0"),
        Source("webcam", "12"),
    ]
    (folder / "0").touch()
    assert find_sources(["0"]) == [Source("image", "0")]


def test_what_is_named_twice_is_taken_once() -> None:
    assert names("pics/b.jpg", "pics", "./pics/b.jpg") == ["pics/b.jpg", "pics/a.PNG", "pics/c.mp4"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("missing.jpg", "there is no such file or folder"),
        ("missing/", "there is no such file or folder"),
        ("", "there is no such file or folder"),
        ("webcam:x", "there is no such file or folder"),
        ("x" * 300, "cannot be read: File name too long"),
        ("-1", "there is no such file or folder"),
        ("x/*.jpg", "matches neither images nor videos"),
        ("pics/folder.jpg", "holds neither images nor videos"),
        ("pics/*.txt", "matches neither images nor videos"),
    ],
)
def test_nothing_there(name: str, cause: str) -> None:
    with pytest.raises(BihrnetError, match=cause):
        find_sources(["pics/b.jpg", name])

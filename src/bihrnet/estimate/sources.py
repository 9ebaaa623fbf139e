"""The inputs that a user may name: image and video files, folders, globs, cameras."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bihrnet.errors import BihrnetError
from bihrnet.estimate.video import VideoReader
from bihrnet.images import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}
)

_CAMERA = re.compile(r"(?:webcam:)?(\d{1,2})")


@dataclass(frozen=True)
class Source:
    """One image file, video file or camera.

    Attributes:
        kind: what it is.
        name: path of the file as the user named it; for a camera its index.
    """

    kind: Literal["image", "video", "webcam"]
    name: str

    def open_video(self) -> VideoReader:
        """The frames of a video or camera; `BihrnetError` where it cannot be opened."""
        return VideoReader(int(self.name) if self.kind == "webcam" else self.name)


def find_sources(inputs: Sequence[str]) -> list[Source]:
    """Resolve the inputs of a command line.

    A folder stands for its image and video files in the order of their names, without hidden files
    and subfolders; a glob, in which ``**`` crosses folders, likewise for image and video files
    only. A single file is a video or an image by its suffix; any other suffix is taken for an
    image. "0" or "webcam:0" is a camera unless there is a file of that name. Duplicates are
    removed.

    Raises:
        BihrnetError: an input does not exist, or holds neither image nor video.
    """
    return list(dict.fromkeys(source for name in inputs for source in _resolve(name)))


def _resolve(name: str) -> list[Source]:
    path = Path(name)
    try:
        if name and path.is_dir():
            files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
        elif name and path.exists():
            return [_file(path)]
        elif camera := _CAMERA.fullmatch(name):
            return [Source("webcam", camera[1])]
        elif glob.has_magic(name):
            files = sorted(map(Path, glob.glob(name, recursive=True)))
        else:
            raise BihrnetError(f"{name or repr(name)}: there is no such file or folder")
    except OSError as error:  # no permission, or an absurd name
        raise BihrnetError(f"{name}: cannot be read: {error.strerror or error}") from error
    known = [_file(file) for file in files if _is_known(file)]
    if not known:
        verb = "holds" if path.is_dir() else "matches"
        raise BihrnetError(f"{name}: {verb} neither images nor videos")
    return known


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES and path.is_file()


def _file(path: Path) -> Source:
    return Source("video" if path.suffix.lower() in VIDEO_SUFFIXES else "image", str(path))

"""Silence for OpenCV's log while a broken video or camera is reported in a sentence of our own."""

from __future__ import annotations

from threading import Lock
from typing import Any

import cv2

#: OpenCV 4.11 has these functions in cv2 itself.
_LOGGING: Any = getattr(cv2.utils, "logging", cv2)


class _Silence:
    """OpenCV's log level belongs to the whole process: the last thread to leave restores it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._level = _LOGGING.getLogLevel()
                _LOGGING.setLogLevel(0)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _LOGGING.setLogLevel(self._level)


_silence = _Silence()


def quiet_opencv() -> _Silence:
    """Silence OpenCV's log about a broken video or camera, which the caller reports itself."""
    return _silence

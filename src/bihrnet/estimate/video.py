"""Video files and cameras, read and written through OpenCV."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError
from bihrnet.estimate.opencv_log import quiet_opencv
from bihrnet.files import replacing
from bihrnet.pose import Frame

_log = logging.getLogger(__name__)

#: Frame rate of sources that do not state one, for instance some cameras.
DEFAULT_FPS = 25.0
#: OpenCV interprets larger indices as other kinds of sources.
MAX_CAMERAS = 100


class VideoReader:
    """The frames of a video file or camera, once, in order.

    A truncated file yields the frames before the break; this module's logger warns about it.

    Args:
        source: path of a video file, or the index of a camera.

    Attributes:
        name: the source as text, "webcam:0" for a camera.
        fps: frames per second.
        frame_count: number of frames according to the file's header; 0 where it is unknown, as for
            a camera.
        live: whether it is a camera, which does not wait while a frame is processed.

    Raises:
        BihrnetError: missing or unreadable file, or no such camera.
    """

    def __init__(self, source: str | Path | int) -> None:
        camera = isinstance(source, int)
        # OpenCV aborts the process at a negative index.
        if isinstance(source, bool) or not isinstance(source, (int, str, Path)):
            raise BihrnetError(f"a video is a file or the index of a camera, not {source!r}")
        if isinstance(source, int) and not 0 <= source < MAX_CAMERAS:
            raise BihrnetError(f"camera {source}: cameras are counted from 0 to {MAX_CAMERAS - 1}")
        self.name = f"webcam:{source}" if isinstance(source, int) else str(source)
        if not isinstance(source, int) and not Path(source).is_file():
            raise BihrnetError(f"{source}: there is no such file")
        with quiet_opencv():
            self._capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
        if not self._capture.isOpened():
            cause = "there is no such camera" if camera else "it is damaged, empty or not a video"
            raise BihrnetError(f"{self.name}: cannot be opened: {cause}")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 <= fps <= 1000 else DEFAULT_FPS
        self.live = camera
        self.frame_count = 0 if camera else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame; the file is closed after the last one.

        Raises:
            BihrnetError: no frame can be decoded.
        """
        number = 0
        first = seconds = 0.0
        try:
            while True:
                done, image = self._capture.read()
                if not done:
                    break
                rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
                stamp = self._clock()
                if number == 0:
                    first = stamp
                elif stamp - first > seconds:
                    seconds = stamp - first
                else:  # not every format has time stamps
                    seconds += 1 / self.fps
                yield Frame(np.asarray(rgb, dtype=np.uint8), self.name, number, seconds)
                number += 1
        finally:
            self._capture.release()
        if number == 0:
            raise BihrnetError(f"{self.name}: no frame can be decoded")
        # Some formats state only a duration, so the count may be off by one or by rounding.
        if self.frame_count - number > max(1, self.frame_count // 100):
            _log.warning("%s: truncated after %d of %d frames", self.name, number, self.frame_count)

    def _clock(self) -> float:
        """Time of the frame just read, in seconds since an arbitrary start."""
        return monotonic() if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000


@contextmanager
def writing_video(path: str | Path, fps: float) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Write an .mp4 file (MPEG-4 Part 2, the only fast codec in every OpenCV wheel).

    Yields a function that appends an (H, W, 3) uint8 RGB frame; all frames have the size of the
    first, and an odd last row or column is cut off. The complete file appears when the block ends,
    and none when the block raises.

    Args:
        path: ends in .mp4.
        fps: frames per second.

    Raises:
        WriteError: the file cannot be opened, or frames are missing from it (a full disk, which
            OpenCV does not report).
    """
    writer = cv2.VideoWriter()
    # The format's time base has at most 65535 ticks per second.
    rate = round(fps, 2) if fps < 655 else round(fps)
    count = 0

    def write(image: NDArray[np.uint8]) -> None:
        nonlocal count
        if count == 0:
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            size = image.shape[1], image.shape[0]
            with quiet_opencv():
                opened = writer.open(str(temporary), fourcc, rate, size)
            if not opened:
                raise OSError(0, f"a video of {size[0]}x{size[1]} pixels cannot be opened")
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        count += 1

    with replacing(path) as temporary:
        try:
            yield write
        finally:
            writer.release()
        with quiet_opencv():
            arrived = int(cv2.VideoCapture(str(temporary)).get(cv2.CAP_PROP_FRAME_COUNT))
        if arrived < count:
            raise OSError(
                0, f"only {max(arrived, 0)} of {count} frames were written; is the disk full?"
            )

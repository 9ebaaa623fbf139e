"""Image files: the only place that knows OpenCV's BGR order and what can be wrong with a file.

Everywhere else an image is (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import struct
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError
from bihrnet.files import WriteError, replacing

#: More pixels than any camera delivers (2^28, 0.8 GB as RGB): a damaged or malicious header.
MAX_PIXELS = 2**28
#: Larger files are not even read.
MAX_BYTES = 4 * MAX_PIXELS
#: OpenCV 4's `warpAffine` takes no longer side.
MAX_SIDE = 32766

#: Suffixes of the image files that are looked for in folders.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

#: OpenCV 4.11 has these functions in cv2 itself.
_LOGGING: Any = getattr(cv2.utils, "logging", cv2)

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def read_image(path: str | Path, *, upright: bool = True) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, WebP, BMP or TIFF file.

    Gray pictures become three equal channels, 16-bit ones are scaled to 8 bits. Transparent
    pixels, whose color is undefined, are shown on white (such pictures are not rotated by EXIF).
    The size is checked in the header, before any pixel is decoded.

    Args:
        path: the file.
        upright: apply EXIF rotation; False gives the pixels as they are stored.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        BihrnetError: missing, unreadable, empty, truncated, damaged, too large or no image.
    """
    data = _read_bytes(Path(path))
    size = _declared_size(data)
    if size is None:
        raise BihrnetError(f"{path}: is no JPEG, PNG, WebP, BMP or TIFF image")
    width, height = size
    if max(size) > MAX_SIDE or width * height > MAX_PIXELS:
        raise BihrnetError(
            f"{path}: {width}x{height} pixels are too many; the limits are {MAX_SIDE} a side and "
            f"{MAX_PIXELS} in all"
        )
    # JPEG knows no transparency, and what OpenCV takes for that of a BMP is often unused.
    if not data.startswith((_JPEG, b"BM")):
        unchanged = _decode(data, cv2.IMREAD_UNCHANGED)
        if unchanged is not None and unchanged.ndim == 3 and unchanged.shape[2] == 4:
            return as_rgb(cv2.cvtColor(unchanged, cv2.COLOR_BGRA2RGBA))
    # From memory: given a path, OpenCV fills the missing part of a truncated JPEG with gray.
    as_stored = 0 if upright else cv2.IMREAD_IGNORE_ORIENTATION
    image = _decode(data, cv2.IMREAD_COLOR | as_stored)
    if image is None:
        raise BihrnetError(f"{path}: the image is truncated, damaged or of an unsupported kind")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), dtype=np.uint8)


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix chooses the format, JPEG has quality 95.

    The file appears whole or not at all; missing folders are made.

    Raises:
        WriteError: unknown suffix, or the file cannot be written (no right, full disk, ...).
    """
    path = Path(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise WriteError(f"{path}: images are written as {', '.join(sorted(IMAGE_SUFFIXES))}")
    try:
        done, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:  # WebP ends at 16383 pixels a side
        raise WriteError(f"{path}: OpenCV cannot store {image.shape} in this format")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def as_rgb(array: Any) -> NDArray[np.uint8]:
    """Check an image given as an array and bring it to (H, W, 3) uint8 RGB.

    Args:
        array: uint8 or uint16 of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint16
            is scaled to 8 bits, transparency is shown on white.

    Returns:
        (H, W, 3) uint8 RGB; the array itself where nothing had to change.

    Raises:
        BihrnetError: another type or shape, no pixels, or a side too long.
    """
    image = np.asarray(array)
    if image.dtype not in (np.uint8, np.uint16):
        raise BihrnetError(f"an image array is RGB as uint8 (0..255) or uint16, not {image.dtype}")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise BihrnetError(
            f"an image array has shape (H, W), (H, W, 3) or (H, W, 4), not {np.shape(array)}"
        )
    if image.size == 0:
        raise BihrnetError(f"the image array has no pixels: its shape is {np.shape(array)}")
    if max(image.shape[:2]) > MAX_SIDE:
        raise BihrnetError(f"the image array {image.shape[:2]} has a side over {MAX_SIDE} pixels")
    if image.dtype == np.uint16:
        image = np.round(image / np.float32(257))
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    elif image.shape[2] == 4:
        opacity = image[..., 3:] / np.float32(255)
        image = np.round(image[..., :3] * opacity + 255 * (1 - opacity))
    return np.ascontiguousarray(image, dtype=np.uint8)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise BihrnetError(f"{path}: is a folder, not an image")
        if not path.exists():
            raise BihrnetError(f"{path}: there is no such file")
        if not path.is_file():  # reading a device or a pipe might never end
            raise BihrnetError(f"{path}: is no regular file")
        if path.stat().st_size > MAX_BYTES:
            raise BihrnetError(f"{path}: is larger than any image ({MAX_BYTES} bytes)")
        data = path.read_bytes()
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise BihrnetError(f"{path}: the file is empty")
    return data


def _decode(data: bytes, flags: int) -> NDArray[Any] | None:
    """Decoded BGR(A) or gray image; None where OpenCV cannot."""
    if data.startswith(_PNG) and not _png_is_whole(data):
        return None
    with quiet_opencv():
        try:
            return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
        except cv2.error:
            return None


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
    """Silence OpenCV's log about a broken file or camera: the caller says it in one sentence."""
    return _silence


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) as the file's header states them; None where it is no known image."""
    try:
        if data.startswith(_JPEG):
            return _jpeg_size(data)
        if data.startswith(_PNG):
            return _unpack(">II", data, 16)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data.startswith(b"BM"):
            core_header = struct.unpack_from("<I", data, 14)[0] == 12
            width, height = _unpack("<HH" if core_header else "<ii", data, 18)
            return abs(width), abs(height)  # a negative height means rows from the top
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(data)
    except struct.error:  # the header itself breaks off
        return 0, 0
    return None


def _unpack(layout: str, data: bytes, offset: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, data, offset)
    return first, second


def _png_is_whole(data: bytes) -> bool:
    """Whether all chunks lie in the file. OpenCV allocates what a chunk claims: up to 4 GB."""
    offset = len(_PNG)
    while offset + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        offset += 12 + length
        if kind == b"IEND":
            return offset <= len(data)
    return False


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments up to the frame header: SOF0 to SOF15 but for DHT, JPG and DAC."""
    offset = 2
    while True:
        marker, length = _unpack(">HH", data, offset)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = _unpack(">HH", data, offset + 5)
            return width, height
        # 0xFF may be repeated in front of a marker.
        offset += 1 if marker == 0xFFFF else 2 + length


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        low, middle, high, low2, middle2, high2 = struct.unpack_from("6B", data, 24)
        return 1 + low + (middle << 8) + (high << 16), 1 + low2 + (middle2 << 8) + (high2 << 16)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = _unpack("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Tags 256 (width) and 257 (height) of the first directory."""
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    sizes = {256: 0, 257: 0}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind = _unpack(order + "HH", data, entry)
        if tag in sizes:
            (sizes[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    return sizes[256], sizes[257]

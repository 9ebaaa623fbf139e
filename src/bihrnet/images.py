"""Image files: the only module that reads or writes them, and what can be wrong with one.

Everywhere else an image is (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from bihrnet.errors import BihrnetError
from bihrnet.files import WriteError, replacing

#: More pixels than any camera delivers (2^28, 0.8 GB as RGB): a damaged or malicious header.
MAX_PIXELS = 2**28
#: Larger files are not even read.
MAX_BYTES = 4 * MAX_PIXELS
#: OpenCV 4's `warpAffine` takes no longer side.
MAX_SIDE = 32766

#: How each suffix is written: Pillow's format and options. WebP is lossless.
_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys((".jpg", ".jpeg"), ("JPEG", {"quality": 95})),
    ".png": ("PNG", {"compress_level": 1}),
    ".webp": ("WEBP", {"lossless": True}),
    ".bmp": ("BMP", {}),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF", {"compression": "tiff_lzw"})),
}
#: Suffixes of the image files that can be written.
WRITABLE_SUFFIXES = frozenset(_WRITERS)
#: Suffixes of the image files that are looked for in folders.
IMAGE_SUFFIXES = WRITABLE_SUFFIXES | {".avif", ".heic", ".heif"}

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
#: What turns the stored pixels upright, by EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Pixels that are converted at once, so that conversions of large images need little memory.
_BAND = 2**20


def read_image(path: str | Path, *, upright: bool = True) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, WebP, BMP, TIFF or AVIF file, or HEIC where pillow-heif is installed.

    Gray images become three equal channels, 16-bit ones are scaled to 8 bits. Transparent pixels,
    whose color is undefined, are shown on white. The size is checked in the header, before any
    pixel is decoded, and again afterwards.

    Args:
        path: the file.
        upright: apply EXIF rotation; False gives the pixels as they are stored (TIFF and HEIC
            decoders rotate by themselves).

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        BihrnetError: missing, unreadable, empty, truncated, damaged, too large or not an image.
    """
    data = _read_bytes(Path(path))
    opener = _opener(data, path)
    try:
        image = opener(BytesIO(data))
        _check_size(image.size, path)
        image.load()
        _check_size(image.size, path)
        if upright:
            image = _turn_upright(image)
        return _to_array(image)
    except BihrnetError:
        raise
    except MemoryError:
        raise BihrnetError(f"{path}: the image is too large for the memory") from None
    except Image.DecompressionBombError:  # Pillow's own limits for WebP and TIFF are lower
        raise BihrnetError(f"{path}: the pixels are too many for this format") from None
    except Exception as error:  # Pillow lets through whatever its parsers and decoders raise
        raise BihrnetError(
            f"{path}: the image is truncated, damaged or of an unsupported kind"
        ) from error


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix chooses the format, JPEG has quality 95.

    The file appears whole or not at all; missing folders are made.

    Raises:
        WriteError: unknown suffix, or the file cannot be written (no right, full disk, ...).
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise WriteError(f"{path}: images are written as {', '.join(sorted(_WRITERS))}")
    format_name, options = _WRITERS[path.suffix.lower()]
    encoded = BytesIO()
    try:
        Image.fromarray(image).save(encoded, format_name, **options)
    except (OSError, ValueError) as error:  # WebP ends at 16383 pixels a side
        raise WriteError(
            f"{path}: {format_name} cannot store an image of shape {image.shape}"
        ) from error
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def as_rgb(array: Any) -> NDArray[np.uint8]:
    """Check an image given as an array and convert it to (H, W, 3) uint8 RGB.

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
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return np.ascontiguousarray(image)
    rgb = np.empty((*image.shape[:2], 3), dtype=np.uint8)
    rows = _rows_at_once(image.shape[1])
    for top in range(0, len(image), rows):
        rgb[top : top + rows] = _rows_to_rgb(image[top : top + rows])
    return rgb


def _rows_at_once(width: int) -> int:
    return max(1, _BAND // width)


def _rows_to_rgb(rows: NDArray[Any]) -> NDArray[Any]:
    """(h, w, 1, 3 or 4) uint8 or uint16 -> (h, w, 1 or 3) levels of 0..255."""
    if rows.dtype == np.uint16:
        rows = np.round(rows / np.float32(257))
    if rows.shape[2] == 4:
        opacity = rows[..., 3:] / np.float32(255)
        rows = np.round(rows[..., :3] * opacity + 255 * (1 - opacity))
    return rows


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise BihrnetError(f"{path}: is a folder, not an image")
        if not path.exists():
            raise BihrnetError(f"{path}: there is no such file")
        if not path.is_file():  # reading a device or a pipe might never end
            raise BihrnetError(f"{path}: is not a regular file")
        if path.stat().st_size > MAX_BYTES:
            raise BihrnetError(f"{path}: is larger than any image ({MAX_BYTES} bytes)")
        data = path.read_bytes()
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise BihrnetError(f"{path}: the file is empty")
    return data


def _check_size(size: tuple[int, int], path: str | Path) -> None:
    width, height = size
    if max(size) > MAX_SIDE or width * height > MAX_PIXELS:
        raise BihrnetError(
            f"{path}: {width}x{height} pixels are too many; the limits are {MAX_SIDE} a side and "
            f"{MAX_PIXELS} in all"
        )


def _opener(data: bytes, path: str | Path) -> Callable[[BytesIO], Image.Image]:
    """Pillow's class for the format that the file's first bytes show.

    Not `Image.open`: it would try other formats too, and its limit of pixels is a global variable
    that belongs to the application.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if data.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    if data[:4] in (b"II*\0", b"MM\0*"):
        return TiffImagePlugin.TiffImageFile
    if data[4:8] == b"ftyp":
        (end,) = struct.unpack(">I", data[:4])
        brands = {data[start : start + 4] for start in range(8, min(end, 256), 4)}
        if brands & {b"avif", b"avis"}:
            return AvifImagePlugin.AvifImageFile
        if brands & _HEIC_BRANDS:
            return _heic_opener(path)
    raise BihrnetError(f"{path}: is not a JPEG, PNG, WebP, BMP, TIFF, AVIF or HEIC image")


def _heic_opener(path: str | Path) -> Callable[[BytesIO], Image.Image]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise BihrnetError(
            f"{path}: HEIC images need pillow-heif: pip install 'bihrnet[heic]'"
        ) from None
    return HeifImageFile


def _turn_upright(image: Image.Image) -> Image.Image:
    if "exif" not in image.info:
        return image
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken EXIF data is no reason to refuse the pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a decoded image of any mode."""
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no known range")
    mode = image.mode
    if mode not in ("RGB", "L") and not mode.startswith("I;16"):
        # Alpha in a BMP is mostly unused: a fourth byte that is zero everywhere.
        transparent = image.has_transparency_data and image.format != "BMP"
        mode = "RGBA" if transparent else "RGB"
    width, height = image.size
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    rows = _rows_at_once(width)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        band = image if rows >= height else image.crop(box)
        pixels = np.asarray(band if mode == image.mode else band.convert(mode))
        if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:
            pixels = pixels.astype(np.uint16)  # in the processor's byte order
        rgb[top : top + rows] = as_rgb(pixels)
    return rgb

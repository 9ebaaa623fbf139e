"""Pictures as files, honest and lying."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".jpg", ".png", ".webp", ".bmp", ".tiff")


def picture(height: int = 60, width: int = 90) -> NDArray[np.uint8]:
    """RGB with a red left, a blue right and a gradient downwards: no symmetry to hide behind."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[:, : width // 2, 0] = 220
    image[:, width // 2 :, 2] = 220
    image[..., 1] = np.linspace(0, 100, height)[:, None]
    return image


def encoded(image: NDArray[np.generic], suffix: str) -> bytes:
    """As OpenCV stores it; BGR(A) or gray."""
    return cv2.imencode(suffix, image)[1].tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def that_claims(suffix: str, layout: str, true: tuple[int, ...], claimed: tuple[int, ...]) -> bytes:
    """A file of `picture()` whose header states another size."""
    data, size = encoded(picture(), suffix), struct.pack(layout, *true)
    assert data.count(size) == 1
    return data.replace(size, struct.pack(layout, *claimed))


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF segment that holds only the orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]

from __future__ import annotations

import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import (
    SUFFIXES,
    encoded,
    picture,
    with_orientation,
)
from PIL import Image

from bihrnet.errors import BihrnetError
from bihrnet.files import WriteError
from bihrnet.images import MAX_SIDE, as_rgb, read_image, write_image


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats_keep_place_and_color(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"x{suffix}", picture())
    found = read_image(tmp_path / f"x{suffix}")
    assert found.shape == (60, 90, 3)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - picture())[:, np.r_[:40, 50:90]].max() <= 12


@settings(max_examples=30)
@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 2**32 - 1))
def test_png_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "exact.png"
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)


def test_gray_and_16_bit(tmp_path: Path) -> None:
    gray = picture()[..., 1]
    (tmp_path / "gray.png").write_bytes(encoded(gray, ".png"))
    (tmp_path / "gray.jpg").write_bytes(encoded(gray, ".jpg"))
    deep = picture()[..., ::-1].astype(np.uint16) * 257
    (tmp_path / "deep.png").write_bytes(encoded(deep, ".png"))
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png"), np.dstack([gray] * 3))
    assert read_image(tmp_path / "gray.jpg").shape == (60, 90, 3)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), picture())


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_transparency_is_shown_on_white(tmp_path: Path, kind: type[np.generic]) -> None:
    full = np.iinfo(kind).max
    bgra = np.zeros((4, 6, 4), dtype=kind)
    bgra[:, :2] = [full, 0, 0, full]  # opaque blue
    bgra[:, 2:4] = [full, 0, 0, 0]  # blue that nobody sees
    bgra[:, 4:] = [0, 0, 0, full // 2]  # half a black
    (tmp_path / "clear.png").write_bytes(encoded(bgra, ".png"))
    image = read_image(tmp_path / "clear.png")
    assert image[0, 0].tolist() == [0, 0, 255]
    assert image[0, 2].tolist() == [255, 255, 255]
    assert image[0, 4, 0] == pytest.approx(128, abs=1)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    jpeg = encoded(picture()[..., ::-1], ".jpg")
    upright = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    for orientation, turns in ((1, 0), (3, 2), (6, -1), (8, 1)):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(with_orientation(jpeg, orientation))
        np.testing.assert_array_equal(read_image(path), np.rot90(upright, turns))
        np.testing.assert_array_equal(read_image(path, upright=False), upright)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_exif_rotation_of_other_formats(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    image = Image.fromarray(np.dstack([picture(), np.full((60, 90), 255, np.uint8)]))
    image.save(tmp_path / f"x{suffix}", lossless=True, exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), np.rot90(picture(), -1))


def test_broken_exif_does_not_hide_the_pixels(tmp_path: Path) -> None:
    jpeg = encoded(picture()[..., ::-1], ".jpg")
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff"
    path = tmp_path / "odd.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    assert read_image(path).shape == (60, 90, 3)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", ".png"), ("1", ".tiff"), ("L", ".tiff"), ("LA", ".png"), ("P", ".png"),
        ("P", ".bmp"), ("CMYK", ".jpg"), ("CMYK", ".tiff"), ("YCbCr", ".jpg"), ("I;16", ".tiff"),
        ("RGBA", ".webp"),
    ],
)  # fmt: skip
def test_modes_become_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    shades = np.repeat(np.array([[0, 255, 0, 255]], np.uint8), 16, axis=1).repeat(32, axis=0)
    gray = Image.fromarray(shades)
    if mode == "I;16":
        image = Image.fromarray(shades.astype(np.uint16) * 257)
    else:
        image = (gray if mode in ("1", "L", "LA") else gray.convert("RGB")).convert(mode)
    image.save(tmp_path / f"x{suffix}", lossless=True)
    found = read_image(tmp_path / f"x{suffix}").astype(int)
    assert np.abs(found - shades[..., None]).max() <= 3


def test_large_images_are_converted_in_bands(tmp_path: Path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (1100, 1000), dtype=np.uint8)
    for mode in ("RGB", "LA"):
        Image.fromarray(large).convert(mode).save(tmp_path / "x.png", compress_level=1)
        np.testing.assert_array_equal(read_image(tmp_path / "x.png"), np.dstack([large] * 3))


def test_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(BihrnetError, match="unsupported kind"):
        read_image(tmp_path / "x.tiff")


def test_transparent_palettes_are_shown_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "x.png", transparency=1)
    found = read_image(tmp_path / "x.png")
    assert found[0, 0].tolist() == [255, 0, 0]
    assert found[1, 1].tolist() == [255, 255, 255]


def test_jpeg_pixels_are_those_of_libjpeg_turbo(tmp_path: Path) -> None:
    """OpenCV decodes with the same library: the two agree to rounding, here to the bit."""
    noise = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (123, 77, 3), dtype=np.uint8), (0, 0), 2
    )
    jpeg = encoded(noise, ".jpg")
    (tmp_path / "x.jpg").write_bytes(jpeg)
    expected = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(read_image(tmp_path / "x.jpg").astype(int) - expected).max() <= 1


def test_avif(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "x.avif", quality=95)
    found = read_image(tmp_path / "x.avif").astype(int)
    assert np.abs(found - picture())[:, np.r_[:40, 50:90]].max() <= 12


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(picture())).save(tmp_path / "x.heic", quality=95)
    found = read_image(tmp_path / "x.heic").astype(int)
    assert np.abs(found - picture())[:, np.r_[:40, 50:90]].max() <= 12


def test_heic_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(BihrnetError, match=r"x\.heic: HEIC images need pillow-heif: pip install"):
        read_image(tmp_path / "x.heic")


def test_a_video_is_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(100))
    with pytest.raises(BihrnetError, match="is not a JPEG"):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("alpha", [b"", b"\0\0\0\xff"])
def test_a_bitmap_s_unused_fourth_byte_hides_nothing(tmp_path: Path, alpha: bytes) -> None:
    """32 bits with masks for the colors and perhaps for alpha, as clipboards store pictures."""
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF) + alpha
    length = 56 if alpha else 40
    header = struct.pack("<IiiHHIIiiII", length, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0) + masks
    pixels = bytes([10, 20, 30, 0] * 2)
    start = 14 + len(header)
    file = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels
    (tmp_path / "clipboard.bmp").write_bytes(file)
    assert read_image(tmp_path / "clipboard.bmp").tolist() == [[[30, 20, 10]] * 2]


def test_writing_keeps_the_old_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    write_image(path, picture())

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(WriteError, match=r"x\.png: cannot be written: No space left"):
            write_image(path, picture(10, 10))
    np.testing.assert_array_equal(read_image(path), picture())
    assert list(tmp_path.iterdir()) == [path]


def test_writing_what_no_format_takes(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="images are written as"):
        write_image(tmp_path / "x.gif", picture())
    with pytest.raises(WriteError, match="cannot store"):
        write_image(tmp_path / "x.webp", np.zeros((1, 20_000, 3), dtype=np.uint8))
    assert not list(tmp_path.iterdir())


def test_arrays() -> None:
    image = picture()
    assert as_rgb(image) is image
    np.testing.assert_array_equal(as_rgb(image[..., 0]), np.dstack([image[..., 0]] * 3))
    np.testing.assert_array_equal(as_rgb(image[..., :1]), np.dstack([image[..., 0]] * 3))
    np.testing.assert_array_equal(as_rgb(image.astype(np.uint16) * 257), image)
    np.testing.assert_array_equal(
        as_rgb(np.dstack([image, np.full((60, 90), 255)]).astype(np.uint8)), image
    )
    assert as_rgb(image[:, ::-1]).flags.c_contiguous
    large = np.arange(1100 * 1000, dtype=np.uint32).reshape(1100, 1000).astype(np.uint16)
    np.testing.assert_array_equal(as_rgb(large)[:, :, 1], np.round(large / 257))  # several bands


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.zeros((4, 4, 3)), "not float64"),
        (np.zeros((3, 4, 5), dtype=np.uint8), "has shape"),
        (np.zeros((1, 4, 5, 3), dtype=np.uint8), "has shape"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "no pixels"),
        (np.zeros((1, MAX_SIDE + 1, 3), dtype=np.uint8), "a side over"),
        ("photo.jpg", "not <U9"),
        (None, "not object"),
    ],
)
def test_arrays_that_are_no_images(array: object, cause: str) -> None:
    with pytest.raises(BihrnetError, match=cause):
        as_rgb(array)

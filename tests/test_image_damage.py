"""Image files that are damaged, lie about their size or are none."""

from __future__ import annotations

import os
import resource
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import (
    SUFFIXES,
    encoded,
    picture,
    png_that_claims,
    that_claims,
)
from PIL import Image

from bihrnet.errors import BihrnetError
from bihrnet.images import MAX_SIDE, read_image, write_image


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_truncated_files_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, kept: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise, suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(BihrnetError, match=r"cut\..*: the image is truncated"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("missing", [1, 2, 200])
def test_jpeg_without_its_end_is_refused(tmp_path: Path, missing: int) -> None:
    """Lenient decoders return such images with a gray lower part."""
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(picture(400, 600), ".jpg")[:-missing])
    with pytest.raises(BihrnetError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the file is empty"),
        (b"hello, I am text\n" * 100, "is not a JPEG, PNG, WebP, BMP, TIFF, AVIF or HEIC image"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"RIFF\0\0\0\0WEBP", "truncated"),
        (b"II*\0\xff\xff\xff\xff", "truncated"),
        (b"BM", "truncated"),
    ],
)
def test_what_is_no_image(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(BihrnetError, match=cause) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(BihrnetError, match="there is no such file"):
        read_image(tmp_path / "missing.jpg")
    with pytest.raises(BihrnetError, match="is a folder"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BihrnetError, match="is not a regular file"):
        read_image(tmp_path / "pipe.jpg")


@pytest.mark.parametrize(
    "data",
    [
        png_that_claims(30_000, 30_000),
        png_that_claims(40_000, 2),
        png_that_claims(2**31 - 1, 2**31 - 1),
        that_claims(".bmp", "<ii", (90, 60), (30_000, -30_000)),
        that_claims(".jpg", ">HH", (60, 90), (50_000, 60_000)),
        b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + b"\xff\xff\x00\xff\xff\x00",
        that_claims(".tiff", "<HIIHHII", (3, 1, 90, 257, 3, 1, 60), (4, 1, 9**5, 257, 4, 1, 9**5)),
    ],
    ids=["png", "png-side", "png-bomb", "bmp", "jpeg", "webp", "tiff"],
)
def test_absurd_sizes_are_refused_before_decoding(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(data)
    with pytest.raises(BihrnetError, match="pixels are too many"):
        read_image(path)


def test_a_chunk_that_claims_4_gigabytes_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    data = bytearray(encoded(picture(), ".png"))
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = b"\xff\xff\xff\xf0"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    np.testing.assert_array_equal(read_image(path), picture()[..., ::-1])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # kB


@settings(max_examples=150)
@given(data=st.data(), suffix=st.sampled_from(SUFFIXES))
def test_damage_gives_an_image_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, suffix: str
) -> None:
    content = bytearray(encoded(picture(16, 24), suffix))
    # The first bytes hold the sizes and the structure: they are hit most often.
    place = st.one_of(st.integers(0, 63), st.integers(0, len(content) - 1))
    for position, value in data.draw(
        st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=8)
    ):
        content[min(position, len(content) - 1)] = value
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(content)
    try:
        image = read_image(path)
    except BihrnetError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8


def test_a_tiff_whose_size_tags_disagree_is_not_decoded_beyond_its_size(tmp_path: Path) -> None:
    """Ten pixels a side in one pair of tags, a hundred times as many in another."""
    stream = BytesIO()
    Image.new("RGB", (4000, 4000)).save(stream, "TIFF", compression="tiff_deflate")
    data = bytearray(stream.getvalue())
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    entries = data[directory + 2 : directory + 2 + 12 * count]
    lies = struct.pack("<HHII", 256, 4, 1, 10) + struct.pack("<HHII", 257, 4, 1, 10)
    for order in (lies + entries, entries + lies):
        moved = struct.pack("<H", count + 2) + order + bytes(4)
        path = tmp_path / "liar.tiff"
        path.write_bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + moved)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        height, width, _ = read_image(path).shape
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        assert grown < 16 * height * width + 2**24


def test_size_is_checked_again_after_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "x.png", picture())
    load = Image.Image.load

    def grow(self: Image.Image) -> object:
        self._size = (MAX_SIDE + 1, 60)
        return load(self)

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", grow)
    with pytest.raises(BihrnetError, match="pixels are too many"):
        read_image(tmp_path / "x.png")

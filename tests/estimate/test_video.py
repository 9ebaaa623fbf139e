from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bihrnet.errors import BihrnetError
from bihrnet.estimate.video import VideoReader, writing_video
from bihrnet.files import WriteError

COLORS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0], [0, 200, 200]], np.uint8)


def frame(color: np.ndarray, height: int = 48, width: int = 64) -> np.ndarray:
    return np.broadcast_to(color, (height, width, 3)).copy()


def write_avi(path: Path, count: int) -> bytes:
    """Motion JPEG with its index at the end: it can be read up to the truncation."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    noise = np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)
    for image in noise:
        writer.write(image)
    writer.release()
    return path.read_bytes()


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "v.mp4"
    with writing_video(path, 12.5) as write:
        for color in COLORS:
            write(frame(color))
    reader = VideoReader(path)
    assert (reader.name, reader.fps, reader.frame_count) == (str(path), 12.5, 5)
    frames = list(reader)
    assert [each.number for each in frames] == [0, 1, 2, 3, 4]
    for each, color in zip(frames, COLORS, strict=True):
        assert each.file == str(path)
        assert each.image.shape == (48, 64, 3)
        assert np.abs(each.image.mean(axis=(0, 1)) - color).max() < 12
    assert list(path.parent.iterdir()) == [path]


def test_odd_sizes_lose_a_row(tmp_path: Path) -> None:
    with writing_video(tmp_path / "v.mp4", 25) as write:
        write(frame(COLORS[0], 49, 63))
    assert next(iter(VideoReader(tmp_path / "v.mp4"))).image.shape == (48, 62, 3)


def test_a_block_that_raises_leaves_no_file(tmp_path: Path) -> None:
    def broken_off() -> None:
        with writing_video(tmp_path / "v.mp4", 25) as write:
            write(frame(COLORS[0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_yields_its_frames_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cut.avi"
    data = write_avi(path, 20)
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        frames = list(VideoReader(path))
    assert 5 <= len(frames) <= 11
    assert caplog.messages == [f"{path}: truncated after {len(frames)} of 20 frames"]
    caplog.clear()
    path.write_bytes(data)
    assert len(list(VideoReader(path))) == 20
    assert not caplog.messages


def test_what_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(BihrnetError, match="there is no such file"):
        VideoReader(tmp_path / "missing.mp4")
    with pytest.raises(BihrnetError, match="there is no such file"):
        VideoReader(tmp_path)
    for content in (b"", b"hello, I am text"):
        (tmp_path / "v.mp4").write_bytes(content)
        with pytest.raises(BihrnetError, match=r"v\.mp4: cannot be opened"):
            VideoReader(tmp_path / "v.mp4")


def test_a_video_without_a_readable_frame(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with writing_video(path, 25) as write:
        for color in COLORS:
            write(frame(color))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
    path.write_bytes(data)
    with pytest.raises(BihrnetError, match=r"v\.mp4: no frame can be decoded"):
        list(VideoReader(path))


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    for index in (-1, 100, 10**12):
        with pytest.raises(BihrnetError, match=f"camera {index}: cameras are counted from 0"):
            VideoReader(index)
    for other in (None, True, 1.5):
        with pytest.raises(BihrnetError, match="a video is a file or the index of a camera"):
            VideoReader(other)
    with pytest.raises(BihrnetError, match="webcam:99: cannot be opened: there is no such camera"):
        VideoReader(99)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("size", [(1, 1), (48, 1)])
def test_sizes_that_no_codec_takes(tmp_path: Path, size: tuple[int, int]) -> None:
    def write_one() -> None:
        with writing_video(tmp_path / "v.mp4", 25) as write:
            write(frame(COLORS[0], *size))

    with pytest.raises(WriteError, match=r"v\.mp4: cannot be written: a video of"):
        write_one()


def test_a_full_disk_is_noticed(tmp_path: Path) -> None:
    """OpenCV says nothing of it; a limit on the size of files stands for the disk."""
    code = f"""
import resource, signal
import numpy as np
from bihrnet.errors import BihrnetError
from bihrnet.estimate.video import writing_video
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0).integers(0, 256, (40, 96, 96, 3), dtype=np.uint8)
try:
    with writing_video({str(tmp_path / "v.mp4")!r}, 25) as write:
        for image in noise:
            write(image)
except BihrnetError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        "v.mp4: cannot be written: only 0 of 40 frames were written; is the disk full?"
        in done.stdout
    )
    assert not list(tmp_path.iterdir())


def test_the_sample_video(shared_data: Path) -> None:
    reader = VideoReader(shared_data / "samples" / "video" / "demo.mp4")
    assert reader.fps == 5
    assert [each.image.shape for each in reader] == [(540, 960, 3)] * 5


@pytest.mark.parametrize("fps", [66.6667, 119.943, 239.893, 1000.0, 0.1])
def test_any_frame_rate_can_be_written(tmp_path: Path, fps: float) -> None:
    with writing_video(tmp_path / "v.mp4", fps) as write:
        for color in COLORS:
            write(frame(color))
    assert VideoReader(tmp_path / "v.mp4").fps == pytest.approx(fps, rel=1e-3)


def test_frames_come_at_their_own_time(tmp_path: Path) -> None:
    """A GIF states how long each picture stays: its mean rate says nothing of them."""
    pictures = [Image.fromarray(frame(color)) for color in COLORS]
    path = tmp_path / "v.gif"
    stays = [100, 100, 700, 100, 100]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=stays)
    times = [each.seconds for each in VideoReader(path)]
    assert times == pytest.approx([0, 0.1, 0.2, 0.9, 1.0], abs=0.011)


def test_frames_of_a_steady_video_are_evenly_spaced(tmp_path: Path) -> None:
    with writing_video(tmp_path / "v.mp4", 12.5) as write:
        for color in COLORS:
            write(frame(color))
    times = [each.seconds for each in VideoReader(tmp_path / "v.mp4")]
    assert times == pytest.approx(np.arange(5) / 12.5, abs=1e-3)

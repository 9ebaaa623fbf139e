from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from painted_people import SKELETON, DotModel, joints_in, paint

from bihrnet.cli.app import main
from bihrnet.estimate import estimator
from bihrnet.estimate.boxes_file import BoxesFile
from bihrnet.estimate.sources import Source
from bihrnet.estimate.video import VideoReader, writing_video
from bihrnet.files import WriteError
from bihrnet.images import read_image, write_image
from bihrnet.pose import Frame

BOX = [50, 40, 90, 160]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and a model that finds painted people instead of a real one."""
    monkeypatch.setattr(estimator, "load", lambda source, threads: DotModel((256, 192)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bihrnet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; (exit code, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bihrnet", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run


def person(name: str) -> None:
    write_image(name, paint((240, 200), [BOX]))


def video(name: str, count: int = 4) -> None:
    with writing_video(name, 10) as write:
        for _ in range(count):
            write(paint((240, 200), [BOX]))


def test_a_picture(bihrnet, folder: Path) -> None:
    person("photo.png")
    code, out, _ = bihrnet("predict", "photo.png")
    assert code == 0
    assert "1 pose in 1 image (dots@test)" in out
    assert "saved to output/photo.png" in out
    drawn = read_image("output/photo.png")
    assert drawn.shape == (240, 200, 3)
    assert (drawn != read_image("photo.png")).any()
    assert sorted(path.name for path in folder.iterdir()) == ["output", "photo.png"]


def test_json_is_what_the_design_says(bihrnet, folder: Path) -> None:
    person("a.png")
    video("b.mp4", 2)
    code, out, err = bihrnet("predict", "a.png", "b.mp4", "--json", "-")
    assert code == 0
    document = json.loads(out)
    assert "3 poses in 1 image and 2 frames" in err
    assert not (folder / "output").exists(), "only JSON was asked for"
    assert set(document) == {"model", "skeleton", "images"}
    assert document["model"] == "dots@test"
    assert document["skeleton"] == json.loads(json.dumps(SKELETON.to_dict()))
    image, *frames = document["images"]
    assert {**image, "poses": None} == {
        "file": "a.png", "frame": None, "width": 200, "height": 240, "poses": None
    }  # fmt: skip
    assert [(frame["file"], frame["frame"]) for frame in frames] == [("b.mp4", 0), ("b.mp4", 1)]
    (pose,) = image["poses"]
    assert set(pose) == {"bbox", "score", "keypoints", "track_id"}
    assert pose["track_id"] is None
    assert len(pose["bbox"]) == 4
    assert 0 < pose["score"] <= 1
    keypoints = np.array(pose["keypoints"])
    assert np.abs(keypoints[:, :2] - joints_in(BOX)).max() < 2


def test_json_and_pictures(bihrnet, folder: Path) -> None:
    person("a.png")
    assert bihrnet("predict", "a.png", "--out", "o", "--json", "new/a.json")[0] == 0
    assert len(json.loads(Path("new/a.json").read_text())["images"]) == 1
    assert Path("o/a.png").is_file()


def test_without_a_person_nothing_is_drawn(bihrnet) -> None:
    write_image("empty.png", paint((240, 200), []))
    person("person.png")
    code, out, _ = bihrnet("predict", "empty.png", "--min-score", "0.3", "--json", "e.json")
    assert (code, out) == (0, "no person found in 1 image (dots@test)\n")
    assert json.loads(Path("e.json").read_text())["images"][0]["poses"] == []
    code, out, err = bihrnet("predict", "empty.png", "person.png", "--min-score", "0.3")
    assert code == 0
    assert "empty.png: no person found in 1 image" in err
    assert "1 pose in 2 images" in out
    np.testing.assert_array_equal(read_image("output/empty.png"), read_image("empty.png"))


def test_boxes_file_with_several_people(bihrnet) -> None:
    boxes = [[20, 30, 80, 120], [150, 30, 90, 140]]
    write_image("two.png", paint((200, 280), boxes))
    Path("boxes.json").write_text(json.dumps({"two.png": boxes}))
    code, out, _ = bihrnet("predict", "two.png", "--detector", "boxes.json", "--json", "-")
    assert code == 0
    poses = json.loads(out)["images"][0]["poses"]
    assert sorted(pose["bbox"] for pose in poses) == boxes


def test_a_video(bihrnet) -> None:
    video("walk.mp4")
    code, out, _ = bihrnet("predict", "walk.mp4", "--out", "o")
    assert code == 0
    assert "4 poses in 4 frames" in out
    assert "saved to o/walk.mp4" in out
    reader = VideoReader("o/walk.mp4")
    assert (reader.fps, len(list(reader))) == (10, 4)


def test_people_of_a_video_have_numbers_and_may_stay_unsmoothed(bihrnet) -> None:
    with writing_video("walk.mp4", 10) as write:
        for number in range(4):
            write(paint((240, 200), [np.add(BOX, (5 * number, 0, 0, 0))]))
    found = {}
    for option in ("--smooth", "--no-smooth"):
        code, out, _ = bihrnet("predict", "walk.mp4", option, "--json", "-")
        assert code == 0
        frames = json.loads(out)["images"]
        assert [pose["track_id"] for frame in frames for pose in frame["poses"]] == [1] * 4
        found[option] = np.array([frame["poses"][0]["keypoints"] for frame in frames])
    head = joints_in(BOX)[0, 0] + 5 * np.arange(4)
    assert np.abs(found["--no-smooth"][:, 0, 0] - head).max() < 2
    assert found["--smooth"][3, 0, 0] < found["--no-smooth"][3, 0, 0] - 2


def test_a_folder_with_broken_files(bihrnet) -> None:
    person("pics/good.png")
    video("pics/good.mp4")
    Path("pics/half.jpg").write_bytes(
        cv2.imencode(".jpg", paint((240, 200), [BOX]))[1].tobytes()[:2000]
    )
    Path("pics/empty.png").touch()
    Path("pics/text.jpg").write_text("hello")
    Path("pics/broken.mp4").write_bytes(Path("pics/good.mp4").read_bytes()[:500])
    code, out, err = bihrnet("predict", "pics", "--json", "all.json", "--out", "o")
    assert code == 0
    lines = err.splitlines()
    skipped = [line for line in lines if line.startswith("skipped: ")]
    assert [line.split(": ")[1] for line in skipped] == [
        "pics/broken.mp4", "pics/empty.png", "pics/half.jpg", "pics/text.jpg"
    ]  # fmt: skip
    assert "pics/good.png: 1 pose in 1 image" in lines
    assert "4 of 6 inputs skipped" in out
    files = [image["file"] for image in json.loads(Path("all.json").read_text())["images"]]
    assert files == ["pics/good.mp4"] * 4 + ["pics/good.png"]
    assert sorted(path.name for path in Path("o").iterdir()) == ["good.mp4", "good.png"]


def test_a_truncated_video_keeps_its_frames(bihrnet, caplog) -> None:
    writer = cv2.VideoWriter("cut.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (200, 240))
    for _ in range(20):
        writer.write(paint((240, 200), [BOX])[..., ::-1])
    writer.release()
    data = Path("cut.avi").read_bytes()
    Path("cut.avi").write_bytes(data[: len(data) // 2])
    code, out, _ = bihrnet("predict", "cut.avi")
    assert code == 0
    assert "truncated after" in caplog.text
    count = len(list(VideoReader("output/cut.mp4")))
    assert 5 <= count <= 11
    assert f"{count} poses in {count} frames" in out


def test_a_detector_that_fails_in_the_middle_of_a_video(bihrnet, monkeypatch) -> None:
    video("v.mp4")
    Path("boxes.json").write_text(json.dumps({"v.mp4": [BOX]}))
    look = BoxesFile.__call__

    def fails(self: BoxesFile, frame: Frame) -> Any:
        boxes, scores = look(self, frame)
        return (np.full_like(boxes, np.nan) if frame.number == 2 else boxes), scores

    monkeypatch.setattr(BoxesFile, "__call__", fails)
    arguments = ["--detector", "boxes.json", "--out", "o", "--json", "v.json"]
    code, out, err = bihrnet("predict", "v.mp4", *arguments)
    assert code == 0
    assert "v.mp4 ends early: v.mp4: box 0 [nan, nan, nan, nan] is empty or not finite" in err
    assert "skipped" not in out
    assert "2 poses in 2 frames" in out
    assert len(list(VideoReader("o/v.mp4"))) == 2
    assert len(json.loads(Path("v.json").read_text())["images"]) == 2


def test_a_slow_network_does_not_hurry_a_camera(bihrnet, monkeypatch) -> None:
    """Frames at 0, 0.1, 0.5 and 0.6 s, at 10 a second: the second stays for what was missed."""
    colors = [0, 80, 160, 240]
    times = [0.0, 0.1, 0.5, 0.6]

    class Camera:
        name, fps, frame_count, live = "webcam:0", 10.0, 0, True

        def __iter__(self) -> Any:
            for number, (color, seconds) in enumerate(zip(colors, times, strict=True)):
                image = np.full((240, 200, 3), color, np.uint8)
                yield Frame(image, self.name, number, seconds)

    monkeypatch.setattr(Source, "open_video", lambda source: Camera())
    monkeypatch.setattr("bihrnet.cli.annotation.draw_poses", lambda image, *_: image)
    assert bihrnet("predict", "0", "--out", "o")[0] == 0
    (target,) = Path("o").iterdir()
    shown = [int(frame.image.mean()) for frame in VideoReader(target)]
    assert shown == pytest.approx([0, 80, 160, 160, 160, 240], abs=8)


def test_boxes_outside_the_picture_are_left_out_with_a_warning(bihrnet) -> None:
    video("v.mp4")
    boxes = {"v.mp4": [BOX], "v.mp4#2": [[900, 0, 5, 5], BOX], "v.mp4#3": [[900, 0, 5, 5]]}
    Path("boxes.json").write_text(json.dumps(boxes))
    arguments = ["--detector", "boxes.json", "--json", "v.json"]
    assert bihrnet("predict", "v.mp4", *arguments)[0] == 0
    frames = json.loads(Path("v.json").read_text())["images"]
    assert [len(frame["poses"]) for frame in frames] == [1, 1, 1, 0, *[1] * (len(frames) - 4)]


def test_inputs_of_one_name_do_not_overwrite_each_other(bihrnet) -> None:
    for name in ("a/x.png", "b/x.png", "c/x.png"):
        person(name)
    video("a/x.mp4")
    assert bihrnet("predict", "a", "b", "c")[0] == 0
    assert sorted(path.name for path in Path("output").iterdir()) == [
        "x-2.png", "x-3.png", "x.mp4", "x.png"
    ]  # fmt: skip


def test_an_image_without_a_known_suffix(bihrnet) -> None:
    person("x.png")
    Path("x.png").rename("photo")
    assert bihrnet("predict", "photo")[0] == 0
    assert Path("output/photo.jpg").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.jpg"], "missing.jpg: there is no such file or folder"),
        (["p/text.jpg"], "p/text.jpg: is not a JPEG, PNG, WebP, BMP, TIFF, AVIF or HEIC image"),
        (["p/text.jpg", "p/empty.jpg"], "no input can be used"),
        (["p/empty.mp4"], "p/empty.mp4: cannot be opened: it is damaged, empty or not a video"),
        (["p/a.png", "--out", "p"], "p/a.png: the picture would overwrite an input"),
        (["p/a.png", "--out", "p/text.jpg"], "p/text.jpg/a.png: cannot be written: Not a dir"),
        (["p/a.png", "--json", "p"], "p: cannot be written: it is a folder"),
        (["p/a.png", "--json", "p/text.jpg/x"], "p/text.jpg/x: cannot be written"),
        (["p/a.png", "--detector", "hog"], "no detector 'hog'"),
        (["p/a.png", "--detector", "p/text.json"], "p/text.json: cannot be read"),
        (["webcam:99"], "webcam:99: cannot be opened: there is no such camera"),
        (["p/a.png", "--json", "p/a.png"], "p/a.png: would overwrite another file"),
        (["p/a.png", "--out", "o", "--json", "o/a.png"], "o/a.png: would overwrite another file"),
        (
            ["p/a.png", "--detector", "b.json", "--json", "b.json"],
            "b.json: would overwrite another file",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_code_2(bihrnet, arguments, sentence) -> None:
    person("p/a.png")
    before = Path("p/a.png").read_bytes()
    Path("p/text.jpg").write_text("hello")
    Path("p/empty.jpg").touch()
    Path("p/empty.mp4").touch()
    code, out, err = bihrnet("predict", *arguments)
    assert (code, out) == (2, "")
    assert "camera; Ctrl-C" not in err
    assert err.splitlines()[-1].startswith(f"bihrnet: {sentence}")
    assert Path("p/a.png").read_bytes() == before
    assert not Path("output").exists()


def test_threads_reach_the_model(bihrnet, monkeypatch) -> None:
    asked = []

    def load(source: object, threads: int | None) -> DotModel:
        asked.append(threads)
        return DotModel((256, 192))

    monkeypatch.setattr(estimator, "load", load)
    person("a.png")
    assert bihrnet("predict", "a.png", "--threads", "3")[0] == 0
    assert bihrnet("predict", "a.png")[0] == 0
    assert asked == [3, None]


def test_a_missing_model_is_one_sentence(bihrnet, monkeypatch) -> None:
    from bihrnet.zoo import load

    monkeypatch.setattr(estimator, "load", load)
    person("a.png")
    for name, cause in (("nope", "no model 'nope'"), ("x.ckpt", "there is no such file")):
        code, _, err = bihrnet("predict", "a.png", "--model", name)
        assert code == 2
        assert cause in err


def test_a_full_disk_keeps_the_poses_found_so_far(bihrnet, monkeypatch) -> None:
    from bihrnet.cli import annotation

    for name in ("p/a.png", "p/b.png", "p/c.png"):
        person(name)

    def write(path: Path, image: np.ndarray) -> None:
        if path.name == "b.png":
            raise WriteError(f"{path}: cannot be written: No space left on device")
        write_image(path, image)

    monkeypatch.setattr(annotation, "write_image", write)
    code, _, err = bihrnet("predict", "p", "--out", "o", "--json", "p.json")
    assert code == 2
    assert err.splitlines()[-1] == "bihrnet: o/b.png: cannot be written: No space left on device"
    assert [image["file"] for image in json.loads(Path("p.json").read_text())["images"]] == [
        "p/a.png"
    ]


@pytest.mark.parametrize("name", ["p", "v.mp4"])
def test_ctrl_c_keeps_what_is_done(bihrnet, monkeypatch, name: str) -> None:
    for each in ("p/a.png", "p/b.png", "p/c.png"):
        person(each)
    video("v.mp4")
    real, seen = estimator.PoseEstimator.estimate, []

    def estimate(self, frame, boxes=None):
        seen.append(frame)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(self, frame, boxes)

    monkeypatch.setattr(estimator.PoseEstimator, "estimate", estimate)
    code, _, _ = bihrnet("predict", name, "--out", "o", "--json", "x.json")
    assert code == 130
    assert len(json.loads(Path("x.json").read_text())["images"]) == 2
    if name == "v.mp4":
        assert len(list(VideoReader("o/v.mp4"))) == 2
    else:
        assert sorted(path.name for path in Path("o").iterdir()) == ["a.png", "b.png"]


def test_the_samples(bihrnet, shared_data: Path) -> None:
    """Real photographs and the real video with HRNet's detections."""
    samples = shared_data / "samples"
    boxes = samples / "coco" / "test_coco_det_AP_H_56.json"
    code, out, _ = bihrnet("predict", str(samples / "coco"), "--detector", str(boxes))
    assert code == 0
    assert "in 4 images" in out
    code, out, _ = bihrnet("predict", str(samples / "video" / "demo.mp4"))
    assert code == 0
    assert "5 poses in 5 frames" in out

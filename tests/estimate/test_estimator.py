from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_people import SKELETON, DotModel, joints_in, paint

from bihrnet import PoseEstimator
from bihrnet.errors import BihrnetError
from bihrnet.estimate.video import writing_video
from bihrnet.images import write_image
from bihrnet.pose import Frame


@settings(max_examples=25)
@given(
    x=st.floats(-10, 150),
    y=st.floats(-10, 100),
    width=st.floats(60, 160),
    height=st.floats(60, 160),
)
def test_keypoints_are_where_they_were_painted(
    x: float, y: float, width: float, height: float
) -> None:
    """At any place and size, also where the person's box reaches over the border."""
    box = [x, y, width, height]
    truth = joints_in(box)
    image = paint((260, 320), [box])
    (pose,) = PoseEstimator(DotModel())(image, boxes=[box])
    radius = 0.04 * max(width, height) + 1
    inside = ((truth >= radius) & (truth <= np.array([319, 259]) - radius)).all(axis=1)
    assert pose.keypoints.shape == (4, 3)
    np.testing.assert_allclose(pose.bbox, box, atol=1e-4)
    assert np.abs(pose.keypoints[inside, :2] - truth[inside]).max(initial=0) < 0.02 * max(
        width, height
    )
    assert (pose.keypoints[inside, 2] > 0.8).all()


def test_people_are_kept_apart_and_run_in_batches() -> None:
    boxes = [[20 + 100 * n, 20 + 15 * n, 80, 120] for n in range(5)]
    model = DotModel()
    poses = PoseEstimator(model, batch_size=2)(paint((260, 560), boxes), boxes)
    assert model.batches == [2, 2, 1]
    found = {tuple(pose.bbox.tolist()): pose for pose in poses}
    for box in boxes:
        truth = joints_in(box)
        assert np.abs(found[tuple(box)].keypoints[:, :2] - truth).max() < 2


def test_whole_image_is_the_default(tmp_path: Path) -> None:
    box = [50, 40, 90, 160]
    image = paint((240, 200), [box])
    write_image(tmp_path / "one.png", image)
    for source in (image, tmp_path / "one.png", str(tmp_path / "one.png")):
        (pose,) = PoseEstimator(DotModel((256, 192)))(source)
        assert np.abs(pose.keypoints[:, :2] - joints_in(box)).max() < 2
        assert pose.track_id is None


def test_overlapping_poses_are_suppressed_best_first() -> None:
    boxes = [[50, 40, 90, 160], [52, 38, 90, 160], [200, 40, 90, 160]]

    def detector(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        assert frame.file == ""
        return np.array(boxes), np.array([0.5, 0.9, 0.7])

    image = paint((240, 320), [boxes[0], boxes[2]])
    poses = PoseEstimator(DotModel(), detector)(image)
    assert [pose.bbox[0] for pose in poses] == [52, 200]
    assert [pose.score for pose in poses] == sorted((p.score for p in poses), reverse=True)


def test_poses_that_score_less_are_left_out() -> None:
    boxes = [[20, 40, 90, 160], [200, 40, 90, 160]]
    image = paint((240, 320), boxes)

    def detector(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        return np.array(boxes), np.array([0.4, 0.9])

    both = PoseEstimator(DotModel(), detector)(image)
    for min_score, count in ((0, 2), (both[1].score, 2), (0.5, 1), (both[0].score + 0.01, 0)):
        poses = PoseEstimator(DotModel(), detector, min_score=min_score)(image)
        assert [pose.score for pose in poses] == [pose.score for pose in both[:count]]


def test_nobody_there() -> None:
    model = DotModel()
    estimator = PoseEstimator(model, lambda frame: (np.empty((0, 4)), np.empty(0)))
    assert estimator(paint((60, 80), [])) == []
    assert model.batches == []
    # An empty picture through the network: found nothing, so the pose scores nothing.
    (pose,) = PoseEstimator(model)(paint((60, 80), []))
    assert pose.score == 0


def test_given_boxes_are_checked() -> None:
    estimator = PoseEstimator(DotModel())
    image = paint((60, 80), [])
    assert estimator(image, boxes=[]) == []
    for box in ([0, 0, 0, 5], [0, 0, float("nan"), 5], [100, 0, 5, 5]):
        with pytest.raises(BihrnetError, match="box 0"):
            estimator(image, boxes=[box])


def test_wrong_arguments() -> None:
    with pytest.raises(BihrnetError, match="batch_size"):
        PoseEstimator(DotModel(), batch_size=0)
    with pytest.raises(BihrnetError, match="no detector"):
        PoseEstimator(DotModel(), "hog")
    with pytest.raises(BihrnetError, match="a detector is a name, a file or a function, not None"):
        PoseEstimator(DotModel(), None)
    with pytest.raises(BihrnetError, match="a model is a name, a file or a HeatmapModel, not 3"):
        PoseEstimator(3)
    with pytest.raises(BihrnetError, match="one image per call"):
        PoseEstimator(DotModel())(["a.jpg", "b.jpg"])
    with pytest.raises(BihrnetError, match="not float64"):
        PoseEstimator(DotModel())(np.zeros((5, 5, 3)))
    with pytest.raises(BihrnetError, match="there is no such file"):
        PoseEstimator(DotModel())("missing.jpg")


@pytest.mark.parametrize(
    "found",
    [
        np.array([[1.0, 2, 3, 4]]),
        ([[1, 2, 3, 4]], [0.5, 0.6]),
        ([[1, 2, 3, 4]], [float("nan")]),
        ([[1, 2, 3, 4]], ["high"]),
        None,
    ],
)
def test_a_detector_that_gives_something_else(found: object) -> None:
    with pytest.raises(BihrnetError, match="detector return"):
        PoseEstimator(DotModel(), lambda frame: found)(paint((60, 80), []))


def test_a_model_that_gives_nan_is_named() -> None:
    class Broken(DotModel):
        def __call__(self, crops):
            return super().__call__(crops) * np.float32("nan")

    with pytest.raises(BihrnetError, match="dots@test gives heatmaps that are not finite"):
        PoseEstimator(Broken())(paint((60, 80), []))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_tiny_images_pass(shape: tuple[int, int]) -> None:
    (pose,) = PoseEstimator(DotModel())(np.zeros((*shape, 3), dtype=np.uint8))
    assert np.isfinite(pose.keypoints).all()


def test_video(tmp_path: Path) -> None:
    boxes = [[20 + 5 * n, 30, 90, 150] for n in range(4)]
    with writing_video(tmp_path / "v.mp4", 10) as write:
        for box in boxes:
            write(paint((200, 160), [box]))
    estimator = PoseEstimator(DotModel((256, 192)))
    results = list(estimator.video(tmp_path / "v.mp4", smooth=False))
    assert len(results) == 4
    for n, (image, found) in enumerate(results):
        assert image.shape == (200, 160, 3)
        assert (found.file, found.frame) == (str(tmp_path / "v.mp4"), n)
        assert (found.width, found.height) == (160, 200)
        assert np.abs(found.poses[0].keypoints[:, :2] - joints_in(boxes[n])).max() < 4
        assert [pose.track_id for pose in found.poses] == [1]
    calm = [found.poses[0].keypoints for _, found in estimator.video(tmp_path / "v.mp4")]
    plain = [found.poses[0].keypoints for _, found in results]
    np.testing.assert_array_equal(calm[0], plain[0])
    # People walk to the right, and smoothed keypoints lag behind them.
    behind = np.array(plain[1:])[:, :, 0] - np.array(calm[1:])[:, :, 0]
    assert (behind > 1).all()
    assert (behind < 15).all()
    with pytest.raises(BihrnetError, match="there is no such file"):
        next(PoseEstimator(DotModel()).video(tmp_path / "missing.mp4"))


def test_the_skeleton_is_the_models() -> None:
    assert PoseEstimator(DotModel()).model.spec.skeleton == SKELETON

"""Top-down pose estimation: boxes of the people, crops, heatmaps, poses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.crop import Crop
from bihrnet.errors import BihrnetError
from bihrnet.estimate.boxes import check_boxes, check_detections
from bihrnet.estimate.detectors import PersonDetector, open_detector
from bihrnet.estimate.smoothing import Smoother
from bihrnet.estimate.tracking import Tracker
from bihrnet.estimate.video import VideoReader
from bihrnet.images import as_rgb, read_image
from bihrnet.model import HeatmapModel, predict_crops
from bihrnet.pose import Frame, ImagePoses, Pose, oks_nms, pose_score
from bihrnet.zoo import load


class PoseEstimator:
    """Finds the poses of the people in images and video.

    Args:
        model: a bundled name, a .bhr file, a checkpoint or a `HeatmapModel`; None for the bundled
            default.
        detector: what finds the people: "whole" takes the image to show one person, whose box is
            its middle 80 %; a .json file holds boxes; an .onnx file is run as a detector; a
            `PersonDetector` is a function of your own.
        min_score: poses that score less are left out (`Pose.score`, 0..1).
        batch_size: people that go through the network at once.
        threads: of the engine; None for all cores. Detectors and checkpoints choose theirs.

    Attributes:
        model: the `HeatmapModel`; `model.spec.skeleton` names the keypoints.
        detector: the `PersonDetector`.
        min_score: as given.
        batch_size: as given.

    Raises:
        BihrnetError: model or detector cannot be opened.

    Examples:
        >>> estimator = PoseEstimator()
        >>> poses = estimator("photo.jpg")
        >>> poses[0].keypoints  # (K, 3): x, y in image pixels, score
    """

    def __init__(
        self,
        model: str | Path | HeatmapModel | None = None,
        detector: str | Path | PersonDetector = "whole",
        *,
        min_score: float = 0.0,
        batch_size: int = 16,
        threads: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise BihrnetError(f"batch_size must be 1 or more, not {batch_size}")
        self.model = load(model, threads=threads)
        self.detector = open_detector(detector)
        self.min_score = min_score
        self.batch_size = batch_size

    def __call__(
        self, image: str | Path | NDArray[Any], boxes: ArrayLike | None = None
    ) -> list[Pose]:
        """Poses of the people in one image, best first.

        Args:
            image: path of an image file, or an array as `images.as_rgb` takes it: (H, W, 3) uint8
                RGB, also gray, RGBA or uint16.
            boxes: (N, 4) x, y, width, height of the people in pixels, if they are known; they may
                extend over the border. The detector does not run then.

        Raises:
            BihrnetError: the image cannot be read, or a box is empty, not finite or outside.
        """
        given: object = image
        if isinstance(given, (list, tuple)):
            raise BihrnetError("one image per call: a path or an array, not a list")
        if isinstance(image, (str, Path)):
            frame = Frame(read_image(image), str(image))
        else:
            frame = Frame(as_rgb(image))
        return self.estimate(frame, boxes).poses

    def video(
        self, source: str | Path | int, *, smooth: bool = True
    ) -> Iterator[tuple[NDArray[np.uint8], ImagePoses]]:
        """Frames of a video file, or of a camera, with their poses.

        Args:
            source: path of a file, or index of a camera.
            smooth: as in `watch`.

        Yields:
            ((H, W, 3) uint8 RGB, poses of the frame). A truncated file ends early, with a logged
            warning.

        Raises:
            BihrnetError: the video cannot be opened or no frame can be decoded.
        """
        for frame, found in self.watch(VideoReader(source), smooth=smooth):
            yield frame.image, found

    def watch(
        self, frames: Iterable[Frame], *, smooth: bool = True
    ) -> Iterator[tuple[Frame, ImagePoses]]:
        """Frames of one video with their poses; a person keeps its `track_id` over the frames.

        Args:
            frames: in order of their `seconds`.
            smooth: remove jitter from the keypoints (One Euro filter); they then lag a little.
        """
        tracker, smoother = Tracker(self.model.spec.skeleton.sigmas), Smoother()
        for frame in frames:
            found = self.estimate(frame)
            poses = tracker.update(found.poses, frame.seconds)
            if smooth:
                poses = smoother.update(poses, frame.seconds)
            yield frame, replace(found, poses=poses)

    def estimate(self, frame: Frame, boxes: ArrayLike | None = None) -> ImagePoses:
        """Poses of the people in a frame, best first; `boxes` as in `__call__`."""
        if boxes is None:
            people, scores = check_detections(self.detector(frame), frame)
        else:
            people = check_boxes(boxes, frame)
            scores = np.ones(len(people))
        crops = [Crop.from_box(box, self.model.spec.input_size) for box in people]
        pixels = [crop.warp(frame.image) for crop in crops]
        keypoints = predict_crops(self.model, crops, pixels, batch_size=self.batch_size)
        poses = [
            Pose(points, box.astype(np.float32), pose_score(float(score), points[:, 2]))
            for points, box, score in zip(keypoints, people, scores, strict=True)
        ]
        height, width = frame.image.shape[:2]
        kept = [pose for pose in self._distinct(poses) if pose.score >= self.min_score]
        return ImagePoses(frame.file, width, height, kept, frame.number)

    def _distinct(self, poses: list[Pose]) -> list[Pose]:
        """Poses without duplicates (`oks_nms`), best first."""
        kept = oks_nms(
            [pose.keypoints[:, :2] for pose in poses],
            [pose.score for pose in poses],
            [pose.bbox[2] * pose.bbox[3] for pose in poses],
            self.model.spec.skeleton.sigmas,
        )
        return [poses[index] for index in kept]

"""Top-down pose estimation: boxes, crops, heatmaps, poses."""

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
from bihrnet.estimate.video import Frame, VideoReader
from bihrnet.heatmap import decode_in_images
from bihrnet.images import as_rgb, read_image
from bihrnet.model import HeatmapModel
from bihrnet.oks import oks_nms
from bihrnet.pose import ImagePoses, Pose, pose_score
from bihrnet.zoo import load


class PoseEstimator:
    """Finds the poses of the people in images and video.

    Args:
        model: a bundled name, a .bhr file, a checkpoint or a `HeatmapModel`; None for the bundled
            default.
        detector: where the people are: "whole" takes the image to show one person, whose box is
            the middle 80 %, a .json file brings boxes, an .onnx file is run as a detector, and a
            `PersonDetector` is a function of your own.
        batch_size: people that go through the network at once.
        threads: of the engine; None for all cores. Detectors and checkpoints have their own.

    Attributes:
        model: the `HeatmapModel`; `model.spec.skeleton` names the keypoints.
        detector: the `PersonDetector`.

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
        batch_size: int = 16,
        threads: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise BihrnetError(f"batch_size must be 1 or more, not {batch_size}")
        self.model = load(model, threads=threads)
        self.detector = open_detector(detector)
        self.batch_size = batch_size

    def __call__(
        self, image: str | Path | NDArray[Any], boxes: ArrayLike | None = None
    ) -> list[Pose]:
        """Poses of the people in one image, best first.

        Args:
            image: path of an image file, or an array as `images.as_rgb` takes it: (H, W, 3) uint8
                RGB, also gray, RGBA or uint16.
            boxes: (N, 4) x, y, width, height of the people in pixels where they are known; they
                may reach over the border. The detector is not asked then.

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
        """Frames of a video file, or of the camera with this index, with their poses.

        Args:
            source: path, or index of a camera.
            smooth: as in `watch`.

        Yields:
            ((H, W, 3) uint8 RGB, poses of the frame). A file that breaks off ends early, with a
            logged warning.

        Raises:
            BihrnetError: the video cannot be opened or not one frame can be decoded.
        """
        for frame, found in self.watch(VideoReader(source), smooth=smooth):
            yield frame.image, found

    def watch(
        self, frames: Iterable[Frame], *, smooth: bool = True
    ) -> Iterator[tuple[Frame, ImagePoses]]:
        """Frames of one video with their poses, whose `track_id`s tell who is who.

        Args:
            frames: in order; their `seconds` count.
            smooth: take the jitter out of keypoints (One Euro filter); they then lag a little.
        """
        tracker, smoother = Tracker(self.model.spec.skeleton.sigmas), Smoother()
        for frame in frames:
            found = self.estimate(frame)
            poses = tracker.update(found.poses, frame.seconds)
            if smooth:
                poses = smoother.update(poses, frame.seconds)
            yield frame, replace(found, poses=poses)

    def estimate(self, frame: Frame, boxes: ArrayLike | None = None) -> ImagePoses:
        """Poses of the people in a frame; `boxes` as in `__call__`."""
        if boxes is None:
            people, scores = check_detections(self.detector(frame), frame)
        else:
            people = check_boxes(boxes, frame)
            scores = np.ones(len(people))
        keypoints = self._keypoints(frame.image, people)
        poses = [
            Pose(points, box.astype(np.float32), pose_score(float(score), points[:, 2]))
            for points, box, score in zip(keypoints, people, scores, strict=True)
        ]
        height, width = frame.image.shape[:2]
        return ImagePoses(frame.file, width, height, self._distinct(poses), frame.number)

    def _keypoints(
        self, image: NDArray[np.uint8], boxes: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """(N, K, 3) keypoints of N people, their crops run in batches."""
        spec = self.model.spec
        keypoints = np.empty((len(boxes), len(spec.skeleton), 3), dtype=np.float32)
        for start in range(0, len(boxes), self.batch_size):
            crops = [
                Crop.from_box(box, spec.input_size)
                for box in boxes[start : start + self.batch_size]
            ]
            heatmaps = self.model(np.stack([crop.warp(image) for crop in crops]))
            found = decode_in_images(heatmaps, crops, spec.decoding, spec.stride, spec.sigma)
            if not np.isfinite(found).all():
                raise BihrnetError(f"model {spec.name!r} gives heatmaps that are not finite")
            keypoints[start : start + len(found)] = found
        return keypoints

    def _distinct(self, poses: list[Pose]) -> list[Pose]:
        """Best first; of poses that overlap by OKS the best one."""
        kept = oks_nms(
            [pose.keypoints[:, :2] for pose in poses],
            [pose.score for pose in poses],
            [pose.bbox[2] * pose.bbox[3] for pose in poses],
            self.model.spec.skeleton.sigmas,
        )
        return [poses[index] for index in kept]

"""What smoothing does to the keypoints of a video: error, jitter and lag, against exact labels.

    python benchmarks/smoothing.py [MODEL] [--clips N]

Drawn people move from pose to pose before a camera at rest; the network gets their true boxes.
Errors are in percent of the body's size, the root of its box's area.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet import PoseEstimator
from bihrnet.data.synthetic.backdrop import draw_backdrop
from bihrnet.data.synthetic.body import Build, pose_body
from bihrnet.data.synthetic.figure import Camera, Light, bounds, frame_box, rasterize
from bihrnet.data.synthetic.outfit import Outfit
from bihrnet.data.synthetic.paint import add_grain, lay_over
from bihrnet.data.synthetic.poses import draw_pose
from bihrnet.data.synthetic.surface import dress
from bihrnet.estimate.smoothing import Smoother
from bihrnet.pose import Frame, Pose
from bihrnet.skeleton import Skeleton

FPS = 25
REST, MOVE = 13, 25  # frames that a pose is held, and that a change of poses takes
POSES = 3
SIZE = (360, 480)
FAMILIES = ("stand", "gesture", "walk", "arms_up", "run", "star", "hands_on_hips")


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of one person, boxes (T, 4) and joints (T, K, 2) in pixels, and when it rests (T,)."""

    frames: list[Frame]
    boxes: NDArray[np.float64]
    joints: NDArray[np.float64]
    resting: NDArray[np.bool_]


def shares() -> Iterator[tuple[int, float]]:
    """Which pose a frame leaves, and how far it has come to the next: 0..1, slow at both ends."""
    for pose in range(POSES):
        yield from ((pose, 0.0) for _ in range(REST))
        if pose < POSES - 1:
            yield from ((pose, (1 - np.cos(np.pi * t / MOVE)) / 2) for t in range(1, MOVE))


def draw_clip(seed: int, skeleton: Skeleton) -> Clip:
    """A person who changes between poses; all else stays but the camera's noise."""
    rng = np.random.default_rng(seed)
    build = Build.draw(rng)
    outfit, light, camera = Outfit.draw(rng), Light.draw(rng), Camera.draw(rng)
    poses = [draw_pose(rng, FAMILIES) for _ in range(POSES)]
    facing = float(rng.normal(0, 35))
    bodies = []
    for pose, share in shares():
        before, after = poses[pose], poses[min(pose + 1, POSES - 1)]
        angles = {name: (1 - share) * before[name] + share * after[name] for name in before}
        bodies.append(pose_body(build, angles, facing))
    everything = np.concatenate([np.array(list(body.joints.values())) for body in bodies])
    margin = 0.1 * np.array(SIZE)
    room = (margin[1], margin[0], SIZE[1] - 2 * margin[1], SIZE[0] - 2 * margin[0])
    camera = frame_box(everything, camera, room)
    backdrop = draw_backdrop(rng, SIZE, camera.horizon)
    frames, boxes = [], []
    for number, body in enumerate(bodies):
        mesh = dress(body, outfit)
        image = backdrop.copy()
        lay_over(image, rasterize(mesh, camera, light, SIZE))
        image = add_grain(rng, image, strength=16)
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
        frames.append(Frame(image, "", number, number / FPS))
        low, high = bounds(camera.project(mesh.corners))
        boxes.append(np.concatenate([low, high - low]))
    joints = [[camera.project(body.joints[name]) for name in skeleton.keypoints] for body in bodies]
    resting = np.array([share == 0 for _, share in shares()])
    return Clip(frames, np.array(boxes), np.array(joints), resting)


def measure(clip: Clip, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean error, mean error in motion, and jitter at rest: the mean step of the error."""
    size = np.sqrt(np.prod(clip.boxes[:, 2:], axis=1))[:, None, None]
    offsets = (found - clip.joints) / size
    errors = np.linalg.norm(offsets, axis=2).mean(axis=1)
    still = clip.resting[1:] & clip.resting[:-1]
    jitter = np.linalg.norm(np.diff(offsets, axis=0), axis=2).mean(axis=1)[still]
    return 100 * np.array([errors.mean(), errors[~clip.resting].mean(), jitter.mean()])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="as for `bihrnet predict`; default: the bundled")
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    estimator = PoseEstimator(arguments.model)
    skeleton = estimator.model.spec.skeleton
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(arguments.clips):
        clip = draw_clip(seed, skeleton)
        found = [
            estimator.estimate(frame, box).poses[0]
            for frame, box in zip(clip.frames, clip.boxes, strict=True)
        ]
        exact = [
            replace(pose, keypoints=np.column_stack([joints, pose.keypoints[:, 2]]))
            for pose, joints in zip(found, clip.joints, strict=True)
        ]
        results = {
            "as found": found,
            "as found, smoothed": smoothed(found),
            "exact, smoothed": smoothed(exact),
        }
        for name, poses in results.items():
            points = np.array([pose.keypoints[:, :2] for pose in poses], dtype=np.float64)
            rows.setdefault(name, []).append(measure(clip, points))
    print("| keypoints | error | error in motion | jitter at rest |\n|---|---|---|---|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in np.mean(values, axis=0)) + " |")


def smoothed(poses: list[Pose]) -> list[Pose]:
    """What smoothing makes of one person's poses, frame by frame."""
    smoother = Smoother()
    return [
        smoother.update([replace(pose, track_id=1)], number / FPS)[0]
        for number, pose in enumerate(poses)
    ]


if __name__ == "__main__":
    main()

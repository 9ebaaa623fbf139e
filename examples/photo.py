"""Draw the poses of a photograph: ``python examples/photo.py photo.jpg --out posed.jpg``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bihrnet import PoseEstimator
from bihrnet.estimate.drawing import draw_poses
from bihrnet.images import read_image, write_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--out", type=Path, default=Path("posed.jpg"))
    parser.add_argument("--model", help="bundled name, .bhr file or checkpoint")
    arguments = parser.parse_args()

    estimator = PoseEstimator(arguments.model)
    skeleton = estimator.model.spec.skeleton
    image = read_image(arguments.photo)
    poses = estimator(image)
    for number, pose in enumerate(poses):
        print(f"person {number}, score {pose.score:.2f}")
        for name, (x, y, score) in zip(skeleton.keypoints, pose.keypoints, strict=True):
            print(f"  {name:15} x {x:6.1f}  y {y:6.1f}  score {score:.2f}")
    write_image(arguments.out, draw_poses(image, poses, skeleton))
    print(arguments.out)


if __name__ == "__main__":
    main()

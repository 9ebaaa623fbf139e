"""Print the poses of a video, one line of JSON per frame: ``python examples/video.py clip.mp4``.

A number in place of the file is the index of a camera. A person keeps one `track_id` from frame to
frame, and keypoints are smoothed over time.
"""

from __future__ import annotations

import argparse
import json

from bihrnet import PoseEstimator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", help="file, or index of a camera")
    parser.add_argument("--model", help="bundled name, .bhr file or checkpoint")
    arguments = parser.parse_args()

    estimator = PoseEstimator(arguments.model)
    source = int(arguments.video) if arguments.video.isdecimal() else arguments.video
    for _, found in estimator.video(source):
        print(json.dumps(found.to_dict()), flush=True)


if __name__ == "__main__":
    main()

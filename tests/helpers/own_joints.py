"""A folder of own joints in COCO's format, as docs/data.md shows it. Not a test itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml

from bihrnet.data.synthetic import load_synthetic
from bihrnet.images import write_image
from bihrnet.skeleton import Skeleton

ARMS = {
    "name": "arms-3",
    "keypoints": ["neck", "left_wrist", "right_wrist"],
    "flip_pairs": [["left_wrist", "right_wrist"]],
    "limbs": [["neck", "left_wrist"], ["neck", "right_wrist"]],
    "sigmas": [0.079, 0.062, 0.062],
    "upper_body": ["neck", "left_wrist", "right_wrist"],
}


def write_own_joints(root: Path) -> Path:
    """Drawn people with the joints `ARMS`, four to train on and two to evaluate; returns `root`."""
    (root / "skeleton.yaml").write_text(yaml.safe_dump(ARMS))
    (root / "annotations").mkdir()
    (root / "images").mkdir()
    skeleton = Skeleton.from_dict(ARMS)
    for split, count in (("train", 4), ("val", 2)):
        images, annotations = [], []
        for person in load_synthetic(split, skeleton, count=count).people:
            number, (height, width) = person.image_id, person.image_size
            write_image(root / "images" / f"{split}{number}.png", person.read_image())
            size = {"width": width, "height": height}
            images.append({"id": number, "file_name": f"{split}{number}.png", **size})
            joints = np.column_stack([person.keypoints, 2 * person.visible])
            annotations.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": person.box.tolist(),
                    "area": float(np.prod(person.box[2:])),
                    "keypoints": joints.ravel().tolist(),
                }
            )
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "arms", "keypoints": ARMS["keypoints"]}],
        }
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return root

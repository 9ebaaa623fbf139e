"""Small data sets in the official layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.io

from bihrnet.skeleton import COCO


def coco_content() -> dict[str, Any]:
    """Two images of 80x100 with two people, a crowd, and a person without labeled joints."""
    keypoints = [value for joint in range(17) for value in (20 + joint, 30 + joint, 2)]
    keypoints[3:6] = [0, 0, 0]
    person = {"image_id": 7, "category_id": 1, "bbox": [10, 20, 40, 50], "area": 900.5}
    return {
        "images": [
            {"id": 7, "file_name": "seven.jpg", "height": 80, "width": 100},
            {"id": 9, "file_name": "nine.jpg", "height": 80, "width": 100},
        ],
        "annotations": [
            {**person, "id": 1, "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 16},
            {**person, "id": 2, "iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0},
            {**person, "id": 3, "iscrowd": 0, "keypoints": [0] * 51, "num_keypoints": 0},
            {**person, "id": 4, "image_id": 9, "bbox": [-10, 5, 50, 200], "keypoints": keypoints},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }


def write_images(folder: Path, names: list[str], size: tuple[int, int] = (80, 100)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".jpg", np.full((*size, 3), 128, np.uint8))[1].tobytes()
    for name in names:
        (folder / name).write_bytes(encoded)


def write_coco(root: Path, content: Any = None) -> Path:
    """`coco_content()`, or what is given, as the val split in COCO's layout; returns the root."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    write_images(root / "val2017", ["seven.jpg", "nine.jpg"])
    path = root / "annotations" / "person_keypoints_val2017.json"
    path.write_text(json.dumps(coco_content() if content is None else content))
    return root


def mpii_entry(image: str = "a.jpg", **change: Any) -> dict[str, Any]:
    """One person of HRNet's JSON; joint 9 is unlabeled."""
    joints = [[100.0 + joint, 200.0 + joint] for joint in range(16)]
    joints[9] = [-1.0, -1.0]
    return {
        "image": image,
        "center": [150.0, 250.0],
        "scale": 2.0,
        "joints": joints,
        "joints_vis": [0 if joint == 9 else 1 for joint in range(16)],
        **change,
    }


def write_mpii_json(root: Path, entries: list[Any]) -> Path:
    """As valid.json in HRNet's layout, with images a.jpg and b.jpg; returns the root."""
    (root / "annot").mkdir(parents=True, exist_ok=True)
    (root / "annot" / "valid.json").write_text(json.dumps(entries))
    write_images(root / "images", ["a.jpg", "b.jpg"])
    return root


def structs(*records: dict[str, Any]) -> np.ndarray:
    """Records as a 1xN MATLAB struct array; a missing field is MATLAB's empty array."""
    names = list(dict.fromkeys(name for record in records for name in record))
    array = np.empty((1, len(records)), dtype=[(name, object) for name in names])
    for index, record in enumerate(records):
        array[0, index] = tuple(record.get(name, np.empty((0, 0))) for name in names)
    return array


def mpii_rect(**change: Any) -> dict[str, Any]:
    """One person of the official file, with joints 0, 9 and 15."""
    points = structs(
        {"id": 0, "x": 11.0, "y": 21.0, "is_visible": "1"},
        {"id": 9, "x": 15.5, "y": 2.0},  # head joints have no flag
        {"id": 15, "x": 31.0, "y": 41.0, "is_visible": 0},
    )
    return {
        **{"x1": 10.0, "y1": 1.0, "x2": 40.0, "y2": 41.0},
        "annopoints": structs({"point": points}),
        "scale": 1.5,
        "objpos": structs({"x": 50.0, "y": 60.0}),
        **change,
    }


def write_mpii_mat(root: Path, *images: tuple[Any, ...], train: list[int] | None = None) -> Path:
    """The official file of (image name, *people) in MPII's layout; returns the root."""
    annolist = structs(
        *(
            {"image": structs({"name": name}), "annorect": structs(*rects) if rects else []}
            for name, *rects in images
        )
    )
    flags = [1] * len(images) if train is None else train
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(
        root / "mpii_human_pose_v1_u12_1.mat",
        {"RELEASE": structs({"annolist": annolist, "img_train": np.array([flags])})},
    )
    write_images(root / "images", [name for name, *_ in images])
    return root

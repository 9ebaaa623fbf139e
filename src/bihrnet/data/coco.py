"""COCO keypoints (Lin et al. 2014, "Microsoft COCO: Common Objects in Context"), and own data."""

from __future__ import annotations

from pathlib import Path

from bihrnet.data.annotation_files import find_file
from bihrnet.data.coco_format import read_coco_file
from bihrnet.data.people import PeopleDataset
from bihrnet.data.registry import register
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, Skeleton


@register(
    "coco",
    splits=("val", "train"),
    skeleton=COCO,
    protocol="coco",
    own_skeleton=True,
    detections=True,
)
def load_coco(
    root: Path, split: str = "val", boxes: Path | None = None, skeleton: Skeleton = COCO
) -> PeopleDataset:
    """Load COCO keypoints (2017), or people in COCO's format with another skeleton.

    Args:
        root: the folder that holds `annotations/person_keypoints_{split}2017.json`, or for own
            data `annotations/{split}.json`, and the images (see `coco_format.image_folders`); or
            an annotation file, which makes `split` its stem.
        split: "train" or "val".
        boxes: detections instead of ground-truth boxes.
        skeleton: names its joints exactly as the file's category does.

    Raises:
        BihrnetError: something is missing or malformed.
    """
    path = find_annotations(root, split)
    file = read_coco_file(path, skeleton)
    for ours, theirs in zip(skeleton.keypoints, file.keypoint_names, strict=True):
        if ours != theirs:
            raise BihrnetError(
                f"{path}: names a keypoint {theirs!r} where skeleton {skeleton.name!r} has {ours!r}"
            )
    return file.dataset("coco", root.stem if root.is_file() else split, skeleton, boxes)


def find_annotations(root: Path, split: str) -> Path:
    """The annotation file of a split in a COCO root, or `root` itself where it is a file."""
    if root.is_file():
        return root
    names = (f"person_keypoints_{split}2017.json", f"{split}.json")
    folders = (root / "annotations", root)
    return find_file("COCO annotations", [folder / name for name in names for folder in folders])

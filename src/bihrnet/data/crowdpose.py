"""CrowdPose (Li et al. 2019, "CrowdPose: Efficient Crowded Scenes Pose Estimation"): 14 joints."""

from __future__ import annotations

from pathlib import Path

from bihrnet.data.annotation_files import find_file
from bihrnet.data.coco_format import read_coco_file
from bihrnet.data.people import PeopleDataset
from bihrnet.data.registry import register
from bihrnet.skeleton import CROWDPOSE


@register(
    "crowdpose",
    splits=("test", "train", "val", "trainval"),
    skeleton=CROWDPOSE,
    protocol="crowdpose",
    detections=True,
)
def load_crowdpose(root: Path, split: str = "test", boxes: Path | None = None) -> PeopleDataset:
    """Load CrowdPose. Its annotations have no segment areas: see `evaluation.coco_files`.

    Args:
        root: the folder that holds `json/crowdpose_{split}.json` (`annotations/` will do as well)
            and `images/`, or an annotation file, which makes `split` its stem.
        split: "train", "val", "trainval" or "test".
        boxes: detections instead of ground-truth boxes.

    Raises:
        BihrnetError: something is missing or malformed.
    """
    if root.is_file():
        path, split = root, root.stem
    else:
        name = f"crowdpose_{split}.json"
        folders = (root / "json", root / "annotations", root)
        path = find_file("CrowdPose annotations", [folder / name for folder in folders])
    # The joint names differ between releases ("head", "top_head"); their order does not.
    file = read_coco_file(path, CROWDPOSE)
    return file.dataset("crowdpose", split, CROWDPOSE, boxes)

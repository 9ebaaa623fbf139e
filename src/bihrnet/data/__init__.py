"""Data sets in their official layouts, `synthetic`, and the top-down samples made of them."""

from __future__ import annotations

from pathlib import Path

from bihrnet.data.coco import load_coco
from bihrnet.data.crowdpose import load_crowdpose
from bihrnet.data.lsp import load_lsp, load_lspet
from bihrnet.data.mpii import load_mpii
from bihrnet.data.people import GROUND_TRUTH, PeopleDataset, Person
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, LSP, Skeleton

__all__ = ["GROUND_TRUTH", "SPLITS", "PeopleDataset", "Person", "load_dataset"]

#: The splits of every data set, the one for evaluation first.
SPLITS = {
    "coco": ("val", "train"),
    "mpii": ("val", "train", "trainval"),
    "lsp": ("test", "train"),
    "lspet": ("val", "train"),
    "crowdpose": ("test", "train", "val", "trainval"),
    "synthetic": ("val", "train"),
}


def load_dataset(
    name: str,
    root: str | Path | None = None,
    split: str | None = None,
    boxes: str | Path | None = None,
    skeleton: Skeleton | None = None,
) -> PeopleDataset:
    """Load one split of a data set; docs/data.md shows the layouts.

    Args:
        name: a key of `SPLITS`.
        root: folder of the data set, or for COCO, MPII and CrowdPose an annotation file. Not used
            by "synthetic".
        split: None for the one that models are evaluated on.
        boxes: for COCO and CrowdPose, a JSON of detections to use instead of ground-truth boxes.
        skeleton: for "coco", that of own data in COCO's format; for "synthetic", any.

    Raises:
        BihrnetError: unknown name or split, missing or malformed files; one sentence tells which.
    """
    if name not in SPLITS:
        raise BihrnetError(f"no data set {name!r}; known: {', '.join(SPLITS)}")
    split = split or SPLITS[name][0]
    if split not in SPLITS[name]:
        raise BihrnetError(
            f"data set {name!r} has no split {split!r}, only {', '.join(SPLITS[name])}"
        )
    if boxes is not None and name not in ("coco", "crowdpose"):
        raise BihrnetError(f"data set {name!r} is evaluated on its own boxes, not on {boxes}")
    if skeleton is not None and name not in ("coco", "synthetic"):
        raise BihrnetError(f"data set {name!r} has a skeleton of its own, not {skeleton.name!r}")
    if name == "synthetic":
        from bihrnet.data.synthetic import load_synthetic

        return load_synthetic(split, skeleton or LSP)
    if root is None or not Path(root).exists():
        problem = "none was given" if root is None else f"{root} does not exist"
        raise BihrnetError(f"data set {name!r} needs the folder it is in, but {problem}")
    root, boxes = Path(root), None if boxes is None else Path(boxes)
    if name == "coco":
        return load_coco(root, split, boxes, skeleton or COCO)
    if name == "crowdpose":
        return load_crowdpose(root, split, boxes)
    return {"mpii": load_mpii, "lsp": load_lsp, "lspet": load_lspet}[name](root, split)

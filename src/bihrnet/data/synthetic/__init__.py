"""The `synthetic` data set: posed mannequins before backgrounds, with exact labels."""

from __future__ import annotations

from bihrnet.data.people import PeopleDataset
from bihrnet.data.registry import register
from bihrnet.skeleton import LSP, Skeleton


@register("synthetic", splits=("val", "train"), skeleton=LSP, own_skeleton=True, on_disk=False)
def load_synthetic(
    split: str = "train", skeleton: Skeleton = LSP, seed: int = 0, count: int | None = None
) -> PeopleDataset:
    """People drawn by the project itself, with exact labels; nothing is read from disk.

    Args:
        split: "train" or "val".
        skeleton: any whose joint names are in `body.KNOWN_JOINTS`.
        seed: another seed draws other people.
        count: number of people; None for the split's own (`people.SPLITS`). The first people of a
            larger set are those of a smaller one.

    Raises:
        BihrnetError: unknown split or joint, a negative seed, fewer than one person.
    """
    from bihrnet.data.synthetic.people import draw_dataset

    return draw_dataset(split, skeleton, seed, count)

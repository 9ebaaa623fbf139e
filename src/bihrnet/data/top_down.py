"""Top-down training samples: one crop per person, with its heatmaps."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from bihrnet import heatmap
from bihrnet.data.augmentation import Augmentation, augment, jitter_colors, joints_in_crop
from bihrnet.data.people import PeopleDataset


class Sample(TypedDict):
    """One person of a `TopDownDataset`, or a batch of them with a leading dimension.

    Keys:
        crop: (h, w, 3) uint8 RGB.
        target: (K, h / stride, w / stride) float32 heatmaps, 0..1.
        weight: (K,) float32, 0..1: 0 where a joint does not count, else its label's weight.
        index: of the person in the data set.
    """

    crop: Tensor
    target: Tensor
    weight: Tensor
    index: int | Tensor


class TopDownDataset(Dataset[Sample]):
    """Crops and heatmaps of the people of a data set.

    A sample depends on seed, epoch and index alone, not on the worker that makes it.

    Args:
        dataset: the people.
        input_size: (height, width) of the crops.
        sigma: of the Gaussians, in heatmap pixels.
        augmentation: None gives every person's own crop.
        seed: of the augmentation.
        stride: input pixels per heatmap pixel.

    Items are `Sample`s; getting one raises `BihrnetError` where its image is broken.
    """

    def __init__(
        self,
        dataset: PeopleDataset,
        input_size: tuple[int, int],
        sigma: float,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        stride: int = 4,
    ) -> None:
        self.dataset = dataset
        self.input_size = input_size
        self.sigma = sigma
        self.augmentation = augmentation
        self.seed = seed
        self.stride = stride
        # In shared memory, so that workers which outlive an epoch see the next one begin.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on, in running worker processes too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        person, skeleton = self.dataset.people[index], self.dataset.skeleton
        image = person.read_image()
        if self.augmentation is None:
            crop = person.crop(self.input_size)
            pixels = crop.warp(image)
        else:
            rng = np.random.default_rng((self.seed, int(self._epoch), index))
            crop = augment(person, skeleton, self.input_size, self.augmentation, rng)
            pixels = crop.warp(image)
            if self.augmentation.color_jitter:
                pixels = jitter_colors(pixels, self.augmentation.color_jitter, rng)
        height, width = self.input_size
        keypoints, visible, weights = joints_in_crop(person, skeleton, crop)
        target, encoded = heatmap.encode(
            keypoints,
            visible,
            size=(height // self.stride, width // self.stride),
            sigma=self.sigma,
            stride=self.stride,
        )
        return {
            "crop": torch.from_numpy(pixels),
            "target": torch.from_numpy(target),
            "weight": torch.from_numpy(encoded * weights),
            "index": index,
        }

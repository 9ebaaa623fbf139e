"""From uint8 pixels to what every network takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD


class NormalizePixels(nn.Module):
    """Normalize by ImageNet's mean and standard deviation; nothing is learned or stored.

    The result is channels last in memory, the fastest layout on CPUs, because the crops are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            scaled = 255 * torch.tensor(values)[:, None, None]
            self.register_buffer(name, scaled, persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, h, w, 3) uint8 RGB -> (N, 3, h, w) float32."""
        return (crops.permute(0, 3, 1, 2).float() - self.mean) / self.std

"""Channel shuffle."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Interleave(nn.Module):
    """Values of one width as one, in turns: a[0], b[0], a[1], b[1] (ShuffleNet's shuffle)."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.stack(parts, dim=2).flatten(1, 2)

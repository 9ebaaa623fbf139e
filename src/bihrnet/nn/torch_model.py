"""A PyTorch module as a `HeatmapModel`: pixels in, heatmaps out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD, ModelSpec


class TorchModel:
    """Runs a module in evaluation mode and float32, without gradients.

    Args:
        module: (N, 3, h, w) normalized RGB -> (N, K, h/4, w/4) heatmaps; set to evaluation mode
            and moved to `device`.
        spec: input and output of the module.
        device: of torch, for instance "cpu" or "cuda:0".
    """

    def __init__(
        self, module: nn.Module, spec: ModelSpec, device: str | torch.device = "cpu"
    ) -> None:
        self._device = torch.device(device)
        self.module = module.eval().to(self._device)
        self._spec = spec
        self._mean = 255 * torch.tensor(IMAGENET_MEAN, device=self._device)
        self._std = 255 * torch.tensor(IMAGENET_STD, device=self._device)

    @property
    def spec(self) -> ModelSpec:
        """Input size, skeleton and defaults."""
        return self._spec

    @torch.inference_mode()
    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, h, w, 3) uint8 RGB -> (N, K, h/4, w/4) float32 heatmaps."""
        # A copy, because PyTorch takes neither reversed nor read-only arrays.
        pixels = torch.from_numpy(np.array(crops, order="C")).to(self._device)
        normalized = (pixels.float() - self._mean) / self._std
        # A permuted view, channels last in memory: the fastest layout on CPUs.
        return self.module(normalized.permute(0, 3, 1, 2)).float().cpu().numpy()

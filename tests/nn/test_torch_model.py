"""A torch module as a heatmap model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD, ModelSpec
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP

SPEC = ModelSpec("echo", LSP, (8, 12))


class Echo(nn.Module):
    """Gives the normalized pixels back and remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        self.gradient = torch.is_grad_enabled()
        self.layout = x.is_contiguous(memory_format=torch.channels_last)
        return self.dropout(x * self.weight)


def test_pixels_are_normalized_by_imagenet_and_run_in_evaluation_mode() -> None:
    module = Echo().train()
    session = TorchModel(module, SPEC)
    assert session.spec is SPEC
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8)
    heatmaps = session(crops)
    expected = (crops / 255 - IMAGENET_MEAN) / IMAGENET_STD
    assert heatmaps.dtype == np.float32
    np.testing.assert_allclose(heatmaps, expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert not module.training
    assert not module.gradient
    assert module.layout


@pytest.mark.parametrize("count", [0, 1])
def test_any_number_of_crops_and_any_memory_order(count: int) -> None:
    session = TorchModel(Echo(), SPEC)
    crops = np.zeros((count, 8, 12, 3), dtype=np.uint8)
    assert session(crops[:, ::-1, :, ::-1]).shape == (count, 3, 8, 12)
    crops.flags.writeable = False
    assert session(crops).shape == (count, 3, 8, 12)

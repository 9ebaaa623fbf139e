"""Resizing of feature maps."""

from __future__ import annotations

import numpy as np
import torch

from bihrnet.nn.layers.upsample import bilinear_resize


def test_bilinear_resizing_keeps_the_corners() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    y = bilinear_resize(x, torch.empty(1, 5, 3, 4))
    assert y.shape == (1, 1, 3, 4)
    np.testing.assert_allclose(y[0, 0, ::2, ::3], x[0, 0])

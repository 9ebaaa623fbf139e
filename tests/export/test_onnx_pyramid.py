"""Pyramid residual modules as ONNX, whose pooling has ratios; the engine refuses them by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_networks import images, normalized, onnx_session, randomize, session
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.export import to_bhr
from bihrnet.export.onnx import write_onnx
from bihrnet.nn.layers.ternary import Filters
from bihrnet.nn.models.hourglass import StackedHourglass
from bihrnet.nn.models.lbrn import PyramidLayers
from bihrnet.skeleton import LSP


def network() -> nn.Module:
    """LBRN-P, narrow and shallow: three levels, so that the outermost is all pyramids."""
    layers = PyramidLayers(Filters("3x3"))
    layers.channels = 32
    return randomize(StackedHourglass(len(LSP), stacks=1, depth=3, layers=layers), seed=1)


def test_one_file_agrees_with_torch_at_any_size(tmp_path: Path) -> None:
    module = network()
    write_onnx(session(module, (64, 64)), tmp_path / "model.onnx")
    runtime = onnx_session(tmp_path / "model.onnx")
    for size in ((64, 64), (96, 160), (256, 192)):
        crops = images(2, size)
        (heatmaps,) = runtime.run(["heatmaps"], {"image": normalized(crops)})
        expected = session(module, size)(crops)
        assert heatmaps.shape == expected.shape
        assert np.abs(heatmaps - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_engine_names_what_it_lacks() -> None:
    sentence = r"stem_block1\.body\.pyramid.*FractionalMaxPool"
    with pytest.raises(BihrnetError, match=sentence) as caught:
        to_bhr(session(network(), (64, 64)), "fp32")
    assert "\n" not in str(caught.value)

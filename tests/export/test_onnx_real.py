"""Real-valued networks as ONNX: ONNX Runtime and torch agree to rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_networks import images, normalized, onnx_session, randomize, session

from bihrnet.export.onnx import write_onnx
from bihrnet.nn import build
from bihrnet.skeleton import LSP

#: One of each family that has no binary layers.
NAMES = [
    "simplebaseline-r50",
    "mobilenet-v2",
    "mobilenet-v3",
    "shufflenet-v2",
    "small-hrnet-w16",
    "lite-hrnet-18",
]


@pytest.mark.parametrize("name", NAMES)
def test_real_networks_agree_to_rounding(name: str, tmp_path: Path) -> None:
    size = (64, 96)
    network = session(randomize(build(name, len(LSP)), seed=1), size)
    write_onnx(network, tmp_path / "model.onnx")
    crops = images(2, size)
    runtime = onnx_session(tmp_path / "model.onnx", optimize=False)
    (heatmaps,) = runtime.run(["heatmaps"], {"image": normalized(crops)})
    expected = network(crops)
    assert heatmaps.shape == expected.shape
    assert np.abs(heatmaps - expected).max() <= 1e-4 * np.abs(expected).max()
    (first,) = runtime.run(["heatmaps"], {"image": normalized(crops[:1])})
    assert first.shape == expected[:1].shape

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_networks import (
    NETWORKS,
    assert_agreement,
    bihrnet_layers,
    images,
    randomize,
    session,
    small,
)

from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD
from bihrnet.nn.models.binary_hrnet import DirectLayers
from bihrnet.nn.models.hrnet import Layers

ov = pytest.importorskip("openvino")


CASES = {
    "real": lambda: small(Layers(), pruned=True, width=16),
    "direct": lambda: small(DirectLayers("approx"), pruned=True, width=16),
    "bihrnet": lambda: small(bihrnet_layers(), pruned=True, width=16),
    "gate on output": lambda: small(bihrnet_layers("output"), pruned=True, width=16),
    # Layers of 1 to 4 channels, and 14 heatmaps: no multiples of 8.
    "narrow layers": NETWORKS["unpruned"],
    "binary hourglass": NETWORKS["binary hourglass"],
    "ternary": NETWORKS["ternary"],
}


@pytest.mark.parametrize("name", CASES)
def test_openvino_computes_what_torch_does(name, tmp_path):
    from bihrnet.bench.openvino_graph import write_openvino

    network = session(randomize(CASES[name](), seed=2))
    write_openvino(network, tmp_path / "model.xml")
    crops = images(4)
    pixels = torch.from_numpy(crops).float() / 255
    normalized = (pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(tmp_path / "model.xml", "CPU", hints)
    batch = normalized.permute(0, 3, 1, 2).contiguous().numpy()
    heatmaps = [compiled([batch[n : n + 1]])[0].copy() for n in range(len(batch))]
    assert_agreement(np.concatenate(heatmaps), network(crops))

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_networks import (
    NETWORKS,
    assert_agreement,
    bihrnet_layers,
    images,
    randomise,
    session,
    small,
)

from bihrnet.errors import BihrnetError
from bihrnet.heatmap_model import IMAGENET_MEAN, IMAGENET_STD
from bihrnet.nn.bihrnet import DirectLayers
from bihrnet.nn.hrnet import Layers

ov = pytest.importorskip("openvino")


@pytest.mark.parametrize(
    "layers", [Layers(), DirectLayers("approx"), bihrnet_layers(), bihrnet_layers("output")]
)
def test_openvino_computes_what_torch_does(layers, tmp_path):
    from bihrnet.export.openvino import write_openvino

    network = session(randomise(small(layers, pruned=True, width=16), seed=2))
    write_openvino(network, tmp_path / "model.xml")
    crops = images(4)
    pixels = torch.from_numpy(crops).float() / 255
    normalised = (pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(tmp_path / "model.xml", "CPU", hints)
    batch = normalised.permute(0, 3, 1, 2).contiguous().numpy()
    heatmaps = [compiled([batch[n : n + 1]])[0].copy() for n in range(len(batch))]
    assert_agreement(np.concatenate(heatmaps), network(crops))


def test_widths_that_openvino_gets_wrong_are_refused(tmp_path):
    from bihrnet.export.openvino import write_openvino

    with pytest.raises(BihrnetError, match="BinaryConvolution is right for 8 and more only"):
        write_openvino(session(NETWORKS["unpruned"]()), tmp_path / "model.xml")

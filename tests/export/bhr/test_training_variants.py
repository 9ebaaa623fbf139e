"""Networks as certain recipes leave them: with a sigmoid behind logits, with real weights."""

from __future__ import annotations

import numpy as np
import pytest
from small_networks import (
    NETWORKS,
    assert_agreement,
    images,
    normalized,
    onnx_session,
    randomize,
    session,
)

from bihrnet.engine.reference import ReferenceModel
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.export import to_bhr
from bihrnet.export.onnx import write_onnx
from bihrnet.nn.layers.binary_conv import use_real_weights
from bihrnet.nn.logits import PRIOR, SigmoidHeatmaps

pytestmark = pytest.mark.filterwarnings("ignore:.*runs on the NumPy reference")


@pytest.mark.parametrize("name", ["bihrnet", "binary hourglass"])
def test_an_exported_network_gives_heatmaps_not_logits(name):
    network = randomize(NETWORKS[name](), seed=3)
    crops = images(4)
    model = session(SigmoidHeatmaps(network))
    outputs = session(network)(crops)
    heatmaps = ReferenceModel(to_bhr(model))(crops)
    assert outputs.min() < 0
    assert 0 < heatmaps.min() < heatmaps.max() < 1
    odds = np.exp(outputs) * PRIOR / (1 - PRIOR)
    assert_agreement(heatmaps, odds / (1 + odds))


def test_in_int8_too():
    crops = images(4)
    model = session(SigmoidHeatmaps(randomize(NETWORKS["bihrnet"](), seed=3)))
    heatmaps = ReferenceModel(to_bhr(model, "int8", crops))(crops)
    assert 0 < heatmaps.min() < heatmaps.max() < 1


def test_real_weights_under_binary_activations_export_to_onnx_only(tmp_path):
    network = randomize(NETWORKS["bihrnet"](), seed=3)
    use_real_weights(network)
    model = session(network)
    with pytest.raises(BihrnetError, match=r"a sign whose value is used as a number.*\.onnx"):
        to_bhr(model)
    path = tmp_path / "stage.onnx"
    write_onnx(model, path)
    crops = images(4)
    (heatmaps,) = onnx_session(path).run(["heatmaps"], {"image": normalized(crops)})
    assert_agreement(heatmaps, model(crops))

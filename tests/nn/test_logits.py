"""Networks that give logits: one sigmoid, and the same weights with it or without."""

from __future__ import annotations

import torch
from torch import nn

from bihrnet.nn.logits import SigmoidHeatmaps, heatmaps


def test_heatmaps_are_the_sigmoid_of_what_cross_entropy_has_trained() -> None:
    outputs = torch.tensor([-2.0, 0.0, 3.0])
    torch.testing.assert_close(heatmaps(outputs, "bce"), 1 / (1 + torch.exp(-outputs)))
    assert heatmaps(outputs, "mse") is outputs
    assert heatmaps(outputs, "awing") is outputs


def test_a_network_with_its_sigmoid_is_named_as_in_a_training_run() -> None:
    network = nn.Conv2d(3, 2, 1)
    wrapped = SigmoidHeatmaps(network)
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(wrapped(x), heatmaps(network(x), "bce"))
    assert list(wrapped.state_dict()) == ["network.weight", "network.bias"]

"""Networks that give logits: one sigmoid, and the same weights with it or without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bihrnet.nn.logits import PRIOR, SigmoidHeatmaps, heatmaps


def test_heatmaps_are_the_sigmoid_of_what_cross_entropy_has_trained() -> None:
    outputs = torch.tensor([-2.0, 0.0, 3.0])
    odds = torch.exp(outputs) * 0.01 / 0.99
    torch.testing.assert_close(heatmaps(outputs, "bce"), odds / (1 + odds))
    assert heatmaps(outputs, "mse") is outputs
    assert heatmaps(outputs, "awing") is outputs


def test_a_fresh_network_believes_in_background() -> None:
    assert heatmaps(torch.zeros(1), "bce").item() == pytest.approx(PRIOR)


def test_a_network_with_its_sigmoid_is_named_as_in_a_training_run() -> None:
    network = nn.Conv2d(3, 2, 1)
    wrapped = SigmoidHeatmaps(network)
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(wrapped(x), heatmaps(network(x), "bce"))
    assert list(wrapped.state_dict()) == ["network.weight", "network.bias"]

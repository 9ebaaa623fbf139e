"""Pose losses against independent scalar formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.nn.logits import heatmaps
from bihrnet.training.losses import POSE_LOSSES, adaptive_wing, binary_cross_entropy, joints_mse


def scalar_awing(prediction: float, truth: float) -> float:
    """Part by part from the AWing paper, with its default constants."""
    omega, theta, epsilon, alpha = 14.0, 0.5, 1.0, 2.1
    difference = abs(truth - prediction)
    power = alpha - truth
    if difference < theta:
        return omega * math.log(1 + (difference / epsilon) ** power)
    a = omega * (1 / (1 + (theta / epsilon) ** power)) * power
    a *= (theta / epsilon) ** (power - 1) / epsilon
    c = theta * a - omega * math.log(1 + (theta / epsilon) ** power)
    return a * difference - c


def one_pixel(value: float) -> torch.Tensor:
    return torch.tensor([[[[value]]]], dtype=torch.float64)


WEIGHT = torch.ones(1, 1, dtype=torch.float64)


@given(st.floats(-3, 3), st.floats(0, 1))
def test_awing_is_the_formula_of_its_paper(prediction, truth):
    loss = adaptive_wing(one_pixel(prediction), one_pixel(truth), WEIGHT)
    assert loss.item() == pytest.approx(scalar_awing(prediction, truth), rel=1e-9, abs=1e-12)


def test_awing_known_values():
    # d = 0.25, y = 1: 14 ln(1 + 0.25^1.1); d = 1, y = 0: on the line.
    def loss(prediction: float, truth: float) -> float:
        return adaptive_wing(one_pixel(prediction), one_pixel(truth), WEIGHT).item()

    assert loss(0.75, 1.0) == pytest.approx(14 * math.log(1 + 0.25**1.1))
    # On the line beyond theta: value at 0.5 plus half the slope there.
    slope = 14 * 2.1 * 0.5**1.1 / (1 + 0.5**2.1)
    assert loss(1.0, 0.0) == pytest.approx(14 * math.log(1 + 0.5**2.1) + slope / 2)


@given(st.floats(0, 1))
def test_awing_is_smooth_where_its_branches_meet(truth):
    values, slopes = [], []
    for difference in (0.5 - 1e-7, 0.5 + 1e-7):
        prediction = one_pixel(truth - difference).requires_grad_()
        loss = adaptive_wing(prediction, one_pixel(truth), WEIGHT)
        loss.backward()
        values.append(loss.item())
        slopes.append(prediction.grad.item())
    assert values[0] == pytest.approx(values[1], abs=1e-5)
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-5)


@pytest.mark.parametrize("prediction", [0.0, 1.0, 1e20, -1e20])
def test_awing_gradient_is_finite_everywhere(prediction):
    heatmap = torch.full((1, 1, 1, 1), prediction, requires_grad=True)
    adaptive_wing(heatmap, torch.ones(1, 1, 1, 1), torch.ones(1, 1)).backward()
    assert torch.isfinite(heatmap.grad).all()


def test_mse_is_hrnets_joints_mse():
    heatmaps, targets = torch.rand(3, 4, 5, 6), torch.rand(3, 4, 5, 6)
    weights = torch.tensor([[1.0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
    # HRNet's code: per joint 0.5 * MSELoss of maps times weight, mean over joints.
    expected = 0.0
    for joint in range(4):
        weight = weights[:, joint, None]
        predicted = heatmaps[:, joint].flatten(1) * weight
        truth = targets[:, joint].flatten(1) * weight
        expected += 0.5 * torch.nn.MSELoss()(predicted, truth) / 4
    assert joints_mse(heatmaps, targets, weights).item() == pytest.approx(expected.item(), rel=1e-6)


def test_bce_is_least_where_the_heatmap_is_the_target():
    target = one_pixel(0.3)
    best = math.log(0.3 / 0.7) - math.log(0.01 / 0.99)  # logits count from that of the prior
    assert heatmaps(one_pixel(best), "bce").item() == pytest.approx(0.3)
    at = [
        binary_cross_entropy(one_pixel(best + shift), target, WEIGHT).item()
        for shift in (-0.1, 0, 0.1)
    ]
    assert at[1] == pytest.approx(-0.3 * math.log(0.3) - 0.7 * math.log(0.7))
    assert at[1] < min(at[0], at[2])


@pytest.mark.parametrize("loss", POSE_LOSSES.values())
def test_masked_joints_teach_nothing(loss):
    heatmaps = torch.rand(2, 3, 4, 4, requires_grad=True)
    weights = torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    loss(heatmaps, torch.rand(2, 3, 4, 4), weights).backward()
    moved = heatmaps.grad.abs().sum(dim=(2, 3)) > 0
    assert torch.equal(moved, weights > 0)


@pytest.mark.parametrize("loss", POSE_LOSSES.values())
def test_a_batch_is_the_mean_of_its_equal_parts(loss):
    """Whatever the joints' weights: so processes that share a batch agree with a single one."""
    heatmaps, targets = torch.randn(4, 3, 4, 4), torch.rand(4, 3, 4, 4)
    weights = (torch.rand(4, 3) > 0.5).float()
    parts = [loss(heatmaps[i::2], targets[i::2], weights[i::2]) for i in range(2)]
    assert torch.allclose(loss(heatmaps, targets, weights), sum(parts) / 2)

"""Pose losses between predicted and target heatmaps.

Every loss takes heatmaps (N, K, H, W), targets of the same shape and joint weights (N, K), and
averages over N, K, H and W. A joint of weight 0 adds nothing but counts in the denominator, as in
HRNet's code, so that the mean over a batch is the mean over its equal parts on several processes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from bihrnet.nn.logits import logits
from bihrnet.training.recipe import LossName

PoseLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


def joints_mse(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """HRNet's JointsMSELoss: half the mean squared error."""
    return 0.5 * _weighted_mean((heatmaps - targets) ** 2, weights)


def adaptive_wing(
    heatmaps: Tensor,
    targets: Tensor,
    weights: Tensor,
    *,
    omega: float = 14.0,
    epsilon: float = 1.0,
    alpha: float = 2.1,
    theta: float = 0.5,
) -> Tensor:
    """Adaptive wing loss (Wang et al. 2019, equation 4; BiHRNet equation 3, bracket corrected).

    With d = |heatmap - y|: omega * ln(1 + (d / epsilon)^(alpha - y)) below theta, a straight line
    of the same value and slope above. The exponent gives small errors a larger gradient at
    foreground pixels (y near 1) than in the background.
    """
    difference = (heatmaps - targets).abs()
    exponent = alpha - targets
    ratio = theta / epsilon
    slope = omega * exponent * ratio ** (exponent - 1) / (epsilon * (1 + ratio**exponent))
    offset = theta * slope - omega * torch.log1p(ratio**exponent)
    # The clamp keeps the branch that is not taken finite: its gradient is multiplied by zero.
    near = omega * torch.log1p((difference.clamp(max=theta) / epsilon) ** exponent)
    loss = torch.where(difference < theta, near, slope * difference - offset)
    return _weighted_mean(loss, weights)


def binary_cross_entropy(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy with targets in 0..1 (Bulat et al. 2019).

    Takes the outputs of a network, which `bihrnet.nn.logits.heatmaps` converts to heatmaps.
    """
    loss = F.binary_cross_entropy_with_logits(logits(outputs), targets, reduction="none")
    return _weighted_mean(loss, weights)


POSE_LOSSES: dict[LossName, PoseLoss] = {
    "mse": joints_mse,
    "awing": adaptive_wing,
    "bce": binary_cross_entropy,
}


def _weighted_mean(loss: Tensor, weights: Tensor) -> Tensor:
    return (loss * weights[:, :, None, None]).mean()

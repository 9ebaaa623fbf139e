"""Knowledge distillation: a frozen real-valued teacher, and what compares heatmaps with its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bihrnet.training.losses import binary_cross_entropy

DistillationName = Literal["kl", "bce"]


def heatmap_kl(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """KL(teacher || student) of heatmaps read as distributions over pixels (BiHRNet equation 6).

    Each joint's raw heatmap (temperature 1) goes through a softmax over its pixels; the
    divergences are summed over pixels and joints and averaged over the batch.

    Args:
        student: (N, K, H, W) heatmaps.
        teacher: the same shape; no gradient flows into it.
        weights: (N, K), 0 where the joint is not labeled: such joints add nothing.
    """
    student_log = F.log_softmax(student.flatten(2), dim=2)
    teacher_log = F.log_softmax(teacher.detach().flatten(2), dim=2)
    divergence = F.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(dim=2)
    return (divergence * weights).sum(dim=1).mean()


def soft_label_bce(outputs: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy against the teacher's heatmaps as soft labels (Bulat et al. 2019).

    Args:
        outputs: (N, K, H, W) of the student.
        teacher: heatmaps of the same shape, cut to 0..1; no gradient flows into them.
        weights: (N, K), 0 where the joint is not labeled: such joints add nothing.
    """
    return binary_cross_entropy(outputs, teacher.detach().clamp(0, 1), weights)


#: By name; "kl" compares heatmaps, "bce" takes the outputs of a student that gives logits.
DISTILLATION_LOSSES: dict[DistillationName, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "kl": heatmap_kl,
    "bce": soft_label_bce,
}


def distillation_loss(pose: Tensor, imitation: Tensor, balance: float) -> Tensor:
    """Equation (7), read as a convex combination: balance * pose + (1 - balance) * imitation."""
    return balance * pose + (1 - balance) * imitation


class Teacher:
    """A network that is only asked, never trained: frozen, in eval mode, without gradients.

    It is no `nn.Module` on purpose: it stays out of the student's parameters, checkpoints and
    `train()` calls.

    Args:
        network: maps (N, 3, h, w) normalized crops to (N, K, h/4, w/4) heatmaps.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(False)

    def to(self, device: torch.device) -> None:
        """Move to the device of the student, laid out as the student's crops are."""
        self._network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> Tensor:
        """Heatmaps of normalized crops, as float32."""
        heatmaps: Tensor = self._network(crops)
        return heatmaps.float()

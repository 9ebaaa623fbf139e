"""Distillation losses: comparisons of a student's outputs with a teacher's heatmaps."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from bihrnet.training.losses import binary_cross_entropy
from bihrnet.training.recipe import DistillationName


def heatmap_kl(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """KL(teacher || student) of heatmaps as distributions over pixels (BiHRNet, equation 6).

    A softmax (temperature 1) over the pixels of each joint's heatmap gives a distribution; the
    divergences are summed over pixels and joints and averaged over the batch.

    Args:
        student: (N, K, H, W) heatmaps.
        teacher: the same shape; no gradient flows into it.
        weights: (N, K), 0 for joints without a label, which add nothing.
    """
    student_log = F.log_softmax(student.flatten(2), dim=2)
    teacher_log = F.log_softmax(teacher.detach().flatten(2), dim=2)
    divergence = F.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(dim=2)
    return (divergence * weights).sum(dim=1).mean()


def soft_label_bce(outputs: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy with the teacher's heatmaps as soft labels (Bulat et al. 2019).

    Args:
        outputs: (N, K, H, W) of the student.
        teacher: heatmaps of the same shape, clipped to 0..1; no gradient flows into them.
        weights: (N, K), 0 for joints without a label, which add nothing.
    """
    return binary_cross_entropy(outputs, teacher.detach().clamp(0, 1), weights)


#: By name; "kl" takes heatmaps of the student, "bce" its logits.
DISTILLATION_LOSSES: dict[DistillationName, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "kl": heatmap_kl,
    "bce": soft_label_bce,
}


def distillation_loss(pose: Tensor, imitation: Tensor, balance: float) -> Tensor:
    """BiHRNet, equation 7, as a convex combination: balance * pose + (1 - balance) * imitation."""
    return balance * pose + (1 - balance) * imitation

"""Distillation losses and the frozen teacher."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bihrnet.nn.logits import heatmaps
from bihrnet.training.distillation import distillation_loss, heatmap_kl, soft_label_bce
from bihrnet.training.teacher import Teacher


def scalar_kl(student: list[float], teacher: list[float]) -> float:
    def softmax(values: list[float]) -> list[float]:
        total = sum(math.exp(value) for value in values)
        return [math.exp(value) / total for value in values]

    pairs = zip(softmax(teacher), softmax(student), strict=True)
    return sum(p * math.log(p / q) for p, q in pairs)


def test_kl_is_summed_over_joints_and_averaged_over_the_batch():
    student, teacher = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)
    weights = torch.tensor([[1.0, 1, 0], [0, 1, 1]])
    expected = 0.0
    for sample in range(2):
        for joint in range(3):
            if weights[sample, joint]:
                maps = student[sample, joint].flatten(), teacher[sample, joint].flatten()
                expected += scalar_kl(*(one.tolist() for one in maps)) / 2
    assert heatmap_kl(student, teacher, weights).item() == pytest.approx(expected, rel=1e-5)


def test_kl_is_zero_for_equal_maps_and_blind_to_a_constant():
    maps = torch.randn(2, 3, 4, 4)
    assert heatmap_kl(maps + 5, maps, torch.ones(2, 3)).item() == pytest.approx(0, abs=1e-5)


def test_no_gradient_reaches_the_teachers_maps():
    student, teacher = torch.randn(1, 1, 2, 2), torch.randn(1, 1, 2, 2)
    student.requires_grad_(), teacher.requires_grad_()
    heatmap_kl(student, teacher, torch.ones(1, 1)).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_soft_labels_are_the_teachers_heatmaps_cut_to_probabilities():
    outputs, teacher = torch.randn(2, 2, 3, 3), torch.rand(2, 2, 3, 3)
    teacher[0, 0, 0] = torch.tensor([-0.2, 0.5, 1.3])
    weights = torch.tensor([[1.0, 0], [1, 1]])
    expected = 0.0
    for place in [(n, k, y, x) for n in (0, 1) for k in (0, 1) for y in range(3) for x in range(3)]:
        p = heatmaps(outputs[place], "bce").item()
        q = min(max(teacher[place].item(), 0), 1)
        entropy = -q * math.log(p) - (1 - q) * math.log(1 - p)
        expected += weights[place[:2]].item() * entropy / 36
    outputs.requires_grad_(), teacher.requires_grad_()
    loss = soft_label_bce(outputs, teacher, weights)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert outputs.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize(("balance", "expected"), [(0.5, 2.0), (1.0, 3.0), (0.25, 1.5)])
def test_losses_are_combined_convexly(balance, expected):
    loss = distillation_loss(torch.tensor(3.0), torch.tensor(1.0), balance)
    assert loss.item() == expected


def test_a_teacher_never_changes():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    teacher = Teacher(network.train())
    crops = torch.randn(4, 3, 8, 8, requires_grad=True)
    first, second = teacher(crops), teacher(crops)
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_training_a_student_leaves_the_teacher_in_eval_mode():
    class Student(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.teacher = Teacher(nn.BatchNorm2d(3))

    student = Student().train()
    assert not student.teacher._network.training
    assert not list(student.parameters())
    assert not student.state_dict()

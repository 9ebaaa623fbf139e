"""Optimizer and learning-rate schedule of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from bihrnet.nn import latent_parameters
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d
from bihrnet.training.recipe import OptimizerSection, ScheduleSection

_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, AggregatedConv2d)


def build_optimizer(network: nn.Module, section: OptimizerSection) -> Optimizer:
    """Optimizer over the trainable parameters.

    Latent weights of binary convolutions have a learning rate of their own and never decay: only
    their signs matter, and decay would pull them towards the sign's jump. Biases, shifts,
    normalization and activation parameters do not decay either.
    """
    groups = _parameter_groups(network, section)
    if section.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=section.lr)
    kind = torch.optim.AdamW if section.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=section.lr, fused=True)


def _parameter_groups(network: nn.Module, section: OptimizerSection) -> list[dict[str, Any]]:
    latent = {id(parameter) for parameter in latent_parameters(network)}
    weights = {id(module.weight) for module in network.modules() if isinstance(module, _WEIGHTED)}
    groups: dict[str, list[nn.Parameter]] = {"latent": [], "weights": [], "others": []}
    for parameter in network.parameters():
        if id(parameter) in latent:
            groups["latent"].append(parameter)
        else:
            groups["weights" if id(parameter) in weights else "others"].append(parameter)
    settings: dict[str, dict[str, float]] = {
        "latent": {"lr": section.lr * section.latent_lr_factor, "weight_decay": 0.0},
        "weights": {"lr": section.lr, "weight_decay": section.weight_decay},
        "others": {"lr": section.lr, "weight_decay": 0.0},
    }
    return [
        {"params": parameters, **settings[name]}
        for name, parameters in groups.items()
        if parameters
    ]


def learning_rate_factor(
    section: ScheduleSection, epochs: int, steps_per_epoch: int
) -> Callable[[int], float]:
    """Factor on the learning rate as a function of the optimizer step, counted from 0.

    Milestones are epochs: 170 lowers the rate after 170 epochs. The cosine reaches 0 one step
    after the last. Warm-up multiplies either by a factor that rises linearly to 1 at step
    `warmup_steps`.
    """
    total = epochs * steps_per_epoch

    def factor(step: int) -> float:
        warmup = min(1.0, (step + 1) / (section.warmup_steps + 1))
        if section.name == "cosine":
            return warmup * (1 + math.cos(math.pi * min(step / total, 1.0))) / 2
        passed = sum(step >= milestone * steps_per_epoch for milestone in section.milestones)
        return warmup * section.gamma**passed

    return factor

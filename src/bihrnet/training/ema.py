"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage:
    """A second network whose floating-point weights and buffers trail those of the first.

    It is no `nn.Module`, so it stays out of the student's parameters and `train()` calls; its
    weights travel in the checkpoint through `network.state_dict()`.

    Args:
        network: the one that is trained; copied.
        decay: of the average per step. Early on min(decay, (1 + step) / (10 + step)) is used, so
            that the random start is forgotten soon.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the weights of `network` after optimizer step `step`, counted from 0."""
        averages, currents = [], []
        current_state = network.state_dict()
        for name, average in self.network.state_dict().items():
            if average.is_floating_point():
                averages.append(average)
                currents.append(current_state[name])
            else:
                average.copy_(current_state[name])
        decay = min(self._decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(averages, currents, 0)

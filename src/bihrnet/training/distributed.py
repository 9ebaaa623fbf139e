"""Batch normalization over all processes of a run.

With statistics of each process's share only, a run on two processes would differ from a run on one
with the same global batch. PyTorch's SyncBatchNorm does not support CPU tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce; each process's loss depends on the sum, so its gradient is summed as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class CrossProcessBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics cover the batches of all processes.

    Parameters, buffers and their names are those of `nn.BatchNorm2d`. Statistics are summed in
    float32 in two passes (mean, then squared deviations), so that no digits are lost where
    the mean is large; gradients flow through both sums.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) of this process, the same shape on every process."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        count = values.numel() / values.shape[1] * distributed.get_world_size()
        mean = _total(values.sum(dim=(0, 2, 3))) / count
        centered = values - mean[:, None, None]
        variance = _total((centered**2).sum(dim=(0, 2, 3))) / count
        self._update_running(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        output = centered * scale[:, None, None] + self.bias[:, None, None]
        return output.to(input.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased_variance, momentum)


def synchronize_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Let every BatchNorm2d use the global batch; the state dict is unchanged."""
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            # The subclass adds no state, so changing the class keeps parameters, buffers, hooks.
            module.__class__ = CrossProcessBatchNorm2d
    return network


def _total(value: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return total

"""Binary units in training on a CPU with few passes over memory.

A binary unit reads and writes its activations some twenty times a training step where every
formula is an operation of its own, and on a CPU that takes as long as its convolution. The two
autograd functions here do it in six, by the compiled loops of native/src/training. They compute
what the plain modules compute, within rounding; tests hold them against those.

They apply to float32 activations on a CPU, channels last in memory. Everything else (GPUs,
autocast, torch.compile, tracing, batch normalization over several processes, evaluation) takes the
plain modules.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

try:
    from bihrnet.nn.layers import _passes
except ImportError:  # a source tree without the compiled part, or another Python's
    _passes = None  # type: ignore[assignment]


def applies_to(x: Tensor) -> bool:
    """Whether the fused functions take these activations, (N, C, h, w)."""
    return (
        _passes is not None
        and type(x) is Tensor
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.ndim == 4
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def normalizes_plainly(norm: nn.Module) -> bool:
    """Whether `normalized_prelu` computes what this normalization computes in training."""
    return (
        type(norm) is nn.BatchNorm2d
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and norm.training
    )


def shifted_sign(x: Tensor, shift: Tensor, *, approx: bool) -> Tensor:
    """Sign of x + b, as `Shift` and `Sign` give it.

    Args:
        x: (N, C, h, w), as `applies_to` says.
        shift: (C, 1, 1) b.
        approx: whether the gradient is that of `sign_approx`; else that of `sign_ste`.
    """
    return _ShiftedSign.apply(x, shift, approx)  # type: ignore[no-untyped-call]


def normalized_prelu(
    y: Tensor,
    norm: nn.BatchNorm2d,
    *,
    before: Tensor | None = None,
    slope: Tensor | None = None,
    after: Tensor | None = None,
    residual: Tensor | None = None,
    factor: float = 1.0,
) -> Tensor:
    """BatchNorm, shortcut and RPReLU: prelu(factor * (bn(y) + residual) + before) + after.

    Normalized by the statistics of y; the running ones of `norm` move as in its forward pass.

    Args:
        y: (N, C, h, w), as `applies_to` says.
        norm: as `normalizes_plainly` says.
        before: (C, 1, 1) shift before the PReLU; None for 0.
        slope: (C,) of the PReLU; None for no activation.
        after: (C, 1, 1) shift after it; None for 0.
        residual: of y's shape and layout; None for none.
        factor: on normalized values and residual.
    """
    z, mean, variance = _NormalizedPReLU.apply(  # type: ignore[no-untyped-call]
        y, residual, norm.weight, norm.bias, before, slope, after, norm.eps, factor
    )
    _update_running(norm, mean, variance, y.numel() // y.shape[1])
    return z


def prelu_gradient(dz: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `prelu` with respect to x and slope.

    Args:
        dz: (N, C, h, w), of the result.
        x: (N, C, h, w), as `applies_to` says.
        slope: (C,)
    """
    zeros, ones = torch.zeros_like(slope), torch.ones_like(slope)
    to_x, to_slope, unused = torch.empty_like(x), torch.empty_like(slope), torch.empty_like(slope)
    _passes.activate_gradient(
        _rows(_channels_last(dz)),
        _rows(x),
        None,
        ones,
        zeros,
        slope.detach(),
        1.0,
        zeros,
        None,
        _rows(to_x),
        None,
        unused,
        to_slope,
        torch.empty_like(slope),
        torch.empty_like(slope),
        torch.get_num_threads(),
    )
    return to_x, to_slope


def _update_running(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)


def _rows(x: Tensor) -> Tensor:
    """(N, C, h, w), channels last in memory, as (N h w, C)."""
    return x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class _ShiftedSign(torch.autograd.Function):
    """See `shifted_sign`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, approx: bool) -> Tensor:
        ctx.save_for_backward(x, shift)
        ctx.approx = approx
        signs = torch.empty_like(x)
        _passes.sign(_rows(x), shift.detach().flatten(), _rows(signs), torch.get_num_threads())
        return signs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, shift = ctx.saved_tensors
        to_x, to_shift = torch.empty_like(x), torch.empty_like(shift)
        _passes.sign_gradient(
            _rows(_channels_last(gradients[0])),
            _rows(x),
            shift.detach().flatten(),
            ctx.approx,
            _rows(to_x),
            to_shift.view(-1),
            torch.get_num_threads(),
        )
        return to_x, to_shift, None


class _NormalizedPReLU(torch.autograd.Function):
    """See `normalized_prelu`; also gives mean and (biased) variance of y."""

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        residual: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        before: Tensor | None,
        slope: Tensor | None,
        after: Tensor | None,
        epsilon: float,
        factor: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        threads = torch.get_num_threads()
        mean, variance = torch.empty_like(weight), torch.empty_like(weight)
        _passes.moments(_rows(y), mean, variance, threads)
        deviation = (variance + epsilon).sqrt_()
        scale = factor * weight / deviation
        offset = (factor * bias).addcmul_(mean, scale, value=-1)
        if before is not None:
            offset += before.flatten()
        slopes = torch.ones_like(weight) if slope is None else slope.detach()
        added = torch.zeros_like(weight) if after is None else after.detach().flatten()
        z = torch.empty_like(y)
        _passes.activate(
            _rows(y),
            None if residual is None else _rows(residual),
            scale,
            offset,
            slopes,
            added,
            factor,
            _rows(z),
            threads,
        )
        ctx.save_for_backward(y, residual, scale, offset, slopes, mean, deviation)
        ctx.factor = factor
        ctx.has = before is not None, slope is not None, after is not None
        ctx.mark_non_differentiable(mean, variance)
        return z, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        y, residual, scale, offset, slopes, mean, deviation = ctx.saved_tensors
        to_y = torch.empty_like(y)
        to_residual = None if residual is None else torch.empty_like(residual)
        after, slope, du, du_y = torch.empty(4, len(mean)).unbind()
        _passes.activate_gradient(
            _rows(_channels_last(gradients[0])),
            _rows(y),
            None if residual is None else _rows(residual),
            scale,
            offset,
            slopes,
            ctx.factor,
            mean,
            deviation,
            _rows(to_y),
            None if to_residual is None else _rows(to_residual),
            after,
            slope,
            du,
            du_y,
            torch.get_num_threads(),
        )
        has_before, has_slope, has_after = ctx.has
        return (
            to_y,
            to_residual,
            du_y.div_(deviation).mul_(ctx.factor),
            du * ctx.factor,
            du.view(-1, 1, 1) if has_before else None,
            slope if has_slope else None,
            after.view(-1, 1, 1) if has_after else None,
            None,
            None,
        )

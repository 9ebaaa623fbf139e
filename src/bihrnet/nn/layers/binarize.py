"""Binarizers: sign of activations and of weights, each with a gradient that can be learned from.

The derivative of the sign is zero almost everywhere, so the backward pass uses that of a
surrogate. Every docstring below states forward and gradient as formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SignGradient = Literal["approx", "ste"]
#: Smooth functions that approach the sign as they grow steep.
SmoothShape = Literal["tanh", "sigmoid", "softsign"]


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; `torch.sign` would give 0 for 0."""
    # Three vectorized passes: on a CPU 20 times faster than `torch.where` with scalars.
    return torch.sign(x).add_(0.5).sign_()


class _SignSTE(torch.autograd.Function):
    """See `sign_ste`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0].masked_fill(x.abs() > 1, 0)


class _SignApprox(torch.autograd.Function):
    """See `sign_approx`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return x.abs().mul_(-2).add_(2).clamp_(min=0).mul_(gradients[0])


class _ScaledSign(torch.autograd.Function):
    """See `scaled_sign`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return sign(weight).mul_(weight_scale(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (weight,) = ctx.saved_tensors
        return gradients[0].masked_fill(weight.abs() > 1, 0)


def sign_ste(x: Tensor) -> Tensor:
    """Sign with the straight-through estimator (Hubara et al. 2016).

    Forward: y = +1 if x >= 0 else -1.
    Gradient: dy/dx = 1 if abs(x) <= 1 else 0.
    """
    return _SignSTE.apply(x)  # type: ignore[no-untyped-call]


def sign_approx(x: Tensor) -> Tensor:
    """Sign with the gradient of a piecewise quadratic, ApproxSign (Bi-Real Net, Liu et al. 2018).

    Forward: y = +1 if x >= 0 else -1.
    Gradient: dy/dx = 2 + 2x on [-1, 0), 2 - 2x on [0, 1), else 0.
    """
    return _SignApprox.apply(x)  # type: ignore[no-untyped-call]


def scaled_sign(weight: Tensor) -> Tensor:
    """Binary weights with one scaling factor per output channel (XNOR-Net, BiHRNet eq. 2).

    Forward: y = a * sign(w), a = mean of abs(w) over all weights of the output channel.
    Gradient: dy/dw = 1 if abs(w) <= 1 else 0 (ReActNet's code). The a that the chain rule would
    have is left out: it is about 0.01, makes gradients as small as Adam's epsilon of 1e-8, and
    weights then hardly move (docs/training.md).

    Args:
        weight: latent weights, output channels first.
    """
    return _ScaledSign.apply(weight)  # type: ignore[no-untyped-call]


def weight_scale(weight: Tensor) -> Tensor:
    """Scaling factor of each output channel, mean of abs(w); (out, 1, 1, ...) like `weight`."""
    return weight.abs().mean(dim=tuple(range(1, weight.ndim)), keepdim=True)


# Single nodes for torch.fx, which cannot trace through an autograd function.
torch.fx.wrap("sign_ste")
torch.fx.wrap("sign_approx")


#: Largest steepness in the gradient of smooth signs. With 2 the squared slope of tanh averages 1
#: over normalized activations, as ApproxSign's has, and gradients keep their size from layer to
#: layer. Steeper slopes multiply in every layer (docs/training.md).
GRADIENT_STEEPNESS = 2.0


class _SmoothSign(torch.autograd.Function):
    """See `Smoothing`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, steepness: Tensor, shape: SmoothShape) -> Tensor:
        ctx.save_for_backward(x, steepness)
        ctx.shape = shape
        steep = x * steepness
        if shape == "tanh":
            return steep.tanh_()
        return steep.sigmoid_().mul_(2).sub_(1) if shape == "sigmoid" else F.softsign(steep)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, steepness = ctx.saved_tensors
        limited = steepness.clamp(max=GRADIENT_STEEPNESS)
        steep = x * limited
        if ctx.shape == "tanh":
            slope = 1 - steep.tanh_().square_()
        elif ctx.shape == "sigmoid":
            sigmoid = steep.sigmoid_()
            slope = 2 * sigmoid * (1 - sigmoid)
        else:
            slope = steep.abs_().add_(1).pow_(-2)
        return slope.mul_(limited).mul_(gradients[0]), None, None


@dataclass(frozen=True)
class Smoothing:
    """What stands for the sign while a network learns (Bulat et al. 2019), growing steep.

    Forward, with a steepness l: "tanh" is tanh(l x), "sigmoid" 2 / (1 + exp(-l x)) - 1, and
    "softsign" l x / (1 + abs(l x)). All go through 0 at 0 and approach -1 and +1.
    Gradient: the derivative of the same function with l or 2, whichever is smaller.

    Attributes:
        shape: which of them.
        steepness: l > 0, a tensor without dimensions; who trains changes it in place.
    """

    shape: SmoothShape
    steepness: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return _SmoothSign.apply(x, self.steepness, self.shape)  # type: ignore[no-untyped-call]


class Sign(nn.Module):
    """Binarize activations to -1 and +1, any shape. `gradient` chooses the surrogate.

    Attributes:
        smoothing: takes the place of the sign in training mode, where there is one; evaluation
            always has the exact sign. See `smooth_signs`.
    """

    def __init__(self, gradient: SignGradient = "approx") -> None:
        super().__init__()
        self.gradient = gradient
        self.smoothing: Smoothing | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.smoothing is not None and self.training:
            return self.smoothing(x)
        return sign_approx(x) if self.gradient == "approx" else sign_ste(x)

    def extra_repr(self) -> str:
        return f"gradient={self.gradient!r}"


def smooth_signs(network: nn.Module, smoothing: Smoothing) -> None:
    """Give all `Sign`s of a network the same smoothing."""
    for module in network.modules():
        if isinstance(module, Sign):
            module.smoothing = smoothing

"""Binarizers: the sign of activations and of weights, each with a surrogate gradient.

The derivative of the sign is zero almost everywhere, so the backward pass uses that of another
function. The docstrings state both passes as formulas.

A further binarizer of activations is a function like `sign_approx`, its name in `SignGradient` and
an entry of `_SIGNS`; networks then take the name as their option `gradient`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Surrogate gradients of the sign of activations.
SignGradient = Literal["approx", "ste"]
#: Smooth functions that approach the sign as they grow steep.
SmoothShape = Literal["tanh", "sigmoid", "softsign"]


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; `torch.sign` would give 0 for 0."""
    # Three vectorized passes: on a CPU 20 times faster than `torch.where` with scalars.
    return torch.sign(x).add_(0.5).sign_()


#: The next float32 after 1.
_BEYOND_ONE = 1 + 2.0**-23


def _inside(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient where abs(x) <= 1, else 0; one pass over memory."""
    # Hardtanh's has 0 at its limits, the straight-through estimator has 1 at -1 and 1.
    return torch.ops.aten.hardtanh_backward(gradient, x, -_BEYOND_ONE, _BEYOND_ONE)


class _SignSTE(torch.autograd.Function):
    """See `sign_ste`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return _inside(gradients[0], x)


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
        return _inside(gradients[0], weight)


def sign_ste(x: Tensor) -> Tensor:
    """Sign with the straight-through estimator.

    Hubara et al. 2016, "Binarized Neural Networks" (arXiv:1602.02830).

    Forward: y = +1 if x >= 0 else -1.
    Gradient: dy/dx = 1 if abs(x) <= 1 else 0.
    """
    return _SignSTE.apply(x)  # type: ignore[no-untyped-call]


def sign_approx(x: Tensor) -> Tensor:
    """Sign with the gradient of a piecewise quadratic, ApproxSign (BiHRNet, equation (1)).

    Liu et al. 2018, "Bi-Real Net: Enhancing the Performance of 1-bit CNNs With Improved
    Representational Capability and Advanced Training Algorithm" (arXiv:1808.00278).

    Forward: y = +1 if x >= 0 else -1.
    Gradient: dy/dx = 2 + 2x on [-1, 0), 2 - 2x on [0, 1), else 0.
    """
    return _SignApprox.apply(x)  # type: ignore[no-untyped-call]


def scaled_sign(weight: Tensor) -> Tensor:
    """Binary weights with one scaling factor per output channel (BiHRNet, equation (2)).

    Rastegari et al. 2016, "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural
    Networks" (arXiv:1603.05279).

    Forward: y = a * sign(w), a = mean of abs(w) over all weights of the output channel.
    Gradient: dy/dw = 1 if abs(w) <= 1 else 0 (ReActNet's code). The factor a of the
    chain rule is left out: it is about 0.01 and makes gradients as small as Adam's epsilon of 1e-8,
    so that weights hardly move (docs/training.md).

    Args:
        weight: latent weights, output channels first.
    """
    return _ScaledSign.apply(weight)  # type: ignore[no-untyped-call]


def weight_scale(weight: Tensor) -> Tensor:
    """Scaling factor of each output channel, mean of abs(w); (out, 1, 1, ...) like `weight`."""
    return weight.abs().mean(dim=tuple(range(1, weight.ndim)), keepdim=True)


_SIGNS: dict[SignGradient, Callable[[Tensor], Tensor]] = {"approx": sign_approx, "ste": sign_ste}


# A single node for torch.fx, which cannot trace through an autograd function.
@torch.fx.wrap
def binarize(x: Tensor, gradient: SignGradient) -> Tensor:
    """Sign of activations of any shape with the surrogate gradient of that name."""
    return _SIGNS[gradient](x)


#: Largest steepness in the gradient of smooth signs. At 2 the mean squared slope of tanh over
#: normalized activations is 1, as that of ApproxSign, and gradients keep their size from layer to
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
    """A smooth function that replaces the sign in training and grows steep.

    Bulat et al. 2019, "Improved training of binary networks for human pose estimation and image
    recognition" (arXiv:1904.05868), section 3.4, equations (2) to (4).

    Forward, with a steepness l: "tanh" is tanh(l x), "sigmoid" 2 / (1 + exp(-l x)) - 1, and
    "softsign" l x / (1 + abs(l x)). All go through 0 at 0 and approach -1 and +1.
    Gradient: the derivative of the same function at steepness min(l, 2).

    Attributes:
        shape: which function.
        steepness: l > 0, a scalar tensor that the training loop updates in place.
    """

    shape: SmoothShape
    steepness: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return _SmoothSign.apply(x, self.steepness, self.shape)  # type: ignore[no-untyped-call]


class Sign(nn.Module):
    """Binarize activations of any shape to -1 and +1.

    Args:
        gradient: surrogate gradient, "approx" (`sign_approx`) or "ste" (`sign_ste`).

    Attributes:
        smoothing: replaces the sign in training mode if not None; evaluation always uses the exact
            sign. See `smooth_signs`.

    Example:
        >>> Sign()(torch.tensor([-0.3, 0.0, 2.0]))
        tensor([-1.,  1.,  1.])
    """

    def __init__(self, gradient: SignGradient = "approx") -> None:
        super().__init__()
        self.gradient = gradient
        self.smoothing: Smoothing | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.smoothing is not None and self.training:
            return self.smoothing(x)
        return binarize(x, self.gradient)

    def extra_repr(self) -> str:
        return f"gradient={self.gradient!r}"


def smooth_signs(network: nn.Module, smoothing: Smoothing) -> None:
    """Set the smoothing of all `Sign`s of a network."""
    for module in network.modules():
        if isinstance(module, Sign):
            module.smoothing = smoothing

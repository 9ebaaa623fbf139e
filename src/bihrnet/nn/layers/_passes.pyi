"""Types of the compiled module; see native/src/training/bindings.cpp."""

from torch import Tensor

def sign(x: Tensor, shift: Tensor, signs: Tensor, threads: int) -> None: ...
def sign_gradient(
    dy: Tensor, x: Tensor, shift: Tensor, approx: bool, dx: Tensor, dshift: Tensor, threads: int
) -> None: ...
def moments(y: Tensor, mean: Tensor, variance: Tensor, threads: int) -> None: ...
def activate(
    y: Tensor,
    residual: Tensor | None,
    scale: Tensor,
    offset: Tensor,
    slope: Tensor,
    after: Tensor,
    residual_factor: float,
    z: Tensor,
    threads: int,
) -> None: ...
def activate_gradient(
    dz: Tensor,
    y: Tensor,
    residual: Tensor | None,
    scale: Tensor,
    offset: Tensor,
    slope: Tensor,
    residual_factor: float,
    mean: Tensor,
    deviation: Tensor | None,
    dy: Tensor,
    dresidual: Tensor | None,
    dafter: Tensor,
    dslope: Tensor,
    du: Tensor,
    du_y: Tensor,
    threads: int,
) -> None: ...

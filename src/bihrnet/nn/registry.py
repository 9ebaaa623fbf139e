"""Registry of architectures: a name stands for a function that builds the network."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic
from torch import nn

from bihrnet.errors import BihrnetError, quoted

Builder = Callable[..., nn.Module]
_B = TypeVar("_B", bound=Builder)


@dataclass(frozen=True)
class Architecture:
    """A pose network that can be built by name.

    Attributes:
        name: for instance "bihrnet-w32".
        description: one line for tables.
        binary: whether it holds binary convolutions.
        builder: called as ``builder(joints, **fixed, **options)``.
        fixed: keyword arguments that define this variant of the builder.
        multiple: height and width of the input must be multiples of it.
    """

    name: str
    description: str
    binary: bool
    builder: Builder
    fixed: dict[str, Any]
    multiple: int = 32

    @property
    def options(self) -> dict[str, Any]:
        """Options that `build` accepts, with their defaults: the builder's other keywords."""
        return {name: parameter.default for name, parameter in self._parameters().items()}

    def build(self, joints: int, **options: Any) -> nn.Module:
        """The network with fresh weights; see `bihrnet.nn.build`."""
        if joints < 1:
            raise BihrnetError(f"{self.name} needs at least one joint, not {joints}")
        parameters = self._parameters()
        for name, value in options.items():
            if name not in parameters:
                raise BihrnetError(
                    f"{self.name} has no option {quoted(name)}{_near(name, parameters)}; "
                    f"it has {', '.join(sorted(parameters)) or 'none'}"
                )
            try:
                pydantic.TypeAdapter(parameters[name].annotation).validate_python(
                    value, strict=True
                )
            except pydantic.ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise BihrnetError(f"{self.name}: {name}={quoted(value)}: {reason}") from None
        return self.builder(joints, **self.fixed, **options)

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise a `BihrnetError` if the network does not take inputs of this (height, width)."""
        if any(side < 1 or side % self.multiple for side in size):
            height, width = size
            raise BihrnetError(
                f"{self.name} takes inputs whose sides are multiples of {self.multiple}, "
                f"not {height}x{width}"
            )

    def _parameters(self) -> dict[str, inspect.Parameter]:
        signature = inspect.signature(self.builder, eval_str=True)
        return {
            name: parameter
            for name, parameter in signature.parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in self.fixed
        }


_ARCHITECTURES: dict[str, Architecture] = {}


def register(
    name: str,
    description: str,
    *,
    binary: bool = False,
    multiple: int = 32,
    **fixed: Any,
) -> Callable[[_B], _B]:
    """Register a builder under `name`; stack the decorator for variants of one builder.

    The builder takes the number of joints and keyword-only options with types and defaults. `fixed`
    binds those that define this variant; the others are options of `build` and of recipes.
    `Architecture` explains the other arguments.

    Example:
        >>> @register("tiny", "One convolution", stride=4)
        ... def tiny(joints: int, *, stride: int, kernel_size: int = 7) -> nn.Module:
        ...     return nn.Conv2d(3, joints, kernel_size, stride, kernel_size // 2)
    """

    def decorate(builder: _B) -> _B:
        if name in _ARCHITECTURES:
            raise ValueError(f"architecture {name!r} is registered twice")
        _ARCHITECTURES[name] = Architecture(name, description, binary, builder, fixed, multiple)
        return builder

    return decorate


def architectures() -> dict[str, Architecture]:
    """All architectures by name, in alphabetical order."""
    return dict(sorted(_ARCHITECTURES.items()))


def find(name: str, bundled: Sequence[str] | None = None) -> Architecture:
    """The architecture of a name.

    Args:
        name: of the architecture.
        bundled: names of bundled weights, where the user may name these or a file as well; they
            appear in the error message.

    Raises:
        BihrnetError: the architecture is unknown.
    """
    if name in _ARCHITECTURES:
        return _ARCHITECTURES[name]
    what = "architecture" if bundled is None else "architecture, bundled model or model file"
    names = sorted((*_ARCHITECTURES, *(bundled or ())))
    near = difflib.get_close_matches(name, names, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    raise BihrnetError(f"no {what} {quoted(name)}; {hint}")


def build(architecture: str, joints: int, **options: Any) -> nn.Module:
    """A pose network with fresh weights.

    Args:
        architecture: a name in `architectures()`.
        joints: number of heatmaps K.
        options: see `Architecture.options`.

    Returns:
        A module that maps (N, 3, h, w) float RGB images, normalized with ImageNet's mean and
        standard deviation, h and w multiples of `Architecture.multiple`, to (N, K, h/4, w/4)
        heatmaps. In training mode the output may be a list of such heatmaps, one for each stack.

    Raises:
        BihrnetError: the architecture or an option is unknown, or an option has an invalid value.
    """
    return find(architecture).build(joints, **options)


def _near(name: str, known: dict[str, Any]) -> str:
    matches = difflib.get_close_matches(name, known, n=2)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""

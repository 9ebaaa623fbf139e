"""Registry of architectures: a name leads to one decorated function."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pydantic
from torch import nn

from bihrnet.errors import BihrnetError

Builder = Callable[..., nn.Module]
Task = Literal["pose", "classification"]
_B = TypeVar("_B", bound=Builder)


@dataclass(frozen=True)
class Architecture:
    """A network that can be built by name, without weights.

    Attributes:
        name: for instance "bihrnet-w32".
        description: one line for tables.
        binary: whether it holds binary convolutions.
        builder: called as ``builder(joints, **fixed, **options)``.
        fixed: keyword arguments that tell this architecture from others of the same builder.
        multiple: both sides of the input are multiples of it.
        default_size: (height, width) of the input that papers usually state counts for.
        task: "pose" for heatmaps of joints; "classification" for logits of CIFAR's classes, whose
            number the builder is called with.
    """

    name: str
    description: str
    binary: bool
    builder: Builder
    fixed: dict[str, Any]
    multiple: int = 32
    default_size: tuple[int, int] = (256, 192)
    task: Task = "pose"

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
                    f"{self.name} has no option {name!r}{_near(name, parameters)}; "
                    f"it has {', '.join(sorted(parameters)) or 'none'}"
                )
            try:
                pydantic.TypeAdapter(parameters[name].annotation).validate_python(
                    value, strict=True
                )
            except pydantic.ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise BihrnetError(f"{self.name}: {name}={value!r}: {reason}") from None
        return self.builder(joints, **self.fixed, **options)

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse an input of a (height, width) that the network cannot halve often enough."""
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
    default_size: tuple[int, int] = (256, 192),
    task: Task = "pose",
    **fixed: Any,
) -> Callable[[_B], _B]:
    """Make a builder known under `name`; stack the decorator for variants of one builder.

    The builder takes the number of joints and keyword-only options with defaults and types;
    `fixed` binds those that define this variant, the others are the user's options. The other
    arguments are explained at `Architecture`.
    """

    def decorate(builder: _B) -> _B:
        if name in _ARCHITECTURES:
            raise ValueError(f"architecture {name!r} is registered twice")
        _ARCHITECTURES[name] = Architecture(
            name, description, binary, builder, fixed, multiple, default_size, task
        )
        return builder

    return decorate


def architectures(task: Task = "pose") -> dict[str, Architecture]:
    """All architectures for a task by name, in alphabetical order."""
    return {name: entry for name, entry in sorted(_ARCHITECTURES.items()) if entry.task == task}


def find(name: str, bundled: Sequence[str] | None = None) -> Architecture:
    """The architecture of a name, whatever its task.

    Args:
        name: of the architecture.
        bundled: names of weights, where the user could have named those or a file as well; the
            sentence says so.

    Raises:
        BihrnetError: there is none.
    """
    if name not in _ARCHITECTURES:
        raise _unknown(name, _ARCHITECTURES, bundled)
    return _ARCHITECTURES[name]


def find_pose(name: str, bundled: Sequence[str] | None = None) -> Architecture:
    """As `find`, but a network that estimates no poses is refused."""
    if name not in _ARCHITECTURES:
        raise _unknown(name, architectures(), bundled)
    entry = _ARCHITECTURES[name]
    if entry.task != "pose":
        raise BihrnetError(
            f"{name} classifies the images of CIFAR and estimates no poses; "
            "python -m bihrnet.training.cifar trains it, bihrnet info counts it"
        )
    return entry


def build(architecture: str, joints: int, **options: Any) -> nn.Module:
    """A pose network with fresh weights.

    Args:
        architecture: a name in `architectures()`.
        joints: number of heatmaps K.
        options: see `Architecture.options`.

    Returns:
        A module that maps (N, 3, h, w) float RGB images, normalized with ImageNet's mean and
        standard deviation, h and w multiples of `Architecture.multiple`, to (N, K, h/4, w/4)
        heatmaps. In training mode it may give a list of such heatmaps, one for each stack.

    Raises:
        BihrnetError: unknown architecture or option, an option's value that does not fit, or a
            network that estimates no poses.
    """
    return find_pose(architecture).build(joints, **options)


def _unknown(name: str, known: Iterable[str], bundled: Sequence[str] | None) -> BihrnetError:
    """The sentence, with names that are near; with all that are known only where none is."""
    what = "architecture" if bundled is None else "architecture, bundled model or model file"
    names = sorted((*known, *(bundled or ())))
    near = difflib.get_close_matches(name, names, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return BihrnetError(f"no {what} {name!r}; {hint}")


def _near(name: str, known: dict[str, Any]) -> str:
    matches = difflib.get_close_matches(name, known, n=2)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""

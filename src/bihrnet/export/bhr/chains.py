"""Ops in the making: chains of steps that later layers may still lengthen and write from.

A chain is an op whose value passes through stages. Each stage stands for one layer's output. Every
stage can be written, whenever a later layer asks for it, but only the last one can be carried on in
registers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import Op, Step, WriteStep
from bihrnet.export.ir import Floats


@dataclass
class Stage:
    """Steps that lead here from the stage before, and what is written here."""

    steps: list[Step] = field(default_factory=list)
    writes: list[WriteStep] = field(default_factory=list)


@dataclass(eq=False)
class Chain:
    """One op: its producer's fields without steps, and its stages.

    Attributes:
        number: order of creation.
        kind: class of the op.
        fields: keyword arguments of the op, except `steps`, `mul` and `add`.
        channels: of its value.
        reads: tensors it depends on.
        mul: of a convolution, float64 (channels,): what is folded so far; None of a load.
        add: likewise.
        stages: the first is the producer's value.
    """

    number: int
    kind: type[Op]
    fields: dict[str, Any]
    channels: int
    reads: set[str]
    mul: Floats | None = None
    add: Floats | None = None
    stages: list[Stage] = field(default_factory=lambda: [Stage()])

    def fold(self, mul: Floats, add: Floats | float) -> None:
        """Let a convolution's value be multiplied and added to, before all steps."""
        assert self.mul is not None
        assert self.add is not None
        self.mul, self.add = self.mul * mul, self.add * mul + add

    def steps(self) -> tuple[Step, ...]:
        """All steps up to the last write."""
        steps: list[Step] = []
        for stage in self.stages:
            steps += [*stage.steps, *stage.writes]
        while steps and not isinstance(steps[-1], WriteStep):
            steps.pop()
        return tuple(steps)


@dataclass(eq=False)
class Value:
    """A layer's output: consecutive channels of one or several chains' stages.

    Attributes:
        name: of the layer.
        channels: in all.
        parts: (chain, number of the stage); none for a value that only exists as a tensor.
        one_pixel: whether it has been averaged over all pixels.
        tensor: name of the f32 tensor that holds it, once there is one.
        bits: (threshold, tensor) for every bits tensor of it.
        quantized: name of its u8 tensor.
    """

    name: str
    channels: int
    parts: tuple[tuple[Chain, int], ...]
    one_pixel: bool = False
    tensor: str | None = None
    bits: list[tuple[NDArray[np.float32], str]] = field(default_factory=list)
    quantized: str | None = None

    def is_last(self) -> bool:
        """Whether every part can be carried on: the end of its chain, and of no other part's."""
        distinct = len({chain for chain, _ in self.parts}) == len(self.parts)
        return (
            bool(self.parts)
            and distinct
            and all(stage == len(chain.stages) - 1 for chain, stage in self.parts)
        )

    def slices(self) -> Iterable[tuple[Chain, Stage, slice]]:
        """The parts with the value's channels that they hold."""
        start = 0
        for chain, stage in self.parts:
            yield chain, chain.stages[stage], slice(start, start + chain.channels)
            start += chain.channels


@dataclass(frozen=True)
class Lazy:
    """`value` * mul + add, up-sampled by `factor`; nothing of it is computed yet."""

    value: Value
    mul: Floats
    add: Floats
    factor: int = 1

    @classmethod
    def of(cls, value: Value, factor: int = 1) -> Lazy:
        """The value itself, up-sampled."""
        return cls(value, np.ones(value.channels), np.zeros(value.channels), factor)

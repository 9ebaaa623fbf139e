"""Ops under construction. Only `bihrnet.export.bhr.builder.GraphBuilder` changes them.

A chain is an op whose value runs through stages in registers. A stage stands for the output of one
layer. Every stage can be written to tensors, whenever a later layer asks for it, but only the last
one can be extended by further steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bihrnet.engine.graph import Op, Step, WriteStep
from bihrnet.export.ir import Floats


@dataclass
class Stage:
    """The steps that lead from the previous stage to this one, and those that write this one."""

    steps: list[Step] = field(default_factory=list)
    writes: list[WriteStep] = field(default_factory=list)


@dataclass(eq=False)
class Chain:
    """One op: the fields of its class, and its stages.

    Attributes:
        number: order of creation.
        kind: class of the op.
        fields: keyword arguments of the op, except `steps`, `mul` and `add`.
        channels: of its value.
        reads: tensors that it depends on.
        mul: of a convolution, (channels,): all factors folded so far; None for other ops.
        add: likewise, all terms.
        stages: the first one is the value before any step.
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
        """Multiply and shift the value of a convolution, before all steps."""
        assert self.mul is not None
        assert self.add is not None
        self.mul, self.add = self.mul * mul, self.add * mul + add

    def steps(self) -> tuple[Step, ...]:
        """All steps up to the last one that writes."""
        steps: list[Step] = []
        for stage in self.stages:
            steps += [*stage.steps, *stage.writes]
        while steps and not isinstance(steps[-1], WriteStep):
            steps.pop()
        return tuple(steps)


@dataclass(frozen=True, eq=False)
class Value:
    """The output of a layer: a handle that `GraphBuilder` gives out and takes back.

    Attributes:
        name: of the layer.
        channels: number of channels.
        one_pixel: whether it is a mean over all pixels, or was computed from one.
        parts: consecutive ranges of the channels as (chain, index of the stage); none for a value
            that only exists as a tensor.
    """

    name: str
    channels: int
    one_pixel: bool = False
    parts: tuple[tuple[Chain, int], ...] = ()

    def ends_its_chains(self) -> bool:
        """Whether every part is the last stage of a chain, and of a different one each."""
        distinct = len({chain for chain, _ in self.parts}) == len(self.parts)
        return (
            bool(self.parts)
            and distinct
            and all(stage == len(chain.stages) - 1 for chain, stage in self.parts)
        )

    def slices(self) -> Iterator[tuple[Chain, Stage, slice]]:
        """The parts, each with the range of the value's channels that it holds."""
        start = 0
        for chain, stage in self.parts:
            yield chain, chain.stages[stage], slice(start, start + chain.channels)
            start += chain.channels

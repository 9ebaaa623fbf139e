"""Builds an op graph out of chains: tensors, constants, what is written where, order of the ops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import (
    Graph,
    Load,
    MeanStep,
    Op,
    QuantizeStep,
    SignStep,
    Step,
    StoreStep,
    Tensor,
    TensorType,
    WriteStep,
    constant_fields,
)
from bihrnet.export.bhr.chains import Chain, Stage, Value
from bihrnet.export.ir import Floats

IMAGE = "image"

#: Makes the steps of a part from the range of the value's channels that it holds.
StepFactory = Callable[[slice], list[Step]]


class GraphBuilder:
    """Chains, and the tensors through which they talk to each other."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {IMAGE: Tensor(IMAGE, "u8", 3)}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._chains: list[Chain] = []
        self._writers: dict[str, set[Chain]] = {IMAGE: set()}

    def constant(self, array: NDArray[Any]) -> str:
        """Keep an array, float64 as float32; returns a name that holds until `finish`."""
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = str(len(self._arrays))
        self._arrays[name] = np.ascontiguousarray(array)
        return name

    def start(
        self,
        kind: type[Op],
        name: str,
        tensor: str,
        channels: int,
        *,
        mul: Floats | None = None,
        add: Floats | None = None,
        one_pixel: bool = False,
        **fields: Any,
    ) -> Value:
        """A new op that reads `tensor`."""
        fields |= {"name": name, "input": tensor}
        chain = Chain(len(self._chains), kind, fields, channels, {tensor}, mul, add)
        self._chains.append(chain)
        return Value(name, channels, ((chain, 0),), one_pixel)

    def load(self, name: str, value: Value, factor: int = 1) -> Value:
        """A new op that starts from a stored value, up-sampled by `factor`."""
        fields: dict[str, Any] = {"upsample": factor} if factor > 1 else {}
        tensor = self.store(value)
        one_pixel = value.one_pixel and factor == 1
        return self.start(Load, name, tensor, value.channels, one_pixel=one_pixel, **fields)

    def can_carry_on(self, value: Value, other: Value | None = None) -> bool:
        """Whether steps that read `other` may join the ops that make `value`."""
        if not value.is_last():
            return False
        hosts = {chain for chain, _ in value.parts}
        return other is None or not self._waits_for(self._makers(other), hosts)

    def carry_on(
        self, name: str, value: Value, steps: StepFactory, other: Value | None = None
    ) -> Value:
        """`value` after more steps: in the ops that make it, or in a new one where they cannot.

        `other` is a value that the steps read as an f32 tensor.
        """
        reads = set() if other is None else {self.store(other)}
        if not self.can_carry_on(value, other):
            value = self.load(name, value)
        for chain, _, channels in value.slices():
            chain.stages.append(Stage(steps(channels)))
            chain.reads |= reads
        parts = tuple((chain, len(chain.stages) - 1) for chain, _ in value.parts)
        return Value(name, value.channels, parts, value.one_pixel)

    def store(self, value: Value) -> str:
        """The f32 tensor that holds the value."""
        if value.tensor is None:
            value.tensor = self._tensor(value.name, "f32", value.channels)
            self._write(value, value.tensor, lambda name, part: StoreStep(name, part.start))
        return value.tensor

    def sign(self, value: Value, threshold: NDArray[np.float32]) -> str:
        """The bits tensor that is 1 where the value is below the threshold."""
        value = self._writable(value)
        for known, name in value.bits:
            if np.array_equal(known, threshold):
                return name
        tensor = self._tensor(f"{value.name}.bits", "bits", value.channels)
        self._write(
            value,
            tensor,
            lambda name, part: SignStep(name, self.constant(threshold[part]), part.start),
        )
        value.bits.append((threshold, tensor))
        return tensor

    def quantize(self, value: Value, inverse_scale: float, zero_point: int) -> str:
        """The u8 tensor of the value."""
        value = self._writable(value)
        if value.quantized is None:
            value.quantized = self._tensor(
                f"{value.name}.u8", "u8", value.channels, inverse_scale, zero_point
            )
            self._write(value, value.quantized, lambda name, part: QuantizeStep(name, part.start))
        return value.quantized

    def mean(self, name: str, value: Value) -> Value:
        """The value's mean over all pixels."""
        value = self._writable(value)
        tensor = self._tensor(name, "f32", value.channels)
        self._write(value, tensor, lambda target, part: MeanStep(target, part.start))
        return Value(name, value.channels, (), one_pixel=True, tensor=tensor)

    def finish(self, output: str) -> tuple[Graph, dict[str, NDArray[Any]]]:
        """The graph, ops in an order in which each finds its inputs ready, and its constants.

        Constants are named by the op's number and their role, which is short: with a thousand of
        them, long names would be a noticeable part of a small file.
        """
        constants: dict[str, NDArray[Any]] = {}

        def renamed(number: int, record: Any) -> Any:
            names = {}
            for role, old in constant_fields(record):
                names[role] = _unique(f"{number}.{role}", constants)
                constants[names[role]] = self._arrays[old]
            return replace(record, **names)

        ops: list[Op] = []
        for number, chain in enumerate(self._schedule()):
            fields = chain.fields
            if chain.mul is not None and chain.add is not None:
                fields |= {"mul": self.constant(chain.mul), "add": self.constant(chain.add)}
            steps = tuple(renamed(number, step) for step in chain.steps())
            ops.append(renamed(number, chain.kind(**fields, steps=steps)))
        return Graph(tuple(self.tensors.values()), tuple(ops), IMAGE, output), constants

    def _writable(self, value: Value) -> Value:
        """The value in an op: what only exists as a tensor is loaded."""
        return value if value.parts else self.load(value.name, value)

    def _tensor(self, name: str, kind: TensorType, channels: int, *quantization: Any) -> str:
        name = _unique(name, self.tensors)
        self.tensors[name] = Tensor(name, kind, channels, *quantization)
        self._writers[name] = set()
        return name

    def _write(self, value: Value, tensor: str, step: Callable[[str, slice], WriteStep]) -> None:
        for chain, stage, channels in value.slices():
            stage.writes.append(step(tensor, channels))
            self._writers[tensor].add(chain)

    def _makers(self, value: Value) -> set[Chain]:
        chains = {chain for chain, _ in value.parts}
        return chains | (self._writers[value.tensor] if value.tensor else set())

    def _waits_for(self, chains: set[Chain], others: Iterable[Chain]) -> bool:
        """Whether one of `chains` is one of `others` or needs what one of them writes."""
        others, seen, rest = set(others), set(chains), list(chains)
        while rest:
            chain = rest.pop()
            if chain in others:
                return True
            needed = {writer for name in chain.reads for writer in self._writers[name]}
            rest += needed - seen
            seen |= needed
        return False

    def _schedule(self) -> list[Chain]:
        """By creation, but each chain after those that it reads from."""
        done: dict[Chain, None] = {}
        for chain in self._chains:
            stack = [chain]
            while stack:
                needed = {w for name in stack[-1].reads for w in self._writers[name]} - set(done)
                if needed:
                    stack.append(min(needed, key=lambda writer: writer.number))
                else:
                    done.setdefault(stack.pop())
        return list(done)


def _unique(name: str, taken: Iterable[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}.{number}" in taken:
        number += 1
    return f"{name}.{number}"

"""Builds the engine's op graph: the owner of all chains, tensors and constants.

Input: the calls of `bihrnet.export.bhr.fusion`, which sees values as opaque handles. Output: the
ordered graph and its named constants (`GraphBuilder.finish`). Nothing is stored that is not read: a
value becomes a tensor only when it is asked for in that form (`store`, `sign`, `quantize`, `mean`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from bihrnet.export.bhr.folding import Quantization
from bihrnet.export.ir import Floats

#: Name of the tensor that holds the image.
IMAGE = "image"

Constants = dict[str, NDArray[Any]]
#: Makes the steps for a part of a value, given the range of the value's channels that it holds.
StepFactory = Callable[[slice], list[Step]]


class GraphBuilder:
    """Starts, extends and writes chains, and turns them into a graph."""

    def __init__(self) -> None:
        self.image = Value(IMAGE, 3)
        self._tensors: dict[str, Tensor] = {IMAGE: Tensor(IMAGE, "u8", 3)}
        self._writers: dict[str, set[Chain]] = {IMAGE: set()}
        self._arrays: Constants = {}
        self._chains: list[Chain] = []
        self._stored: dict[Value, str] = {self.image: IMAGE}
        self._quantized: dict[Value, str] = {}
        self._signs: dict[Value, list[tuple[NDArray[np.float32], str]]] = {}

    def constant(self, array: NDArray[Any]) -> str:
        """Keep an array, float64 as float32; returns a name that is valid until `finish`."""
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = str(len(self._arrays))
        self._arrays[name] = np.ascontiguousarray(array)
        return name

    # Making values

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
        """The value of a new op that reads `tensor`."""
        fields |= {"name": name, "input": tensor}
        chain = Chain(len(self._chains), kind, fields, channels, {tensor}, mul, add)
        self._chains.append(chain)
        return Value(name, channels, one_pixel, ((chain, 0),))

    def load(self, name: str, value: Value, upsample: int = 1) -> Value:
        """The value of a new op that reads a stored value, up-sampled to the nearest."""
        fields: dict[str, Any] = {"upsample": upsample} if upsample > 1 else {}
        one_pixel = value.one_pixel and upsample == 1
        tensor = self.store(value)
        return self.start(Load, name, tensor, value.channels, one_pixel=one_pixel, **fields)

    def fold(self, value: Value, mul: Floats, add: Floats | float) -> None:
        """Multiply and shift the value of a convolution in place, for all who read it."""
        ((chain, stage),) = value.parts
        assert stage == 0
        chain.fold(mul, add)

    def can_extend(self, value: Value, other: Value | None = None) -> bool:
        """Whether steps that read the tensor of `other` can join the ops that make `value`."""
        if not value.ends_its_chains():
            return False
        chains = {chain for chain, _ in value.parts}
        return other is None or not self._depend(self._makers(other), chains)

    def extend(
        self, name: str, value: Value, steps: StepFactory, other: Value | None = None
    ) -> Value:
        """`value` after more steps: in the ops that make it, or in a new one where they cannot.

        Args:
            name: of the layer.
            value: to begin with.
            steps: makes the steps.
            other: a value that the steps read as an f32 tensor.
        """
        reads = set() if other is None else {self.store(other)}
        if not self.can_extend(value, other):
            value = self.load(name, value)
        for chain, _, channels in value.slices():
            chain.stages.append(Stage(steps(channels)))
            chain.reads |= reads
        parts = tuple((chain, len(chain.stages) - 1) for chain, _ in value.parts)
        return replace(value, name=name, parts=parts)

    def concatenate(self, name: str, values: Sequence[Value]) -> Value:
        """All channels of the values, one value after the other."""
        parts = [part for value in values for part in self._in_an_op(name, value).parts]
        return Value(name, sum(value.channels for value in values), parts=tuple(parts))

    def in_one_op(self, name: str, value: Value) -> Value:
        """The value with all channels in the same op."""
        return self.load(name, value) if len(value.parts) > 1 else value

    def latest_op(self, value: Value) -> int:
        """When the last op that makes the value was created; -1 if it only exists as a tensor."""
        return max((chain.number for chain, _ in value.parts), default=-1)

    # Writing values to tensors

    def store(self, value: Value) -> str:
        """The f32 tensor of the value."""
        if value not in self._stored:
            tensor = self._stored[value] = self._tensor(value.name, "f32", value.channels)
            self._write(value, tensor, lambda part: StoreStep(tensor, part.start))
        return self._stored[value]

    def sign(self, value: Value, threshold: NDArray[np.float32]) -> str:
        """The bits tensor that is 1 where the value is below the threshold of its channel."""
        value = self._in_an_op(value.name, value)
        known = self._signs.setdefault(value, [])
        for earlier, tensor in known:
            if np.array_equal(earlier, threshold):
                return tensor
        tensor = self._tensor(f"{value.name}.bits", "bits", value.channels)

        def step(part: slice) -> WriteStep:
            return SignStep(tensor, self.constant(threshold[part]), part.start)

        self._write(value, tensor, step)
        known.append((threshold, tensor))
        return tensor

    def quantize(self, value: Value, quantization: Quantization) -> str:
        """The u8 tensor of the value."""
        value = self._in_an_op(value.name, value)
        if value not in self._quantized:
            tensor = self._tensor(f"{value.name}.u8", "u8", value.channels, *quantization)
            self._quantized[value] = tensor
            self._write(value, tensor, lambda part: QuantizeStep(tensor, part.start))
        return self._quantized[value]

    def mean(self, name: str, value: Value) -> Value:
        """The mean of the value over all pixels."""
        value = self._in_an_op(value.name, value)
        tensor = self._tensor(name, "f32", value.channels)
        self._write(value, tensor, lambda part: MeanStep(tensor, part.start))
        mean = Value(name, value.channels, one_pixel=True)
        self._stored[mean] = tensor
        return mean

    # The graph

    def finish(self, output: str) -> tuple[Graph, Constants]:
        """The graph, its ops in a valid order of execution, and its constants.

        Constants are named by the op's number and their role, which is short: with a thousand of
        them, long names would be a noticeable part of a small file.
        """
        constants: Constants = {}

        def rename(number: int, record: Any) -> Any:
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
            steps = tuple(rename(number, step) for step in chain.steps())
            ops.append(rename(number, chain.kind(**fields, steps=steps)))
        return Graph(tuple(self._tensors.values()), tuple(ops), IMAGE, output), constants

    def _in_an_op(self, name: str, value: Value) -> Value:
        """The value in registers: one that only exists as a tensor is loaded."""
        return value if value.parts else self.load(name, value)

    def _tensor(self, name: str, kind: TensorType, channels: int, *quantization: Any) -> str:
        name = _unique(name, self._tensors)
        self._tensors[name] = Tensor(name, kind, channels, *quantization)
        self._writers[name] = set()
        return name

    def _write(self, value: Value, tensor: str, step: Callable[[slice], WriteStep]) -> None:
        for chain, stage, channels in value.slices():
            stage.writes.append(step(channels))
            self._writers[tensor].add(chain)

    def _makers(self, value: Value) -> set[Chain]:
        chains = {chain for chain, _ in value.parts}
        return chains | (self._writers[self._stored[value]] if value in self._stored else set())

    def _needed(self, chain: Chain) -> set[Chain]:
        """The chains that write what a chain reads."""
        return {writer for tensor in chain.reads for writer in self._writers[tensor]}

    def _depend(self, chains: set[Chain], others: set[Chain]) -> bool:
        """Whether one of `chains` is, or depends on what is written by, one of `others`."""
        seen, rest = set(chains), list(chains)
        while rest:
            chain = rest.pop()
            if chain in others:
                return True
            needed = self._needed(chain)
            rest += needed - seen
            seen |= needed
        return False

    def _schedule(self) -> list[Chain]:
        """In the order of creation, but each chain after those that it needs."""
        done: dict[Chain, None] = {}
        for chain in self._chains:
            stack = [chain]
            while stack:
                missing = self._needed(stack[-1]) - set(done)
                if missing:
                    stack.append(min(missing, key=lambda writer: writer.number))
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

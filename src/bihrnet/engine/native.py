"""A graph of a `.bhr` file, handed to the C++ engine op by op."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine import _native
from bihrnet.engine.graph import (
    AddStep,
    AnyConv,
    Conv,
    ConvBinary,
    ConvTernary,
    Graph,
    Load,
    MaxPool,
    MeanStep,
    MultiplyStep,
    Op,
    PreluStep,
    QuantizeStep,
    ReluStep,
    ScaleStep,
    ShiftStep,
    SigmoidStep,
    SignStep,
    Step,
    StoreStep,
    Tensor,
)
from bihrnet.engine.validation import infer_sizes

Constants = Mapping[str, NDArray[Any]]


def native_network(
    graph: Graph, constants: Constants, image_size: tuple[int, int]
) -> tuple[_native.Network, list[str]]:
    """The graph for images of that (height, width), checked; `_native.Engine` runs it.

    Returns:
        the network, and for each of its ops the name of the graph's op that it is part of.

    Raises:
        BihrnetError: the graph does not fit together, or not that size.
        ValueError: it is too much for the engine.
    """
    sizes = infer_sizes(graph, constants, image_size)
    translation = _Translation(graph, constants, sizes)
    return translation.network, translation.op_names


class _Translation:
    """Names become numbers; everything else goes over as it is."""

    def __init__(
        self, graph: Graph, constants: Constants, sizes: Mapping[str, tuple[int, int]]
    ) -> None:
        self.constants = constants
        self.tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in graph.tensors}
        self.sizes = sizes
        self.network = _native.Network()
        self.op_names: list[str] = []
        self.copies: dict[tuple[str, int], int] = {}
        self.numbers = {
            tensor.name: self.network.tensor(
                tensor.type,
                *sizes[tensor.name],
                tensor.channels,
                tensor.inverse_scale,
                tensor.zero_point,
            )
            for tensor in graph.tensors
        }
        for op in graph.ops:
            added = [self.repeated(op, step) for step in op.steps]
            self.op_names.append(op.name)
            if isinstance(op, Load):
                self.network.load(self.numbers[op.input], op.upsample)
            elif isinstance(op, MaxPool):
                number = self.numbers[op.input]
                self.network.max_pool(number, op.kernel, op.stride, op.padding)
            else:
                self.convolution(op)
            for step, tensor in zip(op.steps, added, strict=True):
                self.step(step, tensor)
        self.network.ends(self.numbers[graph.input], self.numbers[graph.output])

    def floats(self, name: str) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.constants[name], np.float32)

    def convolution(self, op: AnyConv) -> None:
        number = self.numbers[op.input]
        place = (op.stride, *op.padding)
        result = (self.floats(op.mul), self.floats(op.add))
        weight = np.ascontiguousarray(self.constants[op.weight])
        if isinstance(op, ConvBinary):
            self.network.conv_binary(number, weight, *place, *result)
            return
        if isinstance(op, ConvTernary):
            positive, negative = weight
            self.network.conv_ternary(number, positive, negative, *op.padding, *result)
            return
        tensor = self.tensors[op.input]
        if op.offset is None:
            offset = np.full(tensor.channels, tensor.zero_point, np.float32)
        else:
            offset = self.floats(op.offset)
        if isinstance(op, Conv):
            self.network.conv_real(number, weight.astype(np.float32), *place, *result, offset)
        else:
            self.network.conv_bytes(number, weight, *place, *result, offset)

    def repeated(self, op: Op, step: Step) -> int:
        """The tensor that a step adds; -1 for other steps.

        Kernels repeat channels in whole blocks of 16. Where these do not come out even, copies of
        the tensor are written side by side first.
        """
        if not isinstance(step, AddStep):
            return -1
        number, source = self.numbers[step.tensor], self.tensors[step.tensor]
        channels = self.channels(op)
        if channels <= source.channels or source.channels % _native.LANES == 0:
            return number
        if (source.name, channels) not in self.copies:
            copies = self.network.tensor("f32", *self.sizes[source.name], channels)
            for first in range(0, channels, source.channels):
                self.network.load(number, 1)
                self.network.step_store(copies, first)
                self.op_names.append(op.name)
            self.copies[source.name, channels] = copies
        return self.copies[source.name, channels]

    def channels(self, op: Op) -> int:
        if isinstance(op, Load | MaxPool):
            return self.tensors[op.input].channels
        return len(self.constants[op.mul])

    def step(self, step: Step, added: int) -> None:
        network = self.network
        if isinstance(step, AddStep):
            network.step_add(added, step.channel, step.upsample)
        elif isinstance(step, MultiplyStep):
            network.step_multiply(self.numbers[step.tensor])
        elif isinstance(step, ScaleStep):
            network.step_scale(self.floats(step.scale))
        elif isinstance(step, ShiftStep):
            network.step_shift(self.floats(step.shift))
        elif isinstance(step, ReluStep):
            network.step_relu()
        elif isinstance(step, PreluStep):
            network.step_prelu(self.floats(step.slope))
        elif isinstance(step, SigmoidStep):
            network.step_sigmoid()
        elif isinstance(step, StoreStep | QuantizeStep):
            network.step_store(self.numbers[step.tensor], step.channel)
        elif isinstance(step, SignStep):
            threshold = self.floats(step.threshold)
            network.step_store_bits(self.numbers[step.tensor], step.channel, threshold)
        elif isinstance(step, MeanStep):
            network.step_store_mean(self.numbers[step.tensor], step.channel)

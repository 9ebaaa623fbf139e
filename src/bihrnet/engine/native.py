"""Describes a graph of a `.bhr` file to the C++ engine, op by op."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine import _native
from bihrnet.engine.graph import (
    STEPS,
    AddStep,
    AnyConv,
    Conv,
    ConvBinary,
    ConvTernary,
    Graph,
    Load,
    MaxPool,
    Op,
    Step,
    Tensor,
    constant_fields,
)
from bihrnet.engine.validation import infer_sizes

Constants = Mapping[str, NDArray[Any]]

_STEP_NAMES = {kind: name for name, kind in STEPS.items()}


def native_network(
    graph: Graph, constants: Constants, image_size: tuple[int, int]
) -> tuple[_native.Network, list[str]]:
    """The graph for images of that (height, width), validated; `_native.Engine` runs it.

    Returns:
        the network, and for each of its ops the name of the graph's op that it is part of.

    Raises:
        BihrnetError: the graph is inconsistent, or does not support that size.
        ValueError: it exceeds a limit of the engine.
    """
    builder = _NetworkBuilder(graph, constants, infer_sizes(graph, constants, image_size))
    for op in graph.ops:
        builder.add_op(op)
    builder.network.finish(builder.tensor_ids[graph.input], builder.tensor_ids[graph.output])
    return builder.network, builder.op_names


class _NetworkBuilder:
    """Adds ops to a network; names of tensors become the numbers that the network gives them."""

    def __init__(
        self, graph: Graph, constants: Constants, sizes: Mapping[str, tuple[int, int]]
    ) -> None:
        self.constants = constants
        self.tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in graph.tensors}
        self.sizes = sizes
        self.network = _native.Network()
        self.op_names: list[str] = []
        self.repeated_tensors: dict[tuple[str, int], int] = {}
        self.tensor_ids = {
            tensor.name: self.network.tensor(
                tensor.type,
                *sizes[tensor.name],
                tensor.channels,
                tensor.inverse_scale,
                tensor.zero_point,
            )
            for tensor in graph.tensors
        }

    def add_op(self, op: Op) -> None:
        """Add an op with its steps; before it, the tensors of repeated channels that it adds."""
        channels = self.op_channels(op)
        added: dict[Step, int] = {
            step: self.added_tensor(step.tensor, channels, op.name)
            for step in op.steps
            if isinstance(step, AddStep)
        }
        self.op_names.append(op.name)
        if isinstance(op, Load):
            self.network.load(self.tensor_ids[op.input], op.upsample)
        elif isinstance(op, MaxPool):
            input_id = self.tensor_ids[op.input]
            self.network.max_pool(input_id, op.kernel, op.stride, op.padding)
        else:
            self.add_conv(op)
        for step in op.steps:
            self.add_step(step, added.get(step))

    def op_channels(self, op: Op) -> int:
        """Channels of the op's value."""
        if isinstance(op, Load | MaxPool):
            return self.tensors[op.input].channels
        return len(self.constants[op.mul])

    def floats(self, name: str) -> NDArray[np.float32]:
        """The constant as contiguous float32."""
        return np.ascontiguousarray(self.constants[name], np.float32)

    def add_conv(self, op: AnyConv) -> None:
        input_id = self.tensor_ids[op.input]
        weight = np.ascontiguousarray(self.constants[op.weight])
        mul, add = self.floats(op.mul), self.floats(op.add)
        if isinstance(op, ConvTernary):
            positive, negative = weight
            self.network.conv_ternary(input_id, positive, negative, *op.padding, mul, add)
            return
        window = (op.stride, *op.padding)
        if isinstance(op, ConvBinary):
            self.network.conv_binary(input_id, weight, *window, mul, add)
            return
        offset = None if op.offset is None else self.floats(op.offset)
        if isinstance(op, Conv):
            weight = weight.astype(np.float32)
            self.network.conv(input_id, weight, *window, mul, add, offset)
        else:
            self.network.conv_int8(input_id, weight, *window, mul, add, offset)

    def added_tensor(self, name: str, channels: int, op_name: str) -> int:
        """The id of the tensor that an op of so many channels adds.

        Kernels repeat channels in whole blocks of `LANES`. Where a tensor with fewer channels than
        the op is not made of such blocks, its repetition is written to a tensor of its own first.
        """
        source_id, source = self.tensor_ids[name], self.tensors[name]
        if channels <= source.channels or source.channels % _native.LANES == 0:
            return source_id
        if (name, channels) not in self.repeated_tensors:
            repeated = self.network.tensor("f32", *self.sizes[name], channels)
            for first in range(0, channels, source.channels):
                self.network.load(source_id, 1)
                self.network.step("store", repeated, first)
                self.op_names.append(op_name)
            self.repeated_tensors[name, channels] = repeated
        return self.repeated_tensors[name, channels]

    def add_step(self, step: Step, added: int | None) -> None:
        """Add a step to the last op; `added` is the id of the tensor that an `AddStep` adds."""
        tensor = getattr(step, "tensor", None)
        tensor_id = -1 if tensor is None else self.tensor_ids[tensor]
        values = [self.floats(name) for _, name in constant_fields(step)]
        self.network.step(
            _STEP_NAMES[type(step)],
            tensor=tensor_id if added is None else added,
            channel=getattr(step, "channel", 0),
            upsample=getattr(step, "upsample", 1),
            values=values[0] if values else None,
        )

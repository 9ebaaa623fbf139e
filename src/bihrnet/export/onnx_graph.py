"""An ONNX graph under construction: nodes, constants, and the values of the layers so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.export.ir import AnyLayer, Floats, Layer


@dataclass(frozen=True)
class Node:
    """An operator of ONNX with one output."""

    kind: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class LazyValue:
    """A layer's output, not emitted yet: affine layers that follow can still join a convolution.

    Attributes:
        emit: adds the nodes for the value * mul + add and returns the name of the result.
        mul: (channels,), pending factor.
        add: (channels,), pending term.
    """

    emit: Callable[[Floats, Floats], str]
    mul: Floats
    add: Floats


class OnnxGraph:
    """Nodes and constants so far.

    Attributes:
        layers: of the network.
        nodes: in execution order.
        constants: by name.
        values: of the layers so far.
    """

    def __init__(self, layers: Sequence[AnyLayer]) -> None:
        self.layers = layers
        self.nodes: list[Node] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.values: list[LazyValue] = []
        inputs = [index for layer in layers for index in layer.inputs]
        self._readers = np.bincount(inputs, minlength=len(layers))

    def node(self, kind: str, layer: Layer, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        output = f"{layer.name}.{len(self.nodes)}"
        self.nodes.append(Node(kind, list(inputs), output, attributes))
        return output

    def rename(self, tensor: str, name: str) -> None:
        """Add a node that copies a tensor under another name."""
        self.nodes.append(Node("Identity", [tensor], name, {}))

    def constant(self, array: NDArray[Any]) -> str:
        """Keep an array, integers as int64 and others as float32; returns its name."""
        name = f"constant.{len(self.constants)}"
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        self.constants[name] = np.ascontiguousarray(array, dtype=kind)
        return name

    def tensor(self, index: int) -> str:
        """Name of the tensor that holds a layer's output, all affine layers applied."""
        lazy, layer = self.values[index], self.layers[index]
        name = lazy.emit(lazy.mul, lazy.add)
        self.values[index] = self.value(layer, name)
        return name

    def pending(self, index: int) -> LazyValue:
        """A layer's output for an affine layer that reads it; emitted if others read it as well."""
        if self._readers[index] > 1:
            self.tensor(index)
        return self.values[index]

    def value(self, layer: Layer, tensor: str) -> LazyValue:
        """The value of a tensor that exists already."""

        def emit(mul: Floats, add: Floats) -> str:
            result = tensor
            for kind, factor in (("Mul", mul), ("Add", add)):
                if (factor != (kind == "Mul")).any():
                    constant = self.constant(factor.reshape(1, -1, 1, 1))
                    result = self.node(kind, layer, [result, constant])
            return result

        return LazyValue(emit, np.ones(layer.channels), np.zeros(layer.channels))

    def single(
        self, kind: str, layer: Layer, *constants: NDArray[Any], **attributes: Any
    ) -> LazyValue:
        """A layer that is one node of its inputs and some constants."""
        inputs = [self.tensor(source) for source in layer.inputs]
        inputs += [self.constant(array) for array in constants]
        return self.value(layer, self.node(kind, layer, inputs, **attributes))

    def channels(self, layer: Layer, source: str, start: int, stop: int) -> str:
        """A range of a tensor's channels."""
        ends = (self.constant(np.array([number])) for number in (start, stop, 1))
        return self.node("Slice", layer, [source, *ends])

"""First step of every export: a torch module as the layers of `bihrnet.export.ir`.

Input: a module in evaluation mode and the (height, width) of its image. torch.fx traces it; every
node of the traced graph is then read as one layer or a few: modules by the functions of
`trace_modules`, function and method calls by those of `trace_functions`.
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from bihrnet.export.ir import AnyLayer, Image
from bihrnet.export.trace_functions import FUNCTIONS
from bihrnet.export.trace_modules import MODULES
from bihrnet.export.trace_reader import NodeReader


class LayerTracer(fx.Tracer):
    """Keeps every module that `trace_modules` can read as a single node."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes one node of the graph."""
        return type(m) in MODULES or super().is_leaf_module(m, module_qualified_name)


def trace(module: nn.Module, size: tuple[int, int]) -> fx.GraphModule:
    """Trace a module in evaluation mode and record the shape of every node's output.

    Args:
        module: (1, 3, height, width) -> heatmaps.
        size: (height, width) of the image.
    """
    traced = fx.GraphModule(module, LayerTracer().trace(module))
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, 3, *size))
    return traced


def trace_layers(traced: fx.GraphModule) -> tuple[list[AnyLayer], dict[fx.Node, int]]:
    """Read a traced network as layers.

    Returns:
        The layers, the last one the network's output; and for each node the index of the layer
        whose output is the node's.

    Raises:
        BihrnetError: a layer is not supported; the message names it.
    """
    reader = NodeReader(traced)
    for node in traced.graph.nodes:
        _read(reader, node)
    return reader.layers, reader.indices


def _read(reader: NodeReader, node: fx.Node) -> None:
    if node.op == "placeholder":
        reader.emit(node, Image, ())
    elif node.op == "get_attr" and node.users:
        reader.refuse(node, "a parameter or buffer outside of any layer")
    elif node.op == "call_module":
        _read_module(reader, node)
    elif node.op in ("call_function", "call_method"):
        read = FUNCTIONS.get(node.target)
        if read is None:
            reader.refuse(node, getattr(node.target, "__name__", str(node.target)))
        read(reader, node)
    elif node.op == "output" and not reader.is_last(node.args[0]):
        reader.refuse(node, "an output that is not the last value")


def _read_module(reader: NodeReader, node: fx.Node) -> None:
    if node.kwargs:
        reader.refuse(node, "a layer whose input is a keyword argument")
    module = reader.traced.get_submodule(str(node.target))
    read = MODULES.get(type(module))
    if read is None:
        reader.refuse(node, type(module).__name__)
    read(reader, node, module)

"""Layers to op graph.

Input: layers in execution order, and for int8 the ranges of activations. Output: the engine's graph
and its constants. What works pixel by pixel joins the op that made its input, as steps in
registers, unless another layer has extended that op already or the op would depend on itself; then
a new op loads the input. Affine layers before a sign become its threshold, up-sampling becomes part
of the addition that reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bihrnet.engine.graph import Graph
from bihrnet.export.bhr.builder import Constants
from bihrnet.export.bhr.folding import Quantization
from bihrnet.export.bhr.fusion import convolutions, joins, pointwise
from bihrnet.export.bhr.fusion.state import FusionState, refuse
from bihrnet.export.ir import AnyLayer, find_sign_used_as_number

FUSIONS = {**convolutions.FUSIONS, **pointwise.FUSIONS, **joins.FUSIONS}


def fuse(
    layers: Sequence[AnyLayer], quantization: Mapping[int, Quantization] | None = None
) -> tuple[Graph, Constants]:
    """The op graph of a network and its constants.

    Args:
        layers: in order; the first is the image, the last the output.
        quantization: None for an fp32 model. Otherwise a real-valued or ternary convolution reads
            8 bits where this holds its input (by layer index) or it reads the image; all others
            read float32.

    Raises:
        BihrnetError: the engine cannot express the network; the message names the layer.
    """
    for layer in layers:
        if type(layer) not in FUSIONS:
            refuse(layer, f"is a {type(layer).__name__}")
    if (sign := find_sign_used_as_number(layers)) is not None:
        refuse(sign, "is a sign whose value is used as a number")
    state = FusionState(layers, quantization)
    for index, layer in enumerate(state.layers):
        state.values.append(FUSIONS[type(layer)](state, index, layer))
    output = state.builder.store(state.computed(len(layers) - 1))
    return state.builder.finish(output)

"""A network as an ONNX file.

Input: a torch module. Output: a file that any ONNX runtime reads. Binary layers become float32
convolutions whose signs are explicit nodes. `onnx_layers` makes the nodes from the layers of
`bihrnet.export.ir`; torch's own exporter takes minutes for the thousand layers of these networks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bihrnet.errors import BihrnetError
from bihrnet.export.ir import AnyLayer
from bihrnet.export.onnx_graph import OnnxGraph
from bihrnet.export.onnx_layers import LAYERS
from bihrnet.export.trace import trace, trace_layers
from bihrnet.files import replacing
from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD, ModelSpec
from bihrnet.nn.torch_model import TorchModel

OPSET = 17
IR_VERSION = 8  # released together with that opset, so that older runtimes read the file, too

INPUT, OUTPUT = "image", "heatmaps"


def write_onnx(model: TorchModel, path: str | Path) -> None:
    """Write a network as ONNX: input "image" (N, 3, h, w), output "heatmaps" (N, K, h/4, w/4).

    The image is normalized RGB, float32; the metadata of the file holds mean and standard deviation
    (for values 0..1), name and skeleton. The file takes any batch size, and any height and width
    that are multiples of 32. Networks that crop up-sampled values only take sizes whose 1/32 is odd
    where that of the model's own size is.

    Raises:
        BihrnetError: a layer is not supported, onnx is missing, or the file cannot be written.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise BihrnetError(
            f"{path}: ONNX export needs the package onnx, which is missing: pip install onnx"
        ) from None
    layers, _ = trace_layers(trace(model.module, model.spec.input_size))
    proto = _model_proto(layers, model.spec)
    onnx.checker.check_model(proto)
    with replacing(path) as temporary:
        onnx.save(proto, temporary)


def _model_proto(layers: Sequence[AnyLayer], spec: ModelSpec) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    graph = OnnxGraph(layers)
    for index, layer in enumerate(layers):
        graph.values.append(LAYERS[type(layer)](graph, index, layer))
    graph.rename(graph.tensor(len(layers) - 1), OUTPUT)
    image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, "height", "width"])
    heatmaps = helper.make_tensor_value_info(
        OUTPUT, TensorProto.FLOAT, ["batch", layers[-1].channels, None, None]
    )
    nodes = [
        helper.make_node(node.kind, node.inputs, [node.output], **node.attributes)
        for node in graph.nodes
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    proto = helper.make_model(
        helper.make_graph(nodes, spec.name, [image], [heatmaps], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="bihrnet",
    )
    metadata = {
        "name": spec.name,
        "skeleton": json.dumps(spec.skeleton.to_dict()),
        "mean": json.dumps(IMAGENET_MEAN),
        "std": json.dumps(IMAGENET_STD),
    }
    helper.set_model_props(proto, metadata)
    return proto

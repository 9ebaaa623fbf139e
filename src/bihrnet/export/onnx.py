"""A torch module as an ONNX file; binary networks keep their signs as explicit nodes."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bihrnet.errors import BihrnetError
from bihrnet.files import replacing
from bihrnet.heatmap_model import IMAGENET_MEAN, IMAGENET_STD
from bihrnet.nn.session import TorchSession

OPSET = 18


def write_onnx(session: TorchSession, path: str | Path) -> None:
    """Write a network as ONNX: input "image" (N, 3, h, w), output "heatmaps" (N, K, h/4, w/4).

    The image is normalised RGB, float32; the file's metadata holds mean and standard deviation (of
    values 0..1), name and skeleton. The batch is free, the size is that of `session.spec`.

    Raises:
        BihrnetError: onnxscript is missing, or the file cannot be written.
    """
    spec = session.spec
    module = copy.deepcopy(session.module).cpu().eval().requires_grad_(False)
    # Two images, because the exporter takes a batch of one for a constant.
    example = torch.zeros(2, 3, *spec.input_size)
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["image"],
                output_names=["heatmaps"],
                opset_version=OPSET,
                verbose=False,
            )
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxscript"):
            raise
        raise BihrnetError(
            f"{path}: ONNX export needs {error.name}, which is missing: pip install 'bihrnet[onnx]'"
        ) from None
    assert program is not None
    program.model.metadata_props.update(
        {
            "name": spec.name,
            "skeleton": json.dumps(spec.skeleton.to_dict()),
            "mean": json.dumps(IMAGENET_MEAN),
            "std": json.dumps(IMAGENET_STD),
        }
    )
    with replacing(path) as temporary:
        program.save(str(temporary), external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on itself and on torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

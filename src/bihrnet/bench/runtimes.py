"""Opens a network in a runtime, with the best settings of that runtime for one image at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bihrnet.bench.cases import Case
from bihrnet.errors import BihrnetError

#: Runs the network on one image.
Run = Callable[[], object]


def open_runtime(case: Case, threads: int) -> Run:
    """Open a case for repeated runs.

    Raises:
        BihrnetError: the runtime is not installed or cannot run the network.
    """
    openers = {
        "engine": _engine,
        "onnxruntime": _onnxruntime,
        "openvino": _openvino,
        "torch": _torch,
    }
    try:
        return openers[case.runtime](case, threads)
    except ModuleNotFoundError as error:
        raise BihrnetError(f"{case.runtime} is not installed: pip install {error.name}") from error


def _pixels(case: Case) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (1, *case.size, 3), np.uint8)


def _normalized(case: Case) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Normalized NCHW input, as the peers expect it; normalization is not part of their time."""
    shape = (1, 3, *case.size)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _engine(case: Case, threads: int) -> Run:
    from bihrnet.engine.engine_model import EngineModel

    model = EngineModel(case.path, threads=threads, input_size=case.size)
    crop = _pixels(case)
    return lambda: model(crop)


def _onnxruntime(case: Case, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(case.path), options, providers=["CPUExecutionProvider"]
    )
    image = session.get_inputs()[0]
    feed = {image.name: _onnx_image(case, image.type)}
    return lambda: session.run(None, feed)


def _onnx_image(case: Case, kind: str) -> np.ndarray[Any, Any]:
    """Random values of an ONNX type: pixels for integers, normalized for floats."""
    types: dict[str, Any] = {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
        "tensor(uint8)": np.uint8,
        "tensor(int32)": np.int32,
    }
    if kind not in types:
        raise BihrnetError(f"images of type {kind} are not supported")
    shape, random = case.shape or (1, 3, *case.size), np.random.default_rng(0)
    if np.issubdtype(types[kind], np.integer):
        return random.integers(0, 256, shape).astype(types[kind])
    return random.standard_normal(shape, np.float32).astype(types[kind])


def _openvino(case: Case, threads: int) -> Run:
    import openvino

    core = openvino.Core()
    if case.precision == "bf16":
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in capabilities:
            raise BihrnetError("OpenVINO does not support bf16 on this processor")
    model = core.read_model(case.path)
    model.reshape([1, 3, *case.size])
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if case.precision == "bf16" else "f32",
        },
    )
    request = compiled.create_infer_request()
    image = openvino.Tensor(_normalized(case))
    return lambda: request.infer({0: image}, share_outputs=True)


def _torch(case: Case, threads: int) -> Run:
    import torch

    from bihrnet.nn import build

    torch.set_num_threads(threads)
    plan = case.plan
    assert plan is not None
    module = build(plan.architecture, plan.joints, **dict(plan.options)).eval()
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.from_numpy(_normalized(case)).to(memory_format=torch.channels_last)

    def run() -> object:
        with torch.inference_mode():
            return module(image)

    return run

"""Opens a network in a runtime, with that runtime's best settings for one image at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bihrnet.bench.contenders import Contender
from bihrnet.errors import BihrnetError

#: Runs one image.
Run = Callable[[], object]


def open_runtime(contender: Contender, threads: int) -> Run:
    """The contender, ready to run.

    Raises:
        BihrnetError: the runtime is missing or cannot run the network.
    """
    openers = {
        "engine": _engine,
        "onnxruntime": _onnxruntime,
        "openvino": _openvino,
        "torch": _torch,
    }
    try:
        return openers[contender.runtime](contender, threads)
    except ModuleNotFoundError as error:
        raise BihrnetError(f"{contender.runtime} is missing: pip install {error.name}") from error


def _pixels(contender: Contender) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (1, *contender.size, 3), np.uint8)


def _planes(contender: Contender) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Normalized planes, as the peers want them; their time does not count this step."""
    shape = (1, 3, *contender.size)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _engine(contender: Contender, threads: int) -> Run:
    from bihrnet.engine.engine_model import EngineModel

    session = EngineModel(contender.path, threads=threads, input_size=contender.size)
    crop = _pixels(contender)
    return lambda: session(crop)


def _onnxruntime(contender: Contender, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(contender.path), options, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: _planes(contender)}
    return lambda: session.run(None, feed)


def _openvino(contender: Contender, threads: int) -> Run:
    import openvino

    core = openvino.Core()
    if contender.precision == "bf16":
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in capabilities:
            raise BihrnetError("OpenVINO has no bf16 on this processor")
    model = core.read_model(contender.path)
    model.reshape([1, 3, *contender.size])
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if contender.precision == "bf16" else "f32",
        },
    )
    request = compiled.create_infer_request()
    planes = openvino.Tensor(_planes(contender))
    return lambda: request.infer({0: planes}, share_outputs=True)


def _torch(contender: Contender, threads: int) -> Run:
    import torch

    from bihrnet.nn import build

    torch.set_num_threads(threads)
    architecture = contender.architecture
    module = build(architecture.name, architecture.joints, **dict(architecture.options)).eval()
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    planes = torch.from_numpy(_planes(contender)).to(memory_format=torch.channels_last)

    def run() -> object:
        with torch.inference_mode():
            return module(planes)

    return run

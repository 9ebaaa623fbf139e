"""A model that has every op and step, small enough to be broken thousands of times."""

from __future__ import annotations

import numpy as np

from bihrnet.engine.golden import Golden
from bihrnet.engine.graph import (
    AddStep,
    Conv,
    ConvBinary,
    ConvInt8,
    ConvTernary,
    Graph,
    Load,
    MaxPool,
    MeanStep,
    MultiplyStep,
    PreluStep,
    QuantizeStep,
    ReluStep,
    ScaleStep,
    ShiftStep,
    SigmoidStep,
    SignStep,
    StoreStep,
    Tensor,
)
from bihrnet.engine.model_file import ModelFile
from bihrnet.engine.packing import pack_bits, pack_ternary
from bihrnet.model import ModelSpec
from bihrnet.skeleton import LSP

SIZE = (16, 24)


def every_op(seed: int = 0) -> ModelFile:
    """Stem of both kinds, a block whose binary convolutions write ranges, a gate, two ternary
    convolutions, pooling and heatmaps.
    """
    random = np.random.default_rng(seed)

    def floats(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    constants = {
        "offset": np.float32([123.7, 116.3, 103.5]),
        "offset8": np.float32([123.7, 116.3, 103.5]),
        "stem.weight": floats(6, 3, 3, 3) / 100,
        "stem8.weight": random.integers(-127, 128, (5, 3, 3, 3)).astype(np.int8),
        "one.weight": pack_bits(random.random((4, 3, 3, 6)) < 0.5),
        "two.weight": pack_bits(random.random((2, 1, 1, 4)) < 0.5),
        "squeeze.weight": floats(3, 1, 1, 6).astype(np.float16),
        "excite.weight": floats(6, 1, 1, 3).astype(np.float16),
        "down.weight": random.integers(-127, 128, (6, 3, 3, 5)).astype(np.int8),
        "ternary.weight": pack_ternary(random.integers(-1, 2, (6, 3, 3, 6))),
        "ternary8.weight": pack_ternary(random.integers(-1, 2, (2, 3, 1, 5))),
        "head.weight": floats(14, 1, 1, 8),
    }
    ops = []

    def convolve(kind, name, source, stride, padding, steps, **fields):
        channels = constants[f"{name}.weight"].shape[-4]
        for key, scale in (("mul", 0.1 if kind is ConvBinary else 0.01), ("add", 1)):
            constants[f"{name}.{key}"] = scale * floats(channels)
        fields |= {key: f"{name}.{key}" for key in ("weight", "mul", "add")}
        fields |= {"stride": stride} if kind is not ConvTernary else {}
        fields |= {"padding": padding, "steps": steps}
        ops.append(kind(name=name, input=source, **fields))

    for name, channels in (("slope", 6), ("threshold", 6), ("shift", 4), ("scale", 4)):
        constants[name] = floats(channels)
    constants["threshold"][:2] = np.inf, -np.inf
    constants["threshold.one"] = floats(4)
    steps = (PreluStep("slope"), StoreStep("x"), SignStep("x.bits", "threshold"), MeanStep("mean"))
    convolve(Conv, "stem", "image", 2, (1, 1), steps, offset="offset")
    steps = (ReluStep(), QuantizeStep("fine"))
    convolve(ConvInt8, "stem8", "image", 2, (1, 1), steps, offset="offset8")
    steps = (
        SignStep("one.bits", "threshold.one"),
        ScaleStep("scale"),
        ShiftStep("shift"),
        AddStep("x"),
        StoreStep("y"),
    )
    convolve(ConvBinary, "one", "x.bits", 1, (1, 1), steps)
    convolve(ConvBinary, "two", "one.bits", 1, (0, 0), (AddStep("x", 4), StoreStep("y", 4)))
    convolve(Conv, "squeeze", "mean", 1, (0, 0), (ReluStep(), StoreStep("hidden")))
    convolve(Conv, "excite", "hidden", 1, (0, 0), (SigmoidStep(), StoreStep("gate")))
    convolve(ConvInt8, "down", "fine", 2, (1, 1), (StoreStep("low"),))
    gated = (MultiplyStep("gate"), AddStep("low", 0, 2), StoreStep("z"))
    ops.append(Load(name="gated", input="y", steps=gated))
    convolve(ConvTernary, "ternary", "z", 1, (1, 1), (StoreStep("t"),))
    convolve(ConvTernary, "ternary8", "fine", 1, (1, 0), (ReluStep(), StoreStep("t", 6)))
    ops.append(MaxPool("pool", "t", 3, 2, 1, (StoreStep("pooled"),)))
    convolve(Conv, "head", "pooled", 1, (0, 0), (StoreStep("heatmaps"),))
    graph = Graph(
        tensors=(
            Tensor("image", "u8", 3),
            Tensor("x", "f32", 6),
            Tensor("x.bits", "bits", 6),
            Tensor("mean", "f32", 6),
            Tensor("fine", "u8", 5, inverse_scale=20.0, zero_point=3),
            Tensor("one.bits", "bits", 4),
            Tensor("y", "f32", 6),
            Tensor("hidden", "f32", 3),
            Tensor("gate", "f32", 6),
            Tensor("low", "f32", 6),
            Tensor("z", "f32", 6),
            Tensor("t", "f32", 8),
            Tensor("pooled", "f32", 8),
            Tensor("heatmaps", "f32", 14),
        ),
        ops=tuple(ops),
        input="image",
        output="heatmaps",
    )
    return ModelFile(
        spec=ModelSpec("every-op@test", LSP, SIZE),
        graph=graph,
        constants=constants,
        precision="int8",
        golden=Golden(0, (0.0,) * 14, (1.0,) * 14),
        counts={"params": 1, "binary_weights": 2, "real_weights": 3},
        licence="Apache-2.0",
        recipe={"name": "test", "epochs": 3},
        metrics={"PCKh@0.5": 12.5},
    )

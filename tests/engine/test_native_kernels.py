"""Every kernel against the NumPy reference, on every instruction set that runs here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bihrnet.engine import _native
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
from bihrnet.engine.native import native_network
from bihrnet.engine.packing import pack_bits, pack_ternary
from bihrnet.engine.reference import run_graph

ISAS = _native.usable_isas()
# The image's channel sums are integers, so half-integers are thresholds that no rounding can meet.
INTEGERS = np.arange(-3, 4)


def run(graph, constants, images, isa, threads=1):
    network, _ = native_network(graph, constants, images.shape[1:3])
    engine = _native.Engine(network, isa, threads)
    output = run_graph(graph, constants, images)[graph.output].transpose(0, 3, 1, 2)
    heatmaps = np.full(output.shape, np.nan, np.float32)
    engine.run(images, heatmaps)
    return heatmaps, output


def random_image(rng, height, width, count=1):
    return rng.integers(0, 256, (count, height, width, 3), np.uint8)


def stem(rng, constants, channels, *steps, name="stem", stride=1):
    """A 1x1 convolution of the image whose results are exact integers."""
    weight, mul, add, offset = (f"{name}.{key}" for key in ("weight", "mul", "add", "offset"))
    constants[weight] = rng.choice(INTEGERS, (channels, 1, 1, 3)).astype(np.float32)
    constants[mul] = np.ones(channels, np.float32)
    constants[add] = rng.integers(-200, 200, channels).astype(np.float32)
    constants[offset] = np.zeros(3, np.float32)
    return Conv(name, "image", weight, mul, add, stride, (0, 0), steps, offset)


def signs(rng, constants, channels):
    constants["threshold"] = (rng.integers(-150, 150, channels) + 0.5).astype(np.float32)
    return SignStep("bits", "threshold")


def identity(constants, channels, *, name="one"):
    constants[f"{name}.mul"] = np.ones(channels, np.float32)
    constants[f"{name}.add"] = np.zeros(channels, np.float32)
    return f"{name}.mul", f"{name}.add"


IMAGE = Tensor("image", "u8", 3)
channel_counts = st.one_of(
    st.sampled_from([1, 4, 7, 8, 12, 16, 24, 31, 32, 33, 64, 96, 127, 256, 512]),
    st.integers(1, 512),
)


@st.composite
def convolutions(draw, max_inputs=512, max_outputs=512):
    inputs = draw(channel_counts.filter(lambda count: count <= max_inputs))
    outputs = draw(channel_counts.filter(lambda count: count <= max_outputs))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = tuple(draw(st.integers(0, side - 1)) for side in kernel)
    height, width = (
        draw(st.integers(max(1, side - 2 * pad), 19))
        for side, pad in zip(kernel, padding, strict=True)
    )
    return {
        "inputs": inputs,
        "outputs": outputs,
        "kernel": kernel,
        "padding": padding,
        "stride": draw(st.sampled_from([1, 2])),
        "size": (height, width),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@pytest.mark.parametrize("isa", ISAS)
@given(case=convolutions())
@settings(max_examples=60, deadline=None)
def test_binary_sums_are_exact(isa, case):
    rng = np.random.default_rng(case["seed"])
    inputs, outputs = case["inputs"], case["outputs"]
    constants = {}
    start = stem(rng, constants, inputs, signs(rng, constants, inputs))
    constants["w"] = pack_bits(rng.random((outputs, *case["kernel"], inputs)) < 0.5)
    constants["mul"] = rng.choice([-1, 1], outputs).astype(np.float32)
    constants["add"] = rng.integers(-9, 9, outputs).astype(np.float32)
    conv = ConvBinary(
        *("conv", "bits", "w", "mul", "add"),
        stride=case["stride"],
        padding=case["padding"],
        steps=(StoreStep("out"),),
    )
    tensors = (IMAGE, Tensor("bits", "bits", inputs), Tensor("out", "f32", outputs))
    graph = Graph(tensors, (start, conv), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *case["size"]), isa)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("isa", ISAS)
@given(case=convolutions(max_inputs=128, max_outputs=96), zero_point=st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_int8_sums_are_exact(isa, case, zero_point):
    rng = np.random.default_rng(case["seed"])
    inputs, outputs = case["inputs"], case["outputs"]
    constants = {}
    start = stem(rng, constants, inputs, QuantizeStep("bytes"))
    weight = rng.integers(-127, 128, (outputs, *case["kernel"], inputs))
    weight[0] = 127  # with activations of 255, where 16-bit arithmetic would saturate
    constants["w"] = weight.astype(np.int8)
    conv = ConvInt8(
        *("conv", "bytes", "w", *identity(constants, outputs)),
        stride=case["stride"],
        padding=case["padding"],
        steps=(StoreStep("out"),),
    )
    tensors = (
        IMAGE,
        Tensor("bytes", "u8", inputs, 0.5, zero_point),
        Tensor("out", "f32", outputs),
    )
    graph = Graph(tensors, (start, conv), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *case["size"]), isa)
    # Beyond 2^24, sums are rounded to f32 before the zero point's share is taken out of them.
    exact = np.abs(wanted).max() < 2**24 and inputs * np.prod(case["kernel"]) * 255 * 127 < 2**24
    np.testing.assert_allclose(found, wanted, rtol=0 if exact else 1e-6, atol=0 if exact else 8)


@pytest.mark.parametrize("isa", ISAS)
@given(case=convolutions(max_inputs=96, max_outputs=96))
@settings(max_examples=40, deadline=None)
def test_real_convolutions(isa, case):
    rng = np.random.default_rng(case["seed"])
    inputs, outputs = case["inputs"], case["outputs"]
    constants = {}
    start = stem(rng, constants, inputs, StoreStep("real"))
    constants["w"] = rng.normal(size=(outputs, *case["kernel"], inputs)).astype(np.float16)
    constants["mul"] = rng.normal(size=outputs).astype(np.float32)
    constants["add"] = rng.normal(size=outputs).astype(np.float32)
    conv = Conv(
        *("conv", "real", "w", "mul", "add"),
        stride=case["stride"],
        padding=case["padding"],
        steps=(StoreStep("out"),),
    )
    tensors = (IMAGE, Tensor("real", "f32", inputs), Tensor("out", "f32", outputs))
    graph = Graph(tensors, (start, conv), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *case["size"]), isa)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("bytes_in", [False, True])
@given(
    case=convolutions(max_inputs=96, max_outputs=300),
    density=st.sampled_from([0, 0.02, 0.1, 0.5, 0.9, 1]),
    zero_point=st.integers(0, 255),
    threads=st.sampled_from([1, 3]),
)
@settings(max_examples=40, deadline=None)
def test_ternary_sums_are_exact(isa, bytes_in, case, density, zero_point, threads):
    """Integers as floats, or bytes; several threads share the rows."""
    rng = np.random.default_rng(case["seed"])
    inputs, outputs = case["inputs"], case["outputs"]
    constants = {}
    start = stem(rng, constants, inputs, QuantizeStep("x") if bytes_in else StoreStep("x"))
    weight = rng.choice([-1, 1], (outputs, *case["kernel"], inputs))
    weight[0] = 1  # with bytes of 255 and a zero point of 0, the largest sum that there can be
    weight[1:] *= rng.random(weight[1:].shape) < density
    constants["w"] = pack_ternary(weight)
    constants["mul"] = rng.choice([-1, 1], outputs).astype(np.float32)
    constants["add"] = rng.integers(-9, 9, outputs).astype(np.float32)
    conv = ConvTernary(
        *("conv", "x", "w", "mul", "add"), padding=case["padding"], steps=(StoreStep("out"),)
    )
    x = Tensor("x", "u8", inputs, 0.5, zero_point) if bytes_in else Tensor("x", "f32", inputs)
    graph = Graph((IMAGE, x, Tensor("out", "f32", outputs)), (start, conv), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *case["size"], 2), isa, threads)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("isa", ISAS)
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 9), st.integers(1, 80)))
@settings(max_examples=20, deadline=None)
def test_steps_behind_a_ternary_convolution(isa, seed, size):
    """Tiles cross rows; the steps run row by row all the same."""
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 40))
    constants = {"slope": rng.choice(INTEGERS, channels).astype(np.float32)}
    constants["w"] = pack_ternary(rng.integers(-1, 2, (channels, 3, 3, channels)))
    start = stem(rng, constants, channels, StoreStep("x"))
    steps = (AddStep("x"), PreluStep("slope"), StoreStep("y"), MeanStep("mean"))
    mul_add = identity(constants, channels)
    conv = ConvTernary("conv", "x", "w", *mul_add, padding=(1, 1), steps=steps)
    gate = Load("gate", "y", (MultiplyStep("mean"), StoreStep("out")))
    tensors = [Tensor(name, "f32", channels) for name in ("x", "y", "mean", "out")]
    graph = Graph((IMAGE, *tensors), (start, conv, gate), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *size), isa, threads=2)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("isa", ISAS)
@given(
    channels=st.integers(1, 100),
    window=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)),
    size=st.tuples(st.integers(4, 20), st.integers(4, 20)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_max_pooling(isa, channels, window, size, seed):
    rng = np.random.default_rng(seed)
    kernel, stride, padding = window
    constants = {}
    start = stem(rng, constants, channels, StoreStep("x"))
    steps = (ShiftStep("shift"), StoreStep("out"))
    pool = MaxPool("pool", "x", kernel, stride, min(padding, kernel - 1), steps)
    constants["shift"] = np.arange(channels, dtype=np.float32)
    tensors = (IMAGE, Tensor("x", "f32", channels), Tensor("out", "f32", channels))
    graph = Graph(tensors, (start, pool), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *size, 2), isa, threads=2)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", [Conv, ConvInt8])
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(2, 20), st.integers(2, 20)))
@settings(max_examples=15, deadline=None)
def test_image_is_padded_with_its_offset(isa, kind, seed, size):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-9, 9, (20, 3, 3, 3))
    constants = {"w": weight.astype(np.float32 if kind is Conv else np.int8)}
    constants["offset"] = np.array([123.675, 116.28, 103.53], np.float32)
    conv = kind(
        *("conv", "image", "w", *identity(constants, 20)),
        stride=2,
        padding=(1, 1),
        steps=(StoreStep("out"),),
        offset="offset",
    )
    graph = Graph((IMAGE, Tensor("out", "f32", 20)), (conv,), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *size), isa)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=0.02)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [32, 48, 96, 5])
@pytest.mark.parametrize("first", [0, 3, 8])
def test_signs_of_a_gated_tensor(isa, channels, first):
    """Of 2^5 pixels of integers the mean is exact, and so is every product."""
    rng = np.random.default_rng(channels)
    constants = {}
    start = stem(rng, constants, channels, StoreStep("x"), MeanStep("gate"))
    constants["limit"] = rng.normal(0, 1e4, channels).astype(np.float32)
    gated = Load("gated", "x", (MultiplyStep("gate"), SignStep("bits", "limit", first)))
    ops, tensors = [start, gated], [IMAGE, Tensor("x", "f32", channels)]
    tensors += [Tensor("gate", "f32", channels), Tensor("bits", "bits", first + channels)]
    tensors += [Tensor("out", "f32", channels)]
    if first:
        constants["zero"] = np.zeros(first, np.float32)
        other = stem(rng, constants, first, SignStep("bits", "zero"), name="other")
        ops.append(other)
    # Each output has one of the gated channels with the other sign than the rest.
    weight = np.zeros((channels, 1, 1, first + channels), bool)
    weight[np.arange(channels), 0, 0, first + np.arange(channels)] = True
    constants["w"] = pack_bits(weight)
    steps = (StoreStep("out"),)
    mul_add = identity(constants, channels)
    ops.append(ConvBinary("sums", "bits", "w", *mul_add, 1, (0, 0), steps))
    graph = Graph(tuple(tensors), tuple(ops), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, 4, 8), isa)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [16, 48, 5])
@pytest.mark.parametrize("copies", [1, 2, 4])
def test_added_channels_repeat(isa, channels, copies):
    rng = np.random.default_rng(channels)
    constants = {}
    start = stem(rng, constants, channels, StoreStep("few"))
    constants["w"] = np.zeros((channels * copies, 1, 1, 3), np.float32)
    constants["offset"] = np.zeros(3, np.float32)
    conv = Conv(
        *("conv", "image", "w", *identity(constants, channels * copies), 1, (0, 0)),
        steps=(AddStep("few"), StoreStep("out")),
        offset="offset",
    )
    tensors = (IMAGE, Tensor("few", "f32", channels), Tensor("out", "f32", channels * copies))
    graph = Graph(tensors, (start, conv), "image", "out")
    image = random_image(rng, 7, 9)
    found, wanted = run(graph, constants, image, isa)
    np.testing.assert_array_equal(found, wanted)
    network, names = native_network(graph, constants, (7, 9))
    assert set(names) == {"stem", "conv"}
    assert len(_native.Engine(network, isa, 1).measure(image[0], 1)) == len(names)


@pytest.mark.parametrize("isa", ISAS)
@given(
    channels=st.lists(st.integers(1, 40), min_size=3, max_size=3),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    upsample=st.sampled_from([1, 2, 4]),
    threads=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_steps_over_slices(isa, channels, size, upsample, threads, seed):
    """Three ops write ranges of shared tensors, unaligned, with every kind of step."""
    rng = np.random.default_rng(seed)
    total = sum(channels)
    image_size = (size[0] * upsample, size[1] * upsample)
    constants = {}
    start = stem(rng, constants, total, StoreStep("x"), MeanStep("mean"))
    small = stem(rng, constants, total, StoreStep("small"), name="small stem", stride=upsample)
    gate = Load("gate", "mean", (ScaleStep("tiny"), SigmoidStep(), StoreStep("gate")))
    constants["tiny"] = rng.normal(0, 1e-2, total).astype(np.float32)
    gated = Load("gated", "x", (MultiplyStep("gate"), StoreStep("gated")))
    ops, first = [start, small, gate, gated], 0
    for number, count in enumerate(channels):
        for name in ("slope", "shift", "limit"):
            constants[f"{name}{number}"] = rng.normal(size=count).astype(np.float32)
        constants[f"limit{number}"][0] = rng.choice([-np.inf, np.inf])
        constants[f"w{number}"] = np.eye(total, dtype=np.float32)[first : first + count, None, None]
        mul_add = identity(constants, count, name=f"c{number}")
        steps = (
            PreluStep(f"slope{number}"),
            ShiftStep(f"shift{number}"),
            SignStep("bits", f"limit{number}", first),
            AddStep("x", first),
            AddStep("small", first, upsample),
            StoreStep("sum", first),
            ReluStep(),
            QuantizeStep("bytes", first),
        )
        conv = Conv(f"conv{number}", "gated", f"w{number}", *mul_add, 1, (0, 0), steps)
        ops.append(conv)
        first += count
    # All results end in one tensor: sums of bits and bytes behind the floats.
    constants["ones"] = np.zeros((2, 1, 1, -(-total // 64)), np.uint64)
    constants["bytes.w"] = np.ones((1, 1, 1, total), np.int8)
    constants["bits.mul"], constants["bits.add"] = np.ones((2, 2), np.float32)
    bits_sum = ConvBinary(
        *("bits", "bits", "ones", "bits.mul", "bits.add", 1, (0, 0)),
        steps=(StoreStep("out", total),),
    )
    bytes_sum = ConvInt8(
        *("bytes", "bytes", "bytes.w", *identity(constants, 1, name="last"), 1, (0, 0)),
        steps=(StoreStep("out", total + 2),),
    )
    copy = Load("copy", "sum", (StoreStep("out"),))
    floats = ("x", "mean", "small", "gate", "gated", "sum")
    tensors = [Tensor(name, "f32", total) for name in floats]
    tensors += [Tensor("bits", "bits", total), Tensor("bytes", "u8", total, 2.5, 3)]
    tensors += [IMAGE, Tensor("out", "f32", total + 3)]
    graph = Graph(tuple(tensors), (*ops, copy, bits_sum, bytes_sum), "image", "out")
    found, wanted = run(graph, constants, random_image(rng, *image_size, count=2), isa, threads)
    np.testing.assert_allclose(found[:, :total], wanted[:, :total], rtol=1e-4, atol=1e-3)
    # A value within rounding of a threshold or of half a step may fall on either side.
    assert np.mean(np.abs(found[:, total:] - wanted[:, total:]) > 2.1) < 0.02

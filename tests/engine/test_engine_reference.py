"""The reference against formulas written out again, element by element."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import SIZE, every_op

from bihrnet.engine.graph import Conv, ConvBinary, ConvInt8, ConvTernary, Tensor
from bihrnet.engine.packing import pack_bits, pack_ternary
from bihrnet.engine.reference import ReferenceModel, max_pool, quantize, raw_sums, run_graph

FIELDS = {"name": "x", "input": "x", "weight": "w", "mul": "m", "add": "a", "steps": ()}


@st.composite
def convolutions(draw):
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = tuple(draw(st.integers(0, side - 1)) for side in kernel)
    size = tuple(draw(st.integers(side, 7)) for side in kernel)
    channels = draw(st.integers(1, 70)), draw(st.integers(1, 3))
    return size, kernel, padding, draw(st.integers(1, 3)), channels, draw(st.integers(0, 2**31))


def by_loops(x, weight, stride, padding):
    """Sum over taps inside the input, for values already shifted to their zero."""
    height, width, _ = x.shape
    out, rows, columns, _ = weight.shape
    shape = [
        (side + 2 * pad - taps) // stride + 1
        for side, pad, taps in zip((height, width), padding, (rows, columns), strict=True)
    ]
    sums = np.zeros((*shape, out))
    for y, column, o in np.ndindex(*sums.shape):
        for i, j in np.ndindex(rows, columns):
            source = y * stride + i - padding[0], column * stride + j - padding[1]
            if 0 <= source[0] < height and 0 <= source[1] < width:
                sums[y, column, o] += x[source] @ weight[o, i, j]
    return sums


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_binary_sums_are_exact(case):
    size, kernel, padding, stride, (inputs, outputs), seed = case
    random = np.random.default_rng(seed)
    x, weight = (
        random.random((*size, inputs)) < 0.5,
        random.random((outputs, *kernel, inputs)) < 0.5,
    )
    op = ConvBinary(stride=stride, padding=padding, **FIELDS)
    sums = raw_sums(op, Tensor("x", "bits", inputs), {"w": pack_bits(weight)}, x[None])
    expected = by_loops(1 - 2.0 * x, 1 - 2.0 * weight, stride, padding)
    np.testing.assert_array_equal(sums[0], expected)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(0, 255))
def test_int8_sums_are_exact_and_padding_is_the_zero_point(case, zero_point):
    size, kernel, padding, stride, (inputs, outputs), seed = case
    random = np.random.default_rng(seed)
    x = random.integers(0, 256, (*size, inputs)).astype(np.uint8)
    weight = random.integers(-127, 128, (outputs, *kernel, inputs)).astype(np.int8)
    op = ConvInt8(stride=stride, padding=padding, **FIELDS)
    tensor = Tensor("x", "u8", inputs, inverse_scale=2.0, zero_point=zero_point)
    sums = raw_sums(op, tensor, {"w": weight}, x[None])
    expected = by_loops(x.astype(int) - zero_point, weight.astype(int), stride, padding)
    np.testing.assert_array_equal(sums[0], expected)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.one_of(st.none(), st.integers(0, 255)))
def test_ternary_sums_are_exact(case, zero_point):
    """Of bytes with a zero point, and of floats."""
    size, kernel, padding, _, (inputs, outputs), seed = case
    random = np.random.default_rng(seed)
    weight = random.integers(-1, 2, (outputs, *kernel, inputs))
    op = ConvTernary(padding=padding, **FIELDS)
    x = random.integers(0, 256, (*size, inputs)).astype(np.float32 if zero_point is None else "u1")
    tensor = Tensor("x", "f32", inputs)
    if zero_point is not None:
        tensor = Tensor("x", "u8", inputs, 1.0, zero_point)
    sums = raw_sums(op, tensor, {"w": pack_ternary(weight)}, x[None])
    expected = by_loops(x.astype(int) - (zero_point or 0), weight, 1, padding)
    np.testing.assert_array_equal(sums[0], expected)


@given(
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2)),
)
def test_max_pooling(size, window):
    kernel, stride, padding = window[0], window[1], min(window[2], window[0] - 1)
    x = np.random.default_rng(0).normal(-5, 1, (1, *size, 2)).astype(np.float32)
    found = max_pool(x, kernel, stride, padding)
    for _, y, column, c in np.ndindex(*found.shape):
        first, left = y * stride - padding, column * stride - padding
        rows, columns = slice(max(first, 0), first + kernel), slice(max(left, 0), left + kernel)
        assert found[0, y, column, c] == x[0, rows, columns, c].max()
    sides = [(side + 2 * padding - kernel) // stride + 1 for side in size]
    assert found.shape == (1, *sides, 2)


@pytest.mark.parametrize("kind", [Conv, ConvInt8])
def test_the_image_is_padded_with_its_offset(kind):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (6, 5, 3)).astype(np.uint8)
    weight = random.integers(-127, 128, (2, 3, 3, 3)).astype(np.int8)
    offset = np.float32([123.675, 116.28, 103.53])
    op = kind(stride=2, padding=(1, 1), offset="o", **FIELDS)
    weights = weight if kind is ConvInt8 else weight.astype(np.float32)
    sums = raw_sums(op, Tensor("x", "u8", 3), {"w": weights, "o": offset}, image[None])
    expected = by_loops(image - offset.astype(float), weight.astype(float), 2, (1, 1))
    np.testing.assert_allclose(sums[0], expected, rtol=1e-5, atol=0.1)


def test_known_binary_convolution():
    """LCE's example: 1 in its lists means +1; padding with zeros after the sign."""
    rows = ["1001", "1100", "0001", "1011"]
    x = np.array([[bit == "0" for bit in row] for row in rows])[None, ..., None]
    weight = np.array([[bit == "0" for bit in row] for row in ("101", "010", "101")])
    weights = {"w": pack_bits(weight[None, ..., None])}
    inside = ConvBinary(stride=1, padding=(0, 0), **FIELDS)
    sums = raw_sums(inside, Tensor("x", "bits", 1), weights, x)
    assert sums.flatten().tolist() == [1, 1, 3, -1]
    around = ConvBinary(stride=1, padding=(1, 1), **FIELDS)
    padded = raw_sums(around, Tensor("x", "bits", 1), weights, x)[0, ..., 0]
    assert padded[1:3, 1:3].flatten().tolist() == [1, 1, 3, -1]
    # Corner: taps (1, 1), (1, 2), (2, 1), (2, 2) on x = + - / + +.
    assert padded[0, 0] == -1 * 0 + (1 * 1) + (-1 * -1) + (-1 * 1) + (1 * 1)


@given(
    value=st.floats(-1e6, 1e6, width=32),
    steps=st.floats(0.015625, 1000, width=32),
    zero_point=st.integers(0, 255),
)
def test_quantization(value, steps, zero_point):
    tensor = Tensor("x", "u8", 1, inverse_scale=steps, zero_point=zero_point)
    product = float(np.float32(value) * np.float32(steps))
    expected = min(max(round(product) + zero_point, 0), 255)  # Python rounds halves to even
    assert quantize(np.float32([value]), tensor).tolist() == [expected]


def test_steps_of_the_small_model():
    """Every step once more, from the tensors that come before it."""
    model = every_op()
    c = model.constants
    images = np.random.default_rng(1).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    v = run_graph(model.graph, c, images)
    ops = {op.name: op for op in model.graph.ops}
    tensors = {tensor.name: tensor for tensor in model.graph.tensors}

    def value(name):
        op = ops[name]
        return raw_sums(op, tensors[op.input], c, v[op.input]) * c[op.mul] + c[op.add]

    stem = value("stem")
    x = np.where(stem >= 0, stem, stem * c["slope"])
    np.testing.assert_allclose(v["x"], x, rtol=1e-5)
    np.testing.assert_array_equal(v["x.bits"], v["x"] < c["threshold"])
    assert v["x.bits"][..., 0].all()
    assert not v["x.bits"][..., 1].any()
    np.testing.assert_allclose(v["mean"], v["x"].mean((1, 2), keepdims=True), rtol=1e-4, atol=1e-5)
    fine = np.clip(np.rint(np.maximum(value("stem8"), 0) * 20) + 3, 0, 255)
    assert np.abs(v["fine"] - fine).max() <= 1
    np.testing.assert_array_equal(
        v["one.bits"], value("one").astype(np.float32) < c["threshold.one"]
    )
    first = value("one") * c["scale"] + c["shift"] + v["x"][..., :4]
    np.testing.assert_allclose(v["y"][..., :4], first, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        v["y"][..., 4:], value("two") + v["x"][..., 4:], rtol=1e-5, atol=1e-5
    )
    gate = [1 / (1 + math.exp(-g)) for g in value("excite").flatten()]
    np.testing.assert_allclose(v["gate"].flatten(), gate, rtol=1e-5)
    up = v["low"].repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(v["z"], v["y"] * v["gate"] + up, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(v["t"][..., :6], value("ternary"), rtol=1e-5)
    np.testing.assert_allclose(v["t"][..., 6:], np.maximum(value("ternary8"), 0), rtol=1e-5)
    np.testing.assert_array_equal(v["pooled"], max_pool(v["t"], 3, 2, 1))
    np.testing.assert_allclose(v["heatmaps"], value("head"), rtol=1e-5)


def test_the_reference_is_a_heatmap_model_and_warns_that_it_is_slow():
    model = every_op()
    with pytest.warns(UserWarning, match="NumPy reference"):
        reference = ReferenceModel(model)
    images = np.random.default_rng(1).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    heatmaps = reference(images)
    assert heatmaps.shape == (2, 14, 4, 6)
    assert heatmaps.dtype == np.float32
    assert reference.spec is model.spec
    np.testing.assert_array_equal(reference(images[1:]), heatmaps[1:])

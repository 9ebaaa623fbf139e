from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_models import SIZE, every_op

from bihrnet.engine.graph import (
    AddStep,
    Conv,
    Graph,
    MeanStep,
    MultiplyStep,
    ReluStep,
    SignStep,
    StoreStep,
    Tensor,
)
from bihrnet.engine.graph_json import graph_from_json, graph_to_json
from bihrnet.engine.validation import infer_sizes, tensor_bytes
from bihrnet.errors import BihrnetError


def refused(cause, *, graph=None, constants=None, size=SIZE):
    model = every_op()
    with pytest.raises(BihrnetError, match=cause):
        infer_sizes(graph or model.graph, {**model.constants, **(constants or {})}, size)


def with_op(name, **changes):
    """The graph with other fields in one op."""
    graph = every_op().graph
    ops = tuple(replace(op, **changes) if op.name == name else op for op in graph.ops)
    return replace(graph, ops=ops)


def with_steps(name, edit):
    steps = next(op.steps for op in every_op().graph.ops if op.name == name)
    return with_op(name, steps=tuple(edit(list(steps))))


def with_tensor(tensor, /, **changes):
    graph = every_op().graph
    return replace(
        graph,
        tensors=tuple(replace(t, **changes) if t.name == tensor else t for t in graph.tensors),
    )


def test_sizes_follow_from_the_image():
    model = every_op()
    sizes = infer_sizes(model.graph, model.constants, SIZE)
    assert sizes["x"] == sizes["x.bits"] == sizes["fine"] == sizes["z"] == (8, 12)
    assert sizes["mean"] == sizes["gate"] == (1, 1)
    assert sizes["low"] == sizes["heatmaps"] == (4, 6)
    assert infer_sizes(model.graph, model.constants, (32, 8))["heatmaps"] == (8, 2)


def test_bytes_of_a_tensor():
    assert tensor_bytes(Tensor("x", "f32", 5), (3, 2)) == 120
    assert tensor_bytes(Tensor("x", "u8", 5), (3, 2)) == 30
    assert tensor_bytes(Tensor("x", "bits", 65), (3, 2)) == 96


@pytest.mark.parametrize(
    ("graph", "cause"),
    [
        (with_op("one", input="nothing"), "there is no tensor 'nothing'"),
        (with_op("one", input="one.bits"), "before all of it is written"),
        (with_op("one", input="x"), "cannot read tensor 'x' of type f32"),
        (with_op("stem8", input="fine"), "before all of it is written"),
        (with_op("down", input="image"), "not int8 of any x any x any x 3"),
        (with_op("ternary", mul="excite.mul"), "constant 'excite.mul' is used more than once"),
        (with_op("squeeze", input="image", weight="stem.weight"), "an offset belongs to the image"),
        (with_op("stem", offset=None), "an offset belongs to the image"),
        (with_op("down", offset="offset"), "an offset belongs to the image"),
        (with_op("one", weight="stem.weight"), "is float32 .* not uint64"),
        (with_op("one", weight="nothing"), "there is no constant 'nothing'"),
        (with_op("one", mul="two.mul"), r"'two.mul' is float32 \[2\], not float32 of 4"),
        (with_op("one", stride=0), "stride 0 is out of range"),
        (with_op("one", stride=9), "stride 9 is out of range"),
        (with_op("one", stride=2), "cannot add tensor 'x'"),
        (with_op("one", padding=(3, 0)), "padding .* is not within its kernel"),
        (with_op("one", padding=(0, -1)), "padding .* is not within its kernel"),
        (with_op("ternary", input="x.bits"), "cannot read tensor 'x.bits' of type bits"),
        (with_op("ternary", padding=(3, 0)), "padding .* is not within its kernel"),
        (with_op("ternary", weight="one.weight"), "not uint64 of 2 x any x any x any x 1"),
        (with_op("pool", input="fine"), "cannot pool tensor 'fine' of type u8"),
        (with_op("pool", kernel=0), "window of 0 pixels is out of range"),
        (with_op("pool", kernel=16), "window of 16 pixels is out of range"),
        (with_op("pool", kernel=12, padding=0), "larger than its input"),
        (with_op("pool", stride=5), "stride 5 is out of range"),
        (with_op("pool", padding=3), "padding .* is not within its kernel"),
        (with_op("gated", input="fine"), "cannot load tensor 'fine' of type u8"),
        (with_op("gated", upsample=3), "up-sampling by 3"),
        (with_op("gated", upsample=0), "up-sampling by 0"),
        (with_op("gated", upsample=4096), "up-sampling by 4096"),
        (with_steps("two", lambda s: [AddStep("x", 5), s[1]]), "cannot add tensor 'x'"),
        (with_steps("two", lambda s: [AddStep("x", -1), s[1]]), "cannot add tensor 'x'"),
        (with_steps("two", lambda s: [AddStep("one.bits"), s[1]]), "cannot add tensor 'one.bits'"),
        (with_steps("two", lambda s: [AddStep("y"), s[1]]), "before all of it is written"),
        (with_steps("two", lambda s: [s[0], StoreStep("y", 3)]), "a second time"),
        (with_steps("two", lambda s: [s[0], StoreStep("y", 5)]), "cannot write tensor 'y'"),
        (with_steps("two", lambda s: [s[0], StoreStep("image")]), "cannot write tensor 'image'"),
        (with_steps("two", lambda s: [s[0], SignStep("y", "threshold")]), "cannot write tensor"),
        (with_steps("two", lambda s: [*s, ReluStep()]), "its last step does not write"),
        (with_steps("two", lambda s: []), "its last step does not write"),
        (with_steps("one", lambda s: s[1:]), "before all of it is written"),
        (with_steps("gated", lambda s: [MultiplyStep("x"), *s[1:]]), "cannot multiply"),
        (with_steps("gated", lambda s: [MultiplyStep("hidden"), *s[1:]]), "cannot multiply"),
        (with_tensor("x", channels=0), "has 0 channels"),
        (with_tensor("x", channels=10**9), "has 1000000000 channels"),
        (with_tensor("x", name="y"), "declared twice"),
        (with_tensor("fine", inverse_scale=0.0), "no positive f32 number"),
        (with_tensor("fine", inverse_scale=0.1), "no positive f32 number"),
        (with_tensor("fine", zero_point=256), "quantization that its type u8 lacks"),
        (with_tensor("x", zero_point=1), "quantization that its type f32 lacks"),
        (with_tensor("image", zero_point=1), "not a u8 image"),
        (replace(every_op().graph, output="fine"), "not an f32 tensor"),
        (replace(every_op().graph, output="z"), "'heatmaps' is never read"),
        (replace(every_op().graph, ops=()), "it has 0 ops"),
        (replace(every_op().graph, ops=every_op().graph.ops[::-1]), "before all of it is written"),
    ],
)
def test_what_does_not_fit_is_refused(graph, cause):
    refused(cause, graph=graph)


@pytest.mark.parametrize(
    ("name", "edit", "cause"),
    [
        ("slope", lambda c: np.full_like(c, np.nan), "not finite"),
        ("slope", lambda c: np.full_like(c, np.inf), "not finite"),
        ("threshold", lambda c: np.full_like(c, np.nan), "not finite"),
        ("head.weight", lambda c: np.full_like(c, np.inf), "not finite"),
        ("down.weight", lambda c: np.full_like(c, -128), "holds -128"),
        ("one.weight", lambda c: c | np.uint64(1 << 6), "pad bits that are not zero"),
        ("ternary.weight", lambda c: c | np.uint64(1 << 6), "pad bits that are not zero"),
        ("ternary.weight", lambda c: c | np.uint64(1), "weights that are both"),
        ("one.weight", lambda c: c.repeat(6, axis=1), "is not within its kernel|out of range"),
        ("one.weight", lambda c: c[:0], "of any x any x any x 1"),
    ],
)
def test_constants_out_of_range_are_refused(name, edit, cause):
    refused(cause, constants={name: edit(every_op().constants[name])})


def test_an_unused_constant_is_refused():
    refused("constant 'more' belongs to no op", constants={"more": np.zeros(1, np.float32)})


def test_a_tensor_of_too_many_elements_is_refused():
    constants = {"weight": np.zeros((64, 1, 1, 3), np.float32), "offset": np.zeros(3, np.float32)}
    constants |= {name: np.zeros(64, np.float32) for name in ("mul", "add", "threshold")}
    conv = Conv(
        *("conv", "image", "weight", "mul", "add", 1, (0, 0)),
        steps=(SignStep("bits", "threshold"), MeanStep("mean")),
        offset="offset",
    )
    tensors = (Tensor("image", "u8", 3), Tensor("bits", "bits", 64), Tensor("mean", "f32", 64))
    graph = Graph(tensors, (conv,), "image", "mean")
    with pytest.raises(BihrnetError, match=r"tensor 'bits' has more than 2\^28 elements"):
        infer_sizes(graph, constants, (4096, 4096))


@pytest.mark.parametrize("size", [(0, 8), (8, 5000), (1, 1)])
def test_sizes_out_of_range_are_refused(size):
    refused("out of range|cannot add|larger than its input", size=size)


def test_json_keeps_a_graph():
    graph = every_op().graph
    assert graph_from_json(graph_to_json(graph)) == graph


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (lambda g: g.pop("ops"), "needs exactly the fields"),
        (lambda g: g.update(ops={}), "field 'ops' is not a list"),
        (lambda g: g["ops"][0].update(op="deconv"), "op 0 is the unknown op 'deconv'"),
        (lambda g: g["ops"][0].update(op=["conv"]), "op 0 is not an object with the field 'op'"),
        (lambda g: g["ops"][0].pop("stride"), r"op 0 \(conv\) lacks the field 'stride'"),
        (lambda g: g["ops"][0].update(bias="x"), "has the unknown field 'bias'"),
        (lambda g: g["ops"][8].update(stride=1), r"op 8 \(conv_ternary\) has the unknown field"),
        (lambda g: g["ops"][0].update(stride=True), "stride is 'True', not of type int"),
        (lambda g: g["ops"][0].update(stride="1"), "not of type int"),
        (lambda g: g["ops"][0].update(padding=[1]), "needs two numbers"),
        (lambda g: g["ops"][0]["steps"][0].update(step="tanh"), "unknown step 'tanh'"),
        (lambda g: g["ops"][0]["steps"].append(1), "is not an object with the field 'step'"),
        (lambda g: g["tensors"][0].update(type="f64"), "not one of f32, bits, u8"),
        (lambda g: g["tensors"].append(None), "tensor 14 is not an object"),
    ],
)
def test_malformed_json_is_refused(edit, cause):
    data = graph_to_json(every_op().graph)
    edit(data)
    with pytest.raises(BihrnetError, match=cause):
        graph_from_json(data)

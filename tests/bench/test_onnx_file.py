"""ONNX files of others in a benchmark: what is read from them, and what is refused."""

import json

import numpy as np
import onnx
import pytest
import typer
from onnx import TensorProto, helper
from typer.testing import CliRunner

from bihrnet.bench.cases import prepare
from bihrnet.bench.onnx_file import read_onnx_file
from bihrnet.cli.bench import bench
from bihrnet.errors import BihrnetError


def write_network(path, shape, kind=TensorProto.FLOAT, nodes=(), weight=np.float32):
    """A file that casts its input to floats, runs `nodes` and adds a number."""
    one = onnx.numpy_helper.from_array(np.ones(1, weight), "one")
    cast = helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT)
    number = helper.make_node("Cast", ["one"], ["number"], to=TensorProto.FLOAT)
    total = helper.make_node("Add", ["floats", "number"], ["out"])
    image = helper.make_tensor_value_info("image", kind, shape)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph([cast, number, *nodes, total], "net", [image], [out], [one])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "asked", "expected", "size"),
    [
        (["batch", 3, "h", "w"], (64, 48), (1, 3, 64, 48), (64, 48)),
        ([1, 3, 256, 192], None, (1, 3, 256, 192), (256, 192)),
        ([1, 64, 48, 3], (64, 48), (1, 64, 48, 3), (64, 48)),
    ],
)
def test_the_input_of_a_file(tmp_path, shape, asked, expected, size):
    file = read_onnx_file(write_network(tmp_path / "x.onnx", shape), asked)
    assert (file.shape, file.size) == (expected, size)
    assert file.precision == "fp32"


def test_the_precision_of_a_file(tmp_path):
    half = write_network(tmp_path / "half.onnx", [1, 3, 8, 8], weight=np.float16)
    assert read_onnx_file(half, None).precision == "fp16"
    scale = helper.make_node("Constant", [], ["scale"], value_float=1.0)
    quantize = helper.make_node("QuantizeLinear", ["floats", "scale"], ["bytes"])
    int8 = write_network(tmp_path / "int8.onnx", [1, 3, 8, 8], nodes=[scale, quantize])
    assert read_onnx_file(int8, None).precision == "int8"


@pytest.mark.parametrize(
    ("shape", "asked", "message"),
    [
        (["n", 3, "h", "w"], None, "takes images of any size; choose one with --size"),
        ([1, 3, 64, 48], (64, 64), "takes images of 64x48 only"),
        ([1, 10], None, "is not a batch of RGB images"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, shape, asked, message):
    with pytest.raises(BihrnetError, match=message):
        read_onnx_file(write_network(tmp_path / "x.onnx", shape), asked)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BihrnetError, match="there is no such file"):
        prepare([str(tmp_path / "none.onnx")], [], None, tmp_path, pytest.fail)
    (tmp_path / "broken.onnx").write_bytes(b"no protobuf")
    with pytest.raises(BihrnetError, match="is not an ONNX file"):
        read_onnx_file(str(tmp_path / "broken.onnx"), None)


def test_files_are_timed_in_onnx_runtime(tmp_path):
    """Whatever the type of their pixels, and without the engine."""
    floats = write_network(tmp_path / "floats.onnx", ["n", 3, "h", "w"])
    pixels = write_network(tmp_path / "pixels.onnx", [1, 32, 64, 3], TensorProto.INT32)
    app = typer.Typer()
    app.command()(bench)
    target = tmp_path / "rows.json"
    arguments = [floats, pixels, "--size", "32x64", "--rounds", "1", "--json", str(target)]
    done = CliRunner().invoke(app, [*arguments, "--chart", str(tmp_path / "chart.svg")])
    assert done.exit_code == 0, done.output
    rows = json.loads(target.read_text())["rows"]
    assert [row["model"] for row in rows] == [floats, pixels]
    assert {(row["runtime"], row["precision"], *row["size"]) for row in rows} == {
        ("onnxruntime", "fp32", 32, 64)
    }

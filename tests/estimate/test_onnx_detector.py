from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from painted_people import DotModel, joints_in, paint

from bihrnet import PoseEstimator
from bihrnet.errors import BihrnetError
from bihrnet.estimate.onnx_detector import PADDING, OnnxDetector
from bihrnet.pose import Frame


def save(path: Path, inputs: list, nodes: list, outputs: list, constants: dict) -> Path:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "detector", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def image_input(shape: list, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("image", kind, shape)


def fixed(path: Path, *outputs: np.ndarray, shape: tuple = (1, 3, 64, 96), kind: int = 1) -> Path:
    """A detector that finds the same whatever it sees."""
    names = [f"out{n}" for n in range(len(outputs))]
    return save(
        path,
        [image_input(list(shape), kind)],
        [helper.make_node("Identity", [f"c{n}"], [name]) for n, name in enumerate(names)],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in zip(names, outputs, strict=True)
        ],
        {f"c{n}": value for n, value in enumerate(outputs)},
    )


def color_meter(path: Path, kind: int = TensorProto.FLOAT, mmdeploy: bool = False) -> Path:
    """One person from (0, 0), as wide and high as the means of channels 0 and 2 of the input."""
    rows = np.zeros((3, 5 if mmdeploy else 6), np.float32)
    rows[0, 2] = rows[2, 3] = 1
    rest = np.zeros(rows.shape[1], np.float32)
    rest[4] = 0.9
    output, constants = "rows", {"matrix": rows, "rest": rest, "one": np.array([1, 1, -1])}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["sizes"]),
        helper.make_node("Add", ["sizes", "rest"], ["row"]),
        helper.make_node("Reshape", ["row", "one"], [output]),
    ]
    found = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 1, rows.shape[1]])]
    if mmdeploy:
        constants["zero"] = np.zeros((1, 1), np.int64)
        nodes.append(helper.make_node("Identity", ["zero"], ["labels"]))
        found.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 1]))
    return save(path, [image_input([1, 3, 32, 64], kind)], nodes, found, constants)


def measured(detector: OnnxDetector, height: int = 320, width: int = 640) -> list[float]:
    """What the color meter saw of a picture of one color, R 200, G 0, B 50."""
    image = np.full((height, width, 3), (200, 0, 50), dtype=np.uint8)
    boxes, _ = detector(Frame(image))
    scale = min(32 / height, 64 / width)
    return (boxes[0, 2:] * scale).tolist()


def test_boxes_come_back_to_the_image(tmp_path: Path) -> None:
    """Input 64x96, image 320x240: scale 0.2, in the top left corner."""
    rows = np.array([[[10, 4, 30, 44, 0.9, 0], [2, 2, 6, 6, 0.2, 0], [1, 1, 9, 9, 0.9, 2]]])
    detector = OnnxDetector(fixed(tmp_path / "d.onnx", rows.astype(np.float32)))
    boxes, scores = detector(Frame(np.zeros((320, 240, 3), dtype=np.uint8)))
    np.testing.assert_allclose(boxes, [[50, 20, 100, 200]], rtol=1e-5)
    np.testing.assert_allclose(scores, [0.9])


def test_boxes_are_cut_off_at_the_border_and_dropped_outside(tmp_path: Path) -> None:
    rows = np.array(
        [
            [[-10, -10, 20, 30, 0.9, 0], [60, 10, 70, 20, 0.9, 0], [30, 30, 20, 40, 0.9, 0]],
        ]
    )
    detector = OnnxDetector(fixed(tmp_path / "d.onnx", rows.astype(np.float32)))
    boxes, scores = detector(Frame(np.zeros((320, 240, 3), dtype=np.uint8)))
    np.testing.assert_allclose(boxes, [[0, 0, 100, 150]], rtol=1e-5)
    assert len(scores) == 1


@pytest.mark.parametrize(
    "outputs",
    [
        (
            np.array([[10, 4, 30, 44]], np.float32),
            np.array([1]),
            np.array([0.9], np.float32),
        ),
        (np.array([[[10, 4, 30, 44, 0.9]]], np.float32), np.array([[0]])),
        (np.array([[20, 24, 20, 40, 0.9] + [0] * 6], np.float32).T[None].repeat(20, axis=2),),
        (np.array([[[20, 24, 20, 40, 0.9, 1, 0]]], np.float32).repeat(20, axis=1),),
    ],
    ids=["torchvision", "mmdeploy", "yolo columns", "yolo rows"],
)
@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (3, 64, 96), ("n", 3, 64, 96)])
def test_layouts_and_inputs(tmp_path: Path, outputs: tuple[np.ndarray, ...], shape: tuple) -> None:
    detector = OnnxDetector(fixed(tmp_path / "d.onnx", *outputs, shape=shape))
    boxes, _ = detector(Frame(np.zeros((320, 240, 3), dtype=np.uint8)))
    np.testing.assert_allclose(boxes, [[50, 20, 100, 200]], rtol=1e-4)


def test_open_sizes_are_640(tmp_path: Path) -> None:
    rows = np.array([[[64, 32, 128, 320, 0.9, 0]]], np.float32)
    path = fixed(tmp_path / "d.onnx", rows, shape=("n", 3, "height", "width"))
    boxes, _ = OnnxDetector(path)(Frame(np.zeros((320, 160, 3), dtype=np.uint8)))
    np.testing.assert_allclose(boxes, [[32, 16, 32, 144]])


def test_pixels_are_rgb_from_0_to_1(tmp_path: Path) -> None:
    path = color_meter(tmp_path / "d.onnx")
    assert measured(OnnxDetector(path)) == pytest.approx([200 / 255, 50 / 255], rel=1e-4)
    path = color_meter(tmp_path / "d.onnx", TensorProto.FLOAT16)
    assert measured(OnnxDetector(path)) == pytest.approx([200 / 255, 50 / 255], rel=1e-2)


def test_uint8_pixels_are_as_they_are(tmp_path: Path) -> None:
    path = color_meter(tmp_path / "d.onnx", TensorProto.UINT8)
    assert measured(OnnxDetector(path)) == pytest.approx([64, 32])  # cut off at the border
    assert measured(OnnxDetector(path, order="BGR")) == pytest.approx([50, 32])


def test_mmdeploy_pixels_are_bgr_up_to_255(tmp_path: Path) -> None:
    path = color_meter(tmp_path / "d.onnx", mmdeploy=True)
    assert measured(OnnxDetector(path)) == pytest.approx([50, 32])
    assert measured(OnnxDetector(path, std=(10, 1, 10))) == pytest.approx([5, 20])
    assert measured(OnnxDetector(path, std=(1, 1, 20), mean=(20, 0, 0))) == pytest.approx([30, 10])
    assert measured(OnnxDetector(path, order="RGB", std=(20,) * 3)) == pytest.approx([10, 2.5])


def test_what_the_image_leaves_free_is_gray(tmp_path: Path) -> None:
    path = color_meter(tmp_path / "d.onnx")
    half_filled = [(200 + PADDING) / 2 / 255, (50 + PADDING) / 2 / 255]
    assert measured(OnnxDetector(path), 320, 320) == pytest.approx(half_filled, rel=1e-4)


def test_estimator_over_a_detector_file(tmp_path: Path) -> None:
    """The image has the input's aspect; two people, the boxes given in input pixels."""
    people = [[50, 30, 80, 140], [180, 40, 90, 150]]
    corners = np.array(people, np.float32) * 0.32
    corners[:, 2:] += corners[:, :2]
    dets = np.column_stack([corners, [0.8, 0.9]])[None].astype(np.float32)
    path = fixed(tmp_path / "d.onnx", dets, np.zeros((1, 2), np.int64))
    poses = PoseEstimator(DotModel(), path)(paint((200, 300), people))
    assert [round(float(pose.bbox[0])) for pose in poses] == [180, 50]
    for pose, box in zip(poses, people[::-1], strict=True):
        assert np.abs(pose.keypoints[:, :2] - joints_in(box)).max() < 2
        assert pose.score < 0.95


def test_unknown_outputs_name_the_file(tmp_path: Path) -> None:
    detector = OnnxDetector(fixed(tmp_path / "d.onnx", np.zeros((1, 3, 7, 7, 85), np.float32)))
    with pytest.raises(BihrnetError, match=r"d\.onnx: .*match no known detector"):
        detector(Frame(np.zeros((320, 240, 3), dtype=np.uint8)))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((1, 64, 96, 3), TensorProto.FLOAT),
        ((4, 3, 64, 96), TensorProto.FLOAT),
        ((1, 3, 64, 96), TensorProto.DOUBLE),
        ((64, 96), TensorProto.FLOAT),
    ],
)
def test_other_inputs_are_refused(tmp_path: Path, shape: tuple, kind: int) -> None:
    path = fixed(tmp_path / "d.onnx", np.zeros((1, 1, 6), np.float32), shape=shape, kind=kind)
    with pytest.raises(BihrnetError, match="takes one image"):
        OnnxDetector(path)


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    second = helper.make_tensor_value_info("sizes", TensorProto.INT64, [1, 2])
    path = save(
        tmp_path / "d.onnx",
        [image_input([1, 3, 8, 8]), second],
        [helper.make_node("Identity", ["image"], ["out"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 8, 8])],
        {},
    )
    with pytest.raises(BihrnetError, match=r"not image .*, sizes tensor"):
        OnnxDetector(path)


def test_a_graph_that_fails_is_named(tmp_path: Path) -> None:
    path = save(
        tmp_path / "d.onnx",
        [image_input(["n", 3, "h", "w"])],
        [helper.make_node("Reshape", ["image", "shape"], ["out"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 7])],
        {"shape": np.array([1, 7])},
    )
    with pytest.raises(BihrnetError, match=r"d\.onnx: the detector fails"):
        OnnxDetector(path)(Frame(np.zeros((8, 8, 3), dtype=np.uint8)))


def test_files_that_are_no_graph(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BihrnetError, match="there is no such file"):
        OnnxDetector(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(BihrnetError, match=r"text\.onnx: onnxruntime cannot open it"):
        OnnxDetector(tmp_path / "text.onnx")
    assert capfd.readouterr().err == ""


def test_missing_onnxruntime_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d.onnx").write_text("")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BihrnetError, match=r"pip install 'bihrnet\[detector\]'"):
        OnnxDetector(tmp_path / "d.onnx")

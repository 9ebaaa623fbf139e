from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bihrnet.cli.export import export
from bihrnet.engine.model_file import read_model
from bihrnet.errors import BihrnetError
from bihrnet.images import write_image
from bihrnet.nn import build
from bihrnet.nn.checkpoint import Checkpoint, save_slim_checkpoint
from bihrnet.skeleton import LSP


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint of a small real HRNet, and images."""
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    module = build("small-hrnet-w16", len(LSP)).eval()
    metadata = Checkpoint(
        architecture="small-hrnet-w16",
        options={},
        skeleton=LSP,
        input_size=(64, 64),
        recipe={"name": "test"},
        metrics={"PCKh@0.5": 1.5},
        weights={},
    ).metadata
    save_slim_checkpoint(folder / "small.ckpt", module, metadata)
    (folder / "images").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 60, 3), dtype=np.uint8)
        write_image(folder / "images" / f"{number}.png", pixels)
    return folder


def run(*arguments: object) -> str:
    """What is said on standard error."""
    import typer

    app = typer.Typer()
    app.command()(export)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stderr


def test_a_checkpoint_becomes_a_bhr(folder, tmp_path):
    run(folder / "small.ckpt", tmp_path / "small.bhr")
    model = read_model(tmp_path / "small.bhr")
    assert model.spec.name == "small-hrnet-w16@test"
    assert model.spec.skeleton == LSP
    assert model.spec.input_size == (64, 64)
    assert model.precision == "fp32"
    assert model.recipe == {"name": "test"}
    assert model.metrics == {"PCKh@0.5": 1.5}


def test_another_decoding_on_request(folder, tmp_path):
    run(folder / "small.ckpt", tmp_path / "x.bhr", "--decoding", "dark")
    assert read_model(tmp_path / "x.bhr").spec.decoding == "dark"


def test_half_precision_weights_stay_half(folder, tmp_path):
    """A slim checkpoint holds float16 weights, and float32 would only be larger."""
    run(folder / "small.ckpt", tmp_path / "small.bhr")
    constants = read_model(tmp_path / "small.bhr").constants.values()
    weights = {array.dtype for array in constants if array.ndim == 4}
    # The stem's are divided by the standard deviation of the colors.
    assert weights == {np.dtype(np.float16), np.dtype(np.float32)}


def test_int8_calibrates_on_a_folder_of_images(folder, tmp_path):
    said = run(
        folder / "small.ckpt", tmp_path / "[int8]x.bhr",
        "--precision", "int8", "--calibrate", folder / "images",
    )  # fmt: skip
    assert read_model(tmp_path / "[int8]x.bhr").precision == "int8"
    assert said.startswith("calibrated on 3 whole images\n")
    assert "[int8]x.bhr: " in said


@pytest.mark.parametrize("out", ["images.bhr", "images.onnx", "small.ckpt/x.bhr"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(folder, monkeypatch, out):
    monkeypatch.setattr("bihrnet.nn.checkpoint.read_checkpoint", None)
    if "/" not in out:
        (folder / out).mkdir(exist_ok=True)
    with pytest.raises(BihrnetError, match="cannot be written"):
        run(folder / "small.ckpt", folder / out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["small.ckpt", "x.tflite"], r"x\.tflite: the file to write must end in \.bhr or \.onnx"),
        (["small.ckpt", "x.bhr", "--precision", "int8"], "int8 needs real crops"),
        (["small.ckpt", "x.bhr", "--calibrate", "images"], "--calibrate applies to"),
        (["small.ckpt", "x.onnx", "--precision", "int8"], "apply to .bhr files"),
        (["small.ckpt", "x.onnx", "--licence", "MIT"], "and --licence apply to .bhr files"),
        (
            ["small.ckpt", "x.bhr", "--precision", "int8", "--calibrate", "nowhere"],
            "nowhere: there is no such folder",
        ),
        (["none.ckpt", "x.bhr"], "none.ckpt"),
        (["small.bhr", "x.onnx"], r"small\.bhr: is already exported"),
    ],
)
def test_mistakes_are_told(folder, monkeypatch, arguments, sentence):
    monkeypatch.chdir(folder)
    with pytest.raises(BihrnetError, match=sentence):
        run(*arguments)

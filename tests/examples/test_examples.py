"""The scripts and the notebook in examples/ run as a reader would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from own_joints import ARMS, write_own_joints

import bihrnet
from bihrnet import nn
from bihrnet.estimate.video import writing_video
from bihrnet.images import read_image
from bihrnet.nn.checkpoint import Checkpoint, read_checkpoint, save_slim_checkpoint
from bihrnet.skeleton import LSP, Skeleton

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
SAMPLE = Path(bihrnet.__file__).parent / "samples" / "person.jpg"
ARCHITECTURE, SIDE = "small-hrnet-w16", 64


def run(script: str, *arguments: object) -> list[str]:
    """The lines that an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_photo_draws_and_prints_the_pose(tmp_path):
    out = tmp_path / "posed.png"
    lines = run("photo.py", SAMPLE, "--out", out)
    assert lines[0].startswith("person 0, score 0.")
    assert [line.split()[0] for line in lines[1:-1]] == list(LSP.keypoints)
    assert lines[-1] == str(out)
    original, drawn = read_image(SAMPLE), read_image(out)
    assert drawn.shape == original.shape
    assert 0.005 < (drawn != original).any(axis=2).mean() < 0.5


def test_video_prints_one_line_of_json_per_frame(tmp_path):
    path = tmp_path / "clip.mp4"
    with writing_video(path, fps=10) as write:
        for _ in range(3):
            write(read_image(SAMPLE))
    frames = [json.loads(line) for line in run("video.py", path)]
    assert [frame["frame"] for frame in frames] == [0, 1, 2]
    assert {frame["poses"][0]["track_id"] for frame in frames} == {1}
    assert np.shape(frames[2]["poses"][0]["keypoints"]) == (len(LSP), 3)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A network for LSP's joints with fresh weights, as a checkpoint to start from."""
    path = tmp_path / "start.ckpt"
    network = nn.build(ARCHITECTURE, len(LSP))
    checkpoint = Checkpoint(ARCHITECTURE, {}, LSP, (SIDE, SIDE), {}, {}, {})
    save_slim_checkpoint(path, network, checkpoint.metadata, half=False)
    return path


def test_finetune_yields_a_model_of_the_new_keypoints(start, tmp_path):
    (tmp_path / "own").mkdir()
    own = write_own_joints(tmp_path / "own")
    options = ("--epochs", 1, "--batch-size", 2, "--out", tmp_path / "runs")
    lines = run("finetune.py", start, own, *options)
    model = bihrnet.load(lines[-1])
    assert model.spec.name == f"{ARCHITECTURE}@own-finetuned"
    assert model.spec.skeleton == Skeleton.from_dict(ARMS)
    # Two steps of a warm-up move weights by less than a fresh network's differ from the start.
    before, after = read_checkpoint(start).weights, read_checkpoint(lines[-1]).weights
    kept = [name for name in before if after[name].shape == before[name].shape]
    assert len(before) - len(kept) == 2  # the last convolution, whose width is the joints'
    convolutions = [name for name in kept if before[name].ndim == 4]
    assert all((after[name] - before[name]).abs().max() < 1e-3 for name in convolutions)


def test_the_stored_outputs_of_the_notebook_are_those_of_a_run():
    path = EXAMPLES / "quickstart.ipynb"
    stored, fresh = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    assert path.stat().st_size < 200_000
    NotebookClient(fresh, timeout=120, resources={"metadata": {"path": EXAMPLES}}).execute()
    cells = [cell for cell in fresh.cells if cell.cell_type == "code"]
    before = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert any(words(cell) for cell in cells)
    assert [words(cell) for cell in before] == [words(cell) for cell in cells]


def words(cell: nbformat.NotebookNode) -> list[tuple[str, list[str], str]]:
    """Kinds and text of a cell's outputs; numbers may differ by rounding between processors."""
    found = []
    for output in cell.outputs:
        data = output.get("data", {"text/plain": output.get("text", "")})
        text = re.sub(r"[\d.]+", "#", data["text/plain"])
        found.append((output.output_type, sorted(data), text))
    return found

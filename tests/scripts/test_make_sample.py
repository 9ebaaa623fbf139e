"""The demo's pictures are those that their script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from bihrnet.images import read_image
from bihrnet.skeleton import COCO

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "src" / "bihrnet" / "samples"


@pytest.fixture(scope="module")
def script():
    path = REPOSITORY / "scripts" / "make_sample.py"
    spec = importlib.util.spec_from_file_location("make_sample", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "count"), [("person", 1), ("people", 3)])
def test_sample_is_what_the_script_draws(script, name, count):
    scene = getattr(script, name)()
    assert len(scene.people) == count
    for person in scene.people:
        assert person.keypoints(COCO)[1].all()
    file = SAMPLES / f"{name}.jpg"
    assert file.stat().st_size < 150_000
    # Not to the bit: JPEG decoders differ.
    assert np.abs(read_image(file).astype(int) - scene.image).mean() < 4


def test_script_writes_all_pictures(script, tmp_path):
    script.main(tmp_path, tmp_path)
    names = ["people.jpg", "person.jpg", "synthetic.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names

"""The picture in the docs is the one that its script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from bihrnet.images import read_image

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_docs_show_what_the_script_draws(tmp_path):
    spec = importlib.util.spec_from_file_location(
        "make_sample", REPOSITORY / "scripts" / "make_sample.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path / "synthetic.jpg")
    drawn = read_image(tmp_path / "synthetic.jpg").astype(int)
    shown = read_image(REPOSITORY / "docs" / "images" / "synthetic.jpg")
    # Not to the bit: NumPy's and OpenCV's rounding may differ between processors.
    assert np.abs(drawn - shown).mean() < 4

"""What the script measures of the values in front of a sign."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from bihrnet.nn.layers.binarize import Sign

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_signs.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_signs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("values", "constancy"), [([0.0, 0.0], 1.0), ([0.0, -1.0], 0.0), ([-1.0, -2.0], 1.0)]
)
def test_a_zero_counts_as_its_sign(script, values, constancy):
    x = torch.tensor(values).reshape(1, 1, 1, 2)
    measures: dict = {}
    script.keep(measures, "stem", Sign(), (x,))
    assert measures["stem"][0][2] == constancy
    assert Sign()(x).mean().abs() == constancy

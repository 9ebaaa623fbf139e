"""The recipe schema: what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tiny_run import tiny_recipe

from bihrnet.errors import BihrnetError


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1, not 0"),
        ({"epoch": 3}, "unknown key 'epoch'; did you mean epochs?"),
        (
            {"optimizer": {"lr": 0.1, "momentum": 1}},
            "unknown key 'optimizer.momentum'; known there",
        ),
        ({"optimizer": {}}, "key 'optimizer.lr' is missing"),
        ({"precision": "fp16"}, "precision: Input should be 'auto', 'bf16' or 'fp32'"),
        ({"schedule": {"name": "multistep"}}, "a multistep schedule needs milestones"),
        ({"schedule": {"name": "multistep", "milestones": [2, 1]}}, "milestones must rise"),
        ({"epochs": 3, "evaluation": {"metric": "AP", "every": 2}}, "multiple of evaluation.every"),
        ({"name": "../elsewhere"}, "name: String should match"),
        ({"seed": -1}, "seed: Input should be greater"),
        ({"binarization": {"activations": "step"}}, "binarization.activations: Input should be"),
        ({"binarization": {"steepness": [0, 4]}}, "binarization.steepness.0: Input should be"),
        ({"binarization": {"weight": "real"}}, "'binarization.weight'; did you mean weights?"),
        ({"teacher": {"architecture": "tiny", "loss": "bce"}}, "takes logits, so it needs loss"),
        ({"optimiser": {"lr": 0.1}}, "key 'optimiser' is now called 'optimizer'"),
        ({"binarisation": {}}, "key 'binarisation' is now called 'binarization'"),
    ],
)
def test_mistakes_are_reported_in_one_sentence_naming_the_key(change, sentence):
    with pytest.raises(BihrnetError, match=r"^tiny: ") as caught:
        tiny_recipe(**change)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def data(**changes: object) -> dict[str, object]:
    return {"train": "lspet", "val": "lspet", "input_size": "64x96", "sigma": 2, **changes}


def test_sizes_and_names_have_a_short_form():
    section = tiny_recipe(data=data()).data
    assert section.input_size == (64, 96)
    assert section.train == ["lspet"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input_size": "64x65"}, "data.input_size.1: Input should be a multiple of 32"),
        ({"input_size": "large"}, "data.input_size"),
        ({"train": []}, "data.train: List should have at least 1 item"),
        (
            {"augmentation": {"scal": 1}},
            "unknown key 'data.augmentation.scal'; did you mean scale?",
        ),
        ({"augmentation": {"flip_probability": 2}}, "augmentation flip_probability is 2"),
    ],
)
def test_mistakes_inside_sections(change, sentence):
    with pytest.raises(BihrnetError, match=r"^tiny: ") as caught:
        tiny_recipe(data=data(**change))
    assert sentence in str(caught.value)


def test_the_schema_needs_no_torch():
    code = "import sys, bihrnet.training.recipe_files; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_recipe_never_changes():
    with pytest.raises(ValueError, match="frozen"):
        tiny_recipe().epochs = 5

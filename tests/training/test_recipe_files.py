"""Recipes as files: inheritance, overrides, and that every bundled one can be built."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from tiny_run import tiny_recipe

from bihrnet import nn
from bihrnet.data import datasets
from bihrnet.errors import BihrnetError
from bihrnet.nn.registry import find
from bihrnet.skeleton import COCO, CROWDPOSE, LSP, MPII
from bihrnet.training.recipe_files import (
    bundled_recipes,
    describe_recipes,
    dump_recipe,
    load_recipe,
)

BUNDLED = bundled_recipes()
SKELETONS = {
    "coco": COCO,
    "crowdpose": CROWDPOSE,
    "mpii": MPII,
    "lsp": LSP,
    "lspet": LSP,
    "synthetic": LSP,
}
#: Of all other data sets PCKh@0.5.
METRICS = {"coco": "AP", "coco/people": "AP", "crowdpose": "AP", "lsp": "PCK@0.2"}


def write(path: Path, **changes: object) -> Path:
    fields = tiny_recipe().model_dump(mode="json")
    del fields["name"]
    path.write_text(yaml.safe_dump({**fields, **changes}))
    return path


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_recipe_can_be_built(name):
    recipe = load_recipe(name)
    assert recipe.model_name == name
    find(recipe.architecture).check_size(recipe.data.input_size)
    assert {
        name.partition("/")[0] for name in (*recipe.data.train, recipe.data.val)
    } <= datasets().keys()
    assert recipe.evaluation.metric == METRICS.get(recipe.data.val, "PCKh@0.5")
    assert recipe.teacher is None or recipe.teacher.checkpoint is None
    assert not Path(recipe.initialize_from or "").is_absolute()
    joints = len(SKELETONS[recipe.data.val.partition("/")[0]])
    check_network(recipe.architecture, joints, *recipe.options.items())
    if recipe.teacher is not None:
        check_network(recipe.teacher.architecture, joints, *recipe.teacher.options.items())


@cache
def check_network(architecture: str, joints: int, *options: tuple[str, object]) -> None:
    with torch.device("meta"):
        network = nn.build(architecture, joints, **dict(options)).eval()
        assert network(torch.empty(1, 3, 64, 128)).shape == (1, joints, 16, 32)


def test_a_second_stage_begins_where_the_first_one_ends():
    for name in BUNDLED:
        recipe = load_recipe(name)
        start = recipe.initialize_from or ""
        if start.endswith("-real-weights/best.ckpt"):
            first = load_recipe(Path(start).parent.name)
            assert start == f"runs/{first.model_name}/best.ckpt"
            assert first.binarization.weights == "real"
            assert recipe.binarization.weights == "binary"
            for key in ("architecture", "options", "data", "optimizer", "epochs"):
                assert getattr(recipe, key) == getattr(first, key), name


def test_bundled_recipes_describe_what_they_stand_for():
    descriptions = describe_recipes()
    assert descriptions.keys() == BUNDLED.keys()
    assert len(BUNDLED) > 100
    for name, description in descriptions.items():
        assert 10 < len(description) < 110, name
        assert "\n" not in description, name
    assert len(set(descriptions.values())) == len(descriptions)


def test_bundled_recipes_lie_in_the_folder_of_their_data_set():
    folders = {path.parent.name for path in BUNDLED.values()}
    assert folders == {"coco", "crowdpose", "lsp", "lspet", "mpii", "people", "synthetic"}
    for name, path in BUNDLED.items():
        assert name.partition("@")[2].startswith(path.parent.name)


def test_a_dumped_recipe_reads_back_unchanged(tmp_path):
    for name in BUNDLED:
        recipe = load_recipe(name)
        path = tmp_path / "again.yaml"
        path.write_text(dump_recipe(recipe))
        assert load_recipe(path) == recipe


def test_a_recipe_extends_another(tmp_path):
    write(tmp_path / "base.yaml", epochs=7)
    (tmp_path / "child.yaml").write_text(
        "extends: base.yaml\noptimizer: {name: adamw}\nloss: mse\n"
    )
    recipe = load_recipe(tmp_path / "child.yaml")
    assert (recipe.name, recipe.epochs, recipe.loss) == ("child", 7, "mse")
    assert (recipe.optimizer.name, recipe.optimizer.lr) == ("adamw", 0.01)


def test_inheritance_has_one_level(tmp_path):
    write(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    (tmp_path / "c.yaml").write_text("extends: b.yaml\n")
    with pytest.raises(BihrnetError, match=r"b\.yaml.* cannot itself extend"):
        load_recipe(tmp_path / "c.yaml")


def test_a_missing_base_is_named(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: nowhere.yaml\n")
    with pytest.raises(BihrnetError, match=r"a\.yaml: extends nowhere\.yaml.*lspet/base\.yaml"):
        load_recipe(tmp_path / "a.yaml")


def test_a_recipe_of_ones_own_extends_a_bundled_base(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "extends: lspet/base.yaml\narchitecture: bihrnet-w16\nloss: mse\nepochs: 3\n"
    )
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert (recipe.epochs, recipe.data.train) == (
        3,
        load_recipe("bihrnet-w16@lspet-128x128").data.train,
    )


def test_a_wrong_override_is_named_itself(tmp_path):
    path = write(tmp_path / "a.yaml")
    for override in ("optimizer.lr=abc", "epochs=-1", "foo=1", "optimizer={lr: -1}"):
        with pytest.raises(BihrnetError) as caught:
            load_recipe(path, ["seed=3", override])
        assert str(caught.value).startswith(f"{override}: ")


@pytest.mark.parametrize("override", ["optimiser.lr=1e-3", "binarisation={weights: real}"])
def test_an_old_key_in_an_override_is_named(tmp_path, override):
    with pytest.raises(BihrnetError, match=r"is now called '(optimizer|binarization)'") as caught:
        load_recipe(write(tmp_path / "a.yaml"), [override])
    assert str(caught.value).startswith(f"{override}: ")


def test_overrides_reach_into_sections_and_are_yaml(tmp_path):
    path = write(tmp_path / "a.yaml")
    recipe = load_recipe(
        path,
        [
            "optimizer.lr=3e-3",
            "data.input_size=64x96",
            "clip_gradients=null",
            "data.augmentation.scale=0.1",
            "teacher={architecture: hrnet-w32}",
            "name=other",
        ],
    )
    assert recipe.optimizer.lr == 0.003
    assert recipe.data.input_size == (64, 96)
    assert recipe.clip_gradients is None
    assert recipe.data.augmentation.scale == 0.1
    assert recipe.data.augmentation.rotation == 30
    assert recipe.teacher is not None
    assert recipe.name == "other"


@pytest.mark.parametrize("override", ["epochs", "=3", "optimizer..lr=1", "epochs=[1"])
def test_malformed_overrides_are_refused(tmp_path, override):
    with pytest.raises(BihrnetError, match=r"key=value|not valid YAML"):
        load_recipe(write(tmp_path / "a.yaml"), [override])


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "", "a: \x00"])
def test_what_is_no_recipe_is_named(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(BihrnetError, match=r"a\.yaml: ") as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(BihrnetError, match="hrnet-w32@lspet-128x128"):
        load_recipe("hrnet-w23@lspet-128x128")


@pytest.mark.parametrize("name", ["nofile.yaml", "runs/hrnet-w32@mine/recipe.yml"])
def test_a_missing_file_is_named(name):
    with pytest.raises(BihrnetError, match=rf"^{name}: there is no such file$"):
        load_recipe(name)


def test_a_bundled_name_needs_no_ending():
    with pytest.raises(BihrnetError, match=r"did you mean hrnet-w32@lspet-128x128"):
        load_recipe("hrnet-w32@lspet-128x128.yaml")


@pytest.mark.parametrize(
    ("name", "batch_size"),
    [
        ("lite-hrnet-18@coco-256x192", 8 * 64),
        ("lite-hrnet-30@coco-256x192", 8 * 64),
        ("lite-hrnet-18@coco-384x288", 8 * 32),
        ("lite-hrnet-30@mpii-256x256", 8 * 32),
        ("dite-hrnet-30@coco-256x192", 8 * 32),
        ("hrnet-w32@coco-256x192", 4 * 32),
        ("hrnet-w32@coco-384x288", 4 * 32),
        ("hrnet-w32@mpii-256x256-pretrained", 4 * 32),
    ],
)
def test_batches_of_published_code_are_as_large_as_there(name, batch_size):
    assert load_recipe(name).batch_size == batch_size

"""Progressive binarization and real-valued weights: by steps, in whole runs, and resumed."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest
import torch
from test_run import differences, load
from tiny_run import TinyNet, TinyRealNet, at_step, draw_people, tiny_recipe, use_tiny

from bihrnet.errors import BihrnetError
from bihrnet.nn import latent_parameters
from bihrnet.nn.layers.binarize import Sign
from bihrnet.training.binarization import BinarizationSchedule
from bihrnet.training.module import PoseTraining
from bihrnet.training.options import RunOptions
from bihrnet.training.recipe import BinarizationSection
from bihrnet.training.run import train

PROGRESSIVE = {"activations": "tanh", "steepness": [1, 100]}


def schedule(network: torch.nn.Module, steps: int = 21, **fields: object) -> BinarizationSchedule:
    return BinarizationSchedule(network, BinarizationSection(**fields), steps)


def train_here(out: Path, *, resume: bool = False, **recipe: object) -> Path:
    options = RunOptions(data=Path(), out=out, resume=resume, workers=0)
    return train(tiny_recipe(**recipe), options)


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch.setattr)


def test_steepness_grows_geometrically_from_the_first_step_to_the_last():
    progress = schedule(TinyNet(14), **PROGRESSIVE)
    values = [progress.steepness(step) for step in range(21)]
    assert values[0] == 1
    assert values[10] == pytest.approx(10)
    assert values[20] == pytest.approx(100)
    ratios = [after / before for before, after in itertools.pairwise(values)]
    assert ratios == pytest.approx([100 ** (1 / 20)] * 20)


def test_the_papers_end_is_the_default():
    assert schedule(TinyNet(14), activations="softsign").steepness(20) == 2**16


def test_a_step_sets_what_all_signs_take():
    network = TinyNet(14)
    (sign,) = (module for module in network.modules() if isinstance(module, Sign))
    progress = schedule(network, **PROGRESSIVE)
    x = torch.tensor([-0.5, 0.5])
    torch.testing.assert_close(sign(x), x.tanh())
    progress.advance(10)
    torch.testing.assert_close(sign(x), (10 * x).tanh())


def test_a_run_of_one_step_starts_at_the_first_steepness():
    assert schedule(TinyNet(14), 1, **PROGRESSIVE).steepness(0) == 1


def test_without_a_section_nothing_changes():
    network = TinyNet(14)
    schedule(network).advance(0)
    assert all(module.smoothing is None for module in network.modules() if isinstance(module, Sign))
    assert len(latent_parameters(network)) == 1


def test_a_network_without_binary_layers_is_refused():
    with pytest.raises(BihrnetError, match="no binary layers"):
        schedule(TinyRealNet(14), weights="real")


def test_the_module_goes_on_with_it_and_evaluates_the_exact_sign():
    network = TinyNet(14)
    PoseTraining(tiny_recipe(binarization=PROGRESSIVE), network, 5, draw_people(4, seed=0))
    (sign,) = (module for module in network.modules() if isinstance(module, Sign))
    x = torch.tensor([-0.5, 0.5])
    assert sign.eval()(x).tolist() == [-1, 1]


@pytest.mark.usefixtures("_tiny")
def test_every_step_of_a_run_has_its_steepness_also_when_it_is_resumed(tmp_path, monkeypatch):
    recipe = {"binarization": PROGRESSIVE, "epochs": 2}
    seen: list[tuple[int, float]] = []
    training_step = PoseTraining.training_step

    def noting(self: PoseTraining, batch: dict, batch_idx: int) -> dict[str, torch.Tensor]:
        outputs = training_step(self, batch, batch_idx)
        (sign,) = (module for module in self.network.modules() if isinstance(module, Sign))
        seen.append((self.global_step, float(sign.smoothing.steepness)))
        return outputs

    monkeypatch.setattr(PoseTraining, "training_step", noting)
    whole = train_here(tmp_path / "whole", **recipe)
    expected = [(step, pytest.approx(100 ** (step / 9))) for step in range(10)]
    assert seen == expected

    seen.clear()
    at_step(6, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train_here(tmp_path / "stopped", **recipe)
    monkeypatch.setattr(PoseTraining, "training_step", noting)
    resumed = train_here(tmp_path / "stopped", resume=True, **recipe)
    assert sorted(seen) == expected
    assert differences(load(whole / "last.ckpt"), load(resumed / "last.ckpt")) == []


@pytest.mark.usefixtures("_tiny")
def test_the_second_stage_starts_from_the_real_weights_of_the_first(tmp_path, caplog):
    first = train_here(tmp_path, name="first", epochs=1, binarization={"weights": "real"})
    weights = load(first / "best.ckpt")["state_dict"]
    start = str(first / "best.ckpt")
    with caplog.at_level("INFO", "bihrnet"):
        train_here(tmp_path, name="second", epochs=1, initialize_from=start)
    assert f"initialized from {start}: {len(weights)} of {len(weights)} tensors" in caplog.text

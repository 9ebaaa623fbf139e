"""A small binary hourglass really learns: it finds colored dots that it has been shown."""

from __future__ import annotations

import pytest
import torch
from tiny_run import SIDE, draw_people, tiny_recipe

from bihrnet.data.top_down import TopDownDataset
from bihrnet.nn.models.binary_hourglass import BinaryLayers
from bihrnet.nn.models.hourglass import StackedHourglass
from bihrnet.training.batches import validation_batches
from bihrnet.training.module import PoseTraining

PEOPLE = draw_people(8, seed=1)


class NarrowLayers(BinaryLayers):
    channels = 32


@pytest.mark.parametrize(
    ("stacks", "act", "loss", "rate"), [(1, "prelu", "bce", 2e-2), (2, "relu", "mse", 3e-3)]
)
def test_a_binary_hourglass_learns(stacks: int, act: str, loss: str, rate: float) -> None:
    torch.manual_seed(0)
    layers = NarrowLayers("hierarchical", act, "ste", join_real=False)  # type: ignore[arg-type]
    network = StackedHourglass(14, stacks, 2, layers)
    module = PoseTraining(tiny_recipe(loss=loss), network, 5, PEOPLE)
    dataset = TopDownDataset(PEOPLE, (SIDE, SIDE), 1.0)
    loader = validation_batches(dataset, len(PEOPLE), rank=0, processes=1, workers=0)
    batch = next(iter(loader))
    optimizer = torch.optim.Adam(network.parameters(), rate)
    losses = []
    for step in range(120):
        loss_now = module.training_step(batch, step)["loss"]
        optimizer.zero_grad()
        loss_now.backward()
        optimizer.step()
        losses.append(loss_now.item())
    assert losses[-1] < 0.6 * losses[0]
    with torch.no_grad():
        heatmaps = network.eval()(module._normalize(batch["crop"]))
    found, true = (maps.flatten(2).argmax(2) for maps in (heatmaps, batch["target"]))
    assert (found == true).float().mean() > 0.3  # by chance 1/64

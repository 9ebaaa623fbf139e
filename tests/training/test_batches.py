"""Batches follow from (seed, step): processes, workers and restarts change nothing."""

from __future__ import annotations

import pytest
import torch
from tiny_run import draw_people

from bihrnet.data.augmentation import Augmentation
from bihrnet.data.top_down import TopDownDataset
from bihrnet.errors import BihrnetError
from bihrnet.training.batches import TrainBatches, validation_batches


def dataset(count: int = 22) -> TopDownDataset:
    augmentation = Augmentation(scale=0.2, rotation=30, rotation_probability=0.5)
    return TopDownDataset(draw_people(count, 0), (32, 32), 1.0, augmentation, seed=3)


def batches(step: int = 0, **arguments: int) -> list[dict[str, torch.Tensor]]:
    return list(TrainBatches(dataset(), 4, 3, lambda: step, **arguments))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_an_epoch_shows_nobody_twice_and_drops_the_incomplete_batch():
    epoch = batches()
    seen = torch.cat([batch["index"] for batch in epoch]).tolist()
    assert [len(batch["index"]) for batch in epoch] == [4] * 5
    assert len(set(seen)) == 20


def test_epochs_differ_in_order_and_augmentation():
    first, second = batches(0), batches(5)
    assert [b["index"].tolist() for b in first] != [b["index"].tolist() for b in second]
    crops = [
        {int(i): crop for b in epoch for i, crop in zip(b["index"], b["crop"], strict=True)}
        for epoch in (first, second)
    ]
    both = crops[0].keys() & crops[1].keys()
    assert any(not torch.equal(crops[0][index], crops[1][index]) for index in both)


def test_a_restart_goes_on_in_the_middle_of_an_epoch():
    whole, rest = batches(5), batches(7)
    assert len(rest) == 3
    assert all(map(same, whole[2:], rest))


def test_worker_processes_change_nothing():
    assert all(map(same, batches(5), batches(5, workers=2)))


def test_processes_share_each_global_batch():
    whole = batches(5)
    shares = [batches(5, rank=rank, processes=2) for rank in range(2)]
    for batch, *parts in zip(whole, *shares, strict=True):
        for rank, part in enumerate(parts):
            assert same({key: value[rank::2] for key, value in batch.items()}, part)


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    batches()
    assert torch.equal(before, torch.get_rng_state())


def test_mistakes_are_told():
    with pytest.raises(BihrnetError, match="more than the 3 people"):
        TrainBatches(dataset(3), 4, 0, lambda: 0)
    with pytest.raises(BihrnetError, match="divided equally among 3 processes"):
        TrainBatches(dataset(), 4, 0, lambda: 0, processes=3)


def test_validation_visits_everybody_once_on_any_number_of_processes():
    for processes in (1, 3):
        seen = [
            index
            for rank in range(processes)
            for batch in validation_batches(dataset(), 6, rank=rank, processes=processes, workers=0)
            for index in batch["index"].tolist()
        ]
        assert sorted(seen) == list(range(22))

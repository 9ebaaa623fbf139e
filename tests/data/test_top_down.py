from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bihrnet import heatmap
from bihrnet.data import PeopleDataset, Person
from bihrnet.data.augmentation import Augmentation
from bihrnet.data.top_down import TopDownDataset
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import LSP

SIZE = (128, 96)
AUGMENTATION = Augmentation(
    scale=0.3, rotation=40, rotation_probability=0.6, flip_probability=0.5, color_jitter=0.2
)


@pytest.fixture
def people():
    rng = np.random.default_rng(3)
    return PeopleDataset(
        "made",
        "train",
        LSP,
        [
            Person.from_box(
                [20, 20, 60, 80],
                image=rng.integers(0, 256, (120, 110, 3), dtype=np.uint8),
                image_id=index,
                instance_id=index,
                keypoints=rng.uniform(20, 80, (14, 2)).astype(np.float32),
                visible=(np.arange(14) != index).astype(np.float32),
            )
            for index in range(8)
        ],
    )


def crops(dataset):
    return torch.stack([dataset[index]["crop"] for index in range(len(dataset))])


def test_sample(people):
    sample = TopDownDataset(people, SIZE, sigma=2)[1]
    assert sample["index"] == 1
    assert (sample["crop"].shape, sample["crop"].dtype) == ((128, 96, 3), torch.uint8)
    assert (sample["target"].shape, sample["target"].dtype) == ((14, 32, 24), torch.float32)
    assert sample["weight"].tolist() == [1, 0] + [1] * 12
    person = people.people[1]
    crop = person.crop(SIZE)
    np.testing.assert_array_equal(sample["crop"], crop.warp(person.image))
    peaks, scores = heatmap.decode(sample["target"].numpy()[None])
    assert scores[0].tolist() == sample["weight"].tolist()
    error = np.abs(crop.to_image(peaks[0] * 4) - person.keypoints)[person.visible > 0]
    assert error.max() <= 4 * crop.size[0] / SIZE[1]


def test_labels_count_by_their_weight(people):
    weights = np.linspace(0.1, 1, 14, dtype=np.float32)
    weighted = replace(people, people=[replace(people.people[1], weights=weights)])
    expected = np.where(np.arange(14) == 1, 0, weights)
    np.testing.assert_array_equal(TopDownDataset(weighted, SIZE, sigma=2)[0]["weight"], expected)


def test_samples_depend_on_seed_epoch_and_index_alone(people):
    dataset = TopDownDataset(people, SIZE, 2, AUGMENTATION, seed=11)
    first = crops(dataset)
    assert torch.equal(first, crops(TopDownDataset(people, SIZE, 2, AUGMENTATION, seed=11)))
    assert not torch.equal(first, crops(TopDownDataset(people, SIZE, 2, AUGMENTATION, seed=12)))
    dataset.set_epoch(1)
    assert not torch.equal(first, crops(dataset))
    dataset.set_epoch(0)
    assert torch.equal(first, crops(dataset))


def test_workers_that_outlive_an_epoch_see_the_next(people):
    dataset = TopDownDataset(people, SIZE, 2, AUGMENTATION)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, persistent_workers=True)
    for epoch in range(2):
        dataset.set_epoch(epoch)
        loaded = torch.cat([batch["crop"] for batch in loader])
        assert torch.equal(loaded, crops(dataset))


def test_broken_image_is_named(people, tmp_path):
    (tmp_path / "half.jpg").write_bytes(b"\xff\xd8\xff")
    person = Person.from_box(
        [0, 0, 10, 10],
        image=tmp_path / "half.jpg",
        image_id=0,
        instance_id=0,
        keypoints=np.zeros((14, 2), np.float32),
        visible=np.zeros(14, np.float32),
    )
    with pytest.raises(BihrnetError, match=r"half\.jpg"):
        TopDownDataset(PeopleDataset("made", "train", LSP, [person]), SIZE, 2)[0]

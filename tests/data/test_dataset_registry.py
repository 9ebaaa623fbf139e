from __future__ import annotations

import pytest
from data_layouts import write_coco

from bihrnet.data import datasets, find_dataset, load_dataset
from bihrnet.data import registry as registry_module
from bihrnet.data.people import PeopleDataset
from bihrnet.data.registry import register
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.protocols import PROTOCOLS
from bihrnet.skeleton import COCO, LSP


@pytest.fixture
def empty(monkeypatch):
    monkeypatch.setattr(registry_module, "_DATASETS", {})


def test_every_data_set_states_what_others_ask_of_it():
    assert {"coco", "mpii", "lsp", "lspet", "crowdpose", "synthetic"} <= set(datasets())
    for name, entry in datasets().items():
        assert entry.name == name
        assert entry.splits
        assert entry.protocol in PROTOCOLS
    assert [name for name, entry in datasets().items() if entry.detections] == ["coco", "crowdpose"]
    assert datasets()["mpii"].protocol == "mpii"


def test_what_is_loaded_has_the_registered_protocol(tmp_path):
    assert load_dataset("coco", write_coco(tmp_path)).protocol == "coco"
    assert load_dataset("synthetic").protocol == "pck"


def test_a_new_data_set_is_one_decorated_function(empty, tmp_path):
    @register("mine", splits=("val", "train"), skeleton=LSP, protocol="mpii", detections=True)
    def load_mine(root, split, boxes=None):
        return PeopleDataset("mine", f"{root.name} {split} {boxes}", LSP, [])

    dataset = load_dataset("mine", tmp_path, boxes="boxes.json")
    assert dataset.split == f"{tmp_path.name} val boxes.json"
    assert dataset.protocol == "mpii"
    with pytest.raises(BihrnetError, match="'mine' has a skeleton of its own, not 'coco-17'"):
        load_dataset("mine", tmp_path, skeleton=COCO)
    with pytest.raises(ValueError, match="registered twice"):
        register("mine", splits=("val",), skeleton=LSP)(load_mine)


def test_data_that_is_drawn_gets_no_folder(empty):
    @register("drawn", splits=("val",), skeleton=LSP, own_skeleton=True, on_disk=False)
    def load_drawn(split, skeleton=LSP):
        return PeopleDataset("drawn", split, skeleton, [])

    assert find_dataset("drawn").load(skeleton=COCO).skeleton is COCO

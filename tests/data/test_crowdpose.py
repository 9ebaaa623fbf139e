from __future__ import annotations

import json

import pytest
from data_layouts import coco_content, write_images

from bihrnet.data import load_dataset
from bihrnet.skeleton import CROWDPOSE


@pytest.mark.parametrize("folder", ["json", "annotations", "."])
def test_layout(tmp_path, folder):
    content = coco_content()
    content["categories"][0]["keypoints"] = [*CROWDPOSE.keypoints[:12], "head", "neck"]
    content["images"][0]["crowdIndex"] = 0.33
    for annotation in content["annotations"]:
        annotation["keypoints"] = annotation["keypoints"][:42]
        del annotation["area"]
    write_images(tmp_path / "images", ["seven.jpg", "nine.jpg"])
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "crowdpose_test.json").write_text(json.dumps(content))

    dataset = load_dataset("crowdpose", tmp_path)
    assert (dataset.split, len(dataset), dataset.skeleton) == ("test", 2, CROWDPOSE)


def test_sample_photographs(shared_data):
    folder = shared_data / "samples" / "crowdpose"
    path = folder / "test_crowdpose.json"
    assert len(load_dataset("crowdpose", path)) == 4  # of 5 one has no labeled joint
    detected = load_dataset("crowdpose", path, boxes=folder / "test_crowdpose_det_AP_40.json")
    assert len(detected) == 6
    assert len({person.image for person in detected.people}) == 2

from __future__ import annotations

import json

import numpy as np
import pytest
from data_layouts import coco_content, write_coco, write_images

from bihrnet.data import load_person_boxes
from bihrnet.errors import BihrnetError


def test_boxes_of_everybody_by_image(tmp_path):
    content = coco_content()
    content["images"].append({"id": 11, "file_name": "nobody.jpg", "height": 60, "width": 50})
    content["annotations"] += [
        {"id": 5, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4]},  # no keypoints
        {"id": 6, "image_id": 9, "category_id": 3, "bbox": [5, 5, 5, 5]},  # not a person
        {"id": 7, "image_id": 9, "category_id": 1, "bbox": [5, 5, 0, 5]},  # empty
    ]
    write_images(tmp_path / "val2017", ["nobody.jpg"])
    seven, nine, nobody = load_person_boxes(write_coco(tmp_path, content))
    assert seven.image == tmp_path / "val2017" / "seven.jpg"
    assert (seven.image_id, seven.image_size) == (7, (80, 100))
    np.testing.assert_array_equal(seven.boxes, [[10, 20, 40, 50]] * 3)
    assert seven.crowd.tolist() == [False, True, False]
    np.testing.assert_array_equal(nine.boxes, [[-10, 5, 50, 200], [1, 2, 3, 4]])
    assert nine.boxes.dtype == np.float32
    assert nobody.boxes.shape == (0, 4)
    assert nobody.crowd.shape == (0,)
    assert nobody.image_size == (60, 50)


def test_files_without_keypoints_have_cocos_category_of_people(tmp_path):
    content = coco_content()
    del content["categories"]
    assert len(load_person_boxes(write_coco(tmp_path, content))[1].boxes) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["annotations"][1].update(image_id=8), r"annotations\[1\]: refers to image 8"),
        (lambda c: c["images"][0].pop("height"), r"images\[0\]\.height: Field required"),
        (lambda c: c.update(images=[], annotations=[]), "lists no images"),
        (lambda c: c["images"][0].update(file_name="gone.jpg"), "first 'gone.jpg'"),
    ],
)
def test_broken_annotations_name_file_and_entry(tmp_path, change, sentence):
    content = coco_content()
    change(content)
    with pytest.raises(BihrnetError, match=sentence):
        load_person_boxes(write_coco(tmp_path, content))


def test_people(shared_data):
    root = shared_data / "people"
    if not root.is_dir():
        pytest.skip("needs shared/data/people")
    images = load_person_boxes(root, "val")
    annotations = root / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(annotations.read_bytes())
    assert len(images) == len(content["images"])
    assert sum(len(image.boxes) for image in images) == len(content["annotations"])
    assert any(image.crowd.any() for image in images)

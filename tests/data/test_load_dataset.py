"""`load_dataset`, and that no broken file gets past it but as one sentence."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
import scipy.io
from data_layouts import (
    coco_content,
    mpii_entry,
    mpii_rect,
    write_coco,
    write_images,
    write_mpii_mat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bihrnet.data import datasets, load_dataset
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import LSP

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.lists(st.floats(), max_size=5),
)


def load(*arguments, **options):
    """True where the data set loads; a `BihrnetError` of one line is the only other way out."""
    try:
        return len(load_dataset(*arguments, **options)) > 0
    except BihrnetError as error:
        sentence = str(error)
    assert sentence.strip()
    assert "\n" not in sentence
    return False


def broken(content, data):
    """The content with one entry, anywhere in it, removed or replaced by junk."""
    content = copy.deepcopy(content)
    node = content
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        deeper = isinstance(node[key], (dict, list)) and len(node[key]) > 0
        if deeper and data.draw(st.integers(0, 9)) > 0:
            node = node[key]
            continue
        if data.draw(st.booleans()):
            del node[key]
        else:
            node[key] = data.draw(JUNK)
        return content


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_broken_coco(data, tmp_path_factory):
    root = write_coco(tmp_path_factory.getbasetemp() / "broken_coco", broken(coco_content(), data))
    load("coco", root)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_broken_detections(data, tmp_path_factory):
    root = tmp_path_factory.getbasetemp() / "broken_boxes"
    box = {"image_id": 9, "category_id": 1, "bbox": [-5.5, 2, 20, 30], "score": 0.25}
    boxes = write_coco(root) / "boxes.json"
    boxes.write_text(json.dumps(broken([box, box], data)))
    load("coco", root, boxes=boxes)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_broken_mpii(data, tmp_path_factory):
    root = tmp_path_factory.getbasetemp() / "broken_mpii"
    write_images(root / "images", ["a.jpg"])
    path = root / "test.json"
    path.write_text(json.dumps(broken([mpii_entry(), mpii_entry()], data)))
    load("mpii", path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 10_000, b'{"images": {}}', b"NaN"],
)
@pytest.mark.parametrize("name", ["coco", "crowdpose", "mpii"])
def test_no_annotations_at_all(tmp_path, name, content):
    path = tmp_path / "test.json"
    path.write_bytes(content)
    assert not load(name, path)


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_truncated_files(tmp_path, share):
    root = write_coco(tmp_path / "coco")
    path = root / "annotations" / "person_keypoints_val2017.json"
    write_mpii_mat(tmp_path / "mpii", ("a.jpg", mpii_rect()), ("b.jpg", mpii_rect()))
    mat = tmp_path / "mpii" / "mpii_human_pose_v1_u12_1.mat"
    for file in (path, mat):
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])
    assert not load("coco", root)
    assert not load("mpii", tmp_path / "mpii", "train")
    (tmp_path / "joints.mat").write_bytes(mat.read_bytes())
    assert not load("lspet", tmp_path)


def test_mat_without_the_variable(tmp_path):
    scipy.io.savemat(tmp_path / "joints.mat", {"points": [1]})
    with pytest.raises(BihrnetError, match=r"joints\.mat: has no variable 'joints'"):
        load_dataset("lsp", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("caco", "."), "no data set 'caco'; known: coco, crowdpose, lsp, lspet, mpii, synthetic"),
        (("coco", ".", "test"), "data set 'coco' has no split 'test', only val, train"),
        (("coco", None), "data set 'coco' needs the folder it is in, but none was given"),
        (("lsp", "/nowhere/lsp"), "but /nowhere/lsp does not exist"),
        (("mpii", ".", "val", "boxes.json"), "'mpii' is evaluated on its own boxes"),
        (("mpii", ".", "val", None, LSP), "'mpii' has a skeleton of its own, not 'lsp-14'"),
    ],
)
def test_mistakes(arguments, sentence):
    with pytest.raises(BihrnetError, match=sentence):
        load_dataset(*arguments)


@pytest.mark.parametrize("name", [name for name, entry in datasets().items() if entry.on_disk])
def test_empty_folder(tmp_path, name):
    with pytest.raises(BihrnetError, match=f"not found: expected {tmp_path}"):
        load_dataset(name, tmp_path)


def test_loading_needs_no_torch():
    code = "import bihrnet.data, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

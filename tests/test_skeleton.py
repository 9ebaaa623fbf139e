from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, CROWDPOSE, LSP, MPII, SKELETONS, Skeleton, load_skeleton

PUBLISHED = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)

HAND_YAML = """
name: hand-4
keypoints: [left_thumb, right_thumb, left_index, wrist]
flip_pairs: [[left_thumb, right_thumb]]
limbs: [[wrist, left_thumb], [wrist, 1]]
sigmas: [0.03, 0.03, 0.04, 0.05]
upper_body: [left_thumb, right_thumb]
"""


def test_published_skeletons_have_the_published_order() -> None:
    assert [len(skeleton) for skeleton in (COCO, MPII, LSP, CROWDPOSE)] == [17, 16, 14, 14]
    assert COCO.keypoints[0] == "nose"
    assert COCO.keypoints[15:] == ("left_ankle", "right_ankle")
    assert MPII.keypoints[6:10] == ("pelvis", "thorax", "neck", "head_top")
    assert LSP.keypoints[0] == "right_ankle"
    assert LSP.keypoints[12:] == ("neck", "head_top")
    assert CROWDPOSE.keypoints[12:] == ("head_top", "neck")


def test_sigmas_of_coco_and_crowdpose_are_the_official_ones() -> None:
    coco = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
    crowdpose = [79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89, 79, 79]
    np.testing.assert_allclose(COCO.sigmas, np.array(coco) / 1000)
    np.testing.assert_allclose(CROWDPOSE.sigmas, np.array(crowdpose) / 1000)


@PUBLISHED
def test_mirroring_twice_changes_nothing_and_swaps_left_with_right(skeleton: Skeleton) -> None:
    order = skeleton.flip_permutation
    assert (order[order] == np.arange(len(skeleton))).all()
    for joint, name in enumerate(skeleton.keypoints):
        swapped = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert skeleton.keypoints[order[joint]] == swapped


@PUBLISHED
def test_upper_and_lower_body_share_out_the_joints(skeleton: Skeleton) -> None:
    assert sorted((*skeleton.upper_body, *skeleton.lower_body)) == list(range(len(skeleton)))
    for joint in skeleton.lower_body:
        assert skeleton.keypoints[joint].split("_")[-1] in {"hip", "knee", "ankle", "pelvis"}


@PUBLISHED
def test_limbs_join_all_keypoints(skeleton: Skeleton) -> None:
    reached = {joint for limb in skeleton.limbs for joint in limb}
    assert reached == set(range(len(skeleton)))


@PUBLISHED
def test_dictionary_and_yaml_round_trip(skeleton: Skeleton) -> None:
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton
    assert Skeleton.from_dict(yaml.safe_load(yaml.safe_dump(skeleton.to_dict()))) == skeleton
    assert load_skeleton(skeleton.name) is skeleton


def test_index_by_name() -> None:
    assert LSP.index("neck") == 12
    with pytest.raises(BihrnetError, match="'lsp-14' has no keypoint 'tail'"):
        LSP.index("tail")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"keypoints": (), "sigmas": ()}, "no keypoints"),
        ({"keypoints": ("neck",) * 14}, "twice"),
        ({"sigmas": LSP.sigmas[1:]}, "one sigma .* for each of its 14"),
        ({"sigmas": (0.0, *LSP.sigmas[1:])}, "between 0 and 1"),
        ({"sigmas": (float("nan"), *LSP.sigmas[1:])}, "between 0 and 1"),
        ({"limbs": ((0, 14),)}, "does not have"),
        ({"flip_pairs": ((-1, 2),)}, "does not have"),
        ({"upper_body": (14,)}, "does not have"),
        ({"flip_pairs": ((0, 5), (5, 1))}, "two flip pairs"),
    ],
)
def test_a_malformed_skeleton_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(BihrnetError, match=complaint):
        replace(LSP, **change)


def test_own_skeleton_from_yaml_by_joint_names(tmp_path) -> None:
    path = tmp_path / "hand.yaml"
    path.write_text(HAND_YAML)
    hand = load_skeleton(path)
    assert hand.name == "hand-4"
    assert hand.flip_pairs == ((0, 1),)
    assert hand.limbs == ((3, 0), (3, 1))
    assert hand.upper_body == (0, 1)
    assert hand.lower_body == (2, 3)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[1, 2", "while parsing"),
        ("just text", "exactly the fields"),
        (HAND_YAML.replace("sigmas: [0.03, 0.03, 0.04, 0.05]", ""), "exactly the fields"),
        (HAND_YAML + "color: red\n", "exactly the fields"),
        (HAND_YAML.replace("[wrist, 1]", "[wrist, tail]"), "tail"),
        (HAND_YAML.replace("0.05]", "big]"), "could not convert"),
        (HAND_YAML.replace("[[left_thumb, right_thumb]]", "7"), "cannot be read"),
    ],
)
def test_a_broken_yaml_is_one_sentence_naming_the_file(tmp_path, content, complaint) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(BihrnetError, match=complaint) as caught:
        load_skeleton(path)
    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BihrnetError, match=r"binary\.yaml"):
        load_skeleton(path)


def test_unknown_name_tells_the_known_ones() -> None:
    with pytest.raises(BihrnetError, match=r"no skeleton 'spider': neither a YAML file .*lsp-14"):
        load_skeleton("spider")

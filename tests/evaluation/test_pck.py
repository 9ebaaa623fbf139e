from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.evaluation.pck import pck, segment_lengths, segment_pck
from bihrnet.skeleton import COCO, LSP, MPII

seeds = st.integers(0, 2**32 - 1)


def people(seed: int, count: int = 20, joints: int = 14):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 200, (count, joints, 2))
    predictions = truth + rng.normal(0, 15, truth.shape)
    visible = (rng.random((count, joints)) < 0.8).astype(np.float32)
    reference = np.where(rng.random(count) < 0.2, np.nan, rng.uniform(20, 80, count))
    return predictions, truth, visible, reference


@given(seeds, st.floats(0.05, 1))
def test_counts_joint_by_joint(seed: int, threshold: float) -> None:
    predictions, truth, visible, reference = people(seed)
    result = pck(predictions, truth, visible, reference, threshold)
    hits, counts, left_out = [0] * 14, [0] * 14, 0
    for person in range(20):
        if np.isnan(reference[person]):
            left_out += 1
            continue
        for joint in range(14):
            if visible[person, joint]:
                error = np.linalg.norm(predictions[person, joint] - truth[person, joint])
                counts[joint] += 1
                hits[joint] += error <= threshold * reference[person]
    assert result.hits.tolist() == hits
    assert result.counts.tolist() == counts
    assert (result.instances, result.left_out) == (20 - left_out, left_out)
    if sum(counts):
        assert result.total() == pytest.approx(100 * sum(hits) / sum(counts))


@given(seeds, st.floats(0.01, 100), st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
def test_the_size_and_place_of_the_picture_do_not_matter(seed, scale, shift) -> None:
    predictions, truth, visible, reference = people(seed)
    before = pck(predictions, truth, visible, reference, 0.5)
    after = pck(predictions * scale + shift, truth * scale + shift, visible, reference * scale, 0.5)
    np.testing.assert_array_equal(before.hits, after.hits)


@given(seeds)
def test_a_larger_threshold_never_lowers_it_and_truth_scores_100(seed: int) -> None:
    predictions, truth, visible, reference = people(seed)
    shares = [pck(predictions, truth, visible, reference, t).hits for t in (0.1, 0.2, 0.5, 1.0)]
    assert (np.diff(shares, axis=0) >= 0).all()
    perfect = pck(truth, truth, visible, reference, 0.0)
    np.testing.assert_array_equal(perfect.hits, perfect.counts)


def test_an_error_of_exactly_the_threshold_is_right() -> None:
    truth = np.zeros((2, 1, 2))
    predictions = np.array([[[3.0, 4.0]], [[3.0, 4.0625]]])
    result = pck(predictions, truth, np.ones((2, 1)), [10, 10], 0.5)
    assert (result.hits.tolist(), result.counts.tolist()) == ([1], [2])


def test_a_prediction_that_is_not_a_number_is_wrong() -> None:
    truth = np.zeros((1, 2, 2))
    predictions = np.array([[[np.nan, 0.0], [0.0, 0.0]]])
    assert pck(predictions, truth, np.ones((1, 2)), [10], 0.5).hits.tolist() == [0, 1]


@pytest.mark.parametrize("reference", [np.nan, 0.0, -1.0, np.inf])
def test_people_without_a_reference_length_are_left_out(reference: float) -> None:
    result = pck(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.ones((2, 3)), [reference, 5], 0.5)
    assert result.counts.tolist() == [1, 1, 1]
    assert (result.instances, result.left_out) == (1, 1)


def test_nothing_labeled_gives_no_number() -> None:
    result = pck(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), [[1, 0]], [5], 0.5)
    assert np.isnan(result.by_joint[1])
    assert np.isnan(result.total([1]))
    assert result.total() == result.total([0]) == result.by_joint[0] == 100


def test_segments_need_both_ends() -> None:
    truth = np.array([[(0, 0), (3, 4)]] * 3, dtype=np.float64)
    lengths = segment_lengths(truth, [[1, 1], [0, 1], [1, 0]], 0, 1)
    np.testing.assert_array_equal(lengths, [5, np.nan, np.nan])


def test_lsp_takes_head_and_torso() -> None:
    """Head 20 px (PCKh radius 10), torso 60 px (PCK radius 12); errors of 9, 11 and 13 px."""
    truth = np.zeros((2, 14, 2))
    truth[:, LSP.index("head_top")] = (50, 0)
    truth[:, LSP.index("neck")] = (50, 20)
    truth[:, LSP.index("right_shoulder")] = (30, 20)
    truth[:, LSP.index("left_hip")] = (30, 80)
    predictions = truth.copy()
    predictions[0, LSP.index("left_knee")] += (9, 0)
    predictions[0, LSP.index("left_wrist")] += (0, 11)
    predictions[0, LSP.index("right_wrist")] += (0, 13)
    visible = np.ones((2, 14))
    visible[1, LSP.index("head_top")] = 0
    results = segment_pck(predictions, truth, visible, LSP)
    assert list(results) == ["PCKh@0.5", "PCK@0.2"]
    head, torso = results["PCKh@0.5"], results["PCK@0.2"]
    assert head.total() == pytest.approx(100 * 12 / 14)
    assert (head.instances, head.left_out) == (1, 1)
    assert torso.total() == pytest.approx(100 * 26 / 27)
    assert (torso.instances, torso.left_out) == (2, 0)
    assert torso.by_joint[LSP.index("right_wrist")] == 50
    assert torso.by_joint[LSP.index("head_top")] == 100


def test_a_skeleton_gets_the_metrics_whose_joints_it_has() -> None:
    def metrics(skeleton):
        shape = (1, len(skeleton), 2)
        return list(segment_pck(np.zeros(shape), np.zeros(shape), np.ones(shape[:2]), skeleton))

    assert metrics(MPII) == ["PCKh@0.5", "PCK@0.2"]
    assert metrics(COCO) == ["PCK@0.2"]

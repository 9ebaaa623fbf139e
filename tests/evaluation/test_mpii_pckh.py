from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.evaluation.mpii import group_shares, head_sizes_from_joints, mpii_pckh
from bihrnet.skeleton import MPII

GROUPS = ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean"]


def hrnet_table(predictions, truth, visible, head_sizes, threshold: float) -> list[float]:
    """HRNet's `MPIIDataset.evaluate` with its arrays (joints first) and its joint numbers."""
    error = np.linalg.norm(predictions - truth, axis=2).T / head_sizes
    flags = visible.T
    shares = 100.0 * ((error <= threshold) * flags).sum(axis=1) / flags.sum(axis=1)
    weights = flags.sum(axis=1) * (~np.isin(np.arange(16), [6, 7]))
    pairs = [(13, 12), (14, 11), (15, 10), (3, 2), (4, 1), (5, 0)]
    groups = [(shares[left] + shares[right]) / 2 for left, right in pairs]
    return [shares[9], *groups, (shares * weights).sum() / weights.sum()]


@pytest.fixture
def sample(shared_data):
    entries = json.loads((shared_data / "samples/mpii/test_mpii.json").read_text())
    truth = np.array([entry["joints"] for entry in entries]) - 1
    return truth, np.array([entry["joints_vis"] for entry in entries])


@given(st.integers(0, 2**32 - 1))
def test_table_is_hrnets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 400, (12, 16, 2))
    predictions = truth + rng.normal(0, 20, truth.shape)
    visible = (rng.random((12, 16)) < 0.8).astype(np.float64)
    visible[0] = 1  # HRNet's table knows no joint that nobody shows
    head_sizes = rng.uniform(20, 90, 12)
    results = mpii_pckh(predictions, truth, visible, head_sizes)
    for metric, threshold in {"PCKh@0.5": 0.5, "PCKh@0.1": 0.1, "PCKh@0.11": 0.11}.items():
        shares = group_shares(results[metric])
        assert list(shares) == GROUPS
        expected = hrnet_table(predictions, truth, visible, head_sizes, threshold)
        np.testing.assert_allclose(list(shares.values()), expected, rtol=1e-12)


def test_pelvis_and_thorax_do_not_count_in_the_mean() -> None:
    truth = np.zeros((1, 16, 2))
    predictions = truth.copy()
    predictions[:, [6, 7]] += 1000
    shares = group_shares(mpii_pckh(predictions, truth, np.ones((1, 16)), [50])["PCKh@0.5"])
    assert all(share == 100 for share in shares.values())


def test_both_readings_of_a_tenth() -> None:
    truth = np.zeros((1, 16, 2))
    predictions = np.full((1, 16, 2), (10.5, 0))
    results = mpii_pckh(predictions, truth, np.ones((1, 16)), [100])
    assert group_shares(results["PCKh@0.1"])["Mean"] == 0
    assert group_shares(results["PCKh@0.11"])["Mean"] == 100


def test_sample_truth_as_prediction_scores_100(sample) -> None:
    truth, visible = sample
    results = mpii_pckh(truth, truth, visible, head_sizes_from_joints(truth, visible))
    for result in results.values():
        assert result.left_out == 0
        assert set(group_shares(result).values()) == {100.0}


def test_sample_with_known_errors(sample) -> None:
    """Everybody's wrists are off by 0.3 heads, the first person's ankles by 0.6."""
    truth, visible = sample
    heads = head_sizes_from_joints(truth, visible)
    predictions = truth.copy()
    predictions[:, [10, 15], 0] += 0.3 * heads[:, None]
    predictions[0, [0, 5], 1] -= 0.6 * heads[0]
    results = mpii_pckh(predictions, truth, visible, heads)
    ankles, wrists = visible[:, [0, 5]].sum(axis=0), visible[:, [10, 15]].sum()
    total = visible.sum() - visible[:, [6, 7]].sum()
    half, tenth = group_shares(results["PCKh@0.5"]), group_shares(results["PCKh@0.1"])
    assert half["Wrist"] == 100
    assert tenth["Wrist"] == 0
    assert half["Ankle"] == tenth["Ankle"] == pytest.approx(np.mean(100 * (ankles - 1) / ankles))
    assert half["Mean"] == pytest.approx(100 * (total - 2) / total)
    assert tenth["Mean"] == pytest.approx(100 * (total - 2 - wrists) / total)


def test_head_sizes_follow_from_the_joints_of_the_sample(sample) -> None:
    """Head boxes have integer corners, so (head size / 0.6)^2 is a whole number.

    The joints are given to four decimals, which leaves some 0.03 of uncertainty.
    """
    truth, visible = sample
    squared_diagonals = (head_sizes_from_joints(truth, visible) / 0.6) ** 2
    np.testing.assert_allclose(squared_diagonals, squared_diagonals.round(), atol=0.035)


def test_head_size_of_a_known_box() -> None:
    """MPII image 015601864, first person: head box (627, 100) to (706, 198)."""
    truth, visible = np.zeros((1, 16, 2)), np.ones((1, 16))
    truth[0, MPII.index("neck")] = (637.0201, 189.8183)
    truth[0, MPII.index("head_top")] = (695.9799, 108.1817)
    expected = 0.6 * np.hypot(706 - 627, 198 - 100)
    assert head_sizes_from_joints(truth, visible)[0] == pytest.approx(expected, abs=1e-3)
    visible[0, MPII.index("neck")] = 0
    assert np.isnan(head_sizes_from_joints(truth, visible)[0])

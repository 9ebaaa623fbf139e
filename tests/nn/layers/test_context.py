"""Context modeling: adaptive pooling, and gates made from it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bihrnet.nn.layers.context import DenseContext, Emphasis, GlobalContext, SpatialSoftmax


def test_weights_are_a_softmax_of_mean_1() -> None:
    torch.manual_seed(0)
    scores = 5 * torch.randn(2, 1, 3, 4) + 200  # far from zero: exp alone would overflow
    weights = SpatialSoftmax()(scores)
    expected = 12 * scores.flatten(1).softmax(1)
    torch.testing.assert_close(weights, expected.reshape(2, 1, 3, 4))


def test_all_positions_count_alike_where_scores_are_equal() -> None:
    torch.manual_seed(0)
    emphasis = Emphasis(6)
    nn.init.zeros_(emphasis.score.weight)
    x = torch.randn(2, 6, 4, 4)
    torch.testing.assert_close(emphasis(x), x)


def test_the_bias_of_a_score_has_no_effect_and_is_fixed() -> None:
    torch.manual_seed(0)
    emphasis = Emphasis(6)
    x = torch.randn(2, 6, 4, 4)
    before = emphasis(x)
    assert not emphasis.score.bias.requires_grad
    emphasis.score.bias.data += 3
    torch.testing.assert_close(emphasis(x), before)


def test_global_context_is_one_gate_per_channel_of_an_adaptive_mean() -> None:
    torch.manual_seed(0)
    module = GlobalContext(8, 4).eval()
    x = torch.randn(2, 8, 5, 6)
    weights = module.emphasis.score(x).flatten(2).softmax(2)
    mean = (x.flatten(2) * weights).sum(2)[:, :, None, None]
    torch.testing.assert_close(module(x), module.bn(x * module.gate(mean)))


def test_dense_context_pools_every_branch_to_the_lowest_resolution() -> None:
    torch.manual_seed(0)
    widths = [8, 16]
    module = DenseContext(widths, 4).eval()
    high, low = torch.randn(2, 8, 6, 8), torch.randn(2, 16, 3, 4)
    score = module.shrink[0][0].score(high)
    emphasized = high * 48 * score.flatten(2).softmax(2).reshape_as(score)
    own = low * 12 * module.shrink[1][0].score(low).flatten(2).softmax(2).reshape(2, 1, 3, 4)
    gates = module.conv2(module.conv1(torch.cat([F.avg_pool2d(emphasized, 2), own], dim=1)))
    first, second = module([high, low])
    torch.testing.assert_close(first, high * F.interpolate(gates[:, :8], scale_factor=2))
    torch.testing.assert_close(second, low * gates[:, 8:])

"""Dite-HRNet: counts of the public code, gradients, and what its branches are made of."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.counting import count
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d
from bihrnet.nn.models.dite_hrnet import (
    DenseContext,
    DiteLayers,
    Emphasis,
    GlobalContext,
    SpatialSoftmax,
    SplitConv,
)


# Published: 1.1 M and 1.8 M, truncated.
@pytest.mark.parametrize(
    ("name", "modules", "params", "macs"),
    [
        ("dite-hrnet-18", (2, 4, 2), 1_186_933, 199_443_320),
        ("dite-hrnet-30", (3, 8, 3), 1_862_549, 314_324_840),
    ],
)
def test_counts_are_those_of_the_public_code(
    name: str, modules: tuple[int, int, int], params: int, macs: int
) -> None:
    with torch.device("meta"):
        result = count(build(name, 17), (256, 192))
    assert result.params == params
    # The public code has a score for the lowest resolution, too, but does not compute it.
    lowest = [(80, 32 * 24), (160, 16 * 12), (320, 8 * 6)]
    scores = sum(
        2 * blocks * width // 2 * pixels
        for blocks, (width, pixels) in zip(modules, lowest, strict=True)
    )
    assert result.real_macs == macs + scores
    assert scores < 0.002 * macs


def test_gradients_reach_every_parameter_that_learns() -> None:
    torch.manual_seed(0)
    model = build("dite-hrnet-18", 5)
    heatmaps = model(torch.randn(4, 3, 64, 96))
    assert heatmaps.shape == (4, 5, 16, 24)
    (heatmaps - 1).square().mean().backward()
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    dead = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert dead == fixed
    assert all(name.endswith("score.bias") for name in fixed)


def test_it_learns() -> None:
    torch.manual_seed(0)
    model = build("dite-hrnet-18", 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    images, target = torch.randn(4, 3, 64, 64), torch.zeros(4, 3, 16, 16)
    target[:, :, 4:10, 6:12] = 1
    losses = []
    for _ in range(8):
        loss = (model(images) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_lower_resolutions_have_more_splits_and_fewer_kernels() -> None:
    paths = DiteLayers().paths([40, 80, 160, 320])
    sizes = []
    for path in paths:
        convs = [m for m in path[0].modules() if isinstance(m, AggregatedConv2d)]
        plain = [m for m in path[0].modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
        sizes.append(
            ([(c.weight.shape[-1], c.kernels) for c in convs], [c.kernel_size[0] for c in plain])
        )
    assert sizes == [
        ([(3, 4)], []),
        ([(3, 4)], []),
        ([(3, 2), (5, 2)], []),
        ([], [3, 5, 7, 9]),
    ]


def test_split_convolution_works_on_parts_and_shuffles_them() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    split = SplitConv(6, [nn.Identity(), nn.ReLU(), nn.Identity()])
    assert split(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


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

"""Dite-HRNet: counts of the public code, gradients, and what its branches are made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.counting import count
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d
from bihrnet.nn.models.dite_hrnet import DiteLayers, SplitConv


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

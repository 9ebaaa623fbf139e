"""Dynamic convolution: one mixture of kernels per image, counted as one convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bihrnet.nn.counting import count
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d, DynamicConv2d


@pytest.mark.parametrize(
    ("kernel_size", "stride", "groups"), [(1, 1, 1), (3, 1, 6), (5, 2, 6), (3, 2, 3)]
)
def test_an_image_is_convolved_by_its_own_sum_of_kernels(
    kernel_size: int, stride: int, groups: int
) -> None:
    torch.manual_seed(0)
    conv = AggregatedConv2d(6, 12, kernel_size, stride, groups, kernels=3)
    x = torch.randn(2, 6, 8, 10, requires_grad=True)
    attention = torch.rand(2, 3, 1, 1, requires_grad=True)

    def sum_of_convolutions() -> torch.Tensor:
        kernels = conv.weight.split(12)
        maps = [F.conv2d(x, w, None, stride, kernel_size // 2, 1, groups) for w in kernels]
        return sum(a * y for a, y in zip(attention.split(1, dim=1), maps, strict=True))

    own, expected = conv(x, attention), sum_of_convolutions()
    torch.testing.assert_close(own, expected)
    inputs = (x, attention, conv.weight)
    slope = torch.randn_like(own)
    for gradient, other in zip(
        torch.autograd.grad(own, inputs, slope),
        torch.autograd.grad(expected, inputs, slope),
        strict=True,
    ):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)


def test_an_image_does_not_depend_on_the_rest_of_its_batch() -> None:
    torch.manual_seed(0)
    conv = DynamicConv2d(8, 8, 3, groups=8, kernels=4).eval()
    x = torch.randn(3, 8, 6, 6)
    torch.testing.assert_close(conv(x)[1:2], conv(x[1:2]))


def test_attention_lies_between_0_and_1_and_follows_the_image() -> None:
    torch.manual_seed(0)
    conv = DynamicConv2d(8, 8, 3, groups=8, kernels=4)
    nn.init.normal_(conv.attention[3].weight, std=3)
    attention = conv.attention(torch.randn(5, 8, 1, 1))
    assert attention.shape == (5, 4, 1, 1)
    assert 0 <= attention.min() < attention.max() <= 1
    assert attention.std(dim=0).min() > 0.01


def test_a_network_with_it_follows_into_channels_last_memory() -> None:
    torch.manual_seed(0)
    conv = DynamicConv2d(8, 12, 3, kernels=4).eval()
    x = torch.randn(2, 8, 6, 6)
    expected = conv(x)
    last = conv.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last)), expected)


def test_it_counts_as_one_convolution_and_its_attention() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1, bias=False), DynamicConv2d(8, 16, 3, stride=2, kernels=4)
    )
    counts = count(model, (16, 16))
    attention = 8 * 2 + 2 * 4
    assert counts.real_macs == 256 * 3 * 8 + 64 * 16 * 8 * 9 + attention
    assert counts.real_weights == 3 * 8 + 4 * 16 * 8 * 9 + attention + 4

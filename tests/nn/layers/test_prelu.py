"""PReLU: the same function as torch's, with another backward pass."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bihrnet.nn.layers.prelu import PReLU, prelu


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torch(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 5, 4, generator=generator)
    x[0, :, 0, 0] = 0.0
    x = x.contiguous(memory_format=layout)
    slope = torch.linspace(-0.5, 1.5, 6)
    incoming = torch.randn(2, 6, 5, 4, generator=generator)
    results = []
    for function in (prelu, F.prelu):
        inputs = x.clone().requires_grad_(), slope.clone().requires_grad_()
        y = function(*inputs)
        y.backward(incoming)
        results.append((y, inputs[0].grad, inputs[1].grad))
    for own, reference in zip(*results, strict=True):
        torch.testing.assert_close(own, reference)


def test_the_gradient_is_right_to_second_order_of_a_small_step() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    slope = torch.rand(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(prelu, (x, slope))


def test_under_autocast_activations_are_bfloat16_and_slopes_stay_float32() -> None:
    layer = PReLU(4)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.randn(1, 4, 3, 3, requires_grad=True))
        y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32

"""Binarizers: values and gradients against scalar formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.nn.layers.binarize import (
    GRADIENT_STEEPNESS,
    Sign,
    Smoothing,
    scaled_sign,
    sign,
    sign_approx,
    sign_ste,
    smooth_signs,
    weight_scale,
)

FLOATS = st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20)
EDGES = [-2.0, -1.0, -0.5, -0.0, 0.0, 1e-40, -1e-40, 0.25, 1.0, 1.5]


def scalar_sign(x: float) -> float:
    return 1.0 if x >= 0 else -1.0


def ste_gradient(x: float) -> float:
    return 1.0 if abs(x) <= 1 else 0.0


def approx_gradient(x: float) -> float:
    if -1 <= x < 0:
        return 2 + 2 * x
    if 0 <= x < 1:
        return 2 - 2 * x
    return 0.0


def test_the_sign_of_zero_is_plus_one_in_every_precision() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        x = torch.tensor([0.0, -0.0, 3.0, -3.0], dtype=dtype)
        assert sign(x).tolist() == [1, 1, 1, -1]
        assert sign(x).dtype == dtype


@given(FLOATS)
def test_the_sign_has_no_third_value(values: list[float]) -> None:
    x = torch.tensor(values + EDGES)
    assert sign(x).tolist() == [scalar_sign(value) for value in x.tolist()]


@pytest.mark.parametrize(
    ("function", "gradient"), [(sign_ste, ste_gradient), (sign_approx, approx_gradient)]
)
@given(values=FLOATS)
def test_activation_gradients_are_the_formulas_of_the_docstrings(
    function, gradient, values: list[float]
) -> None:
    x = torch.tensor(values + EDGES, dtype=torch.float64, requires_grad=True)
    incoming = torch.linspace(-2, 2, len(x), dtype=torch.float64)
    y = function(x)
    y.backward(incoming)
    assert y.tolist() == [scalar_sign(value) for value in x.tolist()]
    expected = [gradient(value) * g for value, g in zip(x.tolist(), incoming.tolist(), strict=True)]
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_approximated_gradient_integrates_to_the_step_of_the_sign() -> None:
    x = torch.linspace(-2, 2, 4001, dtype=torch.float64, requires_grad=True)
    sign_approx(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad.sum()) * 4 / 4000 == pytest.approx(2, abs=1e-3)


@given(FLOATS, FLOATS)
def test_weights_become_their_sign_times_the_mean_magnitude_of_the_channel(
    first: list[float], second: list[float]
) -> None:
    size = min(len(first), len(second))
    rows = [first[:size], second[:size]]
    weight = torch.tensor(rows, dtype=torch.float64).reshape(2, 1, 1, size).requires_grad_()
    y = scaled_sign(weight)
    y.backward(torch.full_like(y, 3.0))
    assert weight.grad is not None
    for row, binary, gradient in zip(
        rows, y.flatten(1).tolist(), weight.grad.flatten(1).tolist(), strict=True
    ):
        scale = math.fsum(abs(value) for value in row) / size
        assert binary == pytest.approx([scale * scalar_sign(value) for value in row], abs=1e-12)
        # Neither the scaling factor nor a term for its own derivative.
        assert gradient == pytest.approx([3 * ste_gradient(v) for v in row], abs=1e-12)
    assert weight_scale(weight).shape == (2, 1, 1, 1)


def test_the_sign_module_takes_the_gradient_it_is_told() -> None:
    for gradient, expected in (("ste", 1.0), ("approx", 1.5)):
        x = torch.tensor([0.25], requires_grad=True)
        Sign(gradient)(x).backward()  # type: ignore[arg-type]
        assert x.grad is not None
        assert x.grad.item() == expected


def test_memory_layout_survives() -> None:
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    assert sign_approx(x).is_contiguous(memory_format=torch.channels_last)


SHAPES = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "softsign": lambda x: x / (1 + abs(x)),
}
GRADIENTS = {
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "sigmoid": lambda x: 2 * math.exp(-x) / (1 + math.exp(-x)) ** 2,
    "softsign": lambda x: 1 / (1 + abs(x)) ** 2,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steepness", [0.5, 2.0, 8.0])
@given(values=FLOATS)
def test_smooth_signs_are_the_formulas_of_the_docstring(
    shape: str, steepness: float, values: list[float]
) -> None:
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    y = Smoothing(shape, torch.tensor(steepness))(x)  # type: ignore[arg-type]
    y.sum().backward()
    steep = [steepness * value for value in x.tolist()]
    assert y.tolist() == pytest.approx([SHAPES[shape](value) for value in steep], abs=1e-12)
    assert x.grad is not None
    limited = min(steepness, GRADIENT_STEEPNESS)
    expected = [limited * GRADIENTS[shape](limited * value) for value in x.tolist()]
    assert x.grad.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("steepness", [1.0, 2.0, 100.0])
def test_smooth_signs_do_not_enlarge_the_gradients_of_normalized_activations(
    steepness: float,
) -> None:
    x = torch.linspace(-6, 6, 10_001, dtype=torch.float64, requires_grad=True)
    Smoothing("tanh", torch.tensor(steepness))(x).sum().backward()
    density = torch.exp(-(x.detach() ** 2) / 2) / math.sqrt(2 * math.pi)
    assert x.grad is not None
    assert float((x.grad**2 * density).sum()) * 12 / 10_000 < 1.03


@pytest.mark.parametrize("shape", SHAPES)
def test_at_the_end_of_its_growth_a_smooth_sign_is_the_sign(shape: str) -> None:
    x = torch.tensor([-3.0, -0.1, 0.1, 2.0])
    smoothing = Smoothing(shape, torch.tensor(2.0**16))  # type: ignore[arg-type]
    torch.testing.assert_close(smoothing(x), sign(x), rtol=0, atol=2e-4)


def test_smoothing_stands_for_the_sign_while_learning_only() -> None:
    network = torch.nn.Sequential(Sign(), torch.nn.Sequential(Sign("ste")))
    steepness = torch.tensor(1.0)
    smooth_signs(network, Smoothing("tanh", steepness))
    x = torch.tensor([-2.0, 0.5])
    torch.testing.assert_close(network(x), x.tanh().tanh())
    steepness.fill_(3.0)  # all signs share it
    torch.testing.assert_close(network(x), (3 * (3 * x).tanh()).tanh())
    assert network.eval()(x).tolist() == [-1, 1]
    assert not network.state_dict()


def test_smooth_signs_keep_bfloat16() -> None:
    y = Smoothing("tanh", torch.tensor(2.0))(torch.ones(3, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16

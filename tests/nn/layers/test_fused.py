"""Fused passes of binary units give what the plain modules give, values and gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from bihrnet.nn.layers import fused
from bihrnet.nn.layers.binary_unit import BinaryUnit, Shift, UnitStyle
from bihrnet.nn.layers.prelu import prelu

pytestmark = pytest.mark.skipif(fused._passes is None, reason="the compiled part is not built")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def activations(*shape: int) -> Tensor:
    return torch.randn(shape).to(memory_format=torch.channels_last)


def learned_unit(in_channels: int, out_channels: int, **options: object) -> BinaryUnit:
    """A unit in training whose shifts, slopes and normalization are not at their start."""
    style = UnitStyle(*options.pop("style", ()))  # type: ignore[misc]
    unit = BinaryUnit(in_channels, out_channels, 3, style, **options)  # type: ignore[arg-type]
    for parameter in unit.parameters():
        if parameter.ndim != 4:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return unit.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def outcome(unit: BinaryUnit, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """Everything that one training step computes."""
    x = x.detach().clone().requires_grad_()
    z = unit(x)
    z.backward(gradient)
    assert x.grad is not None
    found = {"z": z.detach(), "to_x": x.grad}
    found |= {name: parameter.grad for name, parameter in unit.named_parameters()}  # type: ignore[misc]
    return found | {name: buffer.float() for name, buffer in unit.named_buffers()}


@pytest.mark.parametrize("act", ["rprelu", "prelu"])
@pytest.mark.parametrize("surrogate", ["approx", "ste"])
@pytest.mark.parametrize("activation", [True, False])
@pytest.mark.parametrize(
    ("channels", "shortcut"),
    [((16, 32), True), ((32, 8), True), ((12, 12), True), ((7, 9), False), ((64, 64), False)],
)
def test_a_unit_computes_the_same(
    act: str,
    surrogate: str,
    activation: bool,
    channels: tuple[int, int],
    shortcut: bool,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
) -> None:
    torch.manual_seed(0)
    style = (act, surrogate)
    unit = learned_unit(*channels, style=style, activation=activation, shortcut=shortcut)
    x = activations(5, channels[0], 17, 13)  # 1105 rows: more than one part, not a multiple of it
    gradient = activations(5, channels[1], 17, 13)
    fast = outcome(copy.deepcopy(unit), x, gradient)
    monkeypatch.setattr(fused, "_passes", None)
    plain = outcome(unit, x, gradient)
    assert fast.keys() == plain.keys()
    for name, value in plain.items():
        scale = value.abs().max() + 1e-12
        assert (fast[name] - value).abs().max() < 2e-5 * scale, name


def test_the_fused_functions_are_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def spied(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def spy(*args: object, **options: object) -> Tensor:
            called.append(name)
            return original(*args, **options)

        return spy

    for name in ("shifted_sign", "normalized_prelu"):
        monkeypatch.setattr(fused, name, spied(name, getattr(fused, name)))
    unit, x = learned_unit(8, 8), activations(2, 8, 4, 4)
    unit(x)
    assert called == ["shifted_sign", "normalized_prelu"]
    called.clear()
    unit.eval()(x)  # evaluation and export see the modules
    unit.train()
    with torch.autocast("cpu", torch.bfloat16):
        unit(x)
    unit.double()(x.double())
    assert called == []
    unit.float()(x.contiguous())  # the convolution's output is channels last again
    assert called == ["normalized_prelu"]


def test_another_batch_normalization_is_left_alone() -> None:
    class Synchronized(nn.BatchNorm2d):
        """Stands for a normalization over several processes."""

    assert fused.normalizes_plainly(nn.BatchNorm2d(4))
    assert not fused.normalizes_plainly(Synchronized(4))
    assert not fused.normalizes_plainly(nn.BatchNorm2d(4, momentum=None))
    assert not fused.normalizes_plainly(nn.BatchNorm2d(4).eval())
    assert not fused.normalizes_plainly(nn.Identity())


def test_the_sign_has_the_gradient_of_its_formula() -> None:
    x = torch.tensor([-2.0, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 2.0]).view(8, 1, 1, 1)
    x = x.to(memory_format=torch.channels_last)
    shift = Shift(1).bias
    for approx, slopes in (
        (True, [0, 0, 1, 2, 2, 1.5, 0, 0]),
        (False, [0, 1, 1, 1, 1, 1, 1, 0]),
    ):
        x = x.detach().requires_grad_()
        signs = fused.shifted_sign(x, shift, approx=approx)
        assert signs.flatten().tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
        shift.grad = None
        signs.sum().backward()
        assert x.grad is not None
        assert x.grad.flatten().tolist() == slopes
        assert shift.grad is not None
        assert shift.grad.item() == sum(slopes)


def test_prelu_has_the_gradient_of_its_formula(threads: int) -> None:
    torch.manual_seed(0)
    x, slope = activations(30, 9, 11, 7), torch.rand(9, requires_grad=True)
    gradient = torch.randn_like(x)
    x.requires_grad_()
    prelu(x, slope).backward(gradient)
    assert x.grad is not None
    assert slope.grad is not None
    factors = torch.where(x > 0, 1.0, slope.view(-1, 1, 1))
    torch.testing.assert_close(x.grad, gradient * factors)
    expected = (gradient * x.clamp(max=0)).sum((0, 2, 3))
    torch.testing.assert_close(slope.grad, expected, rtol=1e-5, atol=1e-4)


def test_statistics_keep_their_digits_far_from_zero() -> None:
    torch.manual_seed(0)
    y = activations(40, 4, 16, 16) * 0.1 + 1000
    norm = nn.BatchNorm2d(4)
    fused.normalized_prelu(y, norm)
    exact = y.double().var((0, 2, 3))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, torch.full((4,), 100.0), rtol=1e-4, atol=0)
    torch.testing.assert_close((norm.running_var - 0.9).double() * 10, exact, rtol=0.01, atol=1e-5)


def test_running_statistics_move_as_those_of_batch_normalization() -> None:
    torch.manual_seed(0)
    y = activations(1, 3, 2, 2) * 5  # few rows: the variance's n / (n - 1) shows
    plain, fast = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    plain(y)
    fused.normalized_prelu(y, fast)
    torch.testing.assert_close(fast.state_dict(), plain.state_dict())


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(0)
    unit, x = learned_unit(16, 16), activations(5, 16, 30, 30)
    gradient = activations(5, 16, 30, 30)
    before = torch.get_num_threads()
    outcomes = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        y = x.clone().requires_grad_()
        norm = nn.BatchNorm2d(16)
        z = fused.normalized_prelu(y, norm, slope=unit.act[1].weight)  # type: ignore[index]
        z.backward(gradient)
        assert y.grad is not None
        outcomes.append((z.detach(), y.grad, norm.weight.grad))
    torch.set_num_threads(before)
    for other in outcomes[1:]:
        for a, b in zip(outcomes[0], other, strict=True):
            assert torch.equal(a, b)


def test_a_constant_that_is_not_a_number_stays_visible() -> None:
    x = torch.full((1, 1, 1, 2), float("nan")).to(memory_format=torch.channels_last)
    assert fused.shifted_sign(x, Shift(1).bias, approx=True).isnan().all()

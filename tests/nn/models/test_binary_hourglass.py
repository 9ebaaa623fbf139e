"""Bulat's binary hourglasses: counts, which layers are binary, signal and gradient at the start."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from bihrnet.errors import BihrnetError
from bihrnet.export.trace import trace
from bihrnet.nn import build, latent_parameters
from bihrnet.nn.counting import Counts, count
from bihrnet.nn.layers.binarize import Sign
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.layers.residual import ResidualBlock
from bihrnet.nn.models.binary_hourglass import HierarchicalBody, activation, hierarchical_block


@functools.cache
def counts(name: str, **options: object) -> Counts:
    with torch.device("meta"):
        return count(build(name, 16, **options), (256, 256))


def conv_weights(module: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Conv2d))


def blocks(network: nn.Module) -> list[ResidualBlock]:
    return [module for module in network.modules() if isinstance(module, ResidualBlock)]


# The paper says 11.0 M for two stacks; a stack adds the same each time, so that must be 12.0.
@pytest.mark.parametrize(
    ("stacks", "millions", "conv_millions", "paper"),
    [(1, 6.24, 6.221, 6.2), (2, 12.08, 12.037, None), (3, 17.91, 17.854, 17.8)],
)
def test_parameters(stacks: int, millions: float, conv_millions: float, paper: float) -> None:
    result = counts(f"binary-hourglass-{stacks}")
    assert result.params / 1e6 == pytest.approx(millions, abs=0.005)
    # Of the convolutions, biases aside, there are as many as in the paper's own unit.
    weights = result.binary_weights + result.real_weights - 16 * stacks
    assert weights / 1e6 == pytest.approx(conv_millions, abs=0.0005)
    assert paper is None or paper <= weights / 1e6 < paper + 0.1


@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_a_stack_adds_the_same_each_time(stacks: int) -> None:
    first, result = counts("binary-hourglass-1"), counts(f"binary-hourglass-{stacks}")
    step = 14 * 405_504 + 2 * 65_536 + 16 * 256
    assert result.binary_weights == first.binary_weights + (stacks - 1) * step
    assert result.real_weights == first.real_weights + (stacks - 1) * (256 * 16 + 16)


@pytest.mark.parametrize(
    ("options", "weights"), [({}, 405_504), ({"block": "bottleneck"}, 212_992)]
)
def test_a_block_has_the_weights_of_lbrns_table(options: dict[str, str], weights: int) -> None:
    with torch.device("meta"):
        network = build("binary-hourglass-1", 16, **options)
    everywhere = blocks(network)
    assert len(everywhere) == 3 + 14
    assert {conv_weights(block) for block in everywhere[3:]} == {weights}


@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_the_real_valued_counterpart_has_as_many_convolution_weights(stacks: int) -> None:
    with torch.device("meta"):
        networks = [build(f"{kind}hourglass-{stacks}", 16) for kind in ("binary-", "")]
    assert conv_weights(networks[0]) == conv_weights(networks[1])
    assert not latent_parameters(networks[1])


@pytest.mark.parametrize("join_real", [False, True])
def test_real_are_the_first_convolution_the_heatmaps_and_perhaps_their_way_back(
    join_real: bool,
) -> None:
    with torch.device("meta"):
        network = build("binary-hourglass-2", 16, join_real=join_real)
    real = {
        path
        for path, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and not isinstance(layer, BinaryConv2d)
    }
    always = {"stem.0", "stacks.0.heatmaps", "stacks.1.heatmaps"}
    assert real == always | ({"stacks.0.heatmap_path"} if join_real else set())


@pytest.mark.parametrize(
    ("act", "kind"), [("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU), ("prelu", PReLU)]
)
def test_the_activation_behind_every_binary_3x3_is_an_option(act: str, kind: type) -> None:
    with torch.device("meta"):
        network = build("binary-hourglass-1", 16, act=act)
    for body in network.modules():
        if isinstance(body, HierarchicalBody):
            layers = [[type(layer) for layer in unit] for unit in body.children()]
            assert layers == [[nn.BatchNorm2d, Sign, BinaryConv2d, kind]] * 3
    slopes = [module for module in network.modules() if isinstance(module, PReLU)]
    assert all(module.weight.numel() > 1 for module in slopes)  # one slope per channel
    assert bool(slopes) == (act == "prelu")


def test_a_block_concatenates_its_layers_onto_the_residual() -> None:
    def unit(inputs: int, outputs: int, kernel: int) -> nn.Module:
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        nn.init.ones_(conv.weight)
        nn.init.zeros_(conv.bias)
        return conv

    block = hierarchical_block(4, 4, unit, unit)
    x = torch.zeros(1, 4, 9, 9)
    x[..., 4, 4] = 1
    fields = ((block(x) - x) != 0).sum((2, 3))[0].tolist()
    assert fields == [9, 9, 25, 49]  # 3x3, 3x3, 5x5 and 7x7 pixels


def test_widths_must_fit_the_block() -> None:
    with pytest.raises(ValueError, match="6"):
        hierarchical_block(4, 6, lambda *_: nn.Identity(), lambda *_: nn.Identity())


def test_leaky_relu_has_a_fixed_slope() -> None:
    assert float(activation("leaky_relu", 3)(torch.tensor(-1.0))) == pytest.approx(-0.01)


@dataclass
class Start:
    """A network's first step, by the name of each residual block.

    Attributes:
        deviations: standard deviation of the block's output.
        gains: norm of the gradient at the block's input, divided by that at its output. Blocks that
            share their input with another path (`skip`) are left out.
        outputs: heatmaps of all stacks.
    """

    deviations: dict[str, float] = field(default_factory=dict)
    gains: dict[str, float] = field(default_factory=dict)
    outputs: list[Tensor] = field(default_factory=list)


def first_step(network: nn.Module) -> Start:
    """Forward and backward pass; the gradients of the parameters are left behind.

    The innermost blocks see one pixel of each of the eight images. With two images, BatchNorm there
    divides by the difference of two numbers, and its gradient is as large as they happen to be
    close: it then differed by a factor of 300 between processors.
    """
    start, gradients = Start(), dict[str, dict[str, float]]()

    def record(name: str, x: Tensor, y: Tensor) -> None:
        start.deviations[name] = float(y.detach().std())
        if not name.endswith("skip"):
            norms = gradients[name] = {}
            x.register_hook(lambda gradient: norms.update(x=float(gradient.norm())))
            y.register_hook(lambda gradient: norms.update(y=float(gradient.norm())))

    for name, block in network.named_modules():
        if isinstance(block, ResidualBlock):
            block.register_forward_hook(lambda _, x, y, name=name: record(name, x[0], y))
    start.outputs = network(torch.randn(8, 3, 64, 64))
    sum((output - 0.1).square().mean() for output in start.outputs).backward()
    start.gains = {name: norms["x"] / norms["y"] for name, norms in gradients.items()}
    return start


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("binary-hourglass-2", {}),
        ("binary-hourglass-1", {"act": "relu", "gradient": "approx"}),
        ("hourglass-2", {}),
    ],
)
def test_signal_and_gradient_neither_vanish_nor_explode(name: str, options: dict[str, str]) -> None:
    torch.manual_seed(0)
    network = build(name, 16, **options)
    start = first_step(network)
    assert 0.02 < min(start.deviations.values()) <= max(start.deviations.values()) < 8
    assert max(float(output.detach().abs().max()) for output in start.outputs) < 1
    # Measured from 0.26 to 2.2, on AVX2 and without it.
    assert 0.1 < min(start.gains.values()) <= max(start.gains.values()) < 5
    norms = {name: float(p.grad.norm()) for name, p in network.named_parameters()}
    total = sum(norm**2 for norm in norms.values()) ** 0.5
    assert total < 3  # most of it of the heatmap layers
    assert norms["stem.0.weight"] > 1e-5 * total
    assert all(norm > 0 for norm in norms.values())


@pytest.mark.parametrize("name", ["binary-hourglass-2", "hourglass-1"])
def test_the_exporters_trace_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 16).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(trace(network, (64, 64))(x), network(x))


def test_an_option_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BihrnetError, match="'hierarchical' or 'bottleneck'"):
        build("binary-hourglass-1", 16, block="basic")

"""Memory, precision and compiled code of the training process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from bihrnet.errors import BihrnetError
from bihrnet.nn.models.binary_hrnet import DirectLayers
from bihrnet.nn.models.hrnet import HighResolutionModule
from bihrnet.training.process import check_gradients, choose_precision

# Pages that are mapped while 32 MiB are allocated, written and freed again and again, before and
# after the call.
SCRIPT = """
import resource
import torch
from bihrnet.training.process import keep_freed_memory

def faults():
    counts = []
    for _ in range(24):
        torch.ones(8 << 20)
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    return counts[-1] - counts[12]

before = faults()
keep_freed_memory()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only for glibc")
def test_freed_memory_is_used_again():
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert after < before / 10


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx2": True, "avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
    ],
)
def test_the_processor_decides_the_precision(monkeypatch, capabilities, precision) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto") == precision


@pytest.mark.parametrize(("supported", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_gpu_decides_the_precision(monkeypatch, supported, precision) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
    assert choose_precision("auto") == precision


def test_an_older_torch_knows_the_processor_too(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert choose_precision("auto") == "bf16"
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert choose_precision("auto") == "fp32"


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_recipe_can_decide_the_precision(precision) -> None:
    assert choose_precision(precision) == precision


WIDTH = 8


class TwoResolutions(nn.Module):
    """Two branches that are fused at the higher resolution."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WIDTH, 2 * WIDTH)
        self.stems = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width))
            for width, stride in zip(widths, (2, 4), strict=True)
        )
        self.fusion = HighResolutionModule(widths, (1, 1), DirectLayers("approx"), 1)

    def forward(self, x: Tensor) -> Tensor:
        (fused,) = self.fusion([stem(x) for stem in self.stems])
        return fused


def gradients(network: nn.Module, forward, crops: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = forward(crops).float()
    outputs.square().mean().backward()
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def test_gradients_of_a_fusion_in_bfloat16_are_those_of_eager_mode() -> None:
    """With nn.Upsample in it, the compiled pass gave the lower branch none (torch 2.13)."""
    torch.manual_seed(0)
    network = TwoResolutions().to(memory_format=torch.channels_last)
    crops = torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last)
    expected = gradients(network, network, crops)
    found = gradients(network, torch.compile(network.__call__, dynamic=False), crops)
    check_gradients(network)
    for name, gradient in expected.items():
        error = (found[name] - gradient).norm() / gradient.norm()
        assert error < 0.1, name


def test_a_parameter_that_learns_nothing_is_named() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    network(torch.ones(1, 2)).sum().backward()
    network[0].weight.grad = torch.zeros(2, 2)
    with pytest.raises(BihrnetError, match=r"no gradient to 1 parameters, 0\.weight the first"):
        check_gradients(network)
    network[0].weight.requires_grad_(False)
    network[2].bias.grad = None
    with pytest.raises(BihrnetError, match=r"no gradient to 1 parameters, 2\.bias the first"):
        check_gradients(network)

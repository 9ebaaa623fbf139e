"""Batch normalization over processes. Two real processes train in test_run.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from bihrnet.training.distributed import CrossProcessBatchNorm2d, synchronize_batch_norm

CPU = torch.device("cpu")


@pytest.fixture
def single_process_group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("single_process_group")
def test_one_process_computes_what_torch_does():
    ours, torchs = CrossProcessBatchNorm2d(5), nn.BatchNorm2d(5)
    values = 100 + torch.randn(4, 5, 6, 7)
    inputs = [values.clone().requires_grad_() for _ in range(2)]
    direction = torch.randn_like(values)
    outputs = [module(x) for module, x in zip((ours, torchs), inputs, strict=True)]
    for output in outputs:
        (output * direction).sum().backward()
    assert torch.allclose(*outputs, atol=1e-4)
    assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-4)
    # A sum over 168 values, each of them rounded at the size of the mean.
    assert torch.allclose(ours.weight.grad, torchs.weight.grad, rtol=1e-4, atol=5e-3)
    for name, value in torchs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name].float(), value.float(), rtol=1e-5), name


@pytest.mark.usefixtures("single_process_group")
def test_statistics_are_float32_where_activations_are_bfloat16():
    module = CrossProcessBatchNorm2d(2)
    output = module(torch.randn(2, 2, 3, 3).bfloat16())
    assert output.dtype == torch.bfloat16
    assert module.running_mean.dtype == torch.float32


def test_swapping_keeps_the_state_dict_and_evaluation():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    network[1][0].running_mean.normal_()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    crops = torch.randn(2, 3, 4, 4)
    expected = network.eval()(crops)
    swapped = synchronize_batch_norm(network, CPU)
    assert isinstance(swapped[1][0], CrossProcessBatchNorm2d)
    assert list(swapped.state_dict()) == list(before)
    assert torch.equal(swapped.eval()(crops), expected)

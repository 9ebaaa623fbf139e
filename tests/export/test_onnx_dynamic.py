"""Layers of Lite-, Dite- and EDite-HRNet as ONNX, each by itself, at several batches and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from small_networks import images, normalized, onnx_session, randomize, session
from torch import nn

from bihrnet.export.ir import Permute
from bihrnet.export.onnx import write_onnx
from bihrnet.nn.layers.dynamic_conv import dynamic_bn
from bihrnet.nn.layers.ghost import GhostModule
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.models.dite_hrnet import DiteLayers, GlobalContext
from bihrnet.nn.models.edite_hrnet import EDiteLayers
from bihrnet.nn.models.lite_hrnet import LiteHRNet, LiteLayers
from bihrnet.skeleton import LSP


class Halves(nn.Module):
    """Ranges of channels, interleaved."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 1)
        self.ranges = [slice(n * 12 // parts, (n + 1) * 12 // parts) for n in range(parts)]
        self.shuffle = Interleave()
        self.last = nn.Conv2d(12, len(LSP), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.last(self.shuffle(*(x[:, channels] for channels in self.ranges)))


def network(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 8, 8), *layers, nn.Conv2d(8, len(LSP), 1))


def check(
    module: nn.Module, path: Path, sizes: Sequence[tuple[int, int]], *, optimize: bool = True
) -> None:
    """ONNX Runtime and torch agree to 1e-4 of the peak; the file is written at the first size."""
    model = session(randomize(module, seed=1), sizes[0])
    write_onnx(model, path)
    runtime = onnx_session(path, optimize=optimize)
    for size in sizes:
        for batch in (1, 3):
            crops = images(batch, size)
            (heatmaps,) = runtime.run(["heatmaps"], {"image": normalized(crops)})
            expected = model(crops)
            assert heatmaps.shape == expected.shape
            assert np.abs(heatmaps - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    "layers",
    [
        (dynamic_bn(8, 8, 3, groups=8, kernels=4), nn.ReLU()),
        (dynamic_bn(8, 16, 1, kernels=2), dynamic_bn(16, 8, 5, 2, 4, kernels=3)),
        (GlobalContext(8, 4),),
    ],
    ids=["depthwise", "dense and strided", "context"],
)
def test_dynamic_layers(layers: tuple[nn.Module, ...], tmp_path: Path) -> None:
    check(network(*layers), tmp_path / "model.onnx", [(32, 64), (64, 32)])


@pytest.mark.parametrize(
    "sizes",
    [[(32, 64), (64, 48)], [(40, 72), (56, 24)], [(32, 72), (64, 40)]],
    ids=["even", "odd", "odd columns"],
)
@pytest.mark.parametrize("grouped", [True, False])
def test_ghost_modules(sizes: list[tuple[int, int]], grouped: bool, tmp_path: Path) -> None:
    ghosts = (GhostModule(8, 3, grouped=grouped), GhostModule(8, 5, grouped=grouped))
    check(network(*ghosts), tmp_path / "model.onnx", sizes)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_shuffle_is_what_runtimes_recognize(parts: int, tmp_path: Path) -> None:
    check(Halves(parts), tmp_path / "model.onnx", [(32, 64), (64, 32)])
    nodes = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "Gather" not in nodes
    assert "Transpose" in nodes


@pytest.mark.parametrize(
    ("order", "groups"),
    [
        ((0, 3, 1, 4, 2, 5), 2),
        ((0, 2, 4, 1, 3, 5), 3),
        ((0, 1, 2), 3),
        ((0,), 1),
        ((1, 0), None),
        ((0, 1, 4, 6, 2, 3, 5, 7), None),
        ((0, 4, 1, 5, 2), None),
    ],
)
def test_channel_shuffles_are_recognized(order: tuple[int, ...], groups: int | None) -> None:
    layer = Permute(name="shuffle", inputs=(0,), channels=len(order), order=order)
    assert layer.shuffle_groups == groups


@pytest.mark.parametrize(
    "layers",
    [
        DiteLayers(),
        EDiteLayers(grouped=True, ghost_scope="plain", mix_inputs=3),
        EDiteLayers(grouped=False, ghost_scope="all", mix_inputs=2),
    ],
    ids=["dite", "edite-s", "edite-l, all"],
)
def test_whole_networks(layers: LiteLayers, tmp_path: Path) -> None:
    """One module a stage, and three columns at the lowest resolution, as 384x288 has nine."""
    module = LiteHRNet(len(LSP), (1, 1, 1), layers)
    check(module, tmp_path / "model.onnx", [(64, 96), (128, 32)], optimize=False)

"""The cache of a teacher's heatmaps: an entry is used for the same input only."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import tiny_run
import torch
from torch import nn

from bihrnet.nn import checkpoint
from bihrnet.nn.layers.ternary import TernaryConv2d
from bihrnet.training import teacher
from bihrnet.training.options import RunOptions
from bihrnet.training.run import train
from bihrnet.training.teacher import CachedHeatmaps


class Counting(nn.Module):
    """Counts its forward passes."""

    def __init__(self, slope: float = 0.25) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 4, stride=4), nn.PReLU(init=slope))
        self.passes = 0

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.layers(crops)


@pytest.fixture
def network() -> Counting:
    return Counting().eval().requires_grad_(False)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("autocast", [False, True])
def test_heatmaps_are_computed_once(tmp_path, network, layout, autocast):
    crops = torch.rand(2, 3, 8, 8).to(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        first = CachedHeatmaps(network, tmp_path)(crops)
        second = CachedHeatmaps(network, tmp_path)(crops.clone())
        assert network.passes == 1
        assert torch.equal(second, network(crops))
    assert second.stride() == first.stride()  # a loss sums in the order of memory
    assert first.dtype == second.dtype == (torch.bfloat16 if autocast else torch.float32)


def test_other_crops_have_their_own_entry(tmp_path, network):
    crops = torch.rand(2, 3, 8, 8)
    CachedHeatmaps(network, tmp_path)(crops)
    nudged = crops.clone()
    nudged[1, 2, 7, 7] += 1e-6
    for other in (nudged, crops[:1], crops.flip(0), crops.reshape(2, 3, 4, 16)):
        assert torch.equal(CachedHeatmaps(network, tmp_path)(other), network.layers(other))
    with torch.autocast("cpu", torch.bfloat16):
        assert CachedHeatmaps(network, tmp_path)(crops).dtype == torch.bfloat16
    assert network.passes == 6


def test_another_teacher_has_its_own_entries(tmp_path, network):
    crops = torch.rand(2, 3, 8, 8)
    CachedHeatmaps(network, tmp_path)(crops)
    steeper = Counting(slope=0.5).eval().requires_grad_(False)
    steeper.layers[0].load_state_dict(network.layers[0].state_dict())
    assert torch.equal(CachedHeatmaps(steeper, tmp_path)(crops), steeper.layers(crops))
    rectified = Counting().eval().requires_grad_(False)
    rectified.layers = nn.Sequential(network.layers[0], nn.ReLU())
    assert torch.equal(CachedHeatmaps(rectified, tmp_path)(crops), rectified.layers(crops))


def test_filters_that_are_in_no_checkpoint_count(tmp_path):
    crops = torch.rand(2, 3, 8, 8)

    def filtering(seed: int) -> nn.Module:
        filters = TernaryConv2d(3, 2, 0.5, seed, kernel_size=1)
        return nn.Sequential(filters, nn.MaxPool2d(4)).eval()

    one, other = filtering(1), filtering(2)
    assert str(one) == str(other)
    assert one.state_dict() == other.state_dict() == {}
    CachedHeatmaps(one, tmp_path)(crops)
    assert torch.equal(CachedHeatmaps(other, tmp_path)(crops), other(crops))


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (torch, "__version__", "1.0"),
        (teacher, "__version__", "0.0.1"),
        (torch, "get_num_threads", lambda: 1000),
        (torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS"),
    ],
)
def test_an_environment_has_its_own_entries(tmp_path, network, monkeypatch, owner, name, value):
    crops = torch.rand(2, 3, 8, 8)
    CachedHeatmaps(network, tmp_path)(crops)
    monkeypatch.setattr(owner, name, value)
    CachedHeatmaps(network, tmp_path)(crops)
    assert network.passes == 2


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def put(content: object, path: Path) -> None:
    torch.save(content, path)


@pytest.mark.parametrize(
    "spoil",
    [
        tear,
        partial(put, {"no": "tensor"}),
        partial(put, torch.zeros(2)),
        partial(put, torch.zeros(1, 2, 2, 2)),  # of one crop
        partial(put, torch.zeros(2, 2, 8, 8)),  # of the crops' own size
        partial(put, torch.zeros(2, 2, 2, 2, dtype=torch.int64)),
    ],
)
def test_a_damaged_entry_is_computed_again_and_logged_once(tmp_path, network, caplog, spoil):
    inputs = [torch.rand(2, 3, 8, 8) for _ in range(2)]
    heatmaps = [CachedHeatmaps(network, tmp_path)(crops) for crops in inputs]
    for path in files(tmp_path):
        spoil(path)
    again = CachedHeatmaps(network, tmp_path)
    for crops, expected in zip(inputs, heatmaps, strict=True):
        assert torch.equal(again(crops), expected)
    (warning,) = caplog.messages
    assert warning.endswith("; damaged entries of the teacher's cache are computed again")
    assert network.passes == 4
    assert torch.equal(CachedHeatmaps(network, tmp_path)(inputs[0]), heatmaps[0])
    assert network.passes == 4


def test_a_folder_that_becomes_unwritable_is_not_retried(tmp_path, network, caplog, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    inputs = [torch.rand(1, 3, 4, 4) for _ in range(3)]
    caching = CachedHeatmaps(network, tmp_path)
    first = caching(inputs[0])
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        assert torch.equal(caching(inputs[1]), network.layers(inputs[1]))
    caching(inputs[2])
    (warning,) = caplog.messages
    assert "cannot be written: No space left on device; no more heatmaps" in warning
    assert len(files(tmp_path)) == 1
    assert torch.equal(caching(inputs[0]), first)
    assert network.passes == 3


def test_a_folder_that_cannot_be_created_is_logged(tmp_path, network, caplog):
    (tmp_path / "taken").write_text("a file")
    crops = torch.rand(1, 3, 4, 4)
    heatmaps = CachedHeatmaps(network, tmp_path / "taken")(crops)
    assert torch.equal(heatmaps, network.layers(crops))
    assert "cannot be written" in caplog.text


def test_a_second_run_learns_the_same_from_cached_heatmaps(tmp_path, monkeypatch):
    tiny_run.use_tiny(monkeypatch.setattr)
    monkeypatch.setattr(checkpoint, "build", tiny_run.build_tiny)
    runs, heatmaps = tmp_path / "runs", tmp_path / "heatmaps"

    def run(name: str, cache: Path | None = None, **recipe: object) -> dict[str, torch.Tensor]:
        recipe = tiny_run.tiny_recipe(name=name, epochs=2, **recipe)
        folder = train(recipe, RunOptions(data=Path(), out=runs, workers=0, teacher_answers=cache))
        return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]

    run("teacher")
    teacher = {"architecture": "tiny", "checkpoint": str(runs / "tiny@teacher" / "best.ckpt")}
    alone = run("alone", teacher=teacher)
    caching = run("caching", heatmaps, teacher=teacher)
    kept = files(heatmaps)
    steps = 2 * 5
    assert len(kept) == steps
    looking_up = run("looking-up", heatmaps, teacher=teacher)
    run("other-loss", heatmaps, teacher=teacher, loss="mse")
    assert files(heatmaps) == kept
    for name, weight in alone.items():
        assert torch.equal(weight, caching[name])
        assert torch.equal(weight, looking_up[name])

"""A teacher's answers on disk: what it would have said, given to the same question only."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import tiny_run
import torch
from torch import nn

from bihrnet.nn import checkpoint
from bihrnet.nn.layers.ternary import TernaryConv2d
from bihrnet.training import kept_answers
from bihrnet.training.kept_answers import KeptAnswers
from bihrnet.training.run import train


class Counting(nn.Module):
    """Counts how often it was asked."""

    def __init__(self, slope: float = 0.25) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 4, stride=4), nn.PReLU(init=slope))
        self.asked = 0

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        return self.layers(crops)


@pytest.fixture
def network() -> Counting:
    return Counting().eval().requires_grad_(False)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_question_is_computed_once(tmp_path, network, layout, autocast):
    crops = torch.rand(2, 3, 8, 8).to(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        first = KeptAnswers(network, tmp_path)(crops)
        second = KeptAnswers(network, tmp_path)(crops.clone())
        assert network.asked == 1
        assert torch.equal(second, network(crops))
    assert second.stride() == first.stride()  # a loss sums in the order of memory
    assert first.dtype == second.dtype == (torch.bfloat16 if autocast else torch.float32)


def test_another_question_gets_its_own_answer(tmp_path, network):
    crops = torch.rand(2, 3, 8, 8)
    KeptAnswers(network, tmp_path)(crops)
    nudged = crops.clone()
    nudged[1, 2, 7, 7] += 1e-6
    for other in (nudged, crops[:1], crops.flip(0), crops.reshape(2, 3, 4, 16)):
        assert torch.equal(KeptAnswers(network, tmp_path)(other), network.layers(other))
    with torch.autocast("cpu", torch.bfloat16):
        assert KeptAnswers(network, tmp_path)(crops).dtype == torch.bfloat16
    assert network.asked == 6


def test_another_teacher_is_asked_itself(tmp_path, network):
    crops = torch.rand(2, 3, 8, 8)
    KeptAnswers(network, tmp_path)(crops)
    steeper = Counting(slope=0.5).eval().requires_grad_(False)
    steeper.layers[0].load_state_dict(network.layers[0].state_dict())
    assert torch.equal(KeptAnswers(steeper, tmp_path)(crops), steeper.layers(crops))
    rectified = Counting().eval().requires_grad_(False)
    rectified.layers = nn.Sequential(network.layers[0], nn.ReLU())
    assert torch.equal(KeptAnswers(rectified, tmp_path)(crops), rectified.layers(crops))


def test_a_network_whose_filters_are_in_no_checkpoint_is_asked_itself(tmp_path):
    crops = torch.rand(2, 3, 8, 8)

    def filtering(seed: int) -> nn.Module:
        filters = TernaryConv2d(3, 2, 0.5, seed, kernel_size=1)
        return nn.Sequential(filters, nn.MaxPool2d(4)).eval()

    one, other = filtering(1), filtering(2)
    assert str(one) == str(other)
    assert one.state_dict() == other.state_dict() == {}
    KeptAnswers(one, tmp_path)(crops)
    assert torch.equal(KeptAnswers(other, tmp_path)(crops), other(crops))


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (torch, "__version__", "1.0"),
        (kept_answers, "__version__", "0.0.1"),
        (torch, "get_num_threads", lambda: 1000),
        (torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS"),
    ],
)
def test_what_rounds_otherwise_is_asked_itself(tmp_path, network, monkeypatch, owner, name, value):
    crops = torch.rand(2, 3, 8, 8)
    KeptAnswers(network, tmp_path)(crops)
    monkeypatch.setattr(owner, name, value)
    KeptAnswers(network, tmp_path)(crops)
    assert network.asked == 2


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
def test_an_answer_of_no_use_is_made_anew_and_told_once(tmp_path, network, caplog, spoil):
    questions = [torch.rand(2, 3, 8, 8) for _ in range(2)]
    answers = [KeptAnswers(network, tmp_path)(crops) for crops in questions]
    for path in files(tmp_path):
        spoil(path)
    again = KeptAnswers(network, tmp_path)
    for crops, answer in zip(questions, answers, strict=True):
        assert torch.equal(again(crops), answer)
    (warning,) = caplog.messages
    assert warning.endswith("; answers of the teacher that are of no use are made anew")
    assert network.asked == 4
    assert torch.equal(KeptAnswers(network, tmp_path)(questions[0]), answers[0])
    assert network.asked == 4


def test_where_answers_cannot_be_written_they_are_not_kept(tmp_path, network, caplog, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    questions = [torch.rand(1, 3, 4, 4) for _ in range(3)]
    keeping = KeptAnswers(network, tmp_path)
    first = keeping(questions[0])
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        assert torch.equal(keeping(questions[1]), network.layers(questions[1]))
    keeping(questions[2])
    (warning,) = caplog.messages
    assert "cannot be written: No space left on device; no more answers" in warning
    assert len(files(tmp_path)) == 1
    assert torch.equal(keeping(questions[0]), first)
    assert network.asked == 3


def test_a_folder_that_cannot_be_made_is_told(tmp_path, network, caplog):
    (tmp_path / "taken").write_text("a file")
    crops = torch.rand(1, 3, 4, 4)
    answer = KeptAnswers(network, tmp_path / "taken")(crops)
    assert torch.equal(answer, network.layers(crops))
    assert "cannot be written" in caplog.text


def test_a_second_run_learns_the_same_from_kept_answers(tmp_path, monkeypatch):
    tiny_run.use_tiny(monkeypatch.setattr)
    monkeypatch.setattr(checkpoint, "build", tiny_run.build_tiny)
    runs, answers = tmp_path / "runs", tmp_path / "answers"

    def run(name: str, kept: Path | None = None, **recipe: object) -> dict[str, torch.Tensor]:
        recipe = tiny_run.tiny_recipe(name=name, epochs=2, **recipe)
        folder = train(recipe, Path(), out=runs, workers=0, teacher_answers=kept)
        return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]

    run("teacher")
    teacher = {"architecture": "tiny", "checkpoint": str(runs / "tiny@teacher" / "best.ckpt")}
    alone = run("alone", teacher=teacher)
    keeping = run("keeping", answers, teacher=teacher)
    kept = files(answers)
    steps = 2 * 5
    assert len(kept) == steps
    looking_up = run("looking-up", answers, teacher=teacher)
    run("other-loss", answers, teacher=teacher, loss="mse")
    assert files(answers) == kept
    for name, weight in alone.items():
        assert torch.equal(weight, keeping[name])
        assert torch.equal(weight, looking_up[name])

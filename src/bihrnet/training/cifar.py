"""Training a classifier on CIFAR: `python -m bihrnet.training.cifar resnet-lbb-56 --data DIR`.

A plain loop with the schedule of He et al. (2016) for CIFAR. Pose networks train by recipes.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD

from bihrnet.data.cifar import SIDE, LabeledImages, load_cifar
from bihrnet.errors import BihrnetError
from bihrnet.nn.checkpoint import FORMAT
from bihrnet.nn.registry import find
from bihrnet.nn.torch_file import read_torch_file
from bihrnet.training.checkpoint import AtomicCheckpointIO
from bihrnet.training.history import History

log = logging.getLogger(__name__)

_PADDING = 4  # black pixels on each side, of which a random crop takes some


@dataclass(frozen=True)
class CifarSettings:
    """What a run computes; equal settings give equal runs.

    Attributes:
        architecture: one whose task is classification.
        options: of the architecture.
        epochs: the learning rate falls to a tenth after a half and after three quarters of them.
        batch_size: the incomplete last batch of an epoch is dropped.
        lr: of SGD with momentum 0.9.
        weight_decay: of all parameters.
        seed: of fresh weights, order and augmentation.
    """

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 164
    batch_size: int = 128
    lr: float = 0.1
    weight_decay: float = 1e-4
    seed: int = 0


def train_classifier(
    settings: CifarSettings, data: Path, *, out: Path = Path("runs"), resume: bool = False
) -> Path:
    """Train, or go on behind the last whole epoch; a resumed run computes the same as a whole one.

    Args:
        settings: what to compute.
        data: folder of CIFAR-10 or CIFAR-100 (`load_cifar`).
        out: folder of all runs.
        resume: go on with a run that is there.

    Returns:
        The run's folder `<architecture>@<data set>`, with `last.ckpt` and `metrics.csv`.

    Raises:
        BihrnetError: a mistake in settings, data or folder, or a loss that is not a number.
    """
    samples, test = load_cifar(data, "train"), load_cifar(data, "test")
    folder = out / f"{settings.architecture}@{samples.name}"
    run = _Run(settings, samples)
    last = folder / "last.ckpt"
    if last.is_file():
        if not resume:
            raise BihrnetError(f"{folder} holds a run already: go on with --resume")
        run.load(last)
    while (epoch := len(run.history.rows)) < settings.epochs:
        began_at = time.monotonic()
        rate = run.learn(epoch)
        loss, accuracy = run.judge(test)
        measured = {"test_loss": loss, "test_accuracy": accuracy, "lr": rate}
        row = run.history.finish_epoch({**measured, "seconds": time.monotonic() - began_at})
        run.history.write_csv(folder / "metrics.csv")
        run.save(last)
        shown = ", ".join(f"{name} {row[name]:.5g}" for name in row if name != "epoch")
        log.info("epoch %d/%d: %s", epoch + 1, settings.epochs, shown)
    return folder


class _Run:
    """State of a run."""

    def __init__(self, settings: CifarSettings, samples: LabeledImages) -> None:
        architecture = find(settings.architecture)
        if architecture.task != "classification":
            raise BihrnetError(
                f"{settings.architecture} is a pose network; it trains by a recipe: bihrnet train"
            )
        self.steps = len(samples.images) // settings.batch_size
        if not self.steps:
            raise BihrnetError(
                f"batch_size {settings.batch_size} is more than the {len(samples.images)} images "
                "to train on"
            )
        self.settings, self.samples = settings, samples
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        self.network = architecture.build(samples.classes, **settings.options).to(self.device)
        self.optimizer = SGD(
            self.network.parameters(),
            settings.lr,
            momentum=0.9,
            weight_decay=settings.weight_decay,
        )
        self.history = History()
        # Of the training images, all pixels of a channel together.
        self.mean = torch.tensor(samples.images.mean((0, 1, 2)), dtype=torch.float32)
        self.std = torch.tensor(samples.images.std((0, 1, 2)), dtype=torch.float32).clamp_min(1)

    def learn(self, epoch: int) -> float:
        """One epoch, whose data follows from its number; gives its learning rate."""
        progress = epoch / self.settings.epochs
        rate = self.settings.lr * 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((self.settings.seed, epoch))
        order = rng.permutation(len(self.samples.images))
        self.network.train()
        for chosen in order[: self.steps * self.settings.batch_size].reshape(self.steps, -1):
            images = augment(self.samples.images[chosen], rng)
            loss = F.cross_entropy(
                self.network(self._normalized(images)), self._labels(self.samples, chosen)
            )
            if not math.isfinite(loss.item()):
                raise BihrnetError(
                    f"the loss became {loss.item()} in epoch {epoch + 1}; a lower --lr may help"
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.history.add_step({"loss": loss.item()})
        return rate

    @torch.inference_mode()
    def judge(self, test: LabeledImages) -> tuple[float, float]:
        """Mean cross-entropy, and accuracy in percent."""
        self.network.eval()
        loss, right = 0.0, 0
        for chosen in np.array_split(np.arange(len(test.images)), -(-len(test.images) // 256)):
            logits = self.network(self._normalized(test.images[chosen]))
            labels = self._labels(test, chosen)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += int((logits.argmax(1) == labels).sum())
        return loss / len(test.images), 100 * right / len(test.images)

    def save(self, path: Path) -> None:
        """Replace the checkpoint; it says what it is to readers of pose checkpoints."""
        content = {
            "bihrnet": {
                "format": FORMAT,
                "task": "classification",
                "dataset": self.samples.name,
                **asdict(self.settings),
            },
            "state_dict": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history.state_dict(),
        }
        AtomicCheckpointIO().save_checkpoint(content, path)

    def load(self, path: Path) -> None:
        """Go back to where `save` was called."""
        content = read_torch_file(path)
        for key, value in asdict(self.settings).items():
            before = content["bihrnet"].get(key)
            if before != value:
                raise BihrnetError(
                    f"{path} began with {key} {before!r} and cannot go on with {value!r}"
                )
        self.network.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.history.load_state_dict(content["history"])

    def _normalized(self, images: NDArray[np.uint8]) -> Tensor:
        """(N, 32, 32, 3) uint8 -> (N, 3, 32, 32) float, channels last in memory."""
        pixels = (torch.from_numpy(images).float() - self.mean) / self.std
        return pixels.permute(0, 3, 1, 2).to(self.device)

    def _labels(self, data: LabeledImages, chosen: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(data.labels[chosen]).to(self.device)


def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random crop of each image padded by four black pixels, half of them mirrored.

    Args:
        images: (N, 32, 32, 3).
        rng: three draws for each image are taken from it.
    """
    count, along = len(images), np.arange(SIDE)
    top, left = rng.integers(0, 2 * _PADDING + 1, (2, count, 1))
    mirrored = rng.random((count, 1)) < 0.5
    rows = top + along
    columns = left + np.where(mirrored, along[::-1], along)
    border = (_PADDING, _PADDING)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _command(
    architecture: Annotated[str, typer.Argument(help="resnet-56 or resnet-lbb-56.")],
    data: Annotated[Path, typer.Option(help="Folder of CIFAR-10 or CIFAR-100, binary version.")],
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Option of the architecture, as density=0.1."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = CifarSettings.epochs,
    batch_size: Annotated[int, typer.Option(min=2)] = CifarSettings.batch_size,
    lr: Annotated[float, typer.Option(min=0)] = CifarSettings.lr,
    seed: Annotated[int, typer.Option(min=0)] = CifarSettings.seed,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that is there.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Train ARCHITECTURE on CIFAR: last.ckpt and metrics.csv in OUT/<architecture>@<data set>/."""
    options = {}
    for entry in option or []:
        key, _, value = entry.partition("=")
        options[key] = yaml.safe_load(value)
    settings = CifarSettings(architecture, options, epochs, batch_size, lr, seed=seed)
    train_classifier(settings, data, out=out, resume=resume)


def main() -> None:
    """Entry point: a user's mistake is one sentence on standard error and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        typer.run(_command)
    except BihrnetError as error:
        print(f"bihrnet: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

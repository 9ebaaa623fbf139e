"""Train ResNet-56 or ResNet-LBB-56 on CIFAR-10 or CIFAR-100; see README.md beside this file.

The schedule is that of He et al. 2016, "Deep Residual Learning for Image Recognition"
(arXiv:1512.03385), section 4.2: SGD with momentum, a rate that falls to a tenth after a half and
after three quarters of the epochs, random crops and mirroring.
"""

from __future__ import annotations

import csv
import logging
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from cifar import SIDE, LabeledImages, load_cifar
from numpy.typing import NDArray
from resnet import ResNet56, resnet_56, resnet_lbb_56
from torch import Tensor
from torch.nn import functional as F

from bihrnet.errors import BihrnetError
from bihrnet.files import replacing
from bihrnet.nn.torch_file import read_torch_file, write_torch_file

log = logging.getLogger(__name__)

_PADDING = 4  # black pixels on each side of an image before it is cropped

Network = Literal["resnet-56", "resnet-lbb-56"]


@dataclass(frozen=True)
class Settings:
    """All that determines the result of a run; equal settings give equal runs.

    Attributes:
        network: "resnet-56" or "resnet-lbb-56".
        expansion: see `ResNet56`.
        density: share of non-zero weights in the ternary filters of "resnet-lbb-56", 0..1.
        epochs: the learning rate falls to a tenth after a half and after three quarters of them.
        batch_size: the incomplete last batch of an epoch is dropped.
        lr: of SGD with momentum 0.9.
        weight_decay: of all parameters.
        seed: of initial weights, ternary filters, order and augmentation.
    """

    network: Network
    expansion: int = 3
    density: float = 0.5
    epochs: int = 164
    batch_size: int = 128
    lr: float = 0.1
    weight_decay: float = 1e-4
    seed: int = 0

    def build(self, classes: int) -> ResNet56:
        """The network with fresh weights."""
        if self.network == "resnet-56":
            return resnet_56(classes, expansion=self.expansion)
        return resnet_lbb_56(
            classes, expansion=self.expansion, density=self.density, seed=self.seed
        )

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        progress = epoch / self.epochs
        return self.lr * 0.1 ** ((progress >= 0.5) + (progress >= 0.75))


class Run:
    """A network in training, and what is needed to resume it.

    Attributes:
        rows: the measurements of each finished epoch.
    """

    def __init__(self, settings: Settings, data: LabeledImages) -> None:
        if settings.batch_size > len(data.images):
            raise BihrnetError(
                f"batch_size {settings.batch_size} exceeds the {len(data.images)} training images"
            )
        self.settings, self.data = settings, data
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        self.network = settings.build(data.classes).to(self.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            settings.lr,
            momentum=0.9,
            weight_decay=settings.weight_decay,
        )
        self.rows: list[dict[str, float]] = []
        # Per channel, over all pixels of the training images.
        self.mean = torch.tensor(data.images.mean((0, 1, 2)), dtype=torch.float32)
        self.std = torch.tensor(data.images.std((0, 1, 2)), dtype=torch.float32).clamp_min(1)

    def train_epoch(self) -> float:
        """Train for one epoch, whose data follow from its number; returns the mean loss."""
        epoch = len(self.rows)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(epoch)
        rng = np.random.default_rng((self.settings.seed, epoch))
        steps = len(self.data.images) // self.settings.batch_size
        order = rng.permutation(len(self.data.images))[: steps * self.settings.batch_size]
        self.network.train()
        total = 0.0
        for batch in order.reshape(steps, -1):
            images = augment(self.data.images[batch], rng)
            loss = F.cross_entropy(self._logits(images), self._labels(self.data, batch))
            if not math.isfinite(loss.item()):
                raise BihrnetError(
                    f"the loss became {loss.item()} in epoch {epoch + 1}; try a lower --lr"
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / steps

    @torch.inference_mode()
    def evaluate(self, test: LabeledImages) -> tuple[float, float]:
        """Mean cross-entropy, and top-1 accuracy in percent."""
        self.network.eval()
        loss, correct = 0.0, 0
        for batch in np.array_split(np.arange(len(test.images)), -(-len(test.images) // 256)):
            logits, labels = self._logits(test.images[batch]), self._labels(test, batch)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += int((logits.argmax(1) == labels).sum())
        return loss / len(test.images), 100 * correct / len(test.images)

    def save(self, folder: Path) -> None:
        """Replace `last.ckpt` and `metrics.csv`, each atomically."""
        content = {
            "dataset": self.data.name,
            "settings": asdict(self.settings),
            "state_dict": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rows": self.rows,
        }
        write_torch_file(content, folder / "last.ckpt")
        with (
            replacing(folder / "metrics.csv") as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in self.rows:
                writer.writerow({name: f"{value:.7g}" for name, value in row.items()})

    def load(self, folder: Path) -> None:
        """Restore the state of the last `save`."""
        path = folder / "last.ckpt"
        content = read_torch_file(path)
        for key, value in asdict(self.settings).items():
            saved = content["settings"].get(key)
            if saved != value:
                raise BihrnetError(
                    f"{path}: the run was started with {key} {saved!r}, not {value!r}"
                )
        self.network.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.rows = content["rows"]

    def _logits(self, images: NDArray[np.uint8]) -> Tensor:
        """(N, 32, 32, 3) uint8 RGB -> (N, classes)."""
        pixels = (torch.from_numpy(images).float() - self.mean) / self.std
        return self.network(pixels.permute(0, 3, 1, 2).to(self.device))

    def _labels(self, data: LabeledImages, batch: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(data.labels[batch]).to(self.device)


def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random crop of each image after padding it by four black pixels; half are mirrored.

    Args:
        images: (N, 32, 32, 3).
        rng: three draws are taken for each image.
    """
    count, along = len(images), np.arange(SIDE)
    top, left = rng.integers(0, 2 * _PADDING + 1, (2, count, 1))
    mirrored = rng.random((count, 1)) < 0.5
    rows = top + along
    columns = left + np.where(mirrored, along[::-1], along)
    border = (_PADDING, _PADDING)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def train(
    settings: Settings, data: Path, *, out: Path = Path("runs"), resume: bool = False
) -> Path:
    """Train, or continue after the last complete epoch; a resumed run gives the same result.

    Args:
        settings: of the run.
        data: folder of CIFAR-10 or CIFAR-100 (`load_cifar`).
        out: folder of all runs.
        resume: continue an existing run.

    Returns:
        The folder of the run, `<network>@<data set>`, with `last.ckpt` and `metrics.csv`.

    Raises:
        BihrnetError: settings, data or folder are wrong, or the loss is not finite.
    """
    samples, test = load_cifar(data, "train"), load_cifar(data, "test")
    folder = out / f"{settings.network}@{samples.name}"
    run = Run(settings, samples)
    if (folder / "last.ckpt").is_file():
        if not resume:
            raise BihrnetError(f"{folder} already holds a run; continue it with --resume")
        run.load(folder)
    while len(run.rows) < settings.epochs:
        started = time.monotonic()
        epoch = len(run.rows) + 1
        train_loss = run.train_epoch()
        test_loss, accuracy = run.evaluate(test)
        run.rows.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "test_loss": test_loss,
                "test_accuracy": accuracy,
                "lr": settings.rate(epoch - 1),
                "seconds": time.monotonic() - started,
            }
        )
        run.save(folder)
        log.info(
            "epoch %d/%d: train loss %.4f, test loss %.4f, test accuracy %.2f %%",
            *(epoch, settings.epochs, train_loss, test_loss, accuracy),
        )
    return folder


def command(
    network: Annotated[Network, typer.Argument()],
    data: Annotated[Path, typer.Option(help="Folder of CIFAR-10 or CIFAR-100, binary version.")],
    expansion: Annotated[int, typer.Option(min=1, max=4)] = Settings.expansion,
    density: Annotated[float, typer.Option(min=0, max=1)] = Settings.density,
    epochs: Annotated[int, typer.Option(min=1)] = Settings.epochs,
    batch_size: Annotated[int, typer.Option(min=2)] = Settings.batch_size,
    lr: Annotated[float, typer.Option(min=0)] = Settings.lr,
    seed: Annotated[int, typer.Option(min=0)] = Settings.seed,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an existing run.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Train NETWORK on CIFAR; writes last.ckpt and metrics.csv to OUT/<network>@<data set>/."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings(network, expansion, density, epochs, batch_size, lr, seed=seed)
    try:
        train(settings, data, out=out, resume=resume)
    except BihrnetError as error:
        sys.exit(f"train.py: {error}")


if __name__ == "__main__":
    typer.run(command)

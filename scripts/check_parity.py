"""Compare the engine with PyTorch on trained weights: ``check_parity.py --data DIR MODEL ...``.

MODEL is a checkpoint, or ARCHITECTURE=FILE for a file of HRNet's official format. Each is exported
in fp32 for every input size and run on people of LSPET's val split, without flip test. Binary
networks amplify rounding errors: a pre-activation close to a threshold can flip a sign. The
difference between PyTorch in float64 and in float32 shows how much is due to the network itself.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bihrnet import nn
from bihrnet.crop import Crop
from bihrnet.data import load_dataset
from bihrnet.data.people import PeopleDataset
from bihrnet.engine.engine_model import EngineModel
from bihrnet.evaluation.protocols import score_predictions
from bihrnet.export.bhr.export import to_bhr
from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD, ModelSpec, decode_crops
from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.nn.pretrained import ChannelOrder, load_hrnet_weights
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP

SIZES = ("128x128", "256x192", "256x256", "384x288")
BATCH = 10
Heatmaps = NDArray[np.float32]


def open_model(text: str, channels: ChannelOrder) -> tuple[torch.nn.Module, ModelSpec]:
    """The network of a checkpoint, or of ARCHITECTURE=FILE."""
    architecture, _, path = text.partition("=")
    if not path:
        checkpoint = read_checkpoint(text)
        return checkpoint.build(), checkpoint.spec
    network = nn.build(architecture, len(LSP))
    load_hrnet_weights(network, path, channel_order=channels)
    return network, ModelSpec(architecture, LSP, (128, 128))


class DoubleModel:
    """Like `TorchModel`, in float64."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = copy.deepcopy(network).double()

    @torch.inference_mode()
    def __call__(self, crops: NDArray[np.uint8]) -> Heatmaps:
        """(N, h, w, 3) uint8 RGB -> (N, K, h/4, w/4)."""
        normalized = torch.from_numpy((crops / 255 - IMAGENET_MEAN) / IMAGENET_STD)
        heatmaps: Heatmaps = self._network(normalized.permute(0, 3, 1, 2)).float().numpy()
        return heatmaps


def batches(
    dataset: PeopleDataset, size: tuple[int, int]
) -> Iterator[tuple[list[Crop], NDArray[np.uint8]]]:
    """Crops and their pixels (N, h, w, 3) of the people, batch by batch."""
    for start in range(0, len(dataset.people), BATCH):
        people = dataset.people[start : start + BATCH]
        crops = [person.crop(size) for person in people]
        pixels = [crop.warp(one.read_image()) for crop, one in zip(crops, people, strict=True)]
        yield crops, np.stack(pixels)


def agreement(
    maps: Heatmaps, other_maps: Heatmaps, keypoints: Heatmaps, other_keypoints: Heatmaps
) -> str:
    """Two cells: share of heatmaps within 1e-3 of their peak, of keypoints within half a pixel."""
    peaks = np.abs(maps).max(axis=(2, 3), keepdims=True)
    close = (np.abs(maps - other_maps) <= 1e-3 * peaks).all(axis=(2, 3))
    distances = np.linalg.norm(keypoints[..., :2] - other_keypoints[..., :2], axis=2)
    return f"{100 * close.mean():.1f} | {100 * (distances <= 0.5).mean():.1f}"


def row(network: torch.nn.Module, spec: ModelSpec, dataset: PeopleDataset) -> str:
    """One row of the table: a network at one input size."""
    single = TorchModel(network, spec)
    double = DoubleModel(network)
    engine = EngineModel(to_bhr(single), threads=1)
    crops: list[Crop] = []
    parts: list[tuple[Heatmaps, ...]] = []
    for batch, pixels in batches(dataset, spec.input_size):
        crops += batch
        parts.append((single(pixels), double(pixels), engine(pixels)))
    maps = [np.concatenate(one) for one in zip(*parts, strict=True)]
    keypoints = [decode_crops(spec, crops, one) for one in maps]
    cells = [agreement(maps[0], maps[i], keypoints[0], keypoints[i]) for i in (1, 2)]
    scores = [score_predictions(dataset, keypoints[i]).metrics for i in (0, 2)]
    cells += [f"{score[metric]:.2f}" for metric in ("PCKh@0.5", "PCK@0.2") for score in scores]
    height, width = spec.input_size
    return f"| {spec.name} | {height}x{width} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, required=True, help="folder of LSPET")
    parser.add_argument("--people", type=int, default=200, help="number of people of the val split")
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="HxW")
    parser.add_argument(
        "--channels", choices=("rgb", "bgr"), default="rgb", help="channel order of official files"
    )
    arguments = parser.parse_args()
    dataset = load_dataset("lspet", arguments.data, "val")
    dataset = replace(dataset, people=dataset.people[: arguments.people])
    print(
        "Heatmaps within 1e-3 of their peak and keypoints within half a pixel, in percent; metrics:"
    )
    print(
        "| network | size | float64 and float32: heatmaps | keypoints "
        "| engine and float32: heatmaps | keypoints "
        "| PCKh@0.5 torch | engine | PCK@0.2 torch | engine |"
    )
    print("|---" * 10 + "|")
    for model in arguments.models:
        network, spec = open_model(model, arguments.channels)
        for size in arguments.sizes:
            height, width = map(int, size.split("x"))
            sized = replace(spec, input_size=(height, width))
            print(row(network.eval(), sized, dataset), flush=True)


if __name__ == "__main__":
    main()

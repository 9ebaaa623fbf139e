"""Fine-tune a checkpoint on own keypoints: ``python examples/finetune.py start.ckpt own/``.

The folder holds annotations in COCO's format, images and ``skeleton.yaml`` (docs/data.md, "Own
data"). The network keeps its architecture, input size and loss; every weight whose shape does not
depend on the number of keypoints is taken from the checkpoint. Needs ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.training.options import RunOptions
from bihrnet.training.recipe_files import parse_recipe
from bihrnet.training.run import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()

    start = read_checkpoint(arguments.checkpoint)
    fields = {
        "name": f"{arguments.data.resolve().name}-finetuned",
        "architecture": start.architecture,
        "options": start.options,
        "initialize_from": str(arguments.checkpoint),
        "data": {
            "train": "coco",
            "val": "coco",
            "skeleton": str(arguments.data / "skeleton.yaml"),
            "input_size": start.input_size,
            "sigma": start.spec.sigma,
            "augmentation": {
                "scale": 0.25,
                "rotation": 30,
                "rotation_probability": 0.6,
                "flip_probability": 0.5,
            },
        },
        "loss": start.recipe.get("loss", "mse"),
        "optimizer": {"lr": arguments.lr},
        "schedule": {"name": "cosine", "warmup_steps": 20},
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "clip_gradients": 20,
        "evaluation": {"metric": "AP"},
    }
    options = RunOptions(data=arguments.data, out=arguments.out)
    run = train(parse_recipe(fields, "this example"), options)
    print(run / "best.ckpt")


if __name__ == "__main__":
    main()

"""The Lightning module: training and validation of one batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from bihrnet.data.people import PeopleDataset
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.protocols import score_predictions
from bihrnet.model import decode_crops
from bihrnet.nn.checkpoint import Checkpoint
from bihrnet.nn.logits import heatmaps
from bihrnet.nn.normalization import NormalizePixels
from bihrnet.training.batches import Batch
from bihrnet.training.binarization import BinarizationSchedule
from bihrnet.training.distillation import DISTILLATION_LOSSES, distillation_loss
from bihrnet.training.losses import POSE_LOSSES
from bihrnet.training.optimization import build_optimizer, learning_rate_factor
from bihrnet.training.process import check_gradients
from bihrnet.training.recipe import Recipe
from bihrnet.training.state import MovingAverage, random_states, restore_random_states
from bihrnet.training.teacher import Teacher


class PoseTraining(pl.LightningModule):
    """Trains a heatmap network by a recipe, with or without a teacher.

    Args:
        recipe: the run.
        network: (N, 3, h, w) normalized crops -> (N, K, h/4, w/4) heatmaps.
        steps_per_epoch: optimizer steps of one epoch.
        validation: people of every evaluation; their skeleton is the run's.
        teacher: as the recipe's `teacher` section asks.
        compile: fuse the training pass with torch.compile; evaluation is not compiled.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        steps_per_epoch: int,
        validation: PeopleDataset,
        teacher: Teacher | None = None,
        *,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self._binarization = BinarizationSchedule(
            network, recipe.binarization, recipe.epochs * steps_per_epoch
        )
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # A function, not a module: the network must not appear in checkpoints twice.
        forward = network.__call__
        self._learn = torch.compile(forward, dynamic=False) if compile else forward
        self._gradients_unchecked = compile
        self.steps_per_epoch = steps_per_epoch
        #: Of the last evaluation: metrics as `bihrnet evaluate` names them, and "val_loss".
        self.metrics: dict[str, float] = {}
        self._validation = validation
        self._teacher = teacher
        self._average = MovingAverage(network, recipe.ema_decay) if recipe.ema_decay else None
        self._pose_loss = POSE_LOSSES[recipe.loss]
        self._predicted: list[tuple[int, NDArray[np.float32]]] = []
        self._validation_loss = 0.0
        self._normalize = NormalizePixels()
        #: What a checkpoint says about the network; weights and metrics are added when it is saved.
        self._checkpoint = Checkpoint(
            architecture=recipe.architecture,
            options=recipe.options,
            skeleton=validation.skeleton,
            input_size=recipe.data.input_size,
            recipe=recipe.model_dump(mode="json"),
            metrics={},
            weights={},
        )
        self._spec = self._checkpoint.spec

    def setup(self, stage: str) -> None:
        """Move what is not a submodule to the device of this process."""
        device = self.trainer.strategy.root_device
        if self._teacher is not None:
            self._teacher.to(device)
        if self._average is not None:
            self._average.network.to(device)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Loss of one batch; with a teacher also its parts "pose" and "kl" or "bce", detached.

        Every stack of a network is supervised by the labels and by the teacher's heatmaps; the
        losses of the stacks are summed.
        """
        self._binarization.advance(self.global_step)
        crops = self._normalize(batch["crop"])
        outputs = self._learn(crops)
        stacks = [output.float() for output in _as_list(outputs)]
        target, weight = batch["target"], batch["weight"]
        pose = _total(self._pose_loss(stack, target, weight) for stack in stacks)
        section = self.recipe.teacher
        if self._teacher is None or section is None:
            return {"loss": pose}
        taught = self._teacher(crops)
        if section.loss == "kl":
            stacks = [heatmaps(stack, self.recipe.loss) for stack in stacks]
        compare = DISTILLATION_LOSSES[section.loss]
        imitation = _total(compare(stack, taught, weight) for stack in stacks)
        loss = distillation_loss(pose, imitation, section.balance)
        return {"loss": loss, "pose": pose.detach(), section.loss: imitation.detach()}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the recipe asks; stop before a gradient that is not finite reaches the weights.

        A compiled pass is checked at its first step. Gradients have been summed over processes,
        so all processes stop together.
        """
        if self._gradients_unchecked:
            check_gradients(self.network)
            self._gradients_unchecked = False
        limit = self.recipe.clip_gradients or float("inf")
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        if not torch.isfinite(norm):
            raise BihrnetError(
                f"the loss or its gradient became {norm.item()} at step {self.global_step + 1} "
                f"(epoch {self.current_epoch + 1})"
            )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take the step, then update the moving average."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        if self._average is not None:
            self._average.update(self.network, step)

    def on_validation_epoch_start(self) -> None:
        """Discard the predictions of the last evaluation."""
        self._predicted, self._validation_loss = [], 0.0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect keypoints, in image pixels, and the sum of the pose loss over samples."""
        network = self._average.network if self._average is not None else self.network
        inputs = self._normalize(batch["crop"])
        outputs = network(inputs).float()
        loss = self._pose_loss(outputs, batch["target"], batch["weight"])
        self._validation_loss += loss.item() * len(inputs)
        mirrored = None
        if self._spec.flip_test:
            mirrored = self._heatmaps(network(inputs.flip(3)).float())
        indices = batch["index"].tolist()
        crops = [self._validation.people[index].crop(self._spec.input_size) for index in indices]
        keypoints = decode_crops(self._spec, crops, self._heatmaps(outputs), mirrored=mirrored)
        self._predicted.extend(zip(indices, keypoints, strict=True))

    def on_validation_epoch_end(self) -> None:
        """Gather all processes' keypoints and score them; every process ends with the metrics."""
        shares: list[Any] = [(self._predicted, self._validation_loss)]
        if self.trainer.world_size > 1:
            shares *= self.trainer.world_size
            torch.distributed.all_gather_object(shares, (self._predicted, self._validation_loss))
        predicted = {index: keypoints for share, _ in shares for index, keypoints in share}
        ordered = np.stack([predicted[index] for index in range(len(self._validation))])
        loss = sum(loss for _, loss in shares) / len(self._validation)
        scores = score_predictions(self._validation, ordered)
        self.metrics = {"val_loss": loss, **scores.metrics}
        self._predicted = []

    def configure_optimizers(self) -> Any:
        """Optimizer and per-step schedule of the recipe."""
        optimizer = build_optimizer(self.network, self.recipe.optimizer)
        factor = learning_rate_factor(
            self.recipe.schedule, self.recipe.epochs, self.steps_per_epoch
        )
        schedule = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the metadata of a model file and the random states."""
        content = replace(self._checkpoint, metrics=self.metrics).metadata
        if self._average is not None:
            content["ema"] = self._average.network.state_dict()
        checkpoint["bihrnet"] = content
        checkpoint["random_states"] = random_states()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` added."""
        self.metrics = dict(checkpoint["bihrnet"]["metrics"])
        if self._average is not None:
            self._average.network.load_state_dict(checkpoint["bihrnet"]["ema"])
        restore_random_states(checkpoint["random_states"])

    def _heatmaps(self, outputs: Tensor) -> NDArray[np.float32]:
        return heatmaps(outputs, self.recipe.loss).cpu().numpy()


def _as_list(outputs: Tensor | list[Tensor]) -> list[Tensor]:
    """The outputs of a stacked network in training mode, or the only output of another."""
    return outputs if isinstance(outputs, list) else [outputs]


def _total(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()

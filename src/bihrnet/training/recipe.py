"""The recipe: everything that decides what a training run computes, as one validated schema.

What only decides where and how fast it runs (folders, devices, worker processes) is part of
`RunOptions` instead. The schema is validated without torch, so that mistakes are reported at once;
`bihrnet.training.run.train` checks what needs the networks.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import Self

from bihrnet.data.augmentation import Augmentation
from bihrnet.heatmap import Decoding
from bihrnet.skeleton import Skeleton, load_skeleton

LossName = Literal["mse", "awing", "bce"]
DistillationName = Literal["kl", "bce"]
Precision = Literal["auto", "bf16", "fp32"]
Probability = Annotated[float, Field(ge=0, le=1)]


def _size(value: Any) -> Any:
    """Split the short form: "256x192" gives ["256", "192"]."""
    return value.lower().split("x") if isinstance(value, str) else value


Side = Annotated[int, Field(ge=32, le=2048, multiple_of=32)]
Size = Annotated[tuple[Side, Side], BeforeValidator(_size)]


def _skeleton(value: Any) -> Any:
    """A skeleton from a YAML file, from a published name, or from the fields of a saved recipe."""
    if isinstance(value, str):
        return load_skeleton(value)
    return Skeleton.from_dict(value) if isinstance(value, dict) else value


Names = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """Data for training and evaluation."""

    train: Names
    val: str
    skeleton: Annotated[Skeleton | None, BeforeValidator(_skeleton)] = None
    input_size: Size
    sigma: Annotated[float, Field(gt=0)]
    augmentation: Augmentation = Augmentation()


class TeacherSection(Section):
    """The network whose heatmaps the student learns; without the section there is no teacher."""

    architecture: str
    options: dict[str, Any] = {}
    checkpoint: str | None = None
    channels: Literal["rgb", "bgr"] = "rgb"
    loss: DistillationName = "kl"
    balance: Probability = 0.5


class BinarizationSection(Section):
    """Binarization during training (Bulat et al. 2019, sections 3.3 and 3.4).

    `activations` other than "sign" are smooth functions whose steepness grows over the run, from
    the first to the second `steepness`; evaluation always uses the exact sign. `weights: real`
    keeps the weights real-valued, also in evaluation: the first stage of reverse-order
    initialization, whose checkpoint the second stage starts from.
    """

    activations: Literal["sign", "tanh", "sigmoid", "softsign"] = "sign"
    steepness: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 2.0**16)
    weights: Literal["binary", "real"] = "binary"


class OptimizerSection(Section):
    """Optimizer, HRNet's Adam by default. Latent weights of binary layers never decay."""

    name: Literal["adam", "adamw", "rmsprop"] = "adam"
    lr: Annotated[float, Field(gt=0)]
    latent_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class ScheduleSection(Section):
    """Learning rate over time: linear warm-up, then steps at epochs or a cosine down to 0."""

    name: Literal["multistep", "cosine"]
    milestones: list[Annotated[int, Field(gt=0)]] = []
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_steps: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _steps_have_milestones(self) -> Self:
        if self.name == "multistep" and not self.milestones:
            raise ValueError("a multistep schedule needs milestones")
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        return self


class EvaluationSection(Section):
    """Evaluation during training."""

    metric: str
    every: Annotated[int, Field(ge=1)] = 1
    flip_test: bool = True
    decoding: Decoding = "quarter"


class Recipe(Section):
    """One training run; docs/training.md explains every key.

    `name` distinguishes the recipes of one architecture: `bihrnet-w32` trained by "lspet-128x128"
    gives the weights `bihrnet-w32@lspet-128x128`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    architecture: str
    options: dict[str, Any] = {}
    initialize_from: str | None = None
    data: DataSection
    loss: LossName
    teacher: TeacherSection | None = None
    binarization: BinarizationSection = BinarizationSection()
    optimizer: OptimizerSection
    schedule: ScheduleSection
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    precision: Precision = "auto"
    clip_gradients: Annotated[float, Field(gt=0)] | None = None
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    evaluation: EvaluationSection

    @property
    def model_name(self) -> str:
        """`architecture@recipe`, the name of the run's folder and of its weights."""
        return f"{self.architecture}@{self.name}"

    @model_validator(mode="after")
    def _last_epoch_is_evaluated(self) -> Self:
        if self.epochs % self.evaluation.every:
            raise ValueError("epochs must be a multiple of evaluation.every")
        return self

    @model_validator(mode="after")
    def _soft_labels_need_logits(self) -> Self:
        if self.teacher is not None and self.teacher.loss == "bce" and self.loss != "bce":
            raise ValueError("teacher.loss bce takes logits, so it needs loss bce")
        return self

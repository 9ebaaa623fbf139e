"""Options of a run that do not change its result: where its files are and how fast it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """Everything about a run that is not part of its recipe.

    Attributes:
        data: folder of the data sets, see `load_training_data`; None if none is on disk.
        out: folder of all runs.
        resume: continue from the run's last checkpoint; if there is none, start.
        devices: processes on this machine, each on a GPU of its own or sharing the CPU. Under
            torchrun, its number of processes is used instead.
        nodes: machines; torchrun starts a process group on each.
        workers: data-loading processes per training process; None depends on the cores.
        compile: fuse the training pass with torch.compile, which takes some minutes at the start.
        tensorboard: also write TensorBoard events.
        teacher_answers: folder of the teacher's cached heatmaps, see `CachedHeatmaps`; None
            computes them all.
        save_every_minutes: interval between the checkpoints inside a long epoch.
    """

    data: Path | None = None
    out: Path = Path("runs")
    resume: bool = False
    devices: int = 1
    nodes: int = 1
    workers: int | None = None
    compile: bool = False
    tensorboard: bool = False
    teacher_answers: Path | None = None
    save_every_minutes: float = 10.0

    def arguments(self) -> list[str]:
        """The arguments of `bihrnet train` that give these options, without `--resume`."""
        arguments = ["--out", str(self.out)]
        for name, value in (
            ("--data", self.data),
            ("--devices", self.devices if self.devices > 1 else None),
            ("--nodes", self.nodes if self.nodes > 1 else None),
            ("--workers", self.workers),
            ("--teacher-answers", self.teacher_answers),
        ):
            if value is not None:
                arguments += [name, str(value)]
        if self.compile:
            arguments.append("--compile")
        if self.tensorboard:
            arguments.append("--tensorboard")
        return arguments

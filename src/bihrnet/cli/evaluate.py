"""`bihrnet evaluate`: a model, or poses made elsewhere, judged as the papers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bihrnet.cli.output import (
    check_writable,
    console,
    parse_decoding,
    result_console,
    write_json,
)
from bihrnet.errors import BihrnetError

if TYPE_CHECKING:
    from bihrnet.data import DatasetEntry, PeopleDataset
    from bihrnet.evaluation.evaluate import Evaluation
    from bihrnet.heatmap import Decoding
    from bihrnet.model import HeatmapModel


def evaluate(
    model: Annotated[
        str | None, typer.Argument(help="A bundled name, a .bhr or a checkpoint.")
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="Data set, for instance coco; docs/data.md lists them.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set in its official layout.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Default: the one that models are evaluated on.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Detections (COCO results) instead of ground-truth boxes.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Judge these poses (COCO results) instead of a model.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="With --results: the ground truth, in COCO's format.")
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="With --results: own joints, a YAML file (see docs/data.md).")
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Flip test. Default: as the model says."),
    ] = None,
    decoding: Annotated[
        str | None, typer.Option(help="quarter | dark. Default: as the model says.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="Crops at once.")] = 32,
    save_results: Annotated[
        Path | None, typer.Option(help="Write the poses as COCO results, for other tools.")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the metrics; - for standard output.")
    ] = None,
) -> None:
    """Evaluate a MODEL over a data set, or poses made elsewhere (--results) against annotations."""
    from bihrnet.data import datasets

    entry = datasets().get(dataset)
    if entry is None:
        given = f"not {dataset!r}" if dataset else "which is missing"
        raise BihrnetError(f"--dataset takes one of {', '.join(datasets())}, {given}")
    refinement = parse_decoding(decoding)
    files = (model, boxes, results, annotations, skeleton)
    check_writable(json, (*files, save_results))
    check_writable(save_results, files)
    if results is not None:
        foreign = {
            "MODEL": model,
            "--data": data,
            "--split": split,
            "--boxes": boxes,
            "--flip": flip,
            "--decoding": decoding,
            "--save-results": save_results,
        }
        for name, value in foreign.items():
            if value is not None:
                raise BihrnetError(f"{name} has no meaning with --results")
        report = _judge_results(results, entry, annotations, skeleton)
    else:
        if model is None:
            raise BihrnetError("evaluate needs a MODEL, or poses to judge (--results FILE)")
        for name, value in (("--annotations", annotations), ("--skeleton", skeleton)):
            if value is not None:
                raise BihrnetError(f"{name} has no meaning without --results")
        if data is None and entry.on_disk:
            raise BihrnetError(f"--data is missing: the folder of data set {dataset!r}")
        from bihrnet.data import load_dataset
        from bihrnet.evaluation.evaluate import dataset_results
        from bihrnet.zoo import load

        loaded = load(model)
        joints = loaded.spec.skeleton if entry.own_skeleton else None
        people = load_dataset(dataset, data, split, boxes, joints)
        evaluation = _evaluate_model(loaded, people, flip, refinement, batch_size)
        if save_results is not None:
            write_json(dataset_results(people, evaluation.predictions), save_results)
        report = evaluation.to_dict()
    write_json(report, json)  # first: who reads the table may have gone, as head does
    _show(report, result_console(json))


def _evaluate_model(
    model: HeatmapModel,
    people: PeopleDataset,
    flip: bool | None,
    decoding: Decoding | None,
    batch_size: int,
) -> Evaluation:
    from bihrnet.evaluation.evaluate import evaluate as evaluate_model

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(model.spec.name, total=len(people))
        return evaluate_model(
            model,
            people,
            flip_test=flip,
            decoding=decoding,
            batch_size=batch_size,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _judge_results(
    results: Path, dataset: DatasetEntry, annotations: Path | None, own: str | None
) -> dict[str, Any]:
    """Score poses made elsewhere; keys as with a model, null where only its maker knows."""
    from bihrnet.evaluation.coco import evaluate_keypoints
    from bihrnet.evaluation.coco_files import read_ground_truth, read_results
    from bihrnet.skeleton import load_skeleton

    if dataset.protocol not in ("coco", "crowdpose"):
        raise BihrnetError(f"--results can be judged as coco or crowdpose, not as {dataset.name!r}")
    if annotations is None:
        raise BihrnetError("--results needs --annotations, the ground truth in COCO's format")
    if own is not None and not dataset.own_skeleton:
        raise BihrnetError(
            f"--skeleton is for --dataset coco: {dataset.name} has joints of its own"
        )
    skeleton = dataset.skeleton if own is None else load_skeleton(own)
    truth = read_ground_truth(annotations, len(skeleton), dataset.protocol)
    poses = read_results(results, len(skeleton), truth)
    return {
        "model": results.name,
        "dataset": dataset.name,
        "split": annotations.stem,
        "instances": len(poses),
        "boxes": None,
        "flip_test": None,
        "metrics": evaluate_keypoints(poses, truth, skeleton),
    }


def _show(report: dict[str, Any], to: Console) -> None:
    """Metrics below each other, or joints below each other where there are shares by joint."""

    def say(line: str) -> None:
        to.print(line, markup=False, highlight=False, soft_wrap=True)

    say("{model} on {dataset} {split}: {instances} poses".format_map(report))
    metrics, by_joint = report["metrics"], report.get("by_joint")
    table = Table("joint" if by_joint else "metric")
    if by_joint:
        rows = {"all": metrics}
        for metric, shares in by_joint.items():
            table.add_column(metric, justify="right")
            for joint, share in shares.items():
                rows.setdefault(joint, {})[metric] = share
        for joint, values in rows.items():
            cells = (f"{values[metric]:.1f}" if metric in values else "-" for metric in by_joint)
            table.add_row(joint, *cells)
    else:
        table.add_column("value", justify="right")
        for metric, value in metrics.items():
            table.add_row(metric, f"{value:.4f}")
    to.print(table)
    for metric, count in report.get("left_out", {}).items():
        if count:
            say(f"{metric} leaves out {count} people without its reference length")

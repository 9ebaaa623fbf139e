"""`bihrnet evaluate`: score a model on a data set, or poses made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bihrnet.cli.output import (
    busy,
    check_writable,
    message,
    parse_decoding,
    progress,
    result_console,
    write_json,
)
from bihrnet.errors import BihrnetError

if TYPE_CHECKING:
    from bihrnet.data import DatasetEntry, PeopleDataset
    from bihrnet.evaluation.coco_files import EvaluationProtocol
    from bihrnet.evaluation.evaluate import Evaluation
    from bihrnet.heatmap import Decoding
    from bihrnet.model import HeatmapModel


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A bundled name, a .bhr file or a checkpoint."),
    ] = None,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="For instance coco; docs/data.md lists all.")
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the data set in its official layout."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Part of the data set. Default: the one for evaluation."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Detections (COCO results) instead of ground-truth boxes."
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score these poses (COCO results) instead of a model."),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --results: the ground truth in COCO's format."),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="With --results: your own keypoints, a YAML file (docs/data.md)."
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip",
            help="Average with the mirrored image (flip test). Default: as the model's file says.",
        ),
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Refinement of heatmap peaks: quarter | dark. Default: as the model's file says.",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="People that go through the network at once.")
    ] = 32,
    save_results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the poses as COCO results, for other tools."),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the metrics; - for standard output."),
    ] = None,
) -> None:
    """Evaluate a MODEL on a data set, or poses made elsewhere (--results) on annotations."""
    from bihrnet.data import datasets

    if dataset not in datasets():
        problem = f"--dataset: unknown {dataset!r}" if dataset else "--dataset is missing"
        raise BihrnetError(f"{problem}; give one of {', '.join(datasets())}")
    entry = datasets()[dataset]
    refinement = parse_decoding(decoding)
    inputs = (model, boxes, results, annotations, skeleton)
    check_writable(json, (*inputs, save_results))
    check_writable(save_results, inputs)
    if results is not None:
        _refuse(
            {
                "MODEL": model,
                "--data": data,
                "--split": split,
                "--boxes": boxes,
                "--flip": flip,
                "--decoding": decoding,
                "--save-results": save_results,
            },
            "with --results",
        )
        report = _evaluate_results(results, entry, annotations, skeleton)
    else:
        _refuse({"--annotations": annotations, "--skeleton": skeleton}, "without --results")
        loaded, people = _open(model, entry, data, split, boxes)
        evaluation = _evaluate_model(loaded, people, flip, refinement, batch_size)
        if save_results is not None:
            from bihrnet.evaluation.coco import dataset_results

            write_json(dataset_results(people, evaluation.predictions), save_results)
        report = evaluation.to_dict()
    write_json(report, json)  # before the table, whose reader may have gone, as head does
    _print_report(report, result_console(json))


def _refuse(options: Mapping[str, Any], where: str) -> None:
    """Refuse the options that were given although they have no meaning here."""
    for name, value in options.items():
        if value is not None:
            raise BihrnetError(f"{name} has no meaning {where}")


def _open(
    model: str | None,
    dataset: DatasetEntry,
    data: Path | None,
    split: str | None,
    boxes: Path | None,
) -> tuple[HeatmapModel, PeopleDataset]:
    if model is None:
        raise BihrnetError("evaluate needs a MODEL, or poses made elsewhere (--results FILE)")
    if data is None and dataset.on_disk:
        raise BihrnetError(f"--data is missing: the folder of data set {dataset.name!r}")
    with busy(f"loading {model}"):
        from bihrnet.data import load_dataset
        from bihrnet.zoo import load

        loaded = load(model)
    joints = loaded.spec.skeleton if dataset.own_skeleton else None
    with busy(f"reading {data or dataset.name}"):
        return loaded, load_dataset(dataset.name, data, split, boxes, joints)


def _evaluate_model(
    model: HeatmapModel,
    people: PeopleDataset,
    flip: bool | None,
    decoding: Decoding | None,
    batch_size: int,
) -> Evaluation:
    from bihrnet.evaluation.evaluate import evaluate as evaluate_model

    with progress(f"{model.spec.name} on people of {people.name}", len(people)) as update:
        return evaluate_model(
            model,
            people,
            flip_test=flip,
            decoding=decoding,
            batch_size=batch_size,
            progress=lambda done, _: update(done),
        )


def _evaluate_results(
    results: Path, dataset: DatasetEntry, annotations: Path | None, own_skeleton: str | None
) -> dict[str, Any]:
    from bihrnet.evaluation.evaluate import evaluate_results
    from bihrnet.skeleton import load_skeleton

    if dataset.protocol not in ("coco", "crowdpose"):
        raise BihrnetError(f"--results is for --dataset coco or crowdpose, not {dataset.name}")
    if annotations is None:
        raise BihrnetError("--results needs --annotations, the ground truth in COCO's format")
    if own_skeleton is not None and not dataset.own_skeleton:
        raise BihrnetError(
            f"--skeleton is for --dataset coco: {dataset.name} has its own keypoints"
        )
    protocol: EvaluationProtocol = "crowdpose" if dataset.protocol == "crowdpose" else "coco"
    skeleton = dataset.skeleton if own_skeleton is None else load_skeleton(own_skeleton)
    with busy(f"evaluating {results}"):
        evaluation = evaluate_results(results, annotations, dataset.name, skeleton, protocol)
    return evaluation.to_dict()


def _print_report(report: Mapping[str, Any], to: Console) -> None:
    """One metric per row, or one joint per row where there are shares by joint."""
    message("{model} on {dataset} {split}: {instances} poses".format_map(report), to)
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
            message(f"{metric} leaves out {count} people without its reference length", to)

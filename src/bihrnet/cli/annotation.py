"""What `predict` and `demo` do: look at every input, write pictures and JSON, say how it went."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import typer
from rich.progress import Progress

from bihrnet.cli.output import console, write_json
from bihrnet.errors import BihrnetError
from bihrnet.estimate.drawing import draw_poses
from bihrnet.estimate.estimator import PoseEstimator
from bihrnet.estimate.sources import Source
from bihrnet.estimate.video import Frame, VideoReader, writing_video
from bihrnet.files import WriteError
from bihrnet.images import WRITABLE_SUFFIXES, read_image, write_image
from bihrnet.pose import ImagePoses


def annotate(
    estimator: PoseEstimator,
    sources: Sequence[Source],
    targets: Mapping[Source, Path],
    json: str | None,
    smooth: bool = True,
) -> None:
    """Estimate the poses of all sources, draw them and write them as JSON.

    A source that cannot be read is named and passed over. Ctrl-C, or a picture that cannot be
    written, ends the work; the poses found up to there are kept, and a video as far as it went.

    Args:
        estimator: finds the poses.
        sources: images, videos, cameras.
        targets: where the annotated picture of a source goes; without one nothing is drawn.
        json: file for the poses, "-" for standard output, None for none.
        smooth: whether keypoints of videos are smoothed.

    Raises:
        BihrnetError: no source could be read, or a file cannot be written.
        typer.Exit: code 130 after Ctrl-C, unless that ended a camera, which has no other end.
    """
    # Silence ffmpeg about broken videos, before the first one is opened: the sentence is ours.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    results: list[ImagePoses] = []
    problems: list[BihrnetError] = []
    written: list[Path] = []
    stop: WriteError | KeyboardInterrupt | None = None
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for source in progress.track(sources, description="inputs"):
            before, target = len(results), targets.get(source)
            try:
                _look(estimator, source, target, results.append, progress, smooth)
            except (WriteError, KeyboardInterrupt) as reason:
                stop = reason
            except BihrnetError as error:
                if len(results) > before:
                    _say(f"{source.name} ends early: {error}")
                else:
                    problems.append(error)
                    if len(sources) > 1:
                        _say(f"passed over: {error}")
            if len(results) > before:
                if target:
                    written.append(target)
                if len(sources) > 1 and not console.is_terminal:
                    _say(f"{source.name}: {_summary(results[before:])}")
            if stop:
                break
    if not results:
        raise stop or (problems[0] if len(sources) == 1 else BihrnetError("no input can be used"))
    spec = estimator.model.spec
    images = [result.to_dict() for result in results]
    write_json({"model": spec.name, "skeleton": spec.skeleton.to_dict(), "images": images}, json)
    if isinstance(stop, WriteError):
        raise stop
    closing = [f"{_summary(results)}, found by {spec.name}"]
    if written:
        closing.append(f"drawn into {written[0] if len(written) == 1 else written[0].parent}")
    if problems:
        closing.append(f"{len(problems)} of {len(sources)} inputs passed over")
    typer.echo("\n".join(closing), err=json == "-")
    if stop and source.kind != "webcam":
        raise typer.Exit(130)


def output_paths(sources: Sequence[Source], folder: Path) -> dict[Source, Path]:
    """Where annotated pictures go: into `folder` under the input's name, videos as .mp4.

    Inputs of the same name get numbers: photo.jpg, photo-2.jpg.

    Raises:
        BihrnetError: a picture would overwrite an input.
    """
    inputs = {Path(source.name).resolve() for source in sources}
    taken: set[Path] = set()
    targets: dict[Source, Path] = {}
    for source in sources:
        name = Path(f"webcam-{source.name}" if source.kind == "webcam" else source.name)
        suffix = name.suffix if name.suffix.lower() in WRITABLE_SUFFIXES else ".jpg"
        suffix = suffix if source.kind == "image" else ".mp4"
        target, number = folder / f"{name.stem}{suffix}", 2
        while target in taken:
            target, number = folder / f"{name.stem}-{number}{suffix}", number + 1
        if target.resolve() in inputs:
            raise BihrnetError(
                f"{target}: the picture would overwrite an input; choose another --out"
            )
        taken.add(target)
        targets[source] = target
    return targets


def _look(
    estimator: PoseEstimator,
    source: Source,
    target: Path | None,
    keep: Callable[[ImagePoses], None],
    progress: Progress,
    smooth: bool,
) -> None:
    if source.kind == "image":
        frame = Frame(read_image(source.name), source.name)
        found = estimator.estimate(frame)
        if target:
            write_image(target, draw_poses(frame.image, found.poses, estimator.model.spec.skeleton))
        keep(found)
    else:
        video = source.open_video()
        if source.kind == "webcam":
            _say("watching the camera; Ctrl-C ends it")
        _look_at_video(estimator, video, target, keep, progress, smooth)


def _look_at_video(
    estimator: PoseEstimator,
    reader: VideoReader,
    target: Path | None,
    keep: Callable[[ImagePoses], None],
    progress: Progress,
    smooth: bool,
) -> None:
    skeleton = estimator.model.spec.skeleton
    stopped: BaseException | None = None
    done = written = 0
    task = progress.add_task(Path(reader.name).name, total=reader.frame_count or None)
    with ExitStack() as stack:
        write = stack.enter_context(writing_video(target, reader.fps)) if target else None
        try:
            for frame, found in estimator.watch(reader, smooth=smooth):
                if write:
                    picture = draw_poses(frame.image, found.poses, skeleton)
                    # What a slow network misses of a camera's pictures must not hurry the rest.
                    due = round(frame.seconds * reader.fps) if reader.live else 0
                    for _ in range(max(1, due - written)):
                        write(picture)
                        written += 1
                keep(found)
                done += 1
                progress.advance(task)
        except (KeyboardInterrupt, BihrnetError) as reason:
            if not done:
                raise
            stopped = reason  # only after the frames so far have become a whole file
    progress.remove_task(task)
    if stopped:
        raise stopped


def _summary(results: Sequence[ImagePoses]) -> str:
    """For instance "3 poses in 2 images and 5 frames"."""
    poses = sum(len(result.poses) for result in results)
    frames = sum(result.frame is not None for result in results)
    images = len(results) - frames
    parts = [
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((images, "image"), (frames, "frame")) if n
    ]
    return f"{poses} pose{'s' * (poses != 1)} in {' and '.join(parts) or 'nothing'}"


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

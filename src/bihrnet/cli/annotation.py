"""What `predict` and `demo` do with their inputs: find poses, draw them, write JSON, report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import typer
from rich.progress import Progress

from bihrnet.cli.output import console, message, write_json
from bihrnet.errors import BihrnetError
from bihrnet.estimate.drawing import draw_poses
from bihrnet.estimate.estimator import PoseEstimator
from bihrnet.estimate.sources import Source
from bihrnet.estimate.video import VideoReader, writing_video
from bihrnet.files import WriteError
from bihrnet.images import WRITABLE_SUFFIXES, read_image, write_image
from bihrnet.pose import Frame, ImagePoses, poses_document

#: Seconds between two lines about a video where there is no progress bar.
_INTERVAL = 10.0


def annotate(
    estimator: PoseEstimator,
    sources: Sequence[Source],
    targets: Mapping[Source, Path],
    json: str | None,
    smooth: bool = True,
) -> None:
    """Estimate the poses of all sources, draw them and write them as JSON.

    A source that cannot be read is reported and skipped. Ctrl-C, or a picture that cannot be
    written, ends the work; the poses found so far are kept, and a video up to that frame.

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
    # Keep ffmpeg quiet about broken videos, from the first one on: bihrnet reports them itself.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    run = _Run(estimator, sources, targets, smooth)
    interruption = run.process()
    if not run.results:
        only = run.skipped[0] if len(sources) == 1 and run.skipped else None
        raise interruption or only or BihrnetError("no input can be used")
    spec = estimator.model.spec
    write_json(poses_document(spec.name, spec.skeleton, run.results), json)
    if isinstance(interruption, WriteError):
        raise interruption
    typer.echo(run.summary(), err=json == "-")
    if interruption and run.current.kind != "webcam":
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


class _Run:
    """The work on all sources, and what has come of it so far; the arguments are `annotate`'s.

    Attributes:
        results: poses of every image and frame.
        skipped: why sources could not be used.
        written: annotated pictures.
        current: the source that is processed.
    """

    def __init__(
        self,
        estimator: PoseEstimator,
        sources: Sequence[Source],
        targets: Mapping[Source, Path],
        smooth: bool,
    ) -> None:
        self.results: list[ImagePoses] = []
        self.skipped: list[BihrnetError] = []
        self.written: list[Path] = []
        self.current = sources[0]
        self._estimator = estimator
        self._sources = sources
        self._targets = targets
        self._smooth = smooth
        self._progress = Progress(console=console, transient=True, disable=not console.is_terminal)

    def process(self) -> WriteError | KeyboardInterrupt | None:
        """Process the sources one after the other; returns what ended that early."""
        with self._progress:
            for source in self._progress.track(self._sources, description="inputs"):
                self.current = source
                interruption = self._process(source)
                if interruption:
                    return interruption
        return None

    def summary(self) -> str:
        """What was found and where it was saved, in up to three lines."""
        lines = [f"{_count(self.results)} ({self._estimator.model.spec.name})"]
        if self.written:
            several = len(self.written) > 1
            lines.append(f"saved to {self.written[0].parent if several else self.written[0]}")
        if self.skipped:
            lines.append(f"{len(self.skipped)} of {len(self._sources)} inputs skipped")
        return "\n".join(lines)

    def _process(self, source: Source) -> WriteError | KeyboardInterrupt | None:
        """One source; an error in it is reported, and only an interruption is returned."""
        before, interruption = len(self.results), None
        several = len(self._sources) > 1
        try:
            if source.kind == "image":
                self._annotate_image(source.name, self._targets.get(source))
            else:
                video = source.open_video()
                if source.kind == "webcam":
                    message("reading the camera; Ctrl-C ends it")
                self._annotate_video(video, self._targets.get(source))
        except (WriteError, KeyboardInterrupt) as error:
            interruption = error
        except BihrnetError as error:
            if len(self.results) > before:
                message(f"{source.name} ends early: {error}")
            else:
                self.skipped.append(error)
                if several:
                    message(f"skipped: {error}")
        if len(self.results) > before:
            if source in self._targets:
                self.written.append(self._targets[source])
            if several and not console.is_terminal:
                message(f"{source.name}: {_count(self.results[before:])}")
        return interruption

    def _annotate_image(self, name: str, target: Path | None) -> None:
        frame = Frame(read_image(name), name)
        found = self._estimator.estimate(frame)
        if target:
            skeleton = self._estimator.model.spec.skeleton
            write_image(target, draw_poses(frame.image, found.poses, skeleton))
        self.results.append(found)

    def _annotate_video(self, reader: VideoReader, target: Path | None) -> None:
        """Frame by frame; after an error the frames so far are kept as a complete video."""
        skeleton = self._estimator.model.spec.skeleton
        error: KeyboardInterrupt | BihrnetError | None = None
        done = written = 0
        reported = monotonic()
        task = self._progress.add_task(Path(reader.name).name, total=reader.frame_count or None)
        with ExitStack() as stack:
            write = stack.enter_context(writing_video(target, reader.fps)) if target else None
            try:
                for frame, found in self._estimator.watch(reader, smooth=self._smooth):
                    if write:
                        picture = draw_poses(frame.image, found.poses, skeleton)
                        # Repeat a picture for the frames of a camera that a slow network missed,
                        # so that the video runs in real time.
                        due = round(frame.seconds * reader.fps) if reader.live else 0
                        for _ in range(max(1, due - written)):
                            write(picture)
                            written += 1
                    self.results.append(found)
                    done += 1
                    self._progress.advance(task)
                    if not console.is_terminal and monotonic() - reported > _INTERVAL:
                        reported = monotonic()
                        message(f"{reader.name}: {done} of {reader.frame_count or '?'} frames")
            except (KeyboardInterrupt, BihrnetError) as reason:
                if not done:
                    raise
                error = reason
        self._progress.remove_task(task)
        if error:
            raise error


def _count(results: Sequence[ImagePoses]) -> str:
    """For instance "3 poses in 2 images and 5 frames", or "no person found in 1 image"."""
    poses = sum(len(result.poses) for result in results)
    frames = sum(result.frame is not None for result in results)
    images = len(results) - frames
    parts = [
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((images, "image"), (frames, "frame")) if n
    ]
    found = f"{poses} pose{'s' * (poses != 1)}" if poses else "no person found"
    return f"{found} in {' and '.join(parts)}"

"""Times cases in turns, so that whatever else the machine does affects all of them alike.

Each case runs in a process of its own: runtimes disagree about thread pools, allocators and OpenMP
libraries, and one that waits must not take the cores of the one that runs.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bihrnet.bench.cases import Case
from bihrnet.bench.processor import peak_memory
from bihrnet.bench.runtimes import open_runtime
from bihrnet.errors import BihrnetError

#: Timed runs in one turn, after one that brings the network back into the caches.
RUNS_PER_TURN = 3
#: Seconds that a case may take to open, or for a turn.
TIMEOUT = 600


class Run(NamedTuple):
    """One timed run: elapsed seconds, and seconds of processor time of all threads together."""

    seconds: float
    cpu_seconds: float


@dataclass
class Measurement:
    """What was measured of one case.

    Attributes:
        runs: all timed runs.
        peak_memory: bytes of RAM that its process has occupied at most; None where unknown.
    """

    runs: list[Run] = field(default_factory=list)
    peak_memory: int | None = None

    @property
    def seconds(self) -> list[float]:
        """Elapsed seconds of every run."""
        return [run.seconds for run in self.runs]


def measure(
    cases: Sequence[Case],
    threads: int,
    cores: Sequence[int],
    rounds: int,
    warn: Callable[[str], None],
    progress: Callable[[], None],
) -> dict[Case, Measurement]:
    """Time cases in turns.

    Args:
        cases: what to run; those that their runtime cannot open are left out.
        threads: of each runtime.
        cores: to which the processes are pinned, all to the same ones; empty to pin none.
        rounds: turns of each case.
        warn: receives a message for each case that is left out.
        progress: called after every turn.

    Raises:
        BihrnetError: a process died or does not answer.
    """
    workers: dict[Case, _Worker] = {}
    measured: dict[Case, Measurement] = {}
    try:
        for case in cases:
            worker = workers[case] = _Worker(case, threads, cores)
            error = worker.opened()
            if error is None:
                measured[case] = Measurement()
            else:
                warn(f"{case.model} on {case.runtime}: {error}")
        for _ in range(rounds):
            for case, measurement in measured.items():
                runs, measurement.peak_memory = workers[case].run(RUNS_PER_TURN)
                measurement.runs += runs
                progress()
    finally:
        for worker in workers.values():
            worker.close()
    return measured


class _Worker:
    """A process that holds one case and runs it on request."""

    def __init__(self, case: Case, threads: int, cores: Sequence[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._case = case
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, case, threads, cores), daemon=True
        )
        self._process.start()
        theirs.close()

    def opened(self) -> str | None:
        """Wait until the case is open; returns the error message if it cannot be."""
        return self._receive()

    def run(self, count: int) -> tuple[list[Run], int | None]:
        """Time `count` runs; returns them and the peak memory so far."""
        try:
            self._connection.send(count)
        except OSError:
            raise self._failure() from None
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._connection.close()  # at which the process returns
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()

    def _receive(self) -> Any:
        try:
            if self._connection.poll(TIMEOUT):
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        raise self._failure()

    def _failure(self) -> BihrnetError:
        return BihrnetError(f"{self._case.model} on {self._case.runtime} died or does not answer")


def _serve(connection: Connection, case: Case, threads: int, cores: Sequence[int]) -> None:
    """In the worker's process: send None or an error once open, then the runs of each request."""
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        run = open_runtime(case, threads)
        run()
    except Exception as error:
        connection.send(str(error) or type(error).__name__)
        return
    connection.send(None)
    while True:
        try:
            count = connection.recv()
        except EOFError:
            return
        run()
        connection.send(([_timed(run) for _ in range(count)], peak_memory()))


def _timed(run: Callable[[], object]) -> Run:
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    return Run(time.perf_counter() - start, time.process_time() - cpu_start)

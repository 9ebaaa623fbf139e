"""Measures contenders in turns, so that whatever else the machine does meets all of them.

Each contender lives in a process of its own: runtimes disagree about thread pools, allocators and
OpenMP libraries, and one that waits must not take the cores of the one that runs.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from bihrnet.bench.contenders import Contender
from bihrnet.bench.runtimes import open_runtime
from bihrnet.errors import BihrnetError

#: Timed runs in one turn, after one that brings the network back into the caches.
RUNS_PER_TURN = 3
_PATIENCE = 600  # seconds that a contender may take to open, or for a turn


def measure(
    contenders: Sequence[Contender],
    threads: int,
    rounds: int,
    warn: Callable[[str], None],
    progress: Callable[[], None],
) -> dict[Contender, list[float]]:
    """Seconds of every timed run, per contender.

    Args:
        contenders: what to run; those that their runtime cannot open are left out.
        threads: of each runtime.
        rounds: turns of each contender.
        warn: gets a sentence for each that is left out.
        progress: called after every turn.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Contender, tuple[SpawnProcess, Connection]] = {}
    times: dict[Contender, list[float]] = {}
    try:
        for contender in contenders:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, contender, threads), daemon=True)
            process.start()
            theirs.close()
            workers[contender] = (process, ours)
            problem = _answer(ours, contender)
            if problem is None:
                times[contender] = []
            else:
                warn(f"{contender.model} on {contender.runtime}: {problem}")
        for _ in range(rounds):
            for contender, taken in times.items():
                taken.extend(_answer(workers[contender][1], contender, RUNS_PER_TURN))
                progress()
    finally:
        for process, connection in workers.values():
            connection.close()  # which ends the worker
            process.join(5)
            if process.is_alive():
                process.kill()
    return times


def _answer(connection: Connection, contender: Contender, runs: int | None = None) -> Any:
    """What a worker says next, once it has been told to run so often, if it is told anything."""
    try:
        if runs is not None:
            connection.send(runs)
        if connection.poll(_PATIENCE):
            return connection.recv()
    except (EOFError, OSError):
        pass
    raise BihrnetError(f"{contender.model} on {contender.runtime} died or hangs")


def _serve(connection: Connection, contender: Contender, threads: int) -> None:
    """A worker: says how opening went, then runs as often as it is told."""
    try:
        run = open_runtime(contender, threads)
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
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
        connection.send(taken)

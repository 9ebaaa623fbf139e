"""A loaded model in the child of a fork: same heatmaps, a clean exit, and no hang.

Every scenario is a script in an interpreter of its own, which is killed with all its children when
time is up, so that neither a hang nor a crash takes the tests along.
"""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys

import pytest

if not hasattr(os, "fork"):
    pytest.skip("this system has no fork", allow_module_level=True)

SECONDS = 60

PREAMBLE = """
import multiprocessing, os, signal, sys, threading, time
import numpy as np
from bihrnet.engine.engine_model import EngineModel
from small_models import every_op

threads = int(sys.argv[1])
images = np.random.default_rng(1).integers(0, 256, (2, 16, 24, 3), np.uint8)


def in_child(work):
    # work() in a forked child, which ends as an interpreter does; its exit status, -9 for a hang.
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            sys.stdout.flush()
            os._exit(status)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -9


def expect(found, wanted):
    if found != wanted:
        sys.exit(f"{found}, not {wanted}")
"""

RUN_AND_DROP = """
model = EngineModel(every_op(), threads=threads)
wanted = model(images)


def run_and_drop():
    global model
    same = all(np.array_equal(model(images), wanted) for _ in range(20))
    del model
    return same


def drop():
    global model
    del model
    return True


def fork_again():
    return np.array_equal(model(images), wanted) and in_child(run_and_drop) == 0 and drop()


for work in (run_and_drop, drop, fork_again):
    expect([in_child(work) for _ in range(3)], [0] * 3)
expect(np.array_equal(model(images), wanted), True)

# The interpreter's own exit, which drops what the module holds.
child = os.fork()
if child == 0:
    expect(np.array_equal(model(images), wanted), True)
    sys.exit(0)
expect(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
expect(np.array_equal(model(images), wanted), True)
"""

WHILE_RUNNING = """
model = EngineModel(every_op(), threads=threads)
wanted = model(images)
many = np.repeat(images, 100, axis=0)
wrong, stop = [], threading.Event()


def loop():
    while not stop.is_set():
        if not np.array_equal(model(many), np.repeat(wanted, 100, axis=0)):
            wrong.append(1)


def run_twice_and_drop():
    # From two threads, neither of which may find the turn taken.
    global model
    same = []
    runs = [threading.Thread(target=lambda: same.append(np.array_equal(model(images), wanted)))
            for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    del model
    return same == [True, True]


runner = threading.Thread(target=loop)
runner.start()
try:
    # Up to the first that fails: a hang takes 20 seconds.
    for number in range(30):
        status = in_child(run_twice_and_drop)
        if status != 0:
            break
finally:
    stop.set()
    runner.join()
expect(status, 0)
expect(wrong, [])
expect(np.array_equal(model(images), wanted), True)
"""

MULTIPROCESSING = """
model = None


def load():
    global model
    model = EngineModel(every_op(), threads=threads)


def heatmaps(images):
    global model
    if model is None:
        load()
    found = model(images)
    model = None  # the destructor runs in the child, and the next call loads anew
    return found


if __name__ == "__main__":
    load()
    wanted = model(images)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.map_async(heatmaps, [images] * 4).get(30)
            pool.close()
            pool.join()
        expect([np.array_equal(one, wanted) for one in found], [True] * 4)
    expect(np.array_equal(model(images), wanted), True)
"""

DATA_LOADER = """
import torch

model = EngineModel(every_op(), threads=threads)
wanted = model(images)


class Heatmaps(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        global model
        heatmaps = torch.from_numpy(model(images)[index % 2])
        if index in (5, 7):  # the last item of each worker
            del model
        return heatmaps


loader = torch.utils.data.DataLoader(
    Heatmaps(), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=20
)
found = [batch.numpy() for batch in loader]
expect([np.array_equal(batch, wanted) for batch in found], [True] * 4)
expect(np.array_equal(model(images), wanted), True)
"""


def run_script(folder, script, threads):
    path = folder / "scenario.py"
    path.write_text(PREAMBLE + script, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(path), str(threads)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONFAULTHANDLER": "1"},
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children that hang
        process.wait()
    assert process.returncode == 0, output


@pytest.mark.parametrize("threads", [1, 4, 16])
def test_a_child_runs_and_drops_a_model_loaded_before(tmp_path, threads):
    run_script(tmp_path, RUN_AND_DROP, threads)


@pytest.mark.parametrize("threads", [1, 4, 16])
def test_fork_while_another_thread_runs_the_model(tmp_path, threads):
    run_script(tmp_path, WHILE_RUNNING, threads)


def test_start_methods_of_multiprocessing(tmp_path):
    run_script(tmp_path, MULTIPROCESSING, 4)


def test_workers_of_a_torch_data_loader(tmp_path):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    run_script(tmp_path, DATA_LOADER, 4)

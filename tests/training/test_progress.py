"""Speed and remaining time of a run."""

from __future__ import annotations

import logging
from itertools import pairwise
from types import SimpleNamespace

import pytest
from tiny_run import TinyNet, draw_people, tiny_recipe

from bihrnet.training.module import PoseTraining
from bihrnet.training.progress import ProgressReport, Speed, format_duration


class Clock:
    """Time that passes only when it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_speed_leaves_out_the_first_step():
    clock = Clock()
    speed = Speed(32, clock)
    for step, seconds in ((1, 300), (2, 2), (3, 2)):  # the first one waits for a compiler
        clock.now += seconds
        assert speed.describe(step, 1000) is None or step > 2
        speed.add(step)
    assert speed.seconds_per_step == pytest.approx(2)
    assert speed.describe(3, 103) == "16.0 images/s, 3 min left"


def test_a_resumed_run_measures_its_own_steps():
    clock = Clock()
    speed = Speed(10, clock)
    for step in (501, 502):
        clock.now += 1
        speed.add(step)
    assert speed.describe(502, 512) == "10.0 images/s, 10 s left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3540, "59 min"),
        (3600, "1 h 00 min"),
        (11100, "3 h 05 min"),
        (86400 * 2 + 3600 * 4, "2 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds, text):
    assert format_duration(seconds) == text


def test_a_line_is_logged_in_the_first_minute_and_at_least_once_a_minute(caplog):
    caplog.set_level(logging.INFO, "bihrnet")
    clock = Clock()
    report = ProgressReport(clock)
    module = PoseTraining(tiny_recipe(epochs=40), TinyNet(14), 5, draw_people(10, seed=1))
    trainer = SimpleNamespace(global_step=0, is_global_zero=True, num_val_batches=[4])
    start, times = clock.now, []
    report.on_train_start(trainer, module)
    for step in range(1, 101):
        trainer.global_step, clock.now = step, clock.now + 3
        report.on_train_batch_end(trainer, module, None, None, 0)
        times += [clock.now - start] * (len(caplog.messages) - len(times))
    assert times[0] <= 60
    assert all(20 < later - earlier <= 60 for earlier, later in pairwise(times))
    assert caplog.messages[0].startswith("step ")
    assert "/200: 2.7 images/s, " in caplog.messages[0]
    clock.now += 60
    report.on_validation_batch_end(trainer, module, None, None, 1)
    assert caplog.messages[-1] == "evaluating: 50 % done"


def test_other_processes_are_silent(caplog):
    caplog.set_level(logging.INFO, "bihrnet")
    clock = Clock()
    report = ProgressReport(clock)
    trainer = SimpleNamespace(global_step=0, is_global_zero=False, num_val_batches=[1])
    clock.now += 1000
    report.on_validation_batch_end(trainer, None, None, None, 0)
    assert not caplog.messages

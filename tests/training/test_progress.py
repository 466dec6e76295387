"""What is due after a step, and how speed is measured."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from train.fit import progress
from train.fit.options import FitConfig, LogConfig, OptimizerConfig, SampleConfig, ValidationConfig
from train.fit.progress import Speed, due_after

CONFIG = FitConfig(
    save_every=4,
    export_every=5,
    optimizer=OptimizerConfig(steps=9),
    validation=ValidationConfig(every=3),
    sample=SampleConfig(every=0),
    log=LogConfig(every=2),
)


def steps_of(name: str, config: FitConfig = CONFIG) -> list[int]:
    return [step for step in range(1, 10) if getattr(due_after(step, config), name)]


def test_each_comes_at_its_steps_and_with_the_last():
    assert steps_of("figures") == [2, 4, 6, 8, 9]
    assert steps_of("validation") == [3, 6, 9]
    assert steps_of("samples") == []
    assert steps_of("state") == [4, 8, 9]
    assert steps_of("export") == [5], "the run's own output follows its last step"
    assert steps_of("uses_weights") == [3, 4, 5, 6, 8, 9]


def test_zero_is_never_not_even_at_the_end():
    silent = replace(CONFIG, validation=ValidationConfig(every=0), export_every=0)
    assert steps_of("validation", silent) == steps_of("export", silent) == []


def test_a_run_that_is_asked_to_stop_keeps_its_state():
    assert not due_after(7, CONFIG).uses_weights
    assert due_after(7, CONFIG, stops=True).state


def test_speed_is_of_the_steps_since_its_last_reading_and_not_of_pauses(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    speed = Speed(batch_size=8, since=clock.now)
    speed.steps = 3
    clock.now += 2
    with speed.paused():
        clock.now += 5
    assert speed.read() == 3 * 8 / 2
    speed.steps = 1
    clock.now += 4
    assert speed.read() == 8 / 4, "a second reading starts anew"

"""Training of a ReCo checkpoint.

    python -m train fit --config train/configs/reco-shapes.toml
    python -m train fit --config FILE optimizer.steps=100 output=my.safetensors
    accelerate launch --num_processes 8 -m train fit --config FILE

UNet and text encoder learn together; the autoencoder is trained first when there is no base
checkpoint, and frozen. The same command continues a run that was stopped.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from train.fit.agreement import any_process, check_agreement, together
from train.fit.options import FitConfig
from train.fit.progress import due_after
from train.fit.run import Run, start_run
from train.fit.run_folder import alone_in_folder
from train.model.compute import memory_errors_told, start_accelerator


def fit(config: FitConfig, after_step: Callable[[int], None] = lambda step: None) -> Path:
    """Train, or continue training, and write the checkpoint; returns its path.

    after_step: called with the number of finished steps after each one.

    Raises:
        ValueError: options, data or folders that cannot work, before the first step where that
            can be known; or a run that can no longer learn, at that step. What was written before
            stays as it was.
        KeyboardInterrupt: asked to stop (Ctrl-C, SIGTERM); the state is saved.
    """
    accelerator = start_accelerator(config.compute)
    with alone_in_folder(config, accelerator), memory_errors_told("in this run"):
        return _fit(start_run(config, accelerator), after_step)


def _fit(run: Run, after_step: Callable[[int], None]) -> Path:
    config, accelerator, learner = run.config, run.accelerator, run.learner
    with run.progress.bar, stop_between_steps() as asked_to_stop:
        if run.step == 0 and config.model.base and config.sample.every:
            with run.progress.speed.paused(), together(accelerator):
                run.draw()
        while run.step < config.optimizer.steps:
            chunks = run.batches.take(run.share.chunks)
            losses = run.stepper.accumulate(chunks, run.step)
            norm = learner.finish_gradients()
            run.health.check_gradients(
                run.step + 1, losses["total"], norm, chunks, run.batches.finds_picture
            )
            learner.learn(norm)
            run.step += 1
            run.progress.stepped(run.step, losses, norm, learner.rate, chunks)
            stop = any_process(asked_to_stop(), accelerator)
            due = due_after(run.step, config, stop)
            if due.uses_weights:
                with run.progress.speed.paused():
                    loss_now = partial(run.stepper.loss_of, chunks[0], run.step - 1)
                    run.health.check_weights(run.step, learner.parts, loss_now)
                    check_agreement(learner.tensors(), {}, accelerator, f"After step {run.step}")
                    run.keep(due)
                accelerator.wait_for_everyone()
            after_step(run.step)
            if stop and run.step < config.optimizer.steps:
                raise KeyboardInterrupt
    with together(accelerator):
        run.export(Path(config.output))
    run.progress.close()
    accelerator.wait_for_everyone()
    return Path(config.output)


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], bool]]:
    """Within the block SIGTERM and Ctrl-C set a flag; the second Ctrl-C stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

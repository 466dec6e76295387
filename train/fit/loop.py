"""Training of a ReCo checkpoint.

    python -m train fit --config train/configs/reco-shapes.toml
    python -m train fit --config FILE optimizer.steps=100 output=my.safetensors
    accelerate launch --num_processes 8 -m train fit --config FILE

UNet and text encoder learn together; the autoencoder is trained first when there is no base
checkpoint, and frozen. The same command continues a run that was stopped.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from torch import nn
from tqdm import tqdm

from reco_core.extension import starting_rows
from train.data.look_ahead import LookAhead
from train.fit.agreement import (
    any_process,
    check_agreement,
    share_weights,
    together,
    trained_tensors,
)
from train.fit.export import check_output, export
from train.fit.health import Health
from train.fit.optimizer import (
    build_optimizer,
    build_schedule,
    choose_trained,
    decay_used_rows,
    trained_parameters,
)
from train.fit.options import FitConfig
from train.fit.peak_memory import peak_memory
from train.fit.progress import Progress, RunLog
from train.fit.start import settled, start_average, start_model
from train.fit.steps import Stepper, divide, finish_gradients
from train.fit.training_data import check_data_options, open_training_data
from train.fit.training_state import averaged, check_folder, check_room, restore_state, save_state
from train.model.compute import prepare_model, start_accelerator
from train.model.grounding import record_cross_attention
from train.model.text_cache import cache_text
from train.model.text_to_image import (
    new_tables,
)


def fit(config: FitConfig, after_step: Callable[[int], None] = lambda step: None) -> Path:
    """Train, or continue training, and write the checkpoint; returns its path.

    after_step: called with the number of finished steps after each one.

    Raises:
        ValueError: options, data or folders that cannot work, before the first step where that
            can be known; or a run that can no longer learn, at that step. What was written before
            stays as it was.
        KeyboardInterrupt: asked to stop (Ctrl-C, SIGTERM); the state is saved.
    """
    options = config.optimizer
    accelerator = start_accelerator(config.compute)
    share = divide(config, accelerator)
    check_data_options(config)
    starting_rows(new_tables(config.model).rows)
    check_folder(config)
    check_output(config)
    model, base = start_model(config, accelerator)
    config = settled(config, model)
    choose_trained(model, config)
    prepare_model(model, config.compute, accelerator.device)
    share_weights(model, accelerator)
    if config.data.cache_text:
        model = cache_text(model, config.data.use_regions, Path(config.folder) / "cache")
    data = open_training_data(config, model, share, accelerator)
    recorders = record_cross_attention(model.unet) if config.loss.grounding_weight else []

    parameters = trained_parameters(model.unet, model.text_encoder)
    check_room(config, count(parameters), count(model.parameters()))
    optimizer = build_optimizer(model, options, accelerator.device)
    schedule = build_schedule(optimizer, options)
    optimizer = accelerator.prepare_optimizer(optimizer)
    ema, in_average = start_average(model, config)
    parts = {"unet": model.unet, "text_encoder": model.text_encoder, "optimizer": optimizer}
    parts |= {"schedule": schedule, "ema": ema, "scaler": accelerator.scaler}
    with together(accelerator):
        step, halvings = restore_state(parts, config, accelerator.device)
    facts = {name: getattr(config, name) for name in ("seed", "optimizer", "loss", "lora")}
    facts |= {"the step it goes on from": step, "halved micro-batches": halvings}
    check_agreement(trained_tensors(model, optimizer), facts, accelerator, "At the start")

    log = RunLog(config, step, accelerator.is_main_process)
    log.problems(data.problems, step)
    stepper = Stepper(model, config, share, accelerator, recorders, log.note, halvings)
    with together(accelerator):
        progress = Progress(config, model, data, share.micro_batch, log)
    health = Health(config, accelerator)
    batches = LookAhead(data.batches(step))
    bar = tqdm(initial=step, total=options.steps, desc="fit", disable=not log.is_main)
    since = time.monotonic()
    with bar, stop_between_steps() as asked_to_stop:
        while step < options.steps:
            chunks = batches.take(share.chunks)
            losses = stepper.accumulate(chunks, step)
            norm = finish_gradients(parameters, options.max_grad_norm, accelerator)
            health.check_gradients(step + 1, losses["total"], norm, chunks, batches.finds_picture)
            decay_used_rows(optimizer, options.weight_decay)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            if ema:
                ema.step(in_average)
            step += 1
            bar.update()

            last, stop = step == options.steps, any_process(asked_to_stop(), accelerator)
            log.problems([problem for chunk in chunks for problem in chunk.problems], step)
            if step % config.log.every == 0 or last:
                figures = {name: accelerator.reduce(x).item() for name, x in losses.items()}
                speed = config.log.every * options.batch_size / (time.monotonic() - since)
                figures |= {"gradient_norm": norm.item(), "rate": schedule.get_last_lr()[0]}
                figures |= {"images_per_second": speed, "peak_gib": peak_memory()}
                log.scalars("train", figures, step)
                bar.set_postfix(loss=f"{figures['total']:.4f}", img_s=f"{speed:.1f}")
            saves = step % config.save_every == 0 or last or stop
            exports = bool(config.export_every) and step % config.export_every == 0
            if saves or exports or progress.is_due(step):
                health.check_weights(step, parts, partial(stepper.loss_of, chunks[0], step - 1))
                now = trained_tensors(model, optimizer)
                check_agreement(now, {}, accelerator, f"After step {step}")
                with together(accelerator):
                    if progress.is_due(step):
                        with averaged(ema, in_average), accelerator.autocast():
                            progress.report(step)
                    if exports and log.is_main:
                        with averaged(ema, in_average):
                            export(config, model, base, step, numbered_output(config, step))
                    if saves and log.is_main:
                        save_state(parts, config, step, stepper.halvings)
            accelerator.wait_for_everyone()
            after_step(step)
            if step % config.log.every == 0:
                since = time.monotonic()  # drawing and saving are no part of the speed
            if stop and not last:
                raise KeyboardInterrupt
    with together(accelerator), averaged(ema, in_average):
        if log.is_main:
            export(config, model, base, step, Path(config.output))
    log.close()
    accelerator.wait_for_everyone()
    return Path(config.output)


def count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def numbered_output(config: FitConfig, step: int) -> Path:
    """Where `export_every` writes: beside the states, named like the output."""
    output = Path(config.output)
    return Path(config.folder) / "exports" / f"{output.stem}-{step:07d}{output.suffix}"


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

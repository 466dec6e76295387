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
from dataclasses import replace
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import nn
from tqdm import tqdm

from reco_core.checkpoint import describe_checkpoint
from reco_core.trainable import check_trainable
from train.agreement import any_process, check_agreement, share_weights, together, trained_tensors
from train.autoencoder_fit import fit_autoencoder, load_autoencoder
from train.compute import prepare_model, start_accelerator
from train.config import FitConfig
from train.convert import read_any, starting_rows
from train.data.look_ahead import LookAhead
from train.data.text_cache import cache_text
from train.data.training_data import check_data_options, open_training_data
from train.export import check_output, export
from train.grounding import record_cross_attention
from train.health import Health, check_finite
from train.latents import LatentCodec, TinyCodec, load_codec
from train.memory import peak_memory
from train.model import (
    TextToImage,
    extends,
    load_model,
    new_model,
    new_tables,
    with_autoencoder,
)
from train.optimizer import (
    build_optimizer,
    build_schedule,
    choose_trained,
    decay_used_rows,
    trained_parameters,
)
from train.progress import Progress, RunLog
from train.steps import Stepper, divide, finish_gradients
from train.training_state import averaged, check_folder, check_room, restore_state, save_state


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
        model = cache_text(model, config.data, Path(config.folder) / "cache")
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


def start_model(config: FitConfig, accelerator: Accelerator) -> tuple[TextToImage, dict[str, str]]:
    """The model to train, from a checkpoint or new with its autoencoder; the base's metadata.

    Raises:
        ValueError: a base that cannot be read, that training does not fit, of other sizes than the
            options ask for, or with numbers that are not finite.
    """
    path = config.model.base
    if not path:
        return new_model(config.model, start_codec(config, accelerator), config.seed), {}
    tensors, metadata = read_any(Path(path))
    try:
        check_trainable(tensors, metadata)
        extends(config.model, describe_checkpoint(tensors, metadata))
    except ValueError as error:
        raise ValueError(f"model.base = {path!r}: {error}") from error
    if config.model.autoencoder or config.autoencoder.base:
        codec = start_codec(config, accelerator)
        tensors = with_autoencoder(tensors, codec.single_file())
    check_finite(tensors, f"model.base = {path!r}", "It is damaged: take another file.")
    return load_model(tensors, metadata, config.model, config.seed), metadata


def settled(config: FitConfig, model: TextToImage) -> FitConfig:
    """The configuration with the sizes that it left to the base, for states and files to tell."""
    sized = replace(
        config.model,
        num_bins=model.num_bins,
        max_length=model.max_length,
        rows=new_tables(config.model).rows,
    )
    return replace(config, model=sized)


def start_codec(config: FitConfig, accelerator: Accelerator) -> LatentCodec:
    """The autoencoder of `model.autoencoder`, or the small one, trained first.

    Raises:
        ValueError: both are asked for, or the base has none that can be trained.
    """
    if config.model.autoencoder and config.autoencoder.base:
        raise ValueError(
            f"model.autoencoder = {config.model.autoencoder!r} is taken as it is, and "
            f"autoencoder.base = {config.autoencoder.base!r} is trained: give one of them"
        )
    if config.model.autoencoder:
        return load_codec(read_any(Path(config.model.autoencoder))[0])
    for turn in (True, False):  # the main process trains it, the others find it done
        with together(accelerator):
            if accelerator.is_main_process == turn:
                weights = fit_autoencoder(
                    config.autoencoder,
                    config.image_size,
                    config.seed,
                    Path(config.folder),
                    accelerator.autocast,
                )
    return TinyCodec(load_autoencoder(config.autoencoder, weights))


def start_average(
    model: TextToImage, config: FitConfig
) -> tuple[EMAModel | None, list[nn.Parameter]]:
    """The running average of weights, and the parameters it averages."""
    modules = (model.unet, model.text_encoder) if config.optimizer.ema_text else (model.unet,)
    parameters = trained_parameters(*modules)
    if not (config.optimizer.ema_decay and parameters):
        return None, []
    decay = config.optimizer.ema_decay
    ema = EMAModel(parameters, decay=decay, use_ema_warmup=True, power=0.75, foreach=True)
    return ema, parameters


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

"""Training of a ReCo checkpoint on ShapeSkills.

    python -m train fit --config train/configs/reco-shapes.toml
    python -m train fit --config FILE optimizer.steps=100 output=my.safetensors

UNet and text encoder learn together; the autoencoder is trained first when there is no base
checkpoint, and frozen. The same command continues a run that was stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from reco_core import (
    BOS_ID,
    EOS_ID,
    read_checkpoint,
    write_checkpoint,
)
from train.autoencoder_fit import fit_autoencoder, load_autoencoder
from train.config import FitConfig, OptimizerConfig, to_dict
from train.data.cache import Batch, EncodedSet, SetOptions, encode_shapeskills
from train.data.shapeskills import Split, known_words, sample
from train.evaluate.report import contact_sheet, evaluate_samples, region_accuracy
from train.grounding import RecordingAttention, grounding_loss, record_cross_attention
from train.model import TextToImage, load_model, new_model, single_file
from train.noise import draw_timesteps, loss_weights, training_schedule
from train.position_gap import PositionGap
from train.training_state import averaged, restore_state, save_state

LOG_EVERY = 20
GAP_SAMPLES = 64


def fit(config: FitConfig, after_step: Callable[[int], None] = lambda step: None) -> Path:
    """Train, or continue training, and write the checkpoint; returns its path.

    after_step: called with the number of finished steps after each one.
    """
    options, folder = config.optimizer, Path(config.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    model, metadata = start_model(config, folder)
    model.to(device)
    data = encode(config, model, Split.TRAIN, config.data.samples, folder)
    gap = PositionGap(model, encode(config, model, Split.TEST, GAP_SAMPLES, folder), config.seed)
    recorders = record_cross_attention(model.unet) if options.grounding_weight else []

    parameters = [p for module in model.trained for p in module.parameters()]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=options.learning_rate,
        betas=(0.9, options.beta2),
        weight_decay=options.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, options))
    ema = EMAModel(
        parameters, decay=options.ema_decay, use_ema_warmup=True, power=0.75, foreach=True
    )
    state = {"unet": model.unet, "text_encoder": model.text_encoder}
    state |= {"optimizer": optimizer, "schedule": schedule, "ema": ema}
    step = restore_state(state, folder / "state.pt", device)

    log = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
    bar = tqdm(range(step, options.steps), initial=step, total=options.steps, desc="fit")
    since, images = time.monotonic(), 0
    for step in bar:
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        batch = data.batch(torch.randint(len(data), (options.batch_size,), generator=generator))
        losses = training_losses(model, batch.to(device), recorders, options, generator)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, options.max_grad_norm)
        optimizer.step()
        schedule.step()
        ema.step(parameters)
        images += options.batch_size

        if (step + 1) % LOG_EVERY == 0:
            speed = images / (time.monotonic() - since)
            since, images = time.monotonic(), 0
            scalars = {name: loss.item() for name, loss in losses.items()}
            scalars |= {"gradient_norm": norm.item(), "images_per_second": speed}
            write_scalars(log, "train", scalars, step + 1)
            bar.set_postfix(loss=f"{scalars['total']:.3f}", img_s=f"{speed:.0f}")
        last = step + 1 == options.steps
        if (step + 1) % config.sample.every == 0 or last:
            with averaged(ema, parameters):
                report_progress(config, model, gap, log, folder, step + 1)
        if (step + 1) % config.save_every == 0 or last:
            save_state(state, step + 1, folder / "state.pt")
        after_step(step + 1)
    log.close()

    with averaged(ema, parameters):
        return write_output(config, model, metadata)


def start_model(config: FitConfig, folder: Path) -> tuple[TextToImage, dict[str, str]]:
    """The model to train, from a checkpoint or new with its autoencoder; the base's metadata."""
    if config.model.base:
        tensors, metadata = read_checkpoint(Path(config.model.base))
        return load_model(tensors, metadata, config.model), metadata
    weights = fit_autoencoder(config.autoencoder, config.image_size, config.seed, folder)
    autoencoder = load_autoencoder(config.autoencoder, weights)
    return new_model(config.model, autoencoder, config.seed), {}


def encode(
    config: FitConfig, model: TextToImage, split: Split, count: int, folder: Path
) -> EncodedSet:
    """ShapeSkills as latents and token sequences, cached in the run's folder."""
    options = SetOptions(
        count=count,
        seed=config.data.seed,
        split=split,
        counts=config.data.counts,
        image_size=config.image_size,
        max_length=model.max_length,
        num_bins=model.num_bins,
    )
    return encode_shapeskills(model.codec, options, folder / "cache")


def training_losses(
    model: TextToImage,
    batch: Batch,
    recorders: list[RecordingAttention],
    options: OptimizerConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Weighted error of the predicted noise and, with recorders, the grounding loss."""
    noise_schedule = training_schedule()
    count, device = len(batch.ids), batch.ids.device
    noise = torch.randn(batch.latents.shape, generator=generator).to(device)
    timesteps = draw_timesteps(count, options.high_noise_share, generator).to(device)
    dropped = (torch.rand(count, generator=generator) < options.text_dropout).to(device)

    noisy = noise_schedule.add_noise(batch.latents, noise, timesteps)
    ids = torch.where(dropped[:, None], empty_ids(batch.ids), batch.ids)
    predicted = model.unet(noisy, timesteps, model.text_states(ids)).sample
    error = (predicted - noise).square().mean(dim=(1, 2, 3))  # (B,)
    weights = loss_weights(noise_schedule, timesteps, options.snr_weight_limit)
    losses = {"noise": error.mean(), "weighted": (weights * error).mean()}
    total = losses["weighted"]
    if recorders:
        spans = batch.spans * ~dropped[:, None, None]
        losses["grounding"] = grounding_loss(recorders, batch.boxes, spans)
        total = total + options.grounding_weight * losses["grounding"]
    return {"total": total, **losses}


def empty_ids(ids: Tensor) -> Tensor:
    """The empty text at the length of ids (..., L): BOS, then EOS to the end."""
    empty = torch.full_like(ids, EOS_ID)
    empty[..., 0] = BOS_ID
    return empty


def rate(step: int, options: OptimizerConfig) -> float:
    """Learning rate as a share of its peak: linear warm-up, then half a cosine."""
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    done = (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps)
    cosine = 0.5 * (1 + torch.cos(torch.tensor(done * torch.pi)).item())
    return options.final_learning_rate + (1 - options.final_learning_rate) * cosine


def report_progress(
    config: FitConfig,
    model: TextToImage,
    gap: PositionGap,
    log: SummaryWriter,
    folder: Path,
    step: int,
) -> None:
    """Log the position gap and region accuracy on unseen layouts; draw them with their boxes."""
    write_scalars(log, "position_gap", gap.measure(), step)
    options = config.sample
    samples = [
        sample(i, config.data.seed, Split.TEST, config.image_size, config.data.counts)
        for i in range(options.layouts)
    ]
    images, scores = evaluate_samples(
        model, samples, steps=options.steps, guidance=options.guidance, seed=config.seed
    )
    write_scalars(log, "samples", {"region_accuracy": region_accuracy(scores)}, step)
    sheet = contact_sheet(images, samples, scores)
    log.add_image("samples", np.asarray(sheet), step, dataformats="HWC")
    (folder / "samples").mkdir(exist_ok=True)
    sheet.save(folder / "samples" / f"step_{step:06d}.png")


def write_scalars(log: SummaryWriter, group: str, scalars: dict[str, float], step: int) -> None:
    """To TensorBoard, and as a line of JSON beside it for those who read text."""
    for name, value in scalars.items():
        log.add_scalar(f"{group}/{name}", value, step)
    values = {name: round(value, 5) for name, value in scalars.items()}
    with (Path(log.log_dir).parent / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "group": group, **values}) + "\n")


def write_output(config: FitConfig, model: TextToImage, base_metadata: dict[str, str]) -> Path:
    """Write the single-file checkpoint in half precision; returns its path."""
    steps = int(base_metadata.get("steps", 0)) + config.optimizer.steps
    metadata = base_metadata | {
        "format": "reco",
        "num_bins": str(model.num_bins),
        "max_length": str(model.max_length),
        "steps": str(steps),
        "data": "ShapeSkills",
        "licence": config.licence,
        "unet_heads": str(model.unet.config.attention_head_dim),
        "text_heads": str(model.text_encoder.config.num_attention_heads),
        "words": json.dumps(known_words()),
        "image_size": str(config.image_size),
        "config": json.dumps(to_dict(config)),
    }
    tensors = {key: value.half().cpu().contiguous() for key, value in single_file(model).items()}
    write_checkpoint(Path(config.output), tensors, metadata)
    return Path(config.output)

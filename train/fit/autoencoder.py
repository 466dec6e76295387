"""Training of the small autoencoder on crops of the pictures that a run learns from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from reco_core.checkpoint_input import read_any
from reco_core.layout import Box
from reco_core.weights import find_family
from train.atomic import save_atomically
from train.data.decode import UNREADABLE
from train.data.mixture import Mixture
from train.data.picture import read_picture
from train.data.transforms import View, draw_view
from train.fit.health import check_finite
from train.model.autoencoder import (
    autoencoder_loss,
    build_autoencoder,
    grow_autoencoder,
    start_as_thumbnail,
)
from train.model.latents import load_codec
from train.model.options import AutoencoderConfig

SAVE_EVERY = 100
UNSEEN = 24
"""Whole pictures that it is measured on whenever it is saved."""
UNREADABLE_IN_A_ROW = 64
NEARBY = 16
"""Pixels that a crop's middle may be beside what it is to show."""


def fit_autoencoder(
    config: AutoencoderConfig,
    pictures: Mixture,
    seed: int,
    folder: Path,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    unseen: Mixture | None = None,
    device: torch.device | str = "cpu",
) -> Path:
    """Train the slim autoencoder, or finish a training that was stopped; returns its weights' path.

    Writes autoencoder.safetensors when done; until then autoencoder_state.pt holds what a resumed
    run needs to end with the weights of an uninterrupted one.

    autocast: entered anew for every step, since within one such context torch keeps the weights it
        has cast. unseen: pictures that its error is measured on, into autoencoder.jsonl.
        device: where it is trained.

    Raises:
        ValueError: pictures are smaller than a crop or cannot be read; loss or gradients are no
            longer finite: the last unfinished state stays.
    """
    finished, unfinished = folder / "autoencoder.safetensors", folder / "autoencoder_state.pt"
    if finished.exists():
        return finished
    check_crop(config, pictures)
    torch.manual_seed(seed)
    model = start_autoencoder(config).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, config.steps, pct_start=0.05
    )
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    start = _restore(parts, unfinished)

    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, desc="autoencoder")
    for step in bar:
        model.encoder.requires_grad_(step < config.encoder_steps)
        images = crops(step, config, pictures, seed).to(device)
        torch.manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))
        with autocast():
            loss = autoencoder_loss(model, images, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise ValueError(
                f"the autoencoder's loss in step {step + 1} is {loss.item()} and its gradients "
                f"have a norm of {norm.item()}: use a smaller autoencoder.learning_rate (now "
                f"{config.learning_rate:g}) and another folder"
            )
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.4f}", psnr=f"{psnr(model, images):.1f} dB")
        if (step + 1) % SAVE_EVERY == 0:
            _check_weights(model, images)
            state = {name: part.state_dict() for name, part in parts.items()}
            save_atomically({"step": step + 1, **state}, unfinished)
            if unseen is not None and len(unseen):
                _log(folder, step + 1, loss.item(), psnr_of_whole(model, unseen))
    _check_weights(model, crops(config.steps, config, pictures, seed).to(device))
    save_atomically(dict(model.state_dict()), finished)
    unfinished.unlink(missing_ok=True)
    return finished


def start_autoencoder(config: AutoencoderConfig) -> AutoencoderTiny:
    """What training begins with: a new autoencoder, or the base's, grown.

    Raises:
        ValueError: the base's is larger, or Stable Diffusion's.
    """
    size = config.width, config.encoder_blocks, config.decoder_blocks
    if not config.base:
        model = build_autoencoder(*size)
        start_as_thumbnail(model)
        return model
    tensors = read_any(Path(config.base))[0]
    small = load_codec(tensors, find_family(tensors)).autoencoder
    if not isinstance(small, AutoencoderTiny):
        raise ValueError(
            f"autoencoder.base = {config.base!r} has Stable Diffusion's autoencoder: only a small "
            "one (TAESD) can be trained"
        )
    return grow_autoencoder(small, *size)


def load_autoencoder(config: AutoencoderConfig, path: Path) -> AutoencoderTiny:
    """The slim autoencoder with weights written by fit_autoencoder, in evaluation mode."""
    model = build_autoencoder(config.width, config.encoder_blocks, config.decoder_blocks)
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.no_grad()
def _check_weights(model: AutoencoderTiny, images: Tensor) -> None:
    """Raise ValueError when the weights, or the pictures they make, are not finite."""
    made = {"weights": model.state_dict(), "pictures": model.decoder(model.encoder(images))}
    check_finite(
        made,
        "The autoencoder has diverged",
        "use a smaller autoencoder.learning_rate and another folder",
    )


@torch.no_grad()
def psnr(model: AutoencoderTiny, images: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of encode-decode; images (B, 3, H, W) in [-1, 1]."""
    decoded = model.decoder(model.encoder(images)).clamp(-1, 1)
    return -10 * torch.log10((decoded - images).square().mean() / 4).item()


def _restore(parts: dict[str, Any], path: Path) -> int:
    """Continue from an unfinished training, if there is one; the number of finished steps."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]


@torch.no_grad()
def psnr_of_whole(model: AutoencoderTiny, pictures: Mixture, count: int = UNSEEN) -> float:
    """PSNR in dB over the first whole pictures, as large as they are trained at."""
    errors = []
    for number in range(min(count, len(pictures))):
        image = read_picture(pictures.sample(number), _whole(pictures, number))[None]
        image = image.to(model.device)
        decoded = model.decoder(model.encoder(image)).clamp(-1, 1)
        errors.append((decoded - image).square().mean() / 4)
    return -10 * torch.stack(errors).mean().log10().item()


def _log(folder: Path, step: int, loss: float, whole: float) -> None:
    line = {"step": step, "loss": round(loss, 5), "unseen_psnr": round(whole, 2)}
    with (folder / "autoencoder.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def check_crop(config: AutoencoderConfig, pictures: Mixture) -> None:
    """Raise ValueError when there is no picture, or one has no room for a crop."""
    if not len(pictures):
        raise ValueError("there is no picture for the autoencoder to learn from")
    smallest = int(pictures.sizes.min())
    if config.crop > smallest:
        raise ValueError(
            f"autoencoder.crop = {config.crop}: give one that fits into the pictures, whose "
            f"shortest side is {smallest} pixels"
        )


def crops(step: int, config: AutoencoderConfig, pictures: Mixture, seed: int) -> Tensor:
    """(B, 3, crop, crop) pieces of what is in the boxes and between them, less of the ground."""
    rng = np.random.default_rng([seed, step])
    made: list[Tensor] = []
    faults: list[str] = []
    while len(made) < config.batch_size:
        number = int(rng.integers(len(pictures)))
        sample, view = pictures.sample(number), _whole(pictures, number)
        try:
            image = read_picture(sample, view)
        except UNREADABLE as error:
            faults.append(f"{sample.key}: {error}")
            if len(faults) == UNREADABLE_IN_A_ROW:
                raise ValueError(f"pictures cannot be read, the last was {faults[-1]}") from None
            continue
        boxes = [box for region in sample.regions if (box := view.box(region.box))]
        middle = focus(rng, boxes) * view.size + rng.integers(-NEARBY, NEARBY, size=2)
        corner = (middle - config.crop // 2).round().astype(int)
        left, top = np.clip(corner, 0, np.array(view.size) - config.crop)
        made.append(image[:, top : top + config.crop, left : left + config.crop])
    return torch.stack(made).contiguous(memory_format=torch.channels_last)


def _whole(pictures: Mixture, number: int) -> View:
    """A picture as it is trained with, its middle where it has another shape."""
    sample = pictures.sample(number)
    size, target = (sample.width, sample.height), pictures.target(number)
    return draw_view(np.random.default_rng(0), *size, target, "centre", 0)


def focus(rng: np.random.Generator, boxes: Sequence[Box]) -> np.ndarray:
    """(x, y) in fractions of a place worth learning: in a box, or in the narrowest gap of two.

    Anywhere when there is no box.
    """
    if not boxes:
        return rng.random(2)
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])
    if len(boxes) == 1 or rng.random() < 0.5:
        low, high = np.split(corners[rng.integers(len(boxes))], 2)
        return low + (high - low) * rng.random(2)
    low, high = corners[:, None, :2], corners[:, None, 2:]
    # Of every pair, the span between them along each axis, or that which they share.
    start = np.maximum(low, low.swapaxes(0, 1))
    stop = np.minimum(high, high.swapaxes(0, 1))
    distance = np.square((start - stop).clip(min=0)).sum(axis=2)
    np.fill_diagonal(distance, distance.max() + 1)
    one, other = np.unravel_index(distance.argmin(), distance.shape)
    return (start[one, other] + stop[one, other]) / 2

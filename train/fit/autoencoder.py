"""Training of the small autoencoder on crops of ShapeSkills pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from reco_core.weights import find_family
from train.atomic import save_atomically
from train.checkpoints.read import read_any
from train.data.picture import to_tensor
from train.data.shapeskills import Scene, render, sample
from train.fit.health import check_finite
from train.model.autoencoder import (
    autoencoder_loss,
    build_autoencoder,
    grow_autoencoder,
    start_as_thumbnail,
)
from train.model.latents import load_codec
from train.model.options import AutoencoderConfig

SAVE_EVERY = 200


def fit_autoencoder(
    config: AutoencoderConfig,
    image_size: int,
    seed: int,
    folder: Path,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Path:
    """Train the slim autoencoder, or finish a training that was stopped; returns its weights' path.

    Writes autoencoder.safetensors when done; until then autoencoder_state.pt holds what a resumed
    run needs. Pictures come from ShapeSkills' training split. autocast: entered anew for every
    step, since within one such context torch keeps the weights it has cast.

    Raises:
        ValueError: loss or gradients are no longer finite; the last unfinished state stays.
    """
    finished, unfinished = folder / "autoencoder.safetensors", folder / "autoencoder_state.pt"
    if finished.exists():
        return finished
    torch.manual_seed(seed)
    model = start_autoencoder(config).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, config.steps, pct_start=0.05
    )
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    start = _restore(parts, unfinished)

    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, desc="autoencoder")
    for step in bar:
        model.encoder.requires_grad_(step < config.encoder_steps)
        images = _crops(step, config, image_size, seed)
        with autocast():
            loss = autoencoder_loss(model, images, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise ValueError(
                f"The autoencoder's loss in step {step + 1} is {loss.item()} and its gradients "
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
    _check_weights(model, _crops(config.steps, config, image_size, seed))
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
        "Use a smaller autoencoder.learning_rate and another folder",
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
    state = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]


def _crops(step: int, config: AutoencoderConfig, image_size: int, seed: int) -> Tensor:
    """(B, 3, crop, crop) pieces around narrow gaps and edges: they, not ground, need learning."""
    rng = np.random.default_rng([seed, step])
    first, crops = step * config.batch_size, []
    for index in range(first, first + config.batch_size):
        scene = sample(index, seed, size=image_size, skills=("mixed", "count")).scene
        middle = _focus(scene) + rng.integers(-16, 16, endpoint=True, size=2)
        left, top = np.clip(middle - config.crop // 2, 0, image_size - config.crop)
        image = to_tensor(render(scene))
        crops.append(image[:, top : top + config.crop, left : left + config.crop])
    return torch.stack(crops).contiguous(memory_format=torch.channels_last)


def _focus(scene: Scene) -> np.ndarray:
    """(x, y) of the middle between the two nearest things, or of the only one."""
    corners = np.array([thing.pixels for thing in scene.things])
    low, high = corners[:, None, :2], corners[:, None, 2:]
    # Of every pair, the span between them along each axis, or that which they share.
    start = np.maximum(low, low.swapaxes(0, 1))
    stop = np.minimum(high, high.swapaxes(0, 1))
    distance = np.square((start - stop).clip(min=0)).sum(axis=2)
    if len(corners) > 1:
        np.fill_diagonal(distance, distance.max() + 1)
    one, other = np.unravel_index(distance.argmin(), distance.shape)
    return (start[one, other] + stop[one, other]) // 2

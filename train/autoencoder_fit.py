"""Training of the small autoencoder on crops of ShapeSkills pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from train.atomic import save_atomically
from train.autoencoder import (
    autoencoder_loss,
    build_autoencoder,
    start_as_thumbnail,
)
from train.config import AutoencoderConfig
from train.data.picture import to_tensor
from train.data.shapeskills import render, sample

SAVE_EVERY = 200


def fit_autoencoder(config: AutoencoderConfig, image_size: int, seed: int, folder: Path) -> Path:
    """Train the slim autoencoder, or finish a training that was stopped; returns its weights' path.

    Writes autoencoder.safetensors when done; until then autoencoder_state.pt holds what a resumed
    run needs. Pictures come from ShapeSkills' training split.
    """
    finished, unfinished = folder / "autoencoder.safetensors", folder / "autoencoder_state.pt"
    if finished.exists():
        return finished
    torch.manual_seed(seed)
    model = build_autoencoder(config.width, config.encoder_blocks, config.decoder_blocks)
    start_as_thumbnail(model)
    model = model.to(memory_format=torch.channels_last)
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
        loss = autoencoder_loss(model, images, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.4f}", psnr=f"{psnr(model, images):.1f} dB")
        if (step + 1) % SAVE_EVERY == 0:
            state = {name: part.state_dict() for name, part in parts.items()}
            save_atomically({"step": step + 1, **state}, unfinished)
    save_atomically(dict(model.state_dict()), finished)
    unfinished.unlink(missing_ok=True)
    return finished


def load_autoencoder(config: AutoencoderConfig, path: Path) -> AutoencoderTiny:
    """The slim autoencoder with weights written by fit_autoencoder, in evaluation mode."""
    model = build_autoencoder(config.width, config.encoder_blocks, config.decoder_blocks)
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


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
    """(B, 3, crop, crop) pieces around one thing each: edges, not ground, need learning."""
    rng = np.random.default_rng([seed, step])
    first, crops = step * config.batch_size, []
    for index in range(first, first + config.batch_size):
        scene = sample(index, seed, size=image_size).scene
        x0, y0, x1, y1 = scene.things[0].pixels
        middle = np.array([y0 + y1, x0 + x1]) // 2 + rng.integers(-16, 16, endpoint=True, size=2)
        top, left = np.clip(middle - config.crop // 2, 0, image_size - config.crop)
        image = to_tensor(render(scene))
        crops.append(image[:, top : top + config.crop, left : left + config.crop])
    return torch.stack(crops).contiguous(memory_format=torch.channels_last)

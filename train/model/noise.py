"""Stable Diffusion 1.x's noise schedule, and how a training step uses it."""

from __future__ import annotations

from functools import cache

import torch
from diffusers import DDPMScheduler
from torch import Tensor

STEPS = 1000
SCHEDULE = {
    "num_train_timesteps": STEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "clip_sample": False,
    "steps_offset": 0,
}
HIGH_NOISE = 600
"""Timesteps from here on decide where things go."""


@cache
def kept_signal() -> Tensor:
    """(1000,) share of the signal's variance that is left at each timestep."""
    return DDPMScheduler(**SCHEDULE).alphas_cumprod


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Noisy latents; all (B, 4, h, w), timesteps (B,)."""
    kept = _kept(timesteps)
    return kept.sqrt() * latents + (1 - kept).sqrt() * noise


def predicted_clean(noisy: Tensor, predicted: Tensor, timesteps: Tensor) -> Tensor:
    """The clean latents that a predicted noise implies; all (B, 4, h, w), timesteps (B,)."""
    kept = _kept(timesteps)
    return (noisy - (1 - kept).sqrt() * predicted) / kept.sqrt()


def draw_timestep(high_noise_share: float, generator: torch.Generator) -> int:
    """Uniform over all timesteps, but a share of draws over HIGH_NOISE and above only."""
    choice, place = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
    low = HIGH_NOISE if choice < high_noise_share else 0
    return low + int(place * (STEPS - low))


def _kept(timesteps: Tensor) -> Tensor:
    return kept_signal().to(timesteps.device)[timesteps][:, None, None, None]

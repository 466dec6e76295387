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
def training_schedule() -> DDPMScheduler:
    """The schedule that adds noise to latents in training."""
    return DDPMScheduler(**SCHEDULE)


def draw_timesteps(count: int, high_noise_share: float, generator: torch.Generator) -> Tensor:
    """(count,) timesteps: uniform over all, but a share of them over HIGH_NOISE and above only."""
    low = (torch.rand(count, generator=generator) < high_noise_share) * HIGH_NOISE
    return (low + torch.rand(count, generator=generator) * (STEPS - low)).long()


def loss_weights(schedule: DDPMScheduler, timesteps: Tensor, limit: float) -> Tensor:
    """(B,) weights 1 + 1/SNR(t), at most `limit`, of the squared error of the predicted noise.

    Where things go is decided at high noise, where an error of the clean picture counts next to
    nothing in the plain loss. A limit of 1 is the plain loss.
    """
    kept = schedule.alphas_cumprod.to(timesteps.device)[timesteps]
    return (1 / kept).clamp(max=limit)  # 1 + (1 - a) / a

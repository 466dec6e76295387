"""A family's noise schedule, what its UNet predicts, and how a training step uses them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from reco_core.family import NOISE_STEPS, Family, NoiseSchedule, Prediction

HIGH_NOISE = 600
"""Timesteps from here on decide where things go."""
_PREDICTIONS: dict[Prediction, str] = {"eps": "epsilon", "v": "v_prediction"}


def scheduler_options(family: Family) -> dict[str, Any]:
    """What diffusers' schedulers need to know of a family."""
    return {
        "num_train_timesteps": NOISE_STEPS,
        "beta_start": family.noise.beta_start,
        "beta_end": family.noise.beta_end,
        "beta_schedule": "scaled_linear",
        "prediction_type": _PREDICTIONS[family.prediction],
        "clip_sample": False,
        "steps_offset": 0,
    }


@cache
def kept_signal(noise: NoiseSchedule) -> Tensor:
    """(NOISE_STEPS,) share of the signal's variance that is left at each timestep."""
    betas = {"beta_start": noise.beta_start, "beta_end": noise.beta_end}
    return DDPMScheduler(NOISE_STEPS, beta_schedule="scaled_linear", **betas).alphas_cumprod


@dataclass(frozen=True)
class Diffusion:
    """Noisy latents of a family, and what its UNet is to say of them.

    Latents, noise and predictions are (B, 4, h, w), timesteps (B,).
    """

    noise: NoiseSchedule
    prediction: Prediction

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Noisy latents."""
        kept = self._kept(timesteps)
        return kept.sqrt() * latents + (1 - kept).sqrt() * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the UNet learns to predict."""
        if self.prediction == "eps":
            return noise
        kept = self._kept(timesteps)
        return kept.sqrt() * noise - (1 - kept).sqrt() * latents

    def clean(self, noisy: Tensor, predicted: Tensor, timesteps: Tensor) -> Tensor:
        """The clean latents that a prediction implies."""
        kept = self._kept(timesteps)
        if self.prediction == "eps":
            return (noisy - (1 - kept).sqrt() * predicted) / kept.sqrt()
        return kept.sqrt() * noisy - (1 - kept).sqrt() * predicted

    def noise_share(self, timesteps: Tensor) -> Tensor:
        """(B,) the squared error of the noise over that of the prediction it is made of."""
        kept = self.kept(timesteps)
        return torch.ones_like(kept) if self.prediction == "eps" else kept

    def kept(self, timesteps: Tensor) -> Tensor:
        """(B,) share of the signal's variance that is left."""
        return kept_signal(self.noise).to(timesteps.device)[timesteps]

    def _kept(self, timesteps: Tensor) -> Tensor:
        return self.kept(timesteps)[:, None, None, None]


def draw_timestep(high_noise_share: float, generator: torch.Generator) -> int:
    """Uniform over all timesteps, but a share of draws over HIGH_NOISE and above only."""
    choice, place = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
    low = HIGH_NOISE if choice < high_noise_share else 0
    return low + int(place * (NOISE_STEPS - low))

"""The error of a training step, per sample, so that it does not depend on how a batch is cut.

Plain mean squared error of what the UNet predicts, the noise (paper, section 3.2, as Stable
Diffusion) or v in other families, and what can be added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.data.batch import Batch
from train.fit.options import LossConfig
from train.model.grounding import RecordingAttention, box_coverage, grounding_loss
from train.model.noise import Diffusion, draw_timestep
from train.model.text_to_image import TextToImage


@dataclass(frozen=True)
class Noise:
    """What is random in a step, one entry per sample."""

    noise: Tensor
    """(B, 4, h, w)"""
    timesteps: Tensor
    """(B,)"""
    posterior: Tensor
    """(B, 4, h, w) of the draw from the autoencoder's posterior."""


def draw_noise(shape: Sequence[int], step: int, first: int, config: LossConfig, seed: int) -> Noise:
    """The noise of samples `first` and following of a step's whole batch; shape (B, 4, h, w).

    Every sample has a generator of its own, so a batch is the same however it is spread over
    devices and micro-batches.
    """
    draws = []
    for place in range(first, first + shape[0]):
        mixed = np.random.SeedSequence([seed, step, place]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(mixed))
        timestep = draw_timestep(config.high_noise_share, generator)
        noise = torch.randn(shape[1:], generator=generator)
        offset = torch.randn(shape[1], 1, 1, generator=generator)
        posterior = torch.randn(shape[1:], generator=generator)
        draws.append((noise + config.noise_offset * offset, timestep, posterior))
    noises, timesteps, posteriors = zip(*draws, strict=True)
    return Noise(torch.stack(noises), torch.tensor(timesteps), torch.stack(posteriors))


def sample_losses(
    model: TextToImage,
    batch: Batch,
    drawn: Noise,
    recorders: list[RecordingAttention],
    config: LossConfig,
) -> dict[str, Tensor]:
    """Losses (B,) by name; "total" is the one to make smaller. Missing pictures count nothing."""
    device = batch.ids.device
    timesteps, noise = drawn.timesteps.to(device), drawn.noise.to(device)
    latents = to_latents(model, batch, drawn.posterior.to(device))
    diffusion = model.diffusion
    noisy = diffusion.add_noise(latents, noise, timesteps)
    predicted = model.predict(noisy, timesteps, model.condition(batch.ids))
    target = diffusion.target(latents, noise, timesteps)
    squared = (predicted - target).square().mean(dim=1)  # (B, h, w)
    error, weights = squared.mean(dim=(1, 2)), loss_weights(timesteps, config, diffusion)
    losses = {"noise": error, "weighted": weights * error}
    total = losses["weighted"]
    if config.region_weight:
        losses["regions"] = weights * region_error(squared, batch.boxes)
        total = total + config.region_weight * losses["regions"]
    if config.grounding_weight:
        losses["grounding"] = grounding_loss(
            recorders, batch.boxes, batch.spans, latents.shape[2] / latents.shape[3]
        )
        total = total + config.grounding_weight * losses["grounding"]
    if config.contrastive_weight:
        clean = diffusion.clean(noisy, predicted, timesteps)
        losses["contrastive"] = contrastive_loss(clean, latents, config.contrastive_temperature)
        total = total + config.contrastive_weight * losses["contrastive"]
    losses["total"] = total
    return {name: loss * batch.present for name, loss in losses.items()}


@torch.no_grad()
def to_latents(model: TextToImage, batch: Batch, posterior: Tensor) -> Tensor:
    """Latents (B, 4, h, w) of a batch of pictures, or of what a cache kept of them."""
    if batch.pictures.shape[1] == 3:
        mean, spread = model.codec.posterior(batch.pictures)
    else:
        mean, spread = batch.pictures, batch.spread
    return mean if spread is None else mean + spread * posterior


def region_error(squared: Tensor, boxes: Tensor) -> Tensor:
    """(B,) mean over a sample's regions of the mean error within each, whatever its size.

    Small things count as much as large ones, and as much where the sequence does not tell of them;
    not in the paper. squared: (B, h, w); boxes: as in a Batch. 0 where a sample has no regions.
    """
    inside = box_coverage(boxes, *squared.shape[1:])  # (B, R, h, w)
    cells = inside.sum(dim=(2, 3))
    mean = (inside * squared[:, None]).sum(dim=(2, 3)) / cells.clamp(min=1e-6)
    present = cells > 0
    return (mean * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)


def contrastive_loss(predicted: Tensor, latents: Tensor, temperature: float) -> Tensor:
    """(B,) InfoNCE: each predicted clean latent must resemble its own truth more than others'.

    Not in the paper or its code; see docs/training.md.
    """
    ours, truth = (F.normalize(x.flatten(1), dim=1) for x in (predicted, latents))
    target = torch.arange(len(ours), device=ours.device)
    return F.cross_entropy(ours @ truth.T / temperature, target, reduction="none")


def loss_weights(timesteps: Tensor, config: LossConfig, diffusion: Diffusion) -> Tensor:
    """(B,) weights of the squared error of what is predicted; 1 in the paper, which predicts noise.

    Where things go is decided at high noise, where an error of the clean picture counts next to
    nothing in the plain loss: `snr_weight_limit` weighs by 1 + 1/SNR(t), at most so much.
    `min_snr_gamma` weighs by min(SNR, gamma) / SNR (Hang et al., 2023). Both are of the noise's
    error; that of v is 1 + 1/SNR times it already.
    """
    kept, share = diffusion.kept(timesteps), diffusion.noise_share(timesteps)
    weights = (share / kept).clamp(max=config.snr_weight_limit)  # 1 + (1 - a) / a
    if config.min_snr_gamma:
        weights = weights * share * (config.min_snr_gamma * (1 - kept) / kept).clamp(max=1)
    return weights

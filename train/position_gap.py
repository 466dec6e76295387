"""Does the model look at its position tokens? A figure that moves long before any picture does."""

from __future__ import annotations

import torch
from torch import Tensor

from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.data.cache import EncodedSet
from train.model import TextToImage
from train.noise import STEPS, training_schedule

TIMESTEPS = (900, STEPS)


class PositionGap:
    """Error of the predicted clean latents at high noise, with right and with foreign boxes."""

    def __init__(self, model: TextToImage, data: EncodedSet, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self.model = model
        self.batch = data.batch(torch.arange(len(data)))
        self.noise = torch.randn(self.batch.latents.shape, generator=generator)
        self.timesteps = torch.randint(*TIMESTEPS, (len(data),), generator=generator)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Mean squared errors `right` and `foreign`; `gap` is their difference."""
        right = self._error(self.batch.ids)
        foreign = self._error(foreign_boxes(self.batch.ids))
        return {"right": right, "foreign": foreign, "gap": foreign - right}

    def _error(self, ids: Tensor) -> float:
        device = self.model.unet.device
        schedule = training_schedule()
        latents = self.batch.latents
        noisy = schedule.add_noise(latents, self.noise, self.timesteps)
        states = self.model.text_states(ids.to(device))
        noise = self.model.unet(noisy.to(device), self.timesteps.to(device), states).sample.cpu()
        kept = schedule.alphas_cumprod[self.timesteps][:, None, None, None]
        clean = (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()
        return (clean - latents).square().mean().item()


def foreign_boxes(ids: Tensor) -> Tensor:
    """ids (B, L) with every four position tokens replaced by those of the next region."""
    is_position = ids >= CLIP_VOCABULARY_SIZE
    foreign = ids.clone()
    foreign[is_position] = ids[is_position].roll(4)
    return foreign

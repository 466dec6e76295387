"""Loss on samples that are not trained on, the same every time: fixed noise, fixed timesteps.

And the figure that moves long before any picture does: how much worse the model gets when it is
given another sample's boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from reco_core.autoencoder import LATENT_CHANNELS
from reco_core.family import NOISE_STEPS
from reco_core.layout import Layout
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.data.batch import Batch, Row, stack
from train.data.loader import read_row
from train.data.mixture import Mixture
from train.data.transforms import draw_view, largest_regions, view_sample
from train.fit.losses import to_latents
from train.model.text_to_image import TextToImage
from train.model.words import Words

HIGH_NOISE = (900, NOISE_STEPS)
"""Timesteps of the position gap: there, what a prediction knows of places comes from the text."""


class Validation:
    """Held-out samples with latents and noise drawn once.

    micro_batch: samples that go through the model together. Those that cannot be read count
    nothing and are named in `problems`.

    Raises:
        ValueError: none can be read.
    """

    def __init__(
        self,
        model: TextToImage,
        mixture: Mixture,
        words: Words,
        timesteps: Sequence[int],
        seed: int,
        micro_batch: int,
        use_regions: bool = True,
    ):
        self.model, self.timesteps = model, timesteps
        self.batches: list[Batch] = []
        rows = [fixed_row(mixture, n, words, use_regions) for n in range(len(mixture))]
        self.problems = tuple(row.problem for row in rows if row.problem)
        if len(self.problems) == len(rows):
            example = f", first {self.problems[0].key} ({self.problems[0].reason})" if rows else ""
            raise ValueError(
                f"none of the {len(rows)} samples to validate on can be read{example}: bring them "
                "back, choose others with validation.set, or set validation.every = 0"
            )
        for same_size in _by_size(rows, [mixture.targets[n] for n in range(len(mixture))]):
            for start in range(0, len(same_size), micro_batch):
                self.batches.append(stack(same_size[start : start + micro_batch]))
        generator = torch.Generator().manual_seed(seed)
        self.latents = [_encode(model, batch, generator) for batch in self.batches]
        self.noise = [torch.randn(x.shape, generator=generator) for x in self.latents]
        self.high = [torch.randint(*HIGH_NOISE, (len(x),), generator=generator) for x in self.noise]

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Mean squared errors of what is predicted, by timestep and altogether (`loss`); and at
        high noise those of the clean latents: `right`, with `foreign` boxes, and their `gap`."""
        errors = {f"t{t}": self._mean(partial(self._error, t)) for t in self.timesteps}
        figures = {"loss": sum(errors.values()) / len(errors), **errors}
        if any((batch.ids >= CLIP_VOCABULARY_SIZE).any() for batch in self.batches):
            right = self._mean(lambda i: self._clean_error(i, self.batches[i].ids))
            foreign = self._mean(lambda i: self._clean_error(i, foreign_boxes(self.batches[i].ids)))
            figures |= {"right": right, "foreign": foreign, "gap": foreign - right}
        return figures

    def _mean(self, error: Callable[[int], Tensor]) -> float:
        """The mean over samples that are there of the errors (B,) of batch 0, 1 ..."""
        total = count = 0.0
        for i, batch in enumerate(self.batches):
            total += float((error(i) * batch.present).sum())
            count += float(batch.present.sum())
        return total / max(count, 1.0)

    def _error(self, timestep: int, i: int) -> Tensor:
        timesteps = torch.full((len(self.noise[i]),), timestep)
        diffusion, drawn = self.model.diffusion, (self.latents[i], self.noise[i], timesteps)
        predicted = self._predict(diffusion.add_noise(*drawn), timesteps, self.batches[i].ids)
        return (predicted - diffusion.target(*drawn)).square().mean(dim=(1, 2, 3))

    def _clean_error(self, i: int, ids: Tensor) -> Tensor:
        diffusion = self.model.diffusion
        noisy = diffusion.add_noise(self.latents[i], self.noise[i], self.high[i])
        predicted = self._predict(noisy, self.high[i], ids)
        clean = diffusion.clean(noisy, predicted, self.high[i])
        return (clean - self.latents[i]).square().mean(dim=(1, 2, 3))

    def _predict(self, noisy: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        device = self.model.unet.device
        told = self.model.condition(ids.to(device))
        return self.model.predict(noisy.to(device), timesteps.to(device), told).cpu()


def fixed_row(mixture: Mixture, number: int, words: Words, use_regions: bool = True) -> Row:
    """A sample without chance: first caption, upright and centred, its largest regions in order."""
    sample = mixture.sample(number)
    view = draw_view(
        np.random.default_rng(0), sample.width, sample.height, mixture.targets[number], "centre", 0
    )
    regions = largest_regions(sample.regions, words.max_regions) if use_regions else ()
    caption, regions = view_sample(sample.captions[0], regions, view)
    return read_row(sample, view, words.encode(Layout(caption, regions, *view.size)))


def foreign_boxes(ids: Tensor) -> Tensor:
    """ids (B, L) with every four position tokens replaced by those of the next region."""
    is_position = ids >= CLIP_VOCABULARY_SIZE
    foreign = ids.clone()
    foreign[is_position] = ids[is_position].roll(4)
    return foreign


@torch.no_grad()
def _encode(model: TextToImage, batch: Batch, generator: torch.Generator) -> Tensor:
    device = model.unet.device
    posterior = torch.randn(len(batch), LATENT_CHANNELS, *batch.latent_size, generator=generator)
    return to_latents(model, batch.to(device), posterior.to(device)).cpu()


def _by_size(rows: list[Row], sizes: list[tuple[int, int]]) -> list[list[Row]]:
    return [
        [r for r, s in zip(rows, sizes, strict=True) if s == size] for size in sorted(set(sizes))
    ]

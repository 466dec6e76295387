"""Loss on samples that are not trained on, the same every time: fixed noise, fixed timesteps.

And the figure that moves long before any picture does: how much worse the model gets when a sample
is told with the boxes of another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle

import numpy as np
import torch
from torch import Tensor

from reco_core.autoencoder import LATENT_CHANNELS
from reco_core.family import NOISE_STEPS
from reco_core.layout import Box, Layout
from train.data.batch import Batch, stack
from train.data.loader import read_row
from train.data.mixture import Mixture
from train.data.sample import Sample
from train.data.transforms import View, draw_view, largest_regions, view_sample
from train.fit.losses import to_latents
from train.model.embeddings import neighbour_cosine, position_token_rows
from train.model.text_to_image import TextToImage
from train.model.words import Words

HIGH_NOISE = (900, NOISE_STEPS)
"""Timesteps of the position gap: there, what a prediction knows of places comes from the text."""


class Validation:
    """Held-out samples with latents and noise drawn once.

    micro_batch: samples that go through the model together; figures do not depend on it by more
    than rounding. Samples that cannot be read count nothing and are named in `problems`.

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
        seen = [fixed_view(mixture, n, words.max_regions, use_regions) for n in range(len(mixture))]
        layouts = [layout for _, _, layout in seen]
        rows = [read_row(one, view, words.encode(layout)) for one, view, layout in seen]
        self.problems = tuple(row.problem for row in rows if row.problem)
        if len(self.problems) == len(rows):
            example = f", first {self.problems[0].key} ({self.problems[0].reason})" if rows else ""
            raise ValueError(
                f"none of the {len(rows)} samples to validate on can be read{example}: bring them "
                "back, choose others with validation.set, or set validation.every = 0"
            )
        batches = _by_size([view.size for _, view, _ in seen], micro_batch)
        self.batches: list[Batch] = [stack([rows[n] for n in batch]) for batch in batches]
        boxes = foreign_boxes(layouts)
        self.foreign = [
            _foreign(words, [(layouts[n], boxes[n]) for n in batch]) for batch in batches
        ]
        generator = torch.Generator().manual_seed(seed)
        self.latents = [_encode(model, batch, generator) for batch in self.batches]
        self.noise = [torch.randn(x.shape, generator=generator) for x in self.latents]
        self.high = [torch.randint(*HIGH_NOISE, (len(x),), generator=generator) for x in self.noise]

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Mean squared errors of what is predicted, by timestep and altogether (`loss`); of samples
        with boxes at high noise, those of the clean latents: `right`, with `foreign` boxes, and
        their `gap`; and `neighbour_cosine` of the position tokens' rows."""
        every = [batch.present for batch in self.batches]
        errors = {f"t{t}": _mean(partial(self._error, t), every) for t in self.timesteps}
        figures = {"loss": sum(errors.values()) / len(errors), **errors}
        boxed = [
            present * has_boxes for present, (_, has_boxes) in zip(every, self.foreign, strict=True)
        ]
        if any(weight.any() for weight in boxed):
            right = _mean(lambda i: self._clean_error(i, self.batches[i].ids), boxed)
            foreign = _mean(lambda i: self._clean_error(i, self.foreign[i][0]), boxed)
            figures |= {"right": right, "foreign": foreign, "gap": foreign - right}
        if self.model.num_bins > 1:
            rows = position_token_rows(self.model.text_encoder)
            figures["neighbour_cosine"] = neighbour_cosine(rows)
        return figures

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


def fixed_view(
    mixture: Mixture, number: int, max_regions: int, use_regions: bool = True
) -> tuple[Sample, View, Layout]:
    """A sample without chance: first caption, upright and centred, its largest regions in order."""
    sample = mixture.sample(number)
    size, target = (sample.width, sample.height), mixture.target(number)
    view = draw_view(np.random.default_rng(0), *size, target, "centre", 0)
    regions = largest_regions(sample.regions, max_regions) if use_regions else ()
    caption, regions = view_sample(sample.captions[0], regions, view)
    return sample, view, Layout(caption, regions, *view.size)


def foreign_boxes(layouts: Sequence[Layout]) -> list[tuple[Box, ...]]:
    """For each layout of a set as many boxes as it has, all of one other layout: of the next one,
    in a ring, that has enough and not the same; where none has enough, those of the one with most
    come again. Empty where no other has any.
    """
    boxes = [tuple(region.box for region in layout.regions) for layout in layouts]
    return [_foreign_boxes(boxes, place) for place in range(len(boxes))]


def _foreign_boxes(boxes: Sequence[tuple[Box, ...]], place: int) -> tuple[Box, ...]:
    own, most = boxes[place], tuple[Box, ...]()
    for step in range(1, len(boxes) if own else 0):
        other = boxes[(place + step) % len(boxes)]
        found = other[: len(own)]
        if found == own[: len(found)]:
            continue
        if len(found) == len(own):
            return found
        most = max(most, found, key=len)
    return tuple(box for box, _ in zip(cycle(most), own, strict=False))


def _foreign(
    words: Words, samples: Sequence[tuple[Layout, tuple[Box, ...]]]
) -> tuple[Tensor, Tensor]:
    """ids (B, L) of layouts with foreign boxes, and (B,) 1 where there are some, else 0."""
    ids = []
    for layout, boxes in samples:
        moved = zip(layout.regions, boxes, strict=False)
        regions = tuple(replace(region, box=box) for region, box in moved)
        ids.append(words.encode(replace(layout, regions=regions))["ids"].long())
    return torch.stack(ids), torch.tensor([float(bool(boxes)) for _, boxes in samples])


def _mean(error: Callable[[int], Tensor], weights: Sequence[Tensor]) -> float:
    """The mean of the errors (B,) of batch 0, 1 ... over samples that count.

    weights: (B,) of each batch, 1 or 0.
    """
    total = sum(float((error(i) * weight).sum()) for i, weight in enumerate(weights))
    return total / max(sum(float(weight.sum()) for weight in weights), 1.0)


@torch.no_grad()
def _encode(model: TextToImage, batch: Batch, generator: torch.Generator) -> Tensor:
    device = model.codec.autoencoder.device
    posterior = torch.randn(len(batch), LATENT_CHANNELS, *batch.latent_size, generator=generator)
    return to_latents(model, batch.to(device), posterior.to(device)).cpu()


def _by_size(sizes: Sequence[tuple[int, int]], micro_batch: int) -> list[list[int]]:
    """The numbers of samples, in batches of one size."""
    batches = []
    for size in sorted(set(sizes)):
        same = [n for n, other in enumerate(sizes) if other == size]
        batches += [same[start : start + micro_batch] for start in range(0, len(same), micro_batch)]
    return batches

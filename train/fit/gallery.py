"""Sample sheets: the same layouts, drawn again as training goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import numpy as np
from PIL import Image

from reco_core.layout import Layout
from train.data.decode import UNREADABLE
from train.data.mixture import PictureSizes
from train.data.picture import read_picture
from train.data.sample import Sample, SampleSet
from train.data.sets import open_set
from train.data.shapeskills import KnowsScenes, Scene
from train.data.transforms import draw_view, largest_regions, view_sample
from train.evaluate.shape_finder import region_accuracy, score_scene
from train.fit.options import FitConfig
from train.fit.sample_sheet import Card, sample_sheet
from train.fit.training_data import TrainingData
from train.model.sampling import sample_layouts, to_image
from train.model.text_to_image import TextToImage
from train.model.words import Words


@dataclass(frozen=True)
class Shown:
    """A layout that is drawn, the real picture, and the scene where truth is known."""

    layout: Layout
    real: Image.Image | None = None
    scene: Scene | None = None
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """What is drawn as training goes on. origin: where it is from."""

    shown: list[Shown]
    origin: str

    def draw(
        self, model: TextToImage, config: FitConfig, step: int
    ) -> tuple[Image.Image, dict[str, float]]:
        """A sheet, and region accuracy where it can be scored. Raises OutOfMemory."""
        options = config.sample
        layouts = [one.layout for one in self.shown]
        images = sample_layouts(
            model, layouts, steps=options.steps, guidance=options.guidance, seed=config.seed
        )
        pairs = list(zip(images, self.shown, strict=True))
        scores = [score_scene(image, one.scene) if one.scene else None for image, one in pairs]
        cards = [
            Card(
                one.layout,
                image,
                one.real,
                None if score is None else all(s.right for s in score),
                one.note,
            )
            for (image, one), score in zip(pairs, scores, strict=True)
        ]
        what = f"step {step}" if step else "step 0, the base"
        sheet = sample_sheet(f"{what}: drawn, beside the real picture; {self.origin}", cards)
        scored = [score for score in scores if score is not None]
        return sheet, {"region_accuracy": region_accuracy(scored)} if scored else {}


def open_gallery(config: FitConfig, model: TextToImage, data: TrainingData) -> Gallery | None:
    """Unseen samples like the first set's where it makes such, else held-out ones, else some that
    are trained on; None where none are asked for, or can be had."""
    count = config.sample.layouts
    if not (config.sample.every and count):
        return None
    samples, origin = _samples(config, data)
    found = islice(_shown(config, model.words(config.data.max_regions), samples), count)
    shown = list(found)
    return Gallery(shown, origin) if shown else None


def _samples(
    config: FitConfig, data: TrainingData
) -> tuple[Iterable[tuple[Sample, Scene | None]], str]:
    """Samples with the scenes that are known, and where they are from."""
    count = config.sample.layouts
    if unseen := config.data.sets[0].unseen(count):
        opened = cast(SampleSet, open_set(unseen, config.image_size))
        scenes = opened if isinstance(opened, KnowsScenes) and config.data.use_regions else None
        return (
            (opened[i], scenes.scene(i) if scenes else None) for i in range(count)
        ), "unseen samples"
    held_out = data.held_out
    if held_out is not None and len(held_out):
        numbers = range(min(count, len(held_out)))
        return ((held_out.sample(n), None) for n in numbers), "samples kept out of training"
    trained = islice(data.trained(), count)
    return ((sample, None) for sample in trained), "samples that are trained on"


def _shown(
    config: FitConfig, words: Words, samples: Iterable[tuple[Sample, Scene | None]]
) -> Iterator[Shown]:
    """The samples, with what of them fits into the model's sequence."""
    sizes = PictureSizes(config.data, config.image_size)
    for sample, scene in samples:
        size = (sample.width, sample.height) if scene else sizes.of(sample.width, sample.height)
        view = draw_view(np.random.default_rng(0), sample.width, sample.height, size, "centre", 0)
        most = config.data.max_regions if config.data.use_regions else 0
        regions = largest_regions(sample.regions, most)
        whole = Layout(*view_sample(sample.captions[0], regions, view), *size)
        layout, note = words.told(whole)
        is_whole = not note
        try:
            real = to_image(read_picture(sample, view))
        except UNREADABLE as error:
            real, note = None, f"{note} {sample.key} cannot be read: {error}".strip()
        yield Shown(layout, real, scene if is_whole else None, note)

"""Sample grids: the same layouts, drawn again as training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image

from reco_core.layout import Layout
from train.data.mixture import Mixture
from train.data.sample import SampleSet
from train.data.sets import open_set
from train.data.shapeskills import KnowsScenes, Scene
from train.data.transforms import draw_view, largest_regions, view_sample
from train.evaluate.report import picture_sheet
from train.evaluate.shape_finder import region_accuracy, score_scene
from train.fit.options import FitConfig
from train.model.sampling import sample_layouts
from train.model.text_to_image import TextToImage


@dataclass(frozen=True)
class Gallery:
    """Layouts whose pictures are drawn as training goes on; scenes, where truth is known."""

    layouts: list[Layout]
    scenes: list[Scene] | None = None

    def draw(self, model: TextToImage, config: FitConfig) -> tuple[Image.Image, dict[str, float]]:
        """A sheet of pictures with their boxes, and region accuracy where it can be scored."""
        options = config.sample
        images = sample_layouts(
            model, self.layouts, steps=options.steps, guidance=options.guidance, seed=config.seed
        )
        if self.scenes is None:
            return picture_sheet(images, self.layouts), {}
        scores = [score_scene(i, s) for i, s in zip(images, self.scenes, strict=True)]
        right = [all(score.right for score in scene) for scene in scores]
        sheet = picture_sheet(images, self.layouts, right)
        return sheet, {"region_accuracy": region_accuracy(scores)}


def open_gallery(config: FitConfig, held_out: Mixture | None) -> Gallery | None:
    """Unseen layouts like the first set's where it makes such, else those of held-out samples."""
    count = config.sample.layouts
    if not (config.sample.every and count):
        return None
    unseen = config.data.sets[0].unseen(count)
    if unseen and config.data.use_regions:
        opened = cast(SampleSet, open_set(unseen, config.image_size))
        samples = [opened[i] for i in range(count)]
        layouts = [Layout(s.captions[0], s.regions, s.width, s.height) for s in samples]
        if isinstance(opened, KnowsScenes):
            return Gallery(layouts, [opened.scene(i) for i in range(count)])
        return Gallery(layouts)
    if held_out is None or not len(held_out):
        return None
    return Gallery([_layout(held_out, n, config) for n in range(min(count, len(held_out)))])


def _layout(mixture: Mixture, number: int, config: FitConfig) -> Layout:
    one, size = mixture.sample(number), mixture.targets[number]
    view = draw_view(np.random.default_rng(0), one.width, one.height, size, "centre", 0)
    regions = largest_regions(one.regions, config.data.max_regions)
    caption, seen = view_sample(one.captions[0], regions, view)
    return Layout(caption, seen if config.data.use_regions else (), *size)

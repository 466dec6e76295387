"""Base sizes compared: what the autoencoder leaves of things, and what a picture takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from train.data.cutouts.scenes import render
from train.evaluate.judge.scores import score_regions
from train.evaluate.things import ThingsOptions, ThingsSuite
from train.evaluate.things_tables import regions_right
from train.model.sampling import sample_batch, to_image
from train.model.text_to_image import TextToImage

SIDES = (96, 128, 160, 192, 224)
LAYOUTS, TIMED = 50, 3
"""Pictures that are decoded, and that are drawn against time, of each size."""


def compare(model: TextToImage, options: ThingsOptions) -> list[dict[str, float]]:
    """One entry a side: `decibels` of decoded truth, `right`, the share of its regions that the
    judge sees as asked (`truth`: of the pictures that were encoded), `seconds` a picture."""
    return [
        _measure(model, ThingsSuite(replace(options, size=side, layouts=LAYOUTS, parts=("mixed",))))
        for side in SIDES
    ]


def _measure(model: TextToImage, suite: ThingsSuite) -> dict[str, float]:
    truth = [render(case.scene) for case in suite.cases]
    decoded, decibels = zip(*(_decode(model, image) for image in truth), strict=True)
    return {
        "side": suite.options.size,
        "decibels": statistics.fmean(decibels),
        "right": _right(suite, decoded),
        "truth": _right(suite, truth),
        "seconds": statistics.median(_seconds(model, suite, place) for place in range(TIMED)),
    }


def _right(suite: ThingsSuite, pictures: Sequence[Image.Image]) -> float:
    return regions_right(
        [
            score_regions(suite.judge, picture, case.scene, case.layout.regions)
            for picture, case in zip(pictures, suite.cases, strict=True)
        ]
    )


@torch.no_grad()
def _decode(model: TextToImage, image: Image.Image) -> tuple[Image.Image, float]:
    """A picture through the autoencoder, and what is left of it in dB (peak signal to noise)."""
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    latents, _ = model.codec.posterior(pixels)
    decoded = model.codec.decode(latents)[0]
    error = (decoded - pixels[0]).square().mean() / 4
    return to_image(decoded), -10 * float(torch.log10(error))


def _seconds(model: TextToImage, suite: ThingsSuite, place: int) -> float:
    case = suite.cases[place]
    start = time.process_time()
    sample_batch(model, [case.layout], [case.seed], 20, 3.0, "euler")
    return time.process_time() - start

"""Region accuracy of a checkpoint on unseen ShapeSkills layouts.

    python -m train evaluate --checkpoint models/reco-shapes.safetensors

Writes scores.json, contact_sheet.png and one picture per layout. Two controls stand beside every
score: the scorer on rendered truth (100 %), and on the same pictures against the layouts of other
samples (near 0).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from reco_core import read_checkpoint
from reco_core.atomic import write_atomically
from train.config import ModelConfig
from train.data.shapeskills import HELD_OUT, Sample, Split, render, sample
from train.evaluate.report import contact_sheet, evaluate_samples, region_accuracy, score_images
from train.evaluate.score import RegionScore
from train.model import load_model

SHEET_PICTURES = 64


@dataclass(frozen=True)
class EvaluationConfig:
    """What to sample, and how."""

    checkpoint: str
    layouts: int = 200
    held_out_layouts: int = 100
    """Layouts whose first thing is a colour-shape pair that training never showed."""
    sampler: str = "euler"
    steps: int = 20
    guidance: float = 3.0
    seed: int = 0
    """Layout i is sample i of ShapeSkills' test split, from noise of seed + i."""


@dataclass(frozen=True)
class Suite:
    """Samples with the pictures and scores a model gave them."""

    samples: list[Sample]
    images: list[Image.Image]
    scores: list[list[RegionScore]]


def evaluate(config: EvaluationConfig, folder: Path) -> dict[str, Any]:
    """Sample, score and write everything into a folder; returns what scores.json holds.

    Raises:
        ValueError: the checkpoint is not a ReCo one, or says no picture size to sample at.
    """
    tensors, metadata = read_checkpoint(Path(config.checkpoint))
    if metadata.get("format") != "reco" or "image_size" not in metadata:
        raise ValueError(
            f"{config.checkpoint!r} does not say that it is a ReCo checkpoint and its picture "
            "size; evaluate a file written by `python -m train fit`."
        )
    model = load_model(tensors, metadata, ModelConfig())
    size = int(metadata["image_size"])
    options: dict[str, Any] = {
        name: getattr(config, name) for name in ("sampler", "steps", "guidance", "seed")
    }

    def run(split: Split, count: int) -> Suite:
        samples = [sample(i, config.seed, split, size) for i in range(count)]
        return Suite(samples, *evaluate_samples(model, samples, progress=True, **options))

    unseen, held_out = run(Split.TEST, config.layouts), run(Split.HELD_OUT, config.held_out_layouts)
    result = {
        **asdict(config),
        "image_size": size,
        "training_steps": int(metadata.get("steps", 0)),
        **summary(unseen),
        "held_out": held_out_summary(held_out),
        "controls": controls(unseen),
        "pictures": [
            {
                "seed": config.seed + i,
                "caption": s.layout.caption,
                "regions": [r.to_dict() for r in scene],
            }
            for i, (s, scene) in enumerate(zip(unseen.samples, unseen.scores, strict=True))
        ],
    }
    _write(result, unseen, folder)
    return result


def summary(suite: Suite) -> dict[str, Any]:
    """Accuracy over regions, over whole pictures, and over regions by number of things."""
    by_count = defaultdict(list)
    for scene in suite.scores:
        by_count[len(scene)].append(scene)
    ious = [score.iou for scene in suite.scores for score in scene]
    return {
        "region_accuracy": region_accuracy(suite.scores),
        "picture_accuracy": _share(all(x.right for x in scene) for scene in suite.scores),
        "mean_iou": sum(ious) / len(ious),
        "regions": len(ious),
        "region_accuracy_by_things": {n: region_accuracy(by_count[n]) for n in sorted(by_count)},
    }


def held_out_summary(suite: Suite) -> dict[str, Any]:
    """Accuracy over the regions whose colour-shape pair training never showed."""
    scores = [x for scene in suite.scores for x in scene if (x.colour, x.shape) in HELD_OUT]
    return {
        "pairs": [" ".join(pair) for pair in sorted(HELD_OUT)],
        "regions": len(scores),
        "region_accuracy": _share(x.right for x in scores),
    }


def controls(suite: Suite) -> dict[str, float]:
    """The scorer on rendered truth, and on the pictures against the next sample's layout."""
    truth = score_images([render(s.scene) for s in suite.samples], suite.samples)
    shuffled = score_images(suite.images, [*suite.samples[1:], suite.samples[0]])
    return {"rendered_truth": region_accuracy(truth), "shuffled_layouts": region_accuracy(shuffled)}


def _share(values: Sequence[bool] | Any) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def _write(result: dict[str, Any], suite: Suite, folder: Path) -> None:
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(suite.images):
        image.save(pictures / f"{i:04d}.png")
    first = slice(SHEET_PICTURES)
    sheet = contact_sheet(suite.images[first], suite.samples[first], suite.scores[first])
    sheet.save(folder / "contact_sheet.png")
    text = json.dumps(result, indent=1)
    write_atomically(folder / "scores.json", lambda path: path.write_text(text, encoding="utf-8"))

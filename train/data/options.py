"""Options of data: the sets, and how pictures and words are prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SetConfig:
    """One data set; train/data has a reader for each kind."""

    kind: Literal["shapeskills", "coco", "paintskills", "json_lines", "bbox", "shards"] = (
        "shapeskills"
    )
    path: str = ""
    """coco: folder of pictures; paintskills: folder of one skill; json_lines: the .jsonl file;
    bbox: folder of pictures with .bbox sidecars; shards: a pattern such as set-{0000..0099}.tar."""
    annotations: str = ""
    """coco: the instances file."""
    captions: str = ""
    """coco: the captions file; without one, the caption lists what is in the picture."""
    region_captions: str = ""
    """JSON lines written by `python -m train data caption`; they replace the regions' texts."""
    split: str = "train"
    """paintskills: train or val; shapeskills: train, test or held_out."""
    samples: int = 0
    """Use the first so many (0: all); shapeskills: how many to render."""
    repeats: int = 1
    """How often one epoch shows each sample."""
    seed: int = 0
    """shapeskills: of the pictures."""
    counts: tuple[int, ...] = (1, 2, 3, 4)
    """shapeskills: numbers of things in a picture, drawn evenly; repeat one to draw it more."""
    skills: tuple[str, ...] = ("mixed",)
    """shapeskills: kinds of scenes, in turn: mixed, object, count, colour, spatial, binding."""
    sides: tuple[float, float] = (0.15, 0.60)
    """shapeskills: shortest and longest side of a box, as fractions of the picture."""


@dataclass(frozen=True)
class DataConfig:
    """What is learned from, and how pictures and words are prepared."""

    sets: tuple[SetConfig, ...] = (SetConfig(samples=20_000),)
    crop: Literal["random", "centre"] = "random"
    """Which square (or bucket) of the picture, after its short side is brought to size."""
    flip: float = 0.5
    """Share of pictures that are mirrored; left and right swap as words."""
    buckets: bool = False
    """Keep aspect ratios: pictures of like shape train together, up to image_size ** 2 pixels."""
    bucket_step: int = 64
    """Sides of buckets are multiples of it, in pixels."""
    max_aspect: float = 2.0
    """Longest side over shortest of a bucket."""
    min_visible: float = 0.1
    """A region stays when at least this share of its box is inside the crop."""
    max_regions: int = 20
    """Regions of a sample; of more, some are drawn by the square root of their area (paper)."""
    text_dropout: float = 0.0
    """Share of samples with the empty text, for guidance (the paper has none)."""
    caption_dropout: float = 0.0
    """Share of samples whose caption is left out, regions kept."""
    region_dropout: float = 0.0
    """Share of regions that are left out."""
    use_regions: bool = True
    """false trains on captions alone, as the base model of the paper was."""
    cache_latents: bool = False
    """Encode every picture once, to disk; needs crop = "centre"."""
    cache_folder: str = ""
    """Where latents are kept; empty: in the run's folder. Runs on the same pictures can share."""
    cache_text: bool = False
    """Encode every text once, to disk; needs a frozen text encoder and use_regions = false, since
    regions come in a new order each time."""
    workers: int = 0
    """Processes that read pictures, per device."""

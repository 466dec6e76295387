"""Options of data: the sets, and how pictures and words are prepared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from train.data.sets import AnySet
from train.data.shapeskills_set import ShapeSkillsConfig
from train.options import (
    Free,
    MaxRegions,
    Place,
    Processes,
    Range,
    Share,
    Side,
    Some,
    options,
    refuse_unused,
)

BucketStep = Annotated[int, Range(8, 1024, step=8)]
Aspect = Annotated[float, Range(1, 100)]


def _readers_of_shards(workers: int, run: Any) -> int | None:
    """How many processes read, where each has shards of its own."""
    return workers if run.data.sets[0].is_stream else None


@options
class DataConfig:
    """What is learned from, and how pictures and words are prepared."""

    sets: Some[AnySet] = (ShapeSkillsConfig(samples=20_000),)
    """Tables [[data.sets]], each of one kind."""
    crop: Literal["random", "centre"] = "random"
    """Which square (or bucket) of the picture, after its short side is brought to size."""
    flip: Share = 0.5
    """Share of pictures that are mirrored; left and right swap as words."""
    buckets: bool = False
    """Keep aspect ratios: pictures of like shape train together, up to image_size ** 2 pixels."""
    bucket_step: BucketStep = 64
    """Sides of buckets are multiples of it, in pixels."""
    max_aspect: Aspect = 2.0
    """Longest side over shortest of a bucket."""
    bucket_sizes: tuple[tuple[Side, Side], ...] = ()
    """Buckets by width and height instead, of any areas: a picture goes to the nearest of them."""
    min_visible: Share = 0.1
    """A region stays when at least this share of its box is inside the crop."""
    max_regions: MaxRegions = 20
    """Regions of a sample; of more, some are drawn by the square root of their area (paper)."""
    text_dropout: Share = 0.0
    """Share of samples with the empty text, for guidance (the paper has none)."""
    caption_dropout: Share = 0.0
    """Share of samples whose caption is left out, regions kept."""
    region_dropout: Share = 0.0
    """Share of regions that are left out."""
    layout_dropout: Share = 0.0
    """Share of samples whose regions are all left out, caption kept, so that the model learns to
    choose places itself."""
    use_regions: bool = True
    """false trains on captions alone, as the base model of the paper was."""
    cache_latents: bool = False
    """Encode every picture once, to disk; needs crop = "centre"."""
    cache_folder: Annotated[Place, Free()] = ""
    """Where latents are kept; empty: in the run's folder. Runs on the same pictures can share."""
    cache_text: bool = False
    """Encode every text once, to disk; needs a frozen text encoder and use_regions = false, since
    regions come in a new order each time."""
    workers: Annotated[Processes, Free(but=_readers_of_shards)] = 0
    """Processes that read pictures, per device; 0: the training's own."""

    def __post_init__(self) -> None:
        if not self.buckets:
            refuse_unused(self, ["bucket_step", "max_aspect"], "without buckets")
        elif self.bucket_sizes:
            refuse_unused(self, ["bucket_step", "max_aspect"], "beside bucket_sizes")
        if not self.cache_latents:
            refuse_unused(self, ["cache_folder"], "without cache_latents")
        if not self.use_regions:
            needed = ["min_visible", "region_dropout", "layout_dropout"]
            refuse_unused(self, needed, "with use_regions = false")
        if self.cache_latents and self.crop != "centre":
            raise ValueError(
                'data.cache_latents needs data.crop = "centre": a random crop has new latents each '
                "time"
            )
        if self.caption_dropout + self.layout_dropout > 1:
            raise ValueError(
                f"data.caption_dropout = {self.caption_dropout} and data.layout_dropout = "
                f"{self.layout_dropout} are shares of the same samples: together at most 1"
            )

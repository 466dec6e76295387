"""Every kind of data set: KINDS, and open_set.

A new kind is a reader's file, with its options, and its line here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

from train.data.coco import CocoConfig, open_coco
from train.data.cutouts.cutouts_set import CutoutsConfig, open_cutouts
from train.data.json_lines import JsonLinesConfig, open_json_lines
from train.data.packed import PackedConfig, open_packed
from train.data.paintskills import PaintSkillsConfig, open_paintskills
from train.data.region_texts import RetoldSet, RetoldStream, read_region_texts
from train.data.sample import SampleSet, SampleStream
from train.data.set_config import SetConfig
from train.data.shapeskills_set import ShapeSkillsConfig, open_shapeskills
from train.data.shards import ShardsConfig, open_shards
from train.data.sidecars import SidecarsConfig, open_sidecars
from train.data.voc_set import VocConfig, open_voc
from train.data.yolo_set import YoloConfig, open_yolo
from train.options import OneOf

Open = Callable[[Any, int], SampleSet | SampleStream]
"""From a kind's options, and the side of pictures that are drawn, in pixels."""
KINDS: dict[str, tuple[type[SetConfig], Open]] = {
    "shapeskills": (ShapeSkillsConfig, open_shapeskills),
    "coco": (CocoConfig, open_coco),
    "paintskills": (PaintSkillsConfig, open_paintskills),
    "json_lines": (JsonLinesConfig, open_json_lines),
    "bbox": (SidecarsConfig, open_sidecars),
    "yolo": (YoloConfig, open_yolo),
    "voc": (VocConfig, open_voc),
    "shards": (ShardsConfig, open_shards),
    "packed": (PackedConfig, open_packed),
    "cutouts": (CutoutsConfig, open_cutouts),
}
CONFIGS = {name: config for name, (config, _) in KINDS.items()}
AnySet = Annotated[SetConfig, OneOf(CONFIGS)]
"""Options of a set of any kind."""


def open_set(config: SetConfig, shapes_size: int = 128) -> SampleSet | SampleStream:
    """Open a data set; of its pictures nothing is read yet.

    shapes_size: side of pictures that are drawn, in pixels; others have the size they have.

    Raises:
        ValueError: an option is missing, or a file it names cannot be read.
    """
    _, open_kind = KINDS[config.kind]
    opened = open_kind(config, shapes_size)
    if not config.region_captions:
        return opened
    texts, problems = read_region_texts(Path(config.region_captions).expanduser())
    if config.is_stream:
        return RetoldStream(cast(SampleStream, opened), texts, problems)
    return RetoldSet(cast(SampleSet, opened), texts, problems)

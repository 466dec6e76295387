"""Pairs of everyday things, with settings of ReCo Control."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from comfy_server import ComfyServer
from docs.control.drawing import Setting, draw, percent, sheet
from docs.control.thing_pairs import (
    CHECKPOINT,
    GROUND,
    KINDS,
    names_of_things,
    score_pair,
    thing_pairs,
)
from docs.tables import table
from reco_core.containment import TOKENS

NAME, PICTURE = "things", "control-things.jpg"
PAIRS = thing_pairs(seed=5, count=40, names=names_of_things(), kinds=tuple(KINDS))
SHOWN = 9
SETTINGS = (
    Setting("as trained", checkpoint=CHECKPOINT),
    *(
        Setting(f"region guidance {scale:g}", {"region_guidance": scale}, checkpoint=CHECKPOINT)
        for scale in (1.5, 2.0)
    ),
    Setting(TOKENS, {"containment": TOKENS}, checkpoint=CHECKPOINT),
    Setting(
        f"region guidance 1.5, {TOKENS}",
        {"region_guidance": 1.5, "containment": TOKENS},
        checkpoint=CHECKPOINT,
    ),
)


def measure(server: ComfyServer) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each setting: the share of regions that are right, by kind of pairs and of all."""
    for setting in SETTINGS:
        right: dict[str, list[bool]] = {}
        for pair in PAIRS:
            found = [score.right for score in score_pair(draw(server, pair, setting), pair)]
            for kind in (pair.kind, "all"):
                right.setdefault(kind, []).extend(found)
        yield setting.name, {kind: sum(some) / len(some) for kind, some in right.items()}


def rows(found: dict[str, dict[str, float]]) -> str:
    """A table with a row for each setting."""
    kinds = list(next(iter(found.values())))
    lines = ((name, *(percent(own[kind]) for kind in kinds)) for name, own in found.items())
    return table(["", *kinds], lines)


def picture(server: ComfyServer) -> Image.Image:
    """The first pairs."""
    return sheet(server, PAIRS[:SHOWN], SETTINGS, GROUND)

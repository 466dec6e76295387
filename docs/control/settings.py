"""Pairs of shapes that are hard to keep apart, with every setting of ReCo Control."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from comfy_server import ComfyServer
from docs.control.drawing import Setting, draw, percent, sheet
from docs.control.pairs import GROUND, PAIRS, Pair
from docs.tables import table
from reco_core.containment import HOW, TOKENS
from reco_core.control import Control
from train.evaluate.shape_finder import ShapeScore, score_scene

NAME, PICTURE = "settings", "control.jpg"
SHOWN = 8
"""Pairs of the picture."""
SETTINGS = (
    Setting("as trained"),
    *(
        Setting(f"region guidance {scale:g}", {"region_guidance": scale})
        for scale in (0.5, 1.5, 2.0, 3.0)
    ),
    *(Setting(how, {"containment": how}) for how in HOW),
    Setting(f"region guidance 2, {TOKENS}", {"region_guidance": 2.0, "containment": TOKENS}),
    Setting(f"{TOKENS}, no feather", {"containment": TOKENS, "feather": 0}),
    Setting(f"{TOKENS}, until 0.5", {"containment": TOKENS, "contain_until": 0.5}),
    *(
        Setting(f"first region, strength {strength:g}", control=Control(strength=strength))
        for strength in (0.0, 0.25, 0.5, 2.0, 4.0)
    ),
    Setting("as trained, cfg 1", cfg=1.0),
    *(
        Setting(f"region guidance {scale:g}, cfg 1", {"region_guidance": scale}, cfg=1.0)
        for scale in (2.0, 4.0)
    ),
    Setting("first region, until 0.2", control=Control(end=0.2)),
    Setting("first region, from 0.2", control=Control(start=0.2)),
)


def measure(server: ComfyServer) -> Iterator[tuple[str, dict]]:
    """Of each setting: what was right and what leaked, by kind of pairs and of all."""
    for setting in SETTINGS:
        scores: dict[str, list[ShapeScore]] = {}
        for pair in PAIRS:
            found = score_scene(draw(server, pair, setting), pair.scene)
            for kind in (pair.kind, "all"):
                scores.setdefault(kind, []).extend(found)
        yield setting.name, {kind: _summary(found) for kind, found in scores.items()}


def _summary(scores: list[ShapeScore]) -> dict[str, float]:
    first = scores[::2]
    return {
        "right": sum(score.right for score in scores) / len(scores),
        "leakage": sum(score.leakage for score in scores) / len(scores),
        "first": sum(score.right for score in first) / len(first),
    }


def rows(found: dict[str, dict]) -> str:
    """A table with a row for each setting."""
    kinds = list(next(iter(found.values())))
    head = ["", *(f"{kind}: {what}" for kind in kinds for what in ("right", "leakage"))]
    return table(
        head,
        (
            (name, *(cell for kind in kinds for cell in _cells(own[kind])))
            for name, own in found.items()
        ),
    )


def _cells(figures: dict[str, float]) -> tuple[str, str]:
    return percent(figures["right"]), f"{figures['leakage']:.3f}"


def picture(server: ComfyServer) -> Image.Image:
    """Some pairs, one after another of each kind."""
    return sheet(server, list(_some()), SETTINGS, GROUND)


def _some() -> Iterator[Pair]:
    kinds: dict[str, list[Pair]] = {}
    for pair in PAIRS:
        kinds.setdefault(pair.kind, []).append(pair)
    for number in range(SHOWN):
        some = list(kinds.values())[number % len(kinds)]
        yield some[number // len(kinds)]

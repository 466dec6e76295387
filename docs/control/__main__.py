"""What control of regions does, measured in a ComfyUI on the embedded checkpoint:
python -m docs.control

Draws pairs of shapes whose boxes touch or overlap, and pairs that swap their colours, with every
setting of ReCo Control. Writes docs/control.json, from which it goes on, and
docs/images/control.jpg, and the table of docs/control.md.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from comfy_server import ComfyServer
from docs.control.pairs import PAIRS, Pair
from docs.control.settings import SETTINGS, Setting, workflow
from docs.tables import put, table
from reco_core.atomic import write_atomically, write_text_atomically
from reco_core.draw import draw_layout
from train.evaluate.shape_finder import ShapeScore, score_scene

DOCS = Path(__file__).resolve().parents[1]
FIGURES, PAGE = DOCS / "control.json", DOCS / "control.md"
PICTURES = DOCS.parent / "runs" / "control"
SHOWN, SIDE, LABEL = 8, 128, 190
"""Pairs of the picture; pixels of each and of a row's words."""


def draw(server: ComfyServer, pair: Pair, setting: Setting) -> Image.Image:
    """The picture of a pair with a setting, kept in PICTURES."""
    path = PICTURES / f"{setting.file} {pair.name}.png"
    if not path.exists():
        entry = server.wait(server.post_prompt(workflow(pair, setting)))
        (image,) = entry["outputs"]["save"]["images"]
        made = Image.open(io.BytesIO(server.view(image))).convert("RGB")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, partial(made.save, format="PNG"))
    return Image.open(path).convert("RGB")


def figures(server: ComfyServer, setting: Setting) -> dict[str, dict[str, float]]:
    """Of each kind of pairs, and of all: what was right and what leaked."""
    scores: dict[str, list[ShapeScore]] = {}
    for pair in PAIRS:
        found = score_scene(draw(server, pair, setting), pair.scene)
        for kind in (pair.kind, "all"):
            scores.setdefault(kind, []).extend(found)
    return {kind: _summary(found) for kind, found in scores.items()}


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
    return f"{figures['right']:.1%}".replace("%", " %"), f"{figures['leakage']:.3f}"


def sheet(server: ComfyServer) -> Image.Image:
    """Some pairs, one after another of each kind: what is asked for, and a row for each setting."""
    shown = list(_some())
    rows = [("asked for", [asked(pair) for pair in shown])]
    rows += [(one.name, [draw(server, pair, one) for pair in shown]) for one in SETTINGS]
    made = Image.new("RGB", (LABEL + len(shown) * SIDE, len(rows) * SIDE), "white")
    pen, font = ImageDraw.Draw(made), ImageFont.load_default(13)
    for row, (name, pictures) in enumerate(rows):
        words = name.replace(", ", ",\n")
        pen.multiline_text((6, row * SIDE + 45), words, fill="black", font=font)
        for column, picture in enumerate(pictures):
            made.paste(picture, (LABEL + column * SIDE, row * SIDE))
    return made


def asked(pair: Pair) -> Image.Image:
    return draw_layout(Image.new("RGB", (SIDE, SIDE), pair.scene.ground), pair.layout)


def _some() -> Iterator[Pair]:
    kinds: dict[str, list[Pair]] = {}
    for pair in PAIRS:
        kinds.setdefault(pair.kind, []).append(pair)
    for number in range(SHOWN):
        some = list(kinds.values())[number % len(kinds)]
        yield some[number // len(kinds)]


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder, ComfyServer(folder) as server:
        for setting in SETTINGS:
            found[setting.name] = figures(server, setting)
            print(setting.name, found[setting.name]["all"], flush=True)
        picture = sheet(server)
    write_text_atomically(FIGURES, json.dumps(found, indent=1) + "\n")
    write_atomically(
        DOCS / "images" / "control.jpg", partial(picture.save, format="JPEG", quality=90)
    )
    write_text_atomically(PAGE, put(PAGE.read_text("utf-8"), "settings", rows(found)))


if __name__ == "__main__":
    main()

"""Figures and pictures of docs/reco-things.md: python -m docs.things FOLDER SCORES RUN ...

FOLDER: what `python -m train data fluent-emoji` got. SCORES: what `python -m train evaluate` wrote
of models/reco-things.safetensors. RUN ...: the folders of the runs that trained it, in their order.
Compares base sizes, draws the prompts that a newcomer would type first, and writes tables and
pictures of these, of the runs and of the scores into docs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from docs.tables import put, table
from docs.things.curves import plot
from docs.things.prompts import PROMPTS
from docs.things.sizes import compare
from reco_core.atomic import write_atomically, write_text_atomically
from reco_core.checkpoint_file import read_checkpoint
from train.evaluate.report import picture_sheet
from train.evaluate.things import ThingsOptions
from train.evaluate.things_tables import CONTROLS
from train.model.sampling import sample_layouts
from train.model.text_to_image import TextToImage, load_model

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
CHECKPOINT = ROOT / "models" / "reco-things.safetensors"
JUDGE = ROOT / "train" / "evaluate" / "judge" / "fluent_emoji.safetensors"
THINGS = ROOT / "train" / "data" / "cutouts" / "fluent_emoji.toml"
PAGE, FIGURES = DOCS / "reco-things.md", DOCS / "reco-things.json"
CURVES = DOCS / "images" / "reco-things-curves.png"
SHEETS = {f"{name}.png": f"reco-things-{name}.jpg" for name in ("first", "best", "worst")}
"""Of the scores' folder, by their names in docs/images."""
PARTS = {
    "mixed": "one to four things, 160 x 160",
    "portrait": "2:3",
    "landscape": "3:2",
    "larger": "1.25 times the side",
    "second_pass": "second pass at 1.5 times the side",
    "held_out": "with a pair that training never showed",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.things", description=__doc__)
    for name in ("folder", "scores"):
        parser.add_argument(name, type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    model = load_model(*read_checkpoint(CHECKPOINT))
    write_image("reco-things.jpg", sheet(model))
    write_atomically(CURVES, partial(plot(arguments.runs).savefig, format="png", dpi=100))
    for name, shown in SHEETS.items():
        write_image(shown, Image.open(arguments.scores / name))
    figures = json.loads((arguments.scores / "scores.json").read_text("utf-8"))["figures"]
    options = ThingsOptions(str(arguments.folder), str(JUDGE), str(THINGS), seed=9)
    found = {"scores": figures, "sizes": compare(model, options)}
    write_text_atomically(FIGURES, json.dumps(found, indent=1) + "\n")
    page = PAGE.read_text("utf-8")
    for name, made in tables(found).items():
        page = put(page, name, made)
    write_text_atomically(PAGE, page)


def sheet(model: TextToImage) -> Image.Image:
    """The prompts, each with the seed of its place."""
    return picture_sheet(sample_layouts(model, PROMPTS), PROMPTS, columns=4)


def write_image(name: str, image: Image.Image) -> None:
    save = partial(image.convert("RGB").save, format="JPEG", quality=88)
    write_atomically(DOCS / "images" / name, save)


def tables(found: dict[str, Any]) -> dict[str, str]:
    """By their names in the page."""
    scores = found["scores"]
    return {
        "scores": table(
            ("layouts", "regions right", "boxes met", "colours right", "pictures", "regions"),
            [_row(told, scores[part]) for part, told in PARTS.items()],
        ),
        "more": table(("", "right", "of"), _more(scores)),
        "controls": table(
            ("what is judged", "regions right", "things there", "to be trusted"),
            [
                (told, *(percent(scores["controls"][of][name]) for of in ("regions", "captions")))
                + (f"{trusted} %",)
                for name, (told, trusted) in CONTROLS.items()
            ],
        ),
        "sizes": table(
            ("side", "decoded truth, dB", "its regions right", "of truth", "s a picture"),
            [
                (
                    f"{one['side']} px",
                    f"{one['decibels']:.1f}",
                    percent(one["right"]),
                    percent(one["truth"]),
                    f"{one['seconds']:.1f}",
                )
                for one in found["sizes"]
            ],
        ),
    }


def _row(told: str, own: dict[str, Any]) -> Sequence[str | int]:
    shares = (percent(own[name]) for name in ("region_accuracy", "located", "coloured"))
    return told, *shares, own["pictures"], own["regions"]


def _more(scores: dict[str, Any]) -> list[Sequence[str | int]]:
    mixed, held_out, alone = (scores[part] for part in ("mixed", "held_out", "caption"))
    by_things = [
        (f"regions of pictures of {count}", percent(share), f"{mixed['pictures']} pictures in all")
        for count, share in mixed["by_things"].items()
    ]
    return [
        *by_things,
        ("whole pictures", percent(mixed["picture_accuracy"]), f"{mixed['pictures']} pictures"),
        (
            "the things of pairs that training never showed",
            percent(held_out["unseen_pairs"]),
            f"{held_out['pictures']} pairs",
        ),
        (
            "things there, from a caption alone",
            percent(alone["there"]),
            f"{alone['things']} things",
        ),
    ]


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


if __name__ == "__main__":
    main()

"""How well boxes carry over to another look, on small models: python -m docs.transplant

Needs what the five commands in train/configs/looks made. Draws the same unseen layouts with the
base, its ReCo fine-tune, its fine-tune to another look, and with what `train transplant` and
`train convert --base` make of them; writes docs/transplant.json and docs/images/transplant.jpg,
and prints the table of docs/transplant.md. It goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from reco_core.atomic import write_atomically, write_text_atomically
from reco_core.draw import draw_layout
from train.checkpoints.merge import merge_adapter_file
from train.checkpoints.transplant import TransplantOptions, transplant
from train.data.shapeskills import render
from train.evaluate.command import evaluate
from train.evaluate.draw import Studio, open_checkpoint
from train.evaluate.drawing import Drawing
from train.evaluate.shapeskills import ShapeSkillsOptions, ShapeSkillsSuite

DOCS = Path(__file__).resolve().parent
RUNS = Path("runs/looks")
BASE, RECO, CHALK, ADAPTER = (
    RUNS / f"{name}.safetensors" for name in ("base", "reco", "chalk", "adapter")
)
STRENGTHS = (0.0, 0.5, 1.0, 1.2)
SUITE = ShapeSkillsOptions(
    layouts=200, parts=("mixed",), counts=(1, 2), sides=(0.3, 0.6), looks=("plain", "chalk")
)
DRAWING = Drawing(sampler="euler", steps=20, guidance=3.0)
SHOWN, SIDE, LABEL = 8, 128, 190
"""Layouts of the picture; pixels of each and of a row's words."""


def models() -> Iterator[tuple[str, Path, Callable[[Path], object] | None]]:
    """What is compared: its name, its file, and what writes that where no training did."""
    yield "base", BASE, None
    yield "ReCo, trained from the base", RECO, None
    yield "chalk, trained from the base", CHALK, None
    for strength in STRENGTHS:
        made = partial(transplant, RECO, BASE, CHALK, options=TransplantOptions(strength))
        yield f"transplant, strength {strength:g}", RUNS / f"transplant-{strength:g}", made
    yield (
        "base with adapter",
        RUNS / "adapted-base",
        partial(merge_adapter_file, ADAPTER, BASE),
    )
    for strength in STRENGTHS:
        made = partial(merge_adapter_file, ADAPTER, CHALK, strength=strength)
        yield f"chalk with adapter, strength {strength:g}", RUNS / f"adapted-{strength:g}", made


def measure(suite: ShapeSkillsSuite) -> dict[str, dict]:
    """Figures of every model, by name, and where its pictures are."""
    figures = {}
    for name, path, make in models():
        if make:
            path = path.with_name(f"{path.name}.safetensors")
            if not path.exists():
                make(path)
        studio = Studio(open_checkpoint(path), DRAWING, RUNS / "scores" / path.stem)
        mixed = evaluate(suite, studio).figures["mixed"]
        figures[name] = {"file": path.stem, **mixed}
    return figures


def table(figures: dict[str, dict]) -> str:
    """In Markdown. Shares are of what the parents have; of the look, from the one to the other."""
    lines = [
        "| | regions right | boxes met | share of ReCo's regions | distance to plain | to chalk | "
        "share of chalk's look |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    far, near = (figures[name]["distances"]["chalk"] for name in list(figures)[1:3])
    for name, own in figures.items():
        parent = "base with adapter" if "adapter" in name else "ReCo, trained from the base"
        plain, chalk = (own["distances"][look] for look in ("plain", "chalk"))
        cells = (
            name,
            f"{own['region_accuracy']:.1%}",
            f"{own['located']:.1%}",
            share(own["region_accuracy"], figures[parent]["region_accuracy"]),
            f"{plain:.1f}",
            f"{chalk:.1f}",
            share(far - chalk, far - near),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).replace("%", " %")


def share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def picture(suite: ShapeSkillsSuite, figures: dict[str, dict]) -> Image.Image:
    """The first layouts as truth and as every model draws them, a row each."""
    cases = suite.cases[:SHOWN]
    rows = [("truth", [render(case.scene) for case in cases])]
    for name, own in figures.items():
        folder = RUNS / "scores" / own["file"] / "pictures"
        rows.append((name, [Image.open(folder / f"{case.name}.png") for case in cases]))
    sheet = Image.new("RGB", (LABEL + SHOWN * SIDE, len(rows) * SIDE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (name, images) in enumerate(rows):
        words = name.replace(", ", ",\n").replace("with ", "with\n")
        draw.multiline_text((6, row * SIDE + 40), words, fill="black", font=font)
        for column, (image, case) in enumerate(zip(images, cases, strict=True)):
            marked = draw_layout(image.convert("RGB"), case.layout)
            sheet.paste(marked, (LABEL + column * SIDE, row * SIDE))
    return sheet


def main() -> None:
    suite = ShapeSkillsSuite(SUITE)
    figures = measure(suite)
    write_text_atomically(DOCS / "transplant.json", json.dumps(figures, indent=1) + "\n")
    sheet = picture(suite, figures)
    write_atomically(
        DOCS / "images" / "transplant.jpg", partial(sheet.save, format="JPEG", quality=90)
    )
    print(table(figures))


if __name__ == "__main__":
    main()

"""python -m train evaluate: draws a suite's layouts with a checkpoint, and scores the pictures.

    python -m train evaluate --checkpoint models/reco-shapes.safetensors --suite shapeskills
    python -m train evaluate --checkpoint FILE --suite coco --images FOLDER --annotations FILE \\
        --captions FILE --clip openai/clip-vit-large-patch14 --detector facebook/detr-resnet-50
    python -m train evaluate --checkpoint FILE --suite paintskills --path FOLDER --detector ...
    python -m train evaluate --checkpoint FILE --people OTHER

The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.evaluate.draw import Drawing, Studio
    from train.evaluate.suite import Result, Suite

SUITES = {
    "shapeskills": ("ShapeSkillsOptions", "ShapeSkillsSuite"),
    "coco": ("CocoOptions", "coco_suite"),
    "paintskills": ("PaintSkillsOptions", "paintskills_suite"),
}
"""Module of train.evaluate -> its options, and what makes a suite of them."""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="draw and score a suite of layouts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help=".safetensors or .ckpt")
    parser.add_argument("--suite", choices=SUITES, default="shapeskills")
    parser.add_argument("--output", type=Path, default=Path("runs/evaluate"), help="folder")
    parser.add_argument("--only", metavar="NAME", help="draw this one case alone, unscored")
    parser.add_argument(
        "--people",
        type=Path,
        metavar="OTHER",
        help="another checkpoint: write a page on which people compare the two, instead of scores",
    )
    drawing = parser.add_argument_group("drawing (defaults are the paper's)")
    drawing.add_argument("--sampler", default="plms", help="plms, ddim, euler or a diffusers class")
    drawing.add_argument("--steps", type=int, default=50)
    drawing.add_argument("--guidance", type=float, default=4.0)
    drawing.add_argument("--batch-size", type=int, default=16)
    drawing.add_argument("--device", default="auto", help="cpu, cuda ...; auto: a GPU if there is")
    drawing.add_argument("--precision", default="fp32", help="fp32, fp16 or bf16")
    _add_suite_options(parser.add_argument_group("layouts"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw, score and write; prints the report."""
    from train.evaluate.draw import Drawing, Studio, open_checkpoint

    given = vars(arguments)
    drawing = Drawing(**{f.name: given[f.name] for f in fields(Drawing)})
    checkpoint = open_checkpoint(arguments.checkpoint)
    defaults = {
        "size": checkpoint.image_size,
        "batch_size": drawing.batch_size,
        "device": "" if drawing.device == "auto" else drawing.device,
    }
    suite = open_suite(arguments.suite, suite_options(given), defaults)
    studio = Studio(checkpoint, drawing, arguments.output)
    if arguments.only:
        print(f"wrote {_draw_one(suite, arguments.only, studio)}")
        return 0
    if arguments.people:
        return _people(suite, studio, arguments.people, drawing)
    evaluate(suite, studio)
    print((arguments.output / "report.md").read_text(encoding="utf-8"))
    print(f"wrote {arguments.output}")
    return 0


def evaluate(suite: Suite, studio: Studio) -> Result:
    """Draw what is missing, score everything, and write the report into the studio's folder."""
    from train.evaluate.report import write_report

    studio.draw(suite.cases)
    result = suite.score(studio.open)
    about = {"suite": suite.name, "pictures": len(suite.cases), **studio.describe()}
    write_report(result, studio.open, about, studio.folder)
    return result


def open_suite(name: str, options: dict[str, Any], defaults: dict[str, Any]) -> Suite:
    """A suite with its options.

    defaults: of options that are not given, where the suite has them.

    Raises:
        ValueError: an option that is not the suite's or is missing, or a value that cannot be.
    """
    module = import_module(f"train.evaluate.{name}")
    kind, make = (getattr(module, part) for part in SUITES[name])
    known = {field.name: field for field in fields(kind)}
    for option in options.keys() - known.keys():
        raise ValueError(f"--{option.replace('_', '-')} is no option of --suite {name}")
    values = {k: v for k, v in defaults.items() if k in known} | options
    needed = [n for n, f in known.items() if f.default is MISSING and n not in values]
    if needed:
        raise ValueError(f"--suite {name} needs {' and '.join(f'--{n}' for n in needed)}")
    return make(kind(**values))


def suite_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options of suites among those of the command line, where they were given."""
    names = [name for name, _, _ in SUITE_OPTIONS]
    values = {name: given[name] for name in names if given[name] is not None}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


SUITE_OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("layouts", {"type": int}, "how many (shapeskills: of the mixed part, default 200)"),
    ("skill_layouts", {"type": int}, "shapeskills: how many of each other part (default 100)"),
    ("parts", {"nargs": "+"}, "shapeskills: mixed object count colour spatial binding ..."),
    ("counts", {"type": int, "nargs": "+"}, "shapeskills: numbers of things (default 1 2 3 4)"),
    ("sides", {"type": float, "nargs": 2}, "shapeskills: of boxes (default 0.15 0.6)"),
    ("seed", {"type": int}, "of the layouts and of the first picture's noise (default 0)"),
    ("size", {"type": int}, "side of the pictures in pixels (default: as the checkpoint says)"),
    ("images", {}, "coco: folder of the real pictures"),
    ("annotations", {}, "coco: instances file"),
    ("captions", {}, "coco: captions file"),
    ("region_captions", {}, "coco: region texts written by `python -m train data caption`"),
    ("max_regions", {"type": int}, "coco: boxes of a picture (default 20)"),
    ("path", {}, "paintskills: folder with object, count, color and spatial"),
    ("skills", {"nargs": "+"}, "paintskills: which of object count color spatial"),
    ("split", {}, "paintskills: val (default) or train"),
    ("clip", {}, "coco: CLIP model, folder or hub id"),
    ("detector", {}, "coco, paintskills: object detector of transformers, folder or hub id"),
    ("inception", {}, "coco: file of Inception weights, for FID and SceneFID"),
    ("real", {"action": "store_const", "const": True}, "coco: measure the real pictures too"),
)


def _add_suite_options(group: argparse._ArgumentGroup) -> None:
    for name, options, text in SUITE_OPTIONS:
        group.add_argument(f"--{name.replace('_', '-')}", help=text, **options)


def _draw_one(suite: Suite, name: str, studio: Studio) -> Path:
    named = [case for case in suite.cases if case.name == name]
    if not named:
        first = ", ".join(case.name for case in suite.cases[:3])
        raise ValueError(f"--only {name!r}: the suite has no such case; the first are {first}")
    studio.draw(named)
    return studio.path(named[0])


def _people(suite: Suite, studio: Studio, other: Path, drawing: Drawing) -> int:
    from train.evaluate.draw import Studio, open_checkpoint
    from train.evaluate.people import write_people_page

    against = Studio(open_checkpoint(other), drawing, studio.folder / "other")
    for one in (studio, against):
        one.draw(suite.cases)
    names = str(studio.checkpoint.path), str(other)
    page = studio.folder / "people.html"
    write_people_page(page, suite.cases, studio.open, against.open, names=names)
    print(f"wrote {page} for the raters, and {page.parent / 'people_key.json'} for `tally`")
    return 0

"""python -m train evaluate: draws a suite's layouts with a checkpoint, and scores the pictures.

    python -m train evaluate --checkpoint models/reco-shapes.safetensors --suite shapeskills
    python -m train evaluate --checkpoint FILE --suite things --path FOLDER --judge FILE
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

from train.command_line import OptionsParser, add_options, flag_of, given
from train.evaluate.drawing import Drawing
from train.options import build

if TYPE_CHECKING:
    from train.evaluate.draw import Studio
    from train.evaluate.suite import Result, Suite

SUITES = {
    "shapeskills": ("ShapeSkillsOptions", "ShapeSkillsSuite"),
    "things": ("ThingsOptions", "ThingsSuite"),
    "coco": ("CocoOptions", "coco_suite"),
    "paintskills": ("PaintSkillsOptions", "paintskills_suite"),
}
"""Module of train.evaluate -> its options, and what makes a suite of them."""
FROM_DRAWING = ("batch_size", "device")
"""Options of suites that are given once, for drawing and scoring."""


def add_command(commands: argparse._SubParsersAction[OptionsParser]) -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="draw and score a suite of layouts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help=".safetensors or .ckpt")
    parser.choose("--suite", _suites, "of layouts (shapeskills)", "shapeskills", FROM_DRAWING)
    parser.add_argument("--output", type=Path, default=Path("runs/evaluate"), help="folder")
    parser.add_argument("--only", metavar="NAME", help="draw this one case alone, unscored")
    parser.add_argument(
        "--people",
        type=Path,
        metavar="OTHER",
        help="another checkpoint: write a page on which people compare the two, instead of scores",
    )
    drawing = parser.add_argument_group("drawing", Drawing.__doc__)
    add_options(drawing, Drawing)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw, score and write; prints the report."""
    from train.evaluate.draw import Studio, open_checkpoint

    # From what is looked at in no time to what is fetched: nothing waits for a mistake.
    drawing = build(Drawing, given(arguments, Drawing), flag_of)
    checkpoint = open_checkpoint(arguments.checkpoint)
    other = open_checkpoint(arguments.people) if arguments.people else None
    defaults = {
        "size": checkpoint.image_size,
        "batch_size": drawing.batch_size,
        "device": "" if drawing.device == "auto" else drawing.device,
    }
    own = given(arguments, _suite(arguments.suite)[0], FROM_DRAWING)
    options = suite_options(arguments.suite, own, defaults)
    studio = Studio(checkpoint, drawing, arguments.output)
    against = Studio(other, drawing, studio.folder / "other") if other else None
    suite = _suite(arguments.suite)[1](options)
    if arguments.only:
        print(f"wrote {_draw_one(suite, arguments.only, studio)}")
        return 0
    if against:
        return _people(suite, studio, against)
    evaluate(suite, studio)
    print((arguments.output / "report.md").read_text(encoding="utf-8"))
    print(f"wrote {arguments.output}")
    return 0


def evaluate(suite: Suite, studio: Studio) -> Result:
    """Draw what is missing, score everything, and write the report into the studio's folder.

    What the checkpoint has no room for is not told to it, and scored like the rest: that way all
    checkpoints are measured on the same.
    """
    from train.evaluate.draw import ON_CPU
    from train.evaluate.report import write_report
    from train.model.compute import memory_errors_told

    left_out = {**suite.left_out, "texts": studio.untold(suite.cases)}
    studio.draw(suite.cases)
    half = studio.drawing.batch_size // 2
    less = f"give --batch-size {half}, or {ON_CPU}" if half else f"give {ON_CPU}"
    with memory_errors_told("while pictures were scored", less):
        result = suite.score(studio.open)
    about = {"suite": suite.name, "pictures": len(suite.cases), **studio.describe()}
    write_report(result, studio.open, about, studio.folder, left_out)
    return result


def suite_options(name: str, options: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """The options of a suite.

    defaults: of options that are not given, where the suite has them.

    Raises:
        ValueError: an option that is missing, or a value that cannot be.
    """
    kind, _ = _suite(name)
    known = {field.name: field for field in fields(kind)}
    values = {k: v for k, v in defaults.items() if k in known} | options
    needed = [n for n, f in known.items() if f.default is MISSING and n not in values]
    if needed:
        raise ValueError(f"--suite {name} needs {' and '.join(map(flag_of, needed))}")
    return build(kind, values, flag_of)


def _suite(name: str) -> tuple[Any, Any]:
    module = import_module(f"train.evaluate.{name}")
    kind, make = (getattr(module, part) for part in SUITES[name])
    return kind, make


def _suites() -> dict[str, type]:
    return {name: _suite(name)[0] for name in SUITES}


def _draw_one(suite: Suite, name: str, studio: Studio) -> Path:
    named = [case for case in suite.cases if case.name == name]
    if not named:
        first = ", ".join(case.name for case in suite.cases[:3])
        raise ValueError(f"--only {name!r}: the suite has no such case; the first are {first}")
    studio.draw(named)
    return studio.path(named[0])


def _people(suite: Suite, studio: Studio, against: Studio) -> int:
    from train.evaluate.people import write_people_page

    for one in (studio, against):
        for lost in one.untold(suite.cases):
            print(f"{one.checkpoint.path.name}, {lost.key}: {lost.reason}")
        one.draw(suite.cases)
    names = str(studio.checkpoint.path), str(against.checkpoint.path)
    page = studio.folder / "people.html"
    write_people_page(page, suite.cases, studio.open, against.open, names=names)
    print(f"wrote {page} for the raters, and {page.parent / 'people_key.json'} for `tally`")
    return 0

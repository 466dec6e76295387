"""Command line of cutouts: python -m train data cutouts | fluent-emoji."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from train.command_line import OptionsParser, flag_of, given, in_range
from train.options import Positive, build

if TYPE_CHECKING:
    from train.data.cutouts.cutouts_set import CutoutsSet

SIDE = 128
"""Pixels of a picture's side where no sizes are asked for."""
SHARD_BYTES = 10**9
PACKED = "packed"
FORMS = ("json_lines", "bbox", "coco", "voc", "yolo", PACKED)


def add_cutouts(parser: OptionsParser) -> None:
    """The options of `python -m train data cutouts`: the kind's own, a sheet, an export."""
    parser.choose("--kind", _kinds, "of what is drawn: cutouts", "cutouts", hidden=("sizes",))
    parser.add_argument(
        "--sizes", nargs="+", default=(), metavar="WxH", help="of pictures, in pixels (128x128)"
    )
    parser.add_argument("--sheet", type=Path, help="PNG to draw a contact sheet to")
    parser.add_argument("--sheet-samples", type=in_range(Positive), default=24, help="its pictures")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="new folder for the set")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0], help="of what is exported")
    parser.set_defaults(run=run_cutouts)


def _kinds() -> Mapping[str, type]:
    from train.data.cutouts.cutouts_set import CutoutsConfig

    return {"cutouts": CutoutsConfig}


def run_cutouts(arguments: argparse.Namespace) -> int:
    """Say what a folder holds, draw a sheet, export. Raises ValueError for a user's mistake."""
    from train.data.contact_sheet import write_contact_sheet
    from train.data.cutouts.cutouts_set import CutoutsConfig, open_cutouts

    asked = {"samples": arguments.sheet_samples, **given(arguments, CutoutsConfig, ("sizes",))}
    sizes = [_sides(word) for word in arguments.sizes]
    opened = open_cutouts(build(CutoutsConfig, {**asked, "sizes": sizes}, flag_of), SIDE)
    for problem in opened.problems:
        print(f"left out: {problem.key}: {problem.reason}")
    for thing in opened.things:
        if len(thing.files) > 1:
            print(f"one thing: {thing.name}: {', '.join(file.name for file in thing.files)}")
    tinted = sum(bool(thing.colour) for thing in opened.things)
    print(
        f"{len(opened.things)} things, {tinted} of which can be tinted, "
        f"{len(opened.pairs)} pairs with a tint or ground held out"
    )
    if arguments.sheet:
        count = min(arguments.sheet_samples, len(opened))
        write_contact_sheet([opened[index] for index in range(count)], arguments.sheet)
        print(f"wrote {arguments.sheet}")
    if arguments.export:
        start = time.monotonic()
        count = _export(opened, arguments.export, arguments.form)
        rate = count / (time.monotonic() - start)
        print(f"wrote {count} pictures to {arguments.export}, {rate:.0f} a second")
    return 0


def _export(opened: CutoutsSet, folder: Path, form: str) -> int:
    """Write a set to a new folder; returns how many pictures. Raises ValueError as its writers."""
    from tqdm import tqdm

    from train.data.export_set import export_set
    from train.data.pack import pack_set

    if form == PACKED:
        return pack_set(opened, folder, SHARD_BYTES, "cutouts").samples
    drawn = ((opened[index], opened.shown(index)) for index in range(len(opened)))
    samples = tqdm(drawn, "drawing", len(opened), delay=2)
    return export_set(samples, folder, form, [thing.name for thing in opened.things])


def _sides(word: str) -> list[int | str]:
    """Width and height of a word such as 160x128; what is no number is left for `build`."""
    return [int(side) if side.isdecimal() else side for side in word.split("x")]


def add_fluent_emoji(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m train data fluent-emoji`."""
    from train.data.cutouts.fluent_emoji import PACKAGE

    parser.add_argument("folder", type=Path, help="new folder for the pictures")
    parser.add_argument(
        "--package", type=Path, metavar="TGZ", help=f"{PACKAGE} as a file, instead of npm's"
    )
    parser.set_defaults(run=run_fluent_emoji)


def run_fluent_emoji(arguments: argparse.Namespace) -> int:
    """Get the pictures. Raises ValueError when that cannot be."""
    from train.data.cutouts.fluent_emoji import LIST, get_pictures

    count = get_pictures(arguments.folder, arguments.package)
    print(f"wrote {count} pictures to {arguments.folder}; {LIST} lists the things among them")
    return 0

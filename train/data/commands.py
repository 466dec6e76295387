"""Command line of data sets: python -m train data check | pack | detect | caption | cutouts ..."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.command_line import OptionsParser, add_options, flag_of, given, in_range
from train.data.caption_model import DEFAULT_MODEL
from train.data.cutouts.command import add_cutouts, add_fluent_emoji
from train.data.detect_command import add_detect
from train.data.limits import Limits
from train.data.pack_command import add_pack_options, pack
from train.options import Positive, Processes, build
from train.precision import PRECISIONS

if TYPE_CHECKING:
    from train.data.check import TrainedSets
    from train.data.set_config import SetConfig

Trained = Callable[[Path, Sequence[str]], "TrainedSets"]
"""From a configuration file and overrides to what its training reads."""


def add_commands(commands: Any, trained: Trained) -> None:
    """Add `data` with its own commands to the subparsers of the command line.

    trained: reads a configuration of training, for `data check` and `data pack` with --config.
    """
    data = commands.add_parser("data", help="look at data sets, pack them, caption regions")
    kinds = data.add_subparsers(required=True, metavar="COMMAND")
    _add_check(kinds.add_parser("check", help="read a set and say what is in it"), trained)
    _add_pack(kinds.add_parser("pack", help="write a set as shards with an index"), trained)
    add_cutouts(kinds.add_parser("cutouts", help="draw your own things into boxes"))
    add_fluent_emoji(kinds.add_parser("fluent-emoji", help="get pictures of everyday things"))
    add_detect(kinds.add_parser("detect", help="find boxes in pictures that have none"))
    _add_caption(kinds.add_parser("caption", help="caption regions with a vision-language model"))


def add_set_options(parser: OptionsParser) -> None:
    """Options that describe one set, those of its kind; `set_of` reads them."""
    parser.choose("--kind", _kinds, "of the set, when there is no --config")


def set_of(arguments: argparse.Namespace) -> SetConfig:
    """The set that the options describe. Raises ValueError for what cannot be."""
    config = _kinds()[arguments.kind]
    return build(config, given(arguments, config), flag_of)


def _kinds() -> Mapping[str, type[SetConfig]]:
    from train.data.sets import CONFIGS

    return CONFIGS


def _add_check(parser: OptionsParser, trained: Trained) -> None:
    _add_sets(parser, trained, "check all of its sets")
    add_options(parser, Limits)
    parser.add_argument(
        "--decode",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="read every picture, to find broken ones",
    )
    parser.add_argument(
        "--threads", type=in_range(Processes), default=0, help="that read pictures; 0: all cores"
    )
    parser.add_argument("--sheet", type=Path, help="PNG to draw a contact sheet to")
    parser.add_argument("--sheet-samples", type=in_range(Positive), default=24, help="its pictures")
    parser.add_argument("--json", type=Path, help="file to write the report to")
    parser.set_defaults(run=run_check)


def _add_sets(parser: OptionsParser, trained: Trained, what: str) -> None:
    """Options that name one set, or all of a configuration; `_sets_and_limits` reads them."""
    parser.add_argument("--config", type=Path, help=f"TOML file: {what}")
    parser.add_overrides("data.sets.0.path=DIR")
    add_set_options(parser)
    parser.set_defaults(trained=trained)


def run_check(arguments: argparse.Namespace) -> int:
    """Check the sets, print and write what was found. Raises ValueError if nothing is usable, or no
    region of a set that has some."""
    from train.data.check import check_set
    from train.data.sets import open_set

    sets, limits, size = _sets_and_limits(arguments)
    pick = arguments.sheet_samples if arguments.sheet else 0
    reports, found = [], []
    for number, one in enumerate(sets):
        print(f"{one.kind} {one.place}".rstrip(), flush=True)
        report, picked = check_set(
            open_set(one, size), limits, arguments.decode, pick, arguments.threads
        )
        print(report.to_text(), flush=True)
        reports.append({"kind": one.kind, "path": one.place, **report.to_json()})
        found.append((f"{one.kind} {one.place!r}", report))
        if arguments.sheet and picked:
            numbered = arguments.sheet.with_stem(f"{arguments.sheet.stem}-{number}")
            _write_sheet(picked, arguments.sheet if len(sets) == 1 else numbered)
    if arguments.json:
        _write_json(reports, arguments.json)
    for name, report in found:
        report.check(name)
    return 0


def _sets_and_limits(arguments: argparse.Namespace) -> tuple[list[SetConfig], Limits, int]:
    """The sets, what the trainer has room for, and the side of ShapeSkills' pictures."""
    if bool(arguments.config) == bool(arguments.kind):
        raise ValueError("give either --config FILE or --kind KIND with --path")
    limits, size = Limits(), 128
    if arguments.config:
        asked = arguments.trained(arguments.config, arguments.overrides)
        sets, limits, size = asked.sets, asked.limits, asked.size
    elif arguments.overrides:
        raise ValueError(f"{arguments.overrides[0]!r} changes a configuration: give --config")
    else:
        sets = [set_of(arguments)]
    chosen = asdict(limits) | given(arguments, Limits)
    return sets, build(Limits, chosen, flag_of), size


def _add_pack(parser: OptionsParser, trained: Trained) -> None:
    _add_sets(parser, trained, "pack each of its sets, into folders 0, 1, ... where there are more")
    add_pack_options(parser)
    parser.set_defaults(run=run_pack)


def run_pack(arguments: argparse.Namespace) -> int:
    """Pack the sets. Raises ValueError for a user's mistake."""
    sets, _, size = _sets_and_limits(arguments)
    return pack(sets, size, arguments)


def _add_caption(parser: OptionsParser) -> None:
    add_set_options(parser)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="JSON lines, for the option region_captions; continued where it ends",
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="GIT or BLIP: name on the hub, or its folder"
    )
    parser.add_argument("--batch-size", type=in_range(Positive), default=32, help="crops at once")
    parser.add_argument("--max-tokens", type=in_range(Positive), default=30, help="of a caption")
    parser.add_argument(
        "--beams", type=in_range(Positive), default=1, help="of the search; 1: greedy"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the model")
    parser.set_defaults(run=run_caption)


def run_caption(arguments: argparse.Namespace) -> int:
    """Caption the regions of a set. Raises ValueError for a user's mistake."""
    from train.data.caption_model import load_describer
    from train.data.captioner import write_captions
    from train.data.sets import open_set

    if not arguments.kind:
        raise ValueError("give --kind KIND, and for most kinds --path: the set to caption")
    chosen = set_of(arguments)
    opened = open_set(chosen)
    describe = load_describer(
        arguments.model, arguments.precision, arguments.max_tokens, arguments.beams
    )
    report = write_captions(opened, describe, arguments.output, arguments.batch_size)
    for problem in report.problems:
        print(f"left out: {problem.key}: {problem.reason}")
    print(
        f"wrote {report.written} captions to {arguments.output}; "
        f"{report.before} regions had theirs, {len(report.problems)} problems"
    )
    if not report.written + report.before:
        raise ValueError(f"no region of {chosen.place!r} could be captioned")
    return 0


def _write_sheet(picked: list[Any], path: Path) -> None:
    from train.data.contact_sheet import write_contact_sheet

    write_contact_sheet([sample for sample in picked if _can_be_drawn(sample)], path)
    print(f"wrote {path}")


def _can_be_drawn(sample: Any) -> bool:
    from train.data.check import picture_fault

    return picture_fault(sample) is None


def _write_json(reports: list[dict[str, Any]], path: Path) -> None:
    from reco_core.atomic import write_text_atomically

    text = json.dumps(reports, indent=1, ensure_ascii=False)
    write_text_atomically(path, text)
    print(f"wrote {path}")

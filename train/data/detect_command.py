"""Command line of boxes for pictures that have none: python -m train data detect."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated

from train.command_line import in_range
from train.data.detector_model import DEFAULT_MODEL
from train.options import Positive, Range, Share

Score = Annotated[float, Range(0, 1, below=True)]


def add_detect(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m train data detect`."""
    parser.add_argument("--path", type=Path, required=True, help="folder of pictures")
    parser.add_argument(
        "--output", type=Path, required=True, help="new file: a set of the kind json_lines"
    )
    parser.add_argument(
        "--words",
        nargs="+",
        default=[],
        metavar="WORD",
        help='what to look for ("red car" dog); left out: what the captions beside them say',
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"GroundingDINO or OWLv2: name on the hub, or its folder ({DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--threshold", type=in_range(Score), help="least score; left out: transformers' own"
    )
    parser.add_argument(
        "--overlap",
        type=in_range(Share),
        default=0.5,
        help="of two boxes with a larger IoU, the better one stays (0.5)",
    )
    parser.add_argument("--batch-size", type=in_range(Positive), default=4, help="pictures at once")
    parser.set_defaults(run=run_detect)


def run_detect(arguments: argparse.Namespace) -> int:
    """Find boxes and write the set. Raises ValueError for a user's mistake."""
    from train.data.detector import picture_files, write_boxes
    from train.data.detector_model import open_detector

    words = list(dict.fromkeys(word.strip() for word in arguments.words))
    if "" in words:
        raise ValueError("--words: an empty word can stand for anything: leave it out")
    if not arguments.path.is_dir():
        raise ValueError(f"--path {str(arguments.path)!r} is not a folder: give the pictures'")
    picture_files(arguments.path)
    settings = {name: getattr(arguments, name) for name in ("model", "threshold", "overlap")}
    detector = open_detector(arguments.model, arguments.threshold, arguments.overlap)
    report = write_boxes(
        arguments.path, arguments.output, detector, words, settings, arguments.batch_size
    )
    for problem in report.problems:
        print(f"left out: {problem.key}: {problem.reason}")
    print(
        f"wrote {report.boxes} boxes in {report.pictures} pictures to {arguments.output}; nothing "
        f"was found in {report.empty}, {report.before} were looked at before, "
        f"{len(report.problems)} problems"
    )
    return 0

"""Boxes for pictures that have none: what an open-vocabulary detector finds (data detect).

Words come from the user, or from the captions beside the pictures; the result is a set of the kind
json_lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from tqdm import tqdm

from reco_core.atomic import write_text_atomically
from reco_core.checks import quote
from train.data.decode import UNREADABLE, PictureFile, is_picture
from train.data.detector_model import Found, OpenDetector
from train.data.folder import CAPTIONS, read_captions
from train.data.problems import Problem


@dataclass(frozen=True)
class Picture:
    """A file, as the set will name it, its captions, and what is looked for in it."""

    name: str
    captions: tuple[str, ...]
    asked: str | Sequence[str]
    image: Image.Image


@dataclass(frozen=True)
class DetectReport:
    """pictures: of the set, with that many boxes; empty: pictures in which nothing was found, of
    which those without caption are left out; before: pictures that an earlier run had looked at."""

    pictures: int
    boxes: int
    empty: int
    before: int
    problems: tuple[Problem, ...]


def write_boxes(
    folder: Path,
    output: Path,
    detector: OpenDetector,
    words: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    batch_size: int = 4,
) -> DetectReport:
    """Look at all pictures of a folder, and of folders in it, and write `output`.

    words: to look for; without them, each picture's captions are what is looked for.
    settings: what the boxes depend on. Results are kept beside `output`, as `output.part`, each
        batch synced, until all are there: the same call continues a run that was stopped.

    Raises:
        ValueError: output is there already, a run with other settings was begun, there are no
            pictures or no words for them, or nothing was found at all.
    """
    if output.exists():
        raise ValueError(f"{str(output)!r} is there already: name another --output, or delete it")
    if not (words or detector.reads_sentences):
        raise ValueError("this detector reads no sentences: say what to look for with --words")
    if words:
        detector.check(words)
    part, problems = output.with_name(f"{output.name}.part"), list[Problem]()
    files = picture_files(folder)
    settings = {"folder": str(folder.resolve()), "words": list(words), **(settings or {})}
    done = _begin(part, settings)
    before = len(done)
    missing = [file for file in files if _name(file, output) not in done]
    bar = tqdm(missing, "looking", unit="pictures")
    pictures = _open_pictures(bar, output, words, detector, problems)
    with part.open("ab") as file:
        while batch := list(islice(pictures, batch_size)):
            found = detector.find([one.image for one in batch], [one.asked for one in batch])
            entries = [_entry(one, things) for one, things in zip(batch, found, strict=True)]
            _append(file, entries)
            done |= {entry["image"]: entry for entry in entries}
    report = _report(done, before, problems)
    if not report.boxes:
        raise ValueError(
            f"nothing was found in {len(done)} pictures of {str(folder)!r} "
            f"({len(problems)} could not be used): try other words, or a lower --threshold; "
            f"{str(part)!r} keeps what was looked at: delete it then"
        )
    kept = [entry for entry in done.values() if entry["regions"] or entry["captions"]]
    write_text_atomically(output, "".join(f"{_line(entry)}\n" for entry in kept))
    part.unlink()
    return report


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder and in folders in it, by their suffixes. ValueError without any."""
    files = sorted(path for path in folder.rglob("*") if is_picture(path.name))
    if not files:
        raise ValueError(f"path = {str(folder)!r} holds no pictures: give a folder of them")
    return files


def _open_pictures(
    files: Iterator[Path] | tqdm,
    output: Path,
    words: Sequence[str],
    detector: OpenDetector,
    problems: list[Problem],
) -> Iterator[Picture]:
    """Those that can be read and have words that the detector reads; others are named."""
    for file in files:
        name = _name(file, output)
        try:
            captions = _captions(file)
            if not (words or captions):
                raise ValueError(
                    f"has no caption beside it: write {file.stem}.txt, or give --words"
                )
            asked = words or ". ".join(captions)
            if not words:
                detector.check(asked)
            yield Picture(name, captions, asked, PictureFile(file)())
        except UNREADABLE as error:
            problems.append(Problem.of(name, error))


def _captions(file: Path) -> tuple[str, ...]:
    """The lines of X.txt or X.caption beside X.png."""
    for beside in map(file.with_suffix, CAPTIONS):
        if beside.is_file():
            return read_captions((beside.name, beside.read_bytes()))
    return ()


def _name(file: Path, output: Path) -> str:
    """How a set at `output` names a picture."""
    return Path(os.path.relpath(file.resolve(), output.resolve().parent)).as_posix()


def _entry(picture: Picture, found: Sequence[Found]) -> dict[str, Any]:
    """A picture as a line of the set, before it is written."""
    regions = [
        {"text": one.text, "box": [one.box.x0, one.box.y0, one.box.x1, one.box.y1]} for one in found
    ]
    width, height = picture.image.size
    return {
        "image": picture.name,
        "captions": list(picture.captions),
        "regions": regions,
        "width": width,
        "height": height,
    }


def _begin(part: Path, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The pictures that a run of these settings has looked at; begins one where there is none.

    A last line that was torn by a kill is cut off. Raises ValueError for other settings.
    """
    head = f"{_line({'detect': settings})}\n".encode()
    part.parent.mkdir(parents=True, exist_ok=True)
    if not part.exists() or b"\n" not in part.read_bytes():
        part.write_bytes(head)
        return {}
    whole = part.read_bytes()
    whole = whole[: whole.rindex(b"\n") + 1]
    if not whole.startswith(head):
        raise ValueError(
            f"{str(part)!r} was begun with other options: {quote(whole.splitlines()[0], 200)}; "
            "give those, name another --output, or delete it"
        )
    with part.open("rb+") as file:
        file.truncate(len(whole))
    entries = map(json.loads, whole[len(head) :].splitlines())
    return {entry["image"]: entry for entry in entries}


def _append(file: BinaryIO, entries: Sequence[Mapping[str, Any]]) -> None:
    file.write("".join(f"{_line(entry)}\n" for entry in entries).encode())
    file.flush()
    os.fsync(file.fileno())


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def _report(
    done: Mapping[str, Mapping[str, Any]], before: int, problems: Sequence[Problem]
) -> DetectReport:
    entries = done.values()
    kept = sum(bool(entry["regions"] or entry["captions"]) for entry in entries)
    boxes = sum(len(entry["regions"]) for entry in entries)
    empty = sum(not entry["regions"] for entry in entries)
    return DetectReport(kept, boxes, empty, before, tuple(problems))

"""The front ends that people have: that of the pinned ComfyUI, the oldest we support, the newest.

Others than the pinned one come from the package index, each into a folder of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from comfy_server import COMFY_HOME, FRONT_END, PYTHON, Failure, run

FOLDER = COMFY_HOME / "front_ends"
PINNED, NEWEST = "pinned", "newest"
FLOOR = "1.39.19"  # of ComfyUI 0.16.3
EACH = (PINNED, FLOOR, NEWEST)
PIP = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input")


def chosen(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The front ends that words begin with, else each; and the words that are left, for pytest."""
    count = 0
    while count < len(words) and re.fullmatch(r"pinned|newest|\d+(\.\d+)+", words[count]):
        count += 1
    return list(words[:count] or EACH), list(words[count:])


def use(name: str, say: Callable[[str], None]) -> str:
    """Let ComfyServer show a front end, got from the package index if need be; its version."""
    os.environ.pop("FRONT_END_PATH", None)
    if name == PINNED:
        return PINNED
    version = newest() if name == NEWEST else name
    os.environ["FRONT_END_PATH"] = str(fetch(version, say))
    return version


def newest() -> str:
    """The newest version that the package index has."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        dry = ("install", "--dry-run", "--no-deps", "--ignore-installed", "--report", report)
        status, output = run([*PIP, *dry, FRONT_END])
        if status:
            raise Failure(f"the package index does not tell the newest {FRONT_END}: {last(output)}")
        return json.loads(report.read_text(encoding="utf-8"))["install"][0]["metadata"]["version"]


def fetch(version: str, say: Callable[[str], None]) -> Path:
    """The folder of a version, filled beside its place and then renamed: it is whole or absent."""
    place = FOLDER / version
    if place.is_dir():
        return place
    say(f"Getting front end {version}, 40 MB")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=FOLDER) as name:
        inside = Path(name, version)
        target = ("install", "--no-deps", "--quiet", "--target", inside)
        status, output = run([*PIP, *target, f"{FRONT_END}=={version}"])
        if status:
            raise Failure(f"pip could not get {FRONT_END} {version}: {last(output)}")
        shutil.move(inside, place)
    return place


def last(output: str) -> str:
    return (output.strip().splitlines() or ["it said nothing"])[-1]

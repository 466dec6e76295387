"""How the editor of boxes compares, measured in Chromium: python -m docs.editor

Performs the tasks of tests/browser/tasks by mouse and keyboard in ReCo Layout Editor, in ComfyUI's
own Create Bounding Boxes and, given a folder with ComfyUI-KJNodes, in its prompt builder; measures
the editor in both renderers; takes the pictures of docs/editor.md, of README and of the help page.
Writes docs/editor.json, from which it goes on, and the tables of docs/editor.md.

    --before FOLDER    another checkout of this pack, to measure beside this one
    --kjnodes FOLDER   ComfyUI-KJNodes; what it imports must be installed
    --only WORDS       of: measures, tasks, pictures
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "browser"))

from chromium import new_page, run_chromium  # noqa: E402
from comfy_page import ComfyPage  # noqa: E402

from comfy_server import PACK, ComfyServer  # noqa: E402
from docs.editor import measures, pictures, tables  # noqa: E402
from docs.editor.performing import perform  # noqa: E402
from reco_core.atomic import write_text_atomically  # noqa: E402

FIGURES = ROOT / "docs" / "editor.json"
PAGE = ROOT / "docs" / "editor.md"
RENDERERS = ("classic", "vue")
KJNODES = "ComfyUI-KJNodes"
PARTS = ("measures", "tasks", "pictures")


@contextmanager
def comfyui(packs: dict[str, Path]) -> Iterator[ComfyPage]:
    """A page of a ComfyUI with these packs, on which nothing is open yet."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ComfyServer(folder, packs=packs) as server,
        run_chromium() as chromium,
        new_page(server, chromium) as page,
    ):
        yield page


def measure(pack: Path, peers: dict[str, Path], parts: list[str], figures: dict) -> None:
    """Bring the figures of one checkout up to date."""
    with comfyui({PACK: pack, **peers}) as page:
        for renderer in RENDERERS:
            page.open(renderer)
            if "measures" in parts:
                figures.setdefault("measures", {})[renderer] = measures.all_of(page)
            if "tasks" in parts:
                figures.setdefault("tasks", {})[renderer] = perform(page, with_kj=KJNODES in peers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.editor", description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--kjnodes", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    peers = {KJNODES: options.kjnodes.resolve()} if options.kjnodes else {}
    figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    checkouts = {"before": options.before, "after": ROOT}
    for name, pack in checkouts.items():
        if pack and set(options.only) - {"pictures"}:
            measure(pack.resolve(), peers, options.only, figures.setdefault(name, {}))
            write_text_atomically(FIGURES, json.dumps(figures, indent=1) + "\n")
    for name, pack in checkouts.items():
        if pack and "pictures" in options.only:
            with comfyui({PACK: pack.resolve()}) as page:
                pictures.take(page, "" if name == "after" else f"-{name}")
                if name == "after":
                    pictures.portrait(page)
    write_text_atomically(PAGE, tables.fill(PAGE.read_text("utf-8"), figures))


if __name__ == "__main__":
    main()

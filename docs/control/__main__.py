"""What control of regions does, measured in a ComfyUI on the embedded checkpoints:
python -m docs.control [settings] [things] [joined] [negatives]

settings: pairs of shapes whose boxes touch or overlap, and pairs that swap their colours, with
every setting of ReCo Control. things: pairs of everyday things, with some of them. joined: more
shapes than one sequence holds. negatives: pairs of red things, the first of which is not to be
red. Without words all of them. Pictures are kept under runs/control, from which it goes on. Writes
docs/control.json, the tables of docs/control.md and their pictures.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from comfy_server import ComfyServer
from docs.control import joined, negatives, settings, things
from docs.tables import put
from reco_core.atomic import write_atomically, write_text_atomically

DOCS = Path(__file__).resolve().parents[1]
FIGURES, PAGE = DOCS / "control.json", DOCS / "control.md"
PARTS = {part.NAME: part for part in (settings, things, joined, negatives)}


def main(names: list[str]) -> None:
    for name in names or PARTS:
        if name not in PARTS:
            sys.exit(f"{name!r}: choose from {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder, ComfyServer(folder) as server:
        for name in names or PARTS:
            run(server, name)


def run(server: ComfyServer, name: str) -> None:
    """Measure a part, and write its figures, its table and its picture."""
    part, found = PARTS[name], {}
    for row, figures in part.measure(server):
        found[row] = figures
        print(row, figures, flush=True)
    everything = {**json.loads(FIGURES.read_text("utf-8")), name: found}
    write_text_atomically(FIGURES, json.dumps(everything, indent=1) + "\n")
    write_text_atomically(PAGE, put(PAGE.read_text("utf-8"), name, part.rows(found)))
    save = partial(part.picture(server).save, format="JPEG", quality=90)
    write_atomically(DOCS / "images" / part.PICTURE, save)


if __name__ == "__main__":
    main(sys.argv[1:])

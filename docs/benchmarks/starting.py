"""What the pack costs at a start of ComfyUI: python dev.py bench starting"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from docs.benchmarks.measuring import asked, comfy, machine, publish
from docs.benchmarks.workflows import node
from docs.tables import table

COPIES = 9


def main() -> None:
    with tempfile.TemporaryDirectory() as name, comfy(Path(name)) as server:
        seconds = asked(server, {"shown": node("TimeStart", copies=COPIES)})
        about = machine(server)
    times = (median(seconds), min(seconds), max(seconds))
    made = table(["median ms", "lowest", "highest"], [[f"{1000 * value:.0f}" for value in times]])
    publish("starting", {"cpu": about}, seconds, {"starting": made})


if __name__ == "__main__":
    main()

"""Memory over a queue of many layouts: python dev.py bench queueing

Each is encoded and sampled for a step with the embedded checkpoint.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from comfy_server import ComfyServer
from docs.benchmarks.measuring import HERE, comfy, machine, publish
from docs.benchmarks.plots import plot_lines
from docs.benchmarks.rows import some_layout
from docs.benchmarks.workflows import reco
from docs.tables import table
from reco_core.layout import Layout

LAYOUTS, EVERY = 300, 30


def layout(number: int) -> Layout:
    """Another caption, and so another sequence, for each."""
    return replace(some_layout(4), caption=f"shapes on a white ground {number}")


def resident(server: ComfyServer) -> float:
    """MiB of the process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure(server: ComfyServer, layouts: int, every: int) -> dict[int, float]:
    """MiB by layouts done, of a queue that has all of them from the start."""
    queued = []
    for number in range(layouts):
        workflow = reco(layout(number))
        workflow["sampler"]["inputs"]["steps"] = 1
        queued.append(server.post_prompt(workflow))
    found = {}
    for number, prompt in enumerate(queued, start=1):
        server.wait(prompt)
        if number % every == 0:
            found[number] = resident(server)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name, comfy(Path(name)) as server:
        found = measure(server, LAYOUTS, EVERY)
        about = machine(server)
    plot_lines(HERE / "queueing.png", "MiB of ComfyUI", "layouts", {"ReCo": list(found.items())})
    made = table(["layouts", "MiB"], ((number, f"{mib:.0f}") for number, mib in found.items()))
    publish("queueing", {"cpu": about}, found, {"queueing": made})


if __name__ == "__main__":
    main()

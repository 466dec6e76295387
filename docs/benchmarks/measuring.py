"""What the measurements of this folder share: a ComfyUI with a probe in it, random checkpoints,
medians, and where figures go."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from comfy_server import PACK, ROOT, ComfyServer
from docs.tables import put, table
from reco_core.atomic import write_text_atomically
from reco_core.checkpoint_file import write_checkpoint

sys.path.append(str(ROOT / "tests"))

from random_checkpoint import FULL_SIZE, Size, random_state_dict  # noqa: E402, F401

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
PROBE = HERE / "probe"
CHECKPOINT = "random.safetensors"
PATIENCE = 900  # seconds until it answers, on a machine that does other work too
METADATA = {"format": "reco", "unet_heads": "8", "text_heads": "12"}


def devices() -> list[str]:
    """Where to measure."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@contextmanager
def comfy(folder: Path, device: str = "cpu") -> Iterator[ComfyServer]:
    """A ComfyUI of one thread with the pack and the probe."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    packs = {PACK: ROOT, "probe": PROBE}
    is_on_cpu = device == "cpu"
    with ComfyServer(folder, packs=packs, timeout=PATIENCE, is_on_cpu=is_on_cpu) as server:
        yield server


def write_random(folder: Path, size: Size, name: str = CHECKPOINT) -> dict[str, torch.Tensor]:
    """A checkpoint of random weights among a ComfyUI's; the weights."""
    path = folder / "models" / "checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = random_state_dict(size)
    write_checkpoint(path, weights, METADATA)
    return weights


def asked(server: ComfyServer, workflow: dict[str, dict]) -> Any:
    """What the output named shown of a workflow shows."""
    entry = server.wait(server.post_prompt(workflow))
    return json.loads(entry["outputs"]["shown"]["text"][0])


def step_seconds(calls: Sequence[Mapping[str, Any]], clock: str) -> list[float]:
    """Of each step, from its first call of the UNet until its last has returned."""
    steps: dict[float, list[Mapping[str, Any]]] = {}
    for call in calls:
        steps.setdefault(call["sigma"], []).append(call)
    return [step[-1]["end"][clock] - step[0]["begin"][clock] for step in steps.values()]


def clock_of(device: str) -> str:
    """Other processes are in the way of the clock on the wall, but not of the processor's time."""
    return "processor" if device == "cpu" else "seconds"


def machine(server: ComfyServer) -> dict[str, Any]:
    """Versions and hardware."""
    stats = json.loads(server.get("/system_stats"))
    system, (device, *_) = stats["system"], stats["devices"]
    return {
        "comfyui": system["comfyui_version"],
        "python": system["python_version"].split()[0],
        "torch": system["pytorch_version"],
        "device": device["name"],
        "processor": _processor(),
        "processors": os.cpu_count(),
        "threads": int(os.environ["OMP_NUM_THREADS"]),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def publish(name: str, machines: Mapping[str, Any], figures: Any, made: Mapping[str, str]) -> None:
    """Write NAME.json, and tables in their places in the page; print these."""
    text = json.dumps({"machines": machines, "figures": figures}, indent=1)
    write_text_atomically(HERE / f"{name}.json", text + "\n")
    page = PAGE.read_text("utf-8")
    for place, one in {**made, "machine": described()}.items():
        page = put(page, place, one)
        print(f"{place}\n{one}\n", flush=True)
    write_text_atomically(PAGE, page)


def described() -> str:
    """Each machine, with the benchmarks whose figures are of it."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for path in sorted(HERE.glob("*.json")):
        for row in json.loads(path.read_text("utf-8")).get("machines", {}).items():
            found.setdefault(json.dumps(row), (row, []))[1].append(path.stem)
    columns = next(iter(found.values()))[0][1]
    rows = [(name, *about.values(), ", ".join(of)) for (name, about), of in found.values()]
    return table(["", *columns, "benchmarks"], rows)

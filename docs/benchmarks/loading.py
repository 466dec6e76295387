"""Loading beside ComfyUI's own loader: python dev.py bench loading

A checkpoint of Stable Diffusion 1's size in fp16 with ReCo's rows by ReCo Load Checkpoint, and the
same without them by Load Checkpoint, each in a fresh ComfyUI.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import torch

from comfy_server import ComfyServer
from docs.benchmarks.measuring import FULL_SIZE, comfy, devices, machine, publish, write_random
from docs.benchmarks.workflows import node
from docs.tables import table
from reco_core.checkpoint_file import write_checkpoint
from reco_core.family import SD1
from reco_core.position_tokens import CLIP_LENGTH, CLIP_VOCABULARY_SIZE

ROUNDS = 3
RECO, PLAIN = "reco.safetensors", "plain.safetensors"
FILES = {"ReCoLoadCheckpoint": RECO, "CheckpointLoaderSimple": PLAIN}
COLUMNS = {"seconds": "seconds", "processor": "of a processor", "peak_mib": "peak MiB"}
CUDA_COLUMNS = {"peak_cuda_mib": "peak MiB of CUDA"}


def load(server: ComfyServer, loader: str, name: str) -> dict[str, float]:
    """Seconds until MODEL, CLIP and VAE are there, and the process's peak memory then."""
    parts = {part: ["loader", place] for place, part in enumerate(("model", "clip", "vae"))}
    workflow = {
        "loader": node(loader, ckpt_name=name),
        "shown": node("ShowMemory", **parts),
    }
    before = processor_seconds(server)
    entry = server.wait(server.post_prompt(workflow))
    times = {kind: told["timestamp"] for kind, told in entry["status"]["messages"]}
    seconds = (times["execution_success"] - times["execution_start"]) / 1000
    shown = json.loads(entry["outputs"]["shown"]["text"][0])
    return {"seconds": seconds, "processor": processor_seconds(server) - before, **shown}


def processor_seconds(server: ComfyServer) -> float:
    """That the process has taken so far."""
    words = Path(f"/proc/{server.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def without_rows(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of a plain checkpoint: its tables end where CLIP's do."""
    encoder = SD1.encoders[0]
    rows = {encoder.token_embedding: CLIP_VOCABULARY_SIZE, encoder.position_embedding: CLIP_LENGTH}
    return {key: weight[: rows.get(key, len(weight))] for key, weight in weights.items()}


def measure_all(device: str) -> tuple[dict, dict]:
    found = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = write_random(folder, FULL_SIZE, RECO)
        plain = folder / "models" / "checkpoints" / PLAIN
        write_checkpoint(plain, without_rows(weights), {})
        del weights
        for _ in range(ROUNDS):
            for loader, file in FILES.items():
                with comfy(folder, device) as server:
                    found[loader].append(load(server, loader, file))
                    about = machine(server)
    return dict(found), about


def main() -> None:
    figures, machines, made = {}, {}, {}
    for device in devices():
        own, machines[device] = figures[device], _ = measure_all(device)
        columns = COLUMNS if device == "cpu" else {**COLUMNS, **CUDA_COLUMNS}
        made[f"loading {device}"] = table(
            ["", *columns.values()],
            (
                (loader, *(f"{median(one[name] for one in rounds):,.1f}" for name in columns))
                for loader, rounds in own.items()
            ),
        )
    publish("loading", machines, figures, made)


if __name__ == "__main__":
    main()

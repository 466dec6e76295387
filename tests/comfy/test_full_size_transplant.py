"""The transplant's template with ComfyUI's own loaders on full-size files: run with -m slow."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from pipelines import FULL, save_pipeline
from random_checkpoint import FULL_SIZE, random_state_dict
from test_transplant_workflow import BASE, OTHER, RECO, TEMPLATE
from workflows import node

from comfy_server import ComfyServer
from reco_core.checkpoint_file import write_checkpoint

WAIT = 3600  # seconds
PLAIN = replace(FULL_SIZE, num_bins=0, max_length=77)


@pytest.fixture
def folder(tmp_path) -> Path:
    """ComfyUI's base directory with the three files that the template names."""
    checkpoints = tmp_path / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    save_pipeline(tmp_path / "models" / "diffusers" / RECO, FULL, "bin")
    for seed, name in enumerate((BASE, OTHER)):
        weights = random_state_dict(PLAIN, seed=seed)
        if name.endswith(".ckpt"):
            torch.save({"state_dict": weights, "global_step": 1}, checkpoints / name)
        else:
            write_checkpoint(checkpoints / name, weights, {})
        del weights
    return tmp_path


def in_api_format(workflow: dict) -> dict[str, dict]:
    """Links and values of widgets, by the inputs' names; as ComfyUI's editor sends a workflow."""
    origins = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for one in workflow["nodes"]:
        names = [slot["name"] for slot in one["inputs"] if "widget" in slot]
        values = list(one.get("widgets_values", []))
        if one["type"] == "KSampler":
            values.remove("fixed")  # what becomes of the seed after a run
        if one["type"] == "ReCoLayoutEditor":
            names.append("editor")
        inputs = dict(zip(names, values, strict=True))
        inputs |= {s["name"]: origins[s["link"]] for s in one["inputs"] if s["link"]}
        prompt[str(one["id"])] = node(one["type"], **inputs)
    return prompt


def peak_gib(server: ComfyServer) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


@pytest.mark.slow  # 6 GB of files, 15 of memory; one step of the 50
def test_the_template_runs_with_comfyuis_own_loaders_also_without_the_base(comfyui, folder, capsys):
    prompt = in_api_format(json.loads(TEMPLATE.read_text("utf-8")))
    one = {what["class_type"]: what["inputs"] for what in prompt.values()}
    one["KSampler"]["steps"] = 1
    start = time.monotonic()
    with ComfyServer(folder, ["--cache-none"], comfyui=comfyui) as server:
        drawn = server.wait(server.post_prompt(prompt), WAIT)["outputs"]
        seconds, peak = time.monotonic() - start, peak_gib(server)
    with capsys.disabled():
        print(f"\nfull-size transplant: {seconds:.0f} s, peak memory {peak:.1f} GiB")
    pictures = [output["images"][0] for output in drawn.values() if "images" in output]
    sizes = {Image.open(folder / "output" / p["subfolder"] / p["filename"]).size for p in pictures}
    assert len(pictures) == 2 and sizes == {(512, 512)}

    checkpoints = folder / "models" / "checkpoints"
    digest = hashlib.sha256((checkpoints / BASE).read_bytes()).hexdigest()
    named = {"format": "reco", "base": "sd-v1-4-full-ema.ckpt", "base_sha256": digest}
    write_checkpoint(checkpoints / "named.safetensors", random_state_dict(FULL_SIZE), named)
    one["ReCoLoadCheckpoint"]["ckpt_name"] = "named.safetensors"
    for name in ("base_model", "base_clip"):
        del one["ReCoTransplant"][name]
    (made,) = (key for key, what in prompt.items() if what["inputs"] is one["ReCoTransplant"])
    ends = {key for key, what in prompt.items() if what["class_type"] == "SaveImage"}
    without = {key: what for key, what in prompt.items() if key not in ends}
    without["width"] = node("PreviewAny", source=[made, 2])
    with ComfyServer(folder, ["--cache-none"], comfyui=comfyui) as server:
        told = server.wait(server.post_prompt(without), WAIT)["outputs"][made]["reco_remarks"]
    assert told[0]["report"].startswith(f"base: {BASE}, found by its SHA-256")

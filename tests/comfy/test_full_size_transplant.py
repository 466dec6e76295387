"""The transplant's template with ComfyUI's own loaders on full-size files: run with -m slow."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_checkpoint import FULL_SIZE, random_state_dict
from test_save import draw
from test_transplant_workflow import BASE, OTHER, RECO, TEMPLATE
from workflows import node

from comfy_server import ComfyServer
from reco_core.checkpoint_file import write_checkpoint

PLAIN = replace(FULL_SIZE, num_bins=0, max_length=77)


@pytest.fixture
def folder(tmp_path) -> Path:
    """ComfyUI's base directory with the three files that the template names."""
    checkpoints = tmp_path / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for seed, (name, size) in enumerate({RECO: FULL_SIZE, BASE: PLAIN, OTHER: PLAIN}.items()):
        weights = random_state_dict(size, seed=seed)
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


@pytest.mark.slow  # 6 GB of files; one step of the 50
def test_the_template_runs_with_comfyuis_own_loaders_also_without_the_base(comfyui, folder, capsys):
    prompt = in_api_format(json.loads(TEMPLATE.read_text("utf-8")))
    (sampler,) = (one for one in prompt.values() if one["class_type"] == "KSampler")
    sampler["inputs"]["steps"] = 1
    start = time.monotonic()
    with ComfyServer(folder, comfyui=comfyui) as server:
        connected, _ = draw(server, prompt)
        seconds, peak = time.monotonic() - start, peak_gib(server)
    assert {picture.shape for picture in connected.values()} == {(512, 512, 3)}
    assert all(picture.std() > 1 for picture in connected.values())
    with capsys.disabled():
        print(f"\nfull-size transplant: {seconds:.0f} s, peak memory {peak:.1f} GiB")

    base = folder / "models" / "checkpoints" / BASE
    (transplant,) = (one for one in prompt.values() if one["class_type"] == "ReCoTransplant")
    del transplant["inputs"]["base_model"], transplant["inputs"]["base_clip"]
    (reco,) = (one for one in prompt.values() if one["class_type"] == "ReCoLoadCheckpoint")
    reco["inputs"]["ckpt_name"] = "named.safetensors"
    digest = hashlib.sha256(base.read_bytes()).hexdigest()
    named = {"base": "sd-v1-4-full-ema.ckpt", "base_sha256": digest}
    weights = random_state_dict(FULL_SIZE)
    write_checkpoint(base.with_name("named.safetensors"), weights, {"format": "reco", **named})
    del weights
    with ComfyServer(folder, comfyui=comfyui) as server:
        found, entry = draw(server, prompt)
    (shown,) = (told[0] for told in shown_by(entry))
    assert shown["report"].startswith(f"base: {BASE}, found by its SHA-256")
    for name, picture in connected.items():
        assert np.array_equal(found[name], picture)


def shown_by(entry: dict) -> list:
    """What the transplant told in a run."""
    return [
        output["reco_remarks"]
        for output in entry["outputs"].values()
        if "base:" in output.get("reco_remarks", [{}])[0].get("report", "")
    ]

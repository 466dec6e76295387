"""Small workflows in API format, around a layout of two pets, and runs of those in files."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from comfy_server import DIRECT, run_workflow
from reco_core.layout import Box, Layout, Region

DOG = Region("a dog", Box(0.125, 0.25, 0.5, 0.75), color="#AA0000")
CAT = Region("a cat, left of it", Box(0.5, 0.25, 1.0, 1.0))
PETS = Layout("pets", (DOG, CAT), 128, 64)
DOG_PIXELS = {"x": 16, "y": 16, "width": 48, "height": 32}
CAT_PIXELS = {"x": 64, "y": 16, "width": 64, "height": 48}


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def value(data) -> dict:
    """A list as a node's input: ComfyUI reads a bare one as a link."""
    return {"__value__": data}


def layout_node(layout: Layout = PETS) -> dict:
    return node("ReCoLayoutFromText", text=layout.to_json(), width=512, height=512)


def places(boxes: list[dict]) -> list[dict]:
    return [{key: box[key] for key in ("x", "y", "width", "height")} for box in boxes]


def needs(server, kind: str) -> None:
    """Skip the test where ComfyUI lacks a node, as older ones do."""
    if not json.loads(server.get(f"/object_info/{kind}")):
        pytest.skip(f"this ComfyUI has no {kind}")


def listed(server, wanted) -> set[str]:
    """The pack's nodes of a kind, by ComfyUI's own list."""
    info = json.loads(server.get("/object_info"))
    return {name for name, one in info.items() if one["category"] == "ReCo" and wanted(one)}


def inputs_of(info: dict) -> set[str]:
    groups = info["input"].values()
    return {kind[0] for group in groups for kind in group.values() if isinstance(kind[0], str)}


def ask(server, path: str, body: dict) -> dict:
    """The answer of one of the pack's own routes."""
    request = urllib.request.Request(
        f"{server.url}/api/reco/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with DIRECT.open(request, timeout=60) as response:
        return json.load(response)


def files(server, workflow: Path) -> dict[str, list[bytes]]:
    """Run a workflow's file by comfy-cli: file name without its number -> the pictures' files."""
    found: dict[str, list[bytes]] = {}
    for address in run_workflow(server, workflow):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        found.setdefault(query["filename"].rpartition("_0")[0], []).append(server.view(query))
    return found


def pictures(server, workflow: Path) -> dict[str, list[np.ndarray]]:
    """Run a workflow's file by comfy-cli: file name without its number -> (H, W, 3) pictures."""
    return {
        name: [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in some]
        for name, some in files(server, workflow).items()
    }

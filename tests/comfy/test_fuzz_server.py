"""Random requests and workflows near real ones, in a running ComfyUI: right, or refused by name.

RECO_FUZZ_SEED=N begins with another case; the name of one that goes wrong ends in its seed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import sys
import time
from pathlib import Path

import pytest
from processor_time import spent
from workflows import PETS, node

from reco_core.forms.table import FORMS, write_layout

sys.path.append(str(Path(__file__).resolve().parents[1] / "fuzz"))

from mutate import mutated_bytes, mutated_data, mutated_json  # noqa: E402

SECONDS = 8  # of the server's processor time; an answer takes two at most
CLEAR = ("ValueError", "FileNotFoundError")
TEXTS = [write_layout(PETS, form.name).text for form in FORMS]
REQUESTS = {
    "count": [
        {
            "layout": json.loads(PETS.to_json()),
            "readers": [[{"checkpoint": "reco-tiny.safetensors"}, {"transplant": True}]],
        }
    ],
    "read": [{"text": text, "width": 128, "height": 64} for text in TEXTS],
    "write": [{"layout": json.loads(PETS.to_json())}],
}


def seeds(count: int, default: int) -> range:
    first = int(os.environ.get("RECO_FUZZ_SEED") or default)
    print(f"RECO_FUZZ_SEED={first}")
    return range(first, first + count)


def post(server, path: str, body: bytes) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if is_json else {"error": text}
    finally:
        connection.close()


def refused_request(server, seed: int) -> str:
    """What is wrong with the answer to a mutated request; empty if nothing is."""
    rng = random.Random(f"route:{seed}")
    path = rng.choice(list(REQUESTS))
    body = mutated_json(rng, json.dumps(rng.choice(REQUESTS[path])), TEXTS)
    data = body.encode("utf-8", "surrogatepass")
    started = spent(server)
    status, answer = post(
        server, f"/api/reco/{path}", mutated_bytes(rng, data) if seed % 5 == 0 else data
    )
    if (taken := spent(server) - started) > SECONDS:
        return f"took {taken:.1f} s"
    message = answer.get("error", "") if isinstance(answer, dict) else ""
    if status == 200 and not message:
        return ""
    fits = status == 400 and 0 < len(message) <= 2_000 and "\n" not in message
    return "" if fits else f"status {status}: {message[:300]!r}"


def workflow(rng: random.Random) -> dict:
    """Nodes that take texts, numbers and files, with some of their values mutated."""
    made = {
        "text": node("ReCoLayoutFromText", text=rng.choice(TEXTS), width=128, height=64),
        "editor": node("ReCoLayoutEditor", editor=PETS.to_json(), width=128, height=64),
        "more": node("ReCoAddRegion", text="a dog", x=8, y=8, width=32, height=32, weight=1.0),
        "order": node("ReCoReorderRegions", order="2, 1", others="leave out"),
        "scale": node("ReCoScaleLayout", picture_factor=1.5, box_factor=0.5),
        "crop": node("ReCoCropLayout", x=8, y=0, width=64, height=64, visible=0.5),
        "pad": node("ReCoPadLayout", left=8, top=0, right=64, bottom=16),
        "tiles": node("ReCoTileLayout", tile_width=64, tile_height=64, overlap=16, visible=0.2),
        "masks": node("ReCoLayoutToMasks", feather=8, edges="whole latent cells", region="1"),
        "mask": node("ReCoRegionMask", region="dog", grow=4, feather=8),
        "loader": node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors"),
        "encode": node("ReCoTextEncode", clip=["loader", 1], overflow="error"),
    }
    for name in rng.sample(sorted(made), 3):
        values = {k: v for k, v in made[name]["inputs"].items() if not isinstance(v, list)}
        made[name]["inputs"] |= {k: mutated_data(rng, v) for k, v in values.items()}
        made[name]["inputs"] |= {
            k: mutated_json(rng, v, TEXTS)
            for k, v in values.items()
            if isinstance(v, str) and rng.random() < 0.4
        }
    source = rng.choice(("text", "editor"))
    chain = ("more", "order", "scale", "crop", "pad")
    for name, before in zip(chain, (source, *chain), strict=False):
        made[name]["inputs"]["layout"] = [before, 0]
    for name in ("masks", "mask", "encode", "tiles"):
        made[name]["inputs"]["layout"] = ["pad", 0]
    ends = {"masks": 2, "mask": 0, "encode": 1, "tiles": 0}
    shown = {name: [name, output] for name, output in ends.items()}
    last = {f"show {name}": node("PreviewAny", source=link) for name, link in shown.items()}
    return {**made, **last}


def wrong_run(server, seed: int) -> str:
    """What is wrong with the run of a mutated workflow; empty if nothing is."""
    body = json.dumps({"prompt": workflow(random.Random(f"workflow:{seed}"))}).encode()
    started = spent(server)
    status, answer = post(server, "/prompt", body)
    if status == 400:  # refused before it runs, by ComfyUI or by a node's own check
        return ""
    if status != 200:
        return f"status {status}: {str(answer)[:300]}"
    while not (entry := server.history(answer["prompt_id"])):
        if spent(server) - started > SECONDS:
            return f"took more than {SECONDS} s"
        time.sleep(0.01)
    for kind, message in entry["status"]["messages"]:
        text = message.get("exception_message", "").strip()
        clear = message.get("exception_type") in CLEAR and len(text) <= 2_000
        if kind == "execution_error" and not clear:
            return f"{message['node_type']}: {message['exception_type']}: {text[:300]}"
    return ""


def faults(server, check, numbers: range) -> dict[int, str]:
    found = {seed: wrong for seed in numbers if (wrong := check(server, seed))}
    server.get("/system_stats")
    return found


def test_some_requests_are_answered_or_refused(server):
    assert faults(server, refused_request, seeds(40, 0)) == {}


def test_some_workflows_run_or_are_refused(server):
    assert faults(server, wrong_run, seeds(20, 0)) == {}


@pytest.mark.fuzz
def test_many_requests_are_answered_or_refused(server):
    assert faults(server, refused_request, seeds(3_000, int(time.time()) * 10_000)) == {}


@pytest.mark.fuzz
def test_many_workflows_run_or_are_refused(server):
    assert faults(server, wrong_run, seeds(500, int(time.time()) * 10_000)) == {}

"""The list of adapters: ReCo adapters alone, found soon whatever else is there, and words where
there is none."""

import json
import struct
import urllib.error
from pathlib import Path

import pytest
import torch
from adapters import adapter_tensors, write_adapter
from random_checkpoint import Size, random_state_dict
from safetensors.torch import save, save_file
from workflows import ask, node

from comfy_server import Failure
from reco_core.adapter import TOKEN_ROWS

SMALL = {TOKEN_ROWS: torch.zeros(2, 4), "reco.position_rows": torch.zeros(1, 4)}
NONE = "none yet: put a ReCo adapter into models/loras"


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


OTHERS = {
    "a LoRA": save({"lora_unet_a.lora_down.weight": torch.zeros(2, 4)}),
    "a LoRA that mentions rows in its metadata": save(
        {"a.lora_down.weight": torch.zeros(2)}, {"ss_tag": "reco.token_rows"}
    ),
    "an empty file": b"",
    "three bytes": b"abc",
    "no header": b"\0" * 64,
    "a header beyond the end": header(b'{"reco.token_rows": {}}', 1 << 40),
    "a length of negative look": header(b'{"reco.token_rows": {}}', (1 << 64) - 1),
    "a header that is not text": header(b"\xff" * 40),
    "html": b"<!DOCTYPE html><title>Sign in</title>" * 9,
}


@pytest.mark.parametrize("case", OTHERS)
def test_files_of_other_kinds_and_broken_ones_are_left_out(inside, tmp_path, case):
    (tmp_path / "other.safetensors").write_bytes(OTHERS[case])
    (tmp_path / "adapter.safetensors").write_bytes(save(SMALL))
    found = inside("adapter_checks.listing", folder=str(tmp_path))
    assert found["names"] == ["adapter.safetensors"]


def test_an_adapter_that_was_saved_without_metadata_in_a_folder_is_listed(inside, tmp_path):
    (tmp_path / "mine").mkdir()
    save_file(SMALL, tmp_path / "mine" / "Box.SAFETENSORS")
    found = inside("adapter_checks.listing", folder=str(tmp_path))
    assert [Path(name).as_posix() for name in found["names"]] == ["mine/Box.SAFETENSORS"]


def test_a_folder_that_cannot_be_read_and_a_dangling_link_break_no_list(inside, tmp_path):
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "adapter.safetensors").write_bytes(save(SMALL))
    found = inside("adapter_checks.listing", folder=str(tmp_path))
    assert found["names"] == ["adapter.safetensors"]


def test_where_there_is_none_the_list_says_what_to_do(inside, tmp_path):
    assert inside("adapter_checks.listing", folder=str(tmp_path))["names"] == [NONE]


def test_a_file_that_becomes_an_adapter_is_listed(inside, tmp_path):
    path = tmp_path / "one.safetensors"
    path.write_bytes(b"not yet")
    assert inside("adapter_checks.listing", folder=str(tmp_path))["names"] == [NONE]
    path.write_bytes(save(SMALL))
    assert inside("adapter_checks.listing", folder=str(tmp_path))["names"] == ["one.safetensors"]


def test_no_file_is_looked_at_while_comfyui_starts(inside, tmp_path):
    (tmp_path / "adapter.safetensors").write_bytes(save(SMALL))
    at_start, later = inside("adapter_checks.registered", folder=str(tmp_path))
    assert (at_start, later) == ([], ["adapter.safetensors"])


def test_hundreds_of_files_are_looked_at_soon(inside, tmp_path):
    shape = {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps({f"lora_unet_{i:05}.lora_down.weight": shape for i in range(1000)}).encode()
    for number in range(300):
        (tmp_path / f"{number}.safetensors").write_bytes(header(text))
    (tmp_path / "last.safetensors").write_bytes(save(SMALL))
    found = inside("adapter_checks.listing", folder=str(tmp_path))
    assert found["names"] == ["last.safetensors"]
    first, second = found["seconds"]
    assert first < 0.2 and second < first / 2, found["seconds"]


@pytest.fixture(scope="module")
def adapter(base_dir: Path) -> str:
    """One that was trained on a ReCo checkpoint, in ComfyUI's loras folder."""
    weights = random_state_dict(Size(), torch.float32)
    metadata = {"unet_heads": "4", "text_heads": "2", "base": "reco", "base_num_bins": "1000"}
    path = base_dir / "models" / "loras" / "on-reco.safetensors"
    return write_adapter(path, adapter_tensors(weights), **metadata).name


@pytest.fixture
def workflow() -> dict:
    workflow = json.loads((Path(__file__).parent / "data" / "reco_api.json").read_text("utf-8"))
    workflow["conditioning"]["inputs"]["batch_size"] = 1
    return workflow


STRENGTHS = {"strength_model": 0.7, "strength_clip": 0.7}


def applied(workflow: dict, name: str) -> dict:
    """Behind the loader of a workflow."""
    apply = node(
        "ReCoApplyAdapter", model=["loader", 0], clip=["loader", 1], adapter_name=name, **STRENGTHS
    )
    sampler = workflow["sampler"] | {
        "inputs": workflow["sampler"]["inputs"] | {"model": ["apply", 0]}
    }
    conditioning = workflow["conditioning"] | {
        "inputs": workflow["conditioning"]["inputs"] | {"clip": ["apply", 1]}
    }
    return workflow | {"apply": apply, "sampler": sampler, "conditioning": conditioning}


def test_a_workflow_gives_the_picture_of_the_loader_with_the_adapter(run, workflow, adapter):
    workflow["loader"] = node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors")
    alone, _ = run(workflow)
    images, entry = run(applied(workflow, adapter))
    both = node(
        "ReCoLoadAdapter", ckpt_name="reco-tiny.safetensors", adapter_name=adapter, **STRENGTHS
    )
    expected, _ = run(workflow | {"loader": both})
    change = abs(alone["picture"].astype(int) - expected["picture"]).mean()
    assert change > 3
    assert abs(images["picture"].astype(int) - expected["picture"]).mean() < change / 20
    (shown,) = entry["outputs"]["apply"]["reco_remarks"]
    assert shown == {"report": "The adapter was trained on 'reco'.", "remarks": []}


NAMES = {
    NONE: "there is no ReCo adapter yet: `python -m train fit` writes",
    "gone.safetensors": "there is no file 'gone.safetensors' in models/loras",
    "lora.safetensors": "a LoRA without position tokens: open it with ComfyUI's own Load LoRA",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["ReCoApplyAdapter", "ReCoLoadAdapter"])
def test_what_is_no_adapter_is_refused_in_words(server, workflow, adapter, kind, name):
    if kind == "ReCoApplyAdapter":
        workflow["loader"] = node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors")
        workflow = applied(workflow, name)
    else:
        workflow["loader"] = node(
            kind, ckpt_name="plain-sd1.safetensors", adapter_name=name, **STRENGTHS
        )
    with pytest.raises(Failure, match=NAMES[name].replace("(", "\\(")):
        server.wait(server.post_prompt(workflow))


def test_the_nodes_list_adapters_alone(server, adapter):
    for kind in ("ReCoApplyAdapter", "ReCoLoadAdapter"):
        info = json.loads(server.get(f"/object_info/{kind}"))[kind]["input"]["required"]
        options = info["adapter_name"][1]["options"]
        assert adapter in options and "lora.safetensors" not in options


def test_tokens_are_counted_as_an_adapter_reads_them(server, adapter):
    box = {"text": "blue square", "box": [0, 0, 0.5, 0.5]}
    regions = {"caption": "a scene", "width": 64, "height": 64, "regions": [box] * 40}

    def count(*steps: dict) -> dict:
        return ask(server, "count", {"layout": regions, "readers": [list(steps)]})

    own = count({"adapter": adapter})
    checkpoint = "reco-tiny.safetensors"  # of as many tokens and positions
    theirs = count({"checkpoint": checkpoint})
    compared = ("limit", "used", "caption", "regions", "overflow", "size")
    assert [own[key] for key in compared] == [theirs[key] for key in compared]
    assert own["overflow"] == [38, 39]
    without = count({"adapter": ""})
    assert without["limit"] is None and without["overflow"] == []


@pytest.mark.parametrize("name", ["lora.safetensors", "../secret", NONE])
def test_a_count_for_what_is_no_adapter_is_refused(server, adapter, name):
    layout = {"caption": "a", "width": 64, "height": 64, "regions": []}
    body = {"layout": layout, "readers": [[{"adapter": name}]]}
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(server, "count", body)
    assert "there is no ReCo adapter" in json.load(refusal.value)["error"]

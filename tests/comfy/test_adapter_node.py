"""ReCo Load Adapter: the same pictures as from the merged checkpoint, and clear refusals."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from adapters import adapter_tensors
from random_checkpoint import Size, random_state_dict
from safetensors.torch import save_file
from workflows import node

from comfy_server import Failure
from reco_core.adapter import (
    extend_with_adapter_rows,
    file_sha256,
    merge_adapter,
    merged_metadata,
    read_adapter,
)
from reco_core.checkpoint_file import write_checkpoint

BASE, OTHER, BOXES = "sd1.safetensors", "sd1-fine-tune.safetensors", "boxes.safetensors"
METADATA = {"unet_heads": "4", "text_heads": "2"}


@pytest.fixture(scope="module")
def files(base_dir: Path) -> None:
    """A base, a fine-tune of it, the adapter, and the checkpoints that they make."""
    checkpoints, loras = base_dir / "models" / "checkpoints", base_dir / "models" / "loras"
    weights = random_state_dict(Size(max_length=77, num_bins=0), torch.float32)
    write_checkpoint(checkpoints / BASE, weights, {})
    write_checkpoint(checkpoints / OTHER, weights, {"by": "someone"})
    wide = random_state_dict(Size(max_length=77, num_bins=0, text_width=128))
    write_checkpoint(checkpoints / "wide.safetensors", wide, {})
    base = {"base": BASE, "base_sha256": file_sha256(checkpoints / BASE), "base_num_bins": "0"}
    metadata = {"format": "reco-adapter", **METADATA, **base}
    save_file(adapter_tensors(weights), loras / BOXES, metadata)
    adapter = read_adapter(loras / BOXES)
    for name, made in (
        ("merged.safetensors", merge_adapter(weights, adapter)),
        ("without-lora.safetensors", extend_with_adapter_rows(weights, adapter)),
    ):
        write_checkpoint(checkpoints / name, made, merged_metadata({}, adapter.info))
    whole = (loras / BOXES).read_bytes()
    (loras / "half.safetensors").write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def workflow() -> dict:
    path = Path(__file__).parent / "data" / "reco_api.json"
    workflow = json.loads(path.read_text("utf-8"))
    workflow["conditioning"]["inputs"]["batch_size"] = 1
    return workflow


def with_adapter(workflow: dict, strength=1.0, base: str = BASE, adapter: str = BOXES) -> dict:
    changed = copy.deepcopy(workflow)
    changed["loader"] = node(
        "ReCoLoadAdapter",
        ckpt_name=base,
        adapter_name=adapter,
        strength_model=strength,
        strength_clip=strength,
    )
    return changed


def with_checkpoint(workflow: dict, name: str) -> dict:
    return copy.deepcopy(workflow) | {"loader": node("ReCoLoadCheckpoint", ckpt_name=name)}


def with_stock_lora(workflow: dict) -> dict:
    """The base with the adapter's rows, and ComfyUI's own LoRA loader behind it."""
    changed = with_checkpoint(workflow, "without-lora.safetensors")
    settings = {"lora_name": BOXES, "strength_model": 1.0, "strength_clip": 1.0}
    changed["lora"] = node("LoraLoader", model=["loader", 0], clip=["loader", 1], **settings)
    changed["sampler"]["inputs"]["model"] = ["lora", 0]
    changed["conditioning"]["inputs"]["clip"] = ["lora", 1]
    return changed


def test_pictures_are_those_of_the_merged_checkpoint(run, workflow, files):
    def picture(workflow: dict) -> np.ndarray:
        return run(workflow)[0]["picture"].astype(int)

    adapted = picture(with_adapter(workflow))
    merged = picture(with_checkpoint(workflow, "merged.safetensors"))
    stock = picture(with_stock_lora(workflow))
    off = picture(with_adapter(workflow, strength=0))
    extended = picture(with_checkpoint(workflow, "without-lora.safetensors"))
    change = np.abs(off - merged).mean()
    assert change > 5
    assert np.abs(adapted - merged).mean() < change / 20  # patches are rounded otherwise
    assert np.array_equal(adapted, stock)
    assert np.array_equal(off, extended)


def test_strengths_act_on_unet_and_text_encoder_apart(inside, files, base_dir):
    checkpoints, loras = base_dir / "models" / "checkpoints", base_dir / "models" / "loras"
    moved = inside("adapter_effect", base=str(checkpoints / BASE), adapter=str(loras / BOXES))
    assert moved["text states at clip 1"] > 0.1
    assert moved["text states at clip 0"] == 0
    # 4 projections in each of 2 attentions of 7 blocks, and in each of 2 text layers
    assert moved["patches at model 1"] == {"unet": 4 * 2 * 7, "text": 4 * 2}
    assert moved["rebuilt"] == {"model": True, "clip": True, "vae": True}


def test_a_base_that_the_adapter_does_not_name_is_a_warning(inside, files, base_dir):
    checkpoints, loras = base_dir / "models" / "checkpoints", base_dir / "models" / "loras"
    own, other = (
        inside("adapter_warning", base=str(checkpoints / name), adapter=str(loras / BOXES))
        for name in (BASE, OTHER)
    )
    assert own == ""
    assert f"'{OTHER}' is not the file" in other and f"'{BASE}'" in other


def test_a_workflow_on_another_base_runs(run, workflow, files):
    images, _ = run(with_adapter(workflow, base=OTHER))
    assert images["picture"].shape == (128, 192, 3)


REFUSED = {
    "a LoRA without position tokens": ({"adapter": "lora.safetensors"}, "Load LoRA"),
    "a truncated adapter": ({"adapter": "half.safetensors"}, "half.safetensors: .*truncated"),
    "a ReCo base": ({"base": "reco-tiny.safetensors"}, f"already .* such as '{BASE}'"),
    "a base of another width": ({"base": "wide.safetensors"}, "'wide.safetensors': .*128 wide"),
    "a truncated base": ({"base": "truncated.safetensors"}, "truncated.safetensors: .*truncated"),
    "a base of another kind": ({"base": "foreign.safetensors"}, "an SDXL checkpoint"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_do_not_go_together_are_refused_with_their_cause(server, workflow, files, case):
    names, cause = REFUSED[case]
    with pytest.raises(Failure, match=cause) as failure:
        server.wait(server.post_prompt(with_adapter(workflow, **names)))
    assert "(node loader)" in str(failure.value)


def test_the_node_lists_adapters_of_the_loras_folder(server, files):
    info = json.loads(server.get("/object_info/ReCoLoadAdapter"))["ReCoLoadAdapter"]
    inputs = info["input"]["required"]
    assert BOXES in inputs["adapter_name"][1]["options"]
    assert BASE in inputs["ckpt_name"][1]["options"]


def test_the_warning_of_another_base_stands_on_the_node_as_a_remark(run, base_dir, workflow, files):
    loras = base_dir / "models" / "loras"
    sly = "<img src=x onerror=alert(1)>" * 20
    tensors = read_adapter(loras / BOXES).tensors
    metadata = {"format": "reco-adapter", **METADATA, "base": sly, "base_sha256": "ab" * 32}
    save_file(tensors, loras / "sly.safetensors", metadata)
    _, entry = run(with_adapter(workflow, adapter="sly.safetensors"))
    (shown,) = entry["outputs"]["loader"]["reco_remarks"]
    (remark,) = shown["remarks"]
    assert remark["kind"] == "file"
    assert f"'{BASE}' is not the file that this adapter was trained on" in remark["message"]
    assert len(remark["message"]) < 400
    assert set(entry["outputs"]["loader"]) == {"reco_remarks"}


def test_a_base_that_the_adapter_names_leaves_no_remark(run, workflow, files):
    _, entry = run(with_adapter(workflow))
    (shown,) = entry["outputs"]["loader"]["reco_remarks"]
    assert shown["remarks"] == []

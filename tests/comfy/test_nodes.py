"""The nodes in a running ComfyUI: what it lists, and workflows in API format."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "nodes" / "web" / "docs"
NODE_IDS = [
    "ReCoLoadCheckpoint",
    "ReCoLoadAdapter",
    "ReCoLoadParts",
    "ReCoSaveCheckpoint",
    "ReCoLayoutEditor",
    "ReCoLayoutFromText",
    "ReCoAddRegion",
    "ReCoLayoutFromBoxes",
    "ReCoLayoutFromElements",
    "ReCoLayoutFromMasks",
    "ReCoLayoutFromCoco",
    "ReCoMergeLayouts",
    "ReCoReorderRegions",
    "ReCoScaleLayout",
    "ReCoFlipLayout",
    "ReCoConditioning",
    "ReCoTextEncode",
    "ReCoDrawLayout",
    "ReCoLayoutToBoxes",
    "ReCoLayoutToMasks",
]


@pytest.fixture
def workflow() -> dict:
    return json.loads((HERE / "data" / "reco_api.json").read_text("utf-8"))


@pytest.mark.parametrize("node_id", NODE_IDS)
def test_every_node_input_and_output_is_explained(server, node_id):
    info = json.loads(server.get(f"/object_info/{node_id}"))[node_id]
    assert info["category"] == "ReCo"
    assert info["description"]
    visible = [info["input"].get(group, {}) for group in ("required", "optional")]
    assert all(options["tooltip"] for inputs in visible for _, options in inputs.values())
    assert all(info["output_tooltips"])


@pytest.mark.parametrize("node_id", NODE_IDS)
def test_every_node_has_a_help_page_that_names_its_inputs_and_outputs(server, node_id):
    info = json.loads(server.get(f"/object_info/{node_id}"))[node_id]
    page = server.get(f"/extensions/comfyui-reco/docs/{node_id}.md").decode()
    inputs = [name for group in ("required", "optional") for name in info["input"].get(group, {})]
    for name in (*inputs, *info["output_name"]):
        assert f"`{name}`" in page


def test_the_loader_lists_comfyuis_checkpoints_and_its_own(server):
    info = json.loads(server.get("/object_info/ReCoLoadCheckpoint"))["ReCoLoadCheckpoint"]
    names = info["input"]["required"]["ckpt_name"][1]["options"]
    own = [path.name for path in (HERE.parents[1] / "models").glob("*.safetensors")]
    assert "reco-tiny.safetensors" in names
    assert set(own) <= set(names)
    assert all(name.endswith((".safetensors", ".ckpt")) for name in names)


def test_a_workflow_in_api_format_makes_pictures_of_the_layouts_size(run, workflow):
    images, entry = run(workflow)
    picture, boxes = images["picture"], images["boxes"]
    assert picture.shape == boxes.shape == (128, 192, 3)
    assert picture.std() > 1  # random weights paint noise, not one colour
    assert len(entry["outputs"]["picture"]["images"]) == 2  # batch_size
    assert len(entry["outputs"]["boxes"]["images"]) == 2
    report = entry["outputs"]["conditioning"]["text"][0]
    assert report == entry["outputs"]["report"]["text"][0]
    assert "of 308 tokens used, 2 regions" in report


def test_boxes_are_drawn_where_the_layout_says(run, workflow):
    images, _ = run(workflow)
    changed = (images["picture"] != images["boxes"]).any(axis=-1)
    for x, y, width, height in ((8, 16, 64, 64), (104, 40, 72, 80)):
        edges = np.zeros_like(changed)
        edges[y : y + height, x : x + width] = True
        edges[y + 3 : y + height - 3, x + 3 : x + width - 3] = False
        assert changed[edges].mean() > 0.3
    assert not changed[:, 88:100].any()  # between the boxes


def test_the_same_seed_gives_the_same_pixels_and_another_box_gives_others(run, workflow):
    first, _ = run(workflow)
    moved = copy.deepcopy(workflow)
    moved["circle"]["inputs"]["x"] = 40
    other, _ = run(moved)
    again, _ = run(workflow)
    assert np.array_equal(first["picture"], again["picture"])
    assert not np.array_equal(first["picture"], other["picture"])


def test_comfyuis_own_text_encode_reads_a_pasted_prompt(run, workflow):
    """The stock node and ReCo Text Encode lead to the same picture."""
    prompt = (
        "a red circle and a blue square <|endoftext|> <bin042> <bin125> <bin375> <bin624> "
        "<|startoftext|> red circle <|endoftext|>"
    )
    workflow["stock"] = {
        "class_type": "CLIPTextEncode",
        "inputs": {"clip": ["loader", 1], "text": prompt},
    }
    workflow["layout"] = {
        "class_type": "ReCoLayoutFromText",
        "inputs": {"text": prompt, "width": 192, "height": 128},
    }
    workflow["reco"] = {
        "class_type": "ReCoTextEncode",
        "inputs": {"clip": ["loader", 1], "layout": ["layout", 0], "overflow": "error"},
    }
    pictures = []
    for positive in ("stock", "reco"):
        workflow["sampler"]["inputs"]["positive"] = [positive, 0]
        pictures.append(run(workflow)[0]["picture"])
    assert np.array_equal(*pictures)


def test_a_layout_from_json_brings_its_own_size(run, workflow):
    layout = {
        "version": 1,
        "caption": "a red circle",
        "width": 64,
        "height": 128,
        "regions": [{"text": "red circle", "box": [0.1, 0.1, 0.9, 0.5]}],
    }
    workflow["square"] = {
        "class_type": "ReCoLayoutFromText",
        "inputs": {"text": json.dumps(layout), "width": 512, "height": 512},
    }
    images, _ = run(workflow)
    assert images["picture"].shape == (128, 64, 3)


def test_a_region_without_a_layout_starts_one(run, workflow):
    workflow["square"] = {
        "class_type": "ReCoAddRegion",
        "inputs": {"text": "red circle", "x": 0, "y": 0, "width": 512, "height": 512},
    }
    workflow["conditioning"]["inputs"]["batch_size"] = 1
    workflow["sampler"]["inputs"]["steps"] = 1
    images, _ = run(workflow)
    assert images["picture"].shape == (512, 512, 3)


BETWEEN = {
    "CLIPSetLastLayer": ({"stop_at_clip_layer": -2}, 0),
    "LoraLoader": ({"lora_name": "lora.safetensors", "strength_clip": 1, "strength_model": 1}, 1),
}


@pytest.mark.parametrize("node", BETWEEN)
def test_comfyuis_own_nodes_work_between_loader_and_conditioning(run, workflow, node):
    plain, _ = run(workflow)
    settings, clip_output = BETWEEN[node]
    inputs = {**settings, "clip": ["loader", 1]}
    if node == "LoraLoader":
        inputs["model"] = ["loader", 0]
    workflow["between"] = {"class_type": node, "inputs": inputs}
    workflow["conditioning"]["inputs"]["clip"] = ["between", clip_output]
    changed, entry = run(workflow)
    assert not np.array_equal(plain["picture"], changed["picture"])
    assert "2 regions" in entry["outputs"]["conditioning"]["text"][0]

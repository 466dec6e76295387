"""The nodes in a running ComfyUI: what it lists, and workflows in API format."""

import copy
import json
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from comfy_server import DIRECT, PACK

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "web" / "docs"


@pytest.fixture
def workflow() -> dict:
    return json.loads((HERE / "data" / "reco_api.json").read_text("utf-8"))


def inputs_of(info: dict) -> dict[str, list]:
    """name -> [type, options] of all that a node takes from its widgets and sockets."""
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def unexplained(info: dict, page: str) -> list[str]:
    """What a user would not be told of a node. page: its help page."""
    names = [*inputs_of(info), *info["output_name"]]
    tooltips = dict(enumerate(info["output_tooltips"] or ()))
    return [
        *(["its description"] if not info["description"] else []),
        *(f"tooltip of {name}" for name, (_, o) in inputs_of(info).items() if not o.get("tooltip")),
        *(f"tooltip of {n}" for i, n in enumerate(info["output_name"]) if not tooltips.get(i)),
        *(f"{name} on the help page" for name in names if f"`{name}`" not in page),
    ]


@pytest.fixture(scope="module")
def nodes(server) -> dict[str, dict]:
    """All nodes of this pack that ComfyUI lists, by id."""
    listed = json.loads(server.get("/object_info"))
    return {
        name: info
        for name, info in listed.items()
        if info.get("python_module", "").endswith(PACK) or info["category"].startswith("ReCo")
    }


def help_page(server, node_id: str) -> str:
    try:
        return server.get(f"/extensions/{PACK}/docs/{node_id}.md").decode()
    except urllib.error.HTTPError:
        return ""


def test_every_node_its_inputs_and_its_outputs_are_explained(server, nodes):
    assert len(nodes) > 15
    missing = {name: unexplained(info, help_page(server, name)) for name, info in nodes.items()}
    assert not {name: what for name, what in missing.items() if what}


def test_every_node_stands_in_one_menu_under_a_name_of_its_own(nodes):
    assert {info["category"] for info in nodes.values()} == {"ReCo"}
    assert all(name.startswith("ReCo") for name in nodes)
    titles = [info["display_name"] for info in nodes.values()]
    assert len(set(titles)) == len(titles) and all(title.startswith("ReCo ") for title in titles)


def test_the_editor_is_told_by_which_tokens_every_clip_of_the_pack_reads(server, nodes):
    """Else its meter would pass over the node in silence."""
    for name, info in nodes.items():
        if "CLIP" not in info["output"]:
            continue
        said = {
            o["reco_reads"]: key for key, (_, o) in inputs_of(info).items() if "reco_reads" in o
        }
        assert said, f"{name} brings a CLIP: mark the input that names its file (nodes/inputs.py)"
        step = {kind: True if kind == "transplant" else "" for kind in said}
        layout = {"caption": "", "width": 8, "height": 8, "regions": []}
        body = json.dumps({"layout": layout, "readers": [[step]]}).encode()
        with DIRECT.open(server.url + "/reco/count", body) as answer:
            assert json.load(answer)["limit"] is None


def test_the_editor_is_told_on_which_pictures_boxes_are_drawn(nodes):
    """Else it would lose the last picture behind the node, or show its boxes twice."""
    drawn, kept = set(), set()
    for name, info in nodes.items():
        inputs = inputs_of(info)
        if not {"IMAGE", "RECO_LAYOUT"} <= {kind for kind, _ in inputs.values()}:
            continue
        given = [
            output
            for kind, output in zip(info["output"], info["output_name"], strict=True)
            if kind == "IMAGE"
        ]
        [said] = [o["reco_keeps"] for _, o in inputs.values() if "reco_keeps" in o] or [None]
        assert set(said or ()) <= set(given)
        kept |= {name} if said is not None else set()
        drawn |= {f"{name}.{output}" for output in given if output not in (said or ())}
    assert drawn == {"ReCoDrawLayout.image", "ReCoScoreLayout.overlay"}
    assert kept == {"ReCoSaveImage", "ReCoScoreLayout"}


def test_no_field_that_reads_json_chooses_from_braces(nodes):
    """The front end takes {"a": 1} for a choice of one option and drops its braces."""
    fields = {
        f"{node}.{name}": options
        for node, info in nodes.items()
        for name, (kind, options) in inputs_of(info).items()
        if kind == "STRING"
    }
    choosing = {name for name, options in fields.items() if options.get("dynamicPrompts")}
    assert {name.partition(".")[2] for name in choosing} == {"caption", "texts", "text", "negative"}
    assert "ReCoLayoutFromText.text" in fields.keys() - choosing
    for name, options in fields.items():
        said = f"{options.get('placeholder', '')} {options.get('tooltip', '')}"
        if name in choosing:
            assert "json" not in said.lower() or "not as JSON" in said, name
            assert "{" not in options.get("placeholder", ""), name


def test_what_is_not_explained_is_found(server, nodes):
    page = help_page(server, "ReCoTextEncode")
    info = nodes["ReCoTextEncode"]
    assert unexplained(info, page) == []
    bare = copy.deepcopy(info) | {"description": "", "output_tooltips": [None]}
    del bare["input"]["required"]["clip"][1]["tooltip"]
    assert unexplained(bare, page.replace("`report`", "report")) == [
        "its description",
        "tooltip of clip",
        "tooltip of conditioning",
        "tooltip of report",
        "report on the help page",
    ]


def test_every_help_page_is_of_a_node(nodes):
    assert {page.stem for page in DOCS.glob("*.md")} == set(nodes)


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

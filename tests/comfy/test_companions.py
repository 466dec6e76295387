"""Control of regions beside what else can be in a graph: the table of docs/control.md."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from workflows import files

from comfy_server import ROOT
from reco_core.layout import Box, Layout, Region

SHAPES = str(ROOT / "models" / "reco-shapes.safetensors")
LAYOUT = Layout(
    "a red circle and a blue square",
    (
        Region("a red circle", Box(0, 0, 0.5, 1)),
        Region("a blue square", Box(0.5, 0, 1, 1)),
    ),
    128,
    128,
).to_json()


@pytest.fixture
def ask(inside):
    return lambda check, **arguments: inside(
        f"companions_checks.{check}", path=SHAPES, layout=LAYOUT, **arguments
    )


COMPANIONS = (
    "PerturbedAttentionGuidance",
    "SelfAttentionGuidance",
    "FreeU",
    "FreeU_V2",
    "TomePatchModel",
    "HyperTile",
    "RescaleCFG",
    "PatchModelAddDownscale",
    "PerpNeg",
    "CFGZeroStar",
    "APG",
    "LoraLoader",
    "ModelMergeSimple",
)


def test_none_of_them_is_forgotten(inside):
    assert inside("companions_checks.names") == list(COMPANIONS)


@pytest.mark.parametrize("name", COMPANIONS)
def test_both_count_whichever_comes_first(ask, name):
    apart = ask("beside", name=name)
    assert 0.01 < apart["of the node"] < float("inf")
    assert 0.01 < apart["of the control"] < float("inf")
    assert apart["of the order"] < 1e-3


@pytest.mark.slow
def test_every_sampler_and_scheduler_follows(ask):
    assert ask("every_sampler") == {"samplers": [], "schedulers": []}


def test_pictures_of_a_batch_are_as_they_are_alone(ask):
    assert ask("a_batch") < 1e-3


def test_a_picture_that_is_not_square(ask):
    found = ask("of_another_size", width=192, height=64)
    assert found["shape"] == [1, 4, 8, 24] and found["rows"] == [3, 3]
    assert 0.01 < found["control"] < float("inf")


def test_clip_skip(ask):
    assert 0.01 < ask("clip_skip")["of the node"] < float("inf")


def test_a_control_net_reaches_all_rows_in_one_call(ask):
    found = ask("a_control_net")
    assert 0.01 < found["of the node"] < float("inf") and found["rows"] == [3, 3]


@pytest.mark.parametrize(
    ("name", "rows"),
    [("Combine", 5), ("Combine with another", 4), ("timestep ranges", 3)],
)
def test_nodes_of_conditioning(ask, name, rows):
    found = ask("conditioned", name=name)
    assert 0.01 < found["of the control"] < float("inf")
    if name == "Combine with another":
        assert found["of the node"] > 0.01
    else:
        assert found["of the node"] < 1e-3  # its parts are the whole again
    assert found["rows"] == [rows, rows]


def test_a_mask_keeps_it_in_a_part_of_the_picture(ask):
    found = ask("conditioned", name="Set Mask", steps=1)
    assert found["of the node, left"] < 1e-3 < 0.01 < found["of the node"]
    assert found["of the other, right"] < 1e-3
    assert 0.01 < found["of the control"] < float("inf")
    assert found["rows"] == [4]


def test_an_area_takes_region_guidance_and_refuses_containment(ask):
    assert "use ConditioningSetMask in place" in ask("conditioned", name="Set Area")["refused"]
    found = ask("conditioned", name="Set Area", settings={"region_guidance": 2.0})
    assert 0.01 < found["of the control"] < float("inf")


@pytest.mark.parametrize("node", ["Average", "Concat"])
def test_what_mixes_states_is_refused_where_it_keeps_what_was_set(ask, node):
    assert "averaged or joined" in ask("conditioned", name=f"{node}, to")["refused"]


def test_what_is_averaged_into_another_has_no_control_left(ask):
    """All that ComfyUI keeps of it is its states."""
    assert ask("conditioned", name="Average, from")["rows"] == [2, 2]
    assert ask("conditioned", name="Concat, from")["rows"] == [2, 2]


def test_a_region_lora(ask):
    found = ask("a_region_lora")
    assert found["of the LoRA, outside"] < 1e-3 < 0.01 < found["of the LoRA, inside"]
    assert 0.01 < found["of the control"] < float("inf")
    assert found["rows"] == [3, 3]


def test_merged_cells_are_refused_where_cells_matter(ask):
    bounds = {"containment": "its tokens"}
    assert "another node merges or splits them" in ask("merged_cells", settings=bounds)
    assert ask("merged_cells", settings={"region_guidance": 2.0}) == ""


@pytest.mark.slow
def test_a_compiled_model(ask):
    found = ask("compiled")
    assert found["frames"] > 0 and found["rows"] == [3, 3]
    assert found["of the node"] < 0.01
    assert 0.01 < found["of the control"] < float("inf")


def test_a_graph_is_loaded_again_from_its_picture(server):
    """By what ComfyUI writes into the file; nothing is taken from the first run."""
    workflow = ROOT / "example_workflows" / "reco_containment.json"
    [data] = files(server, workflow)["containment"]
    with Image.open(io.BytesIO(data)) as first:
        prompt, pixels = json.loads(first.text["prompt"]), np.asarray(first)
    entry = server.wait(server.post_prompt(prompt))
    said = dict(entry["status"]["messages"])
    assert said["execution_cached"]["nodes"] == []
    [image] = next(
        own["images"]
        for own in entry["outputs"].values()
        if own.get("images", [{}])[0].get("filename", "").startswith("containment_0")
    )
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(server.view(image)))), pixels)

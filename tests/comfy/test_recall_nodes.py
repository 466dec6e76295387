"""Layouts kept in pictures and recalled from them, by nodes and by the editor's route."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from PIL import Image
from workflows import PETS, layout_node, node

from comfy_server import DIRECT, Failure
from reco_core.limits import MAX_PICTURE

BLANK = {"blank": node("EmptyImage", width=64, height=64, batch_size=2, color=0)}
MASK = node("SolidMask", value=1.0, width=64, height=32)
LOADER = {"loader": node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors")}


def recall(server, body: bytes, name: str = "x.png", **more) -> tuple[int, dict]:
    """Status and answer of the editor's route."""
    query = urllib.parse.urlencode({"name": name, **more})
    request = urllib.request.Request(f"{server.url}/api/reco/recall?{query}", body)
    try:
        with DIRECT.open(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def saved(server, workflow: dict, end: str) -> list[dict]:
    """What a node of a workflow has saved."""
    return server.wait(server.post_prompt(workflow))["outputs"][end]["images"]


def recalled_layout(server, picture: dict) -> dict:
    """The layout that ReCo Layout From Image gives of a saved picture, as JSON."""
    path = f"{picture['subfolder']}/{picture['filename']}".strip("/")
    workflow = {
        "recall": node("ReCoLayoutFromImage", image=f"{path} [output]"),
        "text": node("ReCoLayoutToText", layout=["recall", 0], form="layout JSON"),
        "shown": node("PreviewAny", source=["text", 0]),
    }
    return json.loads(server.wait(server.post_prompt(workflow))["outputs"]["shown"]["text"][0])


def sampled(**layout_nodes: dict) -> dict:
    """A picture of one step, by the layout of the node named layout."""
    sample = {"seed": 0, "steps": 1, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal"}
    encode = node("ReCoConditioning", clip=["loader", 1], layout=["layout", 0], negative="")
    return {
        **LOADER,
        **layout_nodes,
        "encode": encode,
        "sample": node(
            "KSampler",
            model=["loader", 0],
            positive=["encode", 0],
            negative=["encode", 1],
            latent_image=["encode", 2],
            denoise=1.0,
            **sample,
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["loader", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="made"),
    }


def test_a_computed_layout_is_kept_in_the_picture_and_recalled(server):
    workflow = {
        **BLANK,
        "mask": MASK,
        "layout": node("ReCoLayoutFromMasks", masks=["mask", 0], texts="a cat", caption="a farm"),
        "save": node(
            "ReCoSaveImage",
            images=["blank", 0],
            layout=["layout", 0],
            filename_prefix="kept/%width%",
        ),
    }
    first, second = saved(server, workflow, "save")
    assert (first["filename"], second["filename"]) == ("64_00001_.png", "64_00002_.png")
    assert (first["subfolder"], first["type"]) == ("kept", "output")
    data = server.view(first)
    texts = Image.open(io.BytesIO(data)).text
    assert json.loads(texts["prompt"])["save"]["class_type"] == "ReCoSaveImage"
    layout = recalled_layout(server, second)
    assert (layout["caption"], layout["regions"][0]["text"]) == ("a farm", "a cat")
    status, answer = recall(server, data)
    assert (status, answer["layout"], json.loads(answer["text"])) == (200, layout, layout)

    del texts["reco_layout"]  # as of ComfyUI's own Save Image
    status, answer = recall(server, json.dumps(json.loads(texts["prompt"])).encode())
    assert status == 400 and "node mask (SolidMask)" in answer["error"]


def test_the_layout_of_a_sampled_picture_is_recalled_from_its_workflow(server):
    editor = {"regions": json.loads(PETS.to_json())["regions"], "caption": "pets"}
    drawn = node("ReCoLayoutEditor", editor=json.dumps(editor), width=128, height=64)
    workflow = sampled(
        drawn=drawn,
        more=node(
            "ReCoAddRegion", text="a cow", x=0, y=0, width=64, height=32, layout=["drawn", 0]
        ),
        layout=node("ReCoReorderRegions", order="3, 1", others="leave out", layout=["more", 0]),
        other=layout_node(),
        shown=node("PreviewAny", source=["other", 0]),
    )
    (picture,) = saved(server, workflow, "save")
    layout = recalled_layout(server, picture)
    assert [region["text"] for region in layout["regions"]] == ["a cow", "a dog"]
    assert (layout["caption"], layout["width"], layout["height"]) == ("pets", 128, 64)


def test_every_node_that_makes_layouts_can_be_recalled(server, inside):
    info = json.loads(server.get("/object_info"))
    makers = {
        name
        for name, one in info.items()
        if one["category"] == "ReCo" and "RECO_LAYOUT" in one["output"]
    }
    assert makers - {"ReCoLayoutFromImage"} == set(inside("recalled_kinds"))


@pytest.mark.parametrize(
    "body, cause",
    [
        (b"\x00\xff", "no picture"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b'{"a": {"class_type": "KSampler", "inputs": {}}}', "no layout"),
        (
            json.dumps(
                {
                    "a": node("ReCoLayoutFromText", text=5, width="8", height=[]),
                    "b": node("ReCoConditioning", layout=["a", 0]),
                    "c": node("KSampler", positive=["b", 0]),
                }
            ).encode(),
            "no INT that it takes",
        ),
    ],
)
def test_a_file_that_holds_no_layout_is_answered_by_a_message(server, body, cause):
    status, answer = recall(server, body)
    assert status == 400
    assert len(answer["error"]) < 500 and "\n" not in answer["error"]
    assert cause in answer["error"]


def test_the_route_has_limits(server):
    status, answer = recall(server, b" " * (MAX_PICTURE + 1))
    assert status == 400 and f"{MAX_PICTURE:,}" in answer["error"]
    for wrong in ({"width": "x"}, {"width": "0"}, {"height": "9" * 20}, {"surprise": "1"}):
        assert recall(server, b"a cat", **wrong)[0] == 400


@pytest.mark.parametrize(
    "name", ["", "gone.png", "../../secret.png", "/etc/passwd", "a\0b [output]"]
)
def test_a_picture_outside_of_the_folders_is_not_read(server, name):
    workflow = {
        "recall": node("ReCoLayoutFromImage", image=name),
        "shown": node("PreviewAny", source=["recall", 0]),
    }
    with pytest.raises(Failure, match="there is no picture"):
        server.wait(server.post_prompt(workflow))

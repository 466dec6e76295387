"""Every door that a layout can enter by gives one account: of the same bad layout, the same words.

The doors are those that ComfyUI lists and that the pack adds to its routes: a new one that is not
fed here fails.
"""

import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from workflows import ask, inputs_of, listed, node, value

from reco_core.layout import Box, Layout, Region

TEXT = "<lora:some_style:0.8> red circle"
BOX = Box(16 / 128, 16 / 128, 20 / 128, 36 / 128)
BAD = Layout("a red circle", (Region(TEXT, BOX),), 128, 128)
GOOD = Layout("a red circle", (), 128, 128)
PIXELS = {"x": 16, "y": 16, "width": 4, "height": 20}
ELEMENT = {"type": "obj", "bbox": [125, 125, 281.25, 156.25], "desc": TEXT}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 128, "height": 128}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [16, 16, 4, 20]}],
    "categories": [{"id": 1, "name": TEXT}],
}
SIZE = {"width": 128, "height": 128}
FROM_TEXT = node("ReCoLayoutFromText", text=BAD.to_json(), **SIZE)
GIVEN = {"given": node("ReCoLayoutFromText", text=BAD.to_json(), **SIZE)}
EMPTY = {"empty": node("ReCoLayoutFromText", text="a red circle", **SIZE)}
LOADER = {"loader": node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors")}
MASK = {
    "box": node("SolidMask", value=1.0, width=4, height=20),
    "blank": node("SolidMask", value=0.0, width=128, height=128),
    "mask": node(
        "MaskComposite", destination=["blank", 0], source=["box", 0], x=16, y=16, operation="add"
    ),
}


def door(kind: str, *others: dict, **inputs) -> dict[str, dict]:
    """A workflow around the node that is looked at, called door, and one that makes it run."""
    joined = {name: one for other in others for name, one in other.items()}
    return {**joined, "door": node(kind, **inputs), "end": node("PreviewAny", source=["door", 0])}


def arranged(kind: str, **inputs) -> dict[str, dict]:
    return door(kind, GIVEN, layout=["given", 0], **inputs)


PICTURE = "with a bad layout.png"
LAYOUT_DOORS = {
    "ReCoLayoutFromImage": [door("ReCoLayoutFromImage", image=PICTURE)],
    "ReCoLayoutFromText": [
        door("ReCoLayoutFromText", text=text, **SIZE)
        for text in (
            BAD.to_json(),
            f"```json\n{BAD.to_json()}\n```",
            json.dumps({"elements": [ELEMENT], "caption": "a red circle"}),
        )
    ],
    "ReCoLayoutEditor": [
        door("ReCoLayoutEditor", editor=BAD.to_json(), **SIZE),
        door("ReCoLayoutEditor", GIVEN, editor="", layout=["given", 0], **SIZE),
    ],
    "ReCoAddRegion": [door("ReCoAddRegion", EMPTY, text=TEXT, layout=["empty", 0], **PIXELS)],
    "ReCoLayoutFromBoxes": [
        door(
            "ReCoLayoutFromBoxes",
            bboxes=value([{**PIXELS, "label": TEXT}]),
            texts="",
            caption="a red circle",
            **SIZE,
        )
    ],
    "ReCoLayoutFromElements": [
        door("ReCoLayoutFromElements", elements=value([ELEMENT]), caption="a red circle", **SIZE)
    ],
    "ReCoLayoutFromMasks": [
        door("ReCoLayoutFromMasks", MASK, masks=["mask", 0], texts=TEXT, caption="a red circle")
    ],
    "ReCoLayoutFromCoco": [
        door("ReCoLayoutFromCoco", instances=json.dumps(COCO), image="", caption="a red circle")
    ],
    "ReCoMergeLayouts": [
        door("ReCoMergeLayouts", GIVEN, EMPTY, first=["given", 0], second=["empty", 0])
    ],
    "ReCoReorderRegions": [arranged("ReCoReorderRegions", order="1", others="leave out")],
    "ReCoRegionSettings": [arranged("ReCoRegionSettings", region="1", on=True, strength=2.0)],
    "ReCoScaleLayout": [arranged("ReCoScaleLayout", picture_factor=1.0, box_factor=1.0)],
    "ReCoFlipLayout": [
        arranged("ReCoFlipLayout", horizontal=True, vertical=False, swap_words=True)
    ],
    "ReCoCropLayout": [arranged("ReCoCropLayout", x=0, y=0, **SIZE)],
    "ReCoPadLayout": [arranged("ReCoPadLayout", left=0, top=0, right=0, bottom=0)],
    "ReCoTileLayout": [arranged("ReCoTileLayout", tile_width=64, tile_height=64, overlap=0)],
}
ENCODERS = {
    "ReCoTextEncode": [
        door("ReCoTextEncode", LOADER, GIVEN, clip=["loader", 1], layout=["given", 0])
    ],
    "ReCoConditioning": [
        door(
            "ReCoConditioning",
            LOADER,
            GIVEN,
            EMPTY,
            clip=["loader", 1],
            layout=[layout, 0],
            negative=negative,
        )
        for layout, negative in (("given", ""), ("empty", BAD.to_json()))
    ],
    "ReCoControl": [
        door(
            "ReCoControl",
            LOADER,
            GIVEN,
            EMPTY,
            model=["loader", 0],
            clip=["loader", 1],
            layout=[layout, 0],
            negative=negative,
        )
        for layout, negative in (("given", ""), ("empty", BAD.to_json()))
    ],
}
ROUTES = {
    "/reco/read": {"text": BAD.to_json(), **SIZE},
    "/reco/recall": json.loads(BAD.to_json()),
    "/reco/count": {
        "layout": json.loads(BAD.to_json()),
        "readers": [[{"checkpoint": "reco-tiny.safetensors"}]],
    },
}
SILENT_ROUTES = {"/reco/write"}  # they make no layout and encode none


def messages(remarks: list[dict]) -> list[str]:
    """What is said of the texts and boxes, without the part that tells the negative."""
    return [
        remark["message"].removeprefix("negative: ")
        for remark in remarks
        if remark["kind"] in ("syntax", "small")
    ]


@pytest.fixture(scope="module", autouse=True)
def picture(server) -> None:
    texts = PngInfo()
    texts.add_text("reco_layout", BAD.to_json())
    folder = server.base_dir / "input"
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (128, 128)).save(folder / PICTURE, pnginfo=texts)


@pytest.fixture(scope="module")
def words(inside) -> list[str]:
    """What is said of the bad layout, by itself."""
    said = messages(inside("remarks", layout=BAD.to_json()))
    assert len(said) == 2
    assert "LoRA tag" in said[0]
    assert "4 x 20 px" in said[1]
    return said


def test_every_door_is_walked_through(server, inside):
    assert listed(server, lambda info: "RECO_LAYOUT" in info["output"]) == LAYOUT_DOORS.keys()
    encoders = listed(server, lambda info: {"CLIP", "RECO_LAYOUT"} <= inputs_of(info))
    assert encoders - {"ReCoScoreLayout"} == ENCODERS.keys()  # it scores pictures by another CLIP
    recalled = set(inside("makers"))
    assert recalled == LAYOUT_DOORS.keys() - {"ReCoLayoutFromImage"}  # its file may be another
    assert set(inside("routes")) == ROUTES.keys() | SILENT_ROUTES


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(one, id=kind)
        for kind, workflows in (LAYOUT_DOORS | ENCODERS).items()
        for one in workflows
    ],
)
def test_a_node_says_on_itself_and_in_the_log_what_all_say(server, words, workflow):
    before = len(server.log.read_text("utf-8"))
    outputs = server.wait(server.post_prompt(workflow))["outputs"]
    (shown,) = outputs["door"]["reco_remarks"]
    assert messages(shown["remarks"]) == words
    logged = server.log.read_text("utf-8")[before:]
    assert all(message in logged for message in words)


@pytest.mark.parametrize("path", ROUTES)
def test_a_route_says_what_all_say(server, words, path):
    answer = ask(server, path.removeprefix("/reco/"), ROUTES[path])
    assert messages(answer["remarks"]) == words


def test_comfyuis_own_encoder_says_in_the_log_what_all_say(inside, tiny, words):
    result = inside("logged_while_tokenizing", path=str(tiny), text=BAD.to_json())
    syntax = words[0]  # no size is known there, so none is judged
    assert f"ReCo: {syntax}" in result["messages"]

"""Layouts from and to text in a running ComfyUI: what is read, refused and said on the node."""

import json

import pytest
from workflows import PETS, layout_node, node, places, value

from comfy_server import Failure
from reco_core.forms.table import FORMS


def from_text(text: str) -> dict:
    return node("ReCoLayoutFromText", text=text, width=128, height=64)


@pytest.fixture
def told(server):
    """Run a workflow: the remarks on its node named layout."""

    def run(**nodes) -> list[dict]:
        shown = node("PreviewAny", source=["layout", 0])
        entry = server.wait(server.post_prompt({**nodes, "shown": shown}))
        (account,) = entry["outputs"]["layout"]["reco_remarks"]
        return account["remarks"]

    return run


def test_the_node_offers_every_form_of_the_table(server):
    info = json.loads(server.get("/object_info/ReCoLayoutToText"))["ReCoLayoutToText"]
    options = info["input"]["required"]["form"][1]["options"]
    assert options == [form.label for form in FORMS]


def test_every_form_is_written_named_for_its_losses_and_read_again(server):
    """One workflow with a node for each form, and one that reads what they wrote."""
    readable = {form.name: form for form in FORMS if form.read}
    writers = {
        f"write-{name}": node("ReCoLayoutToText", layout=["pets", 0], form=form.label)
        for name, form in readable.items()
    }
    readers = {
        f"read-{name}": node("ReCoLayoutFromText", text=[f"write-{name}", 0], width=128, height=64)
        for name in readable
    }
    boxes = {
        f"boxes-{name}": node("ReCoLayoutToBoxes", layout=[f"read-{name}", 0]) for name in readable
    }
    shown = {f"shown-{name}": node("PreviewAny", source=[f"boxes-{name}", 0]) for name in readable}
    prompt = {"pets": layout_node(), **writers, **readers, **boxes, **shown}
    outputs = server.wait(server.post_prompt(prompt))["outputs"]
    for name in readable:
        [found] = json.loads(outputs[f"shown-{name}"]["text"][0])
        assert [box["label"] for box in found] == [region.text for region in PETS.regions]
        (account,) = outputs[f"write-{name}"]["reco_remarks"]
        lost = {remark["kind"] for remark in account["remarks"]}
        assert lost == (set() if name == "json" else {"lost"})


def test_fenced_json_after_a_sentence_becomes_regions_and_the_sentence_is_named(told, boxes_of):
    layout = from_text(f"Here you are:\n```json\n{PETS.to_json()}\n```")
    boxes, _, _ = boxes_of(layout=layout)
    assert len(places(boxes)) == 2
    (remark,) = told(layout=layout)
    assert (remark["kind"], "'Here you are:'" in remark["message"]) == ("left out", True)


FLAT = {"x": 10, "y": 10, "width": 0, "height": 50}
DOORS = {
    "text": {"layout": from_text('[{"label": "a dog", "bbox": [0.5, 0.2, 0.5, 0.6]}]')},
    "elements": {
        "layout": node(
            "ReCoLayoutFromElements",
            elements=value([{"desc": "a dog", "bbox": [0, 78, 500, 78]}]),
            caption="",
            width=128,
            height=64,
        )
    },
    "boxes": {
        "layout": node(
            "ReCoLayoutFromBoxes",
            bboxes=value(FLAT),
            texts="a dog",
            caption="",
            width=64,
            height=64,
        )
    },
    "coco": {
        "layout": node(
            "ReCoLayoutFromCoco",
            instances=json.dumps(
                {
                    "images": [{"id": 7, "width": 64, "height": 64}],
                    "annotations": [{"image_id": 7, "caption": "a dog", "bbox": [9, 9, 0, 9]}],
                }
            ),
            image="",
            caption="",
        )
    },
}


@pytest.mark.parametrize("door", DOORS)
def test_a_box_without_area_is_named_on_the_node_at_every_door(told, door):
    (remark,) = told(**DOORS[door])
    assert (remark["kind"], remark["region"]) == ("left out", 0)
    assert "1 ('a dog') is left out" in remark["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<100,100,500,500> cat", "line 1, column 1 looks like a box"),
        ("- a cat: [10, 20, 30, 40]", "thousandths of the picture or pixels"),
        ('{"caption": "a dog"', "not JSON"),
        ("(<1> <2> <3> <4> a cat:1.4)", "text of one region"),
    ],
)
def test_what_cannot_be_read_for_sure_is_refused_before_anything_runs(server, text, message):
    shown = node("PreviewAny", source=["layout", 0])
    with pytest.raises(Failure, match=message):
        server.post_prompt({"layout": from_text(text), "shown": shown})

"""The editor's node without its canvas: what it makes of its value, and what it asks the server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from workflows import ask

from comfy_server import Failure
from reco_core.forms.table import FORMS

CIRCLE = {"text": "red circle", "box": [0.125, 0.125, 0.5, 0.5], "weight": 1, "color": "#e6194b"}
SQUARE = {"text": "blue square", "box": [0.5, 0.5, 1, 1]}


def drawing(*regions: dict, **more) -> str:
    return json.dumps({"version": 1, "caption": "a scene", "regions": regions, **more})


def workflow(editor: str, width: int = 128, height: int = 64, **links) -> dict:
    """The editor's layout as text: its boxes as ComfyUI's elements, and its size."""
    return {
        "editor": {
            "class_type": "ReCoLayoutEditor",
            "inputs": {"editor": editor, "width": width, "height": height, **links},
        },
        "boxes": {"class_type": "ReCoLayoutToBoxes", "inputs": {"layout": ["editor", 0]}},
        "texts": {"class_type": "PreviewAny", "inputs": {"source": ["boxes", 0]}},
        "width": {"class_type": "PreviewAny", "inputs": {"source": ["editor", 1]}},
        "height": {"class_type": "PreviewAny", "inputs": {"source": ["editor", 2]}},
    }


def from_text(layout: str, width: int = 256, height: int = 256) -> dict:
    inputs = {"text": layout, "width": width, "height": height}
    return {"class_type": "ReCoLayoutFromText", "inputs": inputs}


@pytest.fixture
def execute(server):
    """Run a workflow: what the editor sent to its canvas, the region texts, the size."""

    def run(prompt: dict) -> tuple[dict, list[str], tuple[int, int]]:
        outputs = server.wait(server.post_prompt(prompt))["outputs"]
        [boxes] = json.loads(outputs["texts"]["text"][0])
        size = tuple(int(outputs[side]["text"][0]) for side in ("width", "height"))
        return outputs["editor"]["reco_editor"][0], [box["label"] for box in boxes], size

    return run


def test_hidden_regions_are_left_out(execute):
    hidden = {"text": "", "box": [0, 0, 1, 1], "hidden": True}
    locked = {**SQUARE, "locked": True}
    sent, texts, size = execute(workflow(drawing(CIRCLE, hidden, locked)))
    assert texts == ["red circle", "blue square"]
    assert (size, sent["size"]) == ((128, 64), [128, 64])


def test_regions_without_a_text_are_left_out_by_the_number_they_have_in_the_editor(server):
    hidden = {"text": "", "box": [0, 0, 1, 1], "hidden": True}
    textless = {"text": "\n", "box": [0, 0, 1, 1]}
    strange = {**SQUARE, "text": "a __wildcard__ square"}
    value = drawing(hidden, CIRCLE, textless, strange)
    outputs = server.wait(server.post_prompt(workflow(value)))["outputs"]
    [boxes] = json.loads(outputs["texts"]["text"][0])
    assert [box["label"] for box in boxes] == ["red circle", strange["text"]]
    [told] = outputs["editor"]["reco_remarks"]
    left_out, syntax = (remark["message"] for remark in told["remarks"])
    assert left_out.startswith("region 3 is left out: it has no text")
    assert syntax.startswith("region 4 has") and "__wildcard__" in syntax


def test_an_empty_editor_is_an_empty_layout(server):
    prompt = workflow("")
    del prompt["boxes"], prompt["texts"]
    assert server.wait(server.post_prompt(prompt))["outputs"]["width"]["text"] == ["128"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (drawing(CIRCLE, {**SQUARE, "text": " "}, textless="stop"), "region 2 has no text"),
        (drawing(CIRCLE, textless="skip"), "textless = 'skip' of the editor is not known"),
        (drawing({**SQUARE, "box": [0.5, 0, 0.2, 1]}), "layout region 1: box is inverted"),
        (drawing({**SQUARE, "box": [0, 0, 2, 1]}), "x1 = 2.0 is outside the image"),
        ("no json", "not JSON: Expecting value"),
        ("[1]", "the editor's value is not a layout"),
        ('{"regions": [1]}', "the editor's value is not a layout"),
        (drawing(version=2), "newer than this ReCo reads"),
    ],
)
def test_a_value_that_is_no_layout_is_refused_before_anything_runs(server, value, message):
    if message.startswith("newer"):
        value = value.replace('"version": 1', '"version": 2', 1)
    with pytest.raises(Failure, match=message.replace(".", r"\.")):
        server.post_prompt(workflow(value))


def test_an_incoming_layout_wins_until_the_drawing_began_with_it(execute):
    incoming = from_text(drawing(CIRCLE, width=256, height=128))
    prompt = workflow(drawing(SQUARE), layout=["in", 0]) | {"in": incoming}
    sent, texts, size = execute(prompt)
    assert (texts, size) == (["red circle"], (256, 128))
    assert sent["incoming"]["layout"]["regions"][0]["text"] == "red circle"

    begun = drawing(SQUARE, incoming=sent["incoming"]["fingerprint"])
    prompt["editor"]["inputs"]["editor"] = begun
    _, texts, size = execute(prompt)
    assert (texts, size) == (["blue square"], (128, 64))

    prompt["in"] = from_text(drawing(CIRCLE, CIRCLE))
    _, texts, _ = execute(prompt)
    assert texts == ["red circle", "red circle"]


def test_an_incoming_image_is_sent_to_the_canvas(server, execute):
    image = {
        "class_type": "EmptyImage",
        "inputs": {"width": 40, "height": 24, "batch_size": 2, "color": 255},
    }
    sent, _, _ = execute(workflow(drawing(CIRCLE), image=["image", 0]) | {"image": image})
    assert server.view(sent["image"]).startswith(b"\x89PNG")


# What the canvas asks


def layout(*regions: dict, caption: str = "a scene") -> dict:
    return {"caption": caption, "width": 64, "height": 64, "regions": list(regions)}


def test_tokens_are_counted_as_the_checkpoint_reads_them(server, tiny):
    body = {
        "layout": layout(CIRCLE, {**SQUARE, "text": "(a blue dog:1.2)"}),
        "readers": [[{"checkpoint": tiny.name}]],
    }
    assert ask(server, "count", body) == {
        "limit": 308,
        "used": 4 + 8 + 9,
        "caption": 4,
        "regions": [8, 9],
        "overflow": [],
        "strange": [1],
        "remarks": [
            {
                "kind": "word",
                "message": "this checkpoint was not trained on: scene, dog.",
                "region": None,
            }
        ],
        "size": None,
    }


def test_regions_that_do_not_fit_are_named(server, tiny):
    many = layout(*[SQUARE] * 40)
    counted = ask(server, "count", {"layout": many, "readers": [[{"checkpoint": tiny.name}]]})
    assert (counted["used"], counted["regions"][39]) == (4 + 40 * 8, 8)
    assert counted["overflow"] == [38, 39]
    without = ask(server, "count", {"layout": many})
    assert (without["limit"], without["used"], without["overflow"]) == (None, 324, [])


def test_what_is_read_in_further_sequences_fits(server, tiny):
    reader = [{"checkpoint": tiny.name}]
    joining = [*reader, {"overflow": "join up to four sequences"}]

    def counted(regions: int, *readers: list) -> tuple[int, int, list[int]]:
        asked = {"layout": layout(*[SQUARE] * regions), "readers": list(readers)}
        answer = ask(server, "count", asked)
        return answer["limit"], answer["used"], answer["overflow"]

    alone = counted(40, reader)
    assert alone[1:] == (324, [38, 39])
    assert counted(40, joining) == (2 * alone[0], 324 + 4, [])
    assert counted(40, joining, reader) == alone  # one of them leaves some out
    assert counted(300, joining)[2] == list(range(38, 300))  # four do not hold them
    assert counted(40, [*reader, {"overflow": "error"}]) == alone


def test_a_layout_is_written_in_every_form_and_read_back(server):
    written = ask(server, "write", {"layout": layout(CIRCLE, SQUARE)})
    assert {name: answer["label"] for name, answer in written.items()} == {
        form.name: form.label for form in FORMS
    }
    assert written["authors"]["text"].startswith("a scene <125> <125> <501> <501> red circle")
    assert [remark["kind"] for remark in written["authors"]["remarks"]] == ["lost"] * 3
    for form in FORMS:
        if form.read is None:
            continue
        answer = ask(
            server, "read", {"text": written[form.name]["text"], "width": 64, "height": 64}
        )
        read = answer["layout"]["regions"]
        assert [region["text"] for region in read] == ["red circle", "blue square"]
        for region, original in zip(read, (CIRCLE, SQUARE), strict=True):
            assert region["box"] == pytest.approx(original["box"], abs=0.002)


def test_reading_tells_what_it_left_out(server):
    text = "```json\n" + json.dumps([{"label": "dot", "bbox": [0.5, 0.5, 0.5, 0.5]}]) + "\n```\nBye"
    around, flat = ask(server, "read", {"text": text, "width": 64, "height": 64})["remarks"]
    assert (around["kind"], around["region"], flat["kind"], flat["region"]) == (
        "left out",
        None,
        "left out",
        0,
    )
    assert "'Bye'" in around["message"] and "('dot') is left out" in flat["message"]


def test_a_form_that_cannot_hold_a_text_says_so(server):
    written = ask(server, "write", {"layout": layout({**CIRCLE, "text": "a <100> sign"})})
    assert "would be read as a position" in written["authors"]["error"]
    assert "text" in written["json"]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("read", {"text": "<1> <2> dog", "width": 64, "height": 64}, "four"),
        ("read", {"text": "a dog", "width": 65, "height": 64}, "not divisible by 8"),
        ("read", {"text": "a dog"}, "width"),
        (
            "count",
            {"layout": layout(CIRCLE), "readers": [[{"checkpoint": "../secret"}]]},
            "no checkpoint '../secret'",
        ),
        (
            "count",
            {"layout": layout(CIRCLE), "readers": [[{"checkpoint": "plain-sd1.safetensors"}]]},
            "plain Stable",
        ),
        ("count", {"layout": {"a": 1}}, "not a layout"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_by_a_message(server, path, body, message):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(server, path, body)
    assert refusal.value.code == 400
    assert message in json.load(refusal.value)["error"]

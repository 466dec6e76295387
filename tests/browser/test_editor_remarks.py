"""What the editor says of a drawing before it runs, and what is queued of its texts."""

from __future__ import annotations

import json
import re

import pytest
from editor_page import TEXTS, EditorPage
from playwright.sync_api import Locator, expect

SIDES = ("width", "height")


@pytest.fixture
def editor(farm: EditorPage) -> EditorPage:
    """The farm, read by the embedded checkpoint."""
    comfy = farm.comfy
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-500, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    encode = comfy.add_node("ReCoTextEncode", at=(600, 0))
    comfy.connect(farm.node, "layout", encode, "layout")
    comfy.connect(loader, "clip", encode, "clip")
    expect(farm.meter).to_have_text("28 of 96 tokens")
    return farm


def remarks(editor: EditorPage) -> Locator:
    """Those of the whole."""
    return editor.root.locator(".reco-meter-remarks .reco-remark")


def size_button(editor: EditorPage) -> Locator:
    return remarks(editor).get_by_role("button", name="use 128 × 128")


def row_remarks(editor: EditorPage, index: int) -> Locator:
    return editor.rows.nth(index).locator(".reco-remark")


def size(editor: EditorPage) -> list[object]:
    return [editor.comfy.value(editor.node, side) for side in SIDES]


def test_a_size_that_the_checkpoint_does_not_know_is_left_by_one_click(comfy, editor):
    expect(remarks(editor).first).to_contain_text("not trained on: farm, cat, dog, cow")
    expect(remarks(editor).nth(1)).to_contain_text("trained on pictures of 128 x 128")
    comfy.screenshot("editor-remarks", editor.node)
    size_button(editor).click()
    assert size(editor) == [128, 128]
    expect(remarks(editor)).to_have_count(1)  # the words
    comfy.undo()
    assert size(editor) == [512, 512]
    expect(size_button(editor)).to_be_visible()

    number = comfy.add_node("PrimitiveInt", at=(-500, 400))
    comfy.set_value(number, "value", 640)
    comfy.connect(number, 0, editor.node, "width")
    expect(remarks(editor).nth(1)).to_contain_text("640 x 512")
    expect(remarks(editor).nth(1)).to_contain_text("comes in by a link")
    expect(size_button(editor)).to_have_count(0)


def test_what_is_said_of_a_region_stands_in_its_row(comfy, editor):
    editor.fill(2, "Text of", "a [red:blue:0.5] cow")
    expect(row_remarks(editor, 2)).to_contain_text(re.compile("^⚠region 3 has .*blue"))
    editor.field(0, "Hide").click()  # the server counts two regions now
    expect(editor.meter).to_contain_text("tokens")
    editor.fill(1, "Text of", "a (dog:9)")
    expect(row_remarks(editor, 1)).to_contain_text(re.compile("^⚠region 2 has weights .*dog"))
    expect(row_remarks(editor, 2)).to_contain_text(re.compile("^⚠region 3 has"))
    comfy.screenshot("editor-row-remarks", editor.node)
    editor.field(1, "Delete").click()
    expect(row_remarks(editor, 1)).to_contain_text(re.compile("^⚠region 2 has .*blue"))
    editor.fill(1, "Text of", "a cow")
    expect(row_remarks(editor, 1)).to_have_count(0)


def test_figures_of_a_drawing_that_cannot_be_counted_are_marked_as_old(comfy, editor):
    editor.fill(0, "Text of", "(a cat:nan)")
    expect(editor.meter).to_contain_text(re.compile("^Not counted: region 1: the weight nan"))
    expect(editor.meter).to_contain_text("Before that: 28 of 96 tokens")
    expect(editor.root.locator(".reco-meter")).to_have_class(re.compile("reco-old"))
    editor.fill(0, "Text of", "a large cat")
    expect(editor.meter).to_have_text("29 of 96 tokens")
    expect(editor.root.locator(".reco-meter")).not_to_have_class(re.compile("reco-old"))


def test_a_count_that_failed_is_tried_again_by_itself(comfy, editor):
    comfy.page.route("**/reco/count", lambda route: route.abort())
    editor.fill(0, "Text of", "a large cat")
    expect(editor.meter).to_contain_text("Not counted: ")
    comfy.page.unroute("**/reco/count")
    expect(editor.meter).to_have_text("29 of 96 tokens")


def test_what_a_checkpoint_cannot_do_leads_to_the_regions_concerned(comfy, editor):
    bar = editor.root.locator(".reco-meter-bar")
    expect(bar).to_be_visible()
    editor.fill(1, "Text of", "a red circle")
    expect(remarks(editor).first).not_to_contain_text("dog")
    remarks(editor).first.get_by_role("button", name="select").click()
    assert editor.selected == [0, 2]
    editor.fill(2, "Text of", "very " * 90)
    expect(editor.meter).to_contain_text("region 3 will not fit")
    editor.click((0.95, 0.95))
    editor.root.locator(".reco-meter-line").get_by_role("button", name="select").click()
    assert editor.selected == [2]
    loader = next(node for node in comfy.nodes() if "ckpt_name" in comfy.widgets(node))
    comfy.page.evaluate("id => { app.canvas.graph.remove(harness.node(id)); }", loader)
    comfy.set_value(editor.node, "width", 520)
    expect(editor.meter).to_contain_text("tokens; connect a checkpoint")
    expect(bar).to_be_hidden()  # full of what is not known


# Choices of one, so that each text has one reading.
CHOICES = [
    "a {red|red} circle",
    "{a {large|large}|a {large|large}} square",
    "a \\{literal\\|brace\\} and {x}",
    "two // of {a|b}\nlines {y|y",
    'in "quotes" {"a"|"a"} \\ /* {c|d} */ and } a | b',
]


def test_choices_are_made_as_in_comfyuis_own_text_fields_at_every_queue(comfy, editor):
    own = comfy.add_node("ReCoAddRegion", at=(600, 600))
    box = [0.1, 0.1, 0.5, 0.5]
    regions = [{"text": text, "box": box} for text in (*CHOICES, "{1|2|3|4|5|6|7|8}")]
    hidden = {"text": "{a|a}", "box": box, "hidden": True}
    typed = {"caption": "{f|f} // x", "regions": [*regions, hidden]}
    comfy.set_value(editor.node, "editor", json.dumps(typed))

    def queued() -> dict:
        return json.loads(comfy.prompt()[editor.node]["inputs"]["editor"])

    read = []
    for text in CHOICES:
        comfy.set_value(own, "text", text)
        read.append(comfy.prompt()[own]["inputs"]["text"])
    drawings = [queued() for _ in range(20)]
    assert [region["text"] for region in drawings[0]["regions"][:5]] == read
    assert read[0] == "a red circle"
    assert drawings[0]["caption"] == "f "
    assert drawings[0]["regions"][6]["text"] == "{a|a}"
    assert len({drawing["regions"][5]["text"] for drawing in drawings}) > 1
    # What was typed is what is kept.
    assert editor.texts == [region["text"] for region in typed["regions"]]
    [node] = [n for n in comfy.workflow()["nodes"] if str(n["id"]) == editor.node]
    assert json.loads(node["widgets_values"][2]) == editor.drawing


def test_the_meter_counts_the_longest_choice(editor):
    editor.fill(0, "Text of", "a {small|very very large} cat")
    expect(editor.meter).to_have_text("31 of 96 tokens")
    editor.fill(0, "Text of", TEXTS[0])
    expect(editor.meter).to_have_text("28 of 96 tokens")

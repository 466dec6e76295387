"""Regions without a text: marked before Run, and left out by it or not, as the drawing says."""

from __future__ import annotations

import re

import pytest
from editor_page import EditorPage
from playwright.sync_api import Locator, expect


@pytest.fixture
def editor(farm: EditorPage) -> EditorPage:
    return farm


def notice(editor: EditorPage) -> Locator:
    return editor.root.locator(".reco-textless-notice")


def mark(editor: EditorPage, index: int) -> Locator:
    return editor.rows.nth(index).locator(".reco-tokens")


def test_a_region_without_a_text_is_marked_before_run(editor):
    expect(notice(editor)).to_be_hidden()
    editor.field(0, "Hide").click()
    editor.drag((0.6, 0.6), (0.9, 0.9))
    expect(notice(editor)).to_contain_text("Region 4 has no text:")
    expect(mark(editor, 3)).to_have_text("⚠")
    expect(mark(editor, 3)).to_have_attribute("title", re.compile("no text"))
    expect(editor.rows.nth(3)).to_have_class(re.compile("reco-textless"))
    editor.fill(1, "Text of", "// to be written")  # a comment is no text
    expect(notice(editor)).to_contain_text("Regions 2, 4 have no text:")
    notice(editor).get_by_role("button").click()
    assert editor.selected == [1]
    assert editor.field(1, "Text of").evaluate("area => area === document.activeElement")
    for index in (1, 3):
        editor.fill(index, "Text of", "a hen")
    expect(notice(editor)).to_be_hidden()
    expect(mark(editor, 3)).not_to_contain_text("⚠")


def test_run_leaves_it_out_with_a_warning_or_stops_as_the_drawing_says(comfy, editor):
    reader = comfy.add_node("PreviewAny", at=(600, 0))
    boxes = comfy.add_node("ReCoLayoutToBoxes", at=(600, 300))
    comfy.connect(editor.node, "layout", boxes, "layout")
    comfy.connect(boxes, 0, reader, 0)
    editor.field(0, "Hide").click()
    editor.fill(1, "Text of", "")
    outputs = comfy.queue()["outputs"]
    told = outputs[editor.node]["reco_remarks"][0]["remarks"]
    assert [remark["message"].split(".")[0] for remark in told] == [
        "region 2 is left out: it has no text"
    ]
    assert re.findall('"label": "(.*?)"', outputs[reader]["text"][0]) == ["a cow"]

    editor.choose("Regions without a text", "stop")
    assert editor.drawing["textless"] == "stop"
    with pytest.raises(AssertionError, match="region 2 has no text: write what to paint"):
        comfy.queue()
    comfy.page.keyboard.press("Escape")  # the message's
    comfy.undo()
    assert "textless" not in editor.drawing

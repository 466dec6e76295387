"""Layouts in and out of the editor: as text, from other nodes, from a saved value."""

from __future__ import annotations

import json
import re

import pytest
from editor_page import BOXES, TEXTS
from playwright.sync_api import expect

A = BOXES[0]
FORMS = {"json": '"version"', "authors": "<125>", "diffusers": "<bin125>", "elements": '"bbox"'}


@pytest.fixture
def comfy(shared):
    return shared


@pytest.fixture
def editor(farm):
    return farm


def test_the_layout_is_copied_and_pasted_as_text_in_every_form(comfy, editor):
    root = editor.root
    text, message = (
        root.get_by_label("The layout as text", exact=True),
        root.locator(".reco-exchange-message"),
    )
    seen = {}
    for form in FORMS:
        root.get_by_label("Copy or paste the layout as text").first.click()
        root.get_by_label("Form of the text").select_option(form)
        expect(text).to_have_value(re.compile(FORMS[form]))
        root.get_by_role("button", name="Copy", exact=True).click()
        comfy.page.wait_for_function(
            "message => message.textContent === 'Copied.'", arg=message.element_handle()
        )
        seen[form] = comfy.page.evaluate("() => navigator.clipboard.readText()")
        root.get_by_role("button", name="Replace").click()
        text.wait_for(state="hidden")
        assert editor.texts == TEXTS, form
        assert editor.boxes[0] == pytest.approx(A, abs=0.002)
    assert json.loads(seen["json"])["regions"][0]["text"] == "a cat"
    assert seen["authors"].startswith("a farm <125> <125>")
    assert "<bin125>" in seen["diffusers"]
    assert json.loads(seen["elements"])[0]["bbox"] == pytest.approx([125, 125, 375, 375], abs=2)

    root.get_by_label("Copy or paste the layout as text").first.click()
    text.fill("a field <1> <2> a bird")
    root.get_by_role("button", name="Add", exact=True).click()
    comfy.page.wait_for_function(
        "message => message.textContent.includes('four')", arg=message.element_handle()
    )
    text.fill("<0> <0> <500> <500> a bird")
    root.get_by_role("button", name="Add", exact=True).click()
    text.wait_for(state="hidden")
    assert editor.texts == [*TEXTS, "a bird"]


def test_a_prompt_can_be_pasted_onto_the_canvas(comfy, editor):
    prompt = "a field <100> <200> <300> <400> a bird"
    comfy.page.evaluate("text => navigator.clipboard.writeText(text)", prompt)
    editor.press("Control+v")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-box').length === 4")
    assert editor.texts[3] == "a bird"
    assert editor.boxes[3] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.001)
    assert "The caption was not: a field" in editor.status


def test_an_incoming_layout_seeds_the_editor_and_edits_win_until_it_changes(comfy, editor):
    source = comfy.add_node("ReCoLayoutFromText", at=(-500, 0))
    comfy.set_value(source, "text", "a field <0> <0> <500> <500> a bird")
    comfy.set_value(source, "width", 640)
    comfy.connect(source, "layout", editor.node, "layout")
    taker = comfy.add_node("PreviewAny", at=(600, 0))
    comfy.connect(editor.node, "width", taker, 0)

    def queue_and_wait(text: str) -> None:
        comfy.queue()
        comfy.page.wait_for_function(
            "([node, text]) => harness.widget(node, 'editor').value.includes(text)",
            arg=[editor.node, text],
        )

    queue_and_wait("a bird")
    assert (editor.texts, comfy.value(editor.node, "width")) == (["a bird"], 640)
    editor.fill(0, "Text of", "a large bird")
    queue_and_wait("a large bird")
    assert editor.texts == ["a large bird"]
    comfy.set_value(source, "text", "a field <0> <0> <500> <500> a tree")
    queue_and_wait("a tree")
    assert editor.texts == ["a tree"]
    comfy.undo()
    assert editor.texts == ["a large bird"]


def test_a_value_that_cannot_be_read_is_kept(comfy, editor):
    comfy.set_value(editor.node, "editor", '{"regions": "from a newer version"}')
    assert "cannot be read" in editor.status
    assert comfy.value(editor.node, "editor") == '{"regions": "from a newer version"}'
    editor.drag((0.1, 0.1), (0.5, 0.5))
    assert len(editor.boxes) == 1

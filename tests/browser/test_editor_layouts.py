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


def put_on_clipboard(comfy, text: str) -> None:
    comfy.page.evaluate("text => navigator.clipboard.writeText(text)", text)


def test_json_pasted_onto_the_canvas_is_read_as_everywhere_else(comfy, editor):
    hidden = {"text": "a fox", "box": [0, 0, 0.5, 0.5], "hidden": True}
    seen = {"text": "a bird", "box": [0.1, 0.2, 0.3, 0.4], "shape": "round"}
    put_on_clipboard(comfy, json.dumps({"caption": "", "regions": [hidden, seen]}))
    editor.press("Control+v")
    status = editor.root.locator(".reco-status")
    expect(status).to_contain_text("region 'a fox' is left out: it is hidden")
    expect(status).to_contain_text("'shape' of region 2 is left out")
    assert editor.texts == [*TEXTS, "a bird"]


def test_regions_without_texts_are_copied_and_pasted(comfy, editor):
    editor.drag((0.6, 0.6), (0.8, 0.8))
    editor.press("Control+c", "Control+v")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-box').length === 5")
    assert editor.texts == [*TEXTS, "", ""]


def test_a_text_without_regions_becomes_the_caption_and_destroys_nothing(comfy, editor):
    drawn = editor.regions
    put_on_clipboard(comfy, "a field in spring")
    editor.press("Control+v")
    expect(editor.root.locator(".reco-status")).to_contain_text("it became the caption")
    expect(editor.root.locator(".reco-status")).to_contain_text("The caption was: a farm")
    assert (editor.drawing["caption"], editor.regions) == ("a field in spring", drawn)
    comfy.undo()
    assert (editor.drawing["caption"], editor.regions) == ("a farm", drawn)

    root = editor.root
    root.get_by_label("Copy or paste the layout as text").first.click()
    text = root.get_by_label("The layout as text", exact=True)
    expect(text).to_have_value(re.compile("a cat"))
    text.fill("a field in autumn")
    root.get_by_role("button", name="Replace").click()
    expect(root.locator(".reco-exchange-message")).to_contain_text("it became the caption")
    assert (editor.drawing["caption"], editor.regions) == ("a field in autumn", drawn)
    root.get_by_role("button", name="Add", exact=True).click()
    expect(root.locator(".reco-exchange-message")).to_contain_text("no regions to add")
    assert editor.regions == drawn


REFUSED = [
    '{"caption": "x", "regions": [{"text": "a", "box": [0, 0, 2, 1]}]}',
    '{"caption": "x", "regions": [{"text": "a", "box": [0.5, 0.5, 0.2, 0.9]}]}',
    '{"caption": "x", "regions": [{"text": "a", "box": [0, 0, 1, 1], "weight": "heavy"}]}',
    '{"caption": "x", "regions": {"text": "a"}}',
    "a field <1> <2> <3> a bird",
]


def test_a_text_that_is_refused_changes_nothing_and_says_why(comfy, editor):
    value = comfy.value(editor.node, "editor")
    root = editor.root
    status, message = root.locator(".reco-status"), root.locator(".reco-exchange-message")
    text = root.get_by_label("The layout as text", exact=True)
    for refused in REFUSED:
        put_on_clipboard(comfy, refused)
        editor.press("Control+v")
        expect(status).to_contain_text("This cannot be pasted:")
        why = editor.status.removeprefix("This cannot be pasted: ")
        root.get_by_label("Copy or paste the layout as text").first.click()
        expect(text).to_have_value(re.compile("a cat"))
        text.fill(refused)
        root.get_by_role("button", name="Replace").click()
        expect(message).to_have_text(why)
        expect(text).to_have_value(refused)
        root.get_by_role("button", name="Close").click()
        assert comfy.value(editor.node, "editor") == value
        root.locator(".reco-status").evaluate("status => (status.textContent = '')")


def test_the_menu_is_the_servers_and_names_what_a_form_loses(comfy, editor):
    root = editor.root
    answers = []
    comfy.page.on("response", lambda r: answers.append(r) if "reco/write" in r.url else None)
    root.get_by_label("Copy or paste the layout as text").first.click()
    menu = root.get_by_label("Form of the text").locator("option")
    expect(menu.first).to_be_attached()
    written = answers[0].json()
    assert menu.all_inner_texts() == [form["label"] for form in written.values()]
    message = root.locator(".reco-exchange-message")
    for form, answer in written.items():
        root.get_by_label("Form of the text").select_option(form)
        said = [answer["error"]] if "error" in answer else [r["message"] for r in answer["remarks"]]
        for words in said:
            expect(message).to_contain_text(words)
    assert any(answer.get("remarks") for answer in written.values())
    comfy.screenshot("editor-exchange", editor.node)


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

"""Layouts in and out of the editor: as text, from other nodes, from a saved value."""

from __future__ import annotations

import json
import re

import pytest
from editor_page import BOXES, TEXTS
from playwright.sync_api import Locator, expect

A = BOXES[0]
FORMS = {"json": '"version"', "authors": "<125>", "diffusers": "<bin125>", "elements": '"bbox"'}


@pytest.fixture
def editor(farm):
    return farm


def open_panel(editor) -> tuple[Locator, Locator]:
    """The panel's text and message, when the drawing stands there as text."""
    root = editor.root
    root.get_by_label("Copy or paste the layout as text").first.click()
    text = root.get_by_label("The layout as text", exact=True)
    expect(text).to_have_value(re.compile("a cat"))
    return text, root.locator(".reco-exchange-message")


def press(editor, name: str) -> None:
    editor.root.get_by_role("button", name=name, exact=True).click()


def test_the_layout_is_copied_and_pasted_as_text_in_every_form(comfy, editor):
    seen = {}
    for form in FORMS:
        text, message = open_panel(editor)
        editor.root.get_by_label("Form of the text").select_option(form)
        expect(text).to_have_value(re.compile(FORMS[form]))
        press(editor, "Copy")
        expect(message).to_have_text("Copied.")
        seen[form] = comfy.page.evaluate("() => navigator.clipboard.readText()")
        text.fill("")
        text.fill(seen[form])
        press(editor, "Replace")
        text.wait_for(state="hidden")
        assert editor.texts == TEXTS, form
        assert editor.boxes[0] == pytest.approx(A, abs=0.002)
    assert json.loads(seen["json"])["regions"][0]["text"] == "a cat"
    assert '\n    {"text": "a cat", "box": [0.125, ' in seen["json"]
    assert seen["authors"].startswith("a farm <125> <125>")
    assert "<bin125>" in seen["diffusers"]
    assert json.loads(seen["elements"])[0]["bbox"] == pytest.approx([125, 125, 375, 375], abs=2)

    text, message = open_panel(editor)
    text.fill("a field <1> <2> a bird")
    expect(message).to_contain_text("four")
    expect(editor.root.get_by_role("button", name="Replace")).to_be_disabled()
    text.fill("<0> <0> <500> <500> a bird")
    press(editor, "Add")
    text.wait_for(state="hidden")
    assert editor.texts == [*TEXTS, "a bird"]


def test_forms_can_be_chosen_of_the_drawings_own_text_alone(comfy, editor):
    text, _ = open_panel(editor)
    forms, own = editor.root.get_by_label("Form of the text"), text.input_value()
    text.fill("a field in spring")
    expect(forms).to_be_hidden()
    text.fill(own)
    expect(forms).to_be_visible()


def test_what_was_read_is_shown_before_it_replaces_anything(comfy, editor):
    value = comfy.value(editor.node, "editor")
    text, message = open_panel(editor)
    expect(editor.root.get_by_role("button", name="Replace")).to_be_disabled()
    bird = {"text": "a bird", "box": [0.1, 0.2, 0.3, 0.4], "shape": "round"}
    tree = {"text": "a tree", "box": [0.5, 0.25, 1, 1], "weight": 1.5, "color": "#123456"}
    layout = {"caption": "a field", "width": 640, "height": 320, "regions": [bird, tree]}
    text.fill(f"Here you are:\n```json\n{json.dumps(layout)}\n```")
    shown = editor.root.get_by_role("group", name="What was read")
    for words in ("a field", "2 regions, 640 × 320 px", "a bird", "x 320, y 80, 320 × 240 px"):
        expect(shown).to_contain_text(words)
    expect(shown).to_contain_text("weight 1.5")
    expect(message).to_contain_text("'shape' of region 1 is left out")
    picture = shown.locator(".reco-preview-picture").bounding_box()
    box = shown.locator(".reco-preview-box").nth(1).bounding_box()
    assert picture["width"] == pytest.approx(2 * picture["height"], rel=0.02)
    assert (box["x"] - picture["x"]) / picture["width"] == pytest.approx(0.5, abs=0.02)
    assert box["width"] / picture["width"] == pytest.approx(0.5, abs=0.02)
    assert comfy.value(editor.node, "editor") == value
    comfy.screenshot("editor-preview", editor.node)
    text.fill("")
    expect(editor.root.get_by_role("button", name="Replace")).to_be_disabled()
    text.fill(json.dumps(layout))
    press(editor, "Replace")
    assert (editor.texts, comfy.value(editor.node, "width")) == (["a bird", "a tree"], 640)
    assert "2 regions instead of 3 regions" in editor.status


def replace_by(editor, width: int, height: int) -> None:
    editor.root.get_by_label("Copy or paste the layout as text").first.click()
    text = editor.root.get_by_label("The layout as text", exact=True)
    expect(text).to_have_value(re.compile("version"))
    bird = {"text": "a bird", "box": [0, 0, 0.5, 0.5]}
    text.fill(json.dumps({"width": width, "height": height, "regions": [bird]}))
    press(editor, "Replace")


def test_a_layout_changes_no_side_where_another_comes_in_by_a_link(comfy, editor):
    number = comfy.add_node("PrimitiveInt", at=(-500, 0))
    comfy.set_value(number, "value", 640)
    comfy.connect(number, 0, editor.node, "width")
    replace_by(editor, 256, 256)
    assert (editor.texts, comfy.value(editor.node, "height")) == (["a bird"], 512)
    assert "The picture stays 640 × 512, where the layout's is 256 × 256" in editor.status
    replace_by(editor, 640, 320)
    assert comfy.value(editor.node, "height") == 320
    assert "stays" not in editor.status


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


@pytest.mark.parametrize("keys", [("Control+d",), ("Control+c", "Control+v")])
def test_copies_keep_their_color_and_stay_hidden_and_are_not_locked(comfy, editor, keys):
    value = editor.drawing
    value["regions"] = [{**value["regions"][0], "color": "#123456", "hidden": True, "locked": True}]
    comfy.set_value(editor.node, "editor", json.dumps(value))
    editor.press("PageDown", *keys)
    editor.root.locator(".reco-row").nth(1).wait_for()
    copy = editor.regions[1]
    assert (copy["color"], copy["hidden"], "locked" in copy) == ("#123456", True, False)


def test_a_text_without_regions_becomes_the_caption_and_destroys_nothing(comfy, editor):
    drawn = editor.regions
    put_on_clipboard(comfy, "a field in spring")
    editor.press("Control+v")
    shown = editor.root.get_by_role("group", name="What was read")
    expect(shown).to_contain_text("a field in spring")
    assert (editor.drawing["caption"], editor.regions) == ("a farm", drawn)
    expect(editor.root.get_by_role("button", name="Add", exact=True)).to_be_disabled()
    press(editor, "Use as caption")
    assert "it became the caption" in editor.status
    assert "The caption was: a farm" in editor.status
    assert (editor.drawing["caption"], editor.regions) == ("a field in spring", drawn)
    comfy.undo()
    assert (editor.drawing["caption"], editor.regions) == ("a farm", drawn)

    editor.write_caption("")  # nothing is replaced then
    put_on_clipboard(comfy, "a field in autumn")
    editor.press("Control+v")
    expect(editor.root.locator(".reco-status")).to_contain_text("it became the caption")
    assert (editor.drawing["caption"], editor.regions) == ("a field in autumn", drawn)


REFUSED = [
    '{"caption": "x", "regions": [{"text": "a", "box": [0, 0, 2, 1]}]}',
    '{"caption": "x", "regions": [{"text": "a", "box": [0.5, 0.5, 0.2, 0.9]}]}',
    '{"caption": "x", "regions": [{"text": "a", "box": [0, 0, 1, 1], "weight": "heavy"}]}',
    '{"caption": "x", "regions": {"text": "a"}}',
    "a field <1> <2> <3> a bird",
]


def test_a_text_that_is_refused_changes_nothing_and_says_why(comfy, editor):
    value = comfy.value(editor.node, "editor")
    status = editor.root.locator(".reco-status")
    for refused in REFUSED:
        put_on_clipboard(comfy, refused)
        editor.press("Control+v")
        expect(status).to_contain_text("This cannot be pasted:")
        why = editor.status.removeprefix("This cannot be pasted: ")
        text, message = open_panel(editor)
        text.fill(refused)
        expect(message).to_have_text(why)
        for button in ("Replace", "Add"):
            expect(editor.root.get_by_role("button", name=button, exact=True)).to_be_disabled()
        press(editor, "Close")
        assert comfy.value(editor.node, "editor") == value
        status.evaluate("status => (status.textContent = '')")


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


def test_a_drawing_that_cannot_be_read_is_kept_and_can_be_mended_or_left(comfy, editor):
    newer = '{"version": 2, "regions": [{"text": "a cat", "box": [0, 0, 1, 1]}]}'
    comfy.set_value(editor.node, "editor", newer)
    said = editor.root.get_by_role("alert")
    expect(said).to_contain_text("its version is 2, newer than this ReCo reads (1): update ReCo")
    comfy.screenshot("editor-unreadable", editor.node)
    editor.drag((0.1, 0.1), (0.5, 0.5))
    comfy.page.keyboard.press("Insert")
    assert comfy.value(editor.node, "editor") == newer
    assert comfy.prompt()[editor.node]["inputs"]["editor"] == newer
    press(editor, "Show its text")
    text = editor.root.get_by_label("The layout as text", exact=True)
    expect(text).to_have_value(newer)
    expect(editor.root.locator(".reco-exchange-message")).to_contain_text("update ReCo")
    text.fill(newer.replace("2", "1", 1))
    press(editor, "Replace")
    assert editor.texts == ["a cat"]

    heavy = '{"regions": [{"text": "a cat", "box": [0, 0, 1, 1], "weight": "heavy"}]}'
    comfy.set_value(editor.node, "editor", heavy)
    expect(said).to_contain_text('the weight of region 1 is not a number: "heavy"')
    press(editor, "Draw anew")
    expect(said).to_be_hidden()
    editor.drag((0.1, 0.1), (0.5, 0.5))
    assert len(editor.boxes) == 1

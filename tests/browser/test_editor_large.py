"""Room: the editor over all of ComfyUI, and zooming and panning in its canvas."""

from __future__ import annotations

import json

import pytest
from comfy_page import ComfyPage
from editor_page import BOXES, EditorPage
from playwright.sync_api import Locator, expect


@pytest.fixture
def editor(farm: EditorPage) -> EditorPage:
    return farm


def area(editor: EditorPage) -> float:
    box = editor.stage.bounding_box()
    return box["width"] * box["height"]


def graph(comfy: ComfyPage) -> list[float]:
    return comfy.page.evaluate("() => [app.canvas.ds.scale, ...app.canvas.ds.offset]")


def test_the_large_view_has_room_for_all_that_the_node_has(comfy, editor):
    before, graph_before = area(editor), graph(comfy)
    editor.root.get_by_role("button", name="Large view (Alt+Enter)").click()
    expect(editor.root).to_have_attribute("role", "dialog")
    assert area(editor) > 3 * before
    comfy.page.screenshot(path=f"output/browser/canvas-full-{comfy.renderer}.png")
    editor.drag((0.8, 0.8), (0.9, 0.9))
    editor.type("a hen")
    comfy.page.keyboard.press("Enter")
    assert editor.texts[3] == "a hen"
    for _ in range(30):  # the focus never leaves it
        comfy.page.keyboard.press("Tab")
        assert editor.root.evaluate("all => all.contains(document.activeElement)")
    comfy.page.mouse.move(800, 500)
    comfy.page.mouse.wheel(0, -300)
    assert graph(comfy) == graph_before
    editor.press("Escape")
    expect(editor.root).to_have_attribute("role", "group")
    assert area(editor) == pytest.approx(before, rel=0.01)
    assert editor.texts[3] == "a hen" and comfy.nodes() == [editor.node]


def test_undo_works_in_the_large_view_and_leaves_it_open(comfy, editor):
    editor.press("Alt+Enter")
    editor.drag((0.8, 0.8), (0.9, 0.9))
    editor.travel("Control+z", "undo")
    comfy.page.wait_for_function("() => document.querySelector('dialog.reco-editor:modal')")
    assert editor.boxes == BOXES
    comfy.page.keyboard.press("Control+y")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-box').length === 4")
    comfy.page.wait_for_function("() => document.querySelector('dialog.reco-editor:modal')")
    comfy.page.keyboard.press("Escape")
    comfy.page.wait_for_function("() => !document.querySelector('dialog.reco-editor:modal')")
    assert len(editor.boxes) == 4


@pytest.mark.parametrize("field", [".reco-stage", ".reco-caption"])
def test_saving_leaves_it_for_what_comfyui_asks(comfy, editor, field):
    """A workflow that was never saved needs a name."""
    editor.press("Alt+Enter")
    editor.root.locator(field).focus()
    comfy.page.keyboard.press("Control+s")
    comfy.page.wait_for_function(
        "() => document.activeElement.matches('[role=dialog]:not(.reco-editor) input')"
    )
    expect(editor.root).to_have_attribute("role", "group")
    comfy.page.keyboard.press("Control+a")
    comfy.page.keyboard.type("zoo")
    assert comfy.page.evaluate("() => document.activeElement.value") == "zoo"
    comfy.page.keyboard.press("Escape")
    comfy.page.wait_for_function("() => !document.activeElement.matches('input')")


def status(editor: EditorPage) -> Locator:
    return editor.root.locator(".reco-status")


def test_what_a_run_is_refused_for_is_said_in_it(comfy, editor):
    words = comfy.add_node("ReCoLayoutToText", at=(700, 0))
    shown = comfy.add_node("PreviewAny", at=(1000, 0))
    comfy.connect(editor.node, "layout", words, "layout")
    comfy.connect(words, 0, shown, 0)
    editor.fill(0, "Text of", "")
    editor.choose("Regions without a text", "stop")
    editor.press("Alt+Enter")
    comfy.page.keyboard.press("Control+Enter")
    expect(status(editor)).to_contain_text(
        "Run is refused. ReCo Layout Editor: region 1 has no text"
    )
    assert editor.root.get_attribute("role") == "dialog"
    editor.choose("Regions without a text", "leave out")
    editor.stage.focus()
    comfy.page.keyboard.press("Control+Enter")
    expect(status(editor)).to_be_empty()
    editor.press("Escape")


def test_where_a_run_failed_is_said_in_it(comfy, editor):
    chain = ("PrimitiveString", "ReCoLayoutFromText", "ReCoLayoutToText", "PreviewAny")
    nodes = [comfy.add_node(type, at=(700 + 300 * i, 0)) for i, type in enumerate(chain)]
    comfy.set_value(nodes[0], "value", '{"version": 9, "regions": []}')
    for source, target, name in zip(nodes, nodes[1:], ("text", "layout", "source"), strict=False):
        comfy.connect(source, 0, target, name)
    editor.press("Alt+Enter")
    comfy.page.keyboard.press("Control+Enter")
    expect(status(editor)).to_contain_text("Run failed at ReCo Layout From Text:")
    editor.press("Escape")


def test_the_canvas_is_zoomed_and_panned_in_the_node(comfy, editor):
    comfy.set_value(editor.node, "width", 2048)
    comfy.set_value(editor.node, "height", 64)
    comfy.show(editor.node)
    mouse, keyboard = comfy.page.mouse, comfy.page.keyboard
    narrow, graph_before = editor.stage.bounding_box(), graph(comfy)
    frame = editor.root.locator(".reco-frame").bounding_box()
    middle = (frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    mouse.move(*middle)
    keyboard.down("Control")
    for _ in range(8):
        mouse.wheel(0, -200)
    keyboard.up("Control")
    comfy.page.wait_for_function(
        "([stage, least]) => stage.getBoundingClientRect().height > least",
        arg=[editor.stage.element_handle(), 5 * narrow["height"]],
    )
    comfy.page.evaluate("() => harness.frames()")
    zoomed = editor.stage.bounding_box()
    percent = float(editor.root.locator(".reco-percent").inner_text().split()[0])
    assert percent == pytest.approx(100 * zoomed["width"] / 2048, abs=1)

    mouse.move(middle[0] + 60, middle[1])
    editor.root.locator(".reco-caption").focus()
    keyboard.press("Control+a")  # Linux pastes what is selected by the middle button
    editor.stage.focus()
    keyboard.down(" ")
    mouse.down()
    mouse.move(middle[0], middle[1])
    mouse.up()
    keyboard.up(" ")
    panned = editor.stage.bounding_box()
    assert panned["x"] == pytest.approx(zoomed["x"] - 60, abs=1.5)
    mouse.down(button="middle")
    mouse.move(middle[0] + 30, middle[1])
    mouse.up(button="middle")
    assert editor.stage.bounding_box()["x"] == pytest.approx(panned["x"] + 30, abs=1.5)
    assert graph(comfy) == graph_before and editor.boxes == BOXES

    start, end = ((middle[0] + dx, middle[1] + dy) for dx, dy in ((-150, -10), (-90, 10)))
    mouse.move(*start)
    mouse.down()
    mouse.move(*end, steps=3)
    mouse.up()
    stage = editor.stage.bounding_box()
    drawn = editor.boxes[-1]
    assert len(editor.boxes) == len(BOXES) + 1
    assert drawn[0] == pytest.approx((start[0] - stage["x"]) / stage["width"], abs=8 / 2048)
    assert drawn[2] == pytest.approx((end[0] - stage["x"]) / stage["width"], abs=8 / 2048)

    editor.root.get_by_role("button", name="100 %").click()
    assert editor.stage.bounding_box()["width"] == pytest.approx(2048, rel=0.01)
    editor.root.get_by_role("button", name="fit").click()
    assert editor.stage.bounding_box()["width"] == pytest.approx(narrow["width"], rel=0.01)


def test_forty_boxes_are_told_apart_in_the_large_view(comfy, editor):
    regions = [
        {"text": f"thing {i}", "box": [x / 8, y / 5, x / 8 + 0.1, y / 5 + 0.17]}
        for i, (x, y) in enumerate((x, y) for x in range(8) for y in range(5))
    ]
    comfy.set_value(editor.node, "editor", json.dumps({"regions": regions}))
    editor.press("Alt+Enter")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-inside').length === 40")
    editor.press("Escape")

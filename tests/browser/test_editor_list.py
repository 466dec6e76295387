"""The list of regions: what it shows of them, how it scrolls, and the room it leaves."""

from __future__ import annotations

import json

import pytest
from comfy_page import front_end_is_from
from editor_page import EditorPage
from playwright.sync_api import expect

LONG = "a brown dog with a red collar that sits on green grass in front of an old house " * 2


@pytest.fixture
def editor(farm: EditorPage) -> EditorPage:
    return farm


def hidden_part(field) -> tuple[int, int]:
    """Pixels of a field's content that are not to be seen, across and down."""
    return tuple(
        field.evaluate("f => [f.scrollWidth - f.clientWidth, f.scrollHeight - f.clientHeight]")
    )


def draw_many(editor: EditorPage, count: int) -> None:
    regions = [{"text": f"thing {i}", "box": [0.1, 0.1, 0.4, 0.4]} for i in range(count)]
    editor.comfy.set_value(editor.node, "editor", json.dumps({"caption": "", "regions": regions}))


def test_numbers_are_shown_whole_of_the_selected_region_or_of_all(comfy, editor):
    numbers = [editor.field(index, "Width of") for index in range(3)]
    assert not any(number.is_visible() for number in numbers)
    editor.click((0.625, 0.25))
    assert [number.is_visible() for number in numbers] == [False, True, False]
    for unit, box, left in (
        ("px", [1419.5 / 2048, 0, 1, 1], "1419.5"),
        ("fraction", [0.3517, 0.1234, 0.9, 1], "0.3517"),
        ("thousandths", [0.1234, 0, 1, 0.9876], "123.4"),
    ):
        editor.choose("Unit of the numbers", unit)
        comfy.set_value(editor.node, "width", 2048)
        drawing = {"caption": "", "regions": [{"text": "a", "box": b} for b in ([0, 0, 1, 1], box)]}
        comfy.set_value(editor.node, "editor", json.dumps(drawing))
        assert editor.field(1, "Left edge of").input_value() == left
        for name in ("Left edge of", "Top edge of", "Width of", "Height of", "Weight of"):
            field = editor.field(1, name)
            assert hidden_part(field)[0] <= 0, (unit, name, field.input_value())
    toggle = editor.root.get_by_role("button", name="Numbers of all regions")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    for index in (0, 1):
        for name in ("Left edge of", "Top edge of", "Width of", "Height of"):
            assert hidden_part(editor.field(index, name))[0] <= 0
    toggle.click()
    assert not editor.field(0, "Width of").is_visible()


def test_a_row_shows_the_whole_of_a_longer_text(editor):
    field = editor.field(1, "Text of")
    short = field.bounding_box()["height"]
    field.fill(LONG)
    assert field.bounding_box()["height"] > 1.8 * short
    assert hidden_part(field) == (0, 0)
    assert field.get_attribute("dir") == "auto"


def test_a_new_row_is_scrolled_to_and_the_page_stays_where_it_is(comfy, editor):
    draw_many(editor, 20)
    before = editor.stage.bounding_box()
    editor.drag((0.7, 0.7), (0.9, 0.9))
    shown, row = (
        editor.root.locator(".reco-list").bounding_box(),
        editor.rows.nth(20).bounding_box(),
    )
    assert shown["y"] <= row["y"] and row["y"] + row["height"] <= shown["y"] + shown["height"] + 1
    assert editor.stage.bounding_box() == before


def test_the_wheel_over_the_list_scrolls_it_and_never_the_graph(comfy, editor):
    draw_many(editor, 20)
    view = "() => [app.canvas.ds.scale, ...app.canvas.ds.offset]"
    before = comfy.page.evaluate(view)
    shown = editor.root.locator(".reco-list")
    comfy.hover(shown.bounding_box())
    top = "list => list.scrollTop"
    for _ in range(3):
        comfy.page.mouse.wheel(0, 400)
    comfy.page.wait_for_function(
        "node => { const list = harness.widget(node, 'editor').element.querySelector('.reco-list');"
        " return list.scrollTop + list.clientHeight > list.scrollHeight - 2; }",
        arg=editor.node,
    )
    for _ in range(3):
        comfy.page.mouse.wheel(0, 400)  # there is nothing more
    comfy.page.wait_for_timeout(200)
    assert shown.evaluate(top) > 100
    assert comfy.page.evaluate(view) == before
    comfy.hover(editor.stage.bounding_box())
    comfy.page.mouse.wheel(0, 400)
    comfy.page.wait_for_function(f"before => String(({view})()) !== before", arg=str(before))


def test_the_canvas_takes_the_width_and_regions_do_not_make_the_node_grow(comfy, editor):
    stage, root = editor.stage.bounding_box(), editor.root.bounding_box()
    assert stage["width"] >= 0.97 * root["width"]
    assert stage["height"] == pytest.approx(stage["width"], rel=0.02)
    rows = editor.rows.evaluate_all("rows => rows.filter(row => row.offsetParent).length")
    assert rows == 3
    before = comfy.rect(editor.node)
    draw_many(editor, 40)
    assert comfy.rect(editor.node)["height"] == pytest.approx(before["height"], abs=2)
    assert editor.stage.bounding_box() == stage


@pytest.mark.skipif(not front_end_is_from(1, 40), reason="ComfyUI before 1.40 has no such editor")
@pytest.mark.parametrize("renderer", ["vue"])
def test_the_canvas_is_no_smaller_than_that_of_comfyuis_own_editor(comfy, editor):
    """Both at a node width of 480, for a square picture."""
    own = comfy.add_node("CreateBoundingBoxes", at=(700, 0))
    for node in (editor.node, own):
        comfy.page.evaluate("id => harness.node(id).setSize([480, 900])", node)
    comfy.show(editor.node, own)
    canvas = comfy.page.locator(f'[data-node-id="{own}"] canvas').bounding_box()
    stage = editor.stage.bounding_box()
    assert stage["width"] * stage["height"] >= 0.99 * canvas["width"] * canvas["height"]


def box_of(*numbers: float) -> list[float]:
    x, y, width, height = (number / 512 for number in numbers)
    return [round(edge, 4) for edge in (x, y, x + width, y + height)]


def test_a_space_goes_on_to_the_next_number_and_all_four_are_meant_together(comfy, editor):
    editor.click((0.625, 0.25))
    editor.field(1, "Left edge of").click(click_count=3)
    editor.type("37 53 150 91")
    comfy.page.keyboard.press("Enter")
    assert editor.boxes[1] == box_of(37, 53, 150, 91)
    # There is no room for this place before the box has this size.
    editor.field(1, "Left edge of").click(click_count=3)
    editor.type("450 60 40 30 ")
    assert editor.boxes[1] == box_of(450, 60, 40, 30)
    assert editor.status == ""


def test_pasted_numbers_fill_the_fields_and_what_is_none_is_refused(comfy, editor):
    def paste(text: str) -> None:
        comfy.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        comfy.page.keyboard.press("Control+v")

    editor.click((0.625, 0.25))
    editor.field(1, "Left edge of").click(click_count=3)
    paste("[450, 60, 40, 30]")
    assert editor.boxes[1] == box_of(450, 60, 40, 30)
    for text in ("0,35", "37px", "1 2 3 4 5", "1,2,3,4"):
        paste(text)
        assert f'"{text}" cannot be pasted here' in editor.status
    assert editor.boxes[1] == box_of(450, 60, 40, 30)
    editor.field(1, "Left edge of").click(click_count=3)
    paste("12")
    comfy.page.keyboard.press("Enter")
    assert editor.boxes[1] == box_of(12, 60, 40, 30)


def test_what_region_settings_have_set_is_told_in_the_row_and_kept(comfy, editor):
    control = {"strength": 2, "end": 0.5, "negative": "a cat"}
    regions = [
        {"text": "a dog", "box": [0, 0, 0.5, 0.5], **control},
        {"text": "a", "box": [0, 0, 1, 1]},
    ]
    comfy.set_value(editor.node, "editor", json.dumps({"caption": "", "regions": regions}))
    words = "For ReCo Control: strength 2, from 0 % to 50 %, without a cat"
    expect(editor.rows.first.get_by_label(words)).to_be_visible()
    expect(editor.rows.nth(1).get_by_label("For ReCo Control")).to_have_count(0)
    comfy.screenshot("editor-control", editor.node)
    editor.fill(0, "Width of", "100")
    assert editor.regions[0].items() >= control.items()
    queued = json.loads(comfy.prompt()[editor.node]["inputs"]["editor"])
    assert queued["regions"][0].items() >= control.items()

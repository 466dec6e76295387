"""Mouse and keyboard on the editor's canvas."""

from __future__ import annotations

import json
import re

import pytest
from comfy_page import ComfyPage
from editor_page import EditorPage
from playwright.sync_api import Page, expect

A, B, C = [0.125, 0.125, 0.375, 0.375], [0.5, 0.125, 0.75, 0.375], [0.125, 0.5, 0.375, 0.75]
IN_A, IN_B, IN_C = (0.25, 0.25), (0.625, 0.25), (0.25, 0.625)
SHOWN = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
"""Resolves when what has happened until now is on the screen."""


@pytest.fixture
def editor(comfy: ComfyPage) -> EditorPage:
    node = comfy.add_node("ReCoLayoutEditor", at=(0, 0))
    comfy.show(node)
    return EditorPage(comfy, node)


def draw(editor: EditorPage, *boxes: list[float]) -> None:
    for x0, y0, x1, y1 in boxes:
        editor.drag((x0, y0), (x1, y1), hold="Control")


def test_drawing_snaps_to_cells_unless_alt_is_held_and_ends_at_the_border(editor):
    editor.drag((0.101, 0.099), (0.302, 0.301))
    assert editor.boxes == [[0.0938, 0.0938, 0.2969, 0.2969]]  # 48 and 152 px
    editor.drag((0.5, 0.5), (1.3, 0.8), then_hold="Alt")
    x0, y0, x1, y1 = editor.boxes[1]
    assert (x1, y0 % (8 / 512) == 0 and y1 % (8 / 512) == 0) == (1, False)
    editor.drag((0.7, 0.1), (0.703, 0.101))  # no larger than a click
    assert len(editor.boxes) == 2


def test_edges_snap_to_other_boxes(editor):
    draw(editor, A)
    editor.choose("Snap edges to a grid (hold Alt to draw freely)", "off")
    editor.drag((0.379, 0.6), (0.8, 0.9))
    assert editor.boxes[1][0] == A[2]
    editor.root.get_by_label("boxes", exact=True).uncheck()
    editor.drag((0.379, 0.1), (0.8, 0.3))
    assert editor.boxes[2][0] == pytest.approx(0.379, abs=0.004)
    assert editor.boxes[2][0] != A[2]


HANDLES = {
    "nw": [0.25, 0.1875, 0.375, 0.375],
    "n": [0.125, 0.1875, 0.375, 0.375],
    "ne": [0.125, 0.1875, 0.5, 0.375],
    "e": [0.125, 0.125, 0.5, 0.375],
    "se": [0.125, 0.125, 0.5, 0.4375],
    "s": [0.125, 0.125, 0.375, 0.4375],
    "sw": [0.25, 0.125, 0.375, 0.4375],
    "w": [0.25, 0.125, 0.375, 0.375],
}


def test_eight_handles_scale_and_undo_takes_each_back(comfy, editor):
    draw(editor, A)
    for handle, expected in HANDLES.items():
        x, y = editor.handle(handle)
        editor.drag((x, y), (x + 0.125, y + 0.0625))
        assert editor.boxes == [expected], handle
        comfy.undo()
        assert editor.boxes == [A]
        editor.click(IN_A)


def test_an_edge_of_a_box_that_is_not_selected_can_be_pulled_at_once(editor):
    draw(editor, A)
    editor.press("Escape")
    editor.drag((A[2] - 0.004, 0.25), (0.5, 0.25))
    assert (editor.boxes, editor.selected) == ([[0.125, 0.125, 0.5, 0.375]], [0])
    editor.press("Escape")
    editor.drag(IN_A, (0.375, 0.25))  # its middle moves it
    assert editor.boxes[0][2] - editor.boxes[0][0] == 0.375


def test_a_box_flips_when_an_edge_crosses_and_keeps_a_least_size(editor):
    draw(editor, A)
    x, y = editor.handle("e")
    editor.drag((x, y), (0.0625, y))
    assert editor.boxes == [[0.0625, 0.125, 0.125, 0.375]]
    x, y = editor.handle("w")
    editor.drag((x, y), (x + 0.0615, y), then_hold="Alt")
    assert editor.boxes == [[0.1094, 0.125, 0.125, 0.375]]  # 8 px


def test_several_are_selected_moved_and_scaled_together(editor):
    draw(editor, A, B, C)
    editor.click(IN_A)
    editor.click(IN_B, hold=["Shift"])
    assert editor.selected == [0, 1]
    editor.drag(IN_A, (0.25, 0.3125))
    assert editor.boxes == [[0.125, 0.1875, 0.375, 0.4375], [0.5, 0.1875, 0.75, 0.4375], C]
    editor.drag((0.05, 0.05), (0.6, 0.95), hold="Shift")  # a marquee adds
    assert editor.selected == [0, 1, 2]
    x, y = editor.handle("se")
    editor.drag((x, y), (x + 0.125, y))
    assert editor.boxes == [
        [0.125, 0.1875, 0.425, 0.4375],
        [0.575, 0.1875, 0.875, 0.4375],
        [0.125, 0.5, 0.425, 0.75],
    ]
    editor.click(IN_A, hold=["Shift"])
    assert editor.selected == [1, 2]


def test_moving_stops_at_the_border_with_the_size_kept(editor):
    draw(editor, A, B)
    editor.press("Control+a")
    editor.drag(IN_A, (-0.9, -0.9))
    assert editor.boxes == [[0, 0, 0.25, 0.25], [0.375, 0, 0.625, 0.25]]


def test_control_draws_over_a_box_and_alt_goes_through_a_stack(editor):
    outer, inner = [0.125, 0.125, 0.875, 0.875], [0.25, 0.25, 0.625, 0.625]
    draw(editor, outer, inner, outer)
    assert len(editor.boxes) == 3
    editor.click((0.05, 0.05))
    order = []
    for _ in range(4):
        editor.click((0.5, 0.5), hold=["Alt"])
        order += editor.selected
    assert order == [1, 2, 0, 1]  # the smallest first, then the topmost


def test_keys_nudge_grow_duplicate_and_delete(comfy, editor):
    draw(editor, A)
    pixel = 1 / 512
    editor.press("ArrowRight", "Shift+ArrowDown")
    assert editor.boxes == [
        [
            round(edge, 4)
            for edge in (A[0] + pixel, A[1] + 8 * pixel, A[2] + pixel, A[3] + 8 * pixel)
        ]
    ]
    editor.press("Control+ArrowRight")
    assert editor.boxes[0][2] == round(A[2] + 2 * pixel, 4)
    editor.press("Control+d")
    assert (len(editor.boxes), editor.selected) == (2, [1])
    assert editor.boxes[0] != editor.boxes[1]
    editor.press("PageUp", "Delete")
    assert (len(editor.boxes), editor.selected) == (1, [0])
    editor.press("Backspace")
    assert editor.boxes == []
    editor.press("Delete", "Backspace")
    assert comfy.nodes() == [editor.node]
    editor.press("Insert")
    assert editor.boxes == [[0.3, 0.3, 0.7, 0.7]]


def test_a_copied_group_is_pasted_under_the_pointer_with_its_shape(comfy, editor):
    draw(editor, A, B)
    nodes = comfy.nodes()
    editor.press("Control+a", "Control+c")
    comfy.page.mouse.move(*editor.at((0.5, 0.75)))
    editor.press("Control+v")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-box').length === 4")
    first, second = editor.boxes[2:]
    assert first[0] + second[2] == pytest.approx(1, abs=0.01)
    assert first[1] + first[3] == pytest.approx(1.5, abs=0.01)
    assert second[0] - first[0] == pytest.approx(B[0] - A[0], abs=1e-3)
    assert editor.selected == [2, 3]
    assert comfy.nodes() == nodes  # ComfyUI has not pasted nodes
    editor.press("Control+x")
    assert editor.boxes == [A, B]


def test_escape_ends_a_drag_as_if_it_had_not_been(comfy, editor):
    draw(editor, A)
    mouse = comfy.page.mouse
    marks = editor.stage.locator(".reco-marquee:visible, .reco-line:visible")
    assert marks.count() == 0
    mouse.move(*editor.at(IN_A))
    mouse.down()
    mouse.move(*editor.at((0.375, 0.6)))  # its right edge comes to the middle
    assert marks.count() == 1
    mouse.move(*editor.at((0.6, 0.6)))
    shown = editor.stage.locator(".reco-box")
    assert shown.evaluate("box => box.style.left") != "12.5%"
    assert editor.boxes == [A]  # it counts when it has ended
    comfy.page.keyboard.press("Escape")
    assert shown.evaluate("box => box.style.left") == "12.5%"
    assert marks.count() == 0
    mouse.up()
    assert editor.boxes == [A]


def test_a_drag_is_one_step_of_undo_although_a_key_is_let_go_in_its_midst(comfy, editor):
    draw(editor, A)
    before = comfy.page.evaluate("() => harness.history().undo")
    mouse, keyboard = comfy.page.mouse, comfy.page.keyboard
    mouse.move(*editor.at((0.5, 0.5)))
    keyboard.down("Control")
    mouse.down()
    mouse.move(*editor.at((0.6, 0.6)))
    keyboard.up("Control")
    keyboard.press("Delete")
    mouse.move(*editor.at((0.75, 0.75)))
    mouse.up()
    assert editor.boxes == [A, [0.5, 0.5, 0.75, 0.75]]
    assert comfy.page.evaluate("() => harness.history().undo") == before + 1


def test_a_double_click_edits_the_text_in_place(comfy, editor):
    draw(editor, A)
    for text, key in (("a cat", "Enter"), ("a dog", "Escape")):
        editor.double_click(IN_A)
        editor.type(text)
        comfy.page.keyboard.press(key)
        assert editor.texts == ["a cat"]
    editor.type("a horse")  # typing begins anew
    editor.click((0.9, 0.9))
    assert editor.texts == ["a horse"]


def test_texts_are_shown_as_text(comfy, editor):
    draw(editor, A)
    evil = "<img src=x onerror='window.evil = true'><b>bold</b>"
    editor.type(evil)
    comfy.page.keyboard.press("Enter")
    editor.write_caption(evil)
    assert editor.texts == [evil]
    assert evil in editor.stage.locator(".reco-words").inner_text()
    assert editor.root.locator("b, img[src=x]").count() == 0
    assert comfy.page.evaluate("() => window.evil") is None


DRAGGING = """([node, x, y]) => {
    const stage = harness.widget(node, "editor").element.querySelector(".reco-stage");
    const send = (name, x, y) => stage.dispatchEvent(new PointerEvent(name, {
        clientX: x, clientY: y, button: 0, buttons: 1, bubbles: true, pointerId: 1 }));
    stage.setPointerCapture = () => {};  // there is no such pointer
    send("pointerdown", x, y);
    for (let step = 1; step <= 30; step++) {
        send("pointermove", x + 5 + step / 2, y + step / 3);
        stage.getBoundingClientRect();  // lay out
    }
    send("pointerup", x, y);
}"""
PLAIN = """(count) => {
    const frame = document.body.appendChild(document.createElement("div"));
    const all = Array.from({ length: count }, (_, i) => {
        const one = frame.appendChild(document.createElement("div"));
        one.textContent = `thing ${i} of many`;
        one.style.position = "absolute";
        return one;
    });
    for (let step = 1; step <= 30; step++) {
        for (const { style } of all) {
            style.left = style.top = `${step}px`;
            style.fontSize = `${8 + (step % 5)}px`;
        }
        frame.getBoundingClientRect();
    }
    frame.remove();
}"""
"""What moving elements takes that have as much text and are nothing but elements."""


def processor_time(page: Page, script: str, given: object) -> float:
    """Milliseconds that the page's own thread is at work on a script, whatever else runs."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    before = spent()
    page.evaluate(script, given)
    taken = spent() - before
    session.detach()
    return taken


@pytest.mark.parametrize("count", [40, 200])
def test_many_regions_are_dragged_without_delay(comfy, editor, count):
    columns = 10 if count > 40 else 8
    regions = [
        {"text": f"thing {i} of many", "box": [x, y, x + 0.09, y + 0.09]}
        for i in range(count)
        for x, y in [(i % columns / 11, i // columns / 22)]
    ]
    comfy.set_value(editor.node, "editor", json.dumps({"regions": regions}))
    editor.press("Control+a")
    start = editor.at((0.05, 0.05))
    plain = processor_time(comfy.page, PLAIN, count)
    taken = processor_time(comfy.page, DRAGGING, [editor.node, *start])
    print(f"dragging {count} regions takes {taken:.0f} ms, moving elements alone {plain:.0f} ms")
    assert taken < 1.5 * plain


def test_a_copied_drawing_keeps_its_place_in_another_editor_below_the_pointer(comfy, editor):
    other = EditorPage(comfy, comfy.add_node("ReCoLayoutEditor", at=(700, 0)))
    draw(editor, A, B)
    editor.press("Escape")  # what is selected would be copied alone
    comfy.show(editor.node, other.node)
    leave = "() => { document.activeElement.blur(); app.canvas.deselectAll(); }"
    comfy.page.evaluate(leave)
    mouse, keyboard = comfy.page.mouse, comfy.page.keyboard
    mouse.move(*editor.at((0.9, 0.9)))
    keyboard.press("Control+c")
    mouse.move(*other.at((0.9, 0.9)))
    keyboard.press("Control+v")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-box').length === 4")
    assert other.boxes == [A, B]
    keyboard.press("Delete")  # what was pasted is selected, and the canvas has the focus
    assert (other.boxes, editor.boxes) == ([], [A, B])
    # Nodes that are selected are what is copied, and pasted.
    comfy.page.evaluate(leave)
    comfy.select(editor.node)
    mouse.move(*editor.at((0.9, 0.9)))
    keyboard.press("Control+c")
    mouse.move(*other.at((0.9, 0.9)))
    keyboard.press("Control+v")
    comfy.page.wait_for_function("() => harness.nodes().length === 3")


def test_a_drag_begins_also_on_what_a_text_covers_beside_its_box(comfy, editor):
    editor.drag((0.1, 0.1), (0.15, 0.15))
    editor.type("a cat")
    field = editor.stage.locator(".reco-in-place")
    left, right = (
        (edge - editor.at((0, 0))[0]) / editor.stage.bounding_box()["width"]
        for box in [field.bounding_box()]
        for edge in (box["x"], box["x"] + box["width"])
    )
    assert left < 0.16 < 0.3 < right  # of a box that ends at 0.15
    editor.click((0.2, 0.12))
    editor.type("!")  # a click only sets the caret
    editor.drag((0.2, 0.12), (0.4, 0.3))
    assert editor.texts == ["a cat!", ""]
    assert editor.boxes[1] == [0.2031, 0.125, 0.4062, 0.2969]
    editor.type("a dog")
    comfy.page.keyboard.press("Enter")
    assert editor.texts == ["a cat!", "a dog"]
    editor.double_click((0.12, 0.12))  # its text is selected, which could be dragged itself
    editor.drag((0.16, 0.12), (0.3, 0.05))
    assert (editor.texts, len(editor.boxes)) == (["a cat!", "a dog", ""], 3)


def test_a_step_of_a_drag_shows_only_what_it_moves(comfy, editor):
    boxes = [[x / 7, y / 6, x / 7 + 0.1, y / 6 + 0.1] for y in range(6) for x in range(7)]
    regions = [{"text": f"thing {i}", "box": box} for i, box in enumerate(boxes)]
    comfy.set_value(editor.node, "editor", json.dumps({"caption": "", "regions": regions}))
    expect(editor.rows.last.locator(".reco-tokens")).to_have_text(re.compile(r"\d"))  # counted
    comfy.page.evaluate(
        """() => {
          const { toggle } = DOMTokenList.prototype;
          window.toggled = 0;
          window.restore = () => (DOMTokenList.prototype.toggle = toggle);
          DOMTokenList.prototype.toggle = function (...told) {
            window.toggled++;
            return toggle.apply(this, told);
          };
        }"""
    )
    mouse = comfy.page.mouse
    mouse.move(*editor.at((0.05, 0.05)))
    mouse.down()
    mouse.move(*editor.at((0.06, 0.08)))
    before = comfy.page.evaluate(f"{SHOWN}.then(() => window.toggled)")
    mouse.move(*editor.at((0.07, 0.09)))
    used = comfy.page.evaluate("() => { restore(); return window.toggled; }") - before
    mouse.up()
    assert 0 < used < len(boxes)
    assert editor.boxes[0] != boxes[0]


def test_a_drag_that_counts_draws_something_however_small_the_box(comfy, editor):
    """Boxes below a cell are as large as one, also at the picture's edge."""
    for side in ("width", "height"):
        comfy.set_value(editor.node, side, 160)
    comfy.set_value(editor.node, "editor", "")
    comfy.show(editor.node)
    stage = editor.stage.bounding_box()
    step = 12 / stage["width"]  # of pixels on the screen
    assert step < 8 / 160
    editor.drag((0.5, 0.3), (0.5 + step, 0.3 + step), then_hold="Alt")
    editor.drag((0.1, 0.9), (0.4, 0.9 + step / 6), then_hold="Alt")
    editor.drag((0.999, 0.999 - step), (0.999, 0.999), then_hold="Alt")
    for x0, y0, x1, y1 in editor.boxes:
        assert min(x1 - x0, y1 - y0) == pytest.approx(8 / 160, abs=0.001)
        assert 0 <= min(x0, y0) and max(x1, y1) <= 1
    assert len(editor.boxes) == 3

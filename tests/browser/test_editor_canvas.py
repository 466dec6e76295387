"""What is seen on the canvas, and that nothing stands between the hand and a box."""

from __future__ import annotations

import io
import json

import pytest
from comfy_page import ComfyPage
from editor_page import EditorPage
from PIL import Image

LARGE, SMALL = [0.1, 0.1, 0.9, 0.9], [0.5, 0.5, 0.53, 0.53]
IN_SMALL = (0.515, 0.515)


@pytest.fixture
def editor(comfy: ComfyPage) -> EditorPage:
    node = comfy.add_node("ReCoLayoutEditor", at=(0, 0))
    comfy.show(node)
    return EditorPage(comfy, node)


def show(editor: EditorPage, *regions: dict) -> None:
    editor.comfy.set_value(editor.node, "editor", json.dumps({"regions": regions}))


def zoom_to(comfy: ComfyPage, scale: float) -> None:
    """Zoom ComfyUI's canvas about the middle of the page, as its wheel does."""
    comfy.page.evaluate(
        "scale => { app.canvas.ds.changeScale(scale, [800, 500]); app.canvas.setDirty(true, true);"
        " dispatchEvent(new WheelEvent('wheel')); }",
        scale,
    )
    comfy.page.evaluate("() => harness.frames()")


def drag_by(editor: EditorPage, start: tuple[float, float], dx: float, dy: float) -> None:
    """Drag from a point of the picture by so many pixels of the screen."""
    mouse = editor.comfy.page.mouse
    x, y = editor.at(start)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + dx / 2, y + dy / 2)
    mouse.move(x + dx, y + dy)
    mouse.up()


@pytest.mark.parametrize("zoom", [0.5, 1, 2])
def test_a_selected_small_box_is_moved_at_every_zoom(comfy, editor, zoom):
    show(editor, {"text": "a dog", "box": SMALL})
    zoom_to(comfy, zoom)
    editor.click(IN_SMALL)
    sizes = editor.stage.locator(".reco-handle:visible").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().width)"
    )
    assert len(sizes) >= 4
    assert sizes == pytest.approx([16] * len(sizes), abs=0.5)
    drag_by(editor, IN_SMALL, 40, 0)
    [[x0, y0, x1, y1]] = editor.boxes
    assert (x0 > SMALL[0], y1 - y0) == (True, pytest.approx(0.03, abs=1e-3))
    assert x1 - x0 == pytest.approx(0.03, abs=1e-3)
    x, y = editor.handle("se")
    drag_by(editor, (x, y), 40, 40)
    assert editor.boxes[0][:2] == [x0, y0] and editor.boxes[0][2] > x1


def test_a_click_takes_the_smallest_box_and_a_drag_the_selected_one(editor):
    show(editor, {"text": "a dog", "box": SMALL}, {"text": "a park", "box": LARGE})
    editor.click((0.2, 0.2))
    assert editor.selected == [1]
    editor.drag(IN_SMALL, (0.515, 0.45))
    assert editor.boxes[0] == SMALL and editor.boxes[1][1] < LARGE[1]
    editor.click(IN_SMALL)
    assert editor.selected == [0]
    editor.click((0.2, 0.2))
    x, y = editor.handle("se")  # what is below a handle is clicked through it
    show(editor, {"text": "a dog", "box": [x - 0.01, y - 0.01, x, y]}, {"box": LARGE, "text": "a"})
    editor.click((0.2, 0.2))
    editor.click((x - 0.005, y - 0.005))
    assert editor.selected == [0]


def test_the_tag_of_a_box_selects_it_and_drags_it(editor):
    show(editor, {"text": "a dog", "box": SMALL}, {"text": "a park", "box": LARGE})
    tag = editor.stage.locator(".reco-tag").first.bounding_box()
    x, y = tag["x"] + 4, tag["y"] + tag["height"] / 2
    mouse = editor.comfy.page.mouse
    mouse.move(x, y)
    box = editor.stage.locator(".reco-box").first
    assert "reco-hovered" in box.get_attribute("class")
    assert editor.stage.evaluate("stage => getComputedStyle(stage).cursor") == "move"
    mouse.click(x, y)
    assert editor.selected == [0]
    tag = editor.stage.locator(".reco-tag").first.bounding_box()
    mouse.move(tag["x"] + 4, tag["y"] + 4)
    mouse.down()
    mouse.move(tag["x"] - 20, tag["y"] + 4)
    mouse.move(tag["x"] - 40, tag["y"] + 4)
    mouse.up()
    assert editor.boxes[0][0] < SMALL[0] and editor.boxes[1] == LARGE


def test_the_cursor_says_what_pressing_does(comfy, editor):
    show(editor, {"text": "a park", "box": LARGE})
    cursor = "stage => getComputedStyle(stage).cursor"
    for point, keys, expected in (
        ((0.05, 0.5), (), "crosshair"),
        ((0.5, 0.5), (), "move"),
        ((0.5, 0.5), ("Control",), "crosshair"),
        ((0.05, 0.5), ("Shift",), "cell"),
    ):
        for key in keys:
            comfy.page.keyboard.down(key)
        comfy.page.mouse.move(*editor.at(point))
        assert editor.stage.evaluate(cursor) == expected
        for key in keys:
            comfy.page.keyboard.up(key)


@pytest.mark.parametrize("zoom", [0.5, 2])
def test_a_jitter_of_the_hand_draws_nothing_and_moves_nothing(comfy, editor, zoom):
    show(editor, {"text": "a dog", "box": [0.4, 0.4, 0.6, 0.6]})
    editor.root.get_by_label("boxes", exact=True).uncheck()
    zoom_to(comfy, zoom)
    for start in ((0.7, 0.7), (0.5, 0.5)):
        drag_by(editor, start, 3, 3)
    drag_by(editor, (0.7, 0.7), 6, 6)
    assert editor.boxes == [[0.4, 0.4, 0.6, 0.6]]
    drag_by(editor, (0.7, 0.45), 24, 24)
    drag_by(editor, (0.5, 0.5), 24, 0)
    assert len(editor.boxes) == 2 and editor.boxes[0] != [0.4, 0.4, 0.6, 0.6]


TEXTS = {
    "short": "a cat",
    "long": "a very old stone bridge over a river, with people and carts on it, at dawn",
    "arabic": "سيارة حمراء كبيرة على الطريق القديم",
    "chinese": "红色的汽车停在一座古老的石桥旁边",
}


DRAWN = """(letters) => letters.map((letter) => {
    const context = new OffscreenCanvas(40, 40).getContext("2d");
    context.font = "30px sans-serif";
    context.fillText(letter, 2, 32);
    return String(context.getImageData(0, 0, 40, 40).data);
})"""


def test_texts_are_shown_whole_in_their_boxes_as_large_as_fits(comfy, editor):
    for text in (TEXTS["arabic"], TEXTS["chinese"]):
        letters = list(dict.fromkeys(text.replace(" ", "")))
        if len(set(comfy.page.evaluate(DRAWN, letters))) < len(letters):
            pytest.skip(f"no font here has all letters of {text}")
    boxes = [[0.05, 0.05, 0.45, 0.45], [0.55, 0.05, 0.95, 0.45], [0.05, 0.55, 0.45, 0.95]]
    boxes.append([0.55, 0.55, 0.95, 0.95])
    regions = [{"text": t, "box": b} for t, b in zip(TEXTS.values(), boxes, strict=True)]
    show(editor, *regions, {"text": "a bird", "box": [0.48, 0.48, 0.51, 0.51]})

    def shown() -> list[dict]:
        return editor.stage.locator(".reco-tag").evaluate_all(
            """(all) => all.map((tag, index) => {
                const words = tag.querySelector(".reco-words");
                const box = document.querySelectorAll(".reco-box")[index].getBoundingClientRect();
                const at = words.getBoundingClientRect();
                const { direction, fontSize } = getComputedStyle(words);
                return { direction, font: parseFloat(fontSize) * app.canvas.ds.scale,
                    inside: tag.classList.contains("reco-inside")
                        && box.left <= at.left && at.right <= box.right
                        && box.top <= at.top && at.bottom <= box.bottom,
                    whole: words.scrollHeight <= words.clientHeight + 1
                        && words.scrollWidth <= words.clientWidth + 1,
                    number: tag.querySelector(".reco-tag-number").textContent };
            })"""
        )

    for zoom in (1, 0.6, 1.5):
        zoom_to(comfy, zoom)
        found = shown()
        assert [one["number"] for one in found] == list("12345")
        assert [one["inside"] for one in found] == [True] * 4 + [False]
        assert all(one["whole"] for one in found[:4] if one["font"] > 10.1), (zoom, found)
        assert [one["direction"] for one in found[:4]] == ["ltr", "ltr", "rtl", "ltr"]
        assert zoom < 1 or all(one["font"] > 10.1 for one in found[:4])
        assert all(10 <= round(one["font"], 1) <= 22 for one in found[:4])
        assert found[0]["font"] >= found[1]["font"]
    comfy.screenshot("canvas-texts", editor.node)


def test_a_text_that_begins_on_the_right_keeps_its_beginning_in_a_tag_and_while_written(editor):
    show(editor, {"text": TEXTS["arabic"] * 3, "box": [0.2, 0.4, 0.45, 0.43]})
    words = editor.stage.locator(".reco-words")
    assert words.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    begins = words.evaluate(
        """(one) => {
            const range = document.createRange();
            range.setStart(one.firstChild, 0);
            range.setEnd(one.firstChild, 1);
            const [first, all] = [range.getBoundingClientRect(), one.getBoundingClientRect()];
            return first.right <= all.right + 1 && first.left >= all.left - 1;
        }"""
    )
    assert begins
    editor.click((0.3, 0.415))
    editor.press("Enter")
    area = editor.stage.locator(".reco-in-place")
    assert area.evaluate("(one) => getComputedStyle(one).direction") == "rtl"


def test_a_region_without_a_text_is_marked_on_its_box(editor):
    editor.drag((0.2, 0.2), (0.6, 0.6))
    words = editor.stage.locator(".reco-words")
    assert words.inner_text() == "⚠ type what to paint here"
    editor.click((0.9, 0.9))
    assert words.inner_text() == "⚠ no text"
    assert "reco-textless" in editor.stage.locator(".reco-box").get_attribute("class")
    editor.click((0.4, 0.4))
    editor.type("a cat")
    editor.press("Enter")
    assert "reco-textless" not in editor.stage.locator(".reco-box").get_attribute("class")


def test_a_box_has_the_color_that_its_text_names_until_one_is_chosen(comfy, editor):
    show(editor, {"text": "a dog", "box": SMALL}, {"text": "a car", "box": [0.1, 0.1, 0.4, 0.4]})
    color = "all => getComputedStyle(all[1]).color"
    boxes = editor.stage.locator(".reco-box")
    assert boxes.evaluate_all(color) == "rgb(60, 180, 75)"
    editor.fill(1, "Text of", "a purple car")
    assert boxes.evaluate_all(color) == "rgb(145, 30, 180)"
    assert all("color" not in region for region in editor.regions)
    editor.field(1, "Color of").fill("#123456")
    assert editor.regions[1]["color"] == "#123456"
    editor.fill(1, "Text of", "a yellow car")
    assert boxes.evaluate_all(color) == "rgb(18, 52, 86)"
    editor.field(1, "Let the text choose the color of").click()
    assert boxes.evaluate_all(color) == "rgb(255, 225, 25)"
    assert "color" not in editor.regions[1]


def test_an_empty_canvas_says_how_to_begin(comfy, editor):
    hint = editor.stage.locator(".reco-empty")
    assert hint.inner_text() == "Drag to draw a box, then type what to paint in it"
    comfy.screenshot("canvas-empty", editor.node)
    editor.drag((0.45, 0.45), (0.6, 0.6))  # begins on the words
    assert hint.is_hidden() and len(editor.boxes) == 1


def test_a_picture_of_another_shape_keeps_its_proportions(comfy, editor):
    comfy.page.evaluate(
        """async (node) => {
            const paint = new OffscreenCanvas(100, 50);
            paint.getContext("2d").fillRect(0, 0, 100, 50);
            const image = harness.widget(node, "editor").element
                .querySelector(".reco-background");
            image.src = URL.createObjectURL(await paint.convertToBlob());
            image.hidden = false;
            await image.decode();
        }""",
        editor.node,
    )
    shot = comfy.page.screenshot(clip=editor.stage.bounding_box())
    picture = Image.open(io.BytesIO(shot)).convert("L")
    width, height = picture.size
    strip = picture.crop((10, 10, width - 10, height // 4 - 10))
    middle = picture.crop((10, height // 4 + 10, width - 10, height // 2 - 40))
    assert strip.getextrema()[1] - strip.getextrema()[0] > 20  # hatched: plainly no picture
    assert middle.getextrema()[1] - middle.getextrema()[0] < 10

"""What stands around the editor's canvas: the list, the token meter, guides, background, themes."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from comfy_page import Theme
from contrast import LEAST, contrasts
from editor_page import BOXES, TEXTS, EditorPage
from playwright.sync_api import expect
from safetensors.torch import save_file
from tasks.table import ELEMENTS

from reco_core.adapter import POSITION_ROWS, TOKEN_ROWS

A, B, C = BOXES


@pytest.fixture
def editor(farm):
    return farm


def wait_for_meter(editor: EditorPage, text: str) -> None:
    editor.comfy.page.wait_for_function(
        "([node, text]) => harness.widget(node, 'editor').element"
        ".querySelector('.reco-meter-text').textContent.includes(text)",
        arg=[editor.node, text],
    )


def test_exact_numbers_in_pixels_fractions_and_thousandths(editor):
    def shown() -> list[str]:
        names = ("Left edge of", "Top edge of", "Width of", "Height of")
        return [editor.field(1, name).input_value() for name in names]

    editor.open(1)
    assert shown() == ["256", "64", "128", "128"]
    editor.choose("Unit of the numbers", "fraction")
    assert shown() == ["0.5", "0.125", "0.25", "0.25"]
    editor.fill(1, "Width of", "0.3")
    editor.choose("Unit of the numbers", "thousandths")
    assert shown() == ["500", "125", "300", "250"]
    editor.fill(1, "Top edge of", "900")
    assert editor.boxes[1] == [0.5, 0.75, 0.8, 1]
    assert "limited to 750" in editor.status
    editor.choose("Unit of the numbers", "px")
    editor.fill(1, "Height of", "2")
    assert editor.boxes[1] == [0.5, 0.75, 0.8, round(0.75 + 8 / 512, 4)]


def test_texts_weights_and_colors_of_the_list_are_steps_of_undo(comfy, editor):
    editor.fill(0, "Text of", "a white cat")
    editor.fill(0, "Weight of", "1.25")
    editor.field(0, "Color of").fill("#123456")
    region = editor.regions[0]
    assert (region["text"], region["weight"], region["color"]) == ("a white cat", 1.25, "#123456")
    comfy.undo()
    assert "color" not in editor.regions[0]
    comfy.undo()
    assert editor.regions[0]["weight"] == 1
    comfy.undo()
    assert editor.texts == TEXTS


def test_the_weight_of_a_selected_region_is_that_of_all_selected(comfy, editor):
    editor.press("Control+a")
    editor.fill(2, "Weight of", "0.8")
    editor.fill(2, "Left edge of", "0")
    assert [region["weight"] for region in editor.regions] == [0.8] * 3
    assert [box[0] for box in editor.boxes] == [A[0], B[0], 0]


def test_a_weight_that_is_no_number_changes_nothing(editor):
    editor.fill(0, "Weight of", "")
    assert editor.regions[0]["weight"] == 1
    assert editor.field(0, "Weight of").input_value() == "1"
    assert "is not a number" in editor.status


def test_locked_regions_stay_and_hidden_ones_are_left_out(editor):
    editor.field(0, "Lock").click()
    editor.drag((0.25, 0.25), (0.3, 0.3))  # draws over the locked box
    assert (editor.boxes[0], len(editor.boxes)) == (A, 4)
    editor.press("Delete")
    editor.field(0, "Unlock").click()
    editor.drag((0.25, 0.25), (0.3125, 0.25))
    assert editor.boxes[0] != A

    editor.field(1, "Hide").click()
    assert editor.regions[1]["hidden"] is True
    assert editor.stage.locator(".reco-box:visible").count() == 2
    editor.field(1, "Show").click()
    assert "hidden" not in editor.regions[1]


def test_rows_are_duplicated_deleted_and_reordered(comfy, editor):
    editor.open(1)
    editor.field(1, "Duplicate").click()
    assert editor.texts == [*TEXTS, "a dog"]
    editor.field(3, "Delete").click()
    assert editor.texts == TEXTS

    comfy.page.evaluate("id => harness.node(id).setSize([900, 600])", editor.node)
    comfy.show(editor.node)  # there is room for the list beside the canvas
    grips = [editor.rows.nth(index).locator(".reco-grip").bounding_box() for index in (0, 2)]
    mouse = comfy.page.mouse
    mouse.move(grips[0]["x"] + 5, grips[0]["y"] + 5)
    mouse.down()
    mouse.move(grips[1]["x"] + 5, grips[1]["y"] + 10)
    mouse.move(grips[1]["x"] + 5, grips[1]["y"] + 40)
    mouse.up()
    assert editor.texts == ["a dog", "a cow", "a cat"]
    assert editor.selected == [2]
    editor.rows.nth(2).locator(".reco-grip").press("Alt+ArrowUp")
    assert editor.texts == ["a dog", "a cat", "a cow"]
    comfy.undo()
    comfy.undo()
    assert editor.texts == TEXTS


def test_the_token_meter_counts_for_the_connected_checkpoint(comfy, editor):
    wait_for_meter(editor, "28 tokens; connect a checkpoint")
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-500, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    conditioning = comfy.add_node("ReCoConditioning", at=(600, 0))
    comfy.connect(editor.node, "layout", conditioning, "layout")
    comfy.connect(loader, "clip", conditioning, "clip")
    wait_for_meter(editor, "28 of 96 tokens")
    assert editor.rows.locator(".reco-tokens").all_inner_texts() == ["8", "8", "8"]

    questions = []
    comfy.page.on("request", lambda r: questions.append(r) if "reco/count" in r.url else None)
    editor.field(2, "Text of").click()
    editor.type(" " + "very " * 70 + "large")
    wait_for_meter(editor, "region 3 will not fit")
    expect(editor.rows.nth(2).locator(".reco-tokens")).to_have_text("⚠ 79")
    assert len(questions) < 40  # of 356 keys
    assert "reco-unfit" in editor.stage.locator(".reco-box").nth(2).get_attribute("class")
    assert "reco-unfit" not in editor.stage.locator(".reco-box").nth(1).get_attribute("class")


def test_the_token_meter_counts_for_an_adapter_behind_any_loader(comfy, editor, server):
    loras = server.base_dir / "models" / "loras"
    loras.mkdir(parents=True, exist_ok=True)
    rows = {TOKEN_ROWS: torch.zeros(1000, 8), POSITION_ROWS: torch.zeros(120 - 77, 8)}
    save_file(rows, loras / "meter.safetensors", {"format": "reco-adapter"})
    loader = comfy.add_node("CheckpointLoaderSimple", at=(-900, 0))
    apply = comfy.add_node("ReCoApplyAdapter", at=(-500, 0))
    comfy.set_value(apply, "adapter_name", "meter.safetensors")
    lora = comfy.add_node("LoraLoader", at=(-200, 300))
    conditioning = comfy.add_node("ReCoConditioning", at=(600, 0))
    comfy.connect(editor.node, "layout", conditioning, "layout")
    comfy.connect(loader, "CLIP", apply, "clip")
    comfy.connect(apply, "clip", lora, "clip")
    comfy.connect(lora, "CLIP", conditioning, "clip")
    wait_for_meter(editor, "28 of 120 tokens")


def test_the_canvas_follows_linked_sizes(comfy, editor):
    number = comfy.add_node("PrimitiveInt", at=(-500, 0))
    comfy.set_value(number, "value", 1024)
    comfy.connect(number, 0, editor.node, "width")
    stage = editor.stage.bounding_box()
    assert stage["width"] == pytest.approx(2 * stage["height"], rel=0.01)
    comfy.set_value(number, "value", 512)
    stage = editor.stage.bounding_box()
    assert stage["width"] == pytest.approx(stage["height"], rel=0.01)
    assert editor.boxes == [A, B, C]


def test_the_canvas_follows_a_width_that_a_subgraph_shows(comfy, editor):
    group = comfy.to_subgraph(editor.node)
    comfy.page.evaluate(
        """id => {
            const { subgraph } = harness.node(id);
            const [inner] = subgraph.nodes;
            const slot = inner.inputs.find(({ name }) => name === "width");
            subgraph.addInput("width", "INT").connect(slot, inner);
            harness.commit();
        }""",
        group,
    )
    for width in (1024, 768):
        comfy.set_value(group, "width", width)
        comfy.enter_subgraph(group)
        [node] = comfy.nodes()
        comfy.show(node)
        stage = EditorPage(comfy, node).stage.bounding_box()
        assert stage["width"] == pytest.approx(width / 512 * stage["height"], rel=0.01)
        comfy.leave_subgraph()


def test_the_background_is_the_image_that_came_in_with_the_last_run(comfy, editor):
    image = comfy.add_node("EmptyImage", at=(-500, 0))
    comfy.set_value(image, "color", 0x0000FF)
    comfy.connect(image, 0, editor.node, "image")
    taker = comfy.add_node("PreviewAny", at=(600, 0))
    comfy.connect(editor.node, "width", taker, 0)
    comfy.queue()

    def colour() -> list[int]:
        return comfy.page.evaluate(
            """async node => {
                const image = harness.widget(node, "editor").element
                    .querySelector(".reco-background");
                await image.decode();
                const canvas = document.createElement("canvas");
                canvas.getContext("2d").drawImage(image, 0, 0, 1, 1);
                return [...canvas.getContext("2d").getImageData(0, 0, 1, 1).data].slice(0, 3);
            }""",
            editor.node,
        )

    comfy.page.wait_for_function("() => document.querySelector('.reco-background').src")
    assert colour() == [0, 0, 255]
    editor.drag((0.8, 0.8), (0.9, 0.9))
    comfy.undo()
    assert colour() == [0, 0, 255]
    assert editor.stage.locator(".reco-background").evaluate("e => e.style.opacity") == "0.5"
    editor.root.get_by_label("Dim the background").fill("0.8")
    assert float(
        editor.stage.locator(".reco-background").evaluate("e => e.style.opacity")
    ) == pytest.approx(0.2)
    editor.choose("Picture behind the boxes", "none")
    assert editor.stage.locator(".reco-background").is_hidden()


def test_choices_are_kept_with_the_workflow(comfy, editor):
    editor.choose("Guide lines", "thirds")
    editor.choose("Snap edges to a grid (hold Alt to draw freely)", "grid")
    saved = comfy.workflow()
    comfy.load_workflow(saved)
    [node] = comfy.nodes()
    opened = EditorPage(comfy, node)
    comfy.show(node)
    assert opened.stage.locator(".reco-guides").get_attribute("data-kind") == "thirds"
    opened.drag((0.8, 0.82), (0.96, 0.93))
    assert opened.boxes[-1] == [0.8125, 0.8125, 0.9375, 0.9375]  # in 16ths


def test_tags_stay_readable_when_zoomed_out(comfy, editor):
    tag = editor.stage.locator(".reco-tag").first.element_handle()
    is_readable = "tag => tag.getBoundingClientRect().height > 15"
    comfy.page.wait_for_function(is_readable, arg=tag)
    comfy.page.mouse.move(200, 500)
    for _ in range(6):
        comfy.page.mouse.wheel(0, 240)
    comfy.page.wait_for_function("() => app.canvas.ds.scale < 0.75")
    comfy.page.wait_for_function(is_readable, arg=tag)


def test_everything_can_be_reached_and_is_called_something(comfy, editor):
    unnamed = editor.root.evaluate(
        """root => [...root.querySelectorAll("button, input, select, textarea")]
            .filter(part => part.offsetParent && part.tabIndex < 0
                || !(part.ariaLabel || part.textContent.trim() || part.labels?.length))
            .map(part => part.outerHTML)"""
    )
    assert unnamed == []
    options = editor.root.get_by_role("option", name="Region 2: a dog, x 256, y 64, 128 × 128 px")
    assert options.count() == 1
    editor.press("PageDown", "PageDown")
    active = editor.stage.get_attribute("aria-activedescendant")
    assert editor.root.locator(f"#{active}").get_attribute("aria-selected") == "true"
    editor.root.get_by_role("button", name="Add a region").focus()
    for _ in range(editor.root.locator(".reco-head").locator("button, select, input").count()):
        comfy.page.keyboard.press("Tab")
        if editor.stage.evaluate("stage => stage === document.activeElement"):
            return
    raise AssertionError("the canvas is not reached")


@pytest.mark.parametrize("theme", get_args(Theme))
def test_it_can_be_read_in_every_theme(comfy, editor, theme):
    comfy.set_theme(theme)
    editor.field(0, "Hide").click()
    editor.fill(1, "Text of", "")  # a placeholder, and a warning
    editor.root.locator(".reco-caption").fill("")
    editor.choose("Guide lines", "thirds")
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-500, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    editor.root.locator(".reco-meter-remarks .reco-remark").first.wait_for()
    comfy.screenshot(f"editor-{theme}", editor.node)
    comfy.page.mouse.click(*editor.at((0.25, 0.25)), button="right")
    texts = contrasts(comfy, ".reco-editor, .reco-menu")
    comfy.page.keyboard.press("Escape")
    toolbar = {"snap 8 px", "boxes", "thirds", "input"}
    menu = {"Add a region", "Insert"}
    notice = {"⚠", "Region 2 has no text:", "what to paint in this box"}
    assert {text for text, _ in texts} >= toolbar | menu | notice
    assert [text for text in texts if text[1] < LEAST] == []
    assert [text for text in texts_of_the_panel(editor) if text[1] < LEAST] == []


def texts_of_the_panel(editor) -> list[tuple[str, float]]:
    """Its own, with what a pasted text says and without what lies below."""
    editor.root.get_by_label("Copy or paste the layout as text").first.click()
    field = editor.root.get_by_label("The layout as text", exact=True)
    expect(field).not_to_have_value("")
    field.fill("")
    empty = contrasts(editor.comfy, ".reco-exchange")
    field.fill(ELEMENTS)
    editor.root.get_by_role("group", name="What was read").wait_for()
    return empty + contrasts(editor.comfy, ".reco-exchange")


def test_preferences_that_a_workflow_cannot_mean_leave_the_editor_usable(comfy, editor):
    """They are told on the console; what else the workflow says there is kept."""
    told = []
    comfy.page.on("console", lambda message: told.append(message.text))
    workflow = comfy.workflow()
    said = {"unit": "nope", "snap": 7, "dim": "dark", "newer": [1]}
    workflow["nodes"][0]["properties"]["reco_editor"] = said
    comfy.load_workflow(workflow)
    shown = EditorPage(comfy, comfy.nodes()[0])
    shown.open(1)
    assert shown.field(1, "Left edge of").input_value() == "256"
    assert sorted(text.split(" says ")[1].split(",")[0] for text in told if " says " in text) == [
        'dim = "dark"',
        "snap = 7",
        'unit = "nope"',
    ]
    shown.choose("Unit of the numbers", "fraction")
    kept = comfy.workflow()["nodes"][0]["properties"]["reco_editor"]
    assert kept["unit"] == "fraction" and kept["newer"] == [1]

"""The layout editor in a workflow: what it keeps, what comes back, what comes out."""

from __future__ import annotations

import io
import json

import pytest
from comfy_page import ComfyPage, front_end_is_from
from editor_page import EditorPage
from PIL import Image
from playwright.sync_api import expect

from train.data.shapeskills import Scene, Thing
from train.evaluate.shape_finder import score_scene

SHAPES = (
    ((0.0625, 0.125), (0.4375, 0.5), "red circle"),
    ((0.5625, 0.125), (0.9375, 0.5), "blue square"),
    ((0.3125, 0.5625), (0.6875, 0.9375), "green triangle"),
)
BOXES = [[*start, *end] for start, end, _ in SHAPES]
TEXTS = [text for *_, text in SHAPES]
CAPTION = "a red circle, a blue square and a green triangle on a white ground"


@pytest.fixture
def editor(comfy: ComfyPage) -> EditorPage:
    node = comfy.add_node("ReCoLayoutEditor", at=(0, 0))
    comfy.set_value(node, "width", 128)
    comfy.set_value(node, "height", 128)
    comfy.show(node)
    return EditorPage(comfy, node)


def add_sampling(comfy: ComfyPage, editor: str) -> str:
    """Nodes that make a picture of the layout; the id of the one that saves it."""
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-400, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    conditioning = comfy.add_node("ReCoConditioning", at=(600, 0))
    sampler = comfy.add_node("KSampler", at=(1000, 0))
    decode = comfy.add_node("VAEDecode", at=(1400, 0))
    save = comfy.add_node("SaveImage", at=(1400, 200))
    for name, value in {
        "seed": 1,
        "control_after_generate": "fixed",
        "steps": 20,
        "cfg": 3.0,
        "sampler_name": "euler",
        "scheduler": "normal",
    }.items():
        comfy.set_value(sampler, name, value)
    for link in (
        (editor, "layout", conditioning, "layout"),
        (loader, "clip", conditioning, "clip"),
        (loader, "model", sampler, "model"),
        (conditioning, "positive", sampler, "positive"),
        (conditioning, "negative", sampler, "negative"),
        (conditioning, "latent", sampler, "latent_image"),
        (sampler, 0, decode, "samples"),
        (loader, "vae", decode, "vae"),
        (decode, 0, save, "images"),
    ):
        comfy.connect(*link)
    return save


def picture(comfy: ComfyPage, entry: dict, node: str) -> Image.Image:
    [saved] = entry["outputs"][node]["images"]
    return Image.open(io.BytesIO(comfy.server.view(saved))).convert("RGB")


def test_three_boxes_are_drawn_described_undone_kept_and_obeyed(comfy, editor):
    editor.draw(*SHAPES)
    assert editor.boxes == BOXES
    assert editor.texts == TEXTS
    editor.write_caption(CAPTION)

    for _ in range(3):  # the caption, the last text, the last box
        comfy.undo()
    assert (editor.boxes, editor.drawing["caption"]) == (BOXES[:2], "")
    for _ in range(3):
        comfy.redo()
    assert (editor.boxes, editor.texts) == (BOXES, TEXTS)
    assert editor.drawing["caption"] == CAPTION

    comfy.set_value(editor.node, "width", 256)
    assert editor.boxes == BOXES
    stage = editor.stage.bounding_box()
    assert stage["width"] == pytest.approx(2 * stage["height"], rel=0.01)
    editor.open(0)
    assert editor.field(0, "Width of").input_value() == "96"
    comfy.set_value(editor.node, "width", 128)

    save = add_sampling(comfy, editor.node)
    comfy.reload()
    assert (editor.boxes, editor.texts) == (BOXES, TEXTS)
    made = picture(comfy, comfy.queue(), save)
    things = tuple(
        Thing(*text.split(), tuple(round(128 * edge) for edge in box))
        for text, box in zip(TEXTS, BOXES, strict=True)
    )
    scores = score_scene(made, Scene("white", things, 128))
    assert [score.right for score in scores] == [True] * 3, scores


@pytest.mark.parametrize("renderer", ["classic", "vue"])
def test_a_workflow_saved_in_one_renderer_opens_in_the_other(comfy, editor, renderer):
    editor.draw(*SHAPES)
    saved = comfy.workflow()
    other = {"classic": "vue", "vue": "classic"}[renderer]
    comfy.open(other)
    comfy.load_workflow(json.loads(json.dumps(saved)))
    [node] = comfy.nodes()
    opened = EditorPage(comfy, node)
    comfy.show(node)
    assert (opened.boxes, opened.texts) == (BOXES, TEXTS)
    assert opened.stage.locator(".reco-box").count() == 3
    opened.drag((0.25, 0.25), (0.3125, 0.3125))
    assert opened.boxes[0] == [0.125, 0.1875, 0.5, 0.5625]


def test_the_renderer_can_be_switched_while_drawing(comfy, editor, renderer):
    other = {"classic": "vue", "vue": "classic"}[renderer]
    editor.draw(SHAPES[0])
    for next_renderer, shape in ((other, SHAPES[1]), (renderer, SHAPES[2])):
        comfy.set_renderer(next_renderer)
        comfy.show(editor.node)
        editor.draw(shape)
    assert (editor.boxes, editor.texts) == (BOXES, TEXTS)
    comfy.undo()
    comfy.undo()
    assert editor.boxes == BOXES[:2]
    assert editor.stage.locator(".reco-box").count() == 2


def test_a_pasted_node_has_the_drawing_and_goes_its_own_way(comfy, editor):
    editor.draw(*SHAPES[:2])
    comfy.copy(editor.node)
    [copy] = comfy.paste()
    twin = EditorPage(comfy, copy)
    comfy.show(copy)
    assert (twin.boxes, twin.texts) == (BOXES[:2], TEXTS[:2])
    twin.press("Control+a", "Delete")
    assert (twin.boxes, editor.boxes) == ([], BOXES[:2])


def test_the_editor_works_inside_a_subgraph(comfy, editor):
    editor.draw(SHAPES[0])
    add_sampling(comfy, editor.node)
    group = comfy.to_subgraph(editor.node)
    comfy.enter_subgraph(group)
    [node] = [node for node in comfy.nodes() if "editor" in comfy.widgets(node)]
    inner = EditorPage(comfy, node)
    comfy.show(node)
    assert inner.boxes == BOXES[:1]
    inner.draw(SHAPES[1])
    comfy.leave_subgraph()
    [queued] = [
        json.loads(node["inputs"]["editor"])
        for node in comfy.prompt().values()
        if node["class_type"] == "ReCoLayoutEditor"
    ]
    assert [region["text"] for region in queued["regions"]] == TEXTS[:2]
    comfy.undo()
    comfy.redo()
    comfy.enter_subgraph(group)
    assert EditorPage(comfy, node).boxes == BOXES[:2]


def test_in_a_subgraph_it_says_that_it_stays_there_where_comfyui_cannot_show_it(comfy, editor):
    says = "node cannot show this editor. To draw out there, keep an editor outside"
    note = editor.root.get_by_text(says)
    expect(note).to_be_hidden()
    group = comfy.to_subgraph(editor.node)
    cannot = front_end_is_from(1, 46)
    comfy.enter_subgraph(group)
    [node] = [node for node in comfy.nodes() if "editor" in comfy.widgets(node)]
    inner = EditorPage(comfy, node)
    comfy.show(node)
    expect(inner.root.get_by_text(says)).to_be_visible(visible=cannot)


def test_the_browser_undoes_nothing_that_has_lost_the_focus(comfy, editor):
    """Its undo beside ComfyUI's made a step of its own, which cost a step of redo."""
    editor.write_caption(CAPTION)
    heard = comfy.page.evaluate_handle(
        "() => { const heard = []; addEventListener('input', (e) => heard.push(e.inputType));"
        " return heard; }"
    )
    comfy.undo()
    assert heard.json_value() == []
    comfy.redo()
    assert editor.drawing["caption"] == CAPTION


def test_undo_inside_the_editor_is_comfyuis_undo(comfy, editor):
    comfy.page.evaluate("id => { harness.node(id).title = 'before' }", editor.node)
    editor.draw(*SHAPES[:2])
    editor.travel("Control+z", "undo")
    assert editor.texts == [TEXTS[0], ""]
    editor.travel("Control+z", "undo")
    assert editor.texts == TEXTS[:1]
    editor.travel("Control+y", "redo")
    assert editor.boxes == BOXES[:2]


def test_after_an_undo_the_canvas_has_the_focus_and_the_selection(comfy, editor):
    editor.draw(SHAPES[0])
    editor.press("ArrowRight", "ArrowRight")
    moved = editor.boxes
    editor.travel("Control+z", "undo")
    comfy.page.wait_for_function("() => document.activeElement.className === 'reco-stage'")
    assert editor.boxes != moved  # each press of a key is a step
    assert editor.selected == [0]
    comfy.page.keyboard.press("ArrowRight")
    assert editor.boxes == moved

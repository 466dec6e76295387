"""What is dropped on the editor: pictures and files whose layout is recalled, and shown first."""

from __future__ import annotations

import io
import json
import re

import pytest
from editor_page import TEXTS
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect

REGION = {"text": "a bird", "box": [0.25, 0.25, 0.75, 0.75]}
LAYOUT = {"version": 1, "caption": "a field", "width": 640, "height": 320, "regions": [REGION]}
DROP = """([node, name, bytes, text]) => {
    const target = harness.widget(node, "editor").element.querySelector(".reco-stage");
    const dataTransfer = new DataTransfer();
    if (name) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
    else dataTransfer.setData("text/plain", text);
    const heard = ["dragenter", "dragover", "drop"].map((type) => !target.dispatchEvent(
        new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true })));
    return heard.every(Boolean);
}"""


@pytest.fixture
def editor(farm):
    return farm


def picture(**texts: str) -> bytes:
    info, file = PngInfo(), io.BytesIO()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (64, 32)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def drop(editor, name: str = "", data: bytes = b"", text: str = "") -> None:
    assert editor.comfy.page.evaluate(DROP, [editor.node, name, list(data), text])


def test_a_picture_that_is_dropped_shows_its_layout_before_it_replaces_the_drawing(comfy, editor):
    value = comfy.value(editor.node, "editor")
    workflow = json.dumps({"nodes": [], "links": [], "version": 0.4})
    drop(editor, "made.png", picture(reco_layout=json.dumps(LAYOUT), workflow=workflow))
    shown = editor.root.get_by_role("group", name="What was read")
    expect(shown).to_contain_text("a bird")
    expect(shown).to_contain_text("640 × 320 px")
    assert comfy.nodes() == [editor.node]  # ComfyUI has not opened the workflow
    assert comfy.value(editor.node, "editor") == value
    comfy.screenshot("editor-recalled", editor.node)
    editor.root.get_by_role("button", name="Replace").click()
    assert (editor.texts, editor.drawing["caption"]) == (["a bird"], "a field")
    assert comfy.value(editor.node, "width") == 640
    comfy.undo()
    assert editor.texts == TEXTS


def test_what_holds_no_layout_changes_nothing_and_says_so(comfy, editor):
    value = comfy.value(editor.node, "editor")
    status = editor.root.locator(".reco-status")
    drop(editor, "photo.png", picture())
    expect(status).to_contain_text("photo.png: the picture holds no ComfyUI workflow")
    drop(editor, "made.webp", b"RIFF\0\0\0\0WEBP")
    expect(status).to_contain_text("made.webp: the picture holds no ComfyUI workflow")
    drop(editor, "notes.json", b'{"a": 1}')
    expect(status).to_contain_text("notes.json: this JSON is not a layout")
    assert comfy.value(editor.node, "editor") == value
    assert comfy.nodes() == [editor.node]
    assert not editor.root.evaluate("root => root.classList.contains('reco-dropping')")


def test_files_of_json_and_texts_are_read_too(comfy, editor):
    drop(editor, "layout.json", json.dumps(LAYOUT).encode())
    editor.root.get_by_role("button", name="Add", exact=True).click()
    assert editor.texts == [*TEXTS, "a bird"]
    drop(editor, text="<0> <0> <500> <500> a tree")
    comfy.page.wait_for_function("() => document.querySelectorAll('.reco-box').length === 5")
    assert editor.texts == [*TEXTS, "a bird", "a tree"]


def test_a_picture_is_saved_by_the_rules_of_comfyuis_own_and_recalled(comfy, editor):
    blank = comfy.add_node("EmptyImage", at=(-500, 0))
    save = comfy.add_node("ReCoSaveImage", at=(600, 0))
    comfy.connect(blank, 0, save, "images")
    comfy.connect(editor.node, "layout", save, "layout")
    title = comfy.page.evaluate("id => harness.node(id).title", blank)
    comfy.set_value(save, "filename_prefix", f"%date:yyyy%/%{title}.width%")
    own = comfy.add_node("SaveImage", at=(600, 600))
    comfy.connect(blank, 0, own, "images")
    comfy.set_value(own, "filename_prefix", f"%date:yyyy%/%{title}.width%")
    prompt = comfy.prompt()
    prefix = prompt[save]["inputs"]["filename_prefix"]
    assert prefix == prompt[own]["inputs"]["filename_prefix"]
    assert re.fullmatch(r"20\d\d/512", prefix)

"""The room that the editor has on its node: its width, and what the toolbar makes of it."""

from __future__ import annotations

import re

import pytest
from editor_page import EditorPage
from PIL import Image
from playwright.sync_api import expect


@pytest.fixture
def editor(farm: EditorPage) -> EditorPage:
    return farm


def test_the_width_that_the_right_hand_panel_gives_its_widgets_leaves_the_editor_wide(
    comfy, editor
):
    wide = editor.root.bounding_box()["width"]
    comfy.page.evaluate(
        """id => {
            harness.widget(id, "editor").width = 200;
            app.canvas.setDirty(true, true);
            return harness.frames();
        }""",
        editor.node,
    )
    assert editor.root.bounding_box()["width"] == pytest.approx(wide, abs=1)


def test_the_right_hand_panel_leaves_the_editor_as_wide_as_it_was(comfy, editor):
    """As it is opened by hand: it shows the node's widgets, this one among them."""
    wide = editor.root.bounding_box()["width"]
    comfy.select(editor.node)
    toggle = comfy.page.get_by_role("button", name=re.compile("properties panel", re.I)).filter(
        visible=True
    )
    toggle.first.click()
    shown = comfy.page.get_by_test_id("properties-panel")
    expect(shown).to_contain_text("ReCo Layout Editor")
    comfy.screenshot("editor-panel")
    assert editor.root.bounding_box()["width"] == pytest.approx(wide, abs=1)
    toggle.first.click()
    expect(shown).to_be_hidden()
    comfy.show(editor.node)
    assert editor.root.bounding_box()["width"] == pytest.approx(wide, abs=1)


ROW = """toolbar => {
    const parts = [...toolbar.children].filter((part) => part.offsetWidth);
    const cut = (part) => {
        const width = part.getBoundingClientRect().width;
        part.style.flexShrink = 0;
        const whole = part.getBoundingClientRect().width;
        part.style.flexShrink = "";
        return part.matches("select") && whole - width > 0.1 ? [part.value] : [];
    };
    const middles = parts.map((part) => part.offsetTop + part.offsetHeight / 2);
    return {
        cut: parts.flatMap(cut),
        rows: Math.max(...middles) - Math.min(...middles),
        over: toolbar.scrollWidth - toolbar.clientWidth,
    };
}"""


def test_the_buttons_are_one_row_at_the_least_width(comfy, editor):
    """With all there is in it: the slider comes with a picture behind the boxes."""
    folder = comfy.server.base_dir / "input"
    Image.new("RGB", (16, 16), "green").save(folder / "behind.png")
    loader = comfy.add_node("LoadImage", at=(-500, 0))
    comfy.set_value(loader, "image", "behind.png")
    comfy.connect(loader, "IMAGE", editor.node, "image")
    comfy.show(editor.node)
    assert comfy.rect(editor.node)["width"] <= 481
    toolbar = editor.root.locator(".reco-toolbar")
    expect(toolbar.get_by_label("Dim the background")).to_be_visible()
    comfy.screenshot("editor-toolbar", editor.node)
    for shown in ("image", "last"):
        toolbar.get_by_label("Picture behind the boxes").select_option(shown)
        # Nothing was sampled here yet, which would show it.
        toolbar.get_by_label("Dim the background").evaluate("slider => (slider.hidden = false)")
        row = toolbar.evaluate(ROW)
        assert (row["cut"], row["over"]) == ([], 0), shown
        assert row["rows"] <= 3

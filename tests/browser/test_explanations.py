"""What the editor tells about each node: its help page and its tooltips."""

import json
from contextlib import suppress

from comfy_page import ComfyPage, Renderer
from playwright.sync_api import expect

BUBBLE = ".node-tooltip, .p-tooltip-text, [data-reka-popper-content-wrapper]"  # of any front end
DRAWN = ("INT", "FLOAT", "COMBO", "BOOLEAN")  # the classic renderer explains those it draws itself


def our_nodes(comfy: ComfyPage) -> dict[str, dict]:
    """Node type -> what the server tells of it."""
    every = json.loads(comfy.server.get("/object_info"))
    return {name: info for name, info in every.items() if info["category"].startswith("ReCo")}


def tooltips(info: dict) -> dict[str, str]:
    """The tooltip of each input that is a number, a choice or a switch."""
    groups = [info["input"].get(group, {}) for group in ("required", "optional")]
    inputs = {name: spec for group in groups for name, spec in group.items()}
    return {
        name: spec[1]["tooltip"]
        for name, spec in inputs.items()
        if spec[0] in DRAWN and not spec[1].get("forceInput")
    }


def test_the_info_button_opens_the_help_page_of_each_node(closed: ComfyPage) -> None:
    closed.open("vue")
    shown = closed.page.locator(
        ".node-help-content :is(.markdown-content, .comfy-markdown-content)"
    )
    for place, (name, info) in enumerate(our_nodes(closed).items()):
        node = closed.add_node(name, at=(0, 2000 * place))
        closed.show(node)
        closed.select(node)
        closed.page.get_by_test_id("info-button").click()
        # The text that the editor makes up where there is no page has no such heading.
        expect(shown.get_by_role("heading", name=info["display_name"], exact=True)).to_be_visible()
        expect(shown.get_by_role("heading", name="Input").first).to_be_visible()
    closed.screenshot("help")


def look_for_tooltip(comfy: ComfyPage, node: str, widget: str, tooltip: str) -> None:
    """Move the mouse there; once more where a widget that was still drawn anew took no note."""
    shown = comfy.page.locator(BUBBLE).filter(visible=True, has_text=tooltip).first
    for patience in (3_000, 3_000, 3_000, 3_000, 20_000):
        comfy.leave()  # a mouse that stays where it was enters nothing
        expect(shown).to_have_count(0)
        comfy.hover_widget(node, widget)
        with suppress(AssertionError):
            expect(shown).to_be_visible(timeout=patience)
            return
    raise AssertionError(f"{widget} does not show {tooltip!r}")


def test_the_mouse_over_a_widget_shows_its_tooltip(closed: ComfyPage, renderer: Renderer) -> None:
    comfy = closed  # the page of other tests can have tooltips of nodes that went while they came
    comfy.open(renderer)
    comfy.set_setting("LiteGraph.Node.TooltipDelay", 0)
    for place, (name, info) in enumerate(our_nodes(comfy).items()):
        node = comfy.add_node(name, at=(0, 2000 * place))
        comfy.show(node)
        for widget, tooltip in list(tooltips(info).items())[:1]:
            look_for_tooltip(comfy, node, widget, tooltip)
    comfy.screenshot("tooltip")

"""Commands of the editor: its buttons, its menu, and ComfyUI's own keys in its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from editor_page import TEXTS, EditorPage
from playwright.sync_api import Locator, expect


@pytest.fixture
def editor(farm: EditorPage) -> EditorPage:
    return farm


def button(editor: EditorPage, name: str) -> Locator:
    return editor.root.get_by_role("button", name=name)


def menu(editor: EditorPage) -> Locator:
    return editor.comfy.page.locator(".reco-menu")


def pick(editor: EditorPage, name: str) -> None:
    menu(editor).get_by_role("menuitem", name=name, exact=True).click()


def test_clear_all_is_one_step_that_the_undo_button_goes_back_over(comfy, editor):
    expect(button(editor, "Redo")).to_be_disabled()
    button(editor, "Clear all").click()
    assert (editor.regions, editor.drawing["caption"]) == ([], "a farm")
    expect(button(editor, "Clear all")).to_be_disabled()
    with comfy.travelling("undo"):
        button(editor, "Undo").click()
    assert editor.texts == TEXTS
    with comfy.travelling("redo"):
        button(editor, "Redo").click()
    assert editor.regions == []


def test_a_right_click_on_a_box_or_a_row_opens_the_regions_own_menu(comfy, editor):
    comfy.page.mouse.click(*editor.at((0.625, 0.25)), button="right")
    expect(menu(editor)).to_have_attribute("aria-label", "Region 2")
    comfy.screenshot("editor-menu")
    assert editor.selected == [1]
    expect(comfy.page.locator(".litecontextmenu, .p-contextmenu")).to_have_count(0)
    pick(editor, "Duplicate")
    assert editor.texts == [*TEXTS, TEXTS[1]]
    expect(menu(editor)).to_have_count(0)

    editor.rows.nth(0).locator(".reco-text").click(button="right")
    expect(menu(editor)).to_have_attribute("aria-label", "Region 1")
    pick(editor, "Bring to front")
    assert editor.texts == [*TEXTS[1:], TEXTS[1], TEXTS[0]]
    assert editor.selected == [3]
    comfy.page.mouse.click(*editor.at((0.3, 0.6)), button="right")
    pick(editor, "Lock")
    assert editor.regions[1]["locked"] is True
    comfy.page.mouse.click(*editor.at((0.3, 0.6)), button="right")
    pick(editor, "Unlock")
    assert "locked" not in editor.regions[1]


def test_the_menu_key_opens_it_and_arrows_choose(comfy, editor):
    press = comfy.page.keyboard.press
    editor.press("PageDown", "ContextMenu")
    expect(menu(editor)).to_have_attribute("aria-label", "Region 1")
    press("Escape")
    expect(menu(editor)).to_have_count(0)
    assert editor.selected == [0]
    editor.press("Shift+F10")
    for key in ("End", "Enter"):  # the last is Delete
        press(key)
    assert editor.texts == TEXTS[1:]
    editor.rows.nth(1).locator(".reco-grip").focus()
    press("Shift+F10")
    expect(menu(editor)).to_have_attribute("aria-label", "Region 2")
    press("Enter")  # the first: to edit its text
    comfy.page.keyboard.type("a hen")
    press("Enter")
    assert editor.texts == [TEXTS[1], "a hen"]


FIELDS = [".reco-in-place", ".reco-caption", ".reco-text >> nth=0"]
PANEL = ".reco-exchange-text"  # what is typed there is not in the drawing yet


def write_into(editor: EditorPage, field: str, text: str) -> None:
    if field == ".reco-in-place":
        editor.press("PageDown", "F2")
    elif field == PANEL:
        editor.root.get_by_label("Copy or paste the layout as text").first.click()
    else:
        editor.root.locator(field).focus()
    editor.comfy.page.keyboard.press("Control+a")
    editor.comfy.page.keyboard.type(text)


@pytest.fixture
def heard(comfy) -> Iterator[Callable[[], list]]:
    """What ComfyUI is told to save or run: the command, and whether a zebra is in the workflow."""
    comfy.page.evaluate(
        """() => {
            window.heard = [];
            const { command } = app.extensionManager;
            for (const id of ["Comfy.QueuePrompt", "Comfy.SaveWorkflow"]) {
                const found = command.commands.find((each) => each.id === id);
                window.kept ??= new Map();
                window.kept.set(found, found.function);
                found.function = () => window.heard.push(
                    [id, app.rootGraph.serialize().nodes[0].widgets_values[2].includes("zebra")]);
            }
        }"""
    )

    def hear() -> list:
        comfy.page.wait_for_function("() => window.heard.length")
        return comfy.page.evaluate("() => window.heard.splice(0)")

    yield hear
    comfy.page.evaluate("() => { for (const [c, f] of window.kept) c.function = f; }")


COMMANDS = {"Control+s": "Comfy.SaveWorkflow", "Control+Enter": "Comfy.QueuePrompt"}


@pytest.mark.parametrize("field", [*FIELDS, PANEL])
def test_comfyuis_keys_work_in_its_fields_with_what_was_typed(comfy, editor, field, heard):
    for keys, command in COMMANDS.items():
        write_into(editor, field, "zebra")
        comfy.page.keyboard.press(keys)
        assert heard() == [[command, field != PANEL]]
        comfy.page.keyboard.press("Escape")


@pytest.mark.parametrize("field", FIELDS)
def test_the_large_view_runs_once_what_was_typed(comfy, editor, field, heard):
    editor.press("Alt+Enter")
    write_into(editor, field, "zebra")
    comfy.page.keyboard.press("Control+Enter")
    comfy.page.wait_for_timeout(300)  # in which a second listener would have run it too
    assert heard() == [["Comfy.QueuePrompt", True]]
    expect(editor.root).to_have_attribute("role", "dialog")
    editor.root.locator(".reco-stage").focus()
    editor.press("Escape")


@pytest.mark.parametrize("keys", COMMANDS)
def test_comfyuis_keys_close_the_menu_and_do_what_they_do(comfy, editor, heard, keys):
    editor.press("PageDown", "ContextMenu")
    comfy.page.keyboard.press(keys)
    assert heard() == [[COMMANDS[keys], False]]
    expect(menu(editor)).to_have_count(0)
    assert editor.selected == [0]


def test_escape_leaves_a_subgraph_only_when_it_means_nothing_here(comfy, editor):
    group = comfy.to_subgraph(editor.node)
    comfy.enter_subgraph(group)
    [node] = [node for node in comfy.nodes() if "editor" in comfy.widgets(node)]
    inner = EditorPage(comfy, node)
    comfy.show(node)

    def inside() -> bool:
        comfy.page.evaluate("() => harness.frames()")
        return comfy.page.evaluate("() => app.canvas.graph !== app.rootGraph")

    inner.root.locator(".reco-caption").focus()
    comfy.page.keyboard.press("Escape")
    assert inside()
    inner.press("PageDown", "F2", "Escape")
    assert inside()
    inner.press("Shift+F10", "Escape")
    assert inside() and inner.selected == [0]
    inner.press("Escape")
    assert inside() and inner.selected == []
    inner.press("Escape")
    assert not inside()


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_being_typed_is_in_the_workflows_draft(comfy, editor, field):
    """And is one step of undo when the field is left."""
    steps = comfy.page.evaluate("() => harness.history().undo")
    write_into(editor, field, "a zebra")
    comfy.page.wait_for_function(
        """() => harness.drafts().some(({ data }) => data.includes("a zebra"))"""
    )
    assert comfy.page.evaluate("() => harness.history().undo") == steps
    editor.stage.focus()
    comfy.page.wait_for_function("steps => harness.history().undo === steps + 1", arg=steps)

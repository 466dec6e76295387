"""ComfyUI's editor in a browser, as the tests use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import ConsoleMessage, Error, Locator, Page

from comfy_server import PACK, ROOT, ComfyServer, front_end_version

Renderer = Literal["classic", "vue"]
Theme = Literal["dark", "light", "solarized", "arc", "nord", "github"]
"""Each of ComfyUI's own palettes."""
PICTURES = ROOT / "output" / "browser"
HARNESS = Path(__file__).with_name("harness.js")
VIEWPORT = {"width": 1600, "height": 1000}
OUR_SCRIPTS = f"/extensions/{PACK}/"
EMPTY = {"version": 0.4, "nodes": [], "links": [], "groups": [], "last_node_id": 0}
# Those of a user who has seen the tutorial and the news.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.Workflow.ShowMissingModelsWarning": False,
    "Comfy.Minimap.Visible": False,
}


def front_end_is_from(*least: int) -> bool:
    """Whether the front end that is shown is of this version or newer: front_end_is_from(1, 40)."""
    return tuple(map(int, re.findall(r"\d+", front_end_version())[: len(least)])) >= least


class ComfyPage:
    """One tab of ComfyUI's editor.

        comfy.open("vue")
        node = comfy.add_node("ReCoLoadCheckpoint", at=(100, 100))
        comfy.show(node)
        comfy.screenshot("loader", node)

    Nodes are named by id, a string, among those of the graph that is shown. Rectangles are
    Playwright's: x, y, width, height in CSS pixels from the top left of the page. What changes the
    graph is one step of undo. `page` is Playwright's own page, for mouse and keyboard.
    """

    def __init__(self, page: Page, server: ComfyServer) -> None:
        self.page = page
        self.server = server
        self.renderer: Renderer = "classic"
        self.errors: list[str] = []  # those that our own scripts caused
        self._settings_before: dict[str, object] = {}
        page.add_init_script(path=HARNESS)
        page.on("console", self._note_console)
        page.on("pageerror", self._note_error)

    # The page

    def open(self, renderer: Renderer = "classic", theme: Theme = "dark") -> None:
        """Open the editor with an empty graph and all settings as a user first finds them."""
        settings = {
            **SETTINGS,
            "Comfy.InstalledVersion": front_end_version(),
            "Comfy.VueNodes.Enabled": renderer == "vue",
            "Comfy.ColorPalette": theme,
        }
        self._settings.parent.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(json.dumps(settings), encoding="utf-8")
        self.renderer = renderer
        self.page.goto(self.server.url)
        self._wait_until_ready()
        self.load_workflow(EMPTY)

    def reload(self) -> None:
        """Reload the page, as F5 does, when the editor has saved its draft of the workflow."""
        # Older front ends take no note of the size that a node has got by itself.
        self.page.evaluate("() => harness.commit()")
        self.page.wait_for_function("() => harness.draftIsSaved()")
        settings = json.loads(self._settings.read_text("utf-8"))
        settings["Comfy.VueNodes.Enabled"] = self.renderer == "vue"  # not another page's
        self._settings.write_text(json.dumps(settings), encoding="utf-8")
        self.page.reload()
        self._wait_until_ready()

    def set_renderer(self, renderer: Renderer) -> None:
        """Switch between classic and Vue nodes while the graph is open."""
        self._set("Comfy.VueNodes.Enabled", renderer == "vue")
        self.renderer = renderer
        self._settle()

    def set_theme(self, theme: Theme) -> None:
        self.set_setting("Comfy.ColorPalette", theme)
        self._settle()

    def set_setting(self, name: str, value: object) -> None:
        before = self.page.evaluate("name => app.extensionManager.setting.get(name)", name)
        self._settings_before.setdefault(name, before)
        self._set(name, value)

    def restore_settings(self) -> None:
        """Set back, but for the renderer, what was set."""
        while self._settings_before:
            self._set(*self._settings_before.popitem())

    def run_command(self, command: str) -> None:
        """Run a command of the front end, such as "Comfy.Canvas.FitView"."""
        self.page.evaluate("name => app.extensionManager.command.execute(name)", command)
        self._settle()

    def screenshot(self, name: str, *nodes: str, margin: float = 16) -> Path:
        """Save output/browser/<name>-<renderer>.png, of the page or of some nodes."""
        self._settle()
        path = PICTURES / f"{name}-{self.renderer}.png"
        clip = None
        if nodes:
            rects = [self.rect(node) for node in nodes]
            left = max(0, min(rect["x"] for rect in rects) - margin)
            top = max(0, min(rect["y"] for rect in rects) - margin)
            right = max(rect["x"] + rect["width"] for rect in rects) + margin
            bottom = max(rect["y"] + rect["height"] for rect in rects) + margin
            clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        self.page.screenshot(path=path, clip=clip)
        return path

    # The graph

    def load_workflow(self, workflow: dict | Path) -> None:
        """Open a workflow in UI format, as the file menu does, with nothing to undo."""
        if isinstance(workflow, Path):
            workflow = json.loads(workflow.read_text(encoding="utf-8"))
        self.page.evaluate("workflow => harness.open(workflow)", workflow)
        self._settle()

    def workflow(self) -> dict:
        """The workflow in UI format, as it would be saved."""
        return self.page.evaluate("() => app.rootGraph.serialize()")

    def prompt(self) -> dict:
        """The workflow in API format, as it would be queued."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def nodes(self) -> list[str]:
        return self.page.evaluate("() => harness.nodes()")

    def add_node(
        self, type: str, at: tuple[float, float] = (0, 0), size: tuple[float, float] | None = None
    ) -> str:
        """Add a node, its top left (below the title) and size in the graph's units; its id."""
        node = self.page.evaluate(
            "([type, at, size]) => harness.addNode(type, at, size)",
            [type, list(at), list(size) if size else None],
        )
        self._settle()
        return node

    def connect(self, source: str, output: int | str, target: str, input: int | str) -> None:
        """Connect an output to an input; slots by name or number."""
        self.page.evaluate("words => harness.connect(...words)", [source, output, target, input])
        self._settle()

    def value(self, node: str, widget: str) -> object:
        return self.page.evaluate("words => harness.widget(...words).value", [node, widget])

    def set_value(self, node: str, widget: str, value: object) -> None:
        self.page.evaluate("words => harness.setWidget(...words)", [node, widget, value])
        self._settle()

    def widgets(self, node: str) -> list[str]:
        """The names of a node's widgets, in order."""
        return self.page.evaluate(
            "id => (harness.node(id).widgets ?? []).map(widget => widget.name)", node
        )

    # Where things are

    def show(self, *nodes: str, margin: float = 100) -> None:
        """Pan so that the nodes are in the middle, at zoom 1 or less if they would not fit."""
        self.page.evaluate("words => harness.show(...words)", [list(nodes), margin])
        self._settle()

    def rect(self, node: str) -> dict[str, float]:
        """Where a node with its title is on the page."""
        return self.page.evaluate("id => harness.rect(id)", node)

    def widget_rect(self, node: str, widget: str) -> dict[str, float]:
        """Where a widget is on the page, whatever draws it."""
        return self.page.evaluate("words => harness.widgetRect(...words)", [node, widget])

    def hover(self, rect: dict[str, float]) -> None:
        """Move the mouse to the middle of a rectangle."""
        self.page.mouse.move(rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2)

    def hover_widget(self, node: str, widget: str) -> None:
        """Move the mouse to the middle of a widget; after it where the page still moves it."""
        hovered = None
        while hovered != (rect := self.widget_rect(node, widget)):
            self.hover(hovered := rect)
            self._settle()

    def leave(self) -> None:
        """Move the mouse to where the graph is empty."""
        canvas = self.page.locator("#graph-canvas").bounding_box()
        self.page.mouse.move(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] - 5)

    def element(self, node: str, widget: str) -> Locator:
        """The element of a DOM widget. Ask again after undo or loading, which make a new one."""
        mark = self.page.evaluate("words => harness.mark(...words)", [node, widget])
        return self.page.locator(f'[data-test-widget="{mark}"]')

    # A user's gestures

    def press(self, keys: str) -> None:
        """Press keys, such as "ControlOrMeta+c", with the focus on the graph."""
        self._focus_graph()
        self.page.keyboard.press(keys)

    def undo(self) -> None:
        self._focus_graph()
        self.travel("Control+z", "undo")

    def redo(self) -> None:
        self._focus_graph()
        self.travel("Control+y", "redo")

    def travel(self, keys: str, way: str) -> None:
        """Undo or redo by keys pressed where the focus is, and wait until it is done."""
        with self.travelling(way):
            self._hold(*keys.split("+"))

    def _hold(self, *keys: str) -> None:
        """Press keys together for longer than a frame, as hands do.

        A modifier that is let go before the front end has taken note of the other key would make a
        step of what has changed by itself, such as the size of a node whose picture has come, and
        there would be nothing to redo.
        """
        for key in keys:
            self.page.keyboard.down(key)
            self.page.evaluate("() => harness.frames()")
        for key in reversed(keys):
            self.page.keyboard.up(key)

    @contextmanager
    def travelling(self, way: str) -> Iterator[None]:
        """What is done in it goes a step to "undo" or to "redo": wait until it is restored."""
        # The front end takes note of what keys did a frame after them.
        self.page.evaluate("() => harness.frames()")
        assert self.page.evaluate("way => harness.aim(way)", way), f"there is nothing to {way}"
        yield
        self.page.wait_for_function("() => harness.isRestored()")
        self._settle()

    def select(self, *nodes: str) -> None:
        self.page.evaluate(
            "ids => app.canvas.selectItems(ids.map(id => harness.node(id)))", list(nodes)
        )
        self._settle()

    def copy(self, *nodes: str) -> None:
        self.select(*nodes)
        self.press("ControlOrMeta+c")

    def paste(self) -> list[str]:
        """Paste what was copied; the new nodes' ids."""
        before = self.nodes()
        self.press("ControlOrMeta+v")
        self.page.wait_for_function(
            "before => harness.nodes().some(id => !before.includes(id))", arg=before
        )
        self._settle()
        return [node for node in self.nodes() if node not in before]

    def to_subgraph(self, *nodes: str) -> str:
        """Turn nodes into a subgraph; the id of the node that stands for it."""
        before = self.nodes()
        self.select(*nodes)
        self.run_command("Comfy.Graph.ConvertToSubgraph")
        [made] = set(self.nodes()) - set(before)
        return made

    def enter_subgraph(self, node: str) -> None:
        self.page.evaluate(
            "id => app.canvas.openSubgraph(harness.node(id).subgraph, harness.node(id))", node
        )
        self._settle()

    def leave_subgraph(self) -> None:
        self.run_command("Comfy.Graph.ExitSubgraph")

    def close_dialogs(self) -> None:
        """Close what tells of errors in front of all else, as older front ends do."""
        dialogs = self.page.locator(".p-dialog-mask")
        for _ in range(dialogs.count()):
            self.page.keyboard.press("Escape")
            self.page.wait_for_timeout(300)

    def queue(self, timeout: float = 300) -> dict:
        """Press Run and wait; the history entry, with "outputs" and "status"."""
        self.close_dialogs()
        with self.page.expect_response(
            lambda answer: answer.request.method == "POST" and answer.url.endswith("/prompt")
        ) as answered:
            self.page.get_by_test_id("queue-button").click()
        # A workflow that is not valid is answered too, with what is wrong in it.
        answer = answered.value.json()
        assert "prompt_id" in answer, f"ComfyUI refused the workflow: {answer}"
        entry = self.server.wait(answer["prompt_id"], timeout)
        self.page.wait_for_function("id => harness.done.has(id)", arg=answer["prompt_id"])
        self._settle()
        return entry

    # The inside

    @property
    def _settings(self) -> Path:
        """What the server reads at every request, for all pages."""
        return self.server.base_dir / "user" / "default" / "comfy.settings.json"

    def _set(self, name: str, value: object) -> None:
        self.page.evaluate(
            "([name, value]) => app.extensionManager.setting.set(name, value)", [name, value]
        )

    def _focus_graph(self) -> None:
        self.page.evaluate("() => { document.activeElement?.blur(); app.canvas.canvas.focus(); }")

    def _wait_until_ready(self) -> None:
        self.page.bring_to_front()  # keys pressed on a page that is not active can be lost
        self.page.wait_for_function("() => harness.ready()")
        self.page.evaluate("() => harness.listen()")
        self._settle()

    def _settle(self) -> None:
        """Wait until the editor shows what the graph is."""
        self.page.wait_for_function("vue => harness.rendered(vue)", arg=self.renderer == "vue")
        self.page.evaluate("() => harness.steady()")

    def _note_console(self, message: ConsoleMessage) -> None:
        # A help page that is missing in the user's language is looked up so.
        source = message.location.get("url", "")
        ours = OUR_SCRIPTS in source or OUR_SCRIPTS in message.text
        if message.type == "error" and ours and "/docs/" not in source:
            self.errors.append(message.text)

    def _note_error(self, error: Error) -> None:
        if OUR_SCRIPTS in (error.stack or ""):
            self.errors.append(error.stack or str(error))

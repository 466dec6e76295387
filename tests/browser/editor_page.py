"""The layout editor's widget, as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from comfy_page import ComfyPage, front_end_is_from
from playwright.sync_api import Locator

BOXES = [[0.125, 0.125, 0.375, 0.375], [0.5, 0.125, 0.75, 0.375], [0.125, 0.5, 0.375, 0.75]]
TEXTS = ["a cat", "a dog", "a cow"]
Point = tuple[float, float]  # fractions of the picture


class EditorPage:
    """The editor on one node of a ComfyPage.

    editor = EditorPage(comfy, comfy.add_node("ReCoLayoutEditor"))
    editor.drag((0.1, 0.1), (0.5, 0.5))
    assert editor.boxes == [[0.1, 0.1, 0.5, 0.5]]
    """

    def __init__(self, comfy: ComfyPage, node: str) -> None:
        self.comfy = comfy
        self.node = node

    # What there is

    @property
    def root(self) -> Locator:
        return self.comfy.element(self.node, "editor")

    @property
    def stage(self) -> Locator:
        return self.root.locator(".reco-stage")

    @property
    def rows(self) -> Locator:
        return self.root.locator(".reco-row")

    @property
    def status(self) -> str:
        return self.root.locator(".reco-status").inner_text()

    @property
    def meter(self) -> Locator:
        return self.root.locator(".reco-meter-text")

    @property
    def drawing(self) -> dict:
        """The node's value, as the workflow keeps it."""
        value = str(self.comfy.value(self.node, "editor"))
        return json.loads(value) if value else {"caption": "", "regions": []}

    @property
    def regions(self) -> list[dict]:
        return self.drawing["regions"]

    @property
    def boxes(self) -> list[list[float]]:
        """xyxy fractions to four decimals."""
        return [[round(edge, 4) for edge in region["box"]] for region in self.regions]

    @property
    def texts(self) -> list[str]:
        return [region["text"] for region in self.regions]

    @property
    def selected(self) -> list[int]:
        chosen = self.stage.locator(".reco-box").evaluate_all(
            "boxes => boxes.map(box => box.ariaSelected === 'true')"
        )
        return [index for index, is_selected in enumerate(chosen) if is_selected]

    # What a person does

    def at(self, point: Point) -> Point:
        """Where a point of the picture is on the page, in CSS pixels."""
        box = self.stage.bounding_box()
        assert box, "the canvas is not to be seen"
        return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]

    def drag(self, start: Point, end: Point, hold: str = "", then_hold: str = "") -> None:
        """Drag with the left button; hold keys from the start, or only once it is under way."""
        mouse, keyboard = self.comfy.page.mouse, self.comfy.page.keyboard
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*self.at(start))
        if hold:
            keyboard.down(hold)
        mouse.down()
        if then_hold:
            keyboard.down(then_hold)
        for point in (middle, end):
            mouse.move(*self.at(point))
        mouse.up()
        for key in filter(None, (hold, then_hold)):
            keyboard.up(key)

    def click(self, point: Point, hold: Sequence[str] = ()) -> None:
        keyboard = self.comfy.page.keyboard
        for key in hold:
            keyboard.down(key)
        self.comfy.page.mouse.click(*self.at(point))
        for key in hold:
            keyboard.up(key)

    def double_click(self, point: Point) -> None:
        self.comfy.page.mouse.dblclick(*self.at(point))

    def press(self, *keys: str) -> None:
        """Press keys while the canvas has the focus."""
        self.stage.focus()
        for key in keys:
            self.comfy.page.keyboard.press(key)

    def travel(self, keys: str, way: str) -> None:
        """Undo or redo by keys pressed on the canvas, and wait until it is done."""
        self.stage.focus()
        self.comfy.travel(keys, way)

    def type(self, text: str) -> None:
        self.comfy.page.keyboard.type(text)

    def handle(self, name: str) -> Point:
        """Where a handle is: a point of the picture, which may be on its border."""
        handle, stage = (
            locator.bounding_box()
            for locator in (self.stage.locator(f".reco-handle-{name}"), self.stage)
        )
        assert handle and stage, f"there is no handle {name} to be seen"
        centre = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        return (centre[0] - stage["x"]) / stage["width"], (centre[1] - stage["y"]) / stage["height"]

    def draw(self, *regions: tuple[Point, Point, str]) -> None:
        """Draw boxes and type what is in them."""
        for start, end, text in regions:
            self.drag(start, end, hold="Control")
            if front_end_is_from(1, 58):  # there what follows in 50 ms is of the same step
                self.comfy.page.wait_for_timeout(100)
            self.type(text)
            self.comfy.page.keyboard.press("Enter")

    def write_caption(self, text: str) -> None:
        self.root.locator(".reco-caption").fill(text)
        self.comfy.page.keyboard.press("Tab")

    def field(self, index: int, label: str) -> Locator:
        """A field or button of a region's row, by what screen readers call it."""
        return self.rows.nth(index).get_by_label(f"{label} region {index + 1}", exact=True)

    def open(self, index: int) -> None:
        """Select a region by its row, which then shows its numbers."""
        self.rows.nth(index).locator(".reco-grip").click()

    def fill(self, index: int, label: str, value: str) -> None:
        field = self.field(index, label)
        if not field.is_visible():
            self.open(index)
        field.fill(value)
        field.press("Tab")

    def choose(self, label: str, value: str) -> None:
        self.root.get_by_label(label, exact=True).select_option(value)

"""Mouse and keyboard that count what a person does with them."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import Locator, Page

Point = tuple[float, float]  # CSS pixels of the page
RULE = (
    "A click (of any button, double or with keys held), a drag, a key or chord pressed and a text "
    "typed are one action each; a choice from a closed menu is two; moving the pointer is none."
)


class Hand:
    """A hand on one page. `actions` counts by RULE."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.actions = 0

    def click(
        self, at: Point, hold: Sequence[str] = (), times: int = 1, right: bool = False
    ) -> None:
        with _held(self.page, hold):
            self.page.mouse.click(*at, click_count=times, button="right" if right else "left")
        self.actions += 1

    def click_on(self, target: Locator, times: int = 1, right: bool = False) -> None:
        self.click(middle(target), times=times, right=right)

    def drag(self, start: Point, end: Point, hold: Sequence[str] = ()) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        with _held(self.page, hold):
            mouse.down()
            for share in (0.3, 0.7, 1):
                steps = (s + (e - s) * share for s, e in zip(start, end, strict=True))
                mouse.move(*steps)
            mouse.up()
        self.actions += 1

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.actions += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.actions += 1


class _held:
    def __init__(self, page: Page, keys: Sequence[str]) -> None:
        self.keyboard, self.keys = page.keyboard, keys

    def __enter__(self) -> None:
        for key in self.keys:
            self.keyboard.down(key)

    def __exit__(self, *_: object) -> None:
        for key in reversed(self.keys):
            self.keyboard.up(key)


def middle(target: Locator) -> Point:
    """The middle of an element, which is scrolled to be seen."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box, f"{target} is not to be seen"
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

"""The prompt builder of ComfyUI-KJNodes, whose editor floats beside its node."""

from __future__ import annotations

import json

from tasks.editor import Editor, Region, middle_of, moved
from tasks.scenes import (
    ALL_BY,
    CAT,
    COW,
    DOG,
    EDGE_TO,
    FIVE,
    HAT,
    HORSE,
    NUMBERS,
    SMALL,
    STACK_AT,
    STRIP,
)


class KjEditor(Editor):
    name = "KJNodes' prompt builder"
    node_type = "Ideogram4PromptBuilderKJ"
    bottom_first = False

    @classmethod
    def values(cls, regions, size):
        boxes = [
            {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0, "type": "obj", "text": ""}
            | {"desc": region.text, "palette": []}
            for region in regions
            for x0, y0, x1, y1 in [region.box]
        ]
        data = json.dumps(boxes) if boxes else ""
        return {"width": size[0], "height": size[1], "elements_data": data}

    @classmethod
    def properties(cls, values):
        return {"_boxes": json.loads(values["elements_data"] or "[]")}

    @property
    def root(self):
        """Its editor: the one of this node, of several."""
        mark = f"kj-{self.node}"
        self.comfy.page.evaluate(
            "([id, mark]) => { harness.node(id)._dockEl.dataset.testKj = mark; }",
            [self.node, mark],
        )
        return self.comfy.page.locator(f'[data-test-kj="{mark}"]')

    @property
    def regions(self):
        value = self.comfy.value(self.node, "elements_data")
        return [
            Region(
                box["desc"],
                (box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]),
                locked=bool(box.get("locked")),
            )
            for box in (json.loads(value) if value else [])
        ]

    def settle(self):
        self.comfy.page.wait_for_function(
            "id => harness.node(id)._dockEl?.querySelector('canvas').clientHeight > 5",
            arg=self.node,
        )
        # The editor hangs below the node.
        bottom = self.root.bounding_box()
        if bottom["y"] + bottom["height"] > 980:
            self.comfy.page.evaluate(
                "by => { app.canvas.ds.offset[1] -= by; app.canvas.setDirty(true, true); }",
                bottom["y"] + bottom["height"] - 980,
            )
            self.comfy.page.evaluate("() => harness.frames()")

    def canvas(self):
        page = self.comfy.page
        large = page.locator(".kjideo-fs canvas.kjideo-canvas")
        return (
            large if large.count() else self.root.locator("canvas.kjideo-canvas")
        ).bounding_box()

    def write(self, point, text):
        self.double_click(point)
        self.type(text)

    def keep(self):
        self.press("Control+Enter")

    def menu_row(self, index):
        return self.comfy.page.locator(".kjideo-menu .kjideo-lrow").nth(index)

    # Tasks

    def resize_picture(self):
        self.comfy.show(self.node)  # its fields, which were out of view above its editor
        super().resize_picture()

    def draw_five(self):
        for region in FIVE:
            self.draw(region.box)
            self.write(middle_of(region.box), region.text)
        self.keep()

    def write_in_place(self):
        self.write(middle_of(DOG.box), DOG.text)
        self.keep()

    def rename(self):
        self.write(middle_of(DOG.box), HORSE)
        self.keep()

    def resize_edge(self):
        self.drag((CAT.box[2] - 0.005, 0.25), (EDGE_TO - 0.005, 0.25))  # just inside of it

    def nudge(self):
        x0, y0, x1, y1 = (round(edge * 512) for edge in CAT.box)
        self._type_box((x0 + 1, y0, x1 + 1, y1))

    def set_numbers(self):
        x, y, width, height = NUMBERS
        self._type_box((x, y, x + width, y + height))

    def _type_box(self, pixels):
        x0, y0, x1, y1 = pixels
        self.click(middle_of(CAT.box))
        self.hand.click_on(self.root.locator(".kjideo-bbox").first, times=3)
        self.type(f"{y0}, {x0}, {y1}, {x1}")
        self.press("Enter")

    def swap(self):
        self.drag(middle_of(CAT.box), middle_of(DOG.box))
        self.drag(middle_of(DOG.box), middle_of(CAT.box), "Alt")

    def reorder(self):
        self.click((0.9, 0.9), right=True)
        self._drag_row(2, 0)

    def _drag_row(self, start, end):
        x, y = self._place(start)
        to_x, to_y = self._place(end)
        self.hand.drag((x, y), (to_x, to_y - 6))

    def _place(self, index):
        box = self.menu_row(index).locator(".kjideo-ltext").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def duplicate(self):
        self.click(middle_of(CAT.box))
        self.comfy.page.mouse.move(*self.at((0.8, 0.8)))  # where the copy goes
        self.press("Control+d")

    def delete_stacked(self):
        self.click(STACK_AT)
        self.click(STACK_AT, "Alt")
        self.press("Delete")

    def reach_small(self):
        self.click(middle_of(SMALL), "Alt")
        self.write(middle_of(SMALL), HORSE)
        self.keep()

    def draw_over(self):
        self.draw(HAT.box, "Control")
        self.write(middle_of(HAT.box), HAT.text)
        self.keep()

    def lock(self):
        self.click((0.9, 0.9), right=True)
        self.hand.click_on(self.menu_row(0).locator(".kjideo-lock"))

    def move_several(self):
        self._select_all()
        at = middle_of(CAT.box)
        self.drag(at, moved(at, ALL_BY))

    def _select_all(self):
        self.drag((0.05, 0.05), (0.85, 0.85), "Shift")

    def scale_group(self):
        self._select_all()
        x, y = COW.box[2:]  # a handle of one of them scales all
        self.drag((x, y), (x + 0.0625, y + 0.0625))

    def clear_all(self):
        self.hand.click_on(self.root.get_by_role("button", name="Clear all"))

    def undo_three(self):
        self.press("Control+z", "Control+z", "Control+z")

    def large_view(self):
        self.hand.click_on(self.root.get_by_title("Open in a larger window (Esc to close)"))
        self.draw(STRIP.box)
        self.write(middle_of(STRIP.box), STRIP.text)
        self.keep()

    def copy_to_other(self, other):
        self.hand.click_on(self.root.get_by_role("button", name="Copy", exact=True))
        self.hand.click_on(other.root.get_by_role("button", name="Paste", exact=True))

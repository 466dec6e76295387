"""ComfyUI's own Create Bounding Boxes. It works in Nodes 2.0 only."""

from __future__ import annotations

from typing import ClassVar

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
    SMALL,
    STACK_AT,
)


class CoreEditor(Editor):
    name = "Create Bounding Boxes"
    node_type = "CreateBoundingBoxes"
    renderers: ClassVar = ("vue",)
    bottom_first = False

    @classmethod
    def values(cls, regions, size):
        width, height = size
        boxes = [
            {
                "x": round(x0 * width),
                "y": round(y0 * height),
                "width": round((x1 - x0) * width),
                "height": round((y1 - y0) * height),
                "metadata": {"type": "obj", "text": "", "desc": region.text, "palette": []},
            }
            for region in regions
            for x0, y0, x1, y1 in [region.box]
        ]
        return {"width": width, "height": height, "editor_state": boxes}

    @property
    def root(self):
        return self.comfy.page.locator(f'[data-node-id="{self.node}"]')

    @property
    def regions(self):
        width, height = self.size
        return [
            Region(
                box["metadata"]["desc"],
                (
                    box["x"] / width,
                    box["y"] / height,
                    (box["x"] + box["width"]) / width,
                    (box["y"] + box["height"]) / height,
                ),
            )
            for box in self.comfy.value(self.node, "editor_state") or []
        ]

    def settle(self):
        self.root.locator("canvas").wait_for()

    def canvas(self):
        return self.root.locator("canvas").bounding_box()

    def write(self, point, text):
        self.double_click(point)
        self.type(text)

    def keep(self):
        self.press("Control+Enter")

    # Tasks

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
        self.hand.click_on(self.root.get_by_role("button", name="Grid"))
        x, y = self.at(middle_of(CAT.box))
        self.hand.drag((x, y), (x + 1, y))

    def swap(self):
        self.drag(middle_of(CAT.box), middle_of(DOG.box))
        self.drag(middle_of(DOG.box), middle_of(CAT.box), "Alt")

    def duplicate(self):
        x0, y0, x1, y1 = CAT.box
        copy = (x0 + 0.375, y0 + 0.375, x1 + 0.375, y1 + 0.375)
        self.draw(copy)
        self.write(middle_of(copy), CAT.text)
        self.keep()

    def delete_stacked(self):
        self.click(STACK_AT)
        self.click(STACK_AT, "Alt")
        self.press("Delete")

    def reach_small(self):
        self.click(middle_of(SMALL), "Alt")
        self.write(middle_of(SMALL), HORSE)
        self.keep()

    def draw_over(self):
        x0, y0, x1, y1 = HAT.box
        self.draw((x0 + 0.5, y0 + 0.5, x1 + 0.5, y1 + 0.5))
        self.drag(moved(middle_of(HAT.box), (0.5, 0.5)), middle_of(HAT.box))
        self.write(middle_of(HAT.box), HAT.text)
        self.keep()

    def move_several(self):
        for region in (COW, DOG, CAT):
            at = middle_of(region.box)
            self.drag(at, moved(at, ALL_BY))

    def clear_all(self):
        self.hand.click_on(self.root.get_by_role("button", name="Clear all"))

    def undo_three(self):
        self.press("Control+z", "Control+z", "Control+z")

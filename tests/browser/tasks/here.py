"""ReCo Layout Editor."""

from __future__ import annotations

import io
import json

from editor_page import EditorPage
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tasks.editor import Editor, Region, middle_of, moved
from tasks.scenes import (
    ALL_BY,
    CAT,
    DOG,
    EDGE_TO,
    FARM,
    FIVE,
    HAT,
    HORSE,
    NUMBERS,
    SMALL,
    STRIP,
)


def picture_of(regions):
    """The bytes of a PNG of ReCo Save Image, made with these regions."""
    boxes = [{"text": region.text, "box": region.box} for region in regions]
    layout = {"caption": "", "width": 512, "height": 512, "regions": boxes}
    info, file = PngInfo(), io.BytesIO()
    info.add_text("reco_layout", json.dumps(layout))
    Image.new("RGB", (64, 64)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


class ReCoEditor(Editor):
    name = "ReCo Layout Editor"
    node_type = "ReCoLayoutEditor"
    bottom_first = True

    def __init__(self, comfy, node):
        super().__init__(comfy, node)
        self.page = EditorPage(comfy, node)

    @classmethod
    def values(cls, regions, size):
        data = {
            "caption": "",
            "regions": [{"text": region.text, "box": region.box} for region in regions],
        }
        drawing = json.dumps(data) if regions else ""
        return {"width": size[0], "height": size[1], "editor": drawing}

    @property
    def root(self):
        return self.page.root

    @property
    def regions(self):
        return [
            Region(
                region["text"],
                tuple(region["box"]),
                region["weight"],
                region.get("locked", False),
                region.get("hidden", False),
            )
            for region in self.page.regions
        ]

    def settle(self):
        self.page.stage.wait_for()

    def canvas(self):
        (x, y), (right, bottom) = self.page.at((0, 0)), self.page.at((1, 1))
        return {"x": x, "y": y, "width": right - x, "height": bottom - y}

    def field(self, label):
        return self.root.get_by_label(label, exact=True)

    # Tasks

    def draw_five(self):
        for region in FIVE:
            self.draw(region.box)
            self.type(region.text)
        self.press("Enter")

    def write_in_place(self):
        self.click(middle_of(DOG.box))
        self.type(DOG.text)
        self.press("Enter")

    def rename(self):
        self.click(middle_of(DOG.box))
        self.type(HORSE)
        self.press("Enter")

    def resize_edge(self):
        self.drag((CAT.box[2] - 0.005, 0.25), (EDGE_TO - 0.005, 0.25))  # just inside of it

    def nudge(self):
        self.click(middle_of(CAT.box))
        self.press("ArrowRight")

    def set_numbers(self):
        self.click(middle_of(CAT.box))
        self.hand.click_on(self.field("Left edge of region 1"), times=3)
        self.type(", ".join(map(str, NUMBERS)))
        self.press("Enter")

    def align(self):
        at = middle_of(CAT.box)
        self.drag(at, moved(at, (0.41 - CAT.box[0] + 0.004, 0)))

    def swap(self):
        self.drag(middle_of(CAT.box), middle_of(DOG.box))
        self.drag(middle_of(DOG.box), middle_of(CAT.box), "Alt")

    def reorder(self):
        grips = self.root.locator(".reco-grip")
        first, last = (grips.nth(index).bounding_box() for index in (0, 2))
        x = last["x"] + last["width"] / 2
        self.hand.drag((x, last["y"] + last["height"] / 2), (x, first["y"] + 2))

    def duplicate(self):
        self.click(middle_of(CAT.box))
        self.press("Control+d")

    def delete_stacked(self):
        self.hand.click_on(self.root.locator(".reco-grip").nth(1))
        self.press("Delete")

    def reach_small(self):
        self.click(middle_of(SMALL))
        self.type(HORSE)
        self.press("Enter")

    def draw_over(self):
        self.draw(HAT.box, "Control")
        self.type(HAT.text)
        self.press("Enter")

    def lock(self):
        self.hand.click_on(self.field("Lock region 1"))

    def hide(self):
        self.hand.click_on(self.field("Hide region 2"))

    def move_several(self):
        self._select_all()
        at = middle_of(CAT.box)
        self.drag(at, moved(at, ALL_BY))

    def _select_all(self):
        self.drag((0.05, 0.05), (0.85, 0.85), "Shift")

    def scale_group(self):
        self._select_all()
        x, y = self.page.handle("se")
        self.drag((x, y), (x + 0.0625, y + 0.0625))

    def clear_all(self):
        self.hand.click_on(self.root.get_by_role("button", name="Clear all"))

    def undo_three(self):
        self.press("Control+z", "Control+z", "Control+z")

    def weigh_all(self):
        self._select_all()
        self.hand.click_on(self.field("Weight of region 3"), times=3)
        self.type("0.8")
        self.press("Enter")

    def paste_elements(self):
        self.click((0.9, 0.9))
        self.press("Control+v")

    paste_list = paste_elements

    def recall(self):
        self._drop(picture_of(FARM))
        replace = self.root.get_by_role("button", name="Replace", exact=True)
        replace.wait_for()
        self.hand.click_on(replace)

    def _drop(self, picture):
        """Drop a picture on the canvas, as a drag from the file manager ends."""
        x, y = self.at((0.5, 0.5))
        self.comfy.page.evaluate(
            """([x, y, bytes]) => {
              const transfer = new DataTransfer();
              const file = new File([new Uint8Array(bytes)], "made.png", { type: "image/png" });
              transfer.items.add(file);
              for (const kind of ["dragenter", "dragover", "drop"])
                document.elementFromPoint(x, y).dispatchEvent(new DragEvent(kind, {
                  dataTransfer: transfer, clientX: x, clientY: y,
                  bubbles: true, cancelable: true }));
            }""",
            [x, y, list(picture)],
        )
        self.hand.actions += 1

    def large_view(self):
        self.hand.click_on(self.root.get_by_label("Large view"))
        self.draw(STRIP.box)
        self.type(STRIP.text)
        self.press("Enter")

    def copy_to_other(self, other):
        mouse = self.comfy.page.mouse
        mouse.move(*self.at((0.9, 0.9)))
        self.press("Control+c")
        mouse.move(*other.at((0.9, 0.9)))
        other.press("Control+v")
        self.hand.actions += other.hand.actions

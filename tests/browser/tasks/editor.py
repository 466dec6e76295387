"""What the tasks need of an editor of boxes: how to set it up, and what it then holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from comfy_page import EMPTY, ComfyPage

from tasks.hand import Hand
from tasks.hand import Point as PagePoint

Point = tuple[float, float]  # fractions of the picture
Box = tuple[float, float, float, float]  # xyxy, fractions of the picture


@dataclass(frozen=True)
class Region:
    text: str
    box: Box
    weight: float = 1
    locked: bool = False
    hidden: bool = False


NEW_NODE = """([type, values, properties, id, width]) => {
  const node = LiteGraph.createNode(type);
  for (const widget of node.widgets) if (widget.name in values) widget.value = values[widget.name];
  Object.assign(node, properties);
  const data = node.serialize();
  node.onRemoved?.();
  if (width) data.size[0] = width;
  return { ...data, id, pos: [700 * (id - 1), 0] };
}"""


class Editor:
    """An editor on a node of its own; a subclass has a method for each task that it can do."""

    name: ClassVar[str]
    node_type: ClassVar[str]
    renderers: ClassVar[tuple[str, ...]] = ("classic", "vue")
    bottom_first: ClassVar[bool]  # which of two boxes lies on top, the later or the earlier one

    def __init__(self, comfy: ComfyPage, node: str) -> None:
        self.comfy = comfy
        self.node = node
        self.hand = Hand(comfy.page)

    @classmethod
    def open(
        cls,
        comfy: ComfyPage,
        *drawings: Sequence[Region],
        size: tuple[int, int] = (512, 512),
        width: float | None = None,
    ) -> list[Editor]:
        """Load a workflow with a node for each drawing; bottom regions first."""
        nodes = []
        for number, regions in enumerate(drawings, 1):
            values = cls.values(list(regions if cls.bottom_first else reversed(regions)), size)
            made = [cls.node_type, values, cls.properties(values), number, width]
            nodes.append(comfy.page.evaluate(NEW_NODE, made))
        comfy.load_workflow({**EMPTY, "nodes": nodes, "last_node_id": len(nodes)})
        editors = [cls(comfy, str(node["id"])) for node in nodes]
        comfy.show(*comfy.nodes(), margin=20)
        for editor in editors:
            editor.settle()
        return editors

    # What a subclass knows

    @classmethod
    def values(cls, regions: list[Region], size: tuple[int, int]) -> dict[str, object]:
        """Those of the node's widgets, by name."""
        raise NotImplementedError

    @classmethod
    def properties(cls, values: dict[str, object]) -> dict[str, object]:
        """What the node object keeps besides, where it does."""
        return {}

    def settle(self) -> None:
        """Wait until the editor shows its value."""

    @property
    def regions(self) -> list[Region]:
        """What the widget's value says, in its order."""
        raise NotImplementedError

    def canvas(self) -> dict[str, float]:
        """Where the picture is on the page: x, y, width, height."""
        raise NotImplementedError

    # What a person does on the canvas

    def at(self, point: Point) -> PagePoint:
        box = self.canvas()
        return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]

    def click(self, point: Point, *hold: str, times: int = 1, right: bool = False) -> None:
        self.hand.click(self.at(point), hold, times, right)

    def double_click(self, point: Point) -> None:
        self.click(point, times=2)

    def drag(self, start: Point, end: Point, *hold: str) -> None:
        self.hand.drag(self.at(start), self.at(end), hold)

    def draw(self, box: Box, *hold: str) -> None:
        self.drag((box[0], box[1]), (box[2], box[3]), *hold)

    def press(self, *keys: str) -> None:
        self.hand.press(*keys)

    def type(self, text: str) -> None:
        self.hand.type(text)

    # Tasks that are ComfyUI's own, so that all editors do them alike

    def set_number(self, widget: str, value: int) -> None:
        """Write a number into a field of the node."""
        rect = self.comfy.widget_rect(self.node, widget)
        spot = (rect["x"] + rect["width"] * 0.7, rect["y"] + rect["height"] / 2)
        self.hand.click(spot, times=2)
        self.type(str(value))
        self.press("Enter")

    def resize_picture(self) -> None:
        self.set_number("width", 768)

    @property
    def size(self) -> tuple[int, int]:
        return tuple(int(self.comfy.value(self.node, side)) for side in ("width", "height"))


def middle_of(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def moved(point: Point, by: Point) -> Point:
    return point[0] + by[0], point[1] + by[1]

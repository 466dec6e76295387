"""The tasks: what each begins with, and what has come of it when it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from comfy_page import ComfyPage

from tasks.editor import Box, Editor, Region
from tasks.scenes import (
    ALL_BY,
    CAT,
    COVERED,
    COW,
    DOG,
    EDGE_TO,
    FARM,
    FENCE,
    FIVE,
    HAT,
    HORSE,
    NUMBERS,
    STACK,
    STRIP,
)

NEAR = 0.01  # of a side: what a hand that drags may miss
PATIENCE_S = 8.0
SQUARE, WIDE, FLAT = (512, 512), (768, 512), (2048, 64)


@dataclass(frozen=True)
class Task:
    """name: that of the method of an Editor. done: raises AssertionError until it is done."""

    name: str
    title: str
    done: Callable[[Editor], None]
    start: Sequence[Region] = FARM
    size: tuple[int, int] = SQUARE
    prepare: Callable[[Editor], object] = lambda editor: None
    others: int = 0  # empty editors on nodes of their own

    def is_for(self, kind: type[Editor]) -> bool:
        return hasattr(kind, self.name)

    def do(self, kind: type[Editor], comfy: ComfyPage) -> int:
        """Perform it in an editor of this kind, and count. Raises AssertionError if it fails."""
        editor, *others = kind.open(comfy, self.start, *[()] * self.others, size=self.size)
        self.prepare(editor)
        editor.hand.actions = 0
        getattr(editor, self.name)(*others)
        wait_until(lambda: self.done((others or [editor])[-1]))
        return editor.hand.actions


def wait_until(done: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return done()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# What has come of a task


def holds(*expected: Region, ordered: bool = False, near: float = NEAR) -> Callable:
    """The editor holds these regions and no others: texts, and boxes nearly."""

    def check(editor: Editor) -> None:
        found = list(editor.regions)
        wanted = list(expected)
        if not ordered:
            found.sort(key=_place)
            wanted.sort(key=_place)
        assert [region.text for region in found] == [region.text for region in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert distance(one.box, other.box) <= near, f"{one} is not {other}"

    return check


def _place(region: Region) -> tuple:
    return region.text, [round(edge, 1) for edge in region.box]


def distance(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def with_box(region: Region, box: Box) -> Region:
    return Region(region.text, box)


def shifted(region: Region, by: tuple[float, float]) -> Region:
    x0, y0, x1, y1 = region.box
    return with_box(region, (x0 + by[0], y0 + by[1], x1 + by[0], y1 + by[1]))


def the(editor: Editor, text: str) -> Region:
    [found] = [region for region in editor.regions if region.text == text]
    return found


def moved_by_one_pixel(editor: Editor) -> None:
    assert distance(the(editor, CAT.text).box, shifted(CAT, (1 / 512, 0)).box) < 0.1 / 512


def has_numbers(editor: Editor) -> None:
    x, y, width, height = NUMBERS
    wanted = tuple(edge / 512 for edge in (x, y, x + width, y + height))
    assert distance(the(editor, CAT.text).box, wanted) < 0.1 / 512


def has_met_the_fence(editor: Editor) -> None:
    assert abs(the(editor, CAT.text).box[0] - FENCE.box[0]) < 0.1 / 512


def has_put_the_last_first(editor: Editor) -> None:
    *others, last = [region.text for region in (FARM if editor.bottom_first else FARM[::-1])]
    assert [region.text for region in editor.regions] == [last, *others]


def has_a_copy(editor: Editor) -> None:
    found = [region for region in editor.regions if region.text == CAT.text]
    assert (len(editor.regions), len(found)) == (4, 2)
    sides = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (region.box for region in found)]
    assert distance(sides[0] * 2, sides[1] * 2) <= NEAR
    assert distance(found[0].box, found[1].box) > NEAR


def has_lost_the_middle_one(editor: Editor) -> None:
    assert sorted(region.text for region in editor.regions) == ["one", "three"]


def has_renamed_the_small_one(editor: Editor) -> None:
    assert sorted(region.text for region in editor.regions) == [HORSE, "large"]


def has_locked_the_cat(editor: Editor) -> None:
    assert [region.locked for region in editor.regions].count(True) == 1


def has_hidden_the_dog(editor: Editor) -> None:
    assert [region.text for region in editor.regions if region.hidden] == [DOG.text]


def has_scaled_all(editor: Editor) -> None:
    growth = []
    for region in FARM:
        x0, _, x1, _ = the(editor, region.text).box
        growth.append((x1 - x0) / (region.box[2] - region.box[0]))
    assert min(growth) > 1.08 and max(growth) - min(growth) < 0.05


def has_weighed_all(editor: Editor) -> None:
    assert [region.weight for region in editor.regions] == [0.8] * 3


def is_wide_with_the_same_shares(editor: Editor) -> None:
    assert editor.size == WIDE
    holds(*FARM, near=0.002)(editor)


# What is there beforehand

ELEMENTS = json.dumps(
    [
        {
            "type": "obj",
            "bbox": [round(1000 * region.box[i]) for i in (1, 0, 3, 2)],
            "desc": region.text,
        }
        for region in FARM
    ]
)
LIST = "Here is the layout you asked for:\n\n" + "\n".join(
    f"{number}. {region.text}: [{', '.join(map(str, region.box))}]"
    for number, region in enumerate(FARM, 1)
)


def copied(text: str) -> Callable[[Editor], None]:
    def prepare(editor: Editor) -> None:
        editor.comfy.page.evaluate("text => navigator.clipboard.writeText(text)", text)

    return prepare


def three_moves(editor: Editor) -> None:
    for step in range(3):
        at = (0.25 + step * 0.0625, 0.25)
        editor.drag(at, (at[0] + 0.0625, at[1]))
        editor.comfy.page.evaluate("() => harness.frames()")
    wait_until(lambda: holds(shifted(CAT, (0.1875, 0)), DOG, COW, near=0.04)(editor))


TASKS = (
    Task("draw_five", "draw five boxes and write a text into each", holds(*FIVE), start=()),
    Task(
        "write_in_place",
        "write a text into a box that has none",
        holds(*FARM),
        start=(CAT, with_box(Region("", ()), DOG.box), COW),
    ),
    Task(
        "rename",
        "give a region another text",
        holds(CAT, with_box(Region(HORSE, ()), DOG.box), COW),
    ),
    Task(
        "resize_edge",
        "move one edge of a box",
        holds(with_box(CAT, (0.125, 0.125, EDGE_TO, 0.375)), DOG, COW, near=0.02),
    ),
    Task("nudge", "move a box by exactly one pixel", moved_by_one_pixel, start=(CAT, COW)),
    Task("set_numbers", "give a box four exact numbers", has_numbers),
    Task("align", "put a box's edge exactly on another's", has_met_the_fence, start=(CAT, FENCE)),
    Task(
        "swap",
        "let two boxes change places",
        holds(with_box(CAT, DOG.box), with_box(DOG, CAT.box), near=0.02),
        start=(CAT, DOG),
    ),
    Task("reorder", "put the last region first", has_put_the_last_first),
    Task("duplicate", "duplicate a region", has_a_copy),
    Task(
        "delete_stacked",
        "delete the middle one of three boxes on each other",
        has_lost_the_middle_one,
        start=STACK,
    ),
    Task(
        "reach_small",
        "write into a small box below a large one",
        has_renamed_the_small_one,
        start=COVERED,
    ),
    Task("draw_over", "draw a box with a text over another box", holds(*FARM, HAT, near=0.03)),
    Task("lock", "lock a region", has_locked_the_cat),
    Task("hide", "leave a region out without losing it", has_hidden_the_dog),
    Task(
        "move_several",
        "move three boxes together",
        holds(*(shifted(region, ALL_BY) for region in FARM), near=0.02),
    ),
    Task("scale_group", "scale three boxes together", has_scaled_all),
    Task("clear_all", "clear all", holds()),
    Task(
        "undo_three",
        "take back the last three steps",
        holds(*FARM, near=0.004),
        prepare=three_moves,
    ),
    Task("weigh_all", "give all regions the weight 0.8", has_weighed_all),
    Task(
        "paste_elements",
        "paste an LLM's answer: JSON elements",
        holds(*FARM),
        start=(),
        prepare=copied(ELEMENTS),
    ),
    Task(
        "paste_list",
        "paste an LLM's answer: a list in prose",
        holds(*FARM),
        start=(),
        prepare=copied(LIST),
    ),
    Task(
        "recall",
        "take the layout out of a picture that was made with one",
        holds(*FARM),
        start=(),
    ),
    Task("resize_picture", "make the picture 3:2, boxes kept", is_wide_with_the_same_shares),
    Task(
        "large_view",
        "draw a box with a text into a picture of 2048 x 64",
        holds(STRIP, near=0.06),
        start=(),
        size=FLAT,
    ),
    Task("copy_to_other", "copy all regions to another editor", holds(*FARM), others=1),
)

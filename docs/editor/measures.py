"""What is measured of an editor in a page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from comfy_page import EMPTY, ComfyPage, Theme
from tasks.core import CoreEditor
from tasks.editor import Editor, Region, middle_of
from tasks.hand import Hand
from tasks.here import ReCoEditor

PAGE = Path(__file__).with_name("page.js")
NODE_WIDTH = 480
MOVES = 30
COUNTS = (5, 40, 200)
BLUEPRINT = "ReCo text to image"
MIDDLE = (800, 200)  # of an empty canvas, near its top


def many(count: int) -> list[Region]:
    """Regions in rows that overlap their neighbours a little."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    return [
        Region(f"thing {i}", (x / columns, y / rows, x / columns + side[0], y / rows + side[1]))
        for i in range(count)
        for x, y in [(i % columns, i // columns)]
        for side in [(0.8 / columns, 0.8 / rows)]
    ]


def drag_step(kind: type[Editor], comfy: ComfyPage, count: int) -> dict[str, float]:
    """Milliseconds of a step of dragging one of `count` boxes: median and 95th percentile.

    A step is all that the page's main thread does from a move of the pointer until the frame that
    shows it is painted: handlers, style, layout, paint. It is the thread's processor time, so that
    what else runs on the machine does not count; rasterising on other threads is not in it.
    """
    [editor] = kind.open(comfy, many(count))
    x, y = editor.at(middle_of(many(count)[0].box))
    mouse = comfy.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 12, y + 12)
    used = thread_time(comfy)
    times, before = [], used()
    for step in range(MOVES):
        turn = 2 * math.pi * step / MOVES
        mouse.move(x + 60 + 50 * math.sin(turn), y + 60 + 50 * math.cos(turn))
        comfy.page.evaluate("() => new Promise(requestAnimationFrame)")
        now = used()
        times.append(1000 * (now - before))
        before = now
    mouse.up()
    return {"median": statistics.median(times), "p95": percentile(times, 0.95)}


def thread_time(comfy: ComfyPage) -> Callable[[], float]:
    """What tells the processor time, in seconds, that the page's tasks have taken so far."""
    session = comfy.page.context.new_cdp_session(comfy.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    return used


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def canvas_area(kind: type[Editor], comfy: ComfyPage) -> int:
    """CSS pixels of the canvas of a square picture on a node of NODE_WIDTH, at zoom 1."""
    [editor] = kind.open(comfy, many(5), width=NODE_WIDTH)
    scale = comfy.page.evaluate("() => app.canvas.ds.scale")
    width = comfy.rect(editor.node)["width"] / scale
    assert abs(width - NODE_WIDTH) < 2, f"the node is {width:.0f} px wide"
    box = editor.canvas()
    return round(box["width"] * box["height"] / scale**2)


# One of each kind of text: a region without one, texts too long, a warning in a row.
TELLING = (
    *many(4),
    Region("", (0.55, 0.1, 0.9, 0.3)),
    Region("masterpiece, (best quality:1.6) " * 40, (0.1, 0.6, 0.7, 0.95)),
)


def contrasts(comfy: ComfyPage, theme: Theme) -> list[dict]:
    """{text, ratio} of every text of the editor, with a region selected, the least first."""
    comfy.set_theme(theme)
    [editor] = ReCoEditor.open(comfy, TELLING, size=(512, 512))
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-400, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    editor.click(middle_of(TELLING[0].box))
    editor.root.locator(".reco-unfit").first.wait_for()
    comfy.page.evaluate(PAGE.read_text("utf-8"))
    found = editor.root.evaluate("root => measures.contrasts(root)")
    return sorted(found, key=lambda each: each["ratio"])


def first_picture(comfy: ComfyPage) -> int:
    """Actions from an empty graph to a picture, by the template."""
    comfy.load_workflow(EMPTY)
    hand = Hand(comfy.page)
    hand.click_on(comfy.page.get_by_role("button", name="Templates").first)
    hand.click_on(comfy.page.get_by_test_id("template-workflow-reco_quickstart"))
    comfy.page.wait_for_function("() => harness.nodes().length")
    outputs = comfy.queue()["outputs"].values()
    assert any(output.get("images") for output in outputs), "no picture was made"
    return hand.actions + 1


def first_picture_by_blueprint(comfy: ComfyPage) -> int:
    """The same by the blueprint, which the search box finds."""
    comfy.load_workflow(EMPTY)
    hand, page = Hand(comfy.page), comfy.page
    hand.click(MIDDLE, times=2)
    page.wait_for_function("() => document.activeElement.matches('input')")
    hand.type(BLUEPRINT)
    found = page.get_by_test_id("result-item").or_(page.get_by_role("option"))
    found.filter(has_text=BLUEPRINT).first.wait_for()
    hand.press("Enter")
    page.get_by_role("dialog").first.wait_for(state="hidden")
    page.mouse.move(*MIDDLE, steps=3)
    hand.click(MIDDLE)
    page.wait_for_function("() => harness.nodes().length > 1")  # those beside it are there too
    outputs = comfy.queue()["outputs"].values()
    assert any(output.get("images") for output in outputs), "no picture was made"
    return hand.actions + 1


def all_of(comfy: ComfyPage) -> dict:
    """Every measure in the renderer that is open."""
    kinds = [ReCoEditor, CoreEditor] if comfy.renderer == "vue" else [ReCoEditor]
    found = {
        "area": {kind.name: canvas_area(kind, comfy) for kind in kinds},
        "drag": {
            kind.name: {str(count): drag_step(kind, comfy, count) for count in COUNTS}
            for kind in kinds
        },
        "contrast": {},
        "first_picture": first_picture(comfy),
    }
    if BLUEPRINT in comfy.server.get("/global_subgraphs").decode():  # checkouts before have none
        found["first_picture_by_blueprint"] = first_picture_by_blueprint(comfy)
    for theme in ("light", "dark"):
        texts = contrasts(comfy, theme)
        least = texts[0]
        found["contrast"][theme] = {
            "texts": len(texts),
            "least": least["ratio"],
            "text": least["text"],
        }
    return found

"""The pack's subgraph blueprints, as a user finds them, puts them down and runs them."""

import io
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from comfy_page import ComfyPage, front_end_is_from
from judged import assert_all_there
from PIL import Image, ImageDraw
from playwright.sync_api import TimeoutError, expect
from tasks.hand import Hand

from reco_core.layout import Layout

TEXT_TO_IMAGE, INPAINT = "ReCo text to image", "ReCo inpaint region"
EDITOR = "ReCo Layout Editor"
BESIDE = {TEXT_TO_IMAGE: {EDITOR, "Save Image"}, INPAINT: {EDITOR, "Save Image", "Load Image"}}
FOLDER = Path(__file__).parents[2] / "subgraphs"
KINDS = "() => Object.fromEntries(app.canvas.graph.nodes.map((n) => [n.title, String(n.id)]))"
HAS_INPUT = "() => document.activeElement.matches('input')"
MIDDLE = (800, 200)  # of the canvas, near its top
PUT_DOWN = 4  # actions: see below


def open_search(hand: Hand) -> None:
    """Double-click the empty canvas; on a busy machine ComfyUI can take it for two clicks."""
    page = hand.page
    hand.click(MIDDLE, times=2)
    for _ in range(3):
        try:
            page.wait_for_function(HAS_INPUT, timeout=10_000)
            return
        except TimeoutError:
            page.mouse.dblclick(*MIDDLE)
    page.wait_for_function(HAS_INPUT)


def search(hand: Hand, name: str) -> None:
    """Type a name into the search, and choose the first that is found."""
    page = hand.page
    open_search(hand)
    hand.type(name)
    found = page.get_by_test_id("result-item").or_(page.get_by_role("option"))
    found = found.filter(has_text=re.compile(r"\S"))  # before 1.40 the field is an option itself
    expect(found.first).to_contain_text(name)
    hand.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.mouse.move(*MIDDLE, steps=3)


def insert(comfy: ComfyPage, name: str, hand: Hand | None = None) -> dict[str, str]:
    """Search for a blueprint and put it down; all nodes that there are then: title -> id."""
    hand = hand or Hand(comfy.page)
    search(hand, name)
    hand.click(MIDDLE)
    comfy.page.wait_for_function(
        "count => harness.nodes().length === count", arg=1 + len(BESIDE[name])
    )
    comfy.page.wait_for_function("() => !harness.tracker().changeCount")  # it is one step of undo
    comfy._settle()
    nodes = comfy.page.evaluate(KINDS)
    assert nodes.keys() == {name, *BESIDE[name]}
    return nodes


def run(comfy: ComfyPage, save: str) -> np.ndarray:
    """Press Run: the picture that Save Image shows."""
    [picture] = comfy.queue()["outputs"][save]["images"]
    return np.asarray(Image.open(io.BytesIO(comfy.server.view(picture))).convert("RGB")).astype(int)


def drawn_layout(name: str) -> Layout:
    """What a blueprint's editor brings."""
    [outer] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))["nodes"]
    [editor] = [
        one for one in outer["properties"]["reco_beside"]["nodes"] if "editor" in one["widgets"]
    ]
    size = {side: editor["widgets"][side] for side in ("width", "height")}
    return Layout.from_data(json.loads(editor["widgets"]["editor"]) | size)


def test_the_server_lists_what_git_has(comfy: ComfyPage) -> None:
    """A pack is published, cloned and packed as git has it."""
    listed = json.loads(comfy.server.get("/global_subgraphs")).values()
    ours = {one["name"] for one in listed if one["info"]["node_pack"].endswith("comfyui-reco")}
    kept = subprocess.check_output(
        ["git", "ls-files", "-z", "subgraphs"], cwd=FOLDER.parent, text=True
    )
    assert ours == set(BESIDE) == {Path(name).stem for name in kept.split("\0") if name}


@pytest.mark.parametrize("name", BESIDE)
def test_nodes_are_saved_with_the_inputs_that_comfyui_lists(comfy: ComfyPage, name: str) -> None:
    kinds = json.loads(comfy.server.get("/object_info"))
    workflow = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    [subgraph], [outer] = workflow["definitions"]["subgraphs"], workflow["nodes"]
    for node in subgraph["nodes"]:
        inputs = kinds[node["type"]]["input"]
        names = [*inputs.get("required", {}), *inputs.get("optional", {})]
        assert sorted(slot["name"] for slot in node["inputs"]) == sorted(names)
        fields = [slot["name"] for slot in node["inputs"] if "widget" in slot]
        assert fields == [name for name in names if name in fields]  # widgets_values goes by it
        outputs = kinds[node["type"]]["output_name"]
        assert [slot["name"] for slot in node["outputs"]] == outputs
    for node in outer["properties"]["reco_beside"]["nodes"]:
        assert node["widgets"].keys() <= kinds[node["type"]]["input"]["required"].keys()


def test_a_picture_takes_a_search_a_click_and_run(comfy: ComfyPage) -> None:
    """Three things on three boxes, of nothing but what the search box put down."""
    hand = Hand(comfy.page)
    nodes = insert(comfy, TEXT_TO_IMAGE, hand)
    assert hand.actions == PUT_DOWN  # a double-click, a text, Enter, a click
    picture = run(comfy, nodes["Save Image"])  # and one more
    comfy.screenshot("blueprint-text-to-image")
    assert_all_there(picture, drawn_layout(TEXT_TO_IMAGE), "a dog, a red car, a palm tree")
    assert comfy.widgets(nodes[TEXT_TO_IMAGE]) == ["ckpt_name", "negative", "seed", "steps", "cfg"]
    if front_end_is_from(1, 40):  # those before change no seed of a subgraph
        assert comfy.value(nodes[TEXT_TO_IMAGE], "seed") != 0  # the next Run makes another picture


@pytest.mark.parametrize("name", BESIDE)
def test_what_it_brings_is_seen_whole_and_goes_with_one_undo(comfy: ComfyPage, name: str) -> None:
    nodes = insert(comfy, name)
    rects = [comfy.rect(node) for node in nodes.values()]
    comfy.screenshot("blueprint-" + name.split()[1])
    for index, one in enumerate(rects):
        for other in rects[:index]:
            assert (
                one["x"] + one["width"] < other["x"]
                or other["x"] + other["width"] < one["x"]
                or one["y"] + one["height"] < other["y"]
                or other["y"] + other["height"] < one["y"]
            )
    comfy.undo()
    assert comfy.nodes() == []
    comfy.redo()
    assert comfy.page.evaluate(KINDS).keys() == nodes.keys()
    assert len(comfy.nodes()) == len(nodes)


def test_a_copy_comes_alone(comfy: ComfyPage) -> None:
    nodes = insert(comfy, TEXT_TO_IMAGE)
    comfy.copy(nodes[TEXT_TO_IMAGE])
    assert len(comfy.paste()) == 1
    comfy.page.evaluate("() => harness.frames()")
    assert len(comfy.nodes()) == 4


@pytest.mark.skipif(
    not front_end_is_from(1, 40), reason="before 1.40 ComfyUI puts nodes down at once"
)
def test_given_up_it_leaves_nothing(comfy: ComfyPage) -> None:
    search(Hand(comfy.page), TEXT_TO_IMAGE)
    comfy.page.wait_for_function("() => harness.nodes().length === 1")
    comfy.page.keyboard.press("Escape")
    comfy.page.wait_for_function("() => harness.nodes().length === 0")
    comfy.page.evaluate("() => harness.frames()")
    assert comfy.nodes() == []
    assert not comfy.page.evaluate("() => harness.tracker().changeCount")


def test_a_region_is_painted_into_a_picture(comfy: ComfyPage) -> None:
    """The red square in the region's box is gone, and nothing around it has changed."""
    old = Image.new("RGB", (256, 256), (250, 250, 250))
    draw = ImageDraw.Draw(old)
    draw.rectangle((80, 80, 175, 175), fill=(220, 30, 30))
    draw.rectangle((0, 0, 39, 255), fill=(30, 160, 60))
    folder = comfy.server.base_dir / "input"
    folder.mkdir(exist_ok=True)
    old.save(folder / "old.png")
    nodes = insert(comfy, INPAINT)
    comfy.set_value(nodes["Load Image"], "image", "old.png")
    comfy.set_value(nodes[INPAINT], "steps", 12)
    picture = run(comfy, nodes["Save Image"])
    comfy.show(*nodes.values())
    comfy.screenshot("blueprint-inpainted")
    assert picture.shape == (160, 160, 3)  # of the layout
    small = np.asarray(old.resize((160, 160), Image.Resampling.LANCZOS)).astype(int)
    around = np.ones((160, 160), bool)
    around[24:128, 40:120] = False  # whole cells around its box
    assert abs(picture - small)[around].max() <= 1
    red, _, blue = picture[64, 80]
    assert blue > red + 80
    assert not ((picture[..., 0] - picture[..., 2] > 100) & ~around).any()

"""The example workflows of docs/control.md, run as they are saved.

What is asked of each picture is the layout recalled from its file; what is in it is found from its
pixels.
"""

from __future__ import annotations

import io
from dataclasses import astuple

import numpy as np
import pytest
from judged import assert_all_there, judged
from PIL import Image
from test_quickstart import ROOT, saved_nodes
from test_recall_nodes import recall
from workflows import files, layout_node, node

from reco_core.layout import Layout
from train.data.shape_looks import NEGATIVE, PLAIN
from train.data.shapeskills import Scene, Thing
from train.evaluate.shape_finder import ShapeScore, score_scene

FOLDER = ROOT / "example_workflows"
NAMES = (
    *("containment", "region_guidance", "region_settings", "region_lora", "many_regions"),
    *("img2img", "inpaint_region", "outpaint", "second_pass", "tiled_upscale"),
)
TITLE = 30  # pixels above a node
FIRST = "a dog, a red car, a palm tree"
Made = dict[str, tuple[np.ndarray, Layout]]


def made(server, name: str) -> Made:
    """Run a workflow: what it saves, (H, W, 3), and the layout of that, without the name."""
    found = {}
    for file, [data] in files(server, FOLDER / f"reco_{name}.json").items():
        status, answer = recall(server, data, f"{file}_00001_.png")
        assert status == 200, answer
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        found[file.removeprefix(name)] = picture, Layout.from_data(answer["layout"])
    assert found.keys() == {"", "_before"}
    return found


def scores(picture: np.ndarray, layout: Layout) -> list[ShapeScore]:
    """Of each region in a square picture of the layout's size."""
    assert picture.shape == (layout.height, layout.width, 3)
    things = tuple(
        Thing(
            *region.text.removeprefix("a ").split(),
            region.box.covered_pixels(layout.width, layout.height),
        )
        for region in layout.regions
    )
    return score_scene(
        Image.fromarray(picture.astype(np.uint8)), Scene("white", things, len(picture))
    )


def assert_right(picture: np.ndarray, layout: Layout, texts: str) -> None:
    assert ", ".join(region.text for region in layout.regions) == texts
    found = scores(picture, layout)
    assert all(score.right for score in found), found


@pytest.mark.parametrize("name", NAMES)
def test_a_note_tells_what_it_is_and_no_node_lies_on_another(name):
    nodes = saved_nodes(FOLDER / f"reco_{name}.json")
    assert [one["type"] for one in nodes].count("Note") == 1
    places = [(*one["pos"], *one["size"]) for one in nodes]
    for index, (x0, y0, w0, h0) in enumerate(places):
        for x1, y1, w1, h1 in places[:index]:
            # A title stands above its node.
            aside = x0 + w0 <= x1 or x1 + w1 <= x0
            assert aside or y0 + h0 + TITLE <= y1 or y1 + h1 + TITLE <= y0, nodes[index]["type"]


@pytest.mark.parametrize("name", ["containment", "region_guidance"])
def test_contained_regions_spill_less(server, name):
    pictures = made(server, name)
    assert pictures[""][1].regions == pictures["_before"][1].regions
    before, after = (scores(*pictures[part]) for part in ("_before", ""))
    assert all(score.right for score in after), after
    spilt, spills = (sum(score.leakage for score in some) for some in (before, after))
    assert spills < spilt / 2, (before, after)


def test_regions_are_off_or_too_short_to_be_painted_or_stronger(server):
    pictures = made(server, "region_settings")
    assert_all_there(*pictures["_before"], FIRST)
    dog, car, palm = judged(*pictures[""])
    assert palm.right and not car.right and not dog.right
    strengths = [region.control.strength for region in pictures[""][1].regions]
    assert strengths == [1, 0, 2]


def test_a_lora_paints_one_region_alone(server):
    pictures = made(server, "region_lora")
    (before, layout), (after, _) = pictures["_before"], pictures[""]
    assert_right(before, layout, "a red circle, a blue square")
    x0, y0, x1, y1 = layout.regions[1].box.covered_pixels(128, 128)
    middle = after[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].reshape(-1, 3)
    plain, negative = (abs(middle - x.colours["blue"]).mean() for x in (PLAIN, NEGATIVE))
    assert negative < plain / 2
    beside = slice(0, x0 - 8)
    assert abs(after - before)[:, beside].mean() < abs(after - before)[:, x0:x1].mean() / 10


def test_a_second_sequence_paints_the_regions_for_which_the_first_has_no_room(server):
    pictures = made(server, "many_regions")
    dropped, joined = (scores(*pictures[part]) for part in ("_before", ""))
    assert len(joined) == 16
    assert not any(score.right for score in dropped[11:])
    assert sum(score.right for score in joined[11:]) >= 4
    assert sum(score.right for score in joined) >= sum(score.right for score in dropped) + 4


def test_image_to_image_puts_other_things_into_the_picture(server):
    pictures = made(server, "img2img")
    assert_all_there(*pictures["_before"], FIRST)
    assert_all_there(*pictures[""], "a penguin, a bus, a palm tree")


def test_one_region_is_painted_and_no_pixel_outside_of_its_soft_edge(server, run):
    pictures = made(server, "inpaint_region")
    (before, first), (after, second) = pictures["_before"], pictures[""]
    assert_all_there(before, first, FIRST)
    assert_all_there(after, second, "a dog, a bus, a palm tree")
    mask = region_mask(run, second)
    changed = abs(after - before).max(axis=2)
    assert changed[mask == 0].max() <= 1  # where the mask is less than half a level
    assert not changed[~grown(mask > 0)].any()
    assert abs(after - before)[mask == 255].mean() > 20
    softest = seam(mask[..., None].astype(int), mask > 0)  # the first level that is let through
    assert seam(after - before, mask > 0) <= softest < 20


def region_mask(run, layout: Layout) -> np.ndarray:
    """(H, W) in [0, 255]: what the workflow's ReCo Region Mask gives."""
    nodes = saved_nodes(FOLDER / "reco_inpaint_region.json")
    [saved] = [one["widgets_values"] for one in nodes if one["type"] == "ReCoRegionMask"]
    inputs = dict(zip(("region", "grow", "feather"), saved, strict=True))
    nodes = {
        "layout": layout_node(layout),
        "mask": node("ReCoRegionMask", layout=["layout", 0], **inputs),
        "image": node("MaskToImage", mask=["mask", 0]),
        "shown": node("PreviewImage", images=["image", 0]),
    }
    return run(nodes)[0]["shown"][..., 0]


def grown(inside: np.ndarray) -> np.ndarray:
    """An area, (H, W), with the pixels around it."""
    for axis in (0, 1):
        inside = inside | np.roll(inside, 1, axis) | np.roll(inside, -1, axis)
    return inside


def seam(change: np.ndarray, inside: np.ndarray) -> int:
    """How far a change, (H, W, 3), jumps between neighbours on either side of an area's edge."""
    across = abs(np.diff(change, axis=1))[inside[:, 1:] != inside[:, :-1]]
    down = abs(np.diff(change, axis=0))[inside[1:] != inside[:-1]]
    return max(across.max(), down.max())


def test_a_picture_is_painted_on_at_its_side(server):
    pictures = made(server, "outpaint")
    (before, first), (after, second) = pictures["_before"], pictures[""]
    assert_all_there(before, first, FIRST)
    assert_all_there(after, second, f"{FIRST}, a sailboat, a penguin")
    kept = (slice(None), slice(0, 152))  # but for the soft edge
    assert abs(after[kept] - before[kept]).max() <= 2


def test_a_second_pass_at_one_and_a_half_times_the_size_keeps_the_layout(server):
    pictures = made(server, "second_pass")
    (before, first), (after, second) = pictures["_before"], pictures[""]
    assert after.shape == (240, 240, 3) and places_of(second) == places_of(first)
    assert_all_there(before, first, FIRST)
    assert_all_there(after, second, FIRST)
    assert painted_anew(before, after)


def test_every_tile_of_a_larger_picture_has_what_belongs_in_it(server):
    pictures = made(server, "tiled_upscale")
    (before, first), (after, second) = pictures["_before"], pictures[""]
    assert after.shape == (280, 280, 3) and places_of(second) == places_of(first)
    assert_all_there(before, first, f"{FIRST}, a sailboat")
    assert_all_there(after, second, f"{FIRST}, a sailboat")
    assert painted_anew(before, after)


def places_of(layout: Layout) -> dict[str, list[float]]:
    """Where regions are, by their texts."""
    return {one.text: [round(edge, 9) for edge in astuple(one.box)] for one in layout.regions}


def painted_anew(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a picture is more than an enlarged one."""
    size = after.shape[1::-1]
    large = Image.fromarray(before.astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)
    return abs(after - np.asarray(large, int)).mean() > 1

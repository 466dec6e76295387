"""Rules that the editor and the server both need, held together: scripts cannot import Python, and
nobody asks a server at every move of the mouse."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from node_js import evaluate

from reco_core.color_names import COLOR_WORDS
from reco_core.control import NAMES as CONTROL_NAMES
from reco_core.control import STRONGEST
from reco_core.draw import PALETTE, WORD_COLORS, ink_on, region_colors
from reco_core.drawing import TEXTLESS, read_drawing
from reco_core.forms.layout_json import LAYOUT_NAMES, REGION_NAMES
from reco_core.layout import JSON_VERSION, Box, Layout, Region
from reco_core.layout_remarks import layout_remarks
from reco_core.limits import SIZE_STEP

INKS = {"#000": (0, 0, 0), "#fff": (255, 255, 255)}
# For one name of a layout or region each; most are what no layout has there.
ODD = [None, True, 0, 1, 2, -0.5, 1.5, 1e400, "", " ", "a dog", "#12ab9f", "red", [], {}]
ODD += [[0, 0, 1, 1], [0.5, 0, 0.2, 1], [0, 0, 0, 1], [0, 0, 1], [0, 0, 1, 2], ["0", "0", "1", "1"]]
NAMES = ["text", "box", "weight", "color", "hidden", "locked", "label", *sorted(CONTROL_NAMES)]
LAYOUT_ONLY = ["caption", "version", "incoming", "textless", "prompt"]


def random_layout(chance: random.Random) -> Layout:
    def side() -> tuple[float, float]:
        low, high = sorted(chance.choice([0, 1, chance.random()]) for _ in range(2))
        return (low, high) if low < high else (0.25, 0.75)

    regions = []
    for _ in range(chance.randrange(4)):
        (x0, x1), (y0, y1) = side(), side()
        text = chance.choice(["a dog", " ein Hund\n", "狗 🐕", '"}]'])
        color = chance.choice([None, *PALETTE])
        regions.append(Region(text, Box(x0, y0, x1, y1), chance.choice([1, 1.3, 0, -2]), color))
    caption = chance.choice(["", "a park", "(a park:1.2)"])
    return Layout(caption, tuple(regions), 8 * chance.randrange(1, 200), 512)


LAYOUTS = [random_layout(random.Random(seed)) for seed in range(200)]


def spoiled(layout: Layout, chance: random.Random) -> str:
    """A layout's JSON after one value in it was exchanged."""
    data = json.loads(layout.to_json())
    if data["regions"] and chance.random() < 0.7:
        chance.choice(data["regions"])[chance.choice(NAMES)] = chance.choice(ODD)
    else:
        data[chance.choice(LAYOUT_ONLY)] = chance.choice(ODD)
    return json.dumps(data).replace("Infinity", "1e400")


def test_new_regions_have_the_colors_in_which_layouts_are_drawn() -> None:
    assert evaluate("editor/colors.js", "module.PALETTE") == list(PALETTE)


def test_texts_name_the_same_colors() -> None:
    fixed = {word: WORD_COLORS[name] for word, name in COLOR_WORDS.items()}
    words = [
        *fixed,
        *(f"dark{word}" for word in fixed),
        "redwood",
        "éred",
        "salmon",
        "",
        "a GOLDEN b",
    ]
    expected = [*fixed.values(), *fixed.values(), None, None, None, None, WORD_COLORS["yellow"]]
    assert evaluate("shared/color_words.js", "given.map(module.namedColor)", words) == expected


def test_regions_are_drawn_in_the_same_colors() -> None:
    chance = random.Random(0)
    texts = ["a dog", "a red car", "a blue and white cup", "a tree", "Grey sky", "grün", "azure"]
    drawings = []
    for _ in range(50):
        regions = [
            Region(chance.choice(texts), Box(0, 0, 1, 1), 1, chance.choice([None, None, "#12AB9F"]))
            for _ in range(chance.randrange(16))
        ]
        drawings.append(regions)
    given = [
        {"regions": [{"text": r.text, "color": r.color} for r in regions]} for regions in drawings
    ]
    colors = evaluate("editor/colors.js", "given.map(module.colorsOf)", given)
    assert colors == [region_colors(regions) for regions in drawings]


def test_letters_on_a_color_are_black_or_white_alike() -> None:
    chance = random.Random(0)
    colors = [*PALETTE, *(f"#{chance.randrange(1 << 24):06x}" for _ in range(1000))]
    inks = evaluate("shared/ink.js", "given.map(module.inkOn)", colors)
    assert [INKS[ink] for ink in inks] == [ink_on(rgb(color)) for color in colors]
    assert set(inks) == set(INKS)


def rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def test_a_box_is_drawn_no_smaller_than_what_can_be_painted() -> None:
    size = {"width": 640, "height": 384}
    width, height = evaluate("editor/measures.js", "module.leastBox(given)", size)
    assert (width * 640, height * 384) == (SIZE_STEP, SIZE_STEP)
    assert evaluate("editor/measures.js", "module.CELL_PX") == SIZE_STEP


def test_the_editor_and_the_server_read_and_write_the_same_layouts() -> None:
    written = [json.loads(layout.to_json()) for layout in LAYOUTS]
    again = "given.map((layout) => module.toLayout(module.fromLayout(layout), layout))"
    for layout, data in zip(LAYOUTS, evaluate("editor/drawing.js", again, written), strict=True):
        assert Layout.from_json(json.dumps(data)) == layout
        assert data["version"] == JSON_VERSION


def test_what_the_editor_keeps_is_read_as_it_was_drawn() -> None:
    written = [json.loads(layout.to_json()) for layout in LAYOUTS]
    kept = (
        "given.map((layout) => module.formatDrawing(module.fromLayout("
        "layout, { incoming: 'c0ffee', textless: 'stop' })))"
    )
    for layout, text in zip(LAYOUTS, evaluate("editor/drawing.js", kept, written), strict=True):
        reading, begun_with = read_drawing(text, layout.width, layout.height)
        assert (reading.layout, begun_with) == (layout, "c0ffee")


def test_what_run_does_with_regions_without_a_text_has_the_same_names() -> None:
    assert evaluate("editor/drawing.js", "Object.keys(module.TEXTLESS)") == list(TEXTLESS)


def test_a_region_lacks_a_text_alike() -> None:
    """That is counted by the meter whose text the server finds to be one."""
    drawing = "{ regions: given.map((text) => ({ text })) }"
    signs = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    texts = ["", " \t\n", " a ", *signs]
    complete = evaluate("editor/drawing.js", f"module.completeRegions({drawing})", texts)
    assert complete == [index for index, text in enumerate(texts) if text.strip()]
    textless = evaluate("editor/drawing.js", f"module.textlessRegions({drawing})", texts)
    assert textless == [index for index, text in enumerate(texts) if not text.strip()]


def test_the_server_knows_every_name_of_what_the_editor_keeps() -> None:
    region = {"box": [0, 0, 1, 1], "text": "a dog", "locked": True, "hidden": True}
    region |= {"color": "#12ab9f", "strength": 2, "start": 0.1, "end": 0.9, "negative": "a cat"}
    drawing = {"caption": "a park", "incoming": "0123", "textless": "stop", "regions": [region]}
    kept: dict[str, Any] = json.loads(
        evaluate(
            "editor/drawing.js",
            "module.formatDrawing(module.parseDrawing(JSON.stringify(given)))",
            drawing,
        )
    )
    assert kept.keys() == LAYOUT_NAMES - {"width", "height"}
    assert kept["regions"][0].keys() == REGION_NAMES
    assert kept["version"] == JSON_VERSION


def test_a_region_is_as_strong_at_the_most() -> None:
    assert evaluate("editor/control.js", "module.STRONGEST") == STRONGEST
    assert set(evaluate("editor/control.js", "module.CONTROL")) == CONTROL_NAMES


NOTHING = '{"version": 1, "caption": "", "regions": []}'


def said_by(drawing: str) -> list[tuple]:
    """What the server reads, without colors, which are chosen where there are none."""
    layout = read_drawing(drawing, 512, 512)[0].layout
    regions = [(r.text, r.box, r.weight, r.control) for r in layout.regions]
    return [(layout.caption,), *regions]


def test_the_editor_opens_nothing_that_the_server_refuses_and_keeps_what_it_opens() -> None:
    chance = random.Random(0)
    texts = [spoiled(layout, chance) for layout in LAYOUTS for _ in range(10)]
    kept = """given.map((text) => {
        try { return module.formatDrawing(module.parseDrawing(text)) } catch { return null }
    })"""
    saved = evaluate("editor/drawing.js", kept, texts)
    opened = [(text, again) for text, again in zip(texts, saved, strict=True) if again is not None]
    assert 100 < len(opened) < len(texts) - 100
    for text, again in opened:
        before, after = json.loads(text), json.loads(again or NOTHING)
        regions = before.pop("regions")
        for data, written in [(before, after), *zip(regions, after["regions"], strict=True)]:
            own = {name: value for name, value in data.items() if name not in ("width", "height")}
            said = {name: value for name, value in own.items() if value not in (False, None, "")}
            assert {name: written[name] for name in said} == said
        if all(region["text"].strip() for region in after["regions"] if not region.get("hidden")):
            assert said_by(text) == said_by(again), text


def test_a_name_that_stands_twice_is_refused_by_both() -> None:
    """A reader of JSON that keeps one of them drops what a person wrote."""
    chance = random.Random(0)
    opened = "given.map((t) => { try { return !!module.parseDrawing(t) } catch { return false } })"
    drawings = [layout.to_json() for layout in LAYOUTS if layout.regions]
    names = ["caption", "version", "text", "box", "weight"]
    twice = []
    for drawing in drawings:
        name = chance.choice(names)
        again = drawing.replace(f'"{name}":', f'"{name}": null, "{name}":', 1)
        assert again != drawing
        twice.append(again)
    assert all(evaluate("editor/drawing.js", opened, drawings))
    assert not any(evaluate("editor/drawing.js", opened, twice))
    for drawing in twice:
        with pytest.raises(ValueError, match="stands twice"):
            read_drawing(drawing, 512, 512)


def test_remarks_of_regions_begin_with_what_the_editor_renumbers() -> None:
    """It sends the regions that can be painted; its list has others between them."""
    small = Region("a dog <lora:x:1> {a}", Box(0, 0, 0.001, 0.5), 1.3)
    remarks = layout_remarks(Layout("", (small, small)), lambda text: [(text, 5.0)])
    of_regions = [remark for remark in remarks if remark.region is not None]
    assert {remark.kind for remark in of_regions} == {"weight", "syntax", "small"}
    for remark in of_regions:
        assert remark.message.startswith(f"region {remark.region + 1}")
    shown = [{"message": remark.message, "region": remark.region} for remark in of_regions]
    renumbered = "given.map(({ message }) => module.renumbered(message, [2, 5]))"
    for remark, message in zip(
        shown, evaluate("shared/remarks.js", renumbered, shown), strict=True
    ):
        assert message.startswith(f"region {[3, 6][remark['region']]} ")


@pytest.mark.parametrize("text", ["x" * 30_000, "(a dog:nan)"])
def test_errors_of_regions_begin_with_what_the_editor_renumbers(text) -> None:
    regions = [{"text": text, "box": [0, 0, 1, 1]} for text in ("a dog", text)]
    with pytest.raises(ValueError, match="region 2") as error:
        layout = Layout.from_data({"caption": "", "regions": regions})
        layout_remarks(layout, lambda text: [(text, float("nan") if "nan" in text else 1.0)])
    told = evaluate("shared/remarks.js", "module.renumbered(given, [2, 5])", str(error.value))
    assert told.startswith(("region 6: ", "layout region 6: "))

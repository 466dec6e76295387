"""Every written form of a layout: read, refused, or taken for a caption."""

import contextlib
import json
import time

import pytest

from reco_core.forms.table import FORMS, read_layout, write_layout
from reco_core.layout import Box, Layout, Region
from reco_core.limits import MAX_DOCUMENT
from reco_core.prompt import format_prompt

BALL = Region("a red ball", Box(0.1, 0.2, 0.4, 0.6))
PARK = Layout("a park", (BALL,), 512, 256)
READ = [form.name for form in FORMS if form.read]
DESC = {"type": "obj", "bbox": [200, 100, 600, 400], "desc": "a red ball"}
LABEL = {"bbox_2d": [100, 200, 400, 600], "label": "a red ball"}
IDEOGRAM = {
    "high_level_description": "a park",
    "compositional_deconstruction": {"background": "", "elements": [DESC]},
}


def read(text: str, width: int = 512, height: int = 256):
    return read_layout(text, width, height)


def places(layout: Layout) -> list[tuple[str, Box]]:
    return [(region.text, region.box) for region in layout.regions]


# Told apart by its looks


@pytest.mark.parametrize(
    "text",
    [
        PARK.to_json(),
        f"\n {PARK.to_json()}",
        json.dumps({"caption": "a park", "elements": [DESC]}),
        json.dumps(IDEOGRAM),
        "a park <100> <200> <400> <600> a red ball",
        "Caption: a park\n- a red ball: [0.1, 0.2, 0.4, 0.6]",
        "a park\n- a red ball: [0.1, 0.2, 0.4, 0.6]",
        "a park\r\n\r\n* **a red ball**: (0.1, 0.2, 0.4, 0.6)",
        "a park\n1. [0.1 0.2 0.4 0.6] a red ball",
        "**Caption:** a park\n| a red ball | [0.1, 0.2, 0.4, 0.6] |",
        'a park\n2) "a red ball" - bbox: [.1, 2e-1, 0.4, 0.6]',
        "boxes in thousandths\nCaption: a park\n- a red ball: [100, 200, 400, 600]",
        "a park\n- a red ball: [0.2, 0.1, 0.6, 0.4]\nBoxes are [ymin, xmin, ymax, xmax]",
        "boxes in pixels of 100 x 100, y first\na park\n- a red ball: [20, 10, 60, 40]",
        "boxes as [x, y, width, height]\na park\n- a red ball: [0.1, 0.2, 0.3, 0.4]",
        "a park\na red ball <bbox>[0.1, 0.2, 0.4, 0.6]</bbox>",
        "Caption: a park\n<box>0.1 0.2 0.4 0.6</box> a red ball",
        "a park\n<ref>a red ball</ref><box>(100,200),(400,600)</box>",
        "a park\n<|object_ref_start|>a red ball<|object_ref_end|>"
        "<|box_start|>(100,200),(400,600)<|box_end|>",
        '{"caption": "a park", "objects": [{"bbox": [0.1, 0.2, 0.4, 0.6], "name": "a red ball"}]}',
        '{"scene": "a park", "found": [{"box_2d": [200, 100, 600, 400], "label": "a red ball"}]}',
        '{"prompt": "a park", "format": "yxyx", "boxes": '
        '[{"box": [0.2, 0.1, 0.6, 0.4], "text": "a red ball"}]}',
    ],
)
def test_every_written_form_is_read(text):
    layout = read(text).layout
    assert (layout.caption, layout.width, layout.height) == ("a park", 512, 256)
    assert layout.regions[0].text == "a red ball"
    assert layout.regions[0].box.to_pixels(1, 1) == pytest.approx((0.1, 0.2, 0.4, 0.6))


def test_the_ports_prompt_is_read_to_its_bins():
    prompt = format_prompt(PARK, "diffusers")
    assert format_prompt(read(prompt).layout, "diffusers") == prompt


def test_a_layouts_json_keeps_its_size_and_others_take_the_given_one():
    assert read_layout(PARK.to_json(), 64, 32).layout == PARK
    assert read_layout(json.dumps([DESC]), 64, 32).layout == Layout("", (BALL,), 64, 32)


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        (f"```json\n{PARK.to_json()}\n```", None),
        (f"```\n{PARK.to_json()}", None),
        (f"Sure!\n\n~~~json\r\n{PARK.to_json()}\r\n~~~\nEnjoy", "Sure! Enjoy"),
        (f"Here is the layout: {PARK.to_json()}", "Here is the layout:"),
        (f"\ufeff{PARK.to_json()}", None),
        (f"\u200b`{PARK.to_json()}`\u00a0", None),
        (PARK.to_json().replace("}]", "},]"), None),
        (PARK.to_json().replace('"', "'"), None),
        (PARK.to_json().replace('"caption"', "caption").replace("]}]", "],}],"), None),
        (PARK.to_json().replace('"a park"', "“a park”").replace("0.1", ".1"), None),
        (PARK.to_json().replace('"regions"', '// the boxes\n"regions"'), None),
        ("Caption: a park\n- a red ball: [0.1, 0.2, 0.4, 0.6]\nTell me more!", "Tell me more!"),
        (
            "<think>{a} or [b]?</think>\nCaption: a park\n- a red ball: [0.1, 0.2, 0.4, 0.6]",
            "<think>{a} or [b]?",
        ),
        (
            "Here you go:\nCaption: a park\n- a red ball: [0.1, 0.2, 0.4, 0.6]",
            "Here you go:",
        ),
    ],
)
def test_fences_and_prose_are_left_out_and_small_slips_forgiven(text, left_out):
    reading = read(text)
    assert (reading.layout.caption, places(reading.layout)) == ("a park", places(PARK))
    assert [remark.kind for remark in reading.remarks] == ["left out"] * bool(left_out)
    assert all(repr(left_out) in remark.message for remark in reading.remarks)


def test_words_that_lead_over_to_a_list_are_no_caption():
    reading = read("Sure!\nHere are the boxes:\n- a red ball: [0.1, 0.2, 0.4, 0.6]")
    assert reading.layout.caption == ""
    assert [remark.kind for remark in reading.remarks] == ["left out", "left out"]


def test_json_objects_one_a_line_are_a_list():
    lines = [
        json.dumps({"label": name, "bbox": [0.1, 0.2, 0.4, 0.6]}) for name in ("a red ball", "a")
    ]
    assert [text for text, _ in places(read("\n".join(lines)).layout)] == ["a red ball", "a"]


def test_further_words_of_a_box_and_of_a_caption_are_named():
    item = {"bbox_2d": [0.1, 0.2, 0.4, 0.6], "label": "ball", "description": "a red ball"}
    text = json.dumps({"caption": "a park", "style": "oil", "objects": [item]})
    beside, own = read(text).remarks
    assert "'style' beside the boxes is left out" in beside.message
    assert (own.region, "its description is left out" in own.message) == (0, True)
    region = {"text": "a red ball", "box": [0.1, 0.2, 0.4, 0.6]}
    (described,) = read(json.dumps({"description": "a park", "regions": [region]})).remarks
    assert "'description', 'a park', is left out" in described.message
    assert "Name it caption" in described.message
    styled = {**IDEOGRAM, "style_description": {"medium": "oil"}}
    assert "style_description" in read(json.dumps(styled)).remarks[0].message


@pytest.mark.parametrize(
    ("more", "region", "named"),
    [
        ({"negative": "a cat"}, {}, "'negative', 'a cat', is left out"),
        ({"seed": 5}, {}, "'seed', 5, is left out"),
        ({"extra": {"a": 1}}, {}, "'extra', {'a': 1}, is left out"),
        ({}, {"opacity": 0.5}, "'opacity' of region 1 is left out"),
        ({}, {"mask": [1]}, "'mask' of region 1 is left out"),
    ],
)
def test_names_that_a_layout_does_not_have_are_told(more, region, named):
    item = {"text": "a red ball", "box": [0.1, 0.2, 0.4, 0.6], "locked": True, **region}
    layout = {"version": 1, "caption": "a park", "incoming": "0", "regions": [item], **more}
    (remark,) = read(json.dumps(layout)).remarks
    assert remark.message.startswith(named)


def test_hidden_regions_are_left_out_and_named_as_the_editor_leaves_them_out():
    shown, hidden = ({"text": text, "box": [0.1, 0.2, 0.4, 0.6]} for text in ("a ball", "a cube"))
    layout = {"caption": "a park", "regions": [{**hidden, "hidden": True}, shown]}
    reading = read(json.dumps(layout))
    assert [region.text for region in reading.layout.regions] == ["a ball"]
    (remark,) = reading.remarks
    assert "region 'a cube' is left out: it is hidden" in remark.message


@pytest.mark.parametrize("side", [10**400, 0, -8, 512.0, "512", True, None])
@pytest.mark.parametrize("text", ["a dog", PARK.to_json(), "- a dog: [0.1, 0.1, 0.5, 0.5]"])
def test_a_given_size_that_is_none_is_refused(text, side):
    for size in ((side, 512), (512, side)):
        with pytest.raises(ValueError, match="(width|height) = .* is "):
            read_layout(text, *size)


@pytest.mark.parametrize("width", ["1" * 400, '"512"', "0", "-8", "true", "512.5", "null"])
def test_a_size_beside_boxes_that_is_none_is_refused(width):
    boxes = '[{"bbox_2d": [0.1, 0.1, 0.5, 0.5], "label": "a dog"}]'
    with pytest.raises(ValueError, match="width = .* is "):
        read(f'{{"width": {width}, "height": 512, "objects": {boxes}}}')


@pytest.mark.parametrize(
    "text",
    [
        '{"caption": "a", "caption": "b", "regions": []}',
        '{"caption": "a", "regions": [{"text": "a", "text": "b", "box": [0, 0, 1, 1]}]}',
        '[{"bbox": [0, 0, 9, 9], "desc": "a", "desc": "b"}]',
        "{'caption': 'a', caption: 'b', 'regions': []}",
        'Here: {"regions": [], "width": 8, "height": 8, "width": 16}',
        '{"regions": [], "x": {"y": 1, "y": 2}}',
    ],
)
def test_a_name_that_stands_twice_is_refused(text):
    with pytest.raises(ValueError, match="stands twice in one object of this JSON: keep one"):
        read(text)


# Numbers that may mean several things


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps([LABEL]), "thousandths of the picture or pixels of .* boxes in thousandths"),
        ("- a ball: [100, 20, 400, 60]", "thousandths .* or pixels of a picture of 512 x 256"),
        ("a ball <bbox>[100, 200, 400, 600]</bbox>", "pixels of a picture larger than 512 x 256"),
        ("- a ball: [1, 2, 3, 4]", "it is not said what"),
        ("- a ball: [0.5, 2, 30, 40]", "it is not said what"),
        ("- a: [0.1, 0.1, 0.2, 0.2]\n- b: [10, 20, 30, 40]", "it is not said what"),
        ("- a ball: [100, 200, 1400, 600]", "does not fit a picture of 512 x 256 pixels"),
        ("- a ball: [0.4, 0.2, 0.1, 0.6]", r"inverted.*or say .* \[x, y, width, height\]"),
        ("boxes in pixels\n- a ball: [10, 20, 900, 60]", "lies far outside the picture"),
        ("boxes in fractions\n- a ball: [10, 20, 90, 60]", "lies far outside the picture"),
        ("boxes in pixels\nboxes in thousandths\n- a: [1, 2, 3, 4]", "say pixels and thousandths"),
        ("x first, y first\n- a: [0.1, 0.2, 0.3, 0.4]", "say one of them"),
        ('[{"label": "dog", "bbox": [0.5, 0.5, 0.3, 0.4]}]', "inverted"),
        (
            'boxes in thousandths [{"bbox_2d": [0.1, 0, 1, 1], "label": "b"}]',
            "seem to be fractions",
        ),
        ('[{"box_2d": [0.1, 0.2, 0.3, 0.4], "label": "dog"}]', "seem to be fractions"),
        ("a <bbox>[0.1, 0.2, 0.4, 0.6]</bbox> b", "may stand before or after it"),
        ("- a [0.1, 0.2, 0.4, 0.6] b", "words on both sides"),
        ("- a: [0.1, 0.2, 0.4, 0.6], [0.5, 0.2, 0.9, 0.6]", "has 2 boxes"),
        ("1. Ball\n   - bbox: [0.1, 0.2, 0.4, 0.6]", "line 2 has no words"),
        (f"{PARK.to_json()}\nor\n{PARK.to_json()}", "holds 2 JSON values"),
        ("```\na\n```\n```\nb\n```", "several code blocks"),
        ("Caption: a\nCaption: b\n- c: [0.1, 0.2, 0.4, 0.6]", "two captions"),
    ],
)
def test_what_can_be_read_in_several_ways_is_refused_with_the_ways(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        read(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "size", "corners"),
    [
        ("- a: [100, 200, 400, 600]", (1000, 1000), (0.1, 0.2, 0.4, 0.6)),
        ("- a: [0, 0, 1, 1]", (512, 512), (0, 0, 1, 1)),
        ("- a: [100, 200, 1200, 600]", (2000, 1000), (0.05, 0.2, 0.6, 0.6)),
        ("- a: [-0.1, 0.2, 1.1, 0.6]", (512, 512), (0, 0.2, 1, 0.6)),
        ('[{"box_2d": [200, 100, 600, 400], "label": "a"}]', (64, 64), (0.1, 0.2, 0.4, 0.6)),
        (f"boxes in pixels of 1000 x 2000\n{json.dumps([LABEL])}", (8, 8), (0.1, 0.1, 0.4, 0.3)),
    ],
)
def test_numbers_that_can_mean_only_one_thing_are_read(text, size, corners):
    width, height = (side - side % 8 for side in size)
    (region,) = read_layout(text, width, height).layout.regions
    assert region.box.to_pixels(1, 1) == pytest.approx(corners, abs=1e-9)


# What is no layout, and what only looks like none


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", r"not a layout.*got \[1, 2\]"),
        ("[0.1, 0.2, 0.4, 0.6]", "not a layout"),
        ("{}", "not a layout"),
        ('{"nodes": []}', "not a layout"),
        ('{"caption": "a", "objects": [{"label": "b"}]}', "not a layout"),
        ('{"images": [], "annotations": []}', "not a layout"),
        ('{"caption": "a dog"', "not JSON.*line 1 column 20"),
        ('a park\n{"caption": "a dog", "regions": [}', "not JSON.*line 2 column"),
        ('{"caption": a dog}', "not JSON"),
        ('[{"desc": "a" "bbox": [0, 0, 9, 9]}]', "not JSON"),
        ('{\\"caption\\": \\"a\\"}', "looks like JSON"),
        ("{&quot;caption&quot;: 1}", "looks like JSON"),
        ('{"elements": {}}', "elements must be a list"),
        ('{"elements": [], "caption": 3}', "caption 3 is not a text"),
        ('[{"bbox": [0, 0, NaN, 1], "desc": "a"}]', "NaN in JSON"),
        ('{"a": ' * 100_000, "nested too deeply|not JSON|not complete"),
        (f'[{{"label": "a", "bbox": [0, 0, 1, 1{"0" * 400}]}}]', "finite|fit"),
        (f'{{"regions": [{{"text": "a", "box": [0, 0, 1, {"9" * 400}]}}]}}', "not a finite number"),
        (f"- a: [0, 0, 1, {'9' * 400}]", "looks like|fit|finite"),
        (f"a <0> <0> <1> <{'9' * 400}> b", "outside the image"),
        ("a \ud800 dog", r"half a character, '\\ud800', at line 1, column 3"),
        (PARK.to_json().replace("red", "\udfff"), "half a character"),
        (" " * (MAX_DOCUMENT + 1), f"more than the {MAX_DOCUMENT:,}"),
        (5, "5 is not a text"),
    ],
)
def test_text_that_is_no_layout_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        read(text)
    assert "\n" not in str(refusal.value)


NEAR_MISSES = [
    "<100,100,500,500> cat",
    "a park < 100 > < 100 > < 500 > < 500 > cat",
    "＜100＞＜100＞＜500＞＜500＞ cat",
    "<１００> <１００> <５００> <５００> cat",
    "&lt;100&gt; &lt;100&gt; &lt;500&gt; &lt;500&gt; cat",
    "a <bin 12> <bin 12> <bin 50> <bin 50> cat",
    "a <BIN_012> cat",
    "bin514 bin575 bin741 bin765 cat",
    "[100][100][500][500] cat",
    "(100) (100) (500) (500) cat",
    "<100 <100 <500 <500 cat",
    "<loc0100><loc0100><loc0500><loc0500> cat",
    "<0,1> <0,2> <0,4> <0,6> cat",
    "[[100, 100], [500, 500]] cat",
    "cat at (100,100), (500,500)",
    "- cat: [10%, 20%, 40%, 60%]",
    "cat 【0.1，0.2，0.3，0.4】",
    "- cat: [0.1, 0.2, 0.4]",
    "cat, 0.1, 0.2, 0.4, 0.6",
    "0 0.5 0.5 0.25 0.25",
    "cat: 100,100,500,500",
    "100 100 500 500 cat",
    "100, 100, 500, 500: cat",
    "- cat: [0.1, 0.2, 0.4, nan]",
    "- cat: [1/10, 2/10, 4/10, 6/10]",
    "cat x=10, y=20, w=30, h=40",
    "<bbox>[0.1, 0.2, 0.4]</bbox> cat",
    "&lt;bbox&gt;0.1, 0.2, 0.4, 0.6&lt;/bbox&gt; cat",
    "<box 100 100 500 500> cat",
    "a park <1> <2> <3> <4> cat < 5 > < 6 > < 7 > < 8 > dog",
    "a park\n- cat: [0.1, 0.2, 0.4, 0.6]\n- dog: <100,100,500,500>",
]


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_near_misses_are_refused_with_their_place_and_the_form_expected(text):
    with pytest.raises(ValueError, match=r"at line \d+, column \d+ looks like|put all of them on"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "a dog",
        "I <3 you",
        "a < b and b > c",
        "if 1 < 2 and 3 > 2",
        "a cat <3, 5 > 4, <person>",
        "[abc] dog",
        "[red] dog",
        "[" * 10_000,
        "(cat:1.2), (dog:1.1), (sun:1.3), (sky:1.2)",
        "(1girl:1.2), (2boys:1.1), (3cats:1.2), (4dogs:1.1)",
        "a poster of the numbers 1, 2, 3, 4, 5",
        "a menu: [red, green, blue, white]",
        "5 cats, 4 dogs, 3 birds, 2 fish",
        "a 16:9 picture at 10:30, f/1.8, 35 mm",
        "a sign «100», a card 《5》 and a box |7|",
        "a row of boxes (1) and (2)",
        "{red|blue} circle",
        '{"stop"|"go"} sign',
        "[a:b:0.5] <lora:name:0.8> __wild__ embedding:x",
        "a plot of x = 3 over time",
        "a bin 12 litres large",
        "smile :) :( ;) <_< >_> { }",
        "5",
        '"a quoted caption"',
        "a scene: dusk\nand rain - no boxes",
        "  two  spaces\u00a0and a hard one ",
    ],
)
def test_ordinary_captions_stay_captions(text):
    reading = read(text)
    assert (reading.layout, reading.remarks) == (Layout(text, (), 512, 256), ())


# One rule for boxes


FLAT = {
    "json": '{"caption": "", "regions": [{"text": "flat", "box": [0.5, 0.2, 0.5, 0.6]}, @]}',
    "elements": '[{"desc": "flat", "bbox": [200, 500, 600, 500]}, '
    '{"desc": "a red ball", "bbox": [200, 100, 600, 400]}]',
    "ideogram": '{"compositional_deconstruction": {"elements": [{"desc": "flat", '
    '"bbox": [200, 500, 600, 500]}, {"desc": "a red ball", "bbox": [200, 100, 600, 400]}]}}',
    "bbox_2d": 'boxes in thousandths [{"label": "flat", "bbox_2d": [500, 200, 500, 600]}, '
    '{"label": "a red ball", "bbox_2d": [100, 200, 400, 600]}]',
    "sidecar": '[{"label": "flat", "bbox": [0.5, 0.2, 0.5, 0.6]}, '
    '{"label": "a red ball", "bbox": [0.1, 0.2, 0.4, 0.6]}]',
    "boxes": '[{"label": "flat", "x": 9, "y": 9, "width": 0, "height": 9}, '
    '{"label": "a red ball", "x": 51.2, "y": 51.2, "width": 153.6, "height": 102.4}]',
    "tags": "flat <bbox>[0.5, 0.2, 0.5, 0.6]</bbox>\na red ball <bbox>[0.1, 0.2, 0.4, 0.6]</bbox>",
    "lines": "- flat: [0.5, 0.2, 0.5, 0.6]\n- a red ball: [0.1, 0.2, 0.4, 0.6]",
}
PROMPTS = {"authors", "diffusers"}  # in which bins may be equal


@pytest.mark.parametrize("form", [name for name in READ if name not in PROMPTS])
def test_a_box_without_area_is_left_out_and_named_by_every_form(form):
    reading = read(FLAT[form].replace("@", '{"text": "a red ball", "box": [0.1, 0.2, 0.4, 0.6]}'))
    (region,) = reading.layout.regions
    assert region.text == "a red ball"
    assert region.box.to_pixels(1, 1) == pytest.approx((0.1, 0.2, 0.4, 0.6))
    remark = next(remark for remark in reading.remarks if remark.region == 0)
    assert remark.kind == "left out"
    assert "1 ('flat') is left out" in remark.message and "has no width" in remark.message


@pytest.mark.parametrize("form", sorted(PROMPTS))
def test_prompts_keep_equal_corners(form):
    flat = Layout("", (Region("dot", Box(0.5, 0.5, 0.5, 0.5)),))
    assert read(write_layout(flat, form).text).layout.regions[0].box.is_empty


# Long texts


@pytest.mark.parametrize(
    "piece",
    ["<", "[", "{ '", "[1 ", "[1, ", "- a: [", "<bbox>", "<bbox>[1, ", "x=1 ", " ", "\n", "1", '"',
     "```\n", "(", "boxes in ", "left, ", "{'a': ", "[{", "// ", "a ", "<ref>", "bin1 ", "&lt;"],
)  # fmt: skip
def test_reading_takes_time_in_proportion_to_the_text(piece):
    text = piece * (20_000 // len(piece))
    start = time.process_time()
    for form in (text, f"- a: [0.1, 0.2, 0.4, 0.6]\n{text}", f'{{"a": "{text}'):
        with contextlib.suppress(ValueError):
            read(form)
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "text",
    [
        PARK.to_json().replace("{", "").replace("}", ""),
        '"caption": "a dog"',
        '"caption": "x", "regions": ["text": "a", "box": [0.1, 0.1, 0.5, 0.5]]',
        'a dog, "bbox" : 1',
        "“label”: a dog",
        "&quot;text&quot;: a dog",
    ],
)
def test_json_without_its_braces_is_refused(text):
    """As a field that chooses from {a|b} leaves it."""
    with pytest.raises(ValueError, match="JSON without its braces|words on both sides"):
        read(text)


@pytest.mark.parametrize(
    "text", ['a sign "OPEN": neon', 'the word "text" on a wall', "text: a dog"]
)
def test_quoted_words_are_no_json(text):
    layout = read(text).layout
    assert (layout.caption, layout.regions) == (text, ())

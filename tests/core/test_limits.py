"""Limits before work: whatever comes in, the answer takes milliseconds and its message is short."""

import gc
import json
import time

import pytest

from reco_core.arrange import merge_layouts, region_numbers, reorder_regions
from reco_core.checks import quote
from reco_core.coco import layout_from_coco
from reco_core.forms.table import read_layout
from reco_core.layout import Box, Layout, Region
from reco_core.limits import MAX_DOCUMENT, MAX_PROMPT, MAX_REGIONS, MAX_SIDE, MAX_TEXT, MAX_WORDS
from reco_core.prompt import parse_prompt

BOX = Box(0, 0, 1, 1)
MILLION = 1_000_000


@pytest.fixture
def no_collection():
    """What other tests have left is not looked through while something is timed."""
    gc.disable()
    yield
    gc.enable()


def regions(count: int, text: str = "a") -> tuple[Region, ...]:
    return (Region(text, BOX),) * count


def refusal(call, *arguments, most: float = 1) -> str:
    """The message of the ValueError, which must come soon and be short, whatever the arguments.

    most: seconds of processor time.
    """
    started = time.process_time()
    with pytest.raises(ValueError) as error:
        call(*arguments)
    assert time.process_time() - started < most
    assert len(str(error.value)) < 500
    return str(error.value)


TOO_MUCH = {
    "caption": (lambda: Layout("x" * (MAX_TEXT + 1)), "20,001 characters"),
    "caption of 10 MB": (lambda: Layout("x" * 10 * MILLION), "10,000,000 characters"),
    "caption that is no text": (lambda: Layout(["x" * MILLION] * 100), "is not a text"),
    "region text": (lambda: Region("é" * (MAX_TEXT + 1), BOX), "region text has 20,001"),
    "texts together": (lambda: Layout("a", regions(6, "x" * 19_999)), f"{MAX_WORDS:,}"),
    "regions": (lambda: Layout("a", regions(MAX_REGIONS + 1)), f"{MAX_REGIONS + 1:,} regions"),
    "merged regions": (
        lambda: merge_layouts(Layout("a", regions(MAX_REGIONS)), Layout("b", regions(1))),
        f"{MAX_REGIONS + 1:,} regions",
    ),
    "regions in JSON": (
        lambda: read_layout(json.dumps({"regions": [None] * 100_000}), 512, 512),
        "100,000 regions",
    ),
    "boxes in a prompt": (lambda: parse_prompt("<1> <2> <3> <4> a" * 10_000), "10,000 regions"),
    "a prompt": (lambda: parse_prompt("<1> " * MILLION + "a"), "at most|more than"),
    "a document": (
        lambda: read_layout("x" * (MAX_DOCUMENT + 1), 512, 512),
        f"{MAX_DOCUMENT + 1:,} characters",
    ),
    "JSON": (
        lambda: read_layout("{" + " " * MAX_DOCUMENT, 512, 512),
        f"{MAX_DOCUMENT + 1:,} characters",
    ),
    "width": (lambda: Layout(width=8 * 10**9), f"at most {MAX_SIDE:,}"),
    "width of 5,000 digits": (lambda: Layout(width=8 * 10**5000), "about 5,001 digits"),
    "a coordinate of 400 digits": (lambda: Box(0, 0, 1, 10**400), "not a finite number"),
    "digits in JSON": (
        lambda: Layout.from_json(
            '{"regions": [{"text": "a", "box": [0, 0, 1, %s]}]}' % ("1" * 5000)
        ),
        "5,000 digits",
    ),
    "weight": (lambda: Region("a", BOX, 10**400), "not a finite number"),
    "color": (lambda: Region("a", BOX, color="#" * MILLION), "is not a color"),
    "half a character": (lambda: Layout("a \ud83d dog"), "half a character"),
    "half a character in a region": (lambda: Region("\udc00", BOX), "half a character"),
    "half a character in JSON": (lambda: read_layout(r'{"caption": "\ud800"}', 64, 64), "half a"),
}


@pytest.mark.parametrize("case", TOO_MUCH)
def test_more_than_can_be_read_is_refused_soon_and_shortly(case):
    call, cause = TOO_MUCH[case]
    assert any(part in refusal(call) for part in cause.split("|"))


def test_what_the_limits_allow_is_read():
    layout = Layout("x" * MAX_TEXT, regions(MAX_REGIONS, "x" * 20), MAX_SIDE, 8)
    assert Layout.from_json(layout.to_json()) == layout
    assert reorder_regions(layout, f"{MAX_REGIONS}-1").regions == layout.regions


@pytest.mark.parametrize(
    "order",
    [
        " " * 100_000 + "x",
        "1-9999 " * 10_000,
        "1" + " " * 19_000 + "- 2 -3",
        "1-9999",
        f"1-1000, {MAX_REGIONS}-999",
        f"1-{MAX_REGIONS}, 1",
        "-" * 20_000,
        "9" * 20_000,
        ",1" * 9_000,
        "1 - " * 5_000,
    ],
)
def test_an_order_of_regions_is_read_in_milliseconds_or_refused(order):
    refusal(region_numbers, order)


@pytest.mark.parametrize(
    ("order", "numbers"),
    [("3 - 1,5", (3, 2, 1, 5)), ("1 -\n2", (1, 2)), ("2", (2,)), (" , ", ()), ("1-1", (1,))],
)
def test_ranges_may_have_spaces_around_their_dash(order, numbers):
    assert region_numbers(order) == numbers


@pytest.mark.parametrize("order", ["3,-1", "3--1", "1-2-3", "1 - 3 -5", "-1", "1-"])
def test_a_dash_without_a_number_on_either_side_is_refused(order):
    assert "is not a region number" in refusal(region_numbers, order)


LONG = {
    "<": lambda length: "<" * length,
    "white space": lambda length: "a <1>" + " " * (length - 10) + "<2>",
    "digits": lambda length: "<" + "9" * (length - 2) + ">",
    "positions": lambda length: "<1>" * (length // 4),
    "<bin": lambda length: "<bin" * (length // 4),
    "lines": lambda length: "\n" * (length - 1),
}


def reading_time(prompt: str) -> float:
    """Seconds of processor time, the least of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        refusal(parse_prompt, prompt, most=5)
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.parametrize("case", LONG)
def test_a_prompt_is_read_in_a_time_linear_in_its_length(case, no_collection):
    quarter, whole = (reading_time(LONG[case](length)) for length in (MAX_PROMPT // 4, MAX_PROMPT))
    assert whole < 10 * quarter  # were it quadratic, 16


@pytest.mark.parametrize(
    "value",
    [
        "x" * MILLION,
        b"x" * MILLION,
        list(range(MILLION)),
        {number: "x" * 1000 for number in range(10_000)},
        [[[[[["x" * MILLION]]]]]],
        -(10**100_000),
        tuple("x" * 100 for _ in range(1000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_quotation_is_short_and_made_at_once(value):
    started = time.process_time()
    assert len(quote(value)) <= 80
    assert time.process_time() - started < 0.05


@pytest.mark.parametrize("value", ["a dog", "", None, 3, -0.5, [1, 2], {"a": [1]}, "é\n", b"a"])
def test_what_is_short_is_quoted_whole(value):
    assert quote(value) == repr(value)


def test_an_annotation_file_may_be_longer_than_a_layout():
    images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}]
    file = {"images": images, "annotations": [], "info": "x" * MAX_DOCUMENT}
    assert layout_from_coco(json.dumps(file)) is not None

"""What the layout editor's value means, whoever reads it."""

from __future__ import annotations

import json

import pytest

from reco_core.drawing import read_drawing

BOX = [0.1, 0.1, 0.5, 0.5]
HIDDEN = {"text": "x", "box": BOX, "hidden": True}
FLAT = {"text": "a line", "box": [0, 0, 0, 1]}


def drawing(*regions: str | dict, **more: object) -> str:
    full = [{"text": r, "box": BOX} if isinstance(r, str) else r for r in regions]
    return json.dumps({"caption": "a farm", "regions": full, **more})


def test_regions_without_a_text_are_left_out_and_named_as_the_editor_numbers_them():
    reading, _ = read_drawing(drawing(HIDDEN, "a cat", " \n", FLAT, "a dog"), 64, 64)
    assert [region.text for region in reading.layout.regions] == ["a cat", "a dog"]
    assert list(reading.indices) == [1, 4]
    blank, flat = (remark.message for remark in reading.remarks)
    assert blank.startswith("region 3 is left out: it has no text.")
    assert flat.startswith("region 4 ('a line') is left out")


def test_several_are_named_in_one_remark():
    reading, _ = read_drawing(drawing("", "a cat", {"box": BOX}), 64, 64)
    [remark] = reading.remarks
    assert remark.message.startswith("regions 1, 3 are left out: they have no text.")
    many, _ = read_drawing(drawing(*[""] * 2000), 64, 64)
    assert "and 1980 more are left out" in many.remarks[0].message


def test_a_drawing_may_stop_instead():
    with pytest.raises(ValueError, match="^region 2 has no text: write"):
        read_drawing(drawing(HIDDEN, " ", textless="stop"), 64, 64)
    with pytest.raises(ValueError, match="^regions 1, 3 have no text: write"):
        read_drawing(drawing("", "a cat", "", textless="stop"), 64, 64)
    whole = drawing("a cat", {**HIDDEN, "text": ""}, textless="stop")
    assert not read_drawing(whole, 64, 64)[0].remarks


@pytest.mark.parametrize("what", ["skip", "Stop", "", None, ["stop"], 1])
def test_what_else_a_drawing_says_of_them_is_refused_by_name(what):
    with pytest.raises(ValueError, match="textless = .* is not known: use 'leave out' or 'stop'"):
        read_drawing(drawing("a cat", textless=what), 64, 64)


def test_errors_have_the_editors_numbers_too():
    with pytest.raises(ValueError, match="^layout region 3: box x1 = 2"):
        read_drawing(drawing(HIDDEN, "", {"text": "a cat", "box": [0, 0, 2, 1]}), 64, 64)

"""What is said of a layout before a checkpoint reads it."""

import time

import pytest

from reco_core.foreign_syntax import foreign_syntax
from reco_core.layout import Box, Layout, Region
from reco_core.layout_remarks import STRONGEST, layout_remarks, layout_weights
from reco_core.limits import MAX_TEXT


def plain(text: str) -> list[tuple[str, float]]:
    return [(text, 1.0)]


def of_weight(weight: float):
    return lambda text: [(text, weight)]


def kinds(layout: Layout) -> list[tuple[str, int | None]]:
    return [(remark.kind, remark.region) for remark in layout_remarks(layout, plain)]


def region(text: str = "a dog", box: Box | None = None) -> Region:
    return Region(text, box or Box(0.1, 0.1, 0.9, 0.9))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<lora:some_style:0.8> red circle", "a LoRA tag"),
        ("a dog <lyco:thing:1>", "a LoRA tag"),
        ("<hypernet:x>", "a LoRA tag"),
        ("a [red:blue:0.5] ball", "a scheduled or alternating word"),
        ("[cat|dog] on a lawn", "a scheduled or alternating word"),
        ("a [hat::12]", "a scheduled or alternating word"),
        ("[a hat:0.3]", "a scheduled or alternating word"),
        ("__animal__ in a field", "a wildcard"),
        ("a __places/city__", "a wildcard"),
        ("a {red|blue} ball", "a choice"),
        ("a red ball BREAK a lawn", "a keyword of another prompt language"),
        ("a cat AND a dog", "a keyword of another prompt language"),
        ("sky ADDCOL sea", "a keyword of another prompt language"),
        ("a cat AREA(0 0.5, 0 1)", "a keyword of another prompt language"),
        ('("a cat", "a dog").blend(1, 1)', "a keyword of another prompt language"),
        ("a castle --ar 16:9", "an option of a command line"),
        ("a ball++ on grass", "a weight of another program"),
        ("hot dog::2", "a weight of another program"),
        ("{{masterpiece}}", "a weight of another program"),
        ("red,embedding:good", "an embedding that is not read"),
        ("Embedding:good ball", "an embedding that is not read"),
        ("a <my-toy> on a table", "an embedding that is not read"),
        ("a dog <|endoftext|> a cat", "a position or marker inside a text"),
        ("a dog <bin12>", "a position or marker inside a text"),
    ],
)
def test_syntax_of_other_programs_is_named_with_what_to_do(text, name):
    (remark,) = layout_remarks(Layout("", (region(text),)), plain)
    assert (remark.kind, remark.region) == ("syntax", 0)
    assert name in remark.message
    assert "region 1" in remark.message
    (caption,) = layout_remarks(Layout(text), plain)
    assert (caption.kind, caption.region) == ("syntax", None)


@pytest.mark.parametrize(
    "text",
    [
        "a dog, a cat and a bird",
        "(brown horse:1.3) on a lawn",
        "embedding:good ball",
        "a ball, embedding:good, on grass",
        "(embedding:good:1.2)",
        "<person> on a bench",
        "I <3 cats",
        "a < b and c > d",
        "a sign [closed]",
        "a clock at 10:30",
        "a C++ book, 50% off",
        "a man -- seen from behind -- walking",
        "sand and sea and snow",
        "half_way_there",
        "R&B {live}",
        "a \\(real\\) dog",
    ],
)
def test_ordinary_texts_are_passed_over(text):
    assert kinds(Layout(text, (region(text),))) == []


def test_a_piece_is_named_once_and_many_are_counted():
    remarks = layout_remarks(Layout(" ".join(f"__w{n}__" for n in range(9))), plain)
    assert len(remarks) == 1
    assert "'__w4__' and 4 more" in remarks[0].message


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf"), 1e30, -1e5])
def test_a_weight_that_no_model_can_use_is_refused(weight):
    with pytest.raises(ValueError, match="region 1: the weight .* of 'a dog' is not a number betw"):
        layout_remarks(Layout("", (region(),)), of_weight(weight))
    with pytest.raises(ValueError, match="the caption: the weight"):
        layout_remarks(Layout("pets"), of_weight(weight))


@pytest.mark.parametrize("weight", [30.0, 2.01, -0.5, 16.0, STRONGEST])
def test_a_weight_far_from_1_is_warned_of(weight):
    (remark,) = layout_remarks(Layout("", (region(),)), of_weight(weight))
    assert (remark.kind, remark.region) == ("weight", 0)
    assert f"{weight:g} of 'a dog'" in remark.message


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 1.1, 2.0])
def test_a_usual_weight_is_listed_and_not_warned_of(weight):
    layout = Layout("", (region(),))
    assert layout_remarks(layout, of_weight(weight)) == ()
    listed = [("a dog", weight)] if weight != 1 else []
    assert layout_weights(layout, of_weight(weight)) == listed


def test_a_regions_own_weight_multiplies_those_of_its_words():
    layout = Layout("", (Region("a dog", Box(0, 0, 1, 1), weight=3.0),))
    assert layout_weights(layout, of_weight(1.5)) == [("a dog", 4.5)]
    assert "4.5 of 'a dog'" in layout_remarks(layout, of_weight(1.5))[0].message
    with pytest.raises(ValueError, match="inf"):
        layout_weights(Layout("", (Region("a", Box(0, 0, 1, 1), weight=1e308),)), of_weight(1e3))


@pytest.mark.parametrize("text", ["(a dog", "a dog)", "((a) dog", ") a (dog:1.2)", "a dog (:1.2"])
def test_a_bracket_without_its_other_half_is_warned_of(text):
    (remark,) = layout_remarks(Layout(text), plain)
    assert remark.kind == "weight"
    assert "without its other half" in remark.message


def test_brackets_nested_beyond_all_sense_are_refused():
    with pytest.raises(ValueError, match="brackets within each other"):
        layout_remarks(Layout("(" * 9000 + "a" + ")" * 9000), plain)


@pytest.mark.parametrize(
    "box",
    [
        Box(0.5, 0.5, 0.5, 0.9),
        Box(0.5, 0.5, 0.51, 0.9),
        Box(0.1, 0.2, 0.9, 0.21),
        Box(0, 0, 0, 0),
        Box(0.99, 0.99, 1, 1),
    ],
)
def test_a_box_smaller_than_a_cell_of_the_latents_is_warned_of(box):
    layout = Layout("", (region(), region("a cat", box)), 128, 128)
    assert kinds(layout) == [("small", 1)]


def test_a_box_of_one_cell_is_not_small():
    assert kinds(Layout("", (region("a cat", Box(0, 0, 8 / 128, 1)),), 128, 128)) == []


PIECES = "[ < { _ a+ [a: {| embedding: <lora: [:0 [[a (( <bin __a {{ --a .and <1> {|} __a__ BREAK,"


@pytest.mark.parametrize("piece", [*PIECES.split(), " "])
def test_the_longest_text_is_looked_through_at_once(piece):
    text = (piece * MAX_TEXT)[:MAX_TEXT]
    start = time.process_time()
    list(foreign_syntax(text))
    assert time.process_time() - start < 0.5

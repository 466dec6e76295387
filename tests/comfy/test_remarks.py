"""What is said of what was read: alike by encoder and report, on the nodes and in the log."""

import pytest
import torch
from random_checkpoint import Size
from safetensors.torch import save_file
from workflows import node

from comfy_server import Failure
from reco_core.layout import Box, Layout, Region

WIDTH = Size().text_width


@pytest.fixture(scope="module")
def embeddings(base_dir) -> str:
    """A folder of embeddings that fit the tiny checkpoint, do not, and are none."""
    folder = base_dir / "models" / "embeddings"
    folder.mkdir(exist_ok=True)
    for name, tensor in {
        "good": torch.randn(2, WIDTH),
        "wide": torch.randn(3, 768),
        "deep": torch.randn(1, 2, WIDTH),
        "broken": torch.full((2, WIDTH), float("nan")),
    }.items():
        save_file({"emb_params": tensor}, folder / f"{name}.safetensors")
    save_file({}, folder / "empty.safetensors")
    torch.save([{"other": torch.randn(1, 3)}], folder / "list.pt")
    torch.save({"step": 3}, folder / "number.pt")
    return str(folder)


def layout_of(text: str, caption: str = "a red circle") -> str:
    return Layout(caption, (Region(text, Box(0.1, 0.1, 0.6, 0.6)),), 128, 128).to_json()


@pytest.fixture
def encoded(inside, tiny, embeddings):
    """What the encoder says of a text: its remarks and its report."""

    def encode(text: str, **options) -> tuple[list[dict], str]:
        answer = inside("encoded", path=str(tiny), text=text, embeddings=embeddings, **options)
        assert "error" not in answer, answer["error"]
        for remark in answer["remarks"]:
            assert f"Warning: {remark['message']}" in answer["report"]
        return answer["remarks"], answer["report"]

    return encode


@pytest.fixture
def refused(inside, tiny, embeddings):
    """Why the encoder refuses a text."""

    def encode(text: str) -> str:
        return inside("encoded", path=str(tiny), text=text, embeddings=embeddings)["error"]

    return encode


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("embedding:missing, red circle", "'embedding:missing,' was left out"),
        ("red circle embedding:good,blue", "'embedding:good,blue' was left out"),
        ("red embedding:gone embedding:good", "'embedding:gone' was left out"),
        ("red circle embedding:wide", "of shape (3, 768), and this checkpoint's are 64 wide"),
        ("red circle (embedding:deep:1.2)", "of shape (1, 2, 64)"),
        ("red circle embedding:broken", "numbers that are not finite"),
        ("red circle embedding:", "names no embedding"),
    ],
)
def test_an_embedding_that_is_left_out_is_told(encoded, text, why):
    (remark,), _ = encoded(layout_of(text))
    assert (remark["kind"], remark["region"]) == ("embedding", 0)
    assert remark["message"].startswith("region 1: ")
    assert why in remark["message"]
    (caption,), _ = encoded(layout_of("red circle", caption=text))
    assert (caption["kind"], caption["region"]) == ("embedding", None)


def test_an_embedding_that_is_read_is_counted_and_not_told(encoded):
    remarks, report = encoded(layout_of("red embedding:good circle, embedding:good, blue"))
    assert remarks == []
    assert report.count("[embedding]") == 4


@pytest.mark.parametrize(
    "text",
    ["embedding:good,red", "embedding:missing", "(embedding:wide:1.3)", "embedding:", "!!!", "-"],
)
def test_a_region_without_words_left_is_refused(refused, text):
    assert refused(layout_of(text)).startswith(f"region 1 ({text!r}) has no words left to read")


@pytest.mark.parametrize("name", ["empty", "list", "number"])
def test_a_file_that_is_no_embedding_is_refused_by_name(refused, name):
    assert f"embedding:{name} cannot be read" in refused(layout_of(f"red embedding:{name} circle"))


@pytest.mark.parametrize(
    "text",
    ["(red circle:nan)", "(red circle:inf)", "(red:1e999) circle", "((red:-Infinity))", "(a:1e5)"],
)
def test_a_weight_that_no_model_can_use_is_refused(refused, text):
    assert "region 1: the weight" in refused(layout_of(text))
    assert "the caption: the weight" in refused(layout_of("red circle", caption=text))
    assert "the caption: the weight" in refused(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(red circle at 10:30)", "30 of 'red circle at 10'"),
        ("a (blue:3) circle", "3 of 'blue'"),
        ("(red (circle:-1):1.5)", "-1 of 'circle'"),
        ("(red:1_0) circle", "10 of 'red'"),
        ("((((((((red)))))))) circle", "2.14359 of 'red'"),
    ],
)
def test_a_weight_far_from_1_is_told_and_listed(encoded, text, told):
    remarks, report = encoded(layout_of(text))
    (remark,) = (remark for remark in remarks if remark["kind"] == "weight")
    assert remark["region"] == 0
    assert told in remark["message"]
    assert "weights other than 1: " in report


def test_usual_weights_are_listed_in_the_report_alone(encoded):
    remarks, report = encoded(layout_of("(red:1.3) and (blue) circle \\(red\\)"))
    assert remarks == []
    assert "weights other than 1: red 1.3, blue 1.1" in report


def test_a_caption_too_long_is_named_as_what_it_is(refused):
    cause = "the caption alone needs 402 tokens and this checkpoint reads 308: shorten it"
    assert refused("red " * 400) == cause
    assert refused(layout_of("red circle", caption="red " * 400)) == cause


def test_regions_that_do_not_fit_are_refused_or_left_out_as_asked(encoded, refused):
    text = "red" + " <100> <100> <900> <900> circle" * 60
    assert "These do not fit: region 44 (circle)" in refused(text)
    (remark,), _ = encoded(text, overflow="drop regions that do not fit")
    assert remark["kind"] == "overflow"
    assert "left out: region 44 (circle)" in remark["message"]


def test_a_plain_clip_is_pointed_to_the_adapter(inside):
    assert "ReCo Load Adapter" in inside("stock_clip_error")


# On the nodes


@pytest.fixture
def shown(server):
    """Run a workflow: what is shown on each node, and the texts of its reports."""

    def run(**nodes) -> tuple[dict[str, list[dict]], list[str]]:
        before = len(server.log.read_text("utf-8"))
        outputs = server.wait(server.post_prompt(nodes))["outputs"]
        logged = server.log.read_text("utf-8")[before:]
        remarks = {
            name: output["reco_remarks"][0]["remarks"]
            for name, output in outputs.items()
            if "reco_remarks" in output
        }
        for remark in sum(remarks.values(), []):
            assert f"ReCo: {remark['message']}" in logged
        return remarks, [output["text"][0] for output in outputs.values() if "text" in output]

    return run


def conditioning(layout: str, **inputs) -> dict[str, dict]:
    return {
        "loader": node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors"),
        "layout": node("ReCoLayoutFromText", text=layout, width=128, height=128),
        "encode": node(
            "ReCoConditioning",
            **{"clip": ["loader", 1], "layout": ["layout", 0], "negative": "", **inputs},
        ),
        "report": node("PreviewAny", source=["encode", 3]),
    }


@pytest.mark.parametrize(
    ("negative", "kind"),
    [
        ("a <100> <100> <500> <500> <lora:x:1> red circle", "syntax"),
        ("a red BREAK", "syntax"),
        ("{blue|red}", "syntax"),
        ("red embedding:missing", "embedding"),
        ("(red:30)", "weight"),
        ("red cat", "word"),
    ],
)
def test_the_negative_is_told_of_like_the_positive(shown, negative, kind):
    remarks, (report, *_) = shown(**conditioning(layout_of("red circle"), negative=negative))
    assert remarks["layout"] == []
    assert kind in {remark["kind"] for remark in remarks["encode"]}
    for remark in remarks["encode"]:
        assert remark["message"].startswith("negative: ")
    positive, _, of_negative = report.partition("\n\nnegative\n")
    assert "Warning" not in positive
    assert "Warning: " in of_negative
    assert "of 308 tokens used" in of_negative


def test_a_negative_that_is_too_long_is_refused(server):
    workflow = conditioning(layout_of("red circle"), negative="red " * 400)
    with pytest.raises(Failure, match="the caption alone needs 402 tokens"):
        server.wait(server.post_prompt(workflow))

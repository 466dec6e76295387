"""Bad input: a clear message from the node it belongs to, and ComfyUI lives on."""

import json
import math

import pytest

from comfy_server import Failure


def layout_json(box=(0.1, 0.1, 0.5, 0.5), text="red circle", **other) -> str:
    region = {"text": text, "box": list(box)}
    return json.dumps({"caption": "a red circle", "regions": [region], **other})


def from_text(text: str, width: int = 128, height: int = 128) -> dict:
    """A workflow that only reads a layout and draws it."""
    inputs = {"text": text, "width": width, "height": height}
    return _drawn({"class_type": "ReCoLayoutFromText", "inputs": inputs})


def add_region(**changes) -> dict:
    inputs = {"text": "red circle", "x": 10, "y": 10, "width": 50, "height": 50, **changes}
    return _drawn({"class_type": "ReCoAddRegion", "inputs": inputs})


def _drawn(layout_node: dict) -> dict:
    blank = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
    return {
        "layout": layout_node,
        "blank": {"class_type": "EmptyImage", "inputs": blank},
        "draw": {
            "class_type": "ReCoDrawLayout",
            "inputs": {"image": ["blank", 0], "layout": ["layout", 0]},
        },
        "preview": {"class_type": "PreviewImage", "inputs": {"images": ["draw", 0]}},
    }


def encoded(text: str, overflow: str = "error") -> dict:
    loader = {"ckpt_name": "reco-tiny.safetensors"}
    layout = {"text": text, "width": 128, "height": 128}
    encode = {"clip": ["loader", 1], "layout": ["layout", 0], "overflow": overflow}
    return {
        "loader": {"class_type": "ReCoLoadCheckpoint", "inputs": loader},
        "layout": {"class_type": "ReCoLayoutFromText", "inputs": layout},
        "encode": {"class_type": "ReCoTextEncode", "inputs": encode},
        "report": {"class_type": "PreviewAny", "inputs": {"source": ["encode", 1]}},
    }


def loaded(name: str) -> dict:
    return {
        "loader": {"class_type": "ReCoLoadCheckpoint", "inputs": {"ckpt_name": name}},
        "encode": {
            "class_type": "CLIPTextEncode",
            "inputs": {"clip": ["loader", 1], "text": ""},
        },
        "preview": {"class_type": "PreviewAny", "inputs": {"source": ["encode", 0]}},
    }


BAD_LAYOUTS = {
    "box outside": (from_text(layout_json((0.1, 0.1, 1.5, 0.5))), "1.5 is outside the image"),
    "box inverted": (from_text(layout_json((0.5, 0.1, 0.1, 0.5))), "box is inverted"),
    "box not a number": (from_text(layout_json((math.nan, 0.1, 0.5, 0.5))), "NaN"),
    "empty region text": (from_text(layout_json(text="  ")), "is empty"),
    "json that is not a layout": (from_text('{"nodes": [], "links": []}'), "not a layout"),
    "a json list": (from_text("[1, 2, 3]"), "not a layout"),
    "broken json": (from_text('{"caption": "a dog"'), "not JSON"),
    "three numbers": (from_text("a dog <100> <200> <300> a dog"), "needs four in a row"),
    "five numbers": (from_text("a dog <1> <2> <3> <4> <5> a dog"), "needs four in a row"),
    "numbers without text": (from_text("a dog <100> <200> <300> <400>"), "is empty"),
    "thousandths beyond 1000": (from_text("a dog <100> <200> <300> <1400> a dog"), "outside"),
    "bins beyond the last": (from_text("x <bin000> <bin000> <bin000> <bin1000> y"), "bin 1000"),
    "width not divisible by 8": (from_text("a dog", width=100), "not divisible by 8: use 96"),
    "height not divisible by 8": (from_text("a dog", height=130), "not divisible by 8: use 128"),
    "json width not divisible by 8": (from_text(layout_json(width=100)), "not divisible by 8"),
    "region outside its layout": (add_region(x=500), "box leaves the image"),
    "region of no width": (add_region(width=0), "smaller than min of 1"),
    "region of negative height": (add_region(height=-5), "smaller than min of 1"),
    "region left of the image": (add_region(x=-1), "smaller than min of 0"),
    "region that is no number": (add_region(x=math.nan), "cannot convert float NaN"),
    "region of endless weight": (add_region(weight=math.nan), "not a finite number"),
    "region without text": (add_region(text=" \n"), "has no text"),
}


@pytest.mark.parametrize("case", BAD_LAYOUTS)
def test_a_bad_layout_is_refused_with_its_cause(server, case):
    workflow, cause = BAD_LAYOUTS[case]
    with pytest.raises(Failure, match=cause) as failure:
        server.wait(server.post_prompt(workflow))
    assert "(node layout)" in str(failure.value)
    server.wait(server.post_prompt(add_region()))


BAD_CHECKPOINTS = {
    "truncated.safetensors": "truncated",
    "foreign.safetensors": "an SDXL checkpoint",
    "plain-sd1.safetensors": "python -m train",
    "code.ckpt": "run code",
}


@pytest.mark.parametrize("name", BAD_CHECKPOINTS)
def test_a_file_that_is_no_reco_checkpoint_is_refused_with_its_cause(server, name):
    with pytest.raises(Failure, match=BAD_CHECKPOINTS[name]) as failure:
        server.wait(server.post_prompt(loaded(name)))
    assert name in str(failure.value)


@pytest.mark.parametrize("part", ["unet", "text"])
def test_a_checkpoint_that_lacks_weights_is_refused(server, part):
    with pytest.raises(Failure, match="checkpoint is incomplete"):
        server.wait(server.post_prompt(loaded(f"incomplete-{part}.safetensors")))


def test_code_in_a_checkpoint_does_not_run(server, base_dir):
    with pytest.raises(Failure):
        server.wait(server.post_prompt(loaded("code.ckpt")))
    assert not (base_dir / "code-has-run").exists()


def test_500_regions_are_refused_with_the_names_of_some(server):
    text = "a crowd" + " <100> <100> <200> <200> red circle" * 500
    with pytest.raises(Failure) as failure:
        server.wait(server.post_prompt(encoded(text)))
    message = str(failure.value)
    assert "needs 4004 tokens and this checkpoint reads 308" in message
    assert "region 39 (red circle)" in message
    assert len(message) < 1000


def test_500_regions_are_cut_at_a_whole_region_when_asked(server):
    text = "a red circle" + " <100> <100> <200> <200> red circle" * 500
    workflow = encoded(text, overflow="drop regions that do not fit")
    report = server.wait(server.post_prompt(workflow))["outputs"]["encode"]["text"][0]
    assert "left out: region 38 (red circle)" in report
    assert "301 of 308 tokens used, 37 regions" in report

"""Layouts recalled from pictures: of the workflow in the file, that which made the picture."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reco_core.forms.table import read_layout
from reco_core.layout import Box, Layout, Region
from reco_core.limits import MAX_PICTURE, MAX_PICTURE_TEXT
from reco_core.picture_metadata import read_picture_texts
from reco_core.recall import LAYOUT_KEY, Kind, recall_layout

CAT = Layout("a farm", (Region("a cat", Box(0.1, 0.1, 0.5, 0.5)),), 640, 320)
DOG = Layout("a yard", (Region("a dog", Box(0.2, 0.1, 0.5, 0.5)),), 512, 512)


def merged(values: dict[str, Any]) -> tuple[Any, ...]:
    return (Layout("both", values["first"].regions + values["second"].regions),)


def text_layout(values: dict[str, Any]) -> tuple[Any, ...]:
    layout = read_layout(values["text"], values.get("width", 512), values.get("height", 512)).layout
    return layout, layout.width, layout.height


KINDS = {
    "Text": Kind(frozenset({"text", "width", "height"}), text_layout),
    "Merge": Kind(frozenset({"first", "second"}), merged),
}


def node(kind: str, **inputs: Any) -> dict:
    return {"class_type": kind, "inputs": inputs}


def text(layout: Layout, **inputs: Any) -> dict:
    return node("Text", text=layout.to_json(), **inputs)


def made(layout: str, name: str = "", **more: Any) -> dict[str, dict]:
    """Nodes from a layout's node to a saved picture, their names with a beginning of their own."""
    return {
        f"{name}encode": node("ReCoConditioning", clip=["load", 1], layout=[layout, 0]),
        f"{name}sample": node(
            "KSampler",
            **{
                "model": ["load", 0],
                "positive": [f"{name}encode", 0],
                "negative": [f"{name}encode", 1],
                "latent_image": ["empty", 0],
                **more,
            },
        ),
        f"{name}decode": node("VAEDecode", samples=[f"{name}sample", 0], vae=["load", 2]),
        f"{name}save": node(
            "SaveImage", images=[f"{name}decode", 0], filename_prefix=f"out/{name}pic"
        ),
        "load": node("ReCoLoadCheckpoint", ckpt_name="x.safetensors"),
        "empty": node("EmptyLatentImage", width=512, height=512),
    }


def picture(size: tuple[int, int] = (640, 320), kind: str = "PNG", **texts: Any) -> bytes:
    """A picture's file with texts in it, as ComfyUI writes them."""
    file = io.BytesIO()
    image = Image.new("RGB", size)
    written = {name: x if isinstance(x, str) else json.dumps(x) for name, x in texts.items()}
    if kind == "PNG":
        info = PngInfo()
        for name, words in written.items():
            info.add_text(name, words)
        image.save(file, kind, pnginfo=info)
    else:
        exif = image.getexif()
        for tag, (name, words) in zip((0x0110, 0x010F, 0x010E), written.items(), strict=False):
            exif[tag] = f"{name}:{words}"
        image.save(file, kind, exif=exif)
    return file.getvalue()


def recalled(data: bytes, name: str = "x.png"):
    return recall_layout(data, name, KINDS)


def layout_of(prompt: dict, name: str = "x.png") -> Layout:
    return recalled(picture(prompt=prompt), name).layout


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_the_layout_of_the_workflow_in_a_picture_is_recalled(kind):
    data = picture(kind=kind, prompt={"cat": text(CAT), **made("cat")}, workflow={"nodes": []})
    assert recalled(data).layout == CAT


def test_a_layout_in_the_picture_itself_is_taken_before_the_workflow():
    data = picture(prompt={"cat": text(CAT), **made("cat")}, **{LAYOUT_KEY: DOG.to_json()})
    assert recalled(data).layout == DOG


def test_of_several_layouts_the_one_that_reaches_the_sampler_is_recalled():
    prompt = {"cat": text(CAT), "dog": text(DOG), **made("cat")}
    prompt["shown"] = node("PreviewAny", source=["dog", 0])
    prompt["drawn"] = node("ReCoDrawLayout", image=["decode", 0], layout=["dog", 0])
    prompt["preview"] = node("PreviewImage", images=["drawn", 0])
    assert layout_of(prompt) == CAT


def test_the_layout_is_followed_through_conditioning_guiders_and_a_second_pass():
    chained = {"cat": text(CAT), **made("cat")}
    chained["control"] = node("ControlNetApply", conditioning=["encode", 0], image=["other", 0])
    chained["other"] = node("ReCoDrawLayout", image=["photo", 0], layout=["dog", 0])
    chained["dog"] = text(DOG)
    chained["sample"]["inputs"]["positive"] = ["control", 0]
    assert layout_of(chained) == CAT

    guided = {"cat": text(CAT), **made("cat")}
    guided["guider"] = node("BasicGuider", model=["load", 0], conditioning=["encode", 0])
    guided["sample"] = node(
        "SamplerCustomAdvanced", guider=["guider", 0], latent_image=["empty", 0]
    )
    assert layout_of(guided) == CAT

    twice = {"cat": text(CAT), **made("cat"), **made("cat", "b", latent_image=["sample", 0])}
    twice["plain"] = node("CLIPTextEncode", text="sharp", clip=["load", 1])
    twice["bsample"]["inputs"]["positive"] = ["plain", 0]
    twice["drawn"] = node("ReCoDrawLayout", image=["bdecode", 0], layout=["dog", 0])
    twice["bsave"]["inputs"]["images"] = ["drawn", 0]
    twice["dog"] = text(DOG)
    del twice["save"], twice["decode"]
    assert layout_of(twice) == CAT


def test_the_files_name_tells_which_of_two_samplers_made_it():
    prompt = {"cat": text(CAT), "dog": text(DOG), **made("cat", "a"), **made("dog", "b")}
    assert layout_of(prompt, "apic_00003_.png") == CAT
    assert layout_of(prompt, "bpic_00003_.png") == DOG
    with pytest.raises(ValueError, match="several layouts .* node cat .Text. and node dog"):
        layout_of(prompt, "renamed.png")
    prompt["dog"] = text(CAT)
    assert layout_of(prompt, "renamed.png") == CAT


def test_nodes_behind_one_another_and_constants_are_run_again():
    prompt = {
        "words": node("PrimitiveString", value=CAT.to_json()),
        "cat": node("Text", text=["words", 0]),
        "dog": text(DOG),
        "both": node("Merge", first=["cat", 0], second=["dog", 0]),
        **made("both"),
    }
    assert [region.text for region in layout_of(prompt).regions] == ["a cat", "a dog"]


def test_a_size_that_a_checkpoint_gave_is_the_pictures():
    words = {"text": "a farm <0> <0> <500> <500> a cat"}
    prompt = {"cat": node("Text", width=["load", 3], height=320, **words), **made("cat")}
    reading = recalled(picture(prompt=prompt))
    assert (reading.layout.width, reading.layout.height) == (640, 320)
    (remark,) = reading.remarks
    assert "width came from node load (ReCoLoadCheckpoint)" in remark.message


def test_boxes_in_comfyuis_own_text_encode_are_recalled():
    prompt = made("none")
    prompt["encode"] = node("CLIPTextEncode", clip=["load", 1], text="a <0> <0> <500> <500> a cat")
    assert layout_of(prompt).regions[0].text == "a cat"
    assert (layout_of(prompt).width, layout_of(prompt).height) == (640, 320)


REFUSED = {
    "in a circle of constants": (
        {
            "a": node("PrimitiveInt", value=["a", 0]),
            "cat": text(CAT, width=["a", 0]),
            **made("cat"),
        },
        "100 nodes",
    ),
    "by a detector": (
        {"cat": node("Detect", image=["photo", 0]), **made("cat")},
        r"node cat \(Detect\).*ReCo Save Image",
    ),
    "by nothing": (
        {**made("none"), "encode": node("CLIPTextEncode", text="a")},
        "no layout reaches",
    ),
    "by bad values": ({"cat": node("Text", text="a <1> <2> a"), **made("cat")}, "node cat .*four"),
    "in a circle": (
        {"cat": node("Merge", first=["cat", 0], second=["cat", 0]), **made("cat")},
        "100 nodes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_layout_that_cannot_be_told_is_refused_by_name(case):
    prompt, cause = REFUSED[case]
    with pytest.raises(ValueError, match=cause) as refusal:
        layout_of(prompt)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 500


NO_LAYOUT = {
    "no workflow": (picture(), "no ComfyUI workflow"),
    "another program's texts": (picture(parameters="a cat"), "it holds 'parameters'"),
    "a workflow alone": (picture(workflow={"nodes": []}), "not the values"),
    "no JSON": (picture(prompt="{"), "not JSON"),
    "no workflow in API format": (picture(prompt=[1, 2]), "no workflow in API format"),
    "a bad layout": (picture(**{LAYOUT_KEY: '{"version": 2, "regions": []}'}), "update ReCo"),
    "half a picture": (picture(prompt={"a": "b" * 1000})[:600], "damaged"),
    "no picture": (b"\x89\xff\x00", "no picture"),
    "a workflow's file": (b'{"nodes": [], "links": []}', "API format"),
    "too many bytes": (b"\x89PNG\r\n\x1a\n" + bytes(MAX_PICTURE), "more than"),
    "depth": (picture(prompt="[" * 100_000), "nested"),
}


@pytest.mark.parametrize("case", NO_LAYOUT)
def test_a_file_without_a_layout_is_refused_with_what_it_holds(case):
    data, cause = NO_LAYOUT[case]
    with pytest.raises(ValueError, match=cause):
        recalled(data)


def test_text_files_are_read_as_texts_are():
    assert recalled(CAT.to_json().encode(), "x.json").layout == CAT
    assert recalled(b"a <0> <0> <500> <500> a cat", "x.txt").layout.regions[0].text == "a cat"
    assert recalled(json.dumps({"cat": text(CAT), **made("cat")}).encode()).layout == CAT


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


HOSTILE = {
    "a bomb": chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(100 * MAX_PICTURE_TEXT))),
    "many bombs": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MAX_PICTURE_TEXT // 2))) * 100,
    "many chunks": chunk(b"tEXt", b"a\0b") * 200_000,
    "a length beyond the end": b"\xff\xff\xff\xfftEXt",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_soon(case):
    begun = time.process_time()
    with pytest.raises(ValueError, match="more than|damaged"):
        read_picture_texts(b"\x89PNG\r\n\x1a\n" + HOSTILE[case])
    assert time.process_time() - begun < 2


def test_exif_whose_texts_lie_over_each_other_is_read_soon():
    entries = b"".join(struct.pack("<HHII", 0x010F, 2, 4_000_000, 0) for _ in range(65_000))
    exif = b"II*\0" + struct.pack("<IH", 8, 65_000) + entries + bytes(4_000_000)
    data = b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(exif)) + exif
    begun = time.process_time()
    assert read_picture_texts(data) == {}
    assert time.process_time() - begun < 2


def test_large_workflows_are_followed_in_time_that_grows_with_them():
    chain = {str(n): node("Reroute", a=[str(n + 1), 0], b=[str(n + 1), 0]) for n in range(15_000)}
    prompt = {**chain, "15000": text(CAT), **made("cat")}
    prompt["cat"] = text(CAT)
    prompt["encode"]["inputs"]["x"] = ["0", 0]
    begun = time.process_time()
    assert layout_of(prompt) == CAT
    assert time.process_time() - begun < 3

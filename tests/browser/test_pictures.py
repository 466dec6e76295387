"""The pictures behind an editor's boxes: which are known, and to which editor they belong."""

from __future__ import annotations

import io
import json

import pytest
from comfy_page import ComfyPage
from editor_page import EditorPage
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, expect

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


@pytest.fixture
def comfy(comfy: ComfyPage) -> ComfyPage:
    folder = comfy.server.base_dir / "input" / "drawn on"
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (16, 16), colour).save(folder / f"{name}.png")
    return comfy


def background(editor: EditorPage) -> str:
    """The file's name, or "" without any."""
    return editor.stage.locator(".reco-background").evaluate(
        "image => image.hidden ? '' : new URL(image.src).searchParams.get('filename')"
    )


def ran(comfy: ComfyPage, node: str, filename: str) -> None:
    """What ComfyUI says when a node has shown a picture."""
    picture = {"filename": filename, "subfolder": "", "type": "temp"}
    comfy.page.evaluate(
        """([node, picture]) => app.api.dispatchCustomEvent("executed", {
            node, display_node: node, prompt_id: "p", output: { images: [picture] } })""",
        [node, picture],
    )


def test_a_connected_load_image_shows_before_any_run(comfy):
    node = comfy.add_node("ReCoLayoutEditor")
    editor = EditorPage(comfy, node)
    loader = comfy.add_node("LoadImage", at=(-500, 0))
    for name in COLOURS:
        comfy.set_value(loader, "image", f"drawn on/{name}.png")
        if name == "red":
            comfy.connect(loader, "IMAGE", node, "image")
        assert background(editor) == f"{name}.png"
    inside = comfy.to_subgraph(loader)
    assert background(EditorPage(comfy, node)) == "blue.png"
    comfy.page.evaluate("id => { harness.node(id).mode = 2; harness.commit(); }", inside)
    assert background(editor) == ""


def graph(comfy: ComfyPage) -> dict[str, str]:
    """Two editors, each with its picture; that of the first is also drawn on."""
    made = {"loader": comfy.add_node("ReCoLoadCheckpoint", at=(-600, 0))}
    for at, name in enumerate(("first", "second")):
        made[name] = editor = comfy.add_node("ReCoLayoutEditor", at=(0, 1200 * at))
        text, sampler, decode, show = (
            comfy.add_node(kind, at=(600 + 400 * column, 1200 * at))
            for column, kind in enumerate(
                ("ReCoConditioning", "KSampler", "VAEDecode", "PreviewImage")
            )
        )
        comfy.connect(made["loader"], "clip", text, "clip")
        comfy.connect(editor, "layout", text, "layout")
        for output, target in (("positive", "positive"), ("latent", "latent_image")):
            comfy.connect(text, output, sampler, target)
        comfy.connect(sampler, 0, decode, "samples")
        comfy.connect(decode, 0, show, "images")
        made |= {f"{name} sampler": sampler, f"{name} decode": decode, f"{name} picture": show}
    draw = comfy.add_node("ReCoDrawLayout", at=(1800, 600))
    made["drawn"] = comfy.add_node("PreviewImage", at=(2200, 600))
    comfy.connect(made["first decode"], 0, draw, "image")
    comfy.connect(made["first"], "layout", draw, "layout")
    comfy.connect(draw, 0, made["drawn"], "images")
    return made


def test_the_last_picture_is_that_sampled_from_the_editors_own_layout(comfy):
    nodes = graph(comfy)
    editors = {name: EditorPage(comfy, nodes[name]) for name in ("first", "second")}
    for editor in editors.values():
        comfy.show(editor.node)
        editor.choose("Picture behind the boxes", "last")
    ran(comfy, nodes["first picture"], "1.png")
    ran(comfy, nodes["second picture"], "2.png")
    ran(comfy, nodes["drawn"], "annotated.png")
    ran(comfy, comfy.add_node("PreviewImage", at=(0, -600)), "another.png")
    shown = {name: background(editor) for name, editor in editors.items()}
    assert shown == {"first": "1.png", "second": "2.png"}
    comfy.to_subgraph(nodes["first sampler"], nodes["first decode"])
    ran(comfy, nodes["first picture"], "3.png")
    assert background(editors["first"]) == "3.png"


def test_the_last_picture_is_still_there_after_a_reload(comfy):
    nodes = graph(comfy)
    editor = EditorPage(comfy, nodes["first"])
    comfy.show(editor.node)
    editor.choose("Picture behind the boxes", "last")
    ran(comfy, nodes["first picture"], "1.png")
    kept = json.dumps(comfy.workflow())
    comfy.reload()
    assert background(EditorPage(comfy, nodes["first"])) == "1.png"
    assert "1.png" not in kept  # it is no change of the workflow


def shows(comfy: ComfyPage, source: str, output: int | str) -> str:
    """A node that shows what another gives."""
    node = comfy.add_node("PreviewImage", at=(2600, 0))
    comfy.connect(source, output, node, "images")
    return node


def saves(comfy: ComfyPage, picture: str, editor: str) -> str:
    node = comfy.add_node("ReCoSaveImage", at=(2600, 0))
    comfy.connect(picture, 0, node, "images")
    comfy.connect(editor, "layout", node, "layout")
    return node


def test_nodes_that_take_a_layout_and_draw_nothing_do_not_lose_the_last_picture(comfy):
    nodes = graph(comfy)
    first, decode = nodes["first"], nodes["first decode"]
    editor = EditorPage(comfy, first)
    comfy.show(first)
    editor.choose("Picture behind the boxes", "last")
    score = comfy.add_node("ReCoScoreLayout", at=(1800, 0))
    comfy.connect(decode, 0, score, "image")
    comfy.connect(first, "layout", score, "layout")
    draw = next(
        node["id"] for node in comfy.workflow()["nodes"] if node["type"] == "ReCoDrawLayout"
    )
    cropped = comfy.add_node("ImageCropV2", at=(1800, 0))
    boxes = comfy.add_node("PrimitiveBoundingBox", at=(1400, 0))
    comfy.connect(decode, 0, cropped, "image")
    comfy.connect(boxes, 0, cropped, "crop_region")
    plain = [
        saves(comfy, decode, first),
        saves(comfy, decode, nodes["second"]),
        shows(comfy, score, "best"),
        saves(comfy, score, first),
    ]
    annotated = [
        shows(comfy, score, "overlay"),
        saves(comfy, str(draw), first),
        shows(comfy, cropped, 0),
        saves(comfy, nodes["second decode"], first),
    ]
    for number, node in enumerate(plain):
        ran(comfy, node, f"{number}.png")
        assert background(editor) == f"{number}.png"
    for node in annotated:
        ran(comfy, node, "annotated.png")
        assert background(editor) == "3.png"


def test_whatever_comes_first_into_a_sampler_the_layout_behind_it_is_found(comfy):
    """ReCo Conditioning gives a latent too, and pictures may be samplers' own outputs."""
    nodes = graph(comfy)
    editor = EditorPage(comfy, nodes["first"])
    comfy.show(nodes["first"])
    editor.choose("Picture behind the boxes", "last")
    names = comfy.page.evaluate(
        """id => {
            const node = harness.node(id);
            const links = node.inputs
                .map(({ name }, slot) => [name, node.getInputNode(slot), node.getInputLink(slot)])
                .filter(([, source]) => source);
            node.inputs.forEach((input, slot) => node.disconnectInput(slot));
            node.inputs.reverse();
            const slotOf = (name) => node.inputs.findIndex((input) => input.name === name);
            for (const [name, source, link] of links)
                source.connect(link.origin_slot, node, slotOf(name));
            return node.inputs.map(({ name }) => name);
        }""",
        nodes["first sampler"],
    )
    assert names.index("latent_image") < names.index("positive")
    ran(comfy, nodes["first picture"], "1.png")
    assert background(editor) == "1.png"


def test_a_subgraph_that_is_used_twice_tells_its_pictures_apart(comfy):
    """One set of nodes samples for both editors; each has its own picture."""
    nodes = graph(comfy)
    kinds = ("conditioning", "sampler", "decode")
    inner = comfy.page.evaluate(
        """id => { const decode = harness.node(id); const sampler = decode.getInputNode(0);
        return [sampler.getInputNode(1), sampler, decode].map((node) => String(node.id)); }""",
        nodes["first decode"],
    )
    assert len(inner) == len(kinds)
    outer = comfy.to_subgraph(*inner)
    comfy.page.evaluate(
        """([outer, loader, editor, picture]) => {
            const first = harness.node(outer);
            const second = LiteGraph.createNode(first.type);
            app.rootGraph.add(second);
            const slot = (type) => second.inputs.findIndex((input) => input.type === type);
            harness.node(loader).connect(1, second, slot("CLIP"));
            harness.node(editor).connect(0, second, slot("RECO_LAYOUT"));
            second.connect(0, harness.node(picture), 0);
        }""",
        [outer, nodes["loader"], nodes["second"], nodes["second picture"]],
    )
    editors = [EditorPage(comfy, nodes[name]) for name in ("first", "second")]
    for editor in editors:
        comfy.show(editor.node)
        editor.choose("Picture behind the boxes", "last")
    ran(comfy, nodes["first picture"], "1.png")
    ran(comfy, nodes["second picture"], "2.png")
    assert [background(editor) for editor in editors] == ["1.png", "2.png"]


def alpha_at(box: Locator, x: float, y: float) -> int:
    """How much of a box's fill, up to 255, its mask lets through at a place in it."""
    return box.evaluate(
        """async (box, at) => {
            const style = getComputedStyle(box, "::after").maskImage;
            const image = new Image();
            image.src = /url\\("(.*)"\\)/.exec(style)[1];
            await image.decode();
            const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
            canvas.drawImage(image, 0, 0);
            const place = [at[0] * image.width, at[1] * image.height].map(Math.floor);
            return canvas.getImageData(...place, 1, 1).data[3];
        }""",
        [x, y],
    )


def test_a_mask_is_seen_in_its_box_and_kept_by_undo_and_by_run(comfy):
    """A triangle: the lower left half of its box."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    ImageDraw.Draw(picture).polygon([(16, 16), (16, 47), (47, 47)], fill=(0, 0, 0, 0))
    picture.save(comfy.server.base_dir / "input" / "drawn on" / "triangle.png")
    loader = comfy.add_node("LoadImageMask", at=(-900, 0))
    comfy.set_value(loader, "image", "drawn on/triangle.png")
    source = comfy.add_node("ReCoLayoutFromMasks", at=(-500, 0))
    comfy.set_value(source, "texts", "a tent")
    node = comfy.add_node("ReCoLayoutEditor", at=(0, 0))
    masks = comfy.add_node("ReCoLayoutToMasks", at=(600, 0))
    shown = comfy.add_node("MaskPreview", at=(1000, 0))
    comfy.connect(loader, 0, source, "masks")
    comfy.connect(source, "layout", node, "layout")
    comfy.connect(node, "layout", masks, "layout")
    comfy.connect(masks, "masks", shown, 0)
    comfy.set_value(masks, "edges", "exact pixels")
    comfy.queue()
    editor = EditorPage(comfy, node)
    box = editor.stage.locator(".reco-box.reco-masked")
    expect(box).to_have_count(1)
    comfy.show(node)
    comfy.screenshot("editor-mask", node)
    digest = editor.regions[0]["mask"]
    assert alpha_at(box, 0.2, 0.8) == 255 and alpha_at(box, 0.8, 0.2) == 0
    assert editor.rows.first.get_by_label("It came with a mask").is_visible()

    editor.open(0)
    editor.press("Shift+ArrowRight")
    moved = editor.boxes
    editor.travel("Control+z", "undo")
    editor.travel("Control+y", "redo")
    assert (editor.boxes, editor.regions[0]["mask"]) == (moved, digest)
    assert alpha_at(editor.stage.locator(".reco-box.reco-masked"), 0.2, 0.8) == 255
    [sent] = comfy.queue()["outputs"][shown]["images"]
    drawn = Image.open(io.BytesIO(comfy.server.view(sent))).convert("L")
    assert drawn.getpixel((16 + 8 + 6, 40)) == 255  # in the triangle, 8 pixels to the right
    assert drawn.getpixel((16 + 8 + 26, 20)) == 0  # in its box

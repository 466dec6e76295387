"""Pictures of the editor in the states that people meet, on one sheet a theme."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from chromium import PATIENCE
from comfy_page import ComfyPage, Renderer
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Error
from tasks.editor import Region, middle_of
from tasks.here import ReCoEditor
from tasks.scenes import CAT, FARM, FIVE
from tasks.table import ELEMENTS

from docs.editor.measures import many
from reco_core.atomic import write_atomically

DOCS = Path(__file__).resolve().parents[1]
QUICKSTART = DOCS.parent / "example_workflows" / "reco_quickstart.json"
TILE, LABEL, COLUMNS = 420, 22, 4
MISSING_MS = 8_000  # after which another checkout is known not to have a state
LONG = "a very old brown horse with a white mane that stands in the tall grass"
WORDS = (
    Region("حصان بني في الحقل", (0.06, 0.06, 0.5, 0.35)),
    Region("原っぱに立つ茶色の馬", (0.55, 0.06, 0.94, 0.35)),
    Region("סוס חום ליד הגדר", (0.06, 0.45, 0.5, 0.8)),
)
SMALL = tuple(Region(f"stone {i}", (0.1 + 0.2 * i, 0.85, 0.14 + 0.2 * i, 0.89)) for i in range(4))

State = Callable[[ComfyPage], ReCoEditor]


def opened(comfy: ComfyPage, *regions: Region, size: tuple[int, int] = (512, 512)) -> ReCoEditor:
    [editor] = ReCoEditor.open(comfy, regions, size=size)
    return editor


def empty(comfy):
    return opened(comfy)


def textless(comfy):
    return opened(comfy, CAT, Region("", (0.5, 0.125, 0.875, 0.5)))


def wrapped(comfy):
    return opened(comfy, Region(LONG, (0.05, 0.05, 0.5, 0.5)), *FIVE[3:], *SMALL)


def selected(comfy):
    editor = opened(comfy, *FIVE)
    editor.click(middle_of(CAT.box))
    comfy.page.mouse.move(*editor.at(middle_of(FIVE[1].box)))
    return editor


def meter(comfy):
    editor = opened(comfy, *FARM)
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-500, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    comfy.show(editor.node, margin=20)
    editor.root.get_by_role("button", name="use 128").first.wait_for()
    return editor


def menu(comfy):
    editor = opened(comfy, *FIVE)
    editor.click(middle_of(CAT.box), right=True)
    return editor


def preview(comfy):
    editor = opened(comfy, CAT)
    editor.hand.click_on(editor.root.get_by_label("Copy or paste the layout as text").first)
    editor.root.get_by_label("The layout as text", exact=True).fill(ELEMENTS)
    editor.root.get_by_role("group", name="What was read").wait_for()
    return editor


def numbers(comfy):
    editor = opened(comfy, *FIVE)
    editor.hand.click_on(editor.root.get_by_label("Numbers of all regions"))
    return editor


def background(comfy):
    """With the picture of a Load Image node, which is of another shape."""
    editor = opened(comfy, CAT, FIVE[3])
    field = Image.linear_gradient("L").resize((300, 200))
    folder = comfy.server.base_dir / "input"
    folder.mkdir(parents=True, exist_ok=True)
    Image.merge("RGB", (field, field.point(lambda v: 200 - v // 2), field)).save(
        folder / "field.png"
    )
    loader = comfy.add_node("LoadImage", at=(-500, 0))
    comfy.set_value(loader, "image", "field.png")
    comfy.connect(loader, "IMAGE", editor.node, "image")
    comfy.show(editor.node, margin=20)
    return editor


def writing(comfy):
    """In the midst of writing on a box."""
    editor = opened(comfy, *FARM)
    editor.draw((0.5625, 0.5625, 0.875, 0.875))
    editor.type("a goose with")
    return editor


def clipped(comfy):
    """More than the checkpoint reads, and a word that it does not know."""
    editor = opened(comfy, CAT, Region("masterpiece, (best quality:1.6) " * 40, FIVE[3].box))
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(-500, 0))
    comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
    comfy.show(editor.node, margin=20)
    editor.root.locator(".reco-row.reco-unfit").first.wait_for()
    return editor


def stopping(comfy):
    """In the large view, where Run was refused."""
    editor = textless(comfy)
    words = comfy.add_node("ReCoLayoutToText", at=(700, 0))
    shown = comfy.add_node("PreviewAny", at=(1000, 0))
    comfy.connect(editor.node, "layout", words, "layout")
    comfy.connect(words, 0, shown, 0)
    editor.root.get_by_label("Regions without a text", exact=True).select_option("stop")
    enlarge(editor)
    comfy.page.keyboard.press("Control+Enter")
    editor.root.get_by_text("Run is refused").wait_for()
    return editor


def unreadable(comfy):
    editor = opened(comfy, *FIVE)
    comfy.set_value(editor.node, "editor", '{"version": 9, "regions": []}')
    return editor


def masked(comfy):
    """A region that came with a mask, of two shapes."""
    editor = opened(comfy, CAT)
    folder = comfy.server.base_dir / "input"
    folder.mkdir(parents=True, exist_ok=True)
    shapes = Image.new("L", (300, 300))
    ImageDraw.Draw(shapes).ellipse((30, 40, 140, 260), fill=255)
    ImageDraw.Draw(shapes).polygon(((170, 250), (280, 250), (225, 90)), fill=255)
    Image.merge("RGB", (shapes, shapes, shapes)).save(folder / "shapes.png")
    loader = comfy.add_node("LoadImageMask", at=(-900, 0))
    comfy.set_value(loader, "image", "shapes.png")
    comfy.set_value(loader, "channel", "red")
    source = comfy.add_node("ReCoLayoutFromMasks", at=(-500, 0))
    shown = comfy.add_node("PreviewAny", at=(700, 0))
    comfy.set_value(source, "texts", "a pond and a tent")
    comfy.connect(loader, 0, source, "masks")
    comfy.connect(source, "layout", editor.node, "layout")
    comfy.connect(editor.node, "width", shown, 0)
    comfy.queue()
    comfy.show(editor.node, margin=20)
    editor.root.locator(".reco-masked").first.wait_for()
    return editor


def crowd(comfy):
    return opened(comfy, *many(40))


def writings(comfy):
    return opened(comfy, *WORDS)


def enlarge(editor: ReCoEditor) -> ReCoEditor:
    editor.hand.click_on(editor.root.get_by_label("Large view"))
    return editor


def large(comfy):
    return enlarge(opened(comfy, *FIVE))


def large_crowd(comfy):
    return enlarge(crowd(comfy))


STATES: dict[str, State] = {
    "empty canvas": empty,
    "in the midst of writing": writing,
    "a region without a text": textless,
    "texts in boxes, tags where these are too small": wrapped,
    "selected, and under the pointer": selected,
    "numbers of all regions": numbers,
    "on a picture of another shape": background,
    "forty boxes": crowd,
    "what a checkpoint cannot do, with a button": meter,
    "a text that is too long for it": clipped,
    "menu of a region": menu,
    "a region in the shape of its mask": masked,
    "a drawing of a newer ReCo": unreadable,
    "what a pasted text says": preview,
    "from right to left, and Japanese": writings,
    "large view": large,
    "forty boxes in the large view": large_crowd,
    "a region without a text stops Run": stopping,
}
ON_ALL_OF_THE_PAGE = (large, large_crowd, stopping)


def take(comfy: ComfyPage, suffix: str = "", states: dict[str, State] = STATES) -> None:
    """Write docs/images/editor-dark{suffix}.jpg and that of the light theme."""
    for theme in ("dark", "light"):
        tiles = list(tiles_of(comfy, "vue", theme, states))
        if theme == "dark":
            tiles += tiles_of(comfy, "classic", theme, states)
        sheet = sheet_of(tiles, theme)
        path = DOCS / "images" / f"editor-{theme}{suffix}.jpg"
        write_atomically(path, partial(sheet.save, format="JPEG", quality=80))


def portrait(comfy: ComfyPage) -> None:
    """Write the picture of README and of the help page: the quickstart's editor after a run."""
    comfy.page.set_default_timeout(PATIENCE)
    comfy.open("vue")
    comfy.load_workflow(QUICKSTART)
    comfy.queue()
    node = comfy.page.evaluate(
        "() => String(app.graph.nodes.find(({ type }) => type === 'ReCoLayoutEditor').id)"
    )
    comfy.show(node, margin=20)
    editor = ReCoEditor(comfy, node)
    editor.root.get_by_label("Picture behind the boxes").select_option("result")
    editor.click(middle_of(editor.regions[0].box))
    comfy.page.mouse.move(2, 2)
    comfy.page.evaluate("() => harness.frames()")
    shot = comfy.page.screenshot(clip=around(comfy.rect(node)))
    for path in (DOCS / "images", DOCS.parent / "web" / "docs" / "ReCoLayoutEditor"):
        write_atomically(path / "editor.png", lambda file: file.write_bytes(shot))


def tiles_of(
    comfy: ComfyPage, renderer: Renderer, theme: str, states: dict[str, State]
) -> Iterator[tuple[str, Image.Image]]:
    comfy.page.set_default_timeout(PATIENCE)
    comfy.open(renderer, theme)
    comfy.page.set_default_timeout(MISSING_MS)
    for name, state in states.items():
        try:
            comfy.page.mouse.move(2, 2)  # or a tooltip might be in the picture
            editor = state(comfy)
        except (Error, AssertionError) as error:
            print(f"no picture of {name} ({renderer}): {str(error)[:200]}", flush=True)
            continue
        comfy.page.evaluate("() => harness.frames()")
        box = None if state in ON_ALL_OF_THE_PAGE else around(comfy.rect(editor.node))
        shot = comfy.page.screenshot(clip=box)
        comfy.page.keyboard.press("Escape")
        yield f"{name} ({renderer})", Image.open(io.BytesIO(shot)).convert("RGB")


def around(rect: dict[str, float]) -> dict[str, float]:
    """With the node's title and slots, as far as the page shows them."""
    left, top = max(0, rect["x"] - 12), max(0, rect["y"] - 34)
    right, bottom = rect["x"] + rect["width"] + 12, rect["y"] + rect["height"] + 8
    return {
        "x": left,
        "y": top,
        "width": min(1600, right) - left,
        "height": min(1000, bottom) - top,
    }


def sheet_of(tiles: list[tuple[str, Image.Image]], theme: str) -> Image.Image:
    """Rows of pictures of one width, each below its name."""
    ground, ink = ("#181818", "#ddd") if theme == "dark" else ("#fff", "#222")
    font = ImageFont.load_default(13)
    rows = [tiles[at : at + COLUMNS] for at in range(0, len(tiles), COLUMNS)]
    fitted = [[(name, fit(image)) for name, image in row] for row in rows]
    heights = [LABEL + max(image.height for _, image in row) for row in fitted]
    sheet = Image.new("RGB", (COLUMNS * TILE, sum(heights)), ground)
    draw, top = ImageDraw.Draw(sheet), 0
    for row, height in zip(fitted, heights, strict=True):
        for column, (name, image) in enumerate(row):
            draw.text((column * TILE + 4, top + 3), name, fill=ink, font=font)
            sheet.paste(image, (column * TILE, top + LABEL))
        top += height
    return sheet


def fit(image: Image.Image) -> Image.Image:
    width = TILE - 6
    return image.resize(
        (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
    )

"""Pictures of the editor in the states that people meet, on one sheet a theme."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from comfy_page import ComfyPage, Renderer
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Error
from tasks.editor import Region, middle_of
from tasks.here import ReCoEditor
from tasks.scenes import CAT, FARM, FIVE
from tasks.table import ELEMENTS

from reco_core.atomic import write_atomically

DOCS = Path(__file__).resolve().parents[1]
HELP = DOCS.parent / "web" / "docs" / "ReCoLayoutEditor" / "editor.png"
TILE, LABEL, COLUMNS = 420, 22, 4
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
    comfy.page.evaluate("text => navigator.clipboard.writeText(text)", ELEMENTS)
    editor.click((0.9, 0.9))
    editor.press("Control+v")
    comfy.page.wait_for_timeout(1500)
    return editor


def writings(comfy):
    return opened(comfy, *WORDS)


def large(comfy):
    editor = opened(comfy, *FIVE)
    editor.hand.click_on(editor.root.get_by_label("Large view"))
    return editor


STATES: dict[str, State] = {
    "empty canvas": empty,
    "a region without a text": textless,
    "texts in boxes, tags where these are too small": wrapped,
    "selected, and under the pointer": selected,
    "what a checkpoint cannot do, with a button": meter,
    "menu of a region": menu,
    "what a pasted text says": preview,
    "from right to left, and Chinese signs": writings,
    "large view": large,
}


def take(comfy: ComfyPage, states: dict[str, State] = STATES) -> None:
    for theme in ("dark", "light"):
        tiles = list(tiles_of(comfy, "vue", theme, states))
        if theme == "dark":
            tiles += tiles_of(comfy, "classic", theme, states)
        sheet = sheet_of(tiles, theme)
        path = DOCS / "images" / f"editor-{theme}.jpg"
        write_atomically(path, partial(sheet.save, format="JPEG", quality=80))


def tiles_of(
    comfy: ComfyPage, renderer: Renderer, theme: str, states: dict[str, State]
) -> Iterator[tuple[str, Image.Image]]:
    comfy.open(renderer, theme)
    for name, state in states.items():
        try:
            editor = state(comfy)
        except (Error, AssertionError) as error:
            print(f"no picture of {name} ({renderer}): {str(error)[:200]}", flush=True)
            continue
        comfy.page.evaluate("() => harness.frames()")
        box = None if state is large else comfy.rect(editor.node)
        shot = comfy.page.screenshot(clip=box)
        comfy.page.keyboard.press("Escape")
        yield f"{name} ({renderer})", Image.open(io.BytesIO(shot)).convert("RGB")


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

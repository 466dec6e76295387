"""Draws layouts in a ComfyUI with settings of ReCo Control, and puts the pictures side by side."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from PIL import Image, ImageDraw, ImageFont

from comfy_server import ROOT, ComfyServer
from reco_core.atomic import write_atomically
from reco_core.control import Control
from reco_core.draw import draw_layout
from reco_core.layout import Layout

PICTURES = ROOT / "runs" / "control"
"""Where pictures are kept: a second run goes on from them."""
STEPS, CFG = 20, 3.0
SIDE, LABEL = 128, 190
"""Pixels of a sheet's pictures, and of a row's words."""


class Asked(Protocol):
    """What is drawn. name: also of its file; the seed is of the noise."""

    name: str
    seed: int

    @property
    def layout(self) -> Layout: ...


@dataclass(frozen=True)
class Setting:
    """inputs: of ReCo Control. control: of the first region."""

    name: str
    inputs: dict[str, Any] = field(default_factory=dict)
    control: Control = Control()
    cfg: float = CFG
    checkpoint: str = "reco-shapes.safetensors"

    @property
    def file(self) -> str:
        return self.name.replace(",", "")

    def on(self, layout: Layout) -> Layout:
        first, *others = layout.regions
        return replace(layout, regions=(replace(first, control=self.control), *others))


def workflow(asked: Asked, setting: Setting) -> dict[str, dict]:
    """In API format; its picture is of the node named save."""

    def node(kind: str, **inputs: Any) -> dict:
        return {"class_type": kind, "inputs": inputs}

    text = setting.on(asked.layout).to_json()
    size = {"width": asked.layout.width, "height": asked.layout.height}
    return {
        "loader": node("ReCoLoadCheckpoint", ckpt_name=setting.checkpoint),
        "layout": node("ReCoLayoutFromText", text=text, **size),
        "control": node(
            "ReCoControl",
            model=["loader", 0],
            clip=["loader", 1],
            layout=["layout", 0],
            **{"negative": "", **setting.inputs},
        ),
        "sampler": node(
            "KSampler",
            model=["control", 0],
            positive=["control", 1],
            negative=["control", 2],
            latent_image=["control", 3],
            seed=asked.seed,
            steps=STEPS,
            cfg=setting.cfg,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["loader", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="control"),
    }


def draw(server: ComfyServer, asked: Asked, setting: Setting) -> Image.Image:
    """The picture, RGB, kept in PICTURES."""
    path = PICTURES / f"{setting.file} {asked.name}.png"
    if not path.exists():
        entry = server.wait(server.post_prompt(workflow(asked, setting)))
        (image,) = entry["outputs"]["save"]["images"]
        made = Image.open(io.BytesIO(server.view(image))).convert("RGB")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, partial(made.save, format="PNG"))
    return Image.open(path).convert("RGB")


def sheet(
    server: ComfyServer, shown: Sequence[Asked], settings: Iterable[Setting], ground: str = "white"
) -> Image.Image:
    """What is asked for, and a row of pictures for each setting."""
    rows = [("asked for", [_boxes(asked, ground) for asked in shown])]
    rows += [(one.name, [draw(server, asked, one) for asked in shown]) for one in settings]
    made = Image.new("RGB", (LABEL + len(shown) * SIDE, len(rows) * SIDE), "white")
    pen, font = ImageDraw.Draw(made), ImageFont.load_default(13)
    for row, (name, pictures) in enumerate(rows):
        words = name.replace(", ", ",\n")
        pen.multiline_text((6, row * SIDE + 45), words, fill="black", font=font)
        for column, picture in enumerate(pictures):
            place = (LABEL + column * SIDE, row * SIDE)
            made.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), place)
    return made


def _boxes(asked: Asked, ground: str) -> Image.Image:
    size = asked.layout.width, asked.layout.height
    return draw_layout(Image.new("RGB", size, ground), asked.layout)


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")

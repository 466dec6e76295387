"""The settings of ReCo Control that are compared, and the workflow that draws with one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from docs.control.pairs import Pair
from reco_core.containment import HOW, TOKENS
from reco_core.control import Control
from reco_core.layout import Layout

STEPS, CFG = 20, 3.0
CHECKPOINT = "reco-shapes.safetensors"


@dataclass(frozen=True)
class Setting:
    """inputs: of ReCo Control. control: of the first region."""

    name: str
    inputs: dict[str, Any] = field(default_factory=dict)
    control: Control = Control()
    cfg: float = CFG

    @property
    def file(self) -> str:
        return self.name.replace(",", "")

    def on(self, layout: Layout) -> Layout:
        first, *others = layout.regions
        return replace(layout, regions=(replace(first, control=self.control), *others))


SETTINGS = (
    Setting("as trained"),
    *(
        Setting(f"region guidance {scale:g}", {"region_guidance": scale})
        for scale in (0.5, 1.5, 2.0, 3.0)
    ),
    *(Setting(how, {"containment": how}) for how in HOW),
    Setting(f"region guidance 2, {TOKENS}", {"region_guidance": 2.0, "containment": TOKENS}),
    Setting(f"{TOKENS}, no feather", {"containment": TOKENS, "feather": 0}),
    Setting(f"{TOKENS}, until 0.5", {"containment": TOKENS, "contain_until": 0.5}),
    *(
        Setting(f"first region, strength {strength:g}", control=Control(strength=strength))
        for strength in (0.0, 0.25, 0.5, 2.0, 4.0)
    ),
    Setting("as trained, cfg 1", cfg=1.0),
    *(
        Setting(f"region guidance {scale:g}, cfg 1", {"region_guidance": scale}, cfg=1.0)
        for scale in (2.0, 4.0)
    ),
    Setting("first region, until 0.2", control=Control(end=0.2)),
    Setting("first region, from 0.2", control=Control(start=0.2)),
)


def workflow(pair: Pair, setting: Setting) -> dict[str, dict]:
    """In API format; its picture is of the node named save."""

    def node(kind: str, **inputs: Any) -> dict:
        return {"class_type": kind, "inputs": inputs}

    text = setting.on(pair.layout).to_json()
    size = {"width": pair.layout.width, "height": pair.layout.height}
    return {
        "loader": node("ReCoLoadCheckpoint", ckpt_name=CHECKPOINT),
        "layout": node("ReCoLayoutFromText", text=text, **size),
        "control": node(
            "ReCoControl",
            model=["loader", 0],
            clip=["loader", 1],
            layout=["layout", 0],
            negative="",
            **setting.inputs,
        ),
        "sampler": node(
            "KSampler",
            model=["control", 0],
            positive=["control", 1],
            negative=["control", 2],
            latent_image=["control", 3],
            seed=pair.seed,
            steps=STEPS,
            cfg=setting.cfg,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["loader", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="control"),
    }

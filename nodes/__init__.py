"""The nodes of the pack, in menu order.

ComfyUI imports this package at every start, whether a workflow uses it or not. So there are two
kinds of modules here. Those imported below declare nodes and routes: at their top they import only
ComfyUI, each other, and of reco_core `limits` and `forms.labels`. The others, and all else of
reco_core, do the work: they are imported in the functions that need them, when a workflow runs or
the editor asks.
"""

from comfy_api.latest import ComfyExtension, io
from server import PromptServer
from typing_extensions import override

from .adapter import ReCoApplyAdapter, ReCoLoadAdapter
from .arrange import ReCoFlipLayout, ReCoMergeLayouts, ReCoReorderRegions, ReCoScaleLayout
from .control import ReCoControl, ReCoRegionSettings
from .editor import ReCoLayoutEditor
from .interop import (
    ReCoLayoutFromBoxes,
    ReCoLayoutFromCoco,
    ReCoLayoutFromElements,
    ReCoLayoutToBoxes,
)
from .layout import ReCoAddRegion, ReCoLayoutFromText
from .layout_text import ReCoLayoutToText
from .loaders import CHECKPOINT_FOLDER, ReCoLoadCheckpoint
from .masks import ReCoLayoutFromMasks, ReCoLayoutToMasks, ReCoRegionMask
from .parts import ReCoLoadParts
from .preview import ReCoDrawLayout
from .recall import ReCoLayoutFromImage, ReCoSaveImage
from .region_lora import ReCoRegionLora
from .registration import begin_registration
from .routes import add_routes
from .save import ReCoSaveCheckpoint
from .score import ReCoScoreLayout
from .text_encode import ReCoConditioning, ReCoTextEncode
from .transplant import ReCoTransplant
from .window import ReCoCropLayout, ReCoPadLayout, ReCoTileLayout


class ReCoExtension(ComfyExtension):
    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        nodes: list[type[io.ComfyNode]] = [
            ReCoLoadCheckpoint,
            ReCoLoadAdapter,
            ReCoApplyAdapter,
            ReCoLoadParts,
            ReCoTransplant,
            ReCoSaveCheckpoint,
            ReCoLayoutEditor,
            ReCoLayoutFromText,
            ReCoAddRegion,
            ReCoLayoutFromBoxes,
            ReCoLayoutFromElements,
            ReCoLayoutFromMasks,
            ReCoLayoutFromCoco,
            ReCoLayoutFromImage,
            ReCoMergeLayouts,
            ReCoReorderRegions,
            ReCoScaleLayout,
            ReCoFlipLayout,
            ReCoCropLayout,
            ReCoPadLayout,
            ReCoTileLayout,
            ReCoRegionSettings,
            ReCoConditioning,
            ReCoTextEncode,
            ReCoControl,
            ReCoRegionLora,
            ReCoDrawLayout,
            ReCoSaveImage,
            ReCoScoreLayout,
            ReCoLayoutToText,
            ReCoLayoutToBoxes,
            ReCoLayoutToMasks,
            ReCoRegionMask,
        ]
        for node in nodes:
            # What a node told comes again with every run that finds the node in ComfyUI's cache.
            node.HAS_INTERMEDIATE_OUTPUT = True
        begin_registration()
        return nodes


async def comfy_entrypoint() -> ReCoExtension:
    add_routes(PromptServer.instance.routes)
    return ReCoExtension()


__all__ = ["CHECKPOINT_FOLDER", "ReCoExtension", "comfy_entrypoint"]

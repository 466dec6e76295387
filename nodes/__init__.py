"""The nodes of the pack, in menu order."""

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from .layout import ReCoAddRegion, ReCoLayoutFromText
from .loaders import CHECKPOINT_FOLDER, ReCoLoadCheckpoint
from .preview import ReCoDrawLayout
from .text_encode import ReCoConditioning, ReCoTextEncode


class ReCoExtension(ComfyExtension):
    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            ReCoLoadCheckpoint,
            ReCoLayoutFromText,
            ReCoAddRegion,
            ReCoConditioning,
            ReCoTextEncode,
            ReCoDrawLayout,
        ]


async def comfy_entrypoint() -> ReCoExtension:
    return ReCoExtension()


__all__ = ["CHECKPOINT_FOLDER", "ReCoExtension", "comfy_entrypoint"]

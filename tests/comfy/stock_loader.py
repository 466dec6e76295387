"""A custom node for tests: Load Checkpoint for files of any width, made of ComfyUI's own classes.

The server's fixture puts it beside the pack. See stock_models.py for why the stock node cannot.
"""

from __future__ import annotations

import folder_paths
from stock_models import stock_parts


class LoadSmallCheckpoint:
    """Inputs and outputs of CheckpointLoaderSimple."""

    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    FUNCTION = "load"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        names = folder_paths.get_filename_list("checkpoints")
        return {"required": {"ckpt_name": (names,)}}

    def load(self, ckpt_name: str) -> tuple:
        return stock_parts(folder_paths.get_full_path_or_raise("checkpoints", ckpt_name))


NODE_CLASS_MAPPINGS = {"LoadSmallCheckpoint": LoadSmallCheckpoint}

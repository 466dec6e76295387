"""ReCo for ComfyUI: boxes with words in them for Stable Diffusion 1.x. ComfyUI's door."""

from pathlib import Path

import folder_paths

from .nodes import CHECKPOINT_FOLDER, comfy_entrypoint

WEB_DIRECTORY = "./web"

folder_paths.add_model_folder_path(CHECKPOINT_FOLDER, str(Path(__file__).parent / "models"))

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

"""ReCo for ComfyUI: boxes with words in them for Stable Diffusion 1.x. ComfyUI's door."""

from pathlib import Path

import folder_paths

from .nodes import CHECKPOINT_FOLDER, comfy_entrypoint

WEB_DIRECTORY = "./web"

MODELS = Path(__file__).parent / "models"
folder_paths.add_model_folder_path(CHECKPOINT_FOLDER, str(MODELS))
folder_paths.add_model_folder_path("loras", str(MODELS / "loras"))

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

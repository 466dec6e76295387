"""Load ReCo adapters: LoRA and position tokens for a plain Stable Diffusion 1 checkpoint."""

from functools import lru_cache, partial
from pathlib import Path

import comfy.sd
import comfy.utils
import folder_paths
from comfy_api.latest import io

from ..reco_core.adapter import (
    base_warning,
    extend_with_adapter_rows,
    file_sha256,
    lora_changes,
    merged_metadata,
    read_adapter,
)
from ..reco_core.checkpoint import describe_checkpoint
from ..reco_core.checkpoint_file import read_checkpoint
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.remarks import Remark
from .layout import CATEGORY
from .loaders import build_parts, checkpoint_names, checkpoint_path, part_outputs, start_size
from .remarks import told


def read_extended(base: Path, adapter_path: Path) -> tuple[dict, CheckpointInfo]:
    """A base's weights with an adapter's rows in its tables, its LoRA not yet applied.

    Raises ValueError when a file is unreadable, or base and adapter do not go together.
    """
    state_dict, metadata = read_checkpoint(base)
    adapter = read_adapter(adapter_path)
    try:
        extended = extend_with_adapter_rows(state_dict, adapter)
        lora_changes(extended, adapter)  # ComfyUI only logs what does not fit
    except ValueError as error:
        raise ValueError(f"{adapter_path.name!r} with {base.name!r}: {error}") from error
    return extended, describe_checkpoint(extended, merged_metadata(metadata, adapter.info))


def load_with_adapter(
    base: Path,
    adapter_path: Path,
    strength_model: float = 1.0,
    strength_clip: float = 1.0,
    embedding_directory: list[str] | None = None,
):
    """MODEL, CLIP and VAE of a base with an adapter. Strengths are those of the LoRA; the position
    tokens are there at any. Raises ValueError as read_extended."""
    model, clip, vae = build_parts(partial(read_extended, base, adapter_path), embedding_directory)
    lora = read_adapter(adapter_path).lora_tensors
    model, clip = comfy.sd.load_lora_for_models(model, clip, lora, strength_model, strength_clip)
    return model, clip, vae


def warning_of(base: Path, adapter_path: Path) -> str:
    """What to tell a user whose base is not the one that the adapter names; empty if it is."""
    info = read_adapter(adapter_path).info
    if not info.base_sha256:
        return ""
    return base_warning(info, base.name, _sha256(base, base.stat().st_mtime_ns))


@lru_cache(maxsize=8)
def _sha256(path: Path, modified: int) -> str:
    """modified: when the file was written, so that another under its name is read again."""
    progress = comfy.utils.ProgressBar(path.stat().st_size)  # seconds, for a full-size file
    return file_sha256(path, progress.update)


def adapter_names() -> list[str]:
    """Files that can be adapters, of ComfyUI's loras folder."""
    names = folder_paths.get_filename_list("loras")
    return [name for name in names if name.lower().endswith(".safetensors")]


def adapter_path(name: str) -> Path:
    """The file of a listed name. Raises FileNotFoundError when it is gone."""
    return Path(folder_paths.get_full_path_or_raise("loras", name))


def _strength_input(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=1.0, min=-20.0, max=20.0, step=0.01, tooltip=tooltip)


class ReCoLoadAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadAdapter",
            display_name="ReCo Load Adapter",
            category=CATEGORY,
            description="Load a Stable Diffusion 1 checkpoint with a ReCo adapter, which brings "
            "position tokens and a LoRA.",
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=checkpoint_names(),
                    tooltip="The base: a plain Stable Diffusion 1 checkpoint from ComfyUI's "
                    "checkpoints folder, best the one that the adapter was trained on.",
                ),
                io.Combo.Input(
                    "adapter_name",
                    options=adapter_names(),
                    tooltip="A ReCo adapter (.safetensors) from ComfyUI's loras folder, written "
                    "by `python -m train fit` with lora.rank.",
                ),
                _strength_input(
                    "strength_model",
                    "How strongly the LoRA changes the UNet. Position tokens are there at any.",
                ),
                _strength_input(
                    "strength_clip",
                    "How strongly the LoRA changes the text encoder. Position tokens are there "
                    "at any.",
                ),
            ],
            outputs=part_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, ckpt_name: str | None, adapter_name: str | None, **strengths):
        """When the files were written, so that a newly trained adapter is read again."""
        if ckpt_name is None or adapter_name is None:  # linked: known only when the workflow runs
            return 0
        files = (checkpoint_path(ckpt_name), adapter_path(adapter_name))
        return [file.stat().st_mtime_ns for file in files]

    @classmethod
    def execute(
        cls, ckpt_name: str, adapter_name: str, strength_model: float, strength_clip: float
    ) -> io.NodeOutput:
        base, adapter = checkpoint_path(ckpt_name), adapter_path(adapter_name)
        embeddings = folder_paths.get_folder_paths("embeddings")
        parts = load_with_adapter(base, adapter, strength_model, strength_clip, embeddings)
        warning = warning_of(base, adapter)
        shown = told([Remark("file", warning)] if warning else [])
        return io.NodeOutput(*parts, *start_size(parts[1]), ui=shown)

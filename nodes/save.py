"""Save a ReCo checkpoint as one file, with all that is known of it."""

from __future__ import annotations

import json
from pathlib import Path

import comfy.model_management
import comfy.sd
import comfy.utils
import folder_paths
import torch
from comfy.cli_args import args
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from .inputs import CATEGORY
from .remarks import told

WORKFLOW_KEYS = ("prompt", "workflow")
"""Metadata in which ComfyUI keeps how a file was made."""


def checkpoint_tensors(model: ModelPatcher, clip: comfy.sd.CLIP, vae: comfy.sd.VAE) -> dict:
    """All weights of a checkpoint under the keys of a single file, with patches applied as they are
    written; as of ComfyUI's own Save Checkpoint."""
    comfy.model_management.load_models_gpu([model, clip.load_model()])
    text_encoder = getattr(clip, "state_dict_for_saving", clip.get_sd)()  # get_sd: before 0.18
    tensors = model.state_dict_for_saving(text_encoder, vae.get_sd())
    return {key: _patched_once(tensor) for key, tensor in tensors.items()}


def _patched_once(tensor: torch.Tensor) -> torch.Tensor:
    """The weight itself where dynamic VRAM has patched it already, as it does with those of small
    layers, instead of one that is patched, once more, as it is written."""
    patcher = getattr(tensor, "model", None)  # of a LazyCastingParam
    if isinstance(patcher, ModelPatcher) and patcher.is_dynamic() and tensor.key in patcher.backup:
        return comfy.utils.get_attr(patcher.model, tensor.key)
    return tensor


def checkpoint_metadata(clip: comfy.sd.CLIP, workflow: dict) -> dict[str, str]:
    """What is known of the checkpoint; workflow: how it was made, as of this run's."""
    from ..reco_core.checkpoint import reco_metadata
    from ..reco_core.checkpoint_file import PREDICTION_KEY
    from ..reco_core.trainable import PREDICTION_NAMES

    info = clip.tokenizer.info
    known = {key: text for key, text in info.metadata.items() if key not in WORKFLOW_KEYS}
    made = {key: json.dumps(value) for key, value in workflow.items() if value is not None}
    return {
        **known,
        **reco_metadata(info),
        PREDICTION_KEY: PREDICTION_NAMES[info.family.prediction][0],
        **({} if args.disable_metadata else made),
    }


def save_checkpoint(
    model: ModelPatcher, clip: comfy.sd.CLIP, vae: comfy.sd.VAE, path: Path, workflow: dict
) -> None:
    """Write MODEL, CLIP and VAE as one .safetensors file, which appears whole or not at all.

    Raises ValueError when the CLIP is no ReCo checkpoint's or a merge has spoiled it, and when the
    disk is too full.
    """
    from ..reco_core.checkpoint_file import write_checkpoint
    from ..reco_core.tensor_file import tensor_file_size
    from .encoding import reco_tokenizer

    reco_tokenizer(clip)
    tensors = checkpoint_tensors(model, clip, vae)
    metadata = checkpoint_metadata(clip, workflow)
    progress = comfy.utils.ProgressBar(tensor_file_size(tensors, metadata))
    write_checkpoint(path, tensors, metadata, on_written=progress.update)


class ReCoSaveCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoSaveCheckpoint",
            display_name="ReCo Save Checkpoint",
            category=CATEGORY,
            description="Save model, clip and vae as one ReCo checkpoint, LoRAs and merges "
            "included, for ReCo Load Checkpoint and for training.",
            inputs=[
                io.Model.Input("model", tooltip="The UNet, with LoRAs and merges."),
                io.Clip.Input("clip", tooltip="Of a ReCo checkpoint."),
                io.Vae.Input("vae", tooltip="The autoencoder."),
                io.String.Input(
                    "filename_prefix",
                    default="checkpoints/ReCo",
                    tooltip="Where in ComfyUI's output folder. Files in its checkpoints/ are "
                    "listed by ReCo Load Checkpoint.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, clip: comfy.sd.CLIP, vae: comfy.sd.VAE, filename_prefix: str
    ) -> io.NodeOutput:
        folder, name, counter, *_ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory()
        )
        path = Path(folder) / f"{name}_{counter:05}_.safetensors"
        workflow = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
        save_checkpoint(model, clip, vae, path, workflow)
        return io.NodeOutput(ui=told([], f"saved {path.name}"))

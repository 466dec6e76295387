"""ReCo's text encoder as ComfyUI classes: CLIP's text model with the longer token and position
tables, behind the tokenizer that understands layouts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import comfy.sd
import torch
from comfy.clip_model import CLIPTextModel
from comfy.sd1_clip import SD1ClipModel, SDClipModel
from comfy.supported_models_base import ClipTarget
from comfy.utils import calculate_parameters, state_dict_prefix_replace

from ..reco_core.checkpoint import reco_metadata
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.facts import facts_of
from ..reco_core.position_tokens import EOS_ID, PositionVocabulary
from .tokenizer import ReCoTokenizer


def text_config(info: CheckpointInfo) -> dict:
    """The Hugging Face style configuration of a checkpoint's text encoder."""
    return {
        "num_hidden_layers": info.text_layers,
        "hidden_size": info.text_width,
        "num_attention_heads": info.text_heads,
        "intermediate_size": info.text_intermediate,
        "hidden_act": "quick_gelu",
        "max_position_embeddings": info.max_length,
        "vocab_size": PositionVocabulary().offset + info.num_bins,
        "eos_token_id": EOS_ID,
    }


class ReCoTextModel(CLIPTextModel):
    """CLIP's text model with a token table of `vocab_size` rows, which ComfyUI's own ignores."""

    def __init__(self, config_dict: dict, dtype: torch.dtype, device: Any, operations: Any) -> None:
        super().__init__(config_dict, dtype, device, operations)
        rows, width = config_dict["vocab_size"], config_dict["hidden_size"]
        self.set_input_embeddings(operations.Embedding(rows, width, dtype=dtype, device=device))


class ReCoClipL(SDClipModel):
    """ComfyUI's runner around the text model: weights, embeddings, clip skip."""

    def __init__(
        self,
        info: CheckpointInfo,
        device: Any = "cpu",
        dtype: torch.dtype | None = None,
        model_options: dict | None = None,
    ) -> None:
        super().__init__(
            device=device,
            dtype=dtype,
            max_length=info.max_length,
            textmodel_json_config=text_config(info),
            model_class=ReCoTextModel,
            return_projected_pooled=False,
            model_options=model_options or {},
        )


class ReCoClipModel(SD1ClipModel):
    """Keeps SD1's attribute names (`clip_l`), so that LoRA and ControlNet keys map."""

    def __init__(
        self,
        info: CheckpointInfo,
        device: Any = "cpu",
        dtype: torch.dtype | None = None,
        model_options: dict | None = None,
    ) -> None:
        clip_l = partial(ReCoClipL, info)
        super().__init__(device, dtype, model_options=model_options or {}, clip_model=clip_l)


def build_clip(
    state_dict: dict,
    info: CheckpointInfo,
    embedding_directory: list[str] | None = None,
    model_options: dict | None = None,
    disable_dynamic: bool = False,
) -> comfy.sd.CLIP:
    """ComfyUI's CLIP around a ReCo text encoder.

    Takes its weights out of state_dict, whose keys are those of a single-file checkpoint.
    """
    prefixes = {"cond_stage_model.": "clip_l."}
    facts = facts_of(state_dict, info.metadata | reco_metadata(info))
    weights = state_dict_prefix_replace(state_dict, prefixes, filter_keys=True)
    found = {key: weight.shape for key, weight in weights.items()}
    target = ClipTarget(ReCoTokenizer, ReCoClipModel)
    target.params = {"info": info}
    clip = comfy.sd.CLIP(
        target,
        embedding_directory=embedding_directory,
        tokenizer_data={"reco_info": info, "reco_facts": facts},
        parameters=calculate_parameters(weights),
        state_dict=weights,
        model_options=model_options or {},
        disable_dynamic=disable_dynamic,
    )
    text_model = clip.cond_stage_model.clip_l.transformer.text_model
    check_complete("text encoder", text_model, "clip_l.transformer.text_model.", found)
    return clip


def check_complete(
    part: str, module: torch.nn.Module, prefix: str, found: Mapping[str, torch.Size]
) -> None:
    """Raise ValueError when a file lacked weights of a module, or had others than it takes.

    Call it once the module is loaded: before that ComfyUI may hold no weights (comfy/ops.py), and
    in loading it replaces missing ones by zeros and takes any shape.

    found: shapes of the file's weights, from before they were loaded.
    """
    wanted = _loaded_shapes(module)
    missing = [name for name in wanted if prefix + name not in found]
    if missing:
        raise ValueError(
            f"the checkpoint is incomplete: its {part} lacks {len(missing)} of its weights, for "
            f"instance {missing[0]!r}; fetch or convert it again"
        )
    for name, shape in wanted.items():
        if found[prefix + name] != shape:
            raise ValueError(
                f"the checkpoint's {part} has a weight {name!r} of shape "
                f"{tuple(found[prefix + name])}, and ComfyUI needs {tuple(shape)}: fetch or "
                "convert it again"
            )


def _loaded_shapes(module: torch.nn.Module) -> dict[str, torch.Size]:
    """Shapes by name of a loaded module's weights, of layers that take any shape the right one."""
    shapes = {name: weight.shape for name, weight in module.state_dict().items()}
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.Linear):
            shapes[f"{name}.weight"] = torch.Size((layer.out_features, layer.in_features))
        elif isinstance(layer, torch.nn.Embedding):
            shapes[f"{name}.weight"] = torch.Size((layer.num_embeddings, layer.embedding_dim))
    return shapes

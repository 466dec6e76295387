"""A family's text encoders as ComfyUI's CLIP, behind the tokenizer that understands layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.sd
import torch
from comfy.supported_models_base import ClipTarget
from comfy.utils import calculate_parameters, state_dict_prefix_replace

from ..reco_core.checkpoint import reco_metadata
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.facts import facts_of
from ..reco_core.family import TEXT_MODEL, TextEncoder
from .text_model import ReCoTextEncoder
from .tokenizer import ReCoTokenizer


class ReCoClipModel(torch.nn.Module):
    """A family's text encoders under ComfyUI's names (`clip_l`), so that LoRA and ControlNet keys
    map; the UNet gets their states side by side."""

    def __init__(
        self,
        info: CheckpointInfo,
        device: Any = "cpu",
        dtype: torch.dtype | None = None,
        model_options: dict | None = None,
    ) -> None:
        super().__init__()
        self.encoders = info.family.encoders
        self.dtypes = {dtype} if dtype is not None else set()
        for encoder, size in zip(self.encoders, info.encoders, strict=True):
            options = {**(model_options or {}), "model_name": encoder.module}
            part = ReCoTextEncoder(
                info, encoder, size, device=device, dtype=dtype, model_options=options
            )
            setattr(self, encoder.module, part)

    def parts(self) -> list[tuple[TextEncoder, ReCoTextEncoder]]:
        """The text encoders and what the family says of them."""
        return [(encoder, getattr(self, encoder.module)) for encoder in self.encoders]

    def set_clip_options(self, options: dict) -> None:
        for _, part in self.parts():
            part.set_clip_options(options)

    def reset_clip_options(self) -> None:
        for _, part in self.parts():
            part.reset_clip_options()

    def encode_token_weights(self, tokens: dict[str, list]) -> tuple[torch.Tensor, torch.Tensor]:
        """States (B, L, C) of all encoders, and what the last one pooled (B, P)."""
        encoded = [part.encode_token_weights(tokens[encoder.key]) for encoder, part in self.parts()]
        states = torch.cat([states for states, _ in encoded], dim=-1)
        return states, encoded[-1][1]


def build_clip(
    state_dict: dict,
    info: CheckpointInfo,
    embedding_directory: list[str] | None = None,
    model_options: dict | None = None,
    disable_dynamic: bool = False,
) -> comfy.sd.CLIP:
    """ComfyUI's CLIP around ReCo text encoders.

    Takes its weights out of state_dict, whose keys are those of a single-file checkpoint.
    """
    prefixes = {encoder.prefix: f"{encoder.module}." for encoder in info.family.encoders}
    facts = facts_of(state_dict, info.metadata | reco_metadata(info), info.family)
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
    for encoder, part in clip.cond_stage_model.parts():
        text_model = part.transformer.text_model
        check_complete("text encoder", text_model, f"{encoder.module}.{TEXT_MODEL}", found)
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

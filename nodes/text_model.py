"""One text encoder as ComfyUI classes: CLIP's text model with longer token and position tables."""

from __future__ import annotations

from typing import Any

import comfy.ops
import torch
from comfy.clip_model import CLIPTextModel
from comfy.sd1_clip import SDClipModel

from ..reco_core.checkpoint_info import CheckpointInfo, EncoderInfo
from ..reco_core.family import TextEncoder
from ..reco_core.position_tokens import BOS_ID, CLIP_VOCABULARY_SIZE, EOS_ID
from .kept_states import KeptStates


def text_config(info: CheckpointInfo, encoder: TextEncoder, size: EncoderInfo) -> dict:
    """The Hugging Face style configuration of one of a checkpoint's text encoders."""
    return {
        "num_hidden_layers": size.layers,
        "hidden_size": size.width,
        "num_attention_heads": size.heads,
        "intermediate_size": size.intermediate,
        "hidden_act": encoder.activation,
        "max_position_embeddings": info.max_length,
        "vocab_size": CLIP_VOCABULARY_SIZE + info.num_bins,
        "eos_token_id": EOS_ID,
    }


class ReCoTextModel(CLIPTextModel):
    """CLIP's text model with a token table of `vocab_size` rows, which ComfyUI's own ignores, and
    attention that leaves out what the causal mask hides."""

    def __init__(self, config_dict: dict, dtype: torch.dtype, device: Any, operations: Any) -> None:
        super().__init__(config_dict, dtype, device, operations)
        rows, width = config_dict["vocab_size"], config_dict["hidden_size"]
        self.set_input_embeddings(operations.Embedding(rows, width, dtype=dtype, device=device))

    def forward(
        self,
        input_tokens: None,
        attention_mask: None,
        embeds: torch.Tensor,
        num_tokens: list[int],
        intermediate_output: int | None = None,
        final_layer_norm_intermediate: bool = True,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
        """Of embeds (B, N, C), with N up to its length: the last states, those after the layer
        intermediate_output, and pooled ones with and without the projection, as CLIPTextModel."""
        layers, norm = self.text_model.encoder.layers, self.text_model.final_layer_norm
        wanted = None if intermediate_output is None else range(len(layers))[intermediate_output]
        states, intermediate = self.placed(embeds), None
        for number, layer in enumerate(layers):
            states = layer(states, None, _causal_attention)
            if number == wanted:
                intermediate = states.clone()  # layers write into what they get
        states = norm(states)
        if intermediate is not None and final_layer_norm_intermediate:
            intermediate = norm(intermediate)
        pooled = states[range(len(states)), [number - 1 for number in num_tokens]]
        return states, intermediate, self.text_projection(pooled), pooled

    def placed(self, embeds: torch.Tensor) -> torch.Tensor:
        """Embeddings of tokens (B, N, C) with those of the first N places.

        The layer is asked, since where memory is short ComfyUI leaves patches of its weight to it.
        """
        places = torch.arange(embeds.shape[1], device=embeds.device)
        layer = self.text_model.embeddings.position_embedding
        return embeds + layer(places, out_dtype=embeds.dtype)


def _causal_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, _: None
) -> torch.Tensor:
    """Of (B, N, C) to (B, N, C), in the form in which CLIPLayer calls attention."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    attended = comfy.ops.scaled_dot_product_attention(q, k, v, is_causal=True)
    return attended.transpose(1, 2).flatten(2)


class ReCoTextEncoder(SDClipModel):
    """ComfyUI's runner around one text model: weights, embeddings, clip skip."""

    def __init__(
        self, info: CheckpointInfo, encoder: TextEncoder, size: EncoderInfo, **options: Any
    ) -> None:
        is_last = encoder.layer == -1
        super().__init__(
            max_length=info.max_length,
            textmodel_json_config=text_config(info, encoder, size),
            model_class=ReCoTextModel,
            layer="last" if is_last else "hidden",
            layer_idx=None if is_last else encoder.layer,
            layer_norm_hidden_state=encoder.final_norm,
            special_tokens={"start": BOS_ID, "end": EOS_ID, "pad": encoder.padding},
            return_projected_pooled=False,
            **options,
        )
        self.kept = KeptStates()

    def encode(self, tokens: list[list]) -> tuple[torch.Tensor, torch.Tensor]:
        """States (B, L, C) and pooled ones (B, P) of sequences of ids and vectors.

        The latest are kept: when a region changes, the negative stays, and so does the empty
        sequence, from which ComfyUI measures weights. They are known by their embeddings and by
        what two tokens become, to the bit: that takes all weights and options, whoever changed them
        and in which of ComfyUI's ways.
        """
        few = self([[BOS_ID, EOS_ID]])
        states, pooled = zip(*(self._read(row, few) for row in tokens), strict=True)
        return torch.cat(states), torch.cat(pooled)

    def _read(
        self, row: list, few: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        embeds = self.process_tokens([row], few[0].device)[0]
        return self.kept.get((*few, self.transformer.placed(embeds)), lambda: self([row]))

"""What a text encoder reads, and how long it takes beside transformers'."""

from __future__ import annotations

from functools import partial

import torch

from .node import Node, Output, shown
from .sampling import now

PREFIX = "text_model."


class CountPasses(Node):
    """CLIP in, CLIP out: the sequences that its text encoder reads are counted from here on."""

    RETURN_TYPES = ("CLIP", "PASSES")

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"clip": ("CLIP",)}}

    @classmethod
    def IS_CHANGED(cls, **_: object) -> str:
        return ""  # what comes after it may stay in ComfyUI's cache

    def run(self, clip) -> tuple:
        lengths: list[int] = []

        def count(module, inputs, options) -> None:
            lengths.extend([options["embeds"].shape[1]] * len(options["embeds"]))

        model = clip.cond_stage_model.clip_l.transformer
        model.register_forward_pre_hook(count, with_kwargs=True)
        return clip, lengths


class ShowPasses(Output):
    """The lengths of the sequences read since it ran last, once the conditioning is there."""

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"passes": ("PASSES",), "conditioning": ("CONDITIONING",)}}

    def run(self, passes: list[int], conditioning: list) -> dict:
        read = list(passes)
        passes.clear()
        return shown(read)


class TimeEncoding(Output):
    """Seconds in which texts are encoded, in turn with transformers' model of the same weights."""

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        texts = {name: ("STRING",) for name in ("plain", "weighted")}
        return {"required": {"clip": ("CLIP",), **texts, "rounds": ("INT", {"max": 99})}}

    def run(self, clip, plain: str, weighted: str, rounds: int) -> dict:
        ids = torch.tensor([[token for token, _ in clip.tokenize(plain)["l"][0]]])
        theirs = transformers_model(clip)
        ids = ids.to(next(theirs.parameters()).device)

        def here(text: str, number: int) -> torch.Tensor:
            text += " tree" * number  # new, as what was read is kept
            return clip.encode_from_tokens_scheduled(clip.tokenize(text))[0][0]

        ways = {
            "transformers": lambda number: theirs(ids).last_hidden_state,
            "plain": partial(here, plain),
            "weighted": partial(here, weighted),
        }
        states = {name: encode(0).cpu() for name, encode in ways.items()}  # and so warmed up
        taken = [
            {name: _taken(partial(encode, number)) for name, encode in ways.items()}
            for number in range(1, rounds + 1)
        ]
        apart = (states["plain"] - states["transformers"]).abs().max().item()
        return shown({"tokens": ids.shape[1], "apart": apart, "rounds": taken})


def _taken(encode) -> dict[str, float]:
    before = now()
    encode()
    after = now()
    return {name: after[name] - before[name] for name in after}


def transformers_model(clip):
    """CLIPTextModel in fp32 with a CLIP's weights."""
    from transformers import CLIPTextConfig, CLIPTextModel

    model, info = clip.cond_stage_model.clip_l.transformer.text_model, clip.tokenizer.info
    (size,) = info.encoders
    config = CLIPTextConfig(
        vocab_size=model.embeddings.token_embedding.num_embeddings,
        hidden_size=size.width,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=info.max_length,
        hidden_act="quick_gelu",
    )
    theirs = CLIPTextModel(config).eval()
    weights = {name: weight.float() for name, weight in model.state_dict().items()}
    if not any(name.startswith(PREFIX) for name in theirs.state_dict()):
        theirs.load_state_dict(weights)
    else:  # transformers < 5.6
        theirs.load_state_dict({PREFIX + name: weight for name, weight in weights.items()})
    return theirs.to(clip.patcher.load_device)

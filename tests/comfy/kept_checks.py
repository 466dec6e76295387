"""What tests ask of the states that a text encoder keeps; see inside.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import comfy.hooks
import comfy.sd
import torch
from comfy_extras.nodes_hooks import SetClipHooks
from inside_checks import checkpoints, encode

import nodes as comfyui_nodes

LAYER = "clip_l.transformer.text_model.encoder.layers.1"
TABLES = "clip_l.transformer.text_model.embeddings"
LORA = "lora_te_text_model_encoder_layers_1"
EOS = 49407  # which the empty sequence is padded with
WEIGHTED = "a red circle <0> <0> <9> <9> (red:2.0) square"


def passes(path: str) -> dict:
    """The sequences that the text encoder reads for a prompt, by their lengths."""
    clip = _fresh(path)
    read: list[list[int]] = []

    def count(module, inputs, options) -> None:
        read[-1].append(options["embeds"].shape[1])

    counted = clip.cond_stage_model.clip_l.transformer
    hook = counted.register_forward_pre_hook(count, with_kwargs=True)
    prompts = {
        "first": WEIGHTED,
        "weighted": WEIGHTED.replace("square", "circle"),
        "empty": "",
        "plain": "a red circle",
        "again": "a red circle",
        "first again": WEIGHTED,
    }
    for prompt in prompts.values():
        read.append([])
        encode(clip, prompt)
    hook.remove()
    return dict(zip(prompts, read, strict=True))


def after(path: str, change: str) -> dict:
    """Whether what is encoded after a change of the CLIP is, to the bit, what a CLIP encodes that
    was loaded anew; and how far it is from what it was before."""
    clip, anew = _fresh(path), CHANGES[change](_fresh(path))
    before = {prompt: encode(clip, prompt) for prompt in (WEIGHTED, "")}
    changed = CHANGES[change](clip)
    found = {prompt: encode(changed, prompt) for prompt in before}
    return {
        prompt: {
            "same": torch.equal(found[prompt], encode(anew, prompt)),
            "moved": (found[prompt] - before[prompt]).abs().max().item(),
        }
        for prompt in before
    }


def kept(path: str) -> int:
    """Encoded sequences that are kept after a LoRA of many strengths."""
    clip = _fresh(path)
    for strength in range(20):
        encode(_by_lora(clip, strength / 20), "")
    return len(clip.cond_stage_model.clip_l.kept)


def _fresh(path: str) -> comfy.sd.CLIP:
    return checkpoints.load_checkpoint(Path(path))[1]


def _lora(name: str, out: int, into: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        f"{LORA}_{name}.lora_up.weight": torch.randn(out, 1),
        f"{LORA}_{name}.lora_down.weight": torch.randn(1, into),
    }


def _by_lora(clip, strength: float = 1.0, name: str = "mlp_fc2", into: int = 256):
    return comfy.sd.load_lora_for_models(None, clip, _lora(name, 64, into), 0, strength)[1]


def _by_bypass(clip):
    return comfy.sd.load_bypass_lora_for_models(None, clip, _lora("mlp_fc2", 64, 256), 0, 1.0)[1]


def _by_hook(clip, scheduled: bool):
    hooks = comfy.hooks.create_hook_lora(_lora("mlp_fc2", 64, 256), 0.0, 1.0)
    return SetClipHooks().apply_hooks(clip, scheduled, False, hooks)[0]


def _by_row(clip, table: str, row: int):
    """A row of a table is set, as an adapter's are."""
    patched = clip.clone()
    patched.add_patches({(f"{TABLES}.{table}.weight", (0, row, 1)): ("set", (torch.ones(1, 64),))})
    return patched


def _in_place(clip):
    clip.cond_stage_model.get_parameter(f"{LAYER}.mlp.fc2.weight").data.mul_(1.5)
    return clip


def _with_skip(clip):
    return comfyui_nodes.CLIPSetLastLayer().set_last_layer(clip, -2)[0]


CHANGES: dict[str, Callable] = {
    "LoRA": _by_lora,
    "LoRA of a key projection": lambda clip: _by_lora(clip, name="self_attn_k_proj", into=64),
    "bypass LoRA": _by_bypass,
    "hook": lambda clip: _by_hook(clip, scheduled=False),
    "scheduled hook": lambda clip: _by_hook(clip, scheduled=True),
    "clip skip": _with_skip,
    "last place": lambda clip: _by_row(clip, "position_embedding", 307),
    "padding token": lambda clip: _by_row(clip, "token_embedding", EOS),
    "in place": _in_place,
}

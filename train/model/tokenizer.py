"""CLIP's tokenizer for training, from the vocabulary files that ComfyUI carries."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from transformers import CLIPTokenizer

from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from reco_core.prompt import normalize_text

ROOT = Path(__file__).resolve().parents[2]
HUB_COPY = "openai/clip-vit-large-patch14"
NOT_FOUND = (
    "CLIP's vocabulary was not found: set COMFYUI_PATH to a ComfyUI folder, or run once with "
    f"access to the hub ({HUB_COPY})"
)


@cache
def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer: from COMFYUI_PATH, the ComfyUI around or beneath the pack, or the hub.

    Raises:
        ValueError: none of these has the vocabulary.
    """
    folders = [ROOT.parents[1], ROOT / ".comfyui" / "ComfyUI"]
    if path := os.environ.get("COMFYUI_PATH"):
        folders.insert(0, Path(path))
    for folder in folders:
        vocabulary = folder / "comfy" / "sd1_tokenizer"
        if (vocabulary / "vocab.json").exists():
            return CLIPTokenizer.from_pretrained(vocabulary)
    try:
        tokenizer = CLIPTokenizer.from_pretrained(HUB_COPY)
    except OSError as error:
        raise ValueError(f"{NOT_FOUND}: {error}") from error
    if len(tokenizer) != CLIP_VOCABULARY_SIZE:  # without the hub it can come empty
        raise ValueError(f"{NOT_FOUND}: it gives {len(tokenizer)} words")
    return tokenizer


def plain_tokenize() -> Callable[[str], list[int]]:
    """For build_sequence: text -> ids with BOS and EOS, normalised as ReCo was trained."""
    tokenizer = clip_tokenizer()
    return lambda text: tokenizer(normalize_text(text))["input_ids"]

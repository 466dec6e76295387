"""CLIP's tokenizer for training, from the vocabulary files that ComfyUI carries."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from transformers import CLIPTokenizer

from reco_core.prompt import normalize_text

ROOT = Path(__file__).resolve().parent.parent
HUB_COPY = "openai/clip-vit-large-patch14"


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
        return CLIPTokenizer.from_pretrained(HUB_COPY)
    except OSError as error:
        raise ValueError(
            "CLIP's vocabulary was not found: set COMFYUI_PATH to a ComfyUI folder, "
            f"or run once with access to the hub ({HUB_COPY})."
        ) from error


def plain_tokenize() -> Callable[[str], list[int]]:
    """For build_sequence: text -> ids with BOS and EOS, normalised as ReCo was trained."""
    tokenizer = clip_tokenizer()
    return lambda text: tokenizer(normalize_text(text))["input_ids"]

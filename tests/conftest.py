"""Shared by all tests: where modules are, and CLIP's vocabulary as ComfyUI carries it."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time: chance is what `-m fuzz` is for.
settings.register_profile("reco", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("reco")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# At the end: at the front our `nodes/` would shadow ComfyUI's `nodes.py`.
sys.path += [str(ROOT), str(HERE)]


@pytest.fixture(scope="session")
def clip_tokenizer():
    """CLIP's own tokenizer, from COMFYUI_PATH or from the ComfyUI that dev.py unpacks."""
    from transformers import CLIPTokenizer

    comfyui = Path(os.environ.get("COMFYUI_PATH") or ROOT / ".comfyui" / "ComfyUI")
    vocabulary = comfyui / "comfy" / "sd1_tokenizer"
    assert vocabulary.is_dir(), f"no CLIP vocabulary at {vocabulary}: run `python dev.py test`"
    return CLIPTokenizer.from_pretrained(vocabulary)


@pytest.fixture(scope="session")
def tokenize(clip_tokenizer):
    """text -> plain ids with BOS and EOS, normalised as ReCo does."""
    from reco_core.prompt import normalize_text

    return lambda text: clip_tokenizer(normalize_text(text))["input_ids"]

"""ReCo, region-controlled text-to-image generation, without ComfyUI and without diffusers.

Yang et al., "ReCo: Region-Controlled Text-to-Image Generation", CVPR 2023, arXiv 2211.15518.
"""

from .arrange import (
    flip_layout,
    merge_layouts,
    region_numbers,
    reorder_regions,
    scale_boxes,
    scale_picture,
    select_regions,
    swap_left_right,
)
from .checkpoint import describe_checkpoint, extend_checkpoint
from .checkpoint_file import read_checkpoint, write_checkpoint
from .checkpoint_info import CheckpointInfo
from .coco import layout_from_coco
from .draw import draw_layout
from .forms import FORMS, Written, read_layout, write_layout
from .interop import (
    layout_from_boxes,
    layout_from_elements,
    layout_to_boxes,
    layout_to_elements,
)
from .keys import POSITION_EMBEDDING, TEXT_PREFIX, TOKEN_EMBEDDING, UNET_PREFIX, VAE_PREFIX
from .layout import Box, Layout, Region
from .position_rows import ordered_rows, random_rows
from .position_tokens import BOS_ID, DEFAULT_VOCABULARY, EOS_ID, PositionVocabulary
from .positional_words import in_words, positional_words
from .prompt import format_prompt, normalize_text, parse_prompt
from .remarks import Reading, Remark
from .sequence import TokenSequence, build_sequence, fit_layout
from .trainable import check_trainable

__all__ = [
    "BOS_ID",
    "DEFAULT_VOCABULARY",
    "EOS_ID",
    "FORMS",
    "POSITION_EMBEDDING",
    "TEXT_PREFIX",
    "TOKEN_EMBEDDING",
    "UNET_PREFIX",
    "VAE_PREFIX",
    "Box",
    "CheckpointInfo",
    "Layout",
    "PositionVocabulary",
    "Reading",
    "Region",
    "Remark",
    "TokenSequence",
    "Written",
    "build_sequence",
    "check_trainable",
    "describe_checkpoint",
    "draw_layout",
    "extend_checkpoint",
    "fit_layout",
    "flip_layout",
    "format_prompt",
    "in_words",
    "layout_from_boxes",
    "layout_from_coco",
    "layout_from_elements",
    "layout_to_boxes",
    "layout_to_elements",
    "merge_layouts",
    "normalize_text",
    "ordered_rows",
    "parse_prompt",
    "positional_words",
    "random_rows",
    "read_checkpoint",
    "read_layout",
    "region_numbers",
    "reorder_regions",
    "scale_boxes",
    "scale_picture",
    "select_regions",
    "swap_left_right",
    "write_checkpoint",
    "write_layout",
]

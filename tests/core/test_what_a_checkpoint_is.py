"""What makes a file ReCo, and what does not fit together, told by the weight or the metadata."""

import pytest
import torch
from random_checkpoint import (
    HEADS,
    POSITION_EMBEDDING,
    TEXT_PREFIX,
    TOKEN_EMBEDDING,
    Size,
    random_state_dict,
)

from reco_core.adapter import POSITION_ROWS, TOKEN_ROWS, describe_adapter
from reco_core.checkpoint import describe_checkpoint
from reco_core.facts import encoder_facts, facts_of, take_facts
from reco_core.family import SD1
from reco_core.keys import UNET_FACTS, UNET_PREFIX

CONV = f"{UNET_PREFIX}input_blocks.0.0.weight"
TO_Q = f"{UNET_PREFIX}middle_block.1.transformer_blocks.0.attn1.to_q.weight"
NORM = f"{TEXT_PREFIX}encoder.layers.1.layer_norm1.weight"
RECO = HEADS | {"format": "reco"}


@pytest.fixture(scope="module")
def reco() -> dict[str, torch.Tensor]:
    """Few sizes are as small as they can be."""
    return random_state_dict(Size(text_width=16, num_bins=1000, max_length=100))


def resized(state: dict, rows: int, length: int) -> dict:
    """With tables of other lengths that take no memory."""
    width = state[TOKEN_EMBEDDING].shape[1]
    tables = {TOKEN_EMBEDDING: torch.zeros(1, width).expand(rows, -1)}
    return state | tables | {POSITION_EMBEDDING: torch.zeros(1, width).expand(length, -1)}


@pytest.mark.parametrize(
    ("extra", "length", "metadata"),
    [
        (1000, 616, HEADS),
        (1000, 1232, HEADS),
        (64, 40, HEADS),
        (32, 308, HEADS),
        (3, 77, RECO),
        (1000, 77, RECO),
        (2, 20, RECO),
    ],
)
def test_a_file_is_reco_when_it_says_so_or_nothing_else_has_its_tables(
    reco, extra, length, metadata
):
    info = describe_checkpoint(resized(reco, 49408 + extra, length), metadata)
    assert (info.is_reco, info.num_bins, info.max_length) == (True, extra, length)


@pytest.mark.parametrize(
    ("extra", "length"), [(2, 77), (3, 77), (64, 77), (1000, 77), (3, 248), (20, 308), (31, 616)]
)
def test_added_words_are_no_position_tokens(reco, extra, length):
    message = f"token table has {extra} extra rows .* a checkpoint with added words"
    with pytest.raises(ValueError, match=message):
        describe_checkpoint(resized(reco, 49408 + extra, length), HEADS)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [("num_bins", "999", "1000"), ("num_bins", "64", "1000"), ("max_length", "616", "100")],
)
def test_tables_that_are_not_those_the_metadata_tell_of_are_refused(reco, key, value, found):
    with pytest.raises(ValueError, match=f"{key} = {value}, but the weights have {found}"):
        describe_checkpoint(reco, RECO | {key: value})


@pytest.mark.parametrize("key", ["unet_heads", "text_heads"])
def test_heads_that_nothing_tells_are_not_guessed(reco, key):
    metadata = {name: text for name, text in HEADS.items() if name != key}
    with pytest.raises(ValueError, match=rf"how many attention heads it has \({key}\).*--metadata"):
        describe_checkpoint(reco, metadata)


def test_stable_diffusion_1s_heads_are_known():
    from reco_core.checkpoint import standard_heads
    from reco_core.family import SD1

    sizes = {TOKEN_EMBEDDING: torch.zeros(1, 768), CONV: torch.zeros(320, 4, 3, 3)}
    assert standard_heads(sizes, SD1) == {"text_heads": "12", "unet_heads": "8"}
    wide = sizes | {TOKEN_EMBEDDING: torch.zeros(1, 1024)}
    assert standard_heads(wide, SD1) == {"unet_heads": "8"}


BAD_METADATA = {
    "heads that are no number": ({"text_heads": "many"}, "text_heads = 'many' is not a positive"),
    "no heads": ({"unet_heads": "0"}, "unet_heads = '0' is not a positive"),
    "heads below nothing": ({"unet_heads": "-8"}, "unet_heads = '-8' is not"),
    "half heads": ({"unet_heads": "7.5"}, "unet_heads = '7.5' is not"),
    "heads of 5000 digits": ({"unet_heads": "9" * 5000}, "unet_heads = '999.*is not a positive"),
    "heads that do not divide": ({"unet_heads": "5"}, "unet_heads = 5 does not divide the 32"),
    "text heads that do not": ({"text_heads": "3"}, "text_heads = 3 does not divide the 16"),
    "more heads than channels": ({"text_heads": "64"}, "text_heads = 64 does not divide"),
    "heads as a number": ({"text_heads": 2}, "text_heads = 2 is not text"),
    "words in deep lists": ({"words": "[" * 100_000}, "words = .* is not a JSON list"),
    "words in deep objects": ({"words": '{"a":' * 50_000}, "words = .* is not a JSON list"),
    "words that are numbers": ({"words": "[1, 2]"}, "words = '.1, 2.' is not a JSON list"),
    "words that are text": ({"words": "red circle"}, "words = 'red circle' is not"),
    "a word of digits": ({"words": "[" + "1" * 5000 + "]"}, "words = .* is not a JSON list"),
    "words as a list": ({"words": ["red"]}, r"words = \['red'\] is not text"),
    "a size that is none": ({"image_size": "large"}, "image_size = 'large' is not a multiple of 8"),
    "a size between": ({"image_size": "100"}, "image_size = '100' is not a multiple of 8"),
    "no size": ({"image_size": "0"}, "image_size = '0'"),
    "a size beyond all": ({"image_size": "800000"}, "from 8 to 16384"),
    "buckets of one side": ({"buckets": "[[512]]"}, "buckets = .* is not a JSON list"),
    "buckets of fractions": ({"buckets": "[[512.5, 384]]"}, "buckets = .* is not"),
    "buckets that are words": ({"buckets": '"wide"'}, "buckets = .* is not"),
    "bins that are no number": ({"num_bins": "many"}, "num_bins = 'many' is not a positive"),
}


@pytest.mark.parametrize("kind", BAD_METADATA)
def test_metadata_that_cannot_be_are_named_and_quoted_short(reco, kind):
    changed, cause = BAD_METADATA[kind]
    with pytest.raises(ValueError, match=cause) as error:
        describe_checkpoint(reco, RECO | changed)
    assert len(str(error.value)) < 400


WRONG = {
    "a table of one dimension": {TOKEN_EMBEDDING: torch.zeros(50408)},
    "a table without width": {TOKEN_EMBEDDING: torch.zeros(50408, 0)},
    "a table of numbers": {TOKEN_EMBEDDING: torch.zeros(50408, 16, dtype=torch.int64)},
    "positions of three": {POSITION_EMBEDDING: torch.zeros(100, 16, 1)},
    "no positions": {POSITION_EMBEDDING: torch.zeros(0, 16)},
    "positions of another width": {POSITION_EMBEDDING: torch.zeros(100, 8)},
    "a convolution of two": {CONV: torch.zeros(32, 36)},
    "a single number": {CONV: torch.tensor(1.0)},
    "attention that is true or false": {TO_Q: torch.zeros(64, 64, dtype=torch.bool)},
    "attention of another width": {TO_Q: torch.zeros(64, 32)},
    "attention transposed and flat": {TO_Q: torch.zeros(4096)},
    "a norm that is too long": {NORM: torch.ones(17)},
    "complex numbers": {NORM: torch.ones(16, dtype=torch.complex64)},
    "attention of one dimension that is more": {
        f"{UNET_PREFIX}more.attn1.to_q.weight": torch.tensor(1.0)
    },
    "keys of one dimension": {TO_Q.replace("attn1.to_q", "attn2.to_k"): torch.zeros(64)},
    "no tensor": {NORM: "ones"},
    "a list": {CONV: [1.0]},
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_weight_of_the_wrong_rank_shape_or_type_is_named(reco, kind):
    (key,) = WRONG[kind]
    with pytest.raises(ValueError, match=f"'{key}'|UNet attends to texts"):
        describe_checkpoint(reco | WRONG[kind], RECO)


@pytest.mark.parametrize(
    "part",
    [
        f"{UNET_PREFIX}out.",
        f"{UNET_PREFIX}middle_block.",
        f"{UNET_PREFIX}time_embed.2.weight",
        f"{UNET_PREFIX}output_blocks.1.2.conv.weight",
        f"{UNET_PREFIX}output_blocks.3.1.",
        f"{UNET_PREFIX}input_blocks.0.0.weight",
        f"{TEXT_PREFIX}encoder.layers.0.mlp.fc1.weight",
        f"{TEXT_PREFIX}encoder.layers.1.self_attn.v_proj.bias",
        f"{TEXT_PREFIX}final_layer_norm.",
    ],
)
def test_a_checkpoint_that_lacks_a_weight_is_incomplete(reco, part):
    some = {key: tensor for key, tensor in reco.items() if not key.startswith(part)}
    assert len(some) < len(reco)
    name = "UNet" if part.startswith(UNET_PREFIX) else "text encoder"
    with pytest.raises(ValueError, match=f"incomplete: its {name} lacks .*'{part}"):
        describe_checkpoint(some, RECO)


ROWS = {TOKEN_ROWS: torch.zeros(1000, 16), POSITION_ROWS: torch.zeros(231, 16)}
ADAPTER = {"format": "reco-adapter", "base": "sd1.safetensors", **HEADS}
BAD_ADAPTERS = {
    "rows of one dimension": ({TOKEN_ROWS: torch.zeros(1000)}, {}, "token rows have shape"),
    "rows of numbers": ({TOKEN_ROWS: torch.zeros(1000, 16, dtype=torch.int64)}, {}, "int64"),
    "no rows": ({TOKEN_ROWS: torch.zeros(0, 16)}, {}, "at least 2 position tokens"),
    "one row": ({TOKEN_ROWS: torch.zeros(1, 16)}, {}, "at least 2 position tokens"),
    "rows without width": ({TOKEN_ROWS: torch.zeros(9, 0)}, {}, "shape"),
    "a base that is no text": ({}, {"base": 7}, "base = 7 is not text"),
    "a base of bins that is none": ({}, {"base_num_bins": "x"}, "base_num_bins = 'x' is not"),
    "heads that are none": ({}, {"unet_heads": "x"}, "unet_heads = 'x' is not"),
    "words in deep lists": ({}, {"words": "[" * 100_000}, "words = .* is not a JSON list"),
    "a LoRA of one dimension": (
        {"lora_te_x.lora_down.weight": torch.zeros(4), "lora_te_x.lora_up.weight": torch.zeros(4)},
        {},
        "'lora_te_x' is incomplete",
    ),
    "a LoRA whose alpha is a matrix": (
        {
            "lora_te_x.lora_down.weight": torch.zeros(4, 16),
            "lora_te_x.lora_up.weight": torch.zeros(16, 4),
            "lora_te_x.alpha": torch.zeros(2, 2),
        },
        {},
        r"'lora_te_x': its alpha of shape \(2, 2\)",
    ),
    "a LoRA of a single number": (
        {
            "lora_te_x.lora_down.weight": torch.tensor(1.0),
            "lora_te_x.lora_up.weight": torch.tensor(1.0),
        },
        {},
        "'lora_te_x' is incomplete",
    ),
    "a LoRA of no rank": (
        {
            "lora_te_x.lora_down.weight": torch.zeros(0, 16),
            "lora_te_x.lora_up.weight": torch.zeros(16, 0),
        },
        {},
        "'lora_te_x' is incomplete",
    ),
    "a LoRA of numbers": (
        {
            "lora_te_x.lora_down.weight": torch.zeros(4, 16, dtype=torch.int32),
            "lora_te_x.lora_up.weight": torch.zeros(16, 4),
        },
        {},
        "'lora_te_x' .*int32",
    ),
}


@pytest.mark.parametrize("kind", BAD_ADAPTERS)
def test_an_adapter_that_cannot_be_is_told_by_its_part(kind):
    from reco_core.lora import lora_matrices

    tensors, metadata, cause = BAD_ADAPTERS[kind]
    with pytest.raises(ValueError, match=cause):
        describe_adapter(ROWS | tensors, ADAPTER | metadata)
        lora_matrices(ROWS | tensors)


NAMED = {"base": "sd-v1-4.ckpt", "base_sha256": "ab" * 32, "base_bytes": "4265380512"}
OTHERWISE = {**NAMED, "base_sha256": "cd" * 32}


@pytest.mark.parametrize(
    ("unet", "text", "found"),
    [
        (NAMED, NAMED, NAMED),
        (NAMED, OTHERWISE, {}),
        (NAMED, {}, {}),
        ({}, NAMED, {}),
        (None, NAMED, NAMED),
        (NAMED, None, NAMED),
        ({}, {}, {}),
    ],
)
def test_the_plain_base_travels_in_the_weights_of_which_both_halves_tell(reco, unet, text, found):
    """None: a half that tells nothing of itself, as those of other programs."""
    saved = dict(reco)
    for key, named in ((UNET_FACTS, unet), (encoder_facts(SD1.encoders[0]), text)):
        if named is not None:
            saved[key] = facts_of(reco, RECO | named, SD1).tensor()
    _, metadata = take_facts(saved)
    assert {key: metadata[key] for key in NAMED if key in metadata} == found

"""The text encoder inside ComfyUI: tokens, text states, LoRA, clip skip, weights, offloading."""

import json
from pathlib import Path

import pytest
import torch
from random_checkpoint import HEADS, Size, random_state_dict

from reco_core.checkpoint_file import write_checkpoint
from reco_core.layout import Box, Layout, Region
from reco_core.position_tokens import PositionVocabulary

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "tokens.json").read_text("utf-8"))
BOS, EOS = 49406, 49407
LENGTH = 308


@pytest.fixture(scope="module")
def tokens(inside, tiny):
    return lambda text, **options: inside("tokens", path=str(tiny), text=text, **options)


def words(ids: list[int]) -> list[int]:
    """The sequence without its padding but for one EOS."""
    used = next(i for i in range(len(ids), 0, -1) if ids[i - 1] != EOS)
    return ids[: used + 1]


def test_a_plain_caption_is_one_chunk_of_the_checkpoints_length(tokens):
    caption = tokens("a red circle")["ids"]
    assert len(caption) == LENGTH
    assert words(caption) == [BOS, 320, 736, 7117, EOS]


def test_the_empty_prompt_is_bos_and_padding(tokens):
    assert tokens("")["ids"] == [BOS] + [EOS] * (LENGTH - 1)


def test_a_layout_and_its_prompt_give_the_same_tokens(inside, tiny, tokens):
    box = Box(0.546, 0.621, 0.885, 0.861)
    layout = Layout("a red circle", (Region("Brown-Horse", box),))
    prompt = "a red circle <546> <621> <885> <861> Brown-Horse"
    ids = inside("layout_tokens", path=str(tiny), layout=layout.to_json())["ids"]
    assert ids == tokens(prompt)["ids"]
    start = words(ids).index(EOS) + 1
    assert tuple(ids[start : start + 4]) == PositionVocabulary().encode(box)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["prompt"][:30])
def test_the_authors_prompts_give_the_authors_tokens(tokens, case):
    assert words(tokens(case["prompt"])["ids"]) == case["ids"]


def test_weights_work_inside_region_texts(tokens):
    plain = tokens("a <100> <200> <300> <400> brown horse")
    weighted = tokens("a <100> <200> <300> <400> (brown horse:1.3)")
    assert weighted["ids"] == plain["ids"]
    assert [w for w in weighted["weights"] if w != 1.0] == [1.3, 1.3]


def test_a_negative_weight_keeps_its_sign(tokens):
    assert -0.5 in tokens("(x:-0.5)")["weights"]


def test_a_regions_weight_is_on_its_position_tokens_too(inside, tiny):
    layout = Layout("a", (Region("red (circle:1.2)", Box(0, 0, 1, 1), weight=0.5),))
    weights = inside("layout_tokens", path=str(tiny), layout=layout.to_json())["weights"]
    assert weights[:12] == [1, 1, 1] + [0.5] * 6 + [0.6, 0.5, 1]


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("embeddings")
    (folder / "sub").mkdir()
    for name in ("My-Style", "sub/name"):
        torch.save({"string_to_param": {"*": torch.randn(2, 64)}}, folder / f"{name}.pt")
    return str(folder)


@pytest.mark.parametrize("name", ["My-Style", "sub/name"])
def test_embedding_names_keep_case_and_signs(tokens, embeddings, name):
    ids = tokens(f"a <0> <0> <9> <9> red embedding:{name} Circle", embeddings=embeddings)["ids"]
    region = words(ids)[words(ids).index(EOS) + 5 :]
    assert region == [BOS, 736, -1, -1, 7117, EOS]


def test_plain_words_beside_weights_are_normalised(tokens):
    written = tokens("#A Red-Circle (BLUE/Square:1.2)")
    assert written == tokens("a red circle (blue square:1.2)")


def test_word_ids_number_caption_and_regions(inside, tiny):
    items = inside("word_ids", path=str(tiny), text="a <0> <0> <9> <9> red circle")
    assert [item[2] for item in items[:11]] == [0, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0]


def test_a_prompt_too_long_for_the_stock_node_is_cut_at_a_whole_region_with_a_warning(inside, tiny):
    text = "a crowd" + " <100> <100> <200> <200> red circle" * 60
    result = inside("logged_while_tokenizing", path=str(tiny), text=text)
    assert len(result["ids"]) == LENGTH
    assert result["ids"][4 + 38 * 8 - 1] == EOS
    assert "left out: region 39 (red circle), region 40" in result["messages"][-1]


def test_a_caption_too_long_is_cut_with_a_warning(inside, tiny):
    result = inside("logged_while_tokenizing", path=str(tiny), text="red " * 400)
    assert len(result["ids"]) == LENGTH
    assert "the caption needs 402 tokens" in result["messages"][-1]


def test_words_the_checkpoint_does_not_know_are_reported(inside, tiny):
    layout = Layout("a red circle and a cat", (Region("(Blue-Square:1.2) dog", Box(0, 0, 1, 1)),))
    report = inside("report", path=str(tiny), layout=layout.to_json())["report"]
    assert "this checkpoint was not trained on: cat, dog." in report


def test_the_report_spells_the_sequence(inside, tiny):
    layout = Layout("A red circle", (Region("red circle", Box(0.5, 0.25, 1, 1)),), 128, 64)
    report = inside("report", path=str(tiny), layout=layout.to_json())["report"]
    assert report.splitlines() == [
        "13 of 308 tokens used, 1 region",
        "caption: 5 tokens: A red circle",
        "region 1: 8 tokens: (64, 16) to (128, 64): red circle",
        "sequence: [BOS] a red circle [EOS] <bin500> <bin250> <bin999> <bin999> "
        "[BOS] red circle [EOS]",
    ]


def test_another_models_clip_is_refused(inside):
    assert "connect the clip output of ReCo Load Checkpoint" in inside("stock_clip_error")


def test_loras_apply_to_unet_and_text_encoder_and_leave_the_loaded_clip_alone(inside, tiny):
    effect = inside("lora_effect", path=str(tiny), prompt="a <0> <0> <9> <9> red circle")
    assert (effect["unet_patches"], effect["clip_patches"]) == (1, 1)
    assert effect["moved"] > 0.01
    assert effect["left_behind"] == 0
    assert effect["length"] == LENGTH


def test_clip_skip_works(inside, tiny):
    effect = inside("clip_skip_effect", path=str(tiny), prompt="a <0> <0> <9> <9> red circle")
    assert effect["last"] == 0
    assert effect["earlier"] > 0.01
    assert effect["length"] == LENGTH


def test_weights_move_only_the_states_of_weighted_words(inside, tiny):
    moved = inside("weight_effect", path=str(tiny), plain="red circle", weighted="(red:1.5) circle")
    assert moved[1] > 0.001
    assert max(moved[:1] + moved[2:]) < 1e-6


def test_a_prompts_tokens_can_be_spelled_back(inside, tiny):
    spelled = inside("untokenized", path=str(tiny), text="red <0> <0> <1000> <1000> circle")
    assert spelled[1:7] == [
        "red</w>",
        "<|endoftext|>",
        "<bin000>",
        "<bin000>",
        "<bin999>",
        "<bin999>",
    ]


def test_patchers_can_be_rebuilt_from_the_file(inside, tiny):
    assert inside("rebuilt_equal", path=str(tiny)) == {"model": True, "clip": True, "vae": True}


@pytest.fixture(scope="module")
def start(inside) -> dict:
    return inside("start_up")


def test_the_pack_costs_less_than_50_ms_at_a_start(start):
    assert start["seconds"] < 0.05


def test_a_start_imports_of_reco_core_what_the_schemas_name_and_no_more(start):
    assert {name for name in start["imported"] if name.startswith("reco_core.")} == {
        "reco_core.forms",
        "reco_core.forms.labels",
        "reco_core.limits",
    }


@pytest.mark.parametrize("regions", [1, 8, 20])
def test_a_step_is_one_unet_call_of_two_rows_for_any_number_of_regions(inside, tiny, regions):
    box = Box(0.1, 0.2, 0.3, 0.4)
    layout = Layout("a crowd", (Region("red circle", box),) * regions, 128, 64)
    work = inside("unet_work", path=str(tiny), layout=layout.to_json(), steps=3)
    assert work["calls"] == [[2, 4, 8, 16]] * 3
    assert work["lengths"] == [LENGTH, LENGTH]
    assert work["finite"]


def test_a_kl_autoencoder_of_another_width_loads(inside, tmp_path):
    path = tmp_path / "kl.safetensors"
    write_checkpoint(path, random_state_dict(Size(vae="kl", vae_channels=32)), HEADS)
    assert inside("vae_round_trip", path=str(path)) == [1, 64, 64, 3]


def test_another_number_of_bins_and_length_are_read_off_the_weights(inside, tmp_path):
    path = tmp_path / "small.safetensors"
    write_checkpoint(path, random_state_dict(Size(num_bins=64, max_length=40)), HEADS)
    ids = inside("tokens", path=str(path), text="a <0> <500> <1000> <1000> b")["ids"]
    assert len(ids) == 40
    assert ids[3:7] == [49408, 49408 + 32, 49408 + 63, 49408 + 63]


def test_text_states_of_a_full_size_encoder_agree_with_transformers(inside, tmp_path):
    """ViT-L's text encoder, 616 tokens, through the real loader, in fp32."""
    path = tmp_path / "full-text.safetensors"
    size = Size(text_width=768, text_layers=12, max_length=616)
    write_checkpoint(path, random_state_dict(size), {"unet_heads": "8"})
    prompt = "a horse on grass <546> <621> <885> <861> brown horse <0> <0> <999> <500> blue sky"
    compared = inside("text_states_difference", path=str(path), prompt=prompt)
    assert compared["shape"] == [1, 616, 768]
    assert compared["dtype"] == "torch.float32"
    assert compared["scale"] > 0.1
    assert compared["difference"] < 1e-5

"""ReCo adapters on MODEL and CLIP of any loader: the pictures of the merged checkpoint, originals
that stay as they are, other adapters and LoRAs beside them, and clear refusals."""

import json
from pathlib import Path

import pytest
import torch
from adapters import adapter_tensors, write_adapter
from random_checkpoint import Size, random_state_dict
from safetensors.torch import load_file, save_file

from reco_core.adapter import (
    POSITION_ROWS,
    TOKEN_ROWS,
    merge_adapter,
    merged_metadata,
    read_adapter,
)
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from reco_core.named_base import named_base, without_base
from train.checkpoints.convert import convert
from train.checkpoints.merge import merge_adapter_file

PLAIN = Size(max_length=77, num_bins=0)
HEADS = {"unet_heads": "8", "text_heads": "2"}  # ComfyUI's own UNet of Stable Diffusion 1 has 8
FLOAT = 1e-4  # relative, from the order of additions in float32


@pytest.fixture(scope="module")
def at(tmp_path_factory) -> dict[str, str]:
    """Files by name: plain bases, adapters, ReCo checkpoints, a LoRA."""
    folder = tmp_path_factory.mktemp("adapters")
    weights = random_state_dict(PLAIN, torch.float32)
    for name, dtype in (("plain", torch.float32), ("half", torch.float16)):
        cast = {key: weight.to(dtype) for key, weight in weights.items()}
        write_checkpoint(folder / f"{name}.safetensors", cast, HEADS)
    write_checkpoint(
        folder / "other.safetensors", random_state_dict(PLAIN, torch.float32, 1), HEADS
    )
    words = {**HEADS, "words": json.dumps(["a", "dog", "cat", "tree"]), "image_size": "64"}
    for name, seed in (("first", 5), ("second", 6)):
        tensors = adapter_tensors(weights, seed)
        write_adapter(folder / f"{name}.safetensors", tensors, base=f"{name}-base", **words)
    first = load_file(folder / "first.safetensors")
    alike = {
        key: first[key] + 0.002 * torch.randn_like(first[key])
        for key in (TOKEN_ROWS, POSITION_ROWS)
    }
    write_adapter(folder / "alike.safetensors", {**first, **alike}, **words)
    longer = adapter_tensors(weights, 7, bins=500)
    write_adapter(folder / "fewer.safetensors", longer, **words)
    wide = random_state_dict(Size(max_length=77, num_bins=0, text_width=128))
    write_adapter(folder / "wide.safetensors", adapter_tensors(wide, width=128), **HEADS)
    deep = random_state_dict(Size(max_length=77, num_bins=0, text_layers=3))
    write_adapter(folder / "deep.safetensors", adapter_tensors(deep), **HEADS)
    write_adapter(folder / "heads.safetensors", first, unet_heads="4", text_heads="2")
    write_checkpoint(folder / "reco.safetensors", random_state_dict(Size(), torch.float32), HEADS)
    for name, seed in (("on-reco", 8), ("on-reco-too", 9)):
        tensors = adapter_tensors(weights, seed)
        write_adapter(folder / f"{name}.safetensors", tensors, base_num_bins="1000", **words)
    lora = {key: matrix for key, matrix in adapter_tensors(weights, 9).items() if "lora" in key}
    save_file(lora, folder / "lora.safetensors")
    paths = {path.stem: str(path) for path in folder.iterdir()}
    for name, base, adapter, strength in (
        ("merged", "plain", "first", 1.0),
        ("merged-half", "half", "first", 1.0),
        ("merged-less", "plain", "first", 0.4),
        ("merged-back", "plain", "first", -0.7),
        ("merged-reco", "reco", "on-reco", 1.0),
    ):
        base, metadata = read_checkpoint(Path(paths[base]))
        adapter = read_adapter(paths[adapter])
        made = merge_adapter(base, adapter, strength)
        write_checkpoint(
            folder / f"{name}.safetensors", made, merged_metadata(metadata, adapter.info)
        )
        paths[name] = str(folder / f"{name}.safetensors")
    return paths


SAME = {
    "strength 1": ("plain", "first", 1.0, "merged"),
    "strength 0.4": ("plain", "first", 0.4, "merged-less"),
    "a negative strength": ("plain", "first", -0.7, "merged-back"),
    "a base in fp16": ("half", "first", 1.0, "merged-half"),
}


@pytest.mark.parametrize("case", SAME)
def test_latents_are_those_of_the_merged_checkpoint(inside, at, case):
    base, adapter, strength, merged = SAME[case]
    recipes = {
        "merged": [["reco", at[merged]]],
        "applied": [["stock", at[base]], ["apply", at[adapter], strength, strength]],
        "off": [["stock", at[base]], ["apply", at[adapter], 0.0, 0.0]],
    }
    apart = inside("adapter_checks.differences", recipes=recipes, first="merged")
    rounding = 0.01 if base == "half" else FLOAT
    assert apart["off"][0] > 0.3 and apart["off"][1] > 0.3
    assert apart["applied"][0] < rounding and apart["applied"][1] < rounding


def test_any_loader_may_stand_before_it(inside, at):
    applied = ["apply", at["on-reco"], 1.0, 1.0]
    apart = inside(
        "adapter_checks.differences",
        recipes={
            "merged": [["reco", at["merged-reco"]]],
            "a ReCo checkpoint's": [["reco", at["reco"]], applied],
            "without": [["reco", at["reco"]]],
        },
        first="merged",
    )
    assert apart["without"][0] > 0.3
    assert apart["a ReCo checkpoint's"][0] < FLOAT


def test_the_original_and_other_clones_encode_as_before(inside, at):
    found = inside(
        "adapter_checks.left_behind", path=at["plain"], adapter=at["first"], lora=at["lora"]
    )
    assert found == {
        "changed": [],
        "distinct": 5,
        "lengths": [77, 308],
        "tables": {"token": [49408, 64], "position": [77, 64]},
    }


def test_a_text_encoder_that_is_loaded_in_parts_encodes_the_same(inside, at):
    found = inside("adapter_checks.short_of_memory", path=at["plain"], adapter=at["first"])
    assert [lowvram for _, lowvram in list(found.values())[:1]] == [True]
    assert found["whole"][1] is False and found["in parts again"][1] is True
    for state in ("in parts", "whole", "in parts again"):
        assert found[state][0] < FLOAT
    assert found["saved rows"] == [308, 308]
    assert found["unloaded"] == [49408, 77]


def test_dynamic_vram_encodes_and_saves_the_same(inside, at):
    found = inside("adapter_checks.dynamic", path=at["plain"], adapter=at["first"])
    assert max(*found["reco"], *found["stock"], *found["saved"]) < FLOAT


def test_loras_before_and_after_are_added(inside, at):
    adapter, lora = ["apply", at["first"], 0.8, 0.6], ["lora", at["lora"], 0.5]
    base = ["stock", at["plain"]]
    apart = inside(
        "adapter_checks.differences",
        recipes={
            "after": [base, adapter, lora],
            "before": [base, lora, adapter],
            "twice": [base, lora, adapter, lora],
            "without": [base, adapter],
        },
        first="after",
    )
    assert apart["before"][0] < FLOAT
    assert apart["twice"][0] > 0.1 and apart["without"][0] > 0.1


def test_two_adapters_add_up_in_either_order(inside, at):
    first, second = ["apply", at["first"], 0.5, 0.6], ["apply", at["second"], 0.7, 0.4]
    base = ["stock", at["plain"]]
    apart = inside(
        "adapter_checks.differences",
        recipes={
            "both": [base, first, second],
            "in the other order": [base, second, first],
            "the first by the loader": [["adapted", at["plain"], at["first"], 0.5, 0.6], second],
            "the first alone": [base, first],
            "the second alone": [base, second],
        },
        first="both",
    )
    assert apart["in the other order"][0] < FLOAT
    assert apart["the first alone"][0] > 0.1 and apart["the second alone"][0] > 0.1


def test_rows_of_two_adapters_are_their_mean_by_strength(inside, at, tmp_path):
    first, second = load_file(at["first"]), load_file(at["second"])
    rows = {key: 0.75 * first[key] + 0.25 * second[key] for key in (TOKEN_ROWS, POSITION_ROWS)}
    mean = write_adapter(tmp_path / "mean.safetensors", {**first, **rows}, **HEADS)
    base, without = ["stock", at["plain"]], 0.0
    apart = inside(
        "adapter_checks.differences",
        recipes={
            "by hand": [base, ["apply", str(mean), without, 0.6], ["lora", at["second"], 0.2]],
            "mean": [base, ["apply", at["first"], without, 0.6], ["apply", at["second"], 0.2, 0.2]],
        },
        first="by hand",
    )
    assert apart["mean"][0] < FLOAT


@pytest.mark.parametrize("first, second", [("first", "second"), ("on-reco", "on-reco-too")])
def test_an_adapter_at_strength_0_changes_nothing_beside_another(inside, at, first, second):
    base = ["reco", at["reco"]] if "reco" in first else ["stock", at["plain"]]
    on, off = ["apply", at[first], 1.0, 1.0], ["apply", at[second], 0.0, 0.0]
    apart = inside(
        "adapter_checks.differences",
        recipes={"alone": [base, on], "beside": [base, on, off], "behind": [base, off, on]},
        first="alone",
    )
    assert apart["beside"] == [0, 0] and apart["behind"] == [0, 0]


REFUSED = {
    "another width": (["apply", "wide"], "128 wide and this checkpoint's is 64 wide"),
    "other layers": (
        ["apply", "deep"],
        "layers_2_self_attn_k_proj', which this checkpoint does not",
    ),
    "other heads": (["apply", "heads"], "unet_heads = 4 and these models have 8"),
    "fewer position tokens": (
        ["apply", "first"],
        ["apply", "fewer"],
        "500 position tokens and 308",
    ),
    "a LoRA": (["apply", "lora"], "a LoRA without position tokens"),
    "a checkpoint": (["apply", "plain"], "a whole checkpoint"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused(inside, at, case):
    *steps, cause = REFUSED[case]
    steps = [[kind, at[name], 1.0, 1.0] for kind, name in steps]
    refused = inside("adapter_checks.refused", recipe=[["stock", at["plain"]], *steps])
    assert cause in refused and Path(steps[-1][1]).name in refused


KINDS = {
    "SDXL": "model is of SDXL",
    "SD20": "model is of Stable Diffusion 2.x",
    "inpainting": "model is a UNet of Stable Diffusion 1.x with 9 input channels",
    "v": "model predicts v",
    "CLIP SDXL": "clip is of SDXL",
    "CLIP SD2": "clip is of Stable Diffusion 2.x",
    "CLIP another": "clip is of another kind, SomeTEModel",
}


@pytest.mark.parametrize("case", KINDS)
def test_another_base_family_is_refused_by_name(inside, at, case):
    refused = inside(
        "adapter_checks.refused_kind", plain=at["plain"], case=case, adapter=at["first"]
    )
    assert refused.startswith(f"'first.safetensors': {KINDS[case]}") and "connect" in refused


def test_an_adapter_of_a_plain_base_is_refused_on_a_reco_checkpoint(inside, at):
    recipe = [["reco", at["reco"]], ["apply", at["first"], 1.0, 1.0]]
    refused = inside("adapter_checks.refused", recipe=recipe)
    assert "position tokens already" in refused and "'first-base'" in refused


MERGES = {
    "a plain merge before": (
        [["merge", [["stock", "other"]], 0.5], ["apply", "first", 1.0, 1.0]],
        "",
    ),
    "two with adapters": (
        [
            ["apply", "first", 1.0, 1.0],
            ["merge", [["stock", "other"], ["apply", "second", 1.0, 1.0]], 0.5],
        ],
        "",
    ),
    "with a ReCo checkpoint": (
        [["apply", "first", 1.0, 1.0], ["merge", [["reco", "reco"]], 0.3]],
        "",
    ),
    "with a plain one": (
        [["apply", "first", 1.0, 1.0], ["merge", [["stock", "other"]], 0.5]],
        "49408 x 64 instead of 50408 x 64",
    ),
    "an adapter after the merge": (
        [
            ["apply", "first", 1.0, 1.0],
            ["merge", [["stock", "other"], ["apply", "second", 1.0, 1.0]], 0.5],
            ["apply", "second", 1.0, 1.0],
        ],
        "'second.safetensors': this CLIP is a merge",
    ),
    "with fewer tokens": (
        [
            ["apply", "first", 1.0, 1.0],
            ["merge", [["stock", "other"], ["apply", "fewer", 1.0, 1.0]], 0.5],
        ],
        "49908 x 64 instead of 50408 x 64",
    ),
}


def placed(recipe: list, at: dict[str, str]) -> list:
    """A recipe with paths in place of the names of files."""
    return [
        [kind, *(placed(x, at) if isinstance(x, list) else at.get(x, x) for x in given)]
        for kind, *given in recipe
    ]


@pytest.mark.parametrize("case", MERGES)
def test_merges_with_other_clips_are_right_or_refused(inside, at, case):
    steps, cause = MERGES[case]
    recipe = placed([["stock", "plain"], *steps], at)
    refused = inside("adapter_checks.refused", recipe=recipe)
    assert refused == "" if not cause else cause in refused


def test_a_merge_of_two_with_adapters_is_the_mean_of_both(inside, at):
    first, other = ["apply", at["first"], 1.0, 1.0], ["apply", at["second"], 1.0, 1.0]
    merged = inside(
        "adapter_checks.differences",
        recipes={
            "one": [["stock", at["plain"]], first, ["merge", [["stock", at["other"]], other], 0.3]],
            "two": [["stock", at["other"]], other, ["merge", [["stock", at["plain"]], first], 0.7]],
        },
        first="one",
    )
    assert merged["two"][0] < FLOAT


def test_the_node_says_what_the_adapter_was_trained_on(inside, at):
    base, first = ["stock", at["plain"]], ["apply", at["first"], 1.0, 1.0]
    told = inside("adapter_checks.told", recipe=[base, first])
    assert told == ["The adapter was trained on 'first-base'."]
    told = inside("adapter_checks.told", recipe=[base, first, ["apply", at["alike"], 1.0, 1.0]])
    assert told == ["The adapter does not say which checkpoint it was trained on."]
    _, remark = inside(
        "adapter_checks.told", recipe=[base, first, ["apply", at["second"], 1.0, 1.0]]
    )
    assert "trained on 'second-base', and of the one before it, trained on 'first-base'," in remark


SAVED = {
    "an adapter": [["stock", "plain"], ["apply", "first", 1.0, 1.0]],
    "two adapters and a LoRA": [
        ["stock", "plain"],
        ["apply", "first", 0.5, 0.6],
        ["lora", "lora", 0.5],
        ["apply", "alike", 0.7, 0.4],
    ],
    "on a ReCo checkpoint": [["reco", "reco"], ["apply", "on-reco", 1.0, 1.0]],
}


@pytest.mark.parametrize("case", SAVED)
def test_what_is_saved_opens_again_as_it_was(inside, at, tmp_path, case):
    recipe = placed(SAVED[case], at)
    found = inside("adapter_checks.saved_again", recipe=recipe, folder=str(tmp_path))
    assert all(not one["others"] and one["apart"] < FLOAT for one in found.values()), found
    again = tmp_path / "again.safetensors"
    for name in ("ours", "stock"):
        info = convert(tmp_path / f"{name}.safetensors", again)
        assert (info.is_reco, info.num_bins, info.max_length, info.unet_heads) == (
            True,
            1000,
            308,
            8,
        )
        assert info.words == ("a", "dog", "cat", "tree") and info.image_size == 64


def test_the_saved_checkpoint_is_that_of_convert(inside, at, tmp_path):
    recipe = [["stock", at["plain"]], ["apply", at["first"], 1.0, 1.0]]
    inside("adapter_checks.saved_again", recipe=recipe, folder=str(tmp_path))
    made = tmp_path / "made.safetensors"
    merge_adapter_file(Path(at["first"]), Path(at["plain"]), made)
    (saved, said), (merged, expected) = (
        read_checkpoint(path) for path in (tmp_path / "ours.safetensors", made)
    )
    kept = merged.keys() - {key for key in merged if key.startswith("first_stage_model.")}
    assert kept and max((saved[key].float() - merged[key]).abs().max() for key in kept) < FLOAT
    expected = without_base(expected)  # a graph does not know which file its models are of
    assert {key: said.get(key) for key in expected} == expected
    assert named_base(said) is None


def test_applying_takes_no_copies(inside, at):
    found = inside("adapter_checks.cost", path=at["plain"], adapter=at["first"])
    assert found["shared"] and found["untouched"]

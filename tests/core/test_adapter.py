"""Adapters: read, refused, laid over a base, merged."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_checkpoint import (
    HEADS,
    POSITION_EMBEDDING,
    TEXT_PREFIX,
    TOKEN_EMBEDDING,
    Size,
    random_state_dict,
)
from safetensors.torch import save_file

from reco_core.adapter import (
    POSITION_ROWS,
    TOKEN_ROWS,
    Adapter,
    base_warning,
    describe_adapter,
    extend_with_adapter_rows,
    file_sha256,
    lora_changes,
    merge_adapter,
    merged_metadata,
    read_adapter,
)
from reco_core.checkpoint import describe_checkpoint, extend_checkpoint
from reco_core.keys import UNET_PREFIX

WIDTH, BINS, LENGTH, RANK = 64, 50, 120, 3
TO_K = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
TO_K_KEY = UNET_PREFIX + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
Q_PROJ = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
Q_PROJ_KEY = TEXT_PREFIX + "encoder.layers.0.self_attn.q_proj.weight"
METADATA = {
    "format": "reco-adapter",
    "base": "v1-5.safetensors",
    "base_sha256": "ab" * 32,
    "base_num_bins": "0",
    "unet_heads": "4",
    "rank": str(RANK),
    "words": '["red"]',
}


@pytest.fixture(scope="module")
def base() -> dict[str, torch.Tensor]:
    return random_state_dict(Size(max_length=77, num_bins=0))


def matrices(name: str, out: int, inside: int, alpha: float = 6.0) -> dict[str, torch.Tensor]:
    return {
        f"{name}.lora_down.weight": torch.randn(RANK, inside),
        f"{name}.lora_up.weight": torch.randn(out, RANK),
        f"{name}.alpha": torch.tensor(alpha),
    }


def tensors(**changes) -> dict[str, torch.Tensor]:
    return {
        **matrices(TO_K, 32, WIDTH),
        **matrices(Q_PROJ, WIDTH, WIDTH),
        TOKEN_ROWS: torch.randn(BINS, WIDTH),
        POSITION_ROWS: torch.randn(LENGTH - 77, WIDTH),
        **changes,
    }


def adapter(metadata=METADATA, **changes) -> Adapter:
    content = tensors(**changes)
    return Adapter(describe_adapter(content, metadata), content)


def test_an_adapter_tells_what_it_makes_and_of_what(tmp_path):
    path = tmp_path / "boxes.safetensors"
    content = tensors()
    save_file(content, path, METADATA)
    read = read_adapter(path)
    assert (read.info.num_bins, read.info.max_length, read.info.text_width) == (BINS, LENGTH, WIDTH)
    assert (read.info.rank, read.info.text_rank) == (RANK, RANK)
    assert (read.info.base, read.info.base_is_reco) == ("v1-5.safetensors", False)
    assert read.info.metadata == METADATA
    assert all(torch.equal(tensor, content[key]) for key, tensor in read.tensors.items())


def test_rows_are_laid_behind_those_of_the_base_and_nothing_else_changes(base):
    boxes = adapter()
    before = {key: tensor.clone() for key, tensor in base.items()}
    extended = extend_with_adapter_rows(base, boxes)
    info = describe_checkpoint(extended, HEADS)
    assert (info.is_reco, info.num_bins, info.max_length) == (True, BINS, LENGTH)
    for key, name, count in (
        (TOKEN_EMBEDDING, TOKEN_ROWS, 49408),
        (POSITION_EMBEDDING, POSITION_ROWS, 77),
    ):
        table = extended.pop(key)
        assert torch.equal(table[:count], base[key])
        assert torch.equal(table[count:], boxes.tensors[name].half())
    assert all(torch.equal(tensor, base[key]) for key, tensor in extended.items())
    assert all(torch.equal(tensor, before[key]) for key, tensor in base.items())


@settings(max_examples=8)
@given(alpha=st.floats(-8, 8), strength=st.floats(-2, 2))
def test_merging_adds_strength_times_alpha_over_rank_times_the_product(base, alpha, strength):
    changed = matrices(TO_K, 32, WIDTH, alpha)
    wide = {**base, TO_K_KEY: base[TO_K_KEY].double()}
    merged = merge_adapter(wide, adapter(**changed), strength)
    product = changed[f"{TO_K}.lora_up.weight"] @ changed[f"{TO_K}.lora_down.weight"]
    added = merged[TO_K_KEY] - wide[TO_K_KEY]
    torch.testing.assert_close(added.float(), strength * alpha / RANK * product, atol=1e-4, rtol=0)


def test_merging_keeps_the_precision_and_changes_only_what_it_names(base):
    merged = merge_adapter(base, adapter())
    tables = (TOKEN_EMBEDDING, POSITION_EMBEDDING)
    changed = {key for key in base if key not in tables and not torch.equal(merged[key], base[key])}
    assert changed == {TO_K_KEY, Q_PROJ_KEY}
    assert all(merged[key].dtype == base[key].dtype for key in base)


def test_kernels_of_convolutions_are_changed_too(base):
    name = "lora_unet_input_blocks_0_0"
    conv = {
        f"{name}.lora_down.weight": torch.randn(2, 4, 3, 3),
        f"{name}.lora_up.weight": torch.randn(32, 2, 1, 1),
    }
    key = UNET_PREFIX + "input_blocks.0.0.weight"
    merged = merge_adapter({**base, key: base[key].float()}, adapter(**conv))
    down, up = conv.values()
    product = torch.einsum("or,rikl->oikl", up[:, :, 0, 0], down)  # alpha is the rank by default
    torch.testing.assert_close(merged[key] - base[key].float(), product, rtol=1e-4, atol=1e-5)


def test_metadata_of_what_an_adapter_makes_is_that_of_a_checkpoint():
    merged = merged_metadata({"licence": "OpenRAIL", "words": '["dog"]'}, adapter().info)
    assert merged["format"] == "reco"
    assert (merged["num_bins"], merged["max_length"]) == (str(BINS), str(LENGTH))
    assert (merged["licence"], merged["words"], merged["unet_heads"]) == (
        "OpenRAIL",
        '["red"]',
        "4",
    )
    assert merged["base"] == "v1-5.safetensors"
    assert not {"rank", "alpha", "base_num_bins"} & merged.keys()


def test_a_base_that_has_position_tokens_is_refused(base):
    reco = extend_checkpoint(base, BINS, LENGTH)
    with pytest.raises(ValueError, match="already .* choose a plain .* such as 'v1-5.safetensors'"):
        extend_with_adapter_rows(reco, adapter())


def test_an_adapter_that_was_trained_on_a_reco_checkpoint_replaces_its_rows(base):
    boxes = adapter({**METADATA, "base_num_bins": str(BINS)})
    extended = extend_with_adapter_rows(extend_checkpoint(base, BINS, LENGTH), boxes)
    assert torch.equal(extended[TOKEN_EMBEDDING][49408:], boxes.tensors[TOKEN_ROWS].half())
    assert torch.equal(extended[POSITION_EMBEDDING][77:], boxes.tensors[POSITION_ROWS].half())
    with pytest.raises(ValueError, match="50 rows for token_embedding and this checkpoint 64"):
        extend_with_adapter_rows(extend_checkpoint(base, 64, LENGTH), boxes)
    with pytest.raises(ValueError, match="43 rows for position_embedding and this checkpoint 44"):
        extend_with_adapter_rows(extend_checkpoint(base, BINS, LENGTH + 1), boxes)


def test_a_base_of_another_width_is_refused():
    other = random_state_dict(Size(text_width=128, max_length=77, num_bins=0))
    with pytest.raises(ValueError, match="64 wide and this checkpoint's is 128 wide.*'v1-5"):
        extend_with_adapter_rows(other, adapter())


def test_a_base_of_another_architecture_is_refused(base):
    deeper = matrices(Q_PROJ.replace("layers_0", "layers_9"), WIDTH, WIDTH)
    with pytest.raises(ValueError, match="changes '.*layers_9.*', which this checkpoint does not"):
        lora_changes(base, adapter(**deeper))
    wider = matrices(TO_K, 320, WIDTH)
    with pytest.raises(ValueError, match=r"matrix of \(320, 64\), but .* has \(32, 64\)"):
        lora_changes(base, adapter(**wider))


def test_another_base_than_the_adapters_own_is_a_warning():
    info = adapter().info
    assert base_warning(info, "renamed.safetensors", info.base_sha256) == ""
    assert base_warning(adapter({}).info, "any.safetensors", "cd" * 32) == ""
    warning = base_warning(info, "dreams.safetensors", "cd" * 32)
    assert "'dreams.safetensors' is not the file" in warning
    assert "'v1-5.safetensors'" in warning and "abababab" in warning and "cdcdcdcd" in warning


def test_the_checksum_is_that_of_the_whole_file(tmp_path):
    path, counts = tmp_path / "file", []
    content = bytes(range(256)) * 9000
    path.write_bytes(content)
    assert file_sha256(path, counts.append) == hashlib.sha256(content).hexdigest()
    assert sum(counts) == len(content)


FOREIGN = {
    "a plain LoRA": (
        lambda: matrices(TO_K, 32, WIDTH),
        "a LoRA without .* Load LoRA",
    ),
    "a checkpoint": (lambda: {TO_K_KEY: torch.zeros(1)}, "a whole checkpoint.*Load Checkpoint"),
    "something else": (lambda: {"fc.weight": torch.zeros(1)}, r"keys like \['fc.weight'\]"),
    "an empty file": (lambda: {}, "empty"),
    "rows of two widths": (
        lambda: tensors(**{POSITION_ROWS: torch.zeros(43, 32)}),
        r"\(50, 64\) and its position rows \(43, 32\)",
    ),
    "half a LoRA": (
        lambda: {key: t for key, t in tensors().items() if key != f"{TO_K}.lora_up.weight"},
        "to_k' is incomplete.*no second matrix",
    ),
    "matrices of two ranks": (
        lambda: tensors(**{f"{TO_K}.lora_up.weight": torch.zeros(32, 5)}),
        r"is incomplete \(\(32, 5\) @ \(3, 64\)\)",
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_adapter_is_called_what_it_looks_like(tmp_path, kind):
    content, cause = FOREIGN[kind]
    path = tmp_path / "x.safetensors"
    save_file(content(), path)
    with pytest.raises(ValueError, match=f"x.safetensors: .*{cause}"):
        read_adapter(path)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_adapter_is_refused_with_a_remedy(tmp_path, share):
    path = tmp_path / "boxes.safetensors"
    save_file(tensors(), path)
    with path.open("rb+") as file:
        file.truncate(int(path.stat().st_size * share))
    with pytest.raises(ValueError, match="boxes.safetensors: .*truncated.*fetch it again"):
        read_adapter(path)


def test_a_missing_file_and_another_suffix_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.safetensors"):
        read_adapter(tmp_path / "gone.safetensors")
    (tmp_path / "boxes.ckpt").write_bytes(b"")
    with pytest.raises(ValueError, match="boxes.ckpt: adapters end in .safetensors"):
        read_adapter(tmp_path / "boxes.ckpt")

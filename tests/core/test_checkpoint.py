"""Checkpoints: recognised, extended, read without running code, written whole."""

import os
import pickle
import sys
import types

import numpy as np
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
from safetensors.torch import save_file

from reco_core.checkpoint import describe_checkpoint, extend_checkpoint
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from reco_core.checkpoint_info import EncoderInfo
from reco_core.family import SD1
from reco_core.keys import UNET_PREFIX, VAE_PREFIX

WIDTH = 128
CONTEXT = UNET_PREFIX + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(scope="module")
def sd1() -> dict[str, torch.Tensor]:
    """A small plain SD1-type state dict, in half precision."""
    return random_state_dict(Size(text_width=WIDTH, max_length=77, num_bins=0), text_std=0.014)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key, tensor in a.items():
        assert tensor.dtype == b[key].dtype and torch.equal(tensor, b[key]), key


def without_text_model(state_dict):
    """Keys as newer transformers name them."""
    return {
        key.replace("transformer.text_model.", "transformer."): t for key, t in state_dict.items()
    }


def test_plain_sd1_is_recognised(sd1):
    info = describe_checkpoint(sd1, HEADS)
    assert not info.is_reco and (info.num_bins, info.max_length) == (0, 77)
    assert info.encoders == (EncoderInfo(width=128, layers=2, intermediate=512, heads=1),)
    assert (info.family, info.unet_heads, info.words) == (SD1, 8, ())


def test_reco_is_read_off_the_weights_and_heads_and_words_off_the_metadata(sd1):
    reco = extend_checkpoint(sd1, num_bins=64, max_length=154)
    metadata = {"text_heads": "4", "unet_heads": "2", "words": '["Red", "circle"]', "steps": "9"}
    info = describe_checkpoint(reco, metadata)
    assert info.is_reco and (info.num_bins, info.max_length) == (64, 154)
    assert (info.encoders[0].heads, info.unet_heads, info.words) == (4, 2, ("red", "circle"))
    assert info.metadata == metadata


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"text_heads": "many"}, "text_heads = 'many' is not a positive whole number"),
        ({"unet_heads": "0"}, "unet_heads = '0' is not a positive whole number"),
        ({"words": "red circle"}, "words = 'red circle' is not a JSON list of words"),
        ({"words": "[1, 2]"}, "is not a JSON list of words"),
    ],
)
def test_unreadable_metadata_is_named(sd1, metadata, message):
    with pytest.raises(ValueError, match=message):
        describe_checkpoint(sd1, HEADS | metadata)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (
            ["conditioner.embedders.0.transformer.x", UNET_PREFIX + "input_blocks.0.0.weight"],
            "SDXL",
        ),
        (["cond_stage_model.model.transformer.resblocks.0.x", UNET_PREFIX + "a"], "SD2 .*OpenCLIP"),
        ([UNET_PREFIX + "joint_blocks.0.x"], "SD3"),
        ([UNET_PREFIX + "double_blocks.0.x"], "Flux"),
        (["lora_unet_down_blocks_0.lora_up.weight"], "a LoRA"),
        (["unet.down_blocks.0.to_k.lora_A.weight"], "a LoRA"),
        (["control_model.input_blocks.0.0.weight"], "a ControlNet"),
        (["emb_params"], "a textual-inversion embedding"),
        (["down_blocks.0.resnets.0.conv1.weight"], "diffusers' layout"),
        (["text_model.embeddings.token_embedding.weight"], "a text encoder alone"),
        (["decoder.conv_in.weight"], "a VAE alone"),
        ([UNET_PREFIX + "input_blocks.0.0.weight"], "an SD1-type UNet alone"),
        (["fc.weight", "fc.bias"], r"something else, with keys like \['fc.bias', 'fc.weight'\]"),
        ([], "an empty file"),
    ],
)
def test_foreign_file_is_called_what_it_looks_like(tmp_path, keys, kind):
    state_dict = {key: torch.zeros(1) for key in keys}
    with pytest.raises(ValueError, match=f"looks like .*{kind}.*use a ReCo or SD1 single file"):
        describe_checkpoint(state_dict, {})
    path = tmp_path / "foreign.safetensors"
    save_file(state_dict, path)
    with pytest.raises(ValueError, match=f"foreign.safetensors: .*looks like .*{kind}"):
        read_checkpoint(path)


def test_keys_without_text_model_are_understood_everywhere(sd1):
    bare = without_text_model(sd1)
    assert describe_checkpoint(bare, HEADS) == describe_checkpoint(sd1, HEADS)
    assert_same(extend_checkpoint(bare), extend_checkpoint(sd1))


def test_foreign_weights_are_not_extended():
    with pytest.raises(ValueError, match="looks like a LoRA"):
        extend_checkpoint({"lora_unet_x.lora_up.weight": torch.zeros(1)})


def test_parts_of_different_widths_are_refused(sd1):
    mixed = {**sd1, CONTEXT: torch.zeros(32, 768)}
    with pytest.raises(ValueError, match="128 wide but the UNet attends to texts of width 768"):
        describe_checkpoint(mixed, {})


@pytest.mark.parametrize("rows", [30_522, 49_409])
def test_vocabulary_that_is_not_clips_is_refused(sd1, rows):
    other = {**sd1, TOKEN_EMBEDDING: torch.zeros(rows, WIDTH)}
    with pytest.raises(ValueError, match=f"has {rows} rows: expected CLIP's 49408"):
        describe_checkpoint(other, {})


@pytest.mark.parametrize("rows", ["ordered", "random"])
def test_extension_adds_rows_and_leaves_all_else(sd1, rows):
    before = {key: tensor.clone() for key, tensor in sd1.items()}
    reco = extend_checkpoint(sd1, num_bins=1000, max_length=616, rows=rows)
    assert_same(sd1, before)
    assert reco[TOKEN_EMBEDDING].shape == (50408, WIDTH)
    assert reco[POSITION_EMBEDDING].shape == (616, WIDTH)
    added = (reco[TOKEN_EMBEDDING][49408:], reco[POSITION_EMBEDDING][77:])
    kept = {
        **reco,
        TOKEN_EMBEDDING: reco[TOKEN_EMBEDDING][:49408],
        POSITION_EMBEDDING: reco[POSITION_EMBEDDING][:77],
    }
    assert_same(kept, sd1)
    assert added[0].float().std().item() == pytest.approx(0.014, rel=0.02)
    assert torch.equal(added[1], sd1[POSITION_EMBEDDING][76].expand(539, -1))


def test_ordered_extension_starts_neighbours_close_and_random_does_not(sd1):
    def similarity(rows: str) -> float:
        added = extend_checkpoint(sd1, rows=rows, seed=1)[TOKEN_EMBEDDING][49408:].float()
        return torch.cosine_similarity(added[1:], added[:-1]).mean().item()

    assert similarity("ordered") > 0.95
    assert abs(similarity("random")) < 0.05


def test_extension_follows_the_seed(sd1):
    first, again, other = (extend_checkpoint(sd1, seed=seed)[TOKEN_EMBEDDING] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_extension_that_cannot_be_is_refused(sd1):
    with pytest.raises(ValueError, match="50408 rows, not CLIP's 49408"):
        extend_checkpoint(extend_checkpoint(sd1))
    with pytest.raises(ValueError, match="max_length = 64 is less than the 77 tokens"):
        extend_checkpoint(sd1, max_length=64)
    with pytest.raises(ValueError, match="num_bins = 1"):
        extend_checkpoint(sd1, num_bins=1)
    with pytest.raises(ValueError, match="rows = 'ofa' is unknown"):
        extend_checkpoint(sd1, rows="ofa")


def test_written_checkpoint_is_read_back_exactly(tmp_path, sd1):
    path = tmp_path / "reco.safetensors"
    metadata = {"format": "reco", "num_bins": "1000", "words": '["red"]', "licence": "MIT"}
    reco = extend_checkpoint(sd1)
    write_checkpoint(path, reco, metadata)
    state_dict, read_metadata = read_checkpoint(path)
    assert_same(state_dict, reco)
    assert read_metadata == metadata
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint_can_be_written_over_the_one_it_was_read_from(tmp_path, sd1):
    path = tmp_path / "reco.safetensors"
    write_checkpoint(path, sd1, {})
    state_dict, _ = read_checkpoint(path)
    write_checkpoint(path, extend_checkpoint(state_dict), {"steps": "1"})
    state_dict, metadata = read_checkpoint(path)
    assert metadata == {"steps": "1"}
    assert_same(state_dict, extend_checkpoint(sd1))


def test_transposed_and_shared_tensors_are_written(tmp_path, sd1):
    path = tmp_path / "reco.safetensors"
    square = torch.arange(9.0).reshape(3, 3)
    odd = {UNET_PREFIX + "a": square.T, UNET_PREFIX + "b": square, UNET_PREFIX + "c": square}
    write_checkpoint(path, {**sd1, **odd}, {})
    assert_same(read_checkpoint(path)[0], {**sd1, **odd})


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, sd1):
    import resource

    path = tmp_path / "reco.safetensors"
    write_checkpoint(path, sd1, {"steps": "1"})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(Exception, match="(?i)file too large"):
            write_checkpoint(path, sd1, {"steps": "2"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_checkpoint(path)[1] == {"steps": "1"}
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_a_checkpoint_is_not_written(tmp_path, sd1):
    with pytest.raises(ValueError, match="metadata 'steps': 7 must be strings"):
        write_checkpoint(tmp_path / "a.safetensors", sd1, {"steps": 7})
    with pytest.raises(ValueError, match="'x' is not a tensor but list"):
        write_checkpoint(tmp_path / "a.safetensors", {"x": [1]}, {})
    with pytest.raises(ValueError, match="written as .safetensors"):
        write_checkpoint(tmp_path / "a.ckpt", sd1, {})
    assert not list(tmp_path.iterdir())


def test_only_the_weights_used_at_inference_are_read(tmp_path, sd1):
    path = tmp_path / "full.safetensors"
    extra = {
        "model_ema.decay": torch.ones(1),
        "model_ema.diffusion_modelinput_blocks00weight": torch.ones(1),
        VAE_PREFIX + "loss.discriminator.main.0.weight": torch.ones(1),
        TEXT_PREFIX + "embeddings.position_ids": torch.arange(1000)[None],
        "betas": torch.ones(1000),
    }
    save_file({**sd1, **extra}, path)
    assert_same(read_checkpoint(path)[0], sd1)


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_text_encoder_keys_may_lack_text_model(tmp_path, sd1, suffix):
    path = tmp_path / f"new{suffix}"
    bare = without_text_model(sd1)
    assert TOKEN_EMBEDDING not in bare
    if suffix == ".ckpt":
        torch.save(bare, path)
    else:
        save_file(bare, path)
    assert_same(read_checkpoint(path)[0], sd1)


@pytest.fixture
def lightning(monkeypatch):
    """A class with the name of Lightning's checkpoint callback, gone again before it is read."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)

    class ModelCheckpoint:
        def __init__(self):
            self.best_model_score = torch.tensor(0.5)
            self.mode = "min"

    ModelCheckpoint.__module__, ModelCheckpoint.__qualname__ = name, "ModelCheckpoint"
    module.ModelCheckpoint = ModelCheckpoint
    with monkeypatch.context() as patch:
        for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
            patch.setitem(sys.modules, parent, types.ModuleType(parent))
        patch.setitem(sys.modules, name, module)

        def save(content, path, **options):
            torch.save(content, path, **options)
            patch.undo()

        yield save, ModelCheckpoint


@pytest.mark.parametrize("zipped", [True, False])
def test_lightning_checkpoint_is_read_without_lightning(tmp_path, sd1, lightning, zipped):
    save, callback = lightning
    path = tmp_path / "reco_coco_616.ckpt"
    content = {
        "epoch": 3,
        "global_step": 20_000,
        "callbacks": {callback: {"best": np.float64(0.5), "object": callback()}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(4)}}}],
        "state_dict": {
            **without_text_model(sd1),
            "model_ema.decay": torch.ones(1),
            "cond_stage_model.transformer.embeddings.position_ids": torch.arange(2000)[None],
        },
    }
    save(content, path, _use_new_zipfile_serialization=zipped)
    assert "pytorch_lightning" not in sys.modules
    state_dict, metadata = read_checkpoint(path)
    assert_same(state_dict, sd1)
    assert metadata == {"steps": "20000"}


class Touch:
    """A pickle of it makes a file when it is loaded by someone who trusts it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'echo ran > "{self.path}"',)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickle_with_code_does_not_run(tmp_path, sd1):
    marker, path = tmp_path / "marker", tmp_path / "evil.ckpt"
    evil = {"state_dict": sd1, "callbacks": Touch(marker)}
    pickle.loads(pickle.dumps(Touch(marker)))
    assert marker.exists(), "the trap itself must work"
    marker.unlink()

    def refused(message="would run code"):
        with pytest.raises(ValueError, match=f"evil.ckpt: .*{message}.*nothing was run"):
            read_checkpoint(path)
        assert not marker.exists()

    for zipped in (True, False):
        torch.save(evil, path, _use_new_zipfile_serialization=zipped)
        refused(r"\(\w+\.system\)")
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps({"state_dict": Touch(marker)}, protocol))
        refused()


@pytest.mark.parametrize("name", ["a.safetensors", "zipped.ckpt", "legacy.ckpt"])
@pytest.mark.parametrize("share", [0, 0.0001, 0.5, 0.999])
def test_truncated_file_is_refused_with_a_remedy(tmp_path, sd1, name, share):
    path = tmp_path / name
    if name == "a.safetensors":
        write_checkpoint(path, sd1, {})
    else:
        torch.save({"state_dict": sd1}, path, _use_new_zipfile_serialization=name[0] == "z")
    with path.open("rb+") as file:
        file.truncate(int(path.stat().st_size * share))
    with pytest.raises(ValueError, match=f"{name}: the file is truncated.*fetch it again"):
        read_checkpoint(path)


def test_other_things_under_a_checkpoints_name_are_refused(tmp_path):
    page = b"<!DOCTYPE html><html><body>404</body></html>"
    for name in ("page.safetensors", "page.ckpt"):
        (tmp_path / name).write_bytes(page)
        with pytest.raises(ValueError, match=f"{name}: "):
            read_checkpoint(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match="expected a dict of tensors, found a list"):
        read_checkpoint(tmp_path / "list.ckpt")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="checkpoints end in .safetensors, .ckpt"):
        read_checkpoint(tmp_path / "model.gguf")
    with pytest.raises(FileNotFoundError, match="missing.ckpt"):
        read_checkpoint(tmp_path / "missing.ckpt")

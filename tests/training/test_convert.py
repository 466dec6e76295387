"""Checkpoints in and out: every form, both autoencoders, bit for bit; and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_checkpoint import (
    FULL_SIZE,
    HEADS,
    POSITION_EMBEDDING,
    TOKEN_EMBEDDING,
    Size,
    checkpoint_shapes,
    random_state_dict,
)
from safetensors.torch import load_file, save_file
from train_command import train

from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from reco_core.checkpoint_input import read_any
from reco_core.family import SD1
from reco_core.keys import UNET_PREFIX
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.checkpoints.convert import ConvertOptions, convert
from train.checkpoints.diffusers_folder import write_diffusers_folder
from train.checkpoints.merge import named_after

ROOT = Path(__file__).parents[2]
METADATA = {
    "format": "reco",
    "num_bins": "64",
    "max_length": "100",
    "steps": "7",
    "unet_heads": "2",
    "text_heads": "4",
    "image_size": "64",
    "words": '["red", "circle"]',
}
SIZES = {
    "taesd": Size(max_length=100, num_bins=64, vae="taesd"),
    "kl": Size(
        channel_mult=(1, 2, 4, 4),
        res_blocks=2,
        attention_levels=3,
        max_length=100,
        num_bins=64,
        vae="kl",
    ),
}

one_is_enough = pytest.mark.parametrize("single", ["kl"], indirect=True)


@pytest.fixture(scope="module", params=SIZES)
def single(request, tmp_path_factory):
    """A ReCo file in half precision, with one or the other autoencoder."""
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.safetensors"
    write_checkpoint(path, random_state_dict(SIZES[request.param]), METADATA)
    return path


@pytest.fixture(scope="module")
def folder(single):
    """The same as a diffusers folder."""
    path = single.parent / "diffusers-1.5"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="left out")
        convert(single, path)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A plain SD 1.x file, small but for its vocabulary."""
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    write_checkpoint(
        path, random_state_dict(replace(SIZES["kl"], num_bins=0, max_length=77)), HEADS
    )
    return path


@pytest.fixture
def copied(folder, tmp_path):
    """A folder to damage."""
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key, tensor in a.items():
        assert (tensor.dtype, tensor.shape) == (b[key].dtype, b[key].shape), key
        assert torch.equal(tensor, b[key]), key


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file.parent.name}/{key}": tensor
        for file in folder.glob("*/*.safetensors")
        for key, tensor in load_file(file).items()
    }


def in_copy(file: Path, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_file_comes_back_from_a_folder_bit_for_bit(single, folder, tmp_path):
    back = tmp_path / "back.safetensors"
    convert(folder, back)
    assert_same(read_checkpoint(back)[0], read_checkpoint(single)[0])
    assert read_checkpoint(back)[1] == METADATA
    assert back.read_bytes() == single.read_bytes()


def test_a_folder_comes_back_from_a_file_bit_for_bit(folder, tmp_path):
    convert(folder, tmp_path / "file.safetensors")
    convert(tmp_path / "file.safetensors", tmp_path / "again")
    assert_same(weights(tmp_path / "again"), weights(folder))
    names = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    for name, path in names.items():
        assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


def test_diffusers_draws_with_the_folder(folder):
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    ids = pipeline.tokenizer("a dog <bin000><bin063> <|startoftext|> red").input_ids
    bins = [CLIP_VOCABULARY_SIZE, CLIP_VOCABULARY_SIZE + 63]
    assert ids[3:6] == [*bins, 49406], "position tokens are words of the tokenizer"
    assert pipeline.tokenizer.model_max_length == 100
    assert pipeline.text_encoder.config.vocab_size == CLIP_VOCABULARY_SIZE + 64
    pipeline.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 1, "height": 32, "width": 32, "output_type": "pt"}
    assert pipeline("a dog <bin000>", **options).images.shape == (1, 3, 32, 32)


def test_diffusers_modules_hold_the_same_weights_as_the_trainers(single, folder):
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    from reco_core.diffusers_keys import text_keys, unet_keys

    state = read_checkpoint(single)[0]
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    text, loading = CLIPTextModel.from_pretrained(
        folder / "text_encoder", output_loading_info=True, dtype=torch.float32
    )
    assert not any(loading.values())
    assert (unet.config.attention_head_dim, text.config.num_attention_heads) == (2, 4)
    assert unet.config.sample_size == 8
    for module, keys in (
        (unet, unet_keys(unet.state_dict())),
        (text, text_keys(text.state_dict(), SD1.encoders[0])),
    ):
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, state[keys[key]].float()), key


@one_is_enough
def test_folders_of_the_port_and_of_older_diffusers_are_read(single, folder, copied):
    """Pickles, shards, a variant, and the names of attention and text encoder in use then."""
    unet = load_file(copied / "unet" / "diffusion_pytorch_model.safetensors")
    (copied / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    shards = {key: f"shard-{number % 2}.safetensors" for number, key in enumerate(unet)}
    for name in set(shards.values()):
        part = {key: unet[key] for key in unet if shards[key] == name}
        save_file(part, copied / "unet" / name)
    index = copied / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))

    text = load_file(copied / "text_encoder" / "model.safetensors")
    (copied / "text_encoder" / "model.safetensors").unlink()
    text = {key.removeprefix("text_model."): value for key, value in text.items()}
    text["embeddings.position_ids"] = torch.arange(1000)[None]
    torch.save(text, copied / "text_encoder" / "pytorch_model.bin")

    vae_file = copied / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = load_file(vae_file)
    for new, name in old.items():
        vae = {key.replace(f"attentions.0.{new}", f"attentions.0.{name}"): vae[key] for key in vae}
    vae_file.unlink()
    save_file(vae, vae_file.with_suffix(".fp16.safetensors"))
    for name in ("tokenizer.json", "reco.json"):
        (copied / "tokenizer" / name).unlink(missing_ok=True)

    state, metadata = read_any(copied)
    assert_same(state, read_checkpoint(single)[0])
    assert metadata == METADATA


@one_is_enough
def test_heads_are_read_off_a_folder_without_notes(copied):
    (copied / "reco.json").unlink()
    state, metadata = read_any(copied)
    assert metadata == {"unet_heads": "2", "text_heads": "4"}
    assert describe_checkpoint(state, metadata).num_bins == 64


@pytest.mark.parametrize("prefix", ["text_model.", ""])
@pytest.mark.parametrize("ema", [False, True])
def test_lightning_checkpoint_gives_raw_or_averaged_weights(plain, tmp_path, prefix, ema):
    state = read_checkpoint(plain)[0]
    averages = {
        "model_ema." + key.removeprefix("model.").replace(".", ""): tensor + 1
        for key, tensor in state.items()
        if key.startswith(UNET_PREFIX)
    }
    renamed = {key.replace("text_model.", prefix): tensor for key, tensor in state.items()}
    buffer = f"cond_stage_model.transformer.{prefix}embeddings.position_ids"
    renamed[buffer] = torch.arange(1000)[None]
    content = {"state_dict": renamed | averages, "global_step": 5, "optimizer_states": [{}]}
    torch.save(content, tmp_path / "raw.ckpt")
    convert(
        tmp_path / "raw.ckpt", tmp_path / "out.safetensors", ConvertOptions(ema=ema, metadata=HEADS)
    )
    out, metadata = read_checkpoint(tmp_path / "out.safetensors")
    wanted = {key: t + 1 if ema and key.startswith(UNET_PREFIX) else t for key, t in state.items()}
    assert_same(out, wanted)
    assert metadata == {"steps": "5", **HEADS}


def test_the_command_extends_and_stores_in_another_precision(plain, tmp_path):
    rows = torch.randn(64, 64)
    save_file({"rows": rows}, tmp_path / "rows.safetensors")
    out = tmp_path / "reco.safetensors"
    words = ("--rows", tmp_path / "rows.safetensors", "--max-length", 100, "--dtype", "fp32")
    done = train("convert", plain, out, *words, "--metadata", "licence=MIT")
    assert done.returncode == 0, done.stderr
    assert "ReCo with 64 position tokens, sequences of 100 tokens" in done.stdout
    state, metadata = read_checkpoint(out)
    base = read_checkpoint(plain)[0]
    assert torch.equal(state[TOKEN_EMBEDDING][CLIP_VOCABULARY_SIZE:], rows.half().float())
    assert torch.equal(state[POSITION_EMBEDDING][99], base[POSITION_EMBEDDING][76].float())
    for key, tensor in base.items():
        assert torch.equal(state[key][: len(tensor)], tensor.float()), key
    wanted = {"format": "reco", "num_bins": "64", "max_length": "100", "licence": "MIT"}
    assert metadata == wanted | HEADS | named_after(plain, {})
    assert metadata["base"] == "plain.safetensors" and len(metadata["base_sha256"]) == 64


def test_a_plain_checkpoint_stays_plain_unless_extended(plain, tmp_path):
    convert(plain, tmp_path / "same.safetensors")
    assert (tmp_path / "same.safetensors").read_bytes() == plain.read_bytes()
    info = convert(plain, tmp_path / "reco", ConvertOptions(max_length=616, dtype="bf16"))
    assert (info.num_bins, info.max_length) == (1000, 616)
    words = json.loads((tmp_path / "reco" / "tokenizer" / "added_tokens.json").read_text())
    assert words["<bin999>"] == CLIP_VOCABULARY_SIZE + 999
    types = {tensor.dtype for tensor in weights(tmp_path / "reco").values()}
    assert types == {torch.bfloat16}


@one_is_enough
def test_an_older_folder_is_replaced_only_when_the_new_one_is_whole(plain, folder, copied):
    state = read_checkpoint(plain)[0]
    key = UNET_PREFIX + "input_blocks.1.0.in_layers.2.weight"
    broken = copied.parent / "broken.safetensors"
    save_file({k: t for k, t in state.items() if k != key}, broken)
    with pytest.raises(ValueError, match="UNet lacks 1 of its weights"):
        convert(broken, copied)
    assert_same(weights(copied), weights(folder))
    convert(plain, copied)
    assert read_any(copied)[0].keys() == state.keys()
    assert {path.name for path in copied.parent.iterdir()} == {"copied", "broken.safetensors"}


def test_tensors_without_a_place_in_the_folder_are_named(plain, tmp_path):
    extra = {UNET_PREFIX + "more.0.0.weight": torch.zeros(3)}
    save_file(read_checkpoint(plain)[0] | extra, tmp_path / "more.safetensors", HEADS)
    with pytest.warns(UserWarning, match="left out 1 tensors.*more.0.0.weight"):
        convert(tmp_path / "more.safetensors", tmp_path / "out")


# What is refused


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
    done = train("convert", tmp_path / "none.ckpt", tmp_path / "out.safetensors")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"error: there is no checkpoint file {tmp_path / 'none.ckpt'}" in done.stderr


def test_output_that_is_something_else_is_left_alone(plain, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.safetensors").mkdir()
    for name, message in (
        ("notes", "with other things in it"),
        ("file", "is a file"),
        ("folder.safetensors", "is a folder"),
        ("out.ckpt", ".ckpt is neither"),
    ):
        with pytest.raises(ValueError, match=message):
            convert(plain, tmp_path / name)
    assert (tmp_path / "notes" / "diary.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"


@one_is_enough
def test_options_that_do_not_fit_are_refused(single, plain, tmp_path):
    out = tmp_path / "out.safetensors"
    save_file({"rows": torch.zeros(64, 32)}, tmp_path / "narrow.safetensors")
    save_file({"other": torch.zeros(64, 32)}, tmp_path / "other.safetensors")
    narrow, other = (str(tmp_path / f"{name}.safetensors") for name in ("narrow", "other"))
    for source, options, message in (
        (single, {"num_bins": 1000}, "with 64 position tokens, not 1000"),
        (single, {"max_length": 616}, "with 100 places in its sequence, not 616"),
        (single, {"rows": "random"}, "would replace what the 64 position tokens"),
        (single, {"ema": True}, "tensors have no average here"),
        (plain, {"rows": narrow}, r"of shape \(64, 32\) but this checkpoint needs \(64, 64\)"),
        (plain, {"rows": narrow, "num_bins": 9}, r"\(64, 32\) but this .* \(9, 64\)"),
        (plain, {"rows": other}, "has no tensor `rows`.*'other'"),
        (plain, {"rows": "sorted"}, "rows = 'sorted' is no file"),
        (plain, {"num_bins": 1}, "num_bins = 1: at least 2"),
        (plain, {"max_length": 64}, "max_length = 64 is less than the 77 tokens"),
    ):
        with pytest.raises(ValueError, match=message):
            convert(source, out, ConvertOptions(**options))
    assert not out.exists()
    convert(single, out, ConvertOptions(num_bins=64, max_length=100))


@one_is_enough
def test_folders_of_other_kinds_are_refused(copied, tmp_path):
    with pytest.raises(ValueError, match="not a diffusers folder: it has no model_index.json"):
        read_any(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint file"):
        read_any(tmp_path / "none")
    with pytest.raises(ValueError, match="is a diffusers folder, which has no averages"):
        read_any(copied, ema=True)
    index, text = copied / "model_index.json", copied / "text_encoder" / "config.json"
    tokens = copied / "tokenizer" / "added_tokens.json"
    for file, change, message in (
        (tokens, {"<cat>": CLIP_VOCABULARY_SIZE + 3}, "gives '<cat>' the id 49411"),
        (text, {"hidden_act": "gelu"}, "as that of Stable Diffusion 2"),
        (
            index,
            {"_class_name": "StableDiffusionXLPipeline", "text_encoder_2": ["transformers", "x"]},
            "a StableDiffusionXLPipeline, not Stable Diffusion 1.x",
        ),
    ):
        in_copy(file, **change)
        with pytest.raises(ValueError, match=message):
            read_any(copied)


UNET, VAE, TEXT = (f"{part}/config.json" for part in ("unet", "vae", "text_encoder"))
SCHEDULER = "scheduler/scheduler_config.json"
OTHER_MODELS = [
    (UNET, {"norm_num_groups": 16}, r"unet/config.json says norm_num_groups = 16: .* has 32"),
    (UNET, {"act_fn": "gelu"}, "unet/config.json says act_fn = 'gelu'"),
    (UNET, {"flip_sin_to_cos": False}, "says flip_sin_to_cos = False"),
    (UNET, {"class_embed_type": "timestep"}, "says class_embed_type = 'timestep'"),
    (UNET, {"layers_per_block": 3}, "says layers_per_block = 3, and the weights have 2"),
    (UNET, {"layers_per_block": [2, 2, 1, 2]}, r"says layers_per_block = \[2, 2, 1, 2\]"),
    (UNET, {"block_out_channels": [32, 64]}, r"says block_out_channels = \[32, 64\], and .* 4"),
    (UNET, {"attention_head_dim": [5, 10, 20, 20]}, r"unet/ has \[5, 10, 20, 20\] heads"),
    (UNET, {"attention_head_dim": "8"}, "unet/ has '8' heads"),
    (VAE, {"scaling_factor": 0.13025}, "vae/config.json says scaling_factor = 0.13025"),
    (VAE, {"shift_factor": 0.1}, "says shift_factor = 0.1"),
    (VAE, {"_class_name": "VQModel"}, "vae/ is a VQModel: use AutoencoderKL or AutoencoderTiny"),
    (VAE, {"_class_name": ["unet"]}, r"vae/ is a \['unet'\]"),
    (VAE, {"layers_per_block": 1}, "says layers_per_block = 1, and the weights have 2"),
    (TEXT, {"layer_norm_eps": 1e-6}, "text_encoder/config.json says layer_norm_eps = 1e-06"),
    (TEXT, {"num_attention_heads": 0}, "text_encoder/ has 0 heads"),
    (SCHEDULER, {"beta_schedule": "linear"}, "says beta_schedule = 'linear'"),
    (SCHEDULER, {"beta_end": 0.02}, "scheduler_config.json says beta_end = 0.02: .* 0.012"),
    (SCHEDULER, {"rescale_betas_zero_snr": True}, "says rescale_betas_zero_snr = True"),
    ("model_index.json", {"unet": "UNet"}, "this is a StableDiffusionPipeline, not Stable"),
    ("model_index.json", {"transformer": ["diffusers", "X"]}, "not Stable Diffusion 1.x"),
    ("tokenizer/added_tokens.json", {"<bin064>": "49472"}, "gives '<bin064>' the id '49472'"),
    ("reco.json", {"metadata": []}, r"reco.json says metadata = \[\]: expected an object"),
    ("reco.json", {"scalars": {"a": {"dtype": "load", "value": 1}}}, "says a = .*expected a dtype"),
    ("reco.json", {"scalars": {"a": {"dtype": "uint8", "value": -1}}}, "expected a dtype"),
    ("reco.json", {"scalars": {"a": {"dtype": "int64", "value": 10**30}}}, "expected a dtype"),
    ("reco.json", {"scalars": {"a": {"dtype": "int64", "value": [1, 2]}}}, "expected a dtype"),
    ("reco.json", {"scalars": {"a": 5}}, "says a = 5: expected a dtype"),
]


@one_is_enough
def test_folders_of_models_that_compute_otherwise_are_refused(copied):
    for name, change, message in OTHER_MODELS:
        file = copied / name
        whole = file.read_text()
        in_copy(file, **change)
        with pytest.raises(ValueError, match=f"copied: {message}|copied: .*{message}"):
            read_any(copied)
        file.write_text(whole)
    read_any(copied)


@one_is_enough
@pytest.mark.parametrize(
    ("part", "key", "change", "message"),
    [
        ("unet", "conv_out.bias", {}, "UNet lacks 1 of its weights, .*out.2.bias"),
        ("unet", "", {"add_embedding.linear_1.weight": 4}, "unet/: the UNet has 1 tensors that"),
        ("vae", "decoder.mid_block.attentions.0.to_k.weight", {}, "autoencoder lacks 1 of its"),
        ("vae", "", {"encoder.extra.weight": 4}, "vae/: the autoencoder has 1 tensors that"),
        ("vae", "quant_conv.bias", {"quant_conv.bias": 7}, r"of shape \(7,\), .* for \(8,\)"),
        ("text_encoder", "text_model.final_layer_norm.bias", {}, "text encoder lacks 1 of its"),
        ("text_encoder", "", {"text_projection.weight": 4}, "text_encoder/: .*'text_projection"),
    ],
)
def test_folders_with_more_or_fewer_weights_are_refused(copied, part, key, change, message):
    (file,) = (copied / part).glob("*.safetensors")
    tensors = load_file(file)
    tensors.pop(key, None)
    save_file(tensors | {name: torch.zeros(size) for name, size in change.items()}, file)
    with pytest.raises(ValueError, match=f"copied: .*{message}"):
        read_any(copied)


@one_is_enough
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoder.conv_in.weight", 5, "vae/: 'encoder.conv_in.weight' is not a tensor but int"),
        ("decoder.conv_in.weight", torch.tensor(5.0), r"is of shape \(\), but it must have 4"),
        ("encoder.conv_in.weight", torch.zeros(32), r"is of shape \(32,\), but it must have 4"),
        ("encoder.down_blocks.0.resnets.0.conv1.weight", torch.tensor(5), "not floating-point"),
        ("encoder.mid_block.attentions.0.to_q.weight", torch.zeros(3), r"of shape \(3,\), but"),
    ],
)
def test_what_is_no_matrix_in_a_folder_is_named(copied, key, value, message):
    file = copied / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file) | {key: value}, file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(ValueError, match=f"copied: .*{message}"):
        read_any(copied)


@one_is_enough
def test_an_index_that_leads_elsewhere_is_refused(copied):
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(copied / "weights.safetensors")
    index = file.with_name(f"{file.name}.index.json")
    for content, message in (
        ({"weight_map": {"a": "../weights.safetensors"}}, "names '../weights.safetensors'"),
        ({"weight_map": {"a": str(copied / "weights.safetensors")}}, "names '/"),
        ({"weight_map": {}}, "has no weight_map of files"),
        ({"weight_map": ["a"]}, "has no weight_map of files"),
        ({}, "has no weight_map of files"),
    ):
        index.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"unet/{index.name} {message}"):
            read_any(copied)


@one_is_enough
def test_damaged_folders_are_refused(copied):
    unet = copied / "unet"
    file = unet / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="copied: .*the file is truncated.*fetch it again"):
        read_any(copied)
    tensors = load_file(copied / "text_encoder" / "model.safetensors")
    file.unlink()
    with pytest.raises(ValueError, match="unet/ has no weights"):
        read_any(copied)
    save_file(tensors, file)
    with pytest.raises(ValueError, match="unet/: .* 36 tensors that .* does not know.*'text_model"):
        read_any(copied)
    file.with_name(file.name + ".index.json").write_text(
        '{"weight_map": {"a": "gone.safetensors"}}'
    )
    file.unlink()
    with pytest.raises(ValueError, match="unet/ lacks gone.safetensors of its 1 shards"):
        read_any(copied)
    (unet / "config.json").write_text("{")
    with pytest.raises(ValueError, match="unet/config.json is not JSON"):
        read_any(copied)


class Trap:
    def __reduce__(self):
        return open, ("trap", "w")


@one_is_enough
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_with_code_in_a_folder_does_not_run(copied, monkeypatch):
    monkeypatch.chdir(copied.parent)
    (copied / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (copied / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="would run code.*nothing was run"):
        read_any(copied)
    assert not Path("trap").exists()


def test_a_disk_with_too_little_room_is_found_out_before_writing(plain, tmp_path):
    """One row that is repeated more often than the disk has bytes: it takes no memory."""
    state = read_checkpoint(plain)[0]
    room = shutil.disk_usage(tmp_path).free
    state[TOKEN_EMBEDDING] = state[TOKEN_EMBEDDING][:1].expand(room, -1)
    message = r"out.* needs .* GB but the disk has .* GB free: delete something"
    for write, name in ((write_checkpoint, "out.safetensors"), (write_diffusers_folder, "out")):
        with pytest.raises(ValueError, match=message):
            write(tmp_path / name, state, HEADS | {"format": "reco"})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow  # 2 GB in and out, three times
def test_memory_stays_below_the_larger_file(tmp_path):
    """Mapped pages count, though the system could take them back at any time."""
    size = replace(FULL_SIZE, num_bins=0, max_length=77)
    source = tmp_path / "full.safetensors"
    zeros = {key: torch.zeros(shape).half() for key, shape in checkpoint_shapes(size)}
    write_checkpoint(source, zeros, {})
    code = """
import re, sys
from pathlib import Path
import diffusers, transformers
import reco_core.diffusers_folder
from train.checkpoints.convert import ConvertOptions, convert
status = Path("/proc/self/status")  # getrusage would tell the parent's peak, if that was greater
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024
before = peak()
bins = int(sys.argv[3]) or None
convert(Path(sys.argv[1]), Path(sys.argv[2]), ConvertOptions(num_bins=bins))
print(peak() - before)
"""
    for start, end, bins in (
        (source, tmp_path / "folder", 0),
        (tmp_path / "folder", tmp_path / "back.safetensors", 0),
        (source, tmp_path / "reco.safetensors", 1000),
    ):
        command = [sys.executable, "-c", code, str(start), str(end), str(bins)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 1.2 * source.stat().st_size
    assert (tmp_path / "back.safetensors").read_bytes() == source.read_bytes()

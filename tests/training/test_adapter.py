"""Adapters in training: what learns, what is written, what the merged file computes."""

import hashlib
from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel
from random_checkpoint import FULL_SIZE, TEXT_PREFIX, Size, checkpoint_shapes, random_state_dict
from safetensors.torch import load_file

from reco_core.adapter import POSITION_ROWS, TOKEN_ROWS, read_adapter
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from reco_core.diffusers_keys import unet_keys
from reco_core.family import SD1
from reco_core.lora import lora_keys
from train.checkpoints.diffusers_folder import write_diffusers_folder
from train.checkpoints.merge import base_metadata, merge_adapter_file, write_lora
from train.fit.export import write_adapter
from train.fit.options import FitConfig
from train.model.lora import add_lora
from train.model.options import LoraConfig, ModelConfig
from train.model.text_to_image import load_model

BINS, LENGTH, WIDTH = 50, 120, 64
METADATA = {"unet_heads": "4", "text_heads": "2"}
LORA = LoraConfig(rank=3, text_rank=2, alpha=6.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A plain SD1-type checkpoint."""
    path = tmp_path_factory.mktemp("base") / "v1-5.safetensors"
    state_dict = random_state_dict(Size(max_length=77, num_bins=0), torch.float32)
    write_checkpoint(path, state_dict, METADATA)
    return path


@pytest.fixture(scope="module")
def config(base):
    options = ModelConfig(base=str(base), num_bins=BINS, max_length=LENGTH)
    return FitConfig(model=options, lora=LORA, output_precision="fp32", licence="CC0-1.0")


@pytest.fixture
def model(config):
    return load_model(*read_checkpoint(config.model.base), config.model)


@pytest.fixture
def trained(model):
    """A model whose adapter and new rows are anything but zero."""
    add_lora(model, LORA)
    generator = torch.Generator().manual_seed(0)
    for parameter in learning(model).values():
        parameter.data.normal_(0, 0.1, generator=generator)
    return model


def learning(model) -> dict[str, torch.nn.Parameter]:
    return {name: p for name, p in parameters(model).items() if p.requires_grad}


def parameters(model) -> dict[str, torch.nn.Parameter]:
    return {
        f"{part}.{name}": parameter
        for part, module in (("unet", model.unet), ("text", model.text_encoder))
        for name, parameter in module.named_parameters()
    }


def predicted(model) -> torch.Tensor:
    """The noise in latents (2, 4, 8, 8) under texts that use new tokens and new positions."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 49_408 + BINS, (2, LENGTH), generator=generator)
    ids[:, -9:] = torch.arange(49_408, 49_417)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    return model.unet(latents, torch.tensor(500), model.text_states(ids)).sample


def test_an_adapter_starts_without_effect(model):
    with torch.no_grad():
        before = predicted(model)
        add_lora(model, LORA)
        assert torch.equal(predicted(model), before)


def test_only_the_adapter_and_the_new_rows_learn(model):
    add_lora(model, LORA)
    before = {name: p.detach().clone() for name, p in parameters(model).items()}
    optimizer = torch.optim.AdamW([p for p in parameters(model).values() if p.requires_grad], 1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        predicted(model).square().mean().backward()
        optimizer.step()
    changed = {name for name, p in parameters(model).items() if not torch.equal(p, before[name])}
    rows = {name for name in before if name.endswith("_embedding.new")}
    assert len(rows) == 2
    assert changed == rows | {name for name in before if ".lora_" in name}
    # 4 projections: in each of 2 attentions of 7 blocks, and in each of 2 text layers
    assert len(changed - rows) == 2 * 4 * (2 * 7 + 2)


def test_the_merged_checkpoint_computes_what_the_model_with_its_adapter_does(
    trained, config, base, tmp_path
):
    adapter, merged = tmp_path / "boxes.safetensors", tmp_path / "merged.safetensors"
    write_adapter(trained, config, adapter, METADATA)
    assert merge_adapter_file(adapter, base, merged) == ""
    again = load_model(*read_checkpoint(merged), ModelConfig())
    plain = load_model(*read_checkpoint(base), config.model)
    with torch.no_grad():
        ours = predicted(trained)
        torch.testing.assert_close(predicted(again), ours, rtol=1e-4, atol=1e-5)
        assert (predicted(plain) - ours).abs().mean() > 0.01


def test_an_adapter_names_its_base_and_carries_its_rows(trained, config, base, tmp_path):
    path = tmp_path / "boxes.safetensors"
    write_adapter(trained, config, path, {**METADATA, "steps": "9", "licence": "CC0-1.0"})
    adapter = read_adapter(path)
    assert adapter.info.metadata == {
        **METADATA,
        "format": "reco-adapter",
        "base": "v1-5.safetensors",
        "base_sha256": hashlib.sha256(base.read_bytes()).hexdigest(),
        "base_num_bins": "0",
        "num_bins": str(BINS),
        "max_length": str(LENGTH),
        "rank": "3",
        "text_rank": "2",
        "alpha": "6",
        "steps": "9",
        "licence": "CC0-1.0",
    }
    new = learning(trained)
    for key, table in ((TOKEN_ROWS, "token"), (POSITION_ROWS, "position")):
        (rows,) = (p for name, p in new.items() if name.endswith(f"{table}_embedding.new"))
        assert torch.equal(adapter.tensors[key], rows)
    assert list(tmp_path.iterdir()) == [path]


def test_its_lora_can_be_written_alone(trained, config, tmp_path):
    adapter, lora = tmp_path / "boxes.safetensors", tmp_path / "lora.safetensors"
    write_adapter(trained, config, adapter, METADATA)
    write_lora(adapter, lora)
    written, whole = load_file(lora), load_file(adapter)
    assert whole.keys() - written.keys() == {TOKEN_ROWS, POSITION_ROWS}
    assert all(torch.equal(tensor, whole[key]) for key, tensor in written.items())
    with pytest.raises(ValueError, match="adapter"):
        write_lora(lora, tmp_path / "again.safetensors")
    with pytest.raises(ValueError, match="written as .safetensors"):
        write_lora(adapter, tmp_path / "lora.bin")


def test_a_merged_checkpoint_says_what_it_is_and_warns_of_another_base(
    trained, config, base, tmp_path
):
    adapter, other = tmp_path / "boxes.safetensors", tmp_path / "fine-tune.safetensors"
    write_adapter(trained, config, adapter, {**METADATA, "licence": "CC0-1.0"})
    state_dict, _ = read_checkpoint(base)
    write_checkpoint(other, state_dict, {"by": "someone"})
    warning = merge_adapter_file(adapter, other, tmp_path / "merged.safetensors")
    assert "'fine-tune.safetensors' is not the file" in warning
    info = describe_checkpoint(*read_checkpoint(tmp_path / "merged.safetensors"))
    assert (info.num_bins, info.max_length, info.encoders[0].heads) == (BINS, LENGTH, 2)
    assert (info.metadata["format"], info.metadata["licence"]) == ("reco", "CC0-1.0")


def test_merging_into_a_base_of_another_size_names_both_files(trained, config, tmp_path):
    adapter, wide = tmp_path / "boxes.safetensors", tmp_path / "wide.safetensors"
    write_adapter(trained, config, adapter, METADATA)
    size = Size(max_length=77, num_bins=0, text_width=128)
    write_checkpoint(wide, random_state_dict(size), METADATA)
    with pytest.raises(ValueError, match="boxes.safetensors with base wide.safeten.*128 wide"):
        merge_adapter_file(adapter, wide, tmp_path / "merged.safetensors")
    assert not (tmp_path / "merged.safetensors").exists()


def test_half_precision_and_a_text_encoder_without_lora_make_a_smaller_file(
    model, config, tmp_path
):
    lora = LoraConfig(rank=3)
    add_lora(model, lora)
    path = tmp_path / "boxes.safetensors"
    write_adapter(model, replace(config, lora=lora, output_precision="fp16"), path, METADATA)
    adapter = read_adapter(path)
    assert (adapter.info.rank, adapter.info.text_rank) == (3, 0)
    matrices = [t for key, t in adapter.tensors.items() if not key.endswith(".alpha")]
    assert {tensor.dtype for tensor in matrices} == {torch.float16}


@pytest.mark.parametrize(
    ("ranks", "cause"),
    [
        ({}, "one of them at least 1"),
        ({"rank": -1}, "rank = -1: give a whole number of at least 0"),
    ],
)
def test_ranks_that_make_no_adapter_are_refused(model, ranks, cause):
    with pytest.raises(ValueError, match=cause):
        add_lora(model, LoraConfig(**ranks))


def test_a_run_that_cannot_write_an_adapter_is_refused(trained, config, tmp_path):
    without_base = replace(config, model=ModelConfig())
    with pytest.raises(ValueError, match="lora.rank = 3 .* model.base is empty"):
        write_adapter(trained, without_base, tmp_path / "boxes.safetensors", {})
    with pytest.raises(ValueError, match="boxes'.* written as .safetensors"):
        write_adapter(trained, config, tmp_path / "boxes", {})
    assert not list(tmp_path.iterdir())


def test_a_diffusers_folder_as_base_merges_too_and_has_no_checksum(trained, config, base, tmp_path):
    adapter, folder = tmp_path / "boxes.safetensors", tmp_path / "sd1"
    write_adapter(trained, config, adapter, METADATA)
    write_diffusers_folder(folder, *read_checkpoint(base))
    assert base_metadata(folder) == {"base": "sd1", "base_sha256": "", "base_num_bins": "0"}
    outputs = [tmp_path / "of-folder.safetensors", tmp_path / "of-file.safetensors"]
    assert merge_adapter_file(adapter, folder, outputs[0]) == ""
    merge_adapter_file(adapter, base, outputs[1])
    of_folder, of_file = (read_checkpoint(output)[0] for output in outputs)
    assert of_folder.keys() == of_file.keys()
    assert all(torch.equal(of_folder[key], of_file[key]) for key in of_file)


def test_names_in_the_file_are_those_of_diffusers_for_a_full_size_unet():
    """Every attention weight has the name that leads to its key by diffusers' own conversion."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    names = lora_keys((name for name, _ in checkpoint_shapes(FULL_SIZE)), SD1)
    attention = {
        path.removesuffix(".weight"): key
        for path, key in unet_keys(unet.state_dict()).items()
        if ".attentions." in path and path.endswith(".weight")
    }
    assert len(attention) == 256
    for path, key in attention.items():
        assert names[f"lora_unet_{path.replace('.', '_')}"] == key
    assert names["lora_te_text_model_encoder_layers_11_self_attn_out_proj"] == (
        f"{TEXT_PREFIX}encoder.layers.11.self_attn.out_proj.weight"
    )

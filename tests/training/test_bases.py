"""What a base has of its own, and what a configuration may ask of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from on_base import on_base
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save_file

from reco_core.adapter import read_adapter
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from reco_core.checkpoint_info import CheckpointInfo, EncoderInfo
from reco_core.extension import RECO as RECO_METADATA
from reco_core.family import SD1
from reco_core.layout import Box, Layout, Region
from train.checkpoints.convert import ConvertOptions, convert
from train.checkpoints.merge import merge_adapter_file
from train.config import load_config
from train.fit.export import export
from train.fit.loop import fit
from train.fit.options import FitConfig
from train.fit.start import start_model
from train.memory.count import count_memory
from train.model.lora import add_lora
from train.model.options import ModelConfig
from train.model.text_to_image import REGIONS_IN_WORDS, extends, load_model, single_file

RECO = CheckpointInfo(SD1, True, 64, 100, (EncoderInfo(64, 2, 256, 1),), 8)
PLAIN = replace(RECO, is_reco=False, num_bins=0, max_length=77)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A small ReCo file of 64 bins and 100 tokens, and a plain one with nine input channels."""
    folder = tmp_path_factory.mktemp("bases")
    reco = random_state_dict(Size(max_length=100, num_bins=64), torch.float32)
    inpainting = random_state_dict(Size(max_length=77, num_bins=0), torch.float32)
    key = "model.diffusion_model.input_blocks.0.0.weight"
    inpainting[key] = inpainting[key].repeat(1, 3, 1, 1)[:, :9].contiguous()
    for name, tensors in (("reco", reco), ("inpainting", inpainting)):
        metadata = HEADS | ({"format": "reco"} if name == "reco" else {})
        save_file(tensors, folder / f"{name}.safetensors", metadata)
    save_file(reco, folder / "velocity.safetensors", {**HEADS, "modelspec.predict_key": "v"})
    return folder


@pytest.fixture
def words(overrides):
    """A run of one step."""
    return [
        *overrides,
        "image_size=64",
        "optimizer.steps=1",
        "sample.every=0",
        "validation.every=0",
    ]


@pytest.mark.parametrize(
    "asked",
    [{}, {"num_bins": 64}, {"max_length": 100}, {"num_bins": 64, "max_length": 100}],
)
def test_a_reco_base_keeps_its_tables(asked):
    assert not extends(ModelConfig(**asked), RECO)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_bins": 1000}, "64 position tokens, not 1000"),
        ({"num_bins": 0}, "64 position tokens, not 0"),
        ({"num_bins": 65, "max_length": 100}, "64 position tokens, not 65"),
        ({"max_length": 616}, "100 places in its sequence, not 616"),
        ({"num_bins": 64, "max_length": 77}, "100 places in its sequence, not 77"),
        ({"rows": "random"}, "rows = 'random' would replace"),
        ({"rows": "ordered", "num_bins": 64}, "rows = 'ordered' would replace"),
    ],
)
def test_a_reco_base_of_other_sizes_than_asked_for_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        extends(ModelConfig(**asked), RECO)


def test_a_plain_base_is_extended_unless_told_not_to():
    assert extends(ModelConfig(), PLAIN) and extends(ModelConfig(num_bins=64, rows="random"), PLAIN)
    assert not extends(ModelConfig(num_bins=0), PLAIN)
    assert not extends(ModelConfig(num_bins=0, max_length=77), PLAIN)


@pytest.mark.parametrize(
    ("asked", "length"),
    [
        ({"num_bins": 0, "positional_words": True}, 616),
        ({"num_bins": 0, "positional_words": True, "max_length": 77}, 77),
        ({"num_bins": 0, "positional_words": True, "max_length": 78}, 78),
        ({"num_bins": 0, "positional_words": True, "max_length": 154}, 154),
        ({"num_bins": 0, "max_length": 616}, 616),
        ({"num_bins": 0}, 77),
        ({"num_bins": 2, "max_length": 77}, 77),
        ({"num_bins": 64}, 616),
    ],
)
def test_the_sequence_grows_with_or_without_position_tokens(asked, length, base):
    config = ModelConfig(**asked)
    assert extends(config, PLAIN) == (length > 77 or config.num_bins > 0)
    tensors, metadata = read_checkpoint(base)
    model = load_model(tensors, metadata, config)
    assert (model.max_length, model.num_bins) == (length, config.num_bins)
    words = model.words(2)
    if not (config.num_bins or config.positional_words):
        return
    layout = Layout("two dogs", (Region("a dog", Box(0.0, 0.0, 0.5, 0.5)),) * 2)
    ids = words.encode(layout)["ids"]
    states = model.text_states(ids[None])
    assert len(ids) == length and states.shape[1] == length and bool(states.isfinite().all())
    again = load_model(single_file(model), metadata | written(config))
    assert (again.max_length, again.num_bins) == (length, config.num_bins)
    assert torch.equal(again.text_states(ids[None]), states)


def written(config):
    """Metadata that training adds to a file."""
    return RECO_METADATA if config.num_bins else {REGIONS_IN_WORDS: "true"}


@pytest.mark.parametrize(
    "asked",
    [
        {"num_bins": 0, "max_length": 48},
        {"num_bins": 0, "max_length": 76, "positional_words": True},
        {"num_bins": 64, "max_length": 76},
        {"max_length": 3},
    ],
)
def test_a_sequence_shorter_than_the_bases_is_refused(asked):
    with pytest.raises(ValueError, match=f"max_length = {asked['max_length']} is less than the 77"):
        extends(ModelConfig(**asked), PLAIN)


@pytest.mark.parametrize(
    ("base", "word", "message"),
    [
        ("reco", "model.num_bins=1000", r"reco\.safetensors'.*64 position tokens, not 1000"),
        ("inpainting", "seed=0", r"inpainting\.safetensors'.*inpainting checkpoint \(9 input"),
        ("velocity", "seed=0", r"velocity\.safetensors'.*does not predict noise"),
    ],
)
def test_a_base_that_does_not_fit_is_refused_before_data_is_read(
    base, word, message, words, bases, config_file
):
    path = (bases / f"{base}.safetensors").as_posix()
    more = [*on_base(path), word, 'data.sets=[{kind="coco", path="/nowhere"}]']
    with pytest.raises(ValueError, match=message):
        fit(load_config(config_file, [*words, *more]))


def test_memory_is_not_counted_of_a_base_of_other_sizes(bases):
    config = FitConfig(model=ModelConfig(base=str(bases / "reco.safetensors"), num_bins=1000))
    with pytest.raises(ValueError, match="64 position tokens, not 1000"):
        count_memory(config)


def test_a_run_on_a_reco_base_says_its_sizes_and_goes_on_from_an_older_state(
    words, bases, config_file
):
    """Older states say the defaults of then, which a base with tables of its own ignored."""
    base = (bases / "reco.safetensors").as_posix()
    config = load_config(config_file, [*words, *on_base(base), "data.max_regions=2"])
    unsaid = replace(config.model, num_bins=None, max_length=None)
    config = replace(config, model=unsaid)
    tensors, metadata = read_checkpoint(fit(config))
    info = describe_checkpoint(tensors, metadata)
    assert (info.num_bins, info.max_length) == (64, 100)
    told = json.loads(metadata["config"])["model"]
    assert (told["num_bins"], told["max_length"]) == (64, 100)

    newest = max((Path(config.folder) / "states").iterdir())
    state = torch.load(newest, weights_only=True)
    options = json.loads(state["options"])
    options["model"] |= {"num_bins": 1000, "max_length": 616, "rows": "ordered"}
    text = state["text_encoder"]  # which they hold whole
    for old in [name for name in text if name.endswith("_embedding.old")]:
        table = old.removesuffix(".old")
        text[f"{table}.weight"] = torch.cat([text.pop(old), text.pop(f"{table}.new")])
    torch.save(state | {"options": json.dumps(options)}, newest)
    steps = []
    fit(replace(config, optimizer=replace(config.optimizer, steps=2)), steps.append)
    assert steps == [2]


def exported(config: FitConfig, path: Path) -> dict[str, str]:
    """Metadata of what a run would write after its start."""
    model, base = start_model(config, Accelerator(cpu=True))
    export(config, model, base, 1, path)
    return read_checkpoint(path)[1]


def test_a_reco_checkpoint_names_the_plain_file_it_came_from_after_several_runs(
    words, base, config_file, tmp_path
):
    plain = {
        "base": base.name,
        "base_sha256": hashlib.sha256(base.read_bytes()).hexdigest(),
        "base_bytes": str(base.stat().st_size),
    }
    started = base
    for number in range(3):
        config = load_config(config_file, [*words, *on_base(started)])
        started = tmp_path / f"{number}.safetensors"
        assert plain.items() <= exported(config, started).items()
    convert(started, tmp_path / "half.safetensors", ConvertOptions(dtype="fp16"))
    assert plain.items() <= read_checkpoint(tmp_path / "half.safetensors")[1].items()
    lora = [*words, *on_base(started), "lora.rank=1"]
    config = load_config(config_file, lora)
    adapter = read_adapter(export_adapter(config, tmp_path / "adapter.safetensors"))
    assert adapter.info.base == started.name and "base_bytes" not in adapter.info.metadata
    merged = tmp_path / "merged.safetensors"
    merge_adapter_file(tmp_path / "adapter.safetensors", started, merged)
    assert plain.items() <= read_checkpoint(merged)[1].items()


def test_a_plain_checkpoint_that_was_trained_on_names_none(words, base, config_file, tmp_path):
    told = tmp_path / "told.safetensors"
    tensors, metadata = read_checkpoint(base)
    save_file(tensors, told, metadata | {"base": "older.ckpt", "base_sha256": "ab" * 32})
    plain = [*words, *on_base(told), "model.num_bins=0", "data.use_regions=false"]
    made = exported(load_config(config_file, plain), tmp_path / "plain.safetensors")
    assert not {"base", "base_sha256", "base_bytes"} & made.keys()
    boxes = load_config(config_file, [*words, *on_base(told)])
    assert exported(boxes, tmp_path / "reco.safetensors")["base"] == "told.safetensors"
    convert(told, tmp_path / "start.safetensors", ConvertOptions(num_bins=64))
    assert read_checkpoint(tmp_path / "start.safetensors")[1]["base"] == "told.safetensors"


def export_adapter(config: FitConfig, path: Path) -> Path:
    model, base = start_model(config, Accelerator(cpu=True))
    add_lora(model, config.lora)
    return export(config, model, base, 1, path)

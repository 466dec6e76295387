"""What can be switched on: each runs, and does what it says."""

from __future__ import annotations

import json

import pytest
import torch
from accelerate.state import AcceleratorState
from on_base import on_base
from safetensors.torch import load_file

from reco_core.adapter import read_adapter
from train.config import load_config
from train.fit.loop import fit

TEXT = "cond_stage_model."
UNET = "model.diffusion_model."
VAE = "first_stage_model."


@pytest.fixture
def run(config_file, overrides, base, tmp_path):
    """Fine-tune the small file for two steps with further options; tensors, and log by group."""

    def start(*words, name="run"):
        forget_accelerator()
        mine = [w.replace("/run", f"/{name}") for w in overrides]
        mine += [*on_base(base), "image_size=64", "optimizer.steps=2"]
        mine += ["optimizer.batch_size=4", "data.cache_latents=false", "output_precision=fp32"]
        mine += ["sample.every=0", "validation.every=2"]
        path = fit(load_config(config_file, [*mine, *words]))
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        return load_file(path), [json.loads(line) for line in lines]

    return start


def forget_accelerator():
    """accelerate keeps its precision for a whole process; a user has one run in each."""
    AcceleratorState._reset_state(reset_partial_state=True)


def changed(tensors, base):
    """The parts of a model whose weights are not the base's."""
    before = load_file(base)
    parts = set()
    for prefix in (UNET, TEXT, VAE):
        for key in (key for key in before if key.startswith(prefix)):
            if not torch.equal(
                tensors[key][: len(before[key])] if before[key].dim() else tensors[key], before[key]
            ):
                parts.add(prefix)
    return parts


def losses(log):
    return [line["total"] for line in log if line["group"] == "train"]


def test_micro_batches_add_up_to_the_whole_batch(run):
    whole, log = run(name="whole")
    parts, log_of_parts = run("optimizer.micro_batch=1", name="parts")
    assert losses(log_of_parts) == pytest.approx(losses(log), rel=1e-4)
    for key, tensor in whole.items():
        torch.testing.assert_close(parts[key], tensor, rtol=1e-2, atol=1e-3)


def test_recomputed_activations_give_the_same_losses(run):
    _, log = run(name="kept")
    _, again = run("compute.gradient_checkpointing=true", name="recomputed")
    assert losses(again) == pytest.approx(losses(log), rel=1e-5)


@pytest.mark.parametrize(
    "word", ["compute.channels_last=false", "compute.attention=math", "compute.precision=bf16"]
)
def test_how_the_arithmetic_is_done_hardly_changes_the_losses(run, word):
    _, log = run(name="plain")
    _, other = run(word, name="other")
    assert losses(other) == pytest.approx(losses(log), rel=0.05)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), {UNET, TEXT}),
        (("optimizer.train_text_encoder=false",), {UNET}),
        (("optimizer.train_unet=false",), {TEXT}),
    ],
)
def test_what_does_not_learn_stays_as_it_was(run, base, words, parts):
    tensors, _ = run(*words)
    assert changed(tensors, base) == parts


def test_new_rows_learn_at_their_own_rate(run, base):
    rows = f"{TEXT}transformer.text_model.embeddings.token_embedding.weight"
    slow = ("optimizer.learning_rate=1e-9", "optimizer.ema_decay=0")
    before, _ = run(*slow, "optimizer.rows_learning_rate=1e-9", name="before")
    after, _ = run(*slow, "optimizer.rows_learning_rate=1e-2", name="after")
    assert (after[rows][49408:] - before[rows][49408:]).abs().max() > 1e-3
    assert (after[rows][:49408] - before[rows][:49408]).abs().max() < 1e-6


def test_words_that_no_text_uses_do_not_decay(run, base):
    rows = f"{TEXT}transformer.text_model.embeddings.token_embedding.weight"
    words = ("optimizer.weight_decay=0.5", "optimizer.ema_decay=0")
    after, before = run(*words)[0][rows], load_file(base)[rows]
    unchanged = (after[:49408] == before).all(dim=1)
    assert 0.99 < unchanged.float().mean() < 1


@pytest.mark.parametrize("kind", ["adamw", "adafactor"])
def test_every_optimiser_makes_the_loss_smaller(run, kind):
    words = (f"optimizer.kind={kind}", "optimizer.steps=12", "optimizer.learning_rate=1e-3")
    _, log = run(*words, "validation.every=4")
    found = [line["loss"] for line in log if line["group"] == "validation"]
    assert found[-1] < found[0]


def test_an_8_bit_optimiser_without_cuda_is_refused(run):
    if torch.cuda.is_available():
        pytest.skip("there is CUDA")
    with pytest.raises(ValueError, match="adamw8bit.*needs CUDA"):
        run("optimizer.kind=adamw8bit")


def test_further_terms_of_the_loss_are_logged(run):
    words = ("loss.contrastive_weight=0.1", "loss.noise_offset=0.1", "loss.min_snr_gamma=5.0")
    _, log = run(*words)
    steps = [line for line in log if line["group"] == "train"]
    assert all({"noise", "weighted", "grounding", "contrastive"} <= line.keys() for line in steps)


def test_averages_lag_behind_the_weights(run):
    name = f"{UNET}out.2.weight"
    raw = run("optimizer.ema_decay=0", name="raw")[0][name]
    average = run("optimizer.ema_decay=0.999", "optimizer.steps=2", name="average")[0][name]
    assert not torch.equal(raw, average)


def test_a_diffusers_folder_comes_out_on_request(run, tmp_path, config_file, overrides, base):
    from diffusers import StableDiffusionPipeline

    words = [*overrides, *on_base(base), "image_size=64", "optimizer.steps=1"]
    folder = fit(load_config(config_file, [*words, f'output="{(tmp_path / "folder").as_posix()}"']))
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert written and not [p for p in written if tmp_path.name.encode() in p.read_bytes()]
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    assert pipe.tokenizer("<bin000>")["input_ids"][1] == 49408


def test_an_adapter_is_small_and_names_its_base(run, base, tmp_path):
    words = ("lora.rank=2", "lora.text_rank=2", "compute.frozen_precision=bf16")
    run(*words, "compute.precision=bf16", "optimizer.steps=3", name="adapter")
    path = tmp_path / "adapter.safetensors"
    adapter = read_adapter(path)
    assert (adapter.info.base, adapter.info.num_bins) == (base.name, 1000)
    assert path.stat().st_size < base.stat().st_size / 10
    assert any(tensor.any() for name, tensor in adapter.tensors.items() if "lora_up" in name)


def test_the_seed_determines_an_adapter(run):
    words = ("lora.rank=2", "optimizer.steps=1", "validation.every=0")
    torch.manual_seed(1)  # whatever this process has drawn before
    first, _ = run(*words, name="first")
    torch.manual_seed(2)
    again, _ = run(*words, name="again")
    other, _ = run(*words, "seed=1", name="other")
    drawn = [name for name in first if "lora_down" in name]
    assert drawn and all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_numbered_files_are_written_on_the_way(run, tmp_path):
    run("export_every=1")
    names = sorted(path.name for path in (tmp_path / "run" / "exports").iterdir())
    assert names == ["run-0000001.safetensors", "run-0000002.safetensors"]

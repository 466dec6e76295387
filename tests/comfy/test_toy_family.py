"""Another base, described in this file alone: trained, written, loaded by ComfyUI and encoded.

The family differs from Stable Diffusion 1 in all that a `Family` says, so whatever trainer or nodes
take from elsewhere shows. Nothing of the packages knows it: it is registered here, in the processes
that train and that run ComfyUI, which both start from this file.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from inside import ROOT, Inside
from safetensors.torch import load_file, save_file

PREFIX = "text_encoders.toy."
TEXT = f"{PREFIX}transformer.text_model."
PADDING, SCALE, WIDTH, LAYERS = 0, 0.3, 48, 3
BINS, LENGTH, SIDE = 64, 96, 64
PROMPT = "a red circle <100> <200> <300> <400> brown horse"


def toy(family):
    """The family, of the `reco_core.family` of a process."""
    encoder = family.TextEncoder(
        prefix=PREFIX,
        key="g",
        width=WIDTH,
        layers=LAYERS,
        intermediate=4 * WIDTH,
        heads=family.Heads(channels=16),
        activation="gelu",
        padding=PADDING,
        layer=-2,
        final_norm=False,
    )
    return family.Family(
        name="toy",
        title="Toy Diffusion",
        encoders=(encoder,),
        unet_channels=(32, 64),
        unet_heads=family.Heads(channels=16),
        vae_channels=(32, 64, 128, 128),
        latent_scale=SCALE,
        prediction="v",
        side=SIDE,
        noise=family.NoiseSchedule(0.001, 0.02),
    )


# What a family says wrongly, by the figure that shows it.
WRONG = {
    "padding": ("ids", lambda f: with_encoder(f, padding=49407)),
    "layer": ("states", lambda f: with_encoder(f, layer=-1, final_norm=True)),
    "final norm": ("states", lambda f: with_encoder(f, final_norm=True)),
    "activation": ("states", lambda f: with_encoder(f, activation="quick_gelu")),
    "latent scale": ("latents", lambda f: dataclasses.replace(f, latent_scale=0.18215)),
    "prediction": ("clean", lambda f: dataclasses.replace(f, prediction="eps")),
    "noise": ("clean", lambda f: dataclasses.replace(f, noise=type(f.noise)())),
    "heads": ("clean", lambda f: dataclasses.replace(f, unet_heads=type(f.unet_heads)(channels=8))),
}


def with_encoder(family, **changes):
    (encoder,) = family.encoders
    return dataclasses.replace(family, encoders=(dataclasses.replace(encoder, **changes),))


def inputs() -> dict[str, torch.Tensor]:
    """A picture (1, H, W, 3) in [0, 1], and latents and noise (1, 4, h, w)."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, SIDE, SIDE, 3, generator=generator)
    latents, noise = torch.randn(2, 1, 4, 8, 8, generator=generator)
    return {"picture": picture, "latents": latents, "noise": noise, "timestep": torch.tensor([500])}


# ---- in a ComfyUI


def comfyui_figures(path: str, out: str, wrong: str = "") -> dict:
    """Write ids, states, latents and clean latents as ComfyUI makes them of a checkpoint.

    wrong: what the family is to say wrongly.
    """
    import inside_checks as checks

    family, nodes = checks.PACK.reco_core.family, checks.PACK.nodes
    family.register(toy(family))
    state_dict, info = nodes.checkpoints.read_reco_checkpoint(Path(path))
    if wrong:
        info = dataclasses.replace(info, family=WRONG[wrong][1](info.family))
    model = nodes.unet.build_model(state_dict, info)
    clip = nodes.clip.build_clip(state_dict, info)
    vae = nodes.vae.build_vae(state_dict)
    import comfy.model_management

    tokens, given = clip.tokenize(PROMPT), inputs()
    states = checks.encode(clip, PROMPT)
    comfy.model_management.load_models_gpu([model])
    sampling, at = model.model.model_sampling, int(given["timestep"])
    sigma = sampling.sigmas[at : at + 1].float()
    with torch.inference_mode():
        encoded = vae.encode(given["picture"])
        noisy = given["latents"] + sigma * given["noise"]
        clean = model.model.apply_model(noisy, sigma, c_crossattn=states)
        latents = model.model.process_latent_in(encoded)
    figures = {"states": states, "latents": latents, "clean": clean}
    figures["ids"] = torch.tensor([token for token, _ in tokens["g"][0]])
    save_file({name: x.contiguous().clone() for name, x in figures.items()}, out)
    return {"size": nodes.loaders.start_size(clip), "keys": list(tokens)}


def saved_by_comfyui(path: str, out: str) -> dict:
    """Write a checkpoint as ReCo Save Checkpoint does, and read it again."""
    import inside_checks as checks

    family, nodes = checks.PACK.reco_core.family, checks.PACK.nodes
    family.register(toy(family))
    nodes.save.save_checkpoint(*checks.load(path), Path(out), {})
    info = nodes.checkpoints.read_reco_checkpoint(Path(out))[1]
    return {"family": info.family.name, "num_bins": info.num_bins, "heads": info.encoders[0].heads}


def refusal(path: str) -> str:
    """What ComfyUI says of the checkpoint before the family is registered."""
    import inside_checks as checks

    try:
        checks.load(path)
    except ValueError as error:
        return str(error)
    return ""


# ---- in the trainer


def trainer_figures(path: str, out: str) -> None:
    """The same as comfyui_figures, as the trainer makes them."""
    from reco_core.checkpoint_file import read_checkpoint
    from reco_core.prompt import parse_prompt
    from train.model.text_to_image import load_model

    model, given = load_model(*read_checkpoint(path)), inputs()
    ids = torch.tensor([model.words().sequence(parse_prompt(PROMPT)).ids])
    with torch.no_grad():
        told = model.condition(ids)
        drawn = given["latents"], given["noise"], given["timestep"]
        noisy = model.diffusion.add_noise(*drawn)
        predicted = model.predict(noisy, given["timestep"], told)
        clean = model.diffusion.clean(noisy, predicted, given["timestep"])
        latents, _ = model.codec.posterior(given["picture"].movedim(-1, 1) * 2 - 1)
    figures = {"ids": ids[0], "states": told.states, "latents": latents, "clean": clean}
    save_file({name: x.contiguous().clone() for name, x in figures.items()}, out)


def trainer(*words: str, registered: bool = True) -> subprocess.CompletedProcess:
    """Run this file's `main` in a process of its own."""
    kind = "registered" if registered else "unknown"
    command = [sys.executable, __file__, kind, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def main(kind: str, *words: str) -> int:
    from reco_core import family

    if kind == "registered":
        family.register(toy(family))
    if words[0] == "figures":
        trainer_figures(*words[1:])
        return 0
    from train.__main__ import main as train

    sys.argv = ["train", *words]
    return train()


# ---- the tests


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("toy")


@pytest.fixture(scope="module")
def base(folder) -> Path:
    """A plain checkpoint of the family; its metadata say nothing."""
    from random_checkpoint import TEXT_PREFIX, Size, random_state_dict

    size = Size(text_width=WIDTH, text_layers=LAYERS, max_length=77, num_bins=0, vae="kl")
    weights = random_state_dict(size, torch.float32, text_std=0.5)
    weights = {key.replace(TEXT_PREFIX, TEXT): tensor for key, tensor in weights.items()}
    save_file(weights, folder / "base.safetensors")
    return folder / "base.safetensors"


def words_of(base: Path, folder: Path, name: str) -> list[str]:
    from on_base import on_base  # which this file has no way to as a program of its own

    return [
        "fit",
        "--config",
        str(ROOT / "train/configs/shapes-captions.toml"),
        f'folder="{(folder / name).as_posix()}"',
        f'output="{(folder / f"{name}.safetensors").as_posix()}"',
        *on_base(base),
        f"model.num_bins={BINS}",
        f"model.max_length={LENGTH}",
        f"image_size={SIDE}",
        "data.sets.0.samples=8",
        "data.use_regions=true",
        "data.max_regions=2",
        "optimizer.steps=2",
        "optimizer.batch_size=2",
        "optimizer.warmup_steps=1",
        "optimizer.learning_rate=1e-2",
        "optimizer.ema_decay=0",
        "loss.contrastive_weight=0.1",
        "loss.min_snr_gamma=5.0",
        "sample.every=2",
        "sample.layouts=1",
        "sample.steps=2",
        "validation.every=2",
        "validation.samples=2",
        "log.every=1",
        'output_precision="fp32"',
    ]


@pytest.fixture(scope="module")
def trained(base, folder) -> Path:
    done = trainer(*words_of(base, folder, "trained"))
    assert done.returncode == 0, done.stderr
    return folder / "trained.safetensors"


@pytest.fixture(scope="module")
def expected(trained, folder) -> dict[str, torch.Tensor]:
    """The trainer's figures of the file it wrote."""
    done = trainer("figures", trained, folder / "expected.safetensors")
    assert done.returncode == 0, done.stderr
    return load_file(folder / "expected.safetensors")


@pytest.fixture(scope="module")
def comfy(comfyui):
    process = Inside(comfyui, "--fp32-text-enc", checks="test_toy_family")
    yield process
    process.close()


def differing(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[str]:
    """The figures that are not the same but for rounding; ids must be equal."""
    return [
        name
        for name in ("ids", "states", "latents", "clean")
        if not torch.allclose(ours[name].float(), theirs[name].float(), rtol=1e-3, atol=1e-3)
    ]


def test_trainer_and_comfyui_refuse_the_base_while_its_family_is_unknown(base, folder, comfy):
    done = trainer(*words_of(base, folder, "unknown"), registered=False)
    assert done.returncode == 2
    assert "not a Stable Diffusion 1.x checkpoint but looks like" in done.stderr
    assert "not a Stable Diffusion 1.x checkpoint" in comfy("refusal", path=str(base))


def test_two_steps_train_what_the_family_reads(base, trained, folder):
    """The layer that is read and those before it learn; the last one and its norm have no part."""
    before, after = load_file(base), load_file(trained)
    assert before.keys() == after.keys()
    changed = {key for key in before if not same_part(before[key], after[key])}
    assert any(key.startswith("model.diffusion_model.") for key in changed)
    assert f"{TEXT}encoder.layers.{LAYERS - 2}.mlp.fc1.weight" in changed
    assert not any(f"{TEXT}encoder.layers.{LAYERS - 1}." in key for key in changed)
    assert not any("final_layer_norm" in key or "first_stage_model" in key for key in changed)
    assert len(after[f"{TEXT}embeddings.token_embedding.weight"]) == 49408 + BINS
    assert len(after[f"{TEXT}embeddings.position_embedding.weight"]) == LENGTH
    lines = (folder / "trained" / "log.jsonl").read_text().splitlines()
    logged = {line["group"]: line for line in map(json.loads, lines)}
    assert logged["validation"].keys() >= {"loss", "gap"} and "samples" in logged


def same_part(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether the rows that there were are as they were."""
    return torch.equal(before, after[: len(before)] if after.ndim else after)


def test_text_states_and_latents_are_those_that_the_family_describes(trained, expected):
    """Computed by transformers and diffusers' own classes with the numbers of this file."""
    from transformers import CLIPTextConfig, CLIPTextModel

    weights, ids = load_file(trained), expected["ids"]
    used = int((ids != PADDING).nonzero().max()) + 1
    assert used < LENGTH and ids[used - 1] == 49407 and not ids[used:].any()
    config = CLIPTextConfig(
        vocab_size=49408 + BINS,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 16,
        max_position_embeddings=LENGTH,
        hidden_act="gelu",
    )
    encoder = CLIPTextModel(config).eval()
    prefix = "text_model." if "text_model" in next(iter(encoder.state_dict())) else ""
    text = {prefix + k[len(TEXT) :]: v for k, v in weights.items() if k.startswith(TEXT)}
    encoder.load_state_dict(text)
    with torch.no_grad():
        states = encoder(ids[None], output_hidden_states=True).hidden_states[-2]
    torch.testing.assert_close(expected["states"], states, rtol=1e-4, atol=1e-4)


def test_comfyui_loads_and_encodes_what_was_trained(trained, expected, folder, comfy):
    out = folder / "comfyui.safetensors"
    said = comfy("comfyui_figures", path=str(trained), out=str(out))
    assert said == {"size": [SIDE, SIDE], "keys": ["g"]}
    assert differing(load_file(out), expected) == []


@pytest.mark.parametrize("what", WRONG)
def test_whatever_the_family_says_wrongly_shows(what, trained, expected, folder, comfy):
    out = folder / "wrong.safetensors"
    comfy("comfyui_figures", path=str(trained), out=str(out), wrong=what)
    shown = differing(load_file(out), expected)
    assert WRONG[what][0] in shown
    assert what != "latent scale" or shown == ["latents"]


def test_comfyui_saves_it_as_a_file_of_its_family(trained, folder, comfy):
    out = folder / "saved.safetensors"
    said = comfy("saved_by_comfyui", path=str(trained), out=str(out))
    assert said == {"family": "toy", "num_bins": BINS, "heads": WIDTH // 16}
    ours, theirs = load_file(trained), load_file(out)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours if key.startswith(TEXT))


if __name__ == "__main__":
    sys.path += [str(ROOT), str(ROOT / "tests")]
    sys.exit(main(*sys.argv[1:]))

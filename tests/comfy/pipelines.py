"""Diffusers folders as people download them, written by diffusers and transformers themselves, and
what these libraries compute with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

NUM_BINS = 1000
PROMPT = "a <0> <0> <9> <9> red circle"


@dataclass(frozen=True)
class PipelineSize:
    """The defaults are tiny, and no two sizes of theirs alike."""

    channels: tuple[int, ...] = (32, 64, 96)
    attends: tuple[bool, ...] = (True, True, False)
    layers: int = 1
    heads: int = 4
    text_width: int = 64
    text_layers: int = 2
    text_heads: int = 2
    max_length: int = 96
    vae_channels: tuple[int, ...] = (32, 32, 64, 64)
    vae_layers: int = 1


FULL = PipelineSize(
    channels=(320, 640, 1280, 1280),
    attends=(True, True, True, False),
    layers=2,
    heads=8,
    text_width=768,
    text_layers=12,
    text_heads=12,
    max_length=616,
    vae_channels=(128, 256, 512, 512),
    vae_layers=2,
)


def save_pipeline(folder: Path, size: PipelineSize, form: str = "safetensors") -> Path:
    """A random pipeline as `hf download --local-dir` leaves it. form: of its weights' files, one of
    FORMS."""
    torch.manual_seed(0)
    unet, vae, text = _unet(size), _vae(size), _text(size)
    for model in (unet, vae, text):
        _unsettle(model)
    options = FORMS[form]
    unet.save_pretrained(folder / "unet", **options)
    vae.save_pretrained(folder / "vae", **options)
    text.save_pretrained(folder / "text_encoder", **options | {"safe_serialization": True})
    if form == "bin":
        _as_older_transformers(folder / "text_encoder", text)
    if form == "old":
        _as_older_diffusers(folder / "vae")
    _write_rest(folder)
    return folder


FORMS: dict[str, dict] = {
    "safetensors": {},
    "bin": {"safe_serialization": False},
    "fp16": {"variant": "fp16"},
    "shards": {"max_shard_size": "1MB"},
    "variant shards": {"max_shard_size": "1MB", "variant": "fp16"},
    "old": {},
}


def expected(folder: Path, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What diffusers and transformers make of inputs (below) with the folder's models, in fp32."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    files = {path.name for path in folder.rglob("*")}
    options = {"variant": "fp16"} if any("fp16" in name for name in files) else {}
    if any(name.endswith(".bin") for name in files):
        options["use_safetensors"] = False
    found = {}
    with torch.no_grad():
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", **options).float()
        found["noise"] = unet(inputs["latents"], inputs["times"], inputs["context"]).sample
        del unet
        vae = AutoencoderKL.from_pretrained(folder / "vae", **options).float()
        found["picture"] = vae.decode(inputs["latents"]).sample
        found["mean"] = vae.encode(inputs["pixels"]).latent_dist.mean
        del vae
        text = CLIPTextModel.from_pretrained(
            folder / "text_encoder", dtype=torch.float32, **options
        )
        found["states"] = text(inputs["ids"]).last_hidden_state
    return found


def example_inputs(size: PipelineSize) -> dict[str, torch.Tensor]:
    """latents (1, 4, 16, 16), times (1), context (1, L, width), pixels (1, 3, 64, 64)."""
    generator = torch.Generator().manual_seed(1)
    return {
        "latents": torch.randn(1, 4, 16, 16, generator=generator),
        "times": torch.tensor([500.0]),
        "context": torch.randn(1, size.max_length, size.text_width, generator=generator),
        "pixels": torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1,
    }


def _unet(size: PipelineSize):
    from diffusers import UNet2DConditionModel

    kinds = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in size.attends]
    return UNet2DConditionModel(
        block_out_channels=size.channels,
        down_block_types=kinds,
        up_block_types=[kind.replace("Down", "Up") for kind in kinds[::-1]],
        layers_per_block=size.layers,
        cross_attention_dim=size.text_width,
        attention_head_dim=size.heads,  # the name by which it goes in the folders of SD1
        sample_size=64,
    )


def _vae(size: PipelineSize):
    from diffusers import AutoencoderKL

    levels = len(size.vae_channels)
    return AutoencoderKL(
        block_out_channels=size.vae_channels,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        layers_per_block=size.vae_layers,
        latent_channels=4,
    )


def _text(size: PipelineSize):
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408 + NUM_BINS,
            hidden_size=size.text_width,
            intermediate_size=4 * size.text_width,
            num_hidden_layers=size.text_layers,
            num_attention_heads=size.text_heads,
            max_position_embeddings=size.max_length,
        )
    )


@torch.no_grad()
def _unsettle(model: torch.nn.Module) -> None:
    """No two norms or biases alike, so that none can take another's place unseen."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter) * 0.1)


def _as_older_transformers(folder: Path, model: torch.nn.Module) -> None:
    """A pickle, with the prefix and the buffer that those of the port have."""
    state = {
        "text_model." + key.removeprefix("text_model."): tensor
        for key, tensor in model.state_dict().items()
    }
    state["text_model.embeddings.position_ids"] = torch.arange(1000)[None]
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _as_older_diffusers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for key, tensor in load_file(file).items():
        for new, old in names.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        state[key] = tensor
    save_file(state, file, {"format": "pt"})


def _write_rest(folder: Path) -> None:
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.11.1",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    words = {f"<bin{number:03d}>": 49408 + number for number in range(NUM_BINS)}
    cache = ".cache/huggingface/download"
    for name, content in {
        "model_index.json": index,
        "scheduler/scheduler_config.json": schedule | {"_class_name": "PNDMScheduler"},
        "tokenizer/added_tokens.json": words,
        "feature_extractor/preprocessor_config.json": {},
        f"{cache}/model_index.json": index,
        f"{cache}/unet/config.json.metadata": "0123",
        ".gitattributes": "*.bin filter=lfs",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))

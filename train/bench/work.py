"""The same work for our trainer and a peer: one model, one set of pictures, two command lines."""

from __future__ import annotations

import argparse
import copy
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.command_line import in_range
from train.options import Positive, Side

ROOT = Path(__file__).resolve().parents[2]
FROZEN_PRECISION = {"no": "fp32", "bf16": "bf16", "fp16": "fp16"}
"""What the peer casts frozen weights to, by precision of the products."""


@dataclass(frozen=True)
class Size:
    """A small Stable Diffusion 1: the defaults are about a quarter as wide as the real one.

    Channels are multiples of 32, the width of a group of Stable Diffusion's normalisation.
    """

    unet_channels: tuple[int, ...] = (96, 160, 320, 320)
    unet_layers: int = 2
    unet_heads: int = 4
    vae_channels: tuple[int, ...] = (32, 64, 128, 128)
    text_width: int = 192
    text_layers: int = 12
    text_heads: int = 3


TINY = Size((32, 32), 1, 2, (32, 32, 32, 32), 32, 1, 2)
"""For a test that both trainers run, not for measurements."""


@dataclass(frozen=True)
class Work:
    """What both trainers are given; paths are absolute."""

    folder: Path
    image_size: int
    batch_size: int
    precision: str = "no"

    @property
    def model(self) -> Path:
        """A diffusers folder, which both read."""
        return self.folder / "model"

    @property
    def pictures(self) -> Path:
        """Pictures, and `metadata.jsonl` as the peer reads it."""
        return self.folder / "pictures"

    @property
    def captions(self) -> Path:
        """The same captions as our JSON lines."""
        return self.folder / "captions.jsonl"

    @property
    def config(self) -> Path:
        return self.folder / "ours.toml"

    def our_words(self, options: tuple[str, ...], steps: int, output: Path) -> list[str]:
        """What `config` is told on the command line; options: OPTION=VALUE words of a variant."""
        return [
            *options,
            f"optimizer.steps={steps}",
            f"folder={json.dumps(output.as_posix())}",
            f"output={json.dumps((output / 'trained').as_posix())}",
        ]

    def our_command(self, options: tuple[str, ...], steps: int, output: Path) -> list[str]:
        """Our trainer; options: as of our_words."""
        words = self.our_words(options, steps, output)
        return [sys.executable, "-m", "train", "fit", "--config", str(self.config), *words]

    def peer_command(self, script: Path, steps: int, output: Path) -> list[str]:
        """The peer; it takes the options of diffusers' train_text_to_image.py."""
        options = {
            "pretrained_model_name_or_path": self.model,
            "train_data_dir": self.pictures,
            "cache_dir": self.folder / "peer-cache",
            "output_dir": output,
            "resolution": self.image_size,
            "train_batch_size": self.batch_size,
            "max_train_steps": steps,
            "learning_rate": 1e-5,
            "lr_scheduler": "constant",
            "lr_warmup_steps": 0,
            "mixed_precision": self.precision,
            "checkpointing_steps": 1_000_000,
            "seed": 0,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, str(script), *words, "--center_crop"]


def add_options(parser: argparse.ArgumentParser, defaults: Any) -> None:
    """Options of a benchmark that trains on this work; defaults: has them by their names."""
    parser.add_argument("--output", type=Path, default=defaults.output, help="folder")
    parser.add_argument(
        "--steps", type=in_range(Positive), default=defaults.steps, help="measured, per run"
    )
    parser.add_argument("--batch-size", type=in_range(Positive), default=defaults.batch_size)
    parser.add_argument("--image-size", type=in_range(Side), default=defaults.image_size)
    parser.add_argument("--rounds", type=in_range(Positive), default=defaults.rounds)
    parser.add_argument("--tiny", action="store_true", help="a model too small to measure")


def make_work(work: Work, size: Size, pictures: int = 32) -> None:
    """Write model, pictures, captions and our configuration; what is there is written again."""
    work.folder.mkdir(parents=True, exist_ok=True)
    _write_model(work, size)
    _write_pictures(work, pictures)
    work.config.write_text(_our_config(work), encoding="utf-8")


def _write_model(work: Work, size: Size) -> None:
    """Random weights, as diffusers and transformers draw them."""
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline
    from diffusers import UNet2DConditionModel as UNet
    from transformers import CLIPTextConfig, CLIPTextModel

    from reco_core.autoencoder import DOWNSAMPLING
    from reco_core.family import NOISE_STEPS, SD1
    from reco_core.position_tokens import BOS_ID, CLIP_LENGTH, CLIP_VOCABULARY_SIZE, EOS_ID
    from train.model.noise import scheduler_options
    from train.model.tokenizer import clip_tokenizer

    torch.manual_seed(0)
    levels = len(size.unet_channels)
    attended = max(1, levels - 1)  # as in SD 1, the last of several levels has no attention
    down = ["CrossAttnDownBlock2D"] * attended + ["DownBlock2D"] * (levels - attended)
    up = ["UpBlock2D"] * (levels - attended) + ["CrossAttnUpBlock2D"] * attended
    unet = UNet(
        sample_size=work.image_size // DOWNSAMPLING,
        block_out_channels=size.unet_channels,
        layers_per_block=size.unet_layers,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        cross_attention_dim=size.text_width,
        attention_head_dim=size.unet_heads,  # SD 1.x configurations name the heads so
    )
    stages = len(size.vae_channels)
    vae = AutoencoderKL(
        sample_size=work.image_size,
        block_out_channels=size.vae_channels,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        layers_per_block=2,
        latent_channels=4,
    )
    text = CLIPTextConfig(
        vocab_size=CLIP_VOCABULARY_SIZE,
        hidden_size=size.text_width,
        intermediate_size=4 * size.text_width,
        projection_dim=size.text_width,
        num_hidden_layers=size.text_layers,
        num_attention_heads=size.text_heads,
        max_position_embeddings=CLIP_LENGTH,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=EOS_ID,
    )
    tokenizer = copy.deepcopy(clip_tokenizer())
    tokenizer.model_max_length = CLIP_LENGTH
    options = scheduler_options(SD1)
    schedule = {key: options[key] for key in ("beta_start", "beta_end", "beta_schedule")}
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=PNDMScheduler(NOISE_STEPS, **schedule, skip_prk_steps=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(work.model)


def _write_pictures(work: Work, count: int) -> None:
    """Rendered shapes, twice as large as trained, so that both trainers decode and resize."""
    from train.data.shapeskills import render, sample

    work.pictures.mkdir(exist_ok=True)
    ours, theirs = [], []
    for index in range(count):
        name = f"{index:04d}.jpg"
        shown = sample(index, size=2 * work.image_size)
        render(shown.scene).save(work.pictures / name, quality=90)
        caption = shown.layout.caption
        ours.append({"image": f"{work.pictures.name}/{name}", "caption": caption})
        theirs.append({"file_name": name, "text": caption})
    for path, lines in ((work.captions, ours), (work.pictures / "metadata.jsonl", theirs)):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _our_config(work: Work) -> str:
    """What the peer does: captions alone, UNet alone, no averages, nothing drawn or validated."""
    return f"""image_size = {work.image_size}
save_every = 1_000_000
keep = 1
output_precision = "fp32"

[data]
sets = [{{ kind = "json_lines", path = {json.dumps(work.captions.as_posix())} }}]
use_regions = false
crop = "centre"
flip = 0.0

[model]
base = {json.dumps(work.model.as_posix())}
num_bins = 0

[optimizer]
batch_size = {work.batch_size}
learning_rate = 1e-5
train_text_encoder = false
ema_decay = 0.0

[compute]
precision = "{work.precision}"
frozen_precision = "{FROZEN_PRECISION[work.precision]}"
attention = "sdpa"
tf32 = false

[sample]
every = 0

[validation]
every = 0

[log]
every = 1
"""

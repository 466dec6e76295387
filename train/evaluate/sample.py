"""Pictures from layouts, with diffusers' schedulers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from reco_core import DEFAULT_VOCABULARY, Layout, PositionVocabulary, build_sequence
from train.model import TextToImage
from train.noise import SCHEDULE
from train.tokenizer import plain_tokenize

SAMPLERS = {"euler": EulerDiscreteScheduler, "ddim": DDIMScheduler, "plms": PNDMScheduler}


@torch.no_grad()
def sample_layouts(
    model: TextToImage,
    layouts: Sequence[Layout],
    *,
    steps: int = 20,
    guidance: float = 3.0,
    seed: int = 0,
    sampler: str = "euler",
    batch_size: int = 50,
    progress: bool = False,
) -> list[Image.Image]:
    """One picture per layout. Layout i starts from noise of seed + i, whatever the batch size."""
    if sampler not in SAMPLERS:
        raise ValueError(f"Unknown sampler {sampler!r}: choose one of {', '.join(SAMPLERS)}.")
    images: list[Image.Image] = []
    for start in tqdm(range(0, len(layouts), batch_size), desc="sampling", disable=not progress):
        chunk = layouts[start : start + batch_size]
        noise = torch.stack([_noise(layout, seed + start + i) for i, layout in enumerate(chunk)])
        latents = denoise(model, chunk, noise, steps, guidance, sampler)
        images += [to_image(picture) for picture in model.codec.decode(latents)]
    return images


def denoise(
    model: TextToImage,
    layouts: Sequence[Layout],
    noise: Tensor,
    steps: int,
    guidance: float,
    sampler: str = "euler",
) -> Tensor:
    """noise (B, 4, h, w) of unit spread -> latents (B, 4, h, w), with classifier-free guidance."""
    scheduler = SAMPLERS[sampler].from_config(SCHEDULE, timestep_spacing="linspace")
    scheduler.set_timesteps(steps)
    device = model.unet.device
    latents = noise.to(device) * scheduler.init_noise_sigma
    states = model.text_states(token_ids(model, [*layouts, *(Layout("") for _ in layouts)]))
    for t in scheduler.timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        wanted, empty = model.unet(both, t.to(device), states).sample.chunk(2)
        latents = scheduler.step(empty + guidance * (wanted - empty), t, latents).prev_sample
    return latents


def token_ids(model: TextToImage, layouts: Sequence[Layout]) -> Tensor:
    """(B, L) ids of layouts; raises ValueError for one that does not fit into L."""
    vocabulary = PositionVocabulary(model.num_bins) if model.num_bins else DEFAULT_VOCABULARY
    if not model.num_bins:  # a caption-only model
        layouts = [replace(layout, regions=()) for layout in layouts]
    sequences = [build_sequence(x, plain_tokenize(), model.max_length, vocabulary) for x in layouts]
    for layout, sequence in zip(layouts, sequences, strict=True):
        if sequence.overflow or not sequence.caption_fits:
            raise ValueError(
                f"The layout {layout.caption!r} needs {sequence.needed} tokens, more than the "
                f"checkpoint's {model.max_length}: shorten its texts or remove regions."
            )
    return torch.tensor([s.ids for s in sequences], device=model.unet.device)


def to_image(picture: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1] -> PIL RGB."""
    pixels = ((picture + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def _noise(layout: Layout, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, layout.height // 8, layout.width // 8, generator=generator)

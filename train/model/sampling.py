"""Pictures from layouts, with diffusers' schedulers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import diffusers
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from reco_core.autoencoder import DOWNSAMPLING, LATENT_CHANNELS
from reco_core.family import Family
from reco_core.layout import Layout
from train.model.compute import OutOfMemory, first_line, free_memory, is_out_of_memory
from train.model.noise import scheduler_options
from train.model.text_to_image import TextToImage

LDM_TIMESTEPS = {"timestep_spacing": "leading", "steps_offset": 1, "set_alpha_to_one": False}
SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}),
    "ddim": ("DDIMScheduler", LDM_TIMESTEPS),
    "plms": ("PNDMScheduler", {"skip_prk_steps": True, **LDM_TIMESTEPS}),
}
"""Short names; ddim and plms have the timesteps of the paper's code."""


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
    """One picture per layout, of its size. Layout i starts from noise of seed + i, whatever it is
    drawn with. Raises OutOfMemory as sample_batch does."""
    order = sorted(range(len(layouts)), key=lambda i: latent_size(layouts[i]))
    images: dict[int, Image.Image] = {}
    with tqdm(total=len(layouts), desc="sampling", disable=not progress) as bar:
        for _, alike in groupby(order, key=lambda i: latent_size(layouts[i])):
            numbers = list(alike)
            for start in range(0, len(numbers), batch_size):
                batch = numbers[start : start + batch_size]
                chunk, seeds = [layouts[i] for i in batch], [seed + i for i in batch]
                drawn = sample_batch(model, chunk, seeds, steps, guidance, sampler)
                images |= zip(batch, drawn, strict=True)
                bar.update(len(batch))
    return [images[i] for i in range(len(layouts))]


@dataclass(frozen=True)
class Start:
    """Latents (B, 4, h, w), and the share of the way from noise that is gone over, above 0 to 1."""

    latents: Tensor
    strength: float


@dataclass(frozen=True)
class SecondPass:
    """Enlarge latents by `scale`, noise them again and draw over them, as people make pictures that
    are larger than a checkpoint's own size: Upscale Latent By (nearest-exact), and a KSampler whose
    denoise is `strength`, 0 to 1."""

    scale: float
    strength: float

    def size_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height in pixels of what becomes of a picture."""
        width, height = (int(side // DOWNSAMPLING * self.scale) * DOWNSAMPLING for side in size)
        return width, height


@torch.no_grad()
def sample_batch(
    model: TextToImage,
    layouts: Sequence[Layout],
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    sampler: str,
    second: SecondPass | None = None,
) -> list[Image.Image]:
    """Pictures of layouts of one size, each from the noise of its own seed; drawn in smaller
    batches where memory runs out, and decoded one by one.

    second: the pictures are of the layouts' size times its scale.

    Raises:
        OutOfMemory: there is not enough of it for one picture.
    """
    images: list[Image.Image] = []
    size = len(layouts)
    while len(images) < len(layouts):
        part = slice(len(images), len(images) + size)
        failure = ""
        try:
            images += _sample(model, layouts[part], seeds[part], steps, guidance, sampler, second)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure = first_line(error)
        if failure:  # outside of the block: the error holds what is to be freed
            size = len(layouts[part]) // 2
            free_memory()
            if not size:
                raise OutOfMemory(failure, "while a single picture was drawn")
    return images


def _sample(
    model: TextToImage,
    layouts: Sequence[Layout],
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    sampler: str,
    second: SecondPass | None,
) -> list[Image.Image]:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def noise(height: int, width: int) -> Tensor:
        return torch.stack(
            [torch.randn(LATENT_CHANNELS, height, width, generator=g) for g in generators]
        )

    options = steps, guidance, sampler, generators
    latents = denoise(model, layouts, noise(*latent_size(layouts[0])), *options)
    if second:
        large = interpolate(latents, scale_factor=second.scale, mode="nearest-exact")
        start = Start(large, second.strength)
        latents = denoise(model, layouts, noise(*large.shape[-2:]), *options, start)
    return [to_image(model.codec.decode(one)[0]) for one in latents.split(1)]


def latent_size(layout: Layout) -> tuple[int, int]:
    """Height and width of a layout's latents."""
    return layout.height // DOWNSAMPLING, layout.width // DOWNSAMPLING


def denoise(
    model: TextToImage,
    layouts: Sequence[Layout],
    noise: Tensor,
    steps: int,
    guidance: float,
    sampler: str = "euler",
    generators: list[torch.Generator] | None = None,
    start: Start | None = None,
) -> Tensor:
    """noise (B, 4, h, w) of unit spread -> latents (B, 4, h, w), with classifier-free guidance.

    generators: one per layout, for samplers that add noise on the way.
    start: latents to begin with instead of noise alone; `steps` are done either way.
    """
    scheduler = build_scheduler(sampler, model.family)
    device = model.unet.device
    if start is None:
        scheduler.set_timesteps(steps)
        timesteps = scheduler.timesteps
        latents = noise.to(device) * scheduler.init_noise_sigma
    else:
        whole = int(steps / start.strength)  # as KSampler's denoise
        scheduler.set_timesteps(whole)
        begin = (whole - steps) * scheduler.order
        timesteps = scheduler.timesteps[begin:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
        first = timesteps[:1].repeat(len(noise))
        latents = scheduler.add_noise(start.latents, noise.to(device), first)
    told = model.condition(token_ids(model, [*layouts, *(Layout("") for _ in layouts)]))
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    options = {"generator": generators} if takes_generator else {}
    for t in timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        wanted, empty = model.predict(both, t.to(device), told).chunk(2)
        guided = empty + guidance * (wanted - empty)
        latents = scheduler.step(guided, t, latents, **options).prev_sample
    return latents


def build_scheduler(name: str, family: Family) -> Any:
    """A scheduler of diffusers on a family's noise schedule.

    name: a key of SAMPLERS, or the name of a scheduler's class in diffusers.

    Raises:
        ValueError: diffusers has no such scheduler.
    """
    kind, options = SAMPLERS.get(name, (name, {}))
    scheduler = getattr(diffusers, kind, None) if kind.endswith("Scheduler") else None
    if scheduler is None:
        raise ValueError(
            f"unknown sampler {name!r}: choose {', '.join(SAMPLERS)} or the name of a scheduler "
            "of diffusers, such as DPMSolverMultistepScheduler"
        )
    known = inspect.signature(scheduler.__init__).parameters
    options = {k: v for k, v in {**scheduler_options(family), **options}.items() if k in known}
    return scheduler(**options)


def token_ids(model: TextToImage, layouts: Sequence[Layout]) -> Tensor:
    """(B, L) ids of what can be told of layouts: `Words.told` says what is lost."""
    words = model.words()
    sequences = [words.sequence(words.told(layout)[0]) for layout in layouts]
    return torch.tensor([s.ids for s in sequences], device=model.unet.device)


def to_image(picture: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1] -> PIL RGB."""
    pixels = ((picture + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())

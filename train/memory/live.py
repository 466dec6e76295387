"""The memory of a training step, found by doing the step with tensors that have no content.

torch's fake tensors have shapes, types and lifetimes, and go through the same code, autograd and
recomputation included, as real ones; whoever watches them being made and freed knows how much
memory a real step needs.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count
from tqdm import tqdm

from reco_core.autoencoder import DOWNSAMPLING, LATENT_CHANNELS
from reco_core.layout import Layout
from train.data.batch import Batch
from train.fit.losses import Noise, sample_losses
from train.fit.options import FitConfig
from train.model.grounding import record_cross_attention
from train.model.sampling import denoise
from train.model.text_to_image import TextToImage
from train.precision import dtype_of

_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_CPU_ATTENTION_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class StepMemory:
    """Bytes beside the weights during forward and backward passes."""

    kept: int
    """At the end of a forward pass: what is kept for the backward pass."""
    peak: int
    """At the highest point, gradients included."""
    flops: int = 0
    """Operations of a sample's forward and backward passes, recomputation included."""


class LiveBytes(TorchDispatchMode):
    """Within a with block: bytes of tensors that were made there and are still alive.

    Works for real and fake tensors; views and tensors that share memory count once.
    known: tensors that were there before, such as weights, and count nothing.
    """

    def __init__(self, known: Iterable[Tensor] = ()):
        super().__init__()
        self.now = self.peak = 0
        self.bar = tqdm(desc="counting", unit=" operations", delay=2, leave=False, disable=None)
        self._alive: dict[int, weakref.ref] = {}
        self._known = [tensor.untyped_storage() for tensor in known]
        self._known_ids = {id(storage) for storage in self._known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.bar.update()
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key in self._known_ids or key in self._alive:
            return
        size = storage.nbytes()
        self._alive[key] = weakref.ref(storage, partial(self._forget, key, size))
        self.now += size
        self.peak = max(self.peak, self.now)

    def _forget(self, key: int, size: int, _: object) -> None:
        del self._alive[key]
        self.now -= size


class Operations(TorchDispatchMode):
    """Within a with block: floating-point operations, by torch's own formulas.

    torch's FlopCounterMode watches modules as well, by hooks that keep their activations alive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        kind = func._overloadpacket
        if kind in flop_registry:
            self.count += flop_registry[kind](*args, **(kwargs or {}), out_val=made)
        elif kind is _CPU_ATTENTION:  # of which torch has no formula
            self.count += sdpa_flop_count(*(one.shape for one in args[:3]))
        elif kind is _CPU_ATTENTION_BACKWARD:
            self.count += sdpa_backward_flop_count(*(one.shape for one in args[:4]))
        return made


class Answer(TorchDispatchMode):
    """Numbers that code reads out of fake tensors: how many regions the fullest sample has."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return self.number
        return func(*args, **(kwargs or {}))


def compute_norms_as_cuda(model: TextToImage) -> None:
    """On CUDA autocast computes norms in fp32, on a CPU it does not: do so from now on."""
    for part in _modules(model):
        for module in part.modules():
            if isinstance(module, nn.GroupNorm):
                module.forward = partial(_group_norm, module)
            elif isinstance(module, nn.LayerNorm):
                module.forward = partial(_layer_norm, module)


def _group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    weight, bias = norm.weight.float(), norm.bias.float()
    return F.group_norm(x.float(), norm.num_groups, weight, bias, norm.eps)


def _layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    shape = list(norm.normalized_shape)
    return F.layer_norm(x.float(), shape, norm.weight.float(), norm.bias.float(), norm.eps)


def step_memory(model: TextToImage, config: FitConfig, micro_batch: int, passes: int) -> StepMemory:
    """What forward and backward passes of micro-batches take, gradients adding up.

    model: of fake tensors, under their FakeTensorMode, or of real ones, whose gradients change.
    """
    batch, drawn = step_inputs(model, config, micro_batch)
    recorders = record_cross_attention(model.unet) if config.loss.grounding_weight else []
    precision = config.compute.precision
    dtype = None if precision == "no" else dtype_of(precision)
    live, kept = LiveBytes(_weights(model)), 0
    operations = Operations()
    with ExitStack() as stack:
        stack.enter_context(live.bar)
        stack.enter_context(operations)
        stack.enter_context(live)
        stack.enter_context(Answer(config.data.max_regions))
        for _ in range(passes):
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                losses = sample_losses(model, batch, drawn, recorders, config.loss)
                mean = losses["total"].mean()
            kept = kept or live.now
            mean.backward()
            del losses, mean
    return StepMemory(kept, live.peak, operations.count // (passes * micro_batch))


@torch.no_grad()
def grid_memory(model: TextToImage, config: FitConfig) -> int:
    """The most that drawing a sample grid takes beside the weights, in bytes: all its layouts are
    denoised together, with and without their texts, and decoded one by one.

    model: as of step_memory.
    """
    if not (config.sample.every and config.sample.layouts):
        return 0
    (width, height), count = largest_picture(config), config.sample.layouts
    layouts = [Layout("", (), width, height)] * count
    noise = torch.zeros(count, LATENT_CHANNELS, height // DOWNSAMPLING, width // DOWNSAMPLING)
    dtype = None if config.compute.precision == "no" else dtype_of(config.compute.precision)
    live, autocast = LiveBytes(_weights(model)), torch.autocast("cpu", dtype, dtype is not None)
    with live.bar, live, Answer(1), autocast:
        latents = denoise(model, layouts, noise, 1, config.sample.guidance, "ddim")
        model.codec.decode(latents[:1])
    return live.peak


def _weights(model: TextToImage) -> list[Tensor]:
    return [*model.parameters(), *(b for m in _modules(model) for b in m.buffers())]


def _modules(model: TextToImage) -> tuple[torch.nn.Module, ...]:
    return model.unet, model.text_encoder, model.codec.autoencoder


def largest_picture(config: FitConfig) -> tuple[int, int]:
    """Width and height of the largest pictures that are trained on: the square, unless buckets
    are given by their sizes."""
    if not config.data.bucket_sizes:
        return config.image_size, config.image_size
    return max(config.data.bucket_sizes, key=lambda size: size[0] * size[1])


def step_inputs(model: TextToImage, config: FitConfig, size: int) -> tuple[Batch, Noise]:
    """A micro-batch of the largest pictures, or of their latents where those are cached."""
    (width, height), regions = largest_picture(config), config.data.max_regions
    latents = torch.zeros(size, LATENT_CHANNELS, height // DOWNSAMPLING, width // DOWNSAMPLING)
    cached = config.data.cache_latents
    batch = Batch(
        ids=torch.zeros(size, model.max_length, dtype=torch.long),
        boxes=torch.zeros(size, regions, 4),
        spans=torch.zeros(size, regions, 2, dtype=torch.long),
        present=torch.ones(size),
        pictures=latents if cached else torch.zeros(size, 3, height, width),
        spread=latents if cached else None,
    )
    return batch, Noise(latents, torch.zeros(size, dtype=torch.long), latents)

"""Weights, gradients, moments and averages spread over processes, by torch's FSDP2.

`fully_shard` leaves each process its rows of every tensor, a DTensor. A block's weights come
together while it computes, and each process gets its rows of the gradients' mean.
"""

from __future__ import annotations

import atexit
import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.distributed as dist
from accelerate import Accelerator
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from train.fit.agreement import check_agreement, model_tensors
from train.model.options import ComputeConfig
from train.model.text_to_image import TextToImage, final_norm

BLOCKS = (ResnetBlock2D, Transformer2DModel, CLIPEncoderLayer)
"""What comes together at once."""


def is_part(value: object) -> bool:
    """Whether a tensor is spread over processes."""
    return isinstance(value, DTensor)


def own_part(tensor: Tensor) -> Tensor:
    """A process's own rows of a tensor that is spread, as a view; any other as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, which processes bring together: every one has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_model(
    model: TextToImage, config: ComputeConfig, accelerator: Accelerator
) -> WholeModel | None:
    """Spread what learns over processes, where the engine is FSDP; returns a whole copy then.

    Raises:
        ValueError: processes do not begin with the same weights.
    """
    if config.engine != "fsdp":
        return None
    check_agreement(model_tensors(model), {}, accelerator, "At the start")
    copied = WholeModel(model, accelerator)
    half = {"bf16": torch.bfloat16}
    # Autocast alone would keep a copy in bf16 of every weight that it has seen.
    policy = MixedPrecisionPolicy(
        param_dtype=half.get(config.precision),
        reduce_dtype=half.get(config.gradient_precision, torch.float32),
    )
    mesh = start_mesh(accelerator.device)
    for module in filter(learns, (model.unet, model.text_encoder)):
        for part in (*_blocks(module), module):
            fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    return copied


def learns(module: nn.Module) -> bool:
    """Whether all of it does, as in full fine-tuning, or nothing."""
    return all(parameter.requires_grad for parameter in module.parameters())


def start_mesh(device: torch.device) -> DeviceMesh:
    """All processes in one row; a process that nobody launched is a row of its own."""
    if not dist.is_initialized():
        backend = dist.get_default_backend_for_device(device.type)
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    # Else threads of its groups outlive the interpreter, which aborts.
    atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
    return init_device_mesh(device.type, (dist.get_world_size(),))


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Parts that come together by themselves, the last norm too, which is asked for alone."""
    yield from (part for part in module.modules() if isinstance(part, BLOCKS))
    if any(isinstance(part, CLIPEncoderLayer) for part in module.modules()):
        yield final_norm(module)


class WholeModel:
    """A model like the one that is spread, with all weights, for what the main process does alone:
    validation, sample sheets and files. It waits on the CPU.

    model: on other processes the one that is spread.
    """

    def __init__(self, model: TextToImage, accelerator: Accelerator):
        self.device, self.is_main = accelerator.device, accelerator.is_main_process
        self.copies: dict[str, nn.Module] = {}
        if self.is_main:
            parts = {"unet": model.unet, "text_encoder": model.text_encoder}
            for name, module in parts.items():
                if learns(module):
                    self.copies[name] = copy.deepcopy(module.cpu())
                    module.to(self.device)
        self.model: TextToImage = replace(model, **self.copies)

    @torch.no_grad()
    def fill(self, weights: Iterable[Tensor]) -> None:
        """Give it these weights, in the order of its parameters that learn; every process has to
        call it."""
        ours = (parameter for part in self.copies.values() for parameter in part.parameters())
        for weight in weights:
            full = whole(weight)
            if self.is_main:
                next(ours).copy_(full)

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Within, it is on the device."""
        try:
            for part in self.copies.values():
                part.to(self.device)
            yield
        finally:
            for part in self.copies.values():
                part.cpu()

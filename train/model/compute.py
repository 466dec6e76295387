"""How the arithmetic is done: memory layout, attention kernel, recomputation, compilation."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from accelerate import Accelerator, DistributedType, InitProcessGroupKwargs
from accelerate.utils.memory import should_reduce_batch_size
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor

from train.model.onednn import use_onednn
from train.model.options import ComputeConfig
from train.model.text_to_image import TextToImage
from train.precision import dtype_of

ONEDNN_FAILURE = "could not create a primitive"
"""How convolutions on a CPU report that they got no memory."""
PATIENCE = timedelta(hours=24)
"""How long processes wait for one that encodes a data set."""


def start_accelerator(config: ComputeConfig) -> Accelerator:
    """The device of this process, its place among others, and mixed precision.

    Raises:
        ValueError: accelerate is configured for an engine that would not be used.
    """
    _refuse_other_engines()
    if config.threads:
        torch.set_num_threads(config.threads)
    # Both: torch allows it in convolutions unless it is told otherwise.
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    torch.backends.cudnn.allow_tf32 = config.tf32
    return Accelerator(
        mixed_precision=config.precision,
        cpu=not torch.accelerator.is_available(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )


def _refuse_other_engines() -> None:
    for name in (*(kind.value for kind in DistributedType), "PARALLELISM_CONFIG"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("true", "1"):
            raise ValueError(
                f"accelerate is configured for {name} (ACCELERATE_USE_{name}), but compute.engine "
                "(ddp or fsdp) says here how processes train together: leave it out in "
                "`accelerate config`, or start with `python -m torch.distributed.run`"
            )


def prepare_model(model: TextToImage, config: ComputeConfig, device: torch.device) -> None:
    """Move the model to its device and apply the options of `compute`.

    Weights that learn stay fp32; call after `requires_grad` is set.

    Raises:
        ValueError: some of UNet or text encoder would be frozen in half precision and the rest
            would compute in fp32.
    """
    frozen = dtype_of(config.frozen_precision)
    _check_precisions(model, config)
    for module in (model.unet, model.text_encoder, model.codec.autoencoder):
        module.to(device)
        is_codec = module is model.codec.autoencoder
        for parameter in module.parameters():
            # Beside fp32 weights norms and biases stay fp32: autocast on a CPU does not mix them.
            if not parameter.requires_grad and (is_codec or parameter.dim() > 1):
                parameter.data = parameter.data.to(frozen)
            if parameter.dim() == 4:
                layout = _layout(config, parameter)
                parameter.data = parameter.data.contiguous(memory_format=layout)
        if device.type == "cpu" and not config.compile:  # which goes to oneDNN by itself
            use_onednn(module)
    use_fused = config.attention == "sdpa"
    model.unet.set_attn_processor(AttnProcessor2_0() if use_fused else AttnProcessor())
    model.text_encoder.set_attn_implementation("sdpa" if use_fused else "eager")
    if config.gradient_checkpointing:
        model.unet.enable_gradient_checkpointing()
        model.text_encoder.gradient_checkpointing_enable({"use_reentrant": False})
    if config.compile:
        model.unet.compile()


def _layout(config: ComputeConfig, weight: Tensor) -> torch.memory_format:
    """Of a convolution. On a CPU gradients come contiguous, and so does what the optimiser reads:
    fp32 weights that learn would be turned around three times in a step. Only contiguous ones can
    be spread over processes."""
    in_fp32 = weight.device.type == "cpu" and config.precision == "no"
    turned = weight.requires_grad and (in_fp32 or config.engine == "fsdp")
    return torch.channels_last if config.channels_last and not turned else torch.contiguous_format


def _check_precisions(model: TextToImage, config: ComputeConfig) -> None:
    weights = [*model.unet.parameters(), *model.text_encoder.parameters()]
    is_mixed = config.frozen_precision != "fp32" and config.precision == "no"
    if is_mixed and not all(weight.requires_grad for weight in weights):
        raise ValueError(
            f"compute.frozen_precision = {config.frozen_precision!r} with compute.precision = "
            f"'no': half-precision weights do not mix with fp32, set compute.precision = 'bf16' "
            "or 'fp16'"
        )


IN_TRAINING = (
    "end what else uses the device, or let less be held at once (a smaller image_size, "
    "compute.precision = 'bf16', LoRA)"
)


class OutOfMemory(ValueError):
    """Memory ran out; says when and what to do. cause: what the error said; when: "while ..."."""

    def __init__(self, cause: str, when: str, advice: str = IN_TRAINING):
        super().__init__(f"memory ran out {when} ({cause}): {advice}")
        self.cause = cause


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def memory_errors_told(when: str, advice: str = "") -> Iterator[None]:
    """Within, a memory error becomes one of one line; when: as of OutOfMemory.

    advice: what to do, where it is not what helps in training.
    """
    try:
        yield
    except OutOfMemory as error:
        if not advice:
            raise
        raise OutOfMemory(error.cause, when, advice) from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(first_line(error), when, advice or IN_TRAINING) from error


def free_memory() -> None:
    """Give back what nothing refers to any more; call it when the error's block is left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def taken(size: int, device: torch.device) -> Iterator[None]:
    """Within, so many bytes of the device's memory are in use."""
    block = torch.empty(size, dtype=torch.uint8, device=device)
    yield
    del block


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that a device, or the CPU, has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or should_reduce_batch_size(error):
        return True
    return ONEDNN_FAILURE in str(error)

"""Counts of a configuration's weights, gradients, optimiser states, averages and activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from reco_core.autoencoder import LATENT_CHANNELS, has_tiny_autoencoder
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_info import full_size
from reco_core.checkpoint_input import read_any
from reco_core.diffusers_keys import kl_keys, text_keys, unet_keys
from reco_core.extension import RECO
from reco_core.family import SD1, Family
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from reco_core.weights import find_family
from train.fit.optimizer import choose_trained, optimizer_bytes, trained_parameters
from train.fit.options import FitConfig
from train.memory.live import compute_norms_as_cuda, grid_memory, largest_picture, step_memory
from train.memory.plan import MemoryPlan
from train.model.architecture import empty_text_encoder, unet_heads
from train.model.autoencoder import build_autoencoder
from train.model.compute import prepare_model
from train.model.latents import TinyCodec, load_codec
from train.model.noise import kept_signal
from train.model.options import ModelConfig
from train.model.text_to_image import (
    TextToImage,
    extends,
    load_networks,
    new_model,
    new_tables,
    with_autoencoder,
)
from train.precision import dtype_of


def count_memory(config: FitConfig, processes: int = 1) -> MemoryPlan:
    """What a run of this configuration takes on each device, in bytes.

    processes: that share a batch; they matter where micro_batch leaves the size to them.

    Raises:
        ValueError: options that do not go together, or a base that is no Stable Diffusion 1.x.
    """
    if config.compute.engine == "fsdp" and processes > 1:
        raise ValueError(
            f"compute.engine = 'fsdp' spreads the model over {processes} processes, and this "
            "counts one that holds all of it: give compute.engine=ddp, and divide weights, "
            f"gradients, optimiser and averages by {processes}"
        )
    options = config.optimizer
    micro_batch = options.micro_batch or options.batch_size // processes
    if micro_batch < 1:
        raise ValueError(
            f"optimizer.batch_size = {options.batch_size} gives {processes} processes less than "
            "a sample each: use a larger batch or fewer processes"
        )
    passes = min(2, max(1, options.batch_size // (processes * micro_batch)))  # the rest is alike
    model, base = empty_model(config)
    kept_signal(model.family.noise)  # remembered by its module: it must not be a fake one
    with FakeTensorMode(allow_non_fake_inputs=True):
        give_fake_weights(model)
        if config.compute.precision != "no":
            compute_norms_as_cuda(model)
        parts = (model.unet, model.text_encoder, model.codec.autoencoder)
        trained = trained_parameters(*parts[:2])
        averaged = trained_parameters(*(parts[:2] if options.ema_text else parts[:1]))
        grid = grid_memory(model, config)
        step = step_memory(model, config, micro_batch, passes)
    unet, text, vae = (_size(module.parameters()) for module in parts)
    return MemoryPlan(
        base=base,
        picture=largest_picture(config),
        max_length=model.max_length,
        micro_batch=micro_batch,
        unet=unet,
        text_encoder=text,
        autoencoder=vae,
        gradients=_size(trained),
        optimizer=optimizer_bytes(trained, options),
        average=_size(averaged) if options.ema_decay else 0,
        kept_for_backward=step.kept,
        step_peak=step.peak,
        grid_peak=grid,
        flops=step.flops,
        states=config.keep + 1,
        output=_output_size(config, model, vae),
        files=1 + (config.optimizer.steps // every if (every := config.export_every) else 0),
    )


def empty_model(config: FitConfig) -> tuple[TextToImage, str]:
    """The model that would be trained, ready to train but on the meta device, and where its sizes
    are from.

    Only shapes are read of a base, and one that is not there is taken to be a Stable Diffusion 1.x
    of full size.
    """
    if config.model.base:
        state, metadata, origin = _open_base(config.model)
        model = _without_memory(state, metadata, config.model)
    else:
        with torch.device("meta"):
            model = new_model(config.model, TinyCodec(build_autoencoder(), SD1), config.seed)
        origin = "a new model"
    with torch.device("meta"):
        choose_trained(model, config)
    prepare_model(model, replace(config.compute, compile=False), torch.device("meta"))
    return model, origin


def give_fake_weights(model: TextToImage, device: str = "cpu") -> None:
    """Replace weights on the meta device by fake ones of another; call under a FakeTensorMode."""
    give_weights(model, lambda weight: torch.empty_like(weight, device=device))


def give_weights(model: TextToImage, make: Callable[[Tensor], Tensor]) -> None:
    """Replace weights on the meta device by what is made of each."""
    for part in (model.unet, model.text_encoder, model.codec.autoencoder):
        for module in part.modules():
            for name, weight in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(make(weight), weight.requires_grad))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, make(buffer))


def _without_memory(
    state: dict[str, Tensor], metadata: dict[str, str], config: ModelConfig
) -> TextToImage:
    """As load_model, on the meta device."""
    is_tiny, family = has_tiny_autoencoder(state), find_family(state)  # its weights tell its size
    on_meta = {key: torch.empty_like(tensor, device="meta") for key, tensor in state.items()}
    with torch.device("cpu" if is_tiny else "meta"):
        codec = load_codec(state if is_tiny else on_meta, family)
    codec.autoencoder.to("meta")
    with torch.device("meta"):
        extended = _extended(on_meta, metadata, config)
        if extended is not on_meta:
            metadata = metadata | RECO
        info = describe_checkpoint(extended, metadata)
        networks = load_networks(extended, info)
    return TextToImage(*networks, codec, info)


def _open_base(config: ModelConfig) -> tuple[dict[str, Tensor], dict[str, str], str]:
    """The base as a single file, mapped or on the meta device, its metadata, and what it is."""
    if not Path(config.base).exists():
        return _full_size(SD1), {}, f"{SD1.title}, as there is no {config.base!r}"
    tensors, metadata = read_any(Path(config.base))
    if config.autoencoder:
        tensors = with_autoencoder(tensors, read_any(Path(config.autoencoder))[0])
    return tensors, metadata, config.base


def _full_size(family: Family) -> dict[str, Tensor]:
    """A family's tensors on the meta device; blocks are diffusers' defaults, Stable Diffusion's."""
    info, levels = full_size(family), len(family.vae_channels)
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=family.unet_channels,
            cross_attention_dim=info.context_width,
            attention_head_dim=unet_heads(info, family.unet_channels),
        )
        vae = AutoencoderKL(
            block_out_channels=family.vae_channels,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=2,
            latent_channels=LATENT_CHANNELS,
        )
    text, (encoder,) = empty_text_encoder(info), family.encoders
    return {
        **_named(unet.state_dict(), unet_keys(unet.state_dict())),
        **_named(vae.state_dict(), kl_keys(vae.state_dict())),
        **_named(text.state_dict(), text_keys(text.state_dict(), encoder)),
    }


def _named(tensors: Mapping[str, Tensor], keys: Mapping[str, str]) -> dict[str, Tensor]:
    return {keys[key]: tensor for key, tensor in tensors.items()}


def _extended(
    state: dict[str, Tensor], metadata: dict[str, str], config: ModelConfig
) -> dict[str, Tensor]:
    """With tables as long as extend_checkpoint would make them, which looks at their content."""
    info = describe_checkpoint(state, metadata)
    if not extends(config, info):
        return state
    tables, extended = new_tables(config), dict(state)
    rows = (CLIP_VOCABULARY_SIZE + tables.num_bins, tables.max_length)
    for encoder, size in zip(info.family.encoders, info.encoders, strict=True):
        extended |= {
            key: torch.empty(count, size.width)
            for key, count in zip(encoder.tables, rows, strict=True)
        }
    return extended


def _output_size(config: FitConfig, model: TextToImage, vae: int) -> int:
    item = dtype_of(config.output_precision).itemsize
    modules = (model.unet, model.text_encoder)
    if config.lora.rank or config.lora.text_rank:
        return item * sum(p.numel() for p in trained_parameters(*modules))
    return vae + item * sum(p.numel() for module in modules for p in module.parameters())


def _size(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() * p.element_size() for p in parameters)

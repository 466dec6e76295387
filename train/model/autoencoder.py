"""The small autoencoder of a from-scratch checkpoint: trained slim, written as a stock TAESD.

TAESD's blocks end in a ReLU after the skip connection, so a block whose convolutions are zero
passes its (non-negative) input on unchanged, and a channel of zeros stays zero. A slim network,
with fewer blocks and channels, can therefore be written into the full TAESD architecture without
changing any picture; ComfyUI and diffusers open the result as they open any TAESD.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import DecoderTiny, EncoderTiny
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn

from reco_core.autoencoder import LATENT_CHANNELS
from train.model.options import AutoencoderConfig

STOCK_WIDTH = 64
STOCK_ENCODER_BLOCKS = (1, 3, 3, 3)
STOCK_DECODER_BLOCKS = (3, 3, 3, 1)


def build_autoencoder(
    width: int = STOCK_WIDTH,
    encoder_blocks: tuple[int, ...] = STOCK_ENCODER_BLOCKS,
    decoder_blocks: tuple[int, ...] = STOCK_DECODER_BLOCKS,
) -> AutoencoderTiny:
    """An AutoencoderTiny of the given size; the defaults are TAESD's own.

    A level of no blocks keeps a ReLU, which is what a block of zeros does.
    """
    channels = (width,) * 4
    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=tuple(max(1, count) for count in encoder_blocks),
        num_decoder_blocks=tuple(max(1, count) for count in decoder_blocks),
    )
    for part, blocks in ((model.encoder, encoder_blocks), (model.decoder, decoder_blocks)):
        _replace_empty_levels(part.layers, blocks)
    return model


def _replace_empty_levels(layers: nn.Sequential, blocks: tuple[int, ...]) -> None:
    indices = [i for i, layer in enumerate(layers) if isinstance(layer, AutoencoderTinyBlock)]
    for count in blocks:
        level, indices = indices[: max(1, count)], indices[max(1, count) :]
        if count == 0:
            layers[level[0]] = nn.ReLU()


@torch.no_grad()
def start_as_thumbnail(model: AutoencoderTiny, spread: float = 0.35) -> None:
    """Set weights so that three latents hold the mean colour of their 8x8 pixels, roughly centred.

    Residual branches start at zero, so training begins with a blocky picture and only sharpens it.
    spread: standard deviation of colours in [0, 1].
    """
    _pass_on(model)
    for part in (model.encoder, model.decoder):
        for conv in part.layers:
            if isinstance(conv, nn.Conv2d):
                _pass_colours(conv)
    encode, decode = model.encoder.layers[-1], model.decoder.layers[0]
    encode.weight[:3] /= spread
    encode.bias[:3] = -0.5 / spread
    decode.weight[:3] *= spread
    decode.bias[:3] = 0.5


def _pass_on(model: AutoencoderTiny) -> None:
    """Set every block's residual branch to zero."""
    for block in model.modules():
        if isinstance(block, AutoencoderTinyBlock):
            nn.init.zeros_(block.conv[-1].weight)
            nn.init.zeros_(block.conv[-1].bias)


def _pass_colours(conv: nn.Conv2d) -> None:
    """Copy channels 0 to 2, averaging 2x2 pixels where the convolution halves the size."""
    conv.weight[:3] = 0.0
    taps = slice(1, 3) if conv.stride == (2, 2) else slice(1, 2)
    for channel in range(3):
        conv.weight[channel, channel, taps, taps] = 1.0 / (taps.stop - taps.start) ** 2
    if conv.bias is not None:
        conv.bias[:3] = 0.0


def autoencoder_loss(model: AutoencoderTiny, images: Tensor, config: AutoencoderConfig) -> Tensor:
    """Reconstruction error with noisy latents plus the pull on the latents' moments.

    images: (B, 3, H, W) in [-1, 1].
    """
    latents = model.encoder(images).float()
    noisy = latents + config.latent_noise * torch.randn_like(latents)
    decoded = model.decoder(noisy).float()
    error = F.l1_loss(decoded, images) + F.mse_loss(decoded, images)
    edges = sum(F.l1_loss(decoded.diff(dim=d), images.diff(dim=d)) for d in (-1, -2))
    return error + config.edge_weight * edges + config.moment_weight * _moment_error(latents)


def _moment_error(latents: Tensor) -> Tensor:
    """Squared distance of mean and covariance over batch and positions from 0 and identity."""
    flat = latents.transpose(0, 1).flatten(1)  # B C H W -> C (B H W)
    covariance = torch.cov(flat)
    identity = torch.eye(len(covariance), device=flat.device)
    return flat.mean(dim=1).square().sum() + (covariance - identity).square().sum()


def widen_autoencoder(slim: AutoencoderTiny) -> AutoencoderTiny:
    """Write a slim autoencoder into the stock TAESD architecture; pictures stay the same."""
    stock = build_autoencoder()
    for parameter in stock.parameters():
        nn.init.zeros_(parameter)
    for ours, theirs in ((slim.encoder, stock.encoder), (slim.decoder, stock.decoder)):
        for small, large in _matching_layers(ours, theirs):
            _copy_into_corner(small, large)
    return stock


def narrow_autoencoder(stock: AutoencoderTiny) -> AutoencoderTiny:
    """The inverse of widen_autoencoder: as slim as it was, and that much faster.

    A TAESD that was not widened comes back as it is.
    """
    slim = build_autoencoder(*_used_size(stock))
    for ours, theirs in ((slim.encoder, stock.encoder), (slim.decoder, stock.decoder)):
        for small, large in _matching_layers(ours, theirs):
            _copy_from_corner(small, large)
    again, wanted = widen_autoencoder(slim).state_dict(), stock.state_dict()
    return slim if all(torch.equal(again[key], wanted[key]) for key in wanted) else stock


def grow_autoencoder(
    small: AutoencoderTiny,
    width: int,
    encoder_blocks: tuple[int, ...],
    decoder_blocks: tuple[int, ...],
) -> AutoencoderTiny:
    """A larger autoencoder that makes the same latents and pictures, and has more to learn with.

    Old channels do not listen to new ones yet, and new blocks pass their input on.

    Raises:
        ValueError: a size is below the small one's.
    """
    own_width, encoder, decoder = _used_size(widen_autoencoder(small))
    own, new = (own_width, *encoder, *decoder), (width, *encoder_blocks, *decoder_blocks)
    if any(ours > theirs for ours, theirs in zip(own, new, strict=True)):
        raise ValueError(
            f"autoencoder.width = {width} with encoder_blocks {list(encoder_blocks)} and "
            f"decoder_blocks {list(decoder_blocks)} is smaller than the base's: {own_width} with "
            f"{list(encoder)} and {list(decoder)}"
        )
    large = build_autoencoder(width, encoder_blocks, decoder_blocks)
    _pass_on(large)
    for ours, theirs in ((small.encoder, large.encoder), (small.decoder, large.decoder)):
        for old, new in _matching_layers(ours, theirs):
            _copy_into_corner(old, new, ignoring_others=True)
    return large


def _used_size(stock: AutoencoderTiny) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Width and blocks per level that are in use: build_autoencoder's arguments."""
    channels = stock.encoder.layers[0].weight.flatten(1).any(dim=1)
    return int(channels.sum()), _used_blocks(stock.encoder), _used_blocks(stock.decoder)


def _used_blocks(part: EncoderTiny | DecoderTiny) -> tuple[int, ...]:
    """How many blocks of each level have weights other than zero."""
    levels = groupby(part.layers, lambda layer: isinstance(layer, AutoencoderTinyBlock))
    return tuple(
        sum(any(bool(p.any()) for p in block.parameters()) for block in blocks)
        for are_blocks, blocks in levels
        if are_blocks
    )


def _matching_layers(
    slim: EncoderTiny | DecoderTiny, stock: EncoderTiny | DecoderTiny
) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Pair the layers level by level: a slim level's blocks are the first of the stock level's."""
    theirs = iter(stock.layers)
    for layer in slim.layers:
        larger = next(theirs)
        while isinstance(layer, nn.Conv2d | nn.Upsample) and type(larger) is not type(layer):
            larger = next(theirs)
        yield layer, larger


@torch.no_grad()
def _copy_into_corner(small: nn.Module, large: nn.Module, ignoring_others: bool = False) -> None:
    """ignoring_others: the small one's outputs do not read inputs that it does not have."""
    targets = dict(large.named_parameters())
    for name, source in small.named_parameters():
        if ignoring_others:
            targets[name][: len(source)] = 0.0
        targets[name][tuple(slice(side) for side in source.shape)] = source


@torch.no_grad()
def _copy_from_corner(small: nn.Module, large: nn.Module) -> None:
    sources = dict(large.named_parameters())
    for name, target in small.named_parameters():
        target.copy_(sources[name][tuple(slice(side) for side in target.shape)])

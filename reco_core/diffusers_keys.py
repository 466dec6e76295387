"""Keys of diffusers' and transformers' modules <-> those of the single file.

Nothing is listed: a key follows from its module's path, once it is known how many blocks a level
of the UNet has, and how many levels the autoencoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .autoencoder import TAESD_DECODER, TAESD_ENCODER
from .checks import quote
from .family import TextEncoder
from .keys import UNET_PREFIX, VAE_PREFIX
from .patterns import pattern

if TYPE_CHECKING:
    import torch

Side = Literal["down", "up"]

_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_UNET_BLOCK = pattern(r"(down|up)_blocks\.(\d+)\.([a-z]+)\.(\d+)\.(.+)")
_UNET_MIDDLE = pattern(r"mid_block\.([a-z]+\.\d)\.(.+)")
# Inside an attention block both codes use the same names.
_UNET_ATTENTION = pattern(
    r"norm|proj_in|proj_out|transformer_blocks\.0\."
    r"(?:norm[123]|attn[12]\.to_(?:q|k|v|out\.0)|ff\.net\.(?:0\.proj|2))"
)

_VAE_ENDS = {"conv_in": "conv_in", "conv_norm_out": "norm_out", "conv_out": "conv_out"}
_VAE_RESNET = {name: name for name in ("norm1", "conv1", "norm2", "conv2")}
_VAE_RESNET |= {"conv_shortcut": "nin_shortcut"}
_VAE_ATTENTION = {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_VAE_ATTENTION |= {"query": "q", "key": "k", "value": "v", "proj_attn": "proj_out"}  # before 0.14
_VAE_ATTENTION |= {"group_norm": "norm"}
_VAE_LEVEL = pattern(r"(down|up)_blocks\.(\d+)\.([a-z]+)\.(\d+)\.(.+)")
_VAE_MIDDLE = pattern(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)")
_VAE_MATRIX = pattern(r".*\.mid\.attn_1\.(?:q|k|v|proj_out)\.weight")

_TEXT_MODEL = "text_model."
_TEXT = pattern(
    r"embeddings\.(?:token|position)_embedding|final_layer_norm|encoder\.layers\.\d+\."
    r"(?:layer_norm[12]|mlp\.fc[12]|self_attn\.(?:q|k|v|out)_proj)"
)


@dataclass(frozen=True)
class BlockCount:
    """How a UNet's blocks are counted: one after the other in the single file, in which the first
    is the first convolution, and within each level in diffusers.

    per_level: of the single file's blocks, the downsampler among them.
    """

    per_level: int

    def number(self, side: Side, level: int, index: int) -> int:
        """In the single file, from a level and an index of diffusers."""
        return level * self.per_level + index + (side == "down")

    def place(self, side: Side, number: int) -> tuple[int, int]:
        """Level and index in diffusers, from a number of the single file."""
        return divmod(number - (side == "down"), self.per_level)


def unet_keys(keys: Iterable[str]) -> dict[str, str]:
    """UNet2DConditionModel's key -> that of the single file (with prefix), for all of its keys.

    Raises:
        ValueError: some are not of Stable Diffusion 1's architecture.
    """
    keys = list(keys)
    blocks = BlockCount(1 + unet_layers(keys))
    matches = [match for key in keys if (match := _UNET_BLOCK.fullmatch(key))]
    attending = {match[2] for match in matches if match[1] == "up" and match[3] == "attentions"}

    def rename(path: str) -> str | None:
        if path in _UNET_ENDS:
            return _UNET_ENDS[path]
        if match := _UNET_MIDDLE.fullmatch(path):
            stem, inner = _MIDDLE.get(match[1]), match[2]
            return stem and _block(f"middle_block.{stem}", match[1].partition(".")[0], inner)
        if not (match := _UNET_BLOCK.fullmatch(path)):
            return None
        level, part, index, inner = match.groups()[1:]
        side: Side = "down" if match[1] == "down" else "up"
        if part in ("downsamplers", "upsamplers"):
            # It is a block of its own on the way down, and the last part of one on the way up.
            number = blocks.number(side, int(level), blocks.per_level - 1)
            names = {"down": f"input_blocks.{number}.0.op"}
            names["up"] = f"output_blocks.{number}.{2 if level in attending else 1}.conv"
            return names[side] if (index, inner) == ("0", "conv") else None
        number = blocks.number(side, int(level), int(index))
        stem = f"{'input' if side == 'down' else 'output'}_blocks.{number}"
        return _block(f"{stem}.{int(part == 'attentions')}", part, inner)

    return _renamed(keys, UNET_PREFIX, rename, "UNet")


def unet_layers(keys: Iterable[str]) -> int:
    """Layers of each level of a UNet2DConditionModel, counted on the first."""
    return len({key.split(".")[3] for key in keys if key.startswith("down_blocks.0.resnets.")})


def kl_keys(keys: Iterable[str]) -> dict[str, str]:
    """AutoencoderKL's key, also one of the older attention, -> that of the single file.

    Raises:
        ValueError: some are not of Stable Diffusion 1's architecture.
    """
    keys = list(keys)
    prefix = "decoder.up_blocks."
    levels = len({key.split(".")[2] for key in keys if key.startswith(prefix)})

    def rename(path: str) -> str | None:
        half, _, inner = path.partition(".")
        if path in ("quant_conv", "post_quant_conv"):
            return path
        renamed = _vae_half(inner, levels) if half in ("encoder", "decoder") else None
        return renamed and f"{half}.{renamed}"

    return _renamed(keys, VAE_PREFIX, rename, "autoencoder")


def taesd_keys(keys: Iterable[str]) -> dict[str, str]:
    """AutoencoderTiny's key -> that of the single file; ComfyUI's decoder counts its input clamp as
    a layer. ValueError for other keys."""

    def rename(path: str) -> str | None:
        half, _, inner = path.partition(".layers.")
        index, dot, rest = inner.partition(".")
        if half not in ("encoder", "decoder") or not index.isdecimal():
            return None
        if half == "encoder":
            return f"{TAESD_ENCODER}{index}{dot}{rest}"
        return f"{TAESD_DECODER}{int(index) + 1}{dot}{rest}"

    return _renamed(list(keys), "", rename, "autoencoder")


def text_keys(keys: Iterable[str], encoder: TextEncoder) -> dict[str, str]:
    """CLIPTextModel's key, with or without `text_model.`, -> that of the single file.

    Raises:
        ValueError: some are not of CLIP's text model.
    """

    def rename(path: str) -> str | None:
        bare = path.removeprefix(_TEXT_MODEL)
        return bare if _TEXT.fullmatch(bare) else None

    return _renamed(list(keys), encoder.weights, rename, "text encoder")


def pick(state: Mapping[str, torch.Tensor], keys: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """A single file's tensors under a module's own names; ValueError if some are missing."""
    missing = [ldm for ldm in keys.values() if ldm not in state]
    if missing:
        raise ValueError(
            f"the checkpoint lacks {len(missing)} tensors of its architecture: {missing[0]!r} ...: "
            "it is incomplete, or not a Stable Diffusion 1.x layout"
        )
    return {key: state[ldm] for key, ldm in keys.items()}


def pick_kl(state: Mapping[str, torch.Tensor], keys: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """As pick, of kl_keys: what is a 1x1 convolution in the single file's attention, (out, in, 1,
    1), is a matrix in diffusers."""
    return {
        key: tensor.flatten(1) if _VAE_MATRIX.fullmatch(keys[key]) else tensor
        for key, tensor in pick(state, keys).items()
    }


def as_kl(tensors: Mapping[str, torch.Tensor], keys: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The other way: AutoencoderKL's tensors under the single file's keys."""
    renamed = {ldm: tensors[key] for key, ldm in keys.items()}
    matrices = {ldm for ldm in renamed if _VAE_MATRIX.fullmatch(ldm) and renamed[ldm].ndim == 2}
    return renamed | {ldm: renamed[ldm][:, :, None, None] for ldm in matrices}


def _block(stem: str, part: str, inner: str) -> str | None:
    """stem: of the block's name in the single file. part: resnets or attentions."""
    if part == "attentions":
        return f"{stem}.{inner}" if _UNET_ATTENTION.fullmatch(inner) else None
    return f"{stem}.{_RESNET[inner]}" if part == "resnets" and inner in _RESNET else None


def _vae_half(path: str, levels: int) -> str | None:
    """Of encoder or decoder."""
    if path in _VAE_ENDS:
        return _VAE_ENDS[path]
    if match := _VAE_MIDDLE.fullmatch(path):
        part, index, inner = match.groups()
        names = _VAE_RESNET if part == "resnets" else _VAE_ATTENTION
        stem = f"block_{int(index) + 1}" if part == "resnets" else "attn_1"
        return f"mid.{stem}.{names[inner]}" if inner in names else None
    if not (match := _VAE_LEVEL.fullmatch(path)):
        return None
    side, place, part, index, inner = match.groups()
    level = int(place) if side == "down" else levels - 1 - int(place)
    if part == f"{side}samplers" and (index, inner) == ("0", "conv"):
        return f"{side}.{level}.{side}sample.conv"
    if part == "resnets" and inner in _VAE_RESNET:
        return f"{side}.{level}.block.{index}.{_VAE_RESNET[inner]}"
    return None


def _renamed(
    keys: list[str], prefix: str, rename: Callable[[str], str | None], part: str
) -> dict[str, str]:
    """rename: what a path without `.weight` or `.bias` becomes; None if the architecture has
    none such."""
    found = {}
    for key in keys:
        path, _, kind = key.rpartition(".")
        renamed = rename(path) if kind in ("weight", "bias") else None
        if renamed is not None:
            found[key] = f"{prefix}{renamed}.{kind}"
    unknown = [key for key in keys if key not in found]
    if unknown:
        raise ValueError(
            f"the {part} has {len(unknown)} tensors that Stable Diffusion 1.x does not know, for "
            f"instance {quote(unknown[0], 200)}: use a model of Stable Diffusion 1's architecture"
        )
    return found

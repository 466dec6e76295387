"""Random models of a few thousand weights in the forms that people download."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch


def save_clip(folder: Path, tokenizer) -> str:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    torch.manual_seed(0)
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "projection_dim": 8,
    }
    vision = {**small, "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=small, vision_config=vision, projection_dim=8))
    model.save_pretrained(folder)
    pixels = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=pixels, tokenizer=tokenizer).save_pretrained(folder)
    return str(folder)


def save_detector(folder: Path, labels: list[str]) -> str:
    """A YOLOS, which is built and read as DETR is, without a backbone."""
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[32, 32],
        patch_size=16,
        num_detection_tokens=8,
        initializer_range=1.0,
        id2label=dict(enumerate(labels)),
    )
    YolosForObjectDetection(config).save_pretrained(folder)
    pixels = YolosImageProcessor(size={"height": 32, "width": 32}, do_pad=False)
    pixels.save_pretrained(folder)
    return str(folder)


def save_checkpoint(path: Path) -> str:
    """A ReCo checkpoint for pictures of 64 pixels."""
    from random_checkpoint import HEADS, Size, random_state_dict

    from reco_core.checkpoint_file import write_checkpoint

    tensors = random_state_dict(Size(max_length=96), torch.float32)
    metadata = {"format": "reco", "num_bins": "1000", "max_length": "96", **HEADS}
    write_checkpoint(path, tensors, metadata | {"image_size": "64"})
    return str(path)


class MeanColours(torch.nn.Module):
    """uint8 (B, 3, H, W) -> mean colours of four quarters (B, 12)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x.float() / 255, 2).flatten(1)


def save_features(path: Path) -> str:
    """A network as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(MeanColours()).save(path)
    return str(path)

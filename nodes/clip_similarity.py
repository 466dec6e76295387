"""How alike crops and texts are, by ComfyUI's own CLIP vision and text encoders."""

from __future__ import annotations

import comfy.sd
import torch
import torch.nn.functional as F
from comfy.clip_vision import ClipVisionModel
from comfy.sd1_clip import SDClipModel

from ..reco_core.layout import Box, Layout
from ..reco_core.score import compared_texts
from .clip import ReCoTokenizer

TOWERS = {"clip_l": "l", "clip_g": "g", "clip_h": "h"}
"""Where ComfyUI's text encoders keep a CLIP, and what their tokenizers call it."""

HALVES = (
    "load the two halves of one CLIP: CLIP vision ViT-L with a clip_l file that has its projection "
    "(CLIP-L as SD3 or OpenAI publish it), ViT-H with that of SD 2.1, or ViT-bigG with that of SDXL"
)


class ClipSimilarity:
    """Cosines of crops with a layout's texts. The texts are encoded once, with the first crops.

    Raises ValueError when the CLIP is a ReCo checkpoint's, or not the vision model's other half.
    """

    def __init__(self, clip_vision: ClipVisionModel, clip: comfy.sd.CLIP, layout: Layout):
        if isinstance(clip.tokenizer, ReCoTokenizer):
            raise ValueError(
                "this is the CLIP of a ReCo checkpoint, which was fine-tuned with its UNet and no "
                f"longer has the features that a CLIP vision model compares with: {HALVES}"
            )
        self.clip_vision, self.clip, self.layout = clip_vision, clip, layout
        self.texts = compared_texts(layout)
        self.text_features: torch.Tensor | None = None

    def cosines(self, image: torch.Tensor) -> list[dict[str, float]]:
        """{text: cosine} for every region's crop. image: (H, W, C) in [0, 1]."""
        mean = self.clip_vision.image_mean
        crops = [square_crop(image, region.box, mean) for region in self.layout.regions]
        encoded = [self.clip_vision.encode_image(crop[None])["image_embeds"] for crop in crops]
        features = _unit(torch.cat(encoded), "the CLIP vision model's")
        if self.text_features is None:
            texts = encode_texts(self.clip, self.texts, features.shape[-1])
            self.text_features = _unit(texts, "the text encoder's")
        rows = (features @ self.text_features.T).tolist()
        return [dict(zip(self.texts, row, strict=True)) for row in rows]


def square_crop(image: torch.Tensor, box: Box, padding: list[float]) -> torch.Tensor:
    """What a box shows, (S, S, 3), amid a square of the padding's RGB. image: (H, W, C).

    With CLIP's mean colour as padding nothing but the box has a say.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box.covered_pixels(width, height)
    side = max(x1 - x0, y1 - y0)
    square = torch.tensor(padding).repeat(side, side, 1)
    top, left = (side - (y1 - y0)) // 2, (side - (x1 - x0)) // 2
    square[top : top + y1 - y0, left : left + x1 - x0] = image[y0:y1, x0:x1, :3].cpu()
    return square


def encode_texts(clip: comfy.sd.CLIP, texts: list[str], size: int) -> torch.Tensor:
    """(texts, size) features in the space that a CLIP shares between texts and images.

    The beginning of a text longer than the CLIP reads counts. Raises ValueError when the encoder
    has no CLIP with features of that size, or one without its projection.
    """
    tower, key = _tower(clip, size)
    clip.load_model()
    # As CLIP.encode_from_tokens does, for one tower and with its projection, which SD1's leaves out
    tower.reset_clip_options()
    device = clip.patcher.load_device
    tower.set_clip_options({"projected_pooled": True, "execution_device": device})
    try:
        encoded = [tower.encode_token_weights(clip.tokenize(text)[key])[1] for text in texts]
    finally:
        tower.reset_clip_options()
    return torch.cat(encoded)


def _tower(clip: comfy.sd.CLIP, size: int) -> tuple[SDClipModel, str]:
    """The CLIP in a text encoder whose features have a size, and its name in the tokens."""
    sizes = {}
    for name, key in TOWERS.items():
        tower = getattr(clip.cond_stage_model, name, None)
        projection = getattr(getattr(tower, "transformer", None), "text_projection", None)
        if projection is None:
            continue
        sizes[name] = projection.out_features
        if projection.out_features == size:
            _check_projection(projection.weight)
            return tower, key
    has = ", ".join(f"{name}: {width}" for name, width in sizes.items()) or "no CLIP"
    raise ValueError(
        f"the CLIP vision model's features have {size} numbers, and the text encoder's do not "
        f"({has}): {HALVES}"
    )


def _check_projection(weight: torch.Tensor) -> None:
    """ComfyUI loads a CLIP without its projection and leaves zeros or chance in its place."""
    weight = weight.float()
    eye = torch.eye(*weight.shape, device=weight.device)
    if not weight.isfinite().all() or (weight == 0).float().mean() > 0.5 or weight.equal(eye):
        raise ValueError(
            "the text encoder's file lacks the projection (text_projection) into the space that "
            f"texts share with images, as those of SD 1.x checkpoints and Flux do: {HALVES}"
        )


def _unit(features: torch.Tensor, whose: str) -> torch.Tensor:
    """(N, D) of length 1. Raises ValueError where a feature is not finite or all zeros."""
    features = features.float().cpu()
    if not features.isfinite().all() or (features.norm(dim=-1) == 0).any():
        raise ValueError(
            f"{whose} features are not finite numbers: its file is damaged, fetch it again"
        )
    return F.normalize(features, dim=-1)

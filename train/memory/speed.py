"""How long a training takes: estimated for well-known cards from its operations."""

from __future__ import annotations

from dataclasses import dataclass

from train.memory.plan import MemoryPlan
from train.precision import MixedPrecision

HOUR = 3600


@dataclass(frozen=True)
class Card:
    """A GPU. half, tf32, single: dense products a second at its peak, in 10^12 operations:
    fp16 summed in fp32 (and bf16 where it has that), TF32 and fp32; 0: it has no such."""

    name: str
    half: float
    tf32: float
    single: float
    has_bf16: bool = True

    def peak(self, precision: MixedPrecision, tf32: bool) -> float:
        """Operations a second in a precision; 0 where it cannot be."""
        if precision == "no":
            return 1e12 * (self.tf32 if tf32 and self.tf32 else self.single)
        return 1e12 * self.half * (precision == "fp16" or self.has_bf16)


CARDS = (
    Card("H100 SXM", 989, 494, 67),
    Card("A100", 312, 156, 19.5),
    Card("RTX 4090", 165.2, 82.6, 82.6),
    Card("RTX 3090", 71, 35.6, 35.6),
    Card("RTX 3070", 40.6, 20.3, 20.3),
    Card("V100 SXM", 125, 0, 15.7, has_bf16=False),
    Card("T4", 65, 0, 8.1, has_bf16=False),
)
"""Of NVIDIA's papers: the data sheets of H100, A100, V100 and T4, and the appendices of "Ada GPU
Architecture" and "Ampere GA102 GPU Architecture"."""

A100_SAMPLES = 290 / 8
"""Stable Diffusion's UNet, 512 x 512 pixels, fp16, a second and A100, latents and texts encoded
before: github.com/mosaicml/diffusion, README, 8 GPUs."""
UNET_FLOPS = 2.47e12
"""Operations of that UNet's forward and backward pass for a sample, by torch's FlopCounterMode."""
SHARE_OF_PEAK = A100_SAMPLES * UNET_FLOPS / 312e12
"""What trainings of this kind reach of a card's peak: 0.29."""


@dataclass(frozen=True)
class Estimate:
    """samples: a second. hours: of the whole training."""

    card: str
    samples: float
    hours: float


def estimates(
    plan: MemoryPlan, samples: int, precision: MixedPrecision, tf32: bool
) -> list[Estimate]:
    """For every known card that computes in a precision, one of them at work.

    samples: of the whole training.
    """
    return [
        Estimate(card.name, rate := SHARE_OF_PEAK * peak / plan.flops, samples / rate / HOUR)
        for card in CARDS
        if (peak := card.peak(precision, tf32))
    ]

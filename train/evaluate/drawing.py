"""How the pictures of an evaluation are drawn."""

from __future__ import annotations

from reco_core.family import SD1
from train.evaluate.pretrained import pick_device
from train.options import Guidance, Positive, SamplingSteps, options
from train.precision import Precision


@options
class Drawing:
    """How pictures are sampled; the defaults are the paper's."""

    sampler: str = "plms"
    """plms, ddim, euler, or a scheduler class of diffusers."""
    steps: SamplingSteps = 50
    """Of the sampler."""
    guidance: Guidance = 4.0
    """Scale of classifier-free guidance."""
    batch_size: Positive = 16
    """Pictures at once; changes none by more than rounding."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU when there is one."""
    precision: Precision = "fp32"
    """fp32, or fp16 or bf16 autocast."""

    def __post_init__(self) -> None:
        from train.model.sampling import build_scheduler

        pick_device(self.device)
        build_scheduler(self.sampler, SD1)  # only the name can be wrong

"""The loss as a module, and the engine that averages its gradients over processes.

torch's DistributedDataParallel sends gradients in buckets while the backward pass still goes on.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from train.data.batch import Batch
from train.fit.losses import Noise, sample_losses
from train.fit.options import LossConfig
from train.model.grounding import RecordingAttention
from train.model.options import ComputeConfig
from train.model.text_to_image import TextToImage


class BatchLoss(nn.Module):
    """What is trained, as one module: its forward pass gives the losses of a micro-batch.

    Everything else uses the model itself, whose parameters these are.
    """

    def __init__(self, model: TextToImage, recorders: list[RecordingAttention], config: LossConfig):
        super().__init__()
        self.unet, self.text_encoder = model.unet, model.text_encoder
        self.model, self.recorders, self.config = model, recorders, config

    def forward(self, batch: Batch, drawn: Noise) -> dict[str, Tensor]:
        """As sample_losses."""
        return sample_losses(self.model, batch, drawn, self.recorders, self.config)


def start_ddp(loss: BatchLoss, config: ComputeConfig) -> DistributedDataParallel:
    """The engine around a loss whose backward pass was done once.

    The gradients that are there become views of what is sent, so that memory holds them once, as
    long as nothing sets them to None. Parameters without one, such as those of layers that no
    family's states go through, are looked for in every pass.
    """
    trained = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    engine = DistributedDataParallel(
        loss,
        init_sync=False,  # share_weights has done it, before anything was made of the weights
        gradient_as_bucket_view=True,
        find_unused_parameters=any(parameter.grad is None for parameter in trained),
    )
    engine.broadcast_buffers = False  # none changes
    if config.gradient_precision == "bf16":
        engine.register_comm_hook(None, bf16_compress_hook)
    return engine

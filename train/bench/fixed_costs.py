"""What a step costs whatever its batch is: gradients sent between processes, and weights changed.

    python -m torch.distributed.run --nproc_per_node 2 -m train.bench.fixed_costs UNET ROUNDS

UNET: a diffusers folder. Every process has gradients of its size, sums them over all as
DistributedDataParallel does, in buckets of 25 MiB, but with nothing to hide behind, and takes a
step of AdamW. The first prints the seconds of each round as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from diffusers import UNet2DConditionModel
from torch import Tensor

BUCKET = 25 * 2**20
"""Bytes that DistributedDataParallel sends at once."""


def fixed_costs(unet: UNet2DConditionModel, rounds: int) -> list[dict[str, float]]:
    """Seconds in which gradients are summed over processes and weights are changed, by round."""
    parameters = list(unet.parameters())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer = torch.optim.AdamW(parameters, fused=True)
    optimizer.step()  # the first makes the moments
    buckets = _buckets(sum(parameter.numel() for parameter in parameters))
    return [
        {"sending": _seconds(lambda: _send(buckets)), "changing": _seconds(optimizer.step)}
        for _ in range(rounds)
    ]


def _buckets(numbers: int) -> list[Tensor]:
    return list(torch.zeros(numbers).split(BUCKET // 4))


def _send(buckets: list[Tensor]) -> None:
    if dist.is_initialized():
        for work in [dist.all_reduce(bucket, async_op=True) for bucket in buckets]:
            work.wait()


def _seconds(action: Callable[[], object]) -> float:
    """Of an action that all processes begin together."""
    if dist.is_initialized():
        dist.barrier()
    start = time.monotonic()
    action()
    return time.monotonic() - start


def main(folder: str, rounds: str) -> None:
    torch.set_num_threads(1)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    found = fixed_costs(UNet2DConditionModel.from_pretrained(folder), int(rounds))
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(json.dumps(found))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What a ComfyUI process holds in memory."""

from __future__ import annotations

from pathlib import Path

import torch

from .node import Output, shown


class ShowMemory(Output):
    """The greatest memory this process held until a MODEL, a CLIP and a VAE were loaded."""

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"model": ("MODEL",), "clip": ("CLIP",), "vae": ("VAE",)}}

    def run(self, model, clip, vae) -> dict:
        status = Path("/proc/self/status").read_text("utf-8").splitlines()  # of Linux
        (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
        cuda = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        return shown({"peak_mib": int(peak) / 1024, "peak_cuda_mib": cuda / 2**20})

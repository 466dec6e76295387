"""How many rows, in how many calls, a sampler had the UNet compute, and when."""

from __future__ import annotations

import time

import comfy.model_management
import torch

from .node import Node, Output, shown


class CountRows(Node):
    """MODEL in, MODEL out: the calls of its UNet are noted from here on."""

    RETURN_TYPES = ("MODEL", "ROWS")

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"model": ("MODEL",)}}

    def run(self, model) -> tuple:
        calls: list[dict] = []

        def call(apply, arguments):
            begin = now()
            made = apply(arguments["input"], arguments["timestep"], **arguments["c"])
            sigma = float(arguments["timestep"].max())
            rows = len(arguments["cond_or_uncond"])
            calls.append({"sigma": sigma, "rows": rows, "begin": begin, "end": now()})
            return made

        counted = model.clone()
        counted.set_model_unet_function_wrapper(call)
        return counted, calls


class ShowRows(Output):
    """What was counted, once the sampler is done."""

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"rows": ("ROWS",), "latent": ("LATENT",)}}

    def run(self, rows: list[dict], latent: dict) -> dict:
        return shown(rows)


class CutStates(Node):
    """CONDITIONING of the first states alone."""

    RETURN_TYPES = ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"conditioning": ("CONDITIONING",), "length": ("INT", {"max": 9999})}}

    def run(self, conditioning: list, length: int) -> tuple:
        return ([[states[:, :length], options] for states, options in conditioning],)


def now() -> dict[str, float]:
    """Seconds on the clock, and of this process's threads; all that was asked for being done."""
    if comfy.model_management.get_torch_device().type == "cuda":
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter(), "processor": time.process_time()}

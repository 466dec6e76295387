"""A custom node for measuring: how many rows, in how many calls, a sampler had the UNet compute."""

from __future__ import annotations

import json


class CountRows:
    """MODEL in, MODEL out: the rows of each call are counted from here on."""

    RETURN_TYPES = ("MODEL", "ROWS")
    FUNCTION = "count"
    CATEGORY = "measuring"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"model": ("MODEL",)}}

    @classmethod
    def IS_CHANGED(cls, **_: object) -> float:
        return float("nan")  # every run counts anew

    def count(self, model) -> tuple:
        calls: list[dict] = []

        def call(apply, arguments):
            calls.append(
                {
                    "sigma": float(arguments["timestep"].max()),
                    "rows": len(arguments["cond_or_uncond"]),
                }
            )
            return apply(arguments["input"], arguments["timestep"], **arguments["c"])

        counted = model.clone()
        counted.set_model_unet_function_wrapper(call)
        return counted, calls


class ShowRows:
    """What was counted, once the sampler is done."""

    RETURN_TYPES = ()
    FUNCTION = "show"
    CATEGORY = "measuring"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"rows": ("ROWS",), "latent": ("LATENT",)}}

    def show(self, rows: list[dict], latent: dict) -> dict:
        return {"ui": {"rows": [json.dumps(rows)]}}


NODE_CLASS_MAPPINGS = {"CountRows": CountRows, "ShowRows": ShowRows}

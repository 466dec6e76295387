"""The sampling of controlled conditioning: at each step the rows that the UNet gets, and what each
cell of the picture sees of their tokens.

All goes in by one wrapper of ComfyUI's around the computation of a step's rows (comfy/samplers.py,
_calc_cond_batch_outer), so that any sampler, guider, CFG function and ControlNet works, and so do
masks, areas and hooks of a conditioning: rows are copies of its entries.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from comfy.conds import CONDConstant, CONDCrossAttn
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from .biased_attention import BIASES, BiasedAttention
from .controlled import Bias, Controlled
from .never_held import never_held
from .remarks import log

KEY = "reco_control"  # of a conditioning's options, with a Controlled
NEEDS = "reco_needs_control"  # of its model_conds


class NeedsControl(CONDConstant):
    """Goes with controlled conditioning, and out where the sampling is controlled: whoever meets
    it otherwise is about to sample as if nothing had been set."""

    def __init__(self) -> None:
        super().__init__(None)

    def process_cond(self, **_: Any) -> CONDConstant:
        raise ValueError(
            "this conditioning has region guidance, strengths, times or containment, and the model "
            "does not know of them: connect the model output of ReCo Control to the sampler"
        )


class RegionSampling:
    """The wrapper. Conditioning without control goes through it as it is."""

    def __init__(self) -> None:
        self._checked: deque[uuid.UUID] = deque(maxlen=64)  # of entries; each sampling has its own

    def __call__(
        self,
        execute: Callable,
        model: Any,
        conds: list[list[dict] | None],
        x: torch.Tensor,
        sigmas: torch.Tensor,
        model_options: dict,
    ) -> list[torch.Tensor]:
        percent_to_sigma = model.model_sampling.percent_to_sigma
        if fresh := self._checked_now(conds):
            _say_what_never_holds(fresh, percent_to_sigma, model_options)
        step = Step(float(sigmas[0]), percent_to_sigma)
        rows = [None if some is None else list(step.rows(some)) for some in conds]
        if step.biases:
            model_options = _with_biases(model, model_options, step.biases)
        return execute(model, rows, x, sigmas, model_options)

    def _checked_now(self, conds: list[list[dict] | None]) -> list[Controlled]:
        """What is sampled for the first time in a run: it is checked once, for that waits for a
        GPU. Raises ValueError where another node has changed the states."""
        fresh = []
        for cond in (cond for some in conds for cond in some or ()):
            if KEY in cond and cond["uuid"] not in self._checked:
                _check(cond, cond[KEY])
                self._checked.append(cond["uuid"])
                fresh.append(cond[KEY])
        return fresh


@dataclass
class Step:
    """One step of the sampling. biases: of its rows, by uuid."""

    sigma: float
    percent_to_sigma: Callable[[float], float]
    biases: dict[uuid.UUID, Bias] = field(default_factory=dict)

    def rows(self, conds: list[dict]) -> Iterator[dict]:
        """The rows of a list of conditioning: ComfyUI takes their mean by their strengths."""
        for cond in conds:
            controlled = cond.get(KEY)
            if controlled is None:
                yield cond
                continue
            weight = controlled.guidance
            if weight != 0:
                yield self._layout_row(cond, controlled, weight)
            if controlled.caption is not None:
                yield _row(cond, controlled.caption, 1 - weight)

    def _layout_row(self, cond: dict, controlled: Controlled, weight: float) -> dict:
        phase = controlled.at(self.sigma, self.percent_to_sigma)
        row = _row(cond, phase.states, weight)
        bounds = controlled.containment_at(self.sigma, self.percent_to_sigma)
        feather = bounds.feather if bounds else None
        if feather is None and all(one.region.control.strength == 1 for one in phase.seen):
            return row
        if "area" in row:
            raise ValueError(
                "regions with a strength or containment are of the whole picture, and this "
                "conditioning is set to an area of it: use ConditioningSetMask in place of the "
                "area, with set_cond_area at default"
            )
        if feather not in phase.biases:
            phase.biases[feather] = Bias(controlled.layout, phase, feather)
        self.biases[row["uuid"]] = phase.biases[feather]
        return row


def controlled_model(model: ModelPatcher) -> ModelPatcher:
    """A clone of a model whose sampling follows controlled conditioning."""
    clone = model.clone()
    clone.remove_wrappers_with_key(WrappersMP.CALC_COND_BATCH, KEY)
    clone.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, RegionSampling())
    return clone


def _check(cond: dict, controlled: Controlled) -> None:
    """Raise ValueError where another node has changed the states."""
    states = cond["model_conds"]["c_crossattn"].cond
    own = controlled.phases[0].states
    if states.shape != own.shape or not torch.equal(states.to(own), own):
        raise ValueError(
            "this conditioning of ReCo Control was averaged or joined with another, or zeroed out, "
            "which its regions do not outlast: join by Conditioning (Combine), zero out that of "
            "ReCo Conditioning, or take that node out"
        )


def _say_what_never_holds(
    some: Sequence[Controlled], percent_to_sigma: Callable[[float], float], model_options: dict
) -> None:
    sigmas = model_options.get("transformer_options", {}).get("sample_sigmas")
    if sigmas is None:
        return
    found = (never_held(one, sigmas.tolist(), percent_to_sigma) for one in some)
    for message in dict.fromkeys(chain.from_iterable(found)):  # positive and negative may agree
        log(message)


def _row(cond: dict, states: torch.Tensor, weight: float) -> dict:
    others = {name: one for name, one in cond["model_conds"].items() if name != NEEDS}
    like = others["c_crossattn"].cond
    row = {**cond, "model_conds": {**others, "c_crossattn": CONDCrossAttn(states.to(like))}}
    return {**row, "strength": cond.get("strength", 1.0) * weight, "uuid": uuid.uuid4()}


def _with_biases(model: Any, model_options: dict, biases: dict[uuid.UUID, Bias]) -> dict:
    """The options with every cross-attention replaced; who replaced it before is asked first."""
    options = dict(model_options.get("transformer_options", {}))
    replaced = dict(options.get("patches_replace", {}))
    before = replaced.get("attn2", {})
    blocks = {*before, *_attending(model.diffusion_model)}
    replaced["attn2"] = {block: BiasedAttention(before.get(block)) for block in blocks}
    return {
        **model_options,
        "transformer_options": {**options, "patches_replace": replaced, BIASES: biases},
    }


def _attending(unet: torch.nn.Module) -> Iterator[tuple[str, int]]:
    """The blocks of a UNet that attend to text, as ComfyUI names them (openaimodel.py)."""
    middle = [unet.middle_block]
    groups = {"input": unet.input_blocks, "middle": middle, "output": unet.output_blocks}
    for name, blocks in groups.items():
        for number, block in enumerate(blocks):
            if any(isinstance(layer, SpatialTransformer) for layer in block):
                yield name, number

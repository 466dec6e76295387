"""What tests ask of the sampling of controlled regions, in ComfyUI; see inside_checks.py."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import torch
from inside_checks import Layout, load, module

control = module("nodes.control")
biased = module("nodes.biased_attention")
text_encode = module("nodes.text_encode")


class Recorder:
    """Rows of every call of the UNet, and the text states that each row got."""

    def __init__(self, model) -> None:
        self.model = model.clone()
        self.model.set_model_unet_function_wrapper(self._call)
        self.calls: list[int] = []
        self.states: list[torch.Tensor] = []

    def _call(self, apply, arguments):
        self.calls.append(len(arguments["cond_or_uncond"]))
        self.states.append(arguments["c"]["c_crossattn"].clone())
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])


def sampled(model, positive, negative, latent, cfg=4.0, steps=4, sampler="euler", seed=3):
    """Latents, and a Recorder of what the UNet got."""
    recorder = Recorder(model)
    noise = torch.randn(latent["samples"].shape, generator=torch.manual_seed(seed))
    latents = comfy.sample.sample(
        recorder.model,
        noise,
        steps,
        cfg,
        sampler,
        "normal",
        positive,
        negative,
        latent["samples"],
        seed=seed,
    )
    return latents.detach(), recorder


def plain(path: str, layout: str, negative: str = "", **options):
    model, clip = load(path)[:2]
    output = text_encode.ReCoConditioning.execute(clip, Layout.from_json(layout), negative)
    return sampled(model, *output.args[:3], **options)


def controlled(path: str, layout: str, negative: str = "", settings: dict | None = None, **options):
    model, clip = load(path)[:2]
    output = control.ReCoControl.execute(
        model, clip, Layout.from_json(layout), negative, **(settings or {})
    )
    return sampled(*output.args[:4], **options)


def rows(path: str, layout: str, settings: dict | None = None, **options) -> list[int]:
    """UNet rows of each step."""
    return controlled(path, layout, settings=settings, **options)[1].calls


def difference(path: str, layout: str, settings: dict, negative: str = "") -> float:
    """How far the latents are from those without control."""
    other = controlled(path, layout, negative, settings)[0]
    return float((plain(path, layout, negative)[0] - other).abs().max())


def guidance_by_hand(path: str, layout: str, guidance: float, cfg: float) -> float:
    """Largest difference of one step from the sum of the three parts, each sampled alone."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    positive, negative, latent, _ = text_encode.ReCoConditioning.execute(clip, read, "").args
    caption = text_encode.ReCoTextEncode.execute(clip, Layout(read.caption, (), 128, 128)).args[0]
    step = {"cfg": 1.0, "steps": 1}
    whole, alone, empty = (
        sampled(model, some, negative, latent, **step)[0] for some in (positive, caption, negative)
    )
    by_hand = empty + cfg * (alone - empty) + guidance * cfg * (whole - alone)
    made = controlled(path, layout, settings={"region_guidance": guidance}, cfg=cfg, steps=1)[0]
    return float((by_hand - made).abs().max())


def states_of_steps(path: str, layout: str, steps: int) -> list[int]:
    """Which of the different text states each step got, numbered as they come."""
    _, recorder = controlled(path, layout, steps=steps)
    kinds: list[torch.Tensor] = []
    numbers = []
    for states in recorder.states:
        same = (i for i, kind in enumerate(kinds) if torch.equal(kind, states))
        number = next(same, len(kinds))
        if number == len(kinds):
            kinds.append(states)
        numbers.append(number)
    return numbers


def attention(path: str, layout: str, settings: dict) -> dict[str, float]:
    """How much the cells attend to the first region's tokens in the first step: the most of any
    head and block inside of its box, the left half, and outside of it, and the mean of all."""
    read = Layout.from_json(layout)
    start = len(text_tokens(path, read.caption))
    tokens = slice(start, start + 4 + len(text_tokens(path, read.regions[0].text)))
    shares: list[torch.Tensor] = []
    attend = biased._attention

    def probe(q, k, v, options, bias=None):
        if bias is not None:
            row = options["cond_or_uncond"].index(0)
            seen = _attended(q[row], k[row], bias[row], options["n_heads"])[..., tokens].sum(-1)
            shares.append(seen.unflatten(1, options["activations_shape"][-2:]))
        return attend(q, k, v, options, bias)

    biased._attention = probe
    try:
        controlled(path, layout, settings=settings, steps=1)
    finally:
        biased._attention = attend
    halves = [share.chunk(2, dim=2) for share in shares if share.shape[2] > 1]
    return {
        "inside": max(float(left.max()) for left, _ in halves),
        "outside": max(float(right.max()) for _, right in halves),
        "mean": sum(float(share.mean()) for share in shares) / len(shares),
    }


def _attended(q, k, bias, heads: int) -> torch.Tensor:
    """(heads, cells, tokens) of one row."""
    q, k = (each.unflatten(-1, (heads, -1)).transpose(0, 1) for each in (q, k))
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias).softmax(-1)


def text_tokens(path: str, text: str) -> list:
    return load(path)[1].tokenizer.read_text(text)[0]


def negative_report(path: str, layout: str, negative: str) -> str:
    clip = load(path)[1]
    layout = Layout.from_json(layout)
    report = text_encode.ReCoConditioning.execute(clip, layout, negative).args[3]
    return report.partition("\n\nnegative\n")[2]


def joined(path: str, layout: str) -> dict:
    """What comes of a layout that is longer than the checkpoint reads."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    output = text_encode.ReCoConditioning.execute(
        clip, read, "", overflow="join up to four sequences"
    )
    positive, negative, latent, report = output.args
    _, recorder = sampled(model, positive, negative, latent, steps=2)
    return {
        "states": [list(some[0][0].shape) for some in (positive, negative)],
        "rows": recorder.calls,
        "report": report,
    }


def refusal(path: str, layout: str, spoil: str, settings: dict | None = None) -> str:
    """Why controlled conditioning that a graph has spoiled is not sampled; empty if it is."""
    model, clip = load(path)[:2]
    output = control.ReCoControl.execute(
        model, clip, Layout.from_json(layout), "", **(settings or {})
    )
    with_control, positive, negative, latent = output.args[:4]
    if spoil == "another model":
        with_control = model
    elif spoil == "average":
        positive = [[states * 0.5, options] for states, options in positive]
    elif spoil == "area":
        area = {"area": (8, 8, 0, 0), "strength": 1.0}
        positive = [[states, {**options, **area}] for states, options in positive]
    try:
        sampled(with_control, positive, negative, latent, steps=1)
    except ValueError as error:
        return str(error)
    return ""


def adapter_stays(path: str, layout: str) -> dict[str, float]:
    """What is left of another node's replacement of a block's cross-attention, which adds to it."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    added = torch.tensor(0.3)

    def adapter(q, k, v, options):
        return biased._attention(q, k, v, options) + added

    def run(with_adapter: bool, settings: dict) -> torch.Tensor:
        output = control.ReCoControl.execute(model, clip, read, "", **settings)
        patched = output.args[0].clone()
        if with_adapter:
            patched.set_model_attn2_replace(adapter, "middle", 0)
        return sampled(patched, *output.args[1:4], steps=1)[0]

    bounds = {"containment": "its tokens"}
    free, bound, both = run(True, {}), run(False, bounds), run(True, bounds)
    return {
        "of the adapter": float((both - bound).abs().max()),
        "of the bounds": float((both - free).abs().max()),
    }

"""What tests ask of the sampling of controlled regions, in ComfyUI; see inside_checks.py."""

from __future__ import annotations

import logging
from dataclasses import replace

import comfy.hooks
import comfy.sample
import comfy.sd
import folder_paths
import torch
from inside_checks import Layout, load, module
from safetensors.torch import save_file

import nodes

Mask = module("reco_core.mask").Mask
control = module("nodes.control")
biased = module("nodes.biased_attention")
choice = module("reco_core.choice")
masks = module("nodes.masks")
region_lora = module("nodes.region_lora")
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


def sampled(
    model,
    positive,
    negative,
    latent,
    cfg=4.0,
    steps=4,
    sampler="euler",
    scheduler="normal",
    noise=None,
    seed=3,
    denoise=1.0,
):
    """Latents, and a Recorder of what the UNet got."""
    recorder = Recorder(model)
    if noise is None:
        noise = torch.randn(latent["samples"].shape, generator=torch.manual_seed(seed))
    latents = comfy.sample.sample(
        recorder.model,
        noise,
        steps,
        cfg,
        sampler,
        scheduler,
        positive,
        negative,
        latent["samples"],
        seed=seed,
        denoise=denoise,
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


def said(path: str, layout: str, **options) -> list[str]:
    """What the log warns of in a run."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append
    logging.getLogger().addHandler(handler)
    try:
        controlled(path, layout, **options)
    finally:
        logging.getLogger().removeHandler(handler)
    messages = (record.getMessage() for record in records)
    return [message for message in messages if message.startswith("ReCo: ")]


def hidden(path: str, layout: str, how: str, negative: str = "") -> list[list[list[int]]]:
    """Of positive and negative: the spans of tokens that no cell sees, of each of their phases."""
    model, clip = load(path)[:2]
    made = control.ReCoControl.execute(
        model, clip, Layout.from_json(layout), negative, containment=how
    )
    both = (some[0][1]["reco_control"].phases for some in made.args[1:3])
    return [[list(phase.hidden) for phase in phases] for phases in both]


def attention(
    path: str, layout: str, settings: dict, shape: list[int] | None = None
) -> dict[str, float]:
    """How much the cells attend to the first region's tokens in the first step: the most of any
    head and block inside of its box, the left half, and outside of it, and the mean of all.

    shape: bytes of the region's mask, over equal parts of its box from left to right.
    """
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
        _contained(path, read, settings, shape)
    finally:
        biased._attention = attend
    halves = [share.chunk(2, dim=2) for share in shares if share.shape[2] > 1]
    return {
        "inside": max(float(left.max()) for left, _ in halves),
        "outside": max(float(right.max()) for _, right in halves),
        "mean": sum(float(share.mean()) for share in shares) / len(shares),
    }


def _contained(path: str, layout, settings: dict, shape: list[int] | None) -> None:
    """One step, of which the first region may have a mask: JSON has none."""
    model, clip = load(path)[:2]
    if shape:
        row = bytes(value for value in shape for _ in range(32))
        masked = replace(layout.regions[0], mask=Mask(len(row), 1, row))
        layout = replace(layout, regions=(masked, *layout.regions[1:]))
    sampled(*control.ReCoControl.execute(model, clip, layout, "", **settings).args[:4], steps=1)


def _attended(q, k, bias, heads: int) -> torch.Tensor:
    """(heads, cells, tokens) of one row."""
    q, k = (each.unflatten(-1, (heads, -1)).transpose(0, 1) for each in (q, k))
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias).softmax(-1)


def text_tokens(path: str, text: str) -> list:
    return load(path)[1].tokenizer.read_text(text)[0]


def containments(path: str, layout: str) -> list[str]:
    return control.CONTAINMENTS


def report(path: str, layout: str, overflow: str) -> str:
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    return control.ReCoControl.execute(model, clip, read, "", overflow=overflow).args[4]


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
    elif spoil == "zero out":
        negative = nodes.ConditioningZeroOut().zero_out(negative)[0]
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


def lora_of_a_region(path: str, layout: str) -> dict[str, object]:
    """How far one step with a LoRA in the first region is from those with it and without it, in
    the region's cells and outside of them, and the rows of its calls."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    positive, negative, latent, _ = text_encode.ReCoConditioning.execute(clip, read, "").args
    weights = _some_lora(model)
    lora = comfy.sd.load_lora_for_models(model, None, weights, 1.0, 0.0)[0]
    mask = masks.layout_masks(choice.choose_region(read, "1"), 0, "exact pixels")[0]
    hooks = comfy.hooks.create_hook_lora(weights, 1.0, 0.0)
    both = [region_lora.bounded(some, mask, hooks) for some in (positive, negative)]
    made, recorder = sampled(model, *both, latent, steps=1)
    inside = torch.nn.functional.max_pool2d(mask[None, None], 8)[0, 0] > 0
    with_it = sampled(lora, positive, negative, latent, steps=1)[0]
    without = sampled(model, positive, negative, latent, steps=1)[0]
    return {
        "with, inside": float((made - with_it).abs()[..., inside].max()),
        "without, outside": float((made - without).abs()[..., ~inside].max()),
        "effect": float((with_it - without).abs()[..., inside].max()),
        "rows": recorder.calls,
    }


def _some_lora(model) -> dict[str, torch.Tensor]:
    """Random, of rank 1, on the queries of all cross-attention."""
    torch.manual_seed(5)
    weights = {}
    for key, weight in model.model.state_dict().items():
        if key.endswith("attn2.to_q.weight"):
            name = key.removesuffix(".weight")
            weights[f"{name}.lora_up.weight"] = torch.randn(weight.shape[0], 1)
            weights[f"{name}.lora_down.weight"] = torch.randn(1, weight.shape[1])
    return weights


def loras_of_regions(path: str, layout: str) -> dict[str, list]:
    """Hooks and mask of every entry when two regions have a LoRA each."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    conditioning = text_encode.ReCoTextEncode.execute(clip, read).args[0]
    for number in ("1", "2"):
        mask = masks.layout_masks(choice.choose_region(read, number), 0, "exact pixels")[0]
        hooks = comfy.hooks.create_hook_lora(_some_lora(model), 1.0, 0.0)
        conditioning = region_lora.bounded(conditioning, mask, hooks)
    return {
        "hooks": [len(o["hooks"].hooks) if "hooks" in o else 0 for _, o in conditioning],
        "shares": [float(o["mask"].mean()) for _, o in conditioning],
        "sum": float(sum(o["mask"] for _, o in conditioning).sub(1).abs().max()),
    }


def lora_in_a_masked_batch(path: str, layout: str) -> list[list[float]]:
    """Shares of the masks of each entry, where two pictures of a batch have masks of their own."""
    clip = load(path)[1]
    conditioning = text_encode.ReCoTextEncode.execute(clip, Layout.from_json(layout)).args[0]
    own = torch.stack([torch.ones(16, 16), torch.zeros(16, 16)])
    masked = [[states, {**options, "mask": own}] for states, options in conditioning]
    half = torch.zeros(128, 128)
    half[:, :64] = 1
    hooks = comfy.hooks.create_hook_lora({}, 1.0, 0.0)
    made = region_lora.bounded(masked, half, hooks)
    return [options["mask"].mean(dim=(1, 2)).tolist() for _, options in made]


def lora_names_refused(path: str, layout: str) -> list:
    names = (region_lora.NO_LORAS, "gone.safetensors", None)
    return [region_lora.ReCoRegionLora.validate_inputs(name) for name in names]


def cells_of_a_lora(path: str, layout: str, folder: str, feather: int) -> list[list[float]]:
    """How much a LoRA of the first region counts in each latent cell, as ComfyUI reads masks."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    folder_paths.add_model_folder_path("loras", folder)
    save_file(_some_lora(model), f"{folder}/fits.safetensors")
    conditioning = text_encode.ReCoTextEncode.execute(clip, read).args[0]
    positive = region_lora.ReCoRegionLora.execute(
        conditioning, conditioning, model, read, "1", "fits.safetensors", 1.0, feather
    ).args[0]
    [mask] = [options["mask"] for _, options in positive if "hooks" in options]
    size = (read.height // 8, read.width // 8)
    return torch.nn.functional.interpolate(mask[None], size, mode="bilinear")[0, 0].tolist()


def lora_that_does_not_fit(path: str, layout: str, folder: str) -> list[str]:
    """What is said of files: of another model's LoRA, and of one with a part for text encoders."""
    model = load(path)[0]
    folder_paths.add_model_folder_path("loras", folder)
    save_file({"a.lora_up.weight": torch.ones(2, 1)}, f"{folder}/other.safetensors")
    text = {"lora_te_x.lora_up.weight": torch.ones(2, 1)}
    save_file({**_some_lora(model), **text}, f"{folder}/text.safetensors")
    try:
        region_lora.read_lora("other.safetensors", model)
    except ValueError as error:
        said = [str(error)]
    _, remarks = region_lora.read_lora("text.safetensors", model)
    return [*said, *(remark.message for remark in remarks)]

"""What tests ask of nodes/transplanting.py, in ComfyUI; see inside_checks.py."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import comfy.hooks
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.sample
import comfy.sd
import comfy.supported_models
import comfy.utils
import folder_paths
import torch
from adapter_checks import DynamicOnCpu, dynamic_on_cpu
from inside_checks import checkpoints, encode, load, module
from stock_checks import odd_clip, odd_model, refusal
from stock_models import stock_parts

transplanting = module("nodes.transplanting")

UNET = "model.diffusion_model."
TEXT = "cond_stage_model.transformer.text_model."
PROMPT = "a red circle <100> <100> <500> <500> blue square"
Networks = tuple


def parts(folder: str, **changes: str) -> dict[str, Networks]:
    """MODEL and CLIP of the three, by a ReCo loader and by ComfyUI's classes; changes: names of
    other files."""
    names = {"reco": "reco", "base": "base", "other": "other"} | changes
    paths = {role: f"{folder}/{name}.safetensors" for role, name in names.items()}
    plain = {role: plain_parts(paths[role]) for role in ("base", "other")}
    return {"reco": load(paths["reco"])[:2], **plain}


@cache
def plain_parts(path: str) -> Networks:
    """MODEL and CLIP of a plain file, by ComfyUI's classes."""
    return stock_parts(path)[:2]


def made(networks: dict[str, Networks], unet: float, text: float) -> Networks:
    return transplanting.transplant(
        networks["reco"], networks["base"], networks["other"], unet, text
    )


def weights(networks: Networks) -> dict[str, torch.Tensor]:
    """What ComfyUI computes with, under the keys of a single file."""
    model, clip = networks
    comfy.model_management.load_models_gpu([model, clip.load_model()])
    unet = model.model.state_dict()
    text = clip.cond_stage_model.state_dict()
    found = {f"model.{key}": weight for key, weight in unet.items()}
    renamed = comfy.utils.state_dict_prefix_replace(dict(text), {"clip_l.": "cond_stage_model."})
    wanted = {**found, **renamed}
    return {k: w.detach().clone() for k, w in wanted.items() if k.startswith((UNET, TEXT))}


def by_hand(folder: str, unet: float, text: float) -> dict[str, torch.Tensor]:
    """The same of the files, in float64."""
    reco, base, other = (
        comfy.utils.load_torch_file(f"{folder}/{name}.safetensors")
        for name in ("reco", "base", "other")
    )
    expected = {}
    for key, theirs in other.items():
        if not key.startswith((UNET, TEXT)):
            continue
        strength = unet if key.startswith(UNET) else text
        difference = reco[key].double()[: len(theirs)] - base[key].double()
        changed = theirs.double() + strength * difference
        expected[key] = torch.cat([changed, reco[key].double()[len(theirs) :]])
    return expected


def farthest(found: dict, expected: dict) -> float:
    """The greatest difference of any number, of weights of the same names and shapes."""
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    assert all(found[key].shape == expected[key].shape for key in found)
    return max((found[key].double() - expected[key]).abs().max().item() for key in found)


def differences(folder: str, strengths: list[list[float]]) -> list[float]:
    """How far a transplant's weights are from float64's, for each pair of strengths; all are made
    first, of the same parts, and none may disturb another. At last, those of the parts."""
    networks = parts(folder)
    several = [made(networks, *pair) for pair in strengths]
    found = [
        farthest(weights(one), by_hand(folder, *pair))
        for one, pair in zip(several, strengths, strict=True)
    ]
    others = {"reco": by_hand_of(folder, "reco"), "other": by_hand_of(folder, "other")}
    return found + [farthest(weights(networks[role]), others[role]) for role in others]


def by_hand_of(folder: str, name: str) -> dict[str, torch.Tensor]:
    tensors = comfy.utils.load_torch_file(f"{folder}/{name}.safetensors")
    return {k: w.double() for k, w in tensors.items() if k.startswith((UNET, TEXT))}


def patched(folder: str, lora: str, roles: list[str]) -> list[float]:
    """How far a transplant of parts with a LoRA in front is from one with the LoRA's change added
    by hand, and how far the LoRA moves it."""
    tensors = comfy.utils.load_torch_file(lora)
    networks = parts(folder)
    changed = {
        role: comfy.sd.load_lora_for_models(*networks[role], tensors, 0.7, 0.4)
        if role in roles
        else networks[role]
        for role in networks
    }
    expected = by_hand(folder, 0.5, 0.8)
    without = {key: weight.clone() for key, weight in expected.items()}
    for role in roles:
        before, after = weights(networks[role]), weights(changed[role])
        for key in expected:
            share = {UNET: 0.5, TEXT: 0.8}[UNET if key.startswith(UNET) else TEXT]
            factor = {"other": 1.0, "reco": share, "base": -share}[role]
            rows = min(len(expected[key]), len(before[key]))
            expected[key][:rows] += factor * (after[key] - before[key]).double()[:rows]
    found = weights(made(changed, 0.5, 0.8))
    return [farthest(found, expected), farthest(expected, without)]


def merged_first(folder: str) -> float:
    """How far a transplant onto a merge of ComfyUI's is from the transplant onto its average."""
    from comfy_extras.nodes_model_merging import NODE_CLASS_MAPPINGS as merges

    networks = parts(folder)
    (model,) = merges["ModelMergeSimple"]().merge(networks["other"][0], networks["base"][0], 0.25)
    (clip,) = merges["CLIPMergeSimple"]().merge(networks["other"][1], networks["base"][1], 0.25)
    found = weights(made({**networks, "other": (model, clip)}, 1.0, 1.0))
    other, base = by_hand_of(folder, "other"), by_hand_of(folder, "base")
    expected = by_hand(folder, 1.0, 1.0)
    for key, weight in expected.items():
        weight[: len(other[key])] += 0.75 * (base[key] - other[key])
    return farthest(found, expected)


def states(folder: str) -> dict[str, float]:
    """How far text states of a caption without boxes are from those of the other CLIP, at strength
    0 and 1, up to the end of the text; and how far boxes move what follows."""
    networks = parts(folder)
    other = encode(networks["other"][1], "a red circle")
    off, on = made(networks, 0.0, 0.0)[1], made(networks, 1.0, 1.0)[1]
    count = 5  # BOS, three words, EOS
    plain = encode(off, "a red circle")
    return {
        "length": plain.shape[1],
        "at 0": (plain - other)[:, :count].abs().max().item()
        if plain.shape[1] == other.shape[1]
        else (plain[:, :count] - other[:, :count]).abs().max().item(),
        "at 1": (encode(on, "a red circle")[:, :count] - other[:, :count]).abs().max().item(),
        "boxes": (encode(off, PROMPT) - plain).abs().max().item(),
    }


def description(folder: str, strength: float = 1.0) -> dict:
    """What the made CLIP says of itself, what it is by the pack's own check, and what of the other
    CLIP it keeps."""
    networks = parts(folder)
    model, clip = networks["other"]
    networks["other"] = (model, clip.clone())
    networks["other"][1].clip_layer(-2)
    model, clip = made(networks, strength, strength)
    info, facts = clip.tokenizer.info, clip.tokenizer.facts
    module("nodes.encoding").reco_tokenizer(clip)
    kept = networks["reco"][1].tokenizer.info
    return {
        "num_bins": info.num_bins,
        "max_length": info.max_length,
        "words": list(info.words),
        "size": list(info.start_size()),
        "metadata": info.metadata,
        "facts": facts.metadata,
        "layer": clip.layer_idx,
        "recos_layer": networks["reco"][1].layer_idx,
        "recos_words": list(kept.words),
        "kind": type(model.model.model_config).__name__,
        "is_others_model": model.model is networks["other"][0].model,
    }


def spoiled(folder: str) -> str:
    """Why the made CLIP is refused after a merge with a plain one."""
    from comfy_extras.nodes_model_merging import NODE_CLASS_MAPPINGS as merges

    networks = parts(folder)
    (clip,) = merges["CLIPMergeSimple"]().merge(
        made(networks, 1.0, 1.0)[1], networks["other"][1], 0.5
    )
    return refusal(module("nodes.encoding").reco_tokenizer, clip)


def refused(folder: str, case: str) -> str:
    """Why a set of inputs is refused; empty if it is not."""
    return refusal(made, {**parts(folder), **_odd(folder, case)}, 1.0, 1.0)


def _odd(folder: str, case: str) -> dict[str, Networks]:
    kind, _, role = case.partition(" as ")
    networks = parts(folder)
    model, clip = networks[role]
    if kind in ("reco", "base", "other"):
        return {role: networks[kind]}
    if kind == "base read again":
        return {role: _read_again(f"{folder}/base.safetensors")}
    if kind.endswith("'s unet"):
        return {role: (networks[kind.removesuffix("'s unet")][0], clip)}
    if kind == "reco's text encoder":
        return {role: (model, networks["reco"][1])}
    if kind in ("wide", "deep", "long text", "other blocks"):
        return {role: plain_parts(f"{folder}/{kind}.safetensors")}
    if kind == "wide text encoder":
        return {role: (model, plain_parts(f"{folder}/wide.safetensors")[1])}
    if kind in ("SD2", "SDXL"):
        return {role: (model, odd_clip(kind))}
    if kind == "hooks":
        hooked = clip.clone()
        hooked.patcher.forced_hooks = comfy.hooks.HookGroup()
        hooked.patcher.forced_hooks.add(comfy.hooks.WeightHook(1.0, 1.0))
        return {role: (model, hooked)}
    if kind == "nothing":
        return {role: (None, clip)}
    return {role: (odd_model(f"{folder}/{role}.safetensors", kind), clip)}


def _read_again(path: str) -> Networks:
    """A plain file's MODEL and CLIP, with chance where ComfyUI leaves it: the file has no
    projection of texts."""
    model, clip = stock_parts(path)[:2]
    torch.nn.init.normal_(clip.cond_stage_model.clip_l.transformer.text_projection.weight)
    return model, clip


def found_base(folder: str, connected: list[str], reco: str = "reco") -> dict:
    """The base that is taken when some of its inputs are connected, with ComfyUI's checkpoints
    folder at `folder`: what it is called, and how far a transplant from it is from float64's; or
    why there is none."""
    before = folder_paths.folder_names_and_paths["checkpoints"]
    folder_paths.folder_names_and_paths["checkpoints"] = ([folder], before[1])
    networks = parts(folder, reco=reco)
    model, clip = networks["base"]
    given = (model if "model" in connected else None, clip if "clip" in connected else None)
    try:
        base, name = transplanting.base_networks(networks["reco"][1], *given, [])
    except ValueError as error:
        return {"refused": str(error)}
    finally:
        folder_paths.folder_names_and_paths["checkpoints"] = before
    found = weights(made({**networks, "base": base}, 1.0, 1.0))
    return {
        "name": name,
        "far": farthest(found, by_hand(folder, 1.0, 1.0)),
    }


def far_from_file(folder: str, path: str, strengths: list[float]) -> float:
    """How far a transplant is from a file."""
    tensors = comfy.utils.load_torch_file(path)
    expected = {k: w.double() for k, w in tensors.items() if k.startswith((UNET, TEXT))}
    return farthest(weights(made(parts(folder), *strengths)), expected)


def saved(folder: str, is_dynamic: bool) -> dict:
    """How far what is written is from float64's, with ComfyUI's dynamic VRAM or without; how many
    weights were patched before they were written; and how far it is from the difference added
    twice."""
    *reco, vae = checkpoints.load_checkpoint(Path(f"{folder}/reco.safetensors"))
    networks = {**parts(folder), "reco": tuple(reco)}
    with dynamic_on_cpu():
        if is_dynamic:
            other = stock_parts(f"{folder}/other.safetensors")[:2]
            networks |= {"reco": _dynamic(networks["reco"]), "other": _dynamic(other)}
        model, clip = made(networks, 1.0, 1.0)
        assert (model.is_dynamic(), clip.patcher.is_dynamic()) == (is_dynamic, is_dynamic)
        tensors = module("nodes.save").checkpoint_tensors(model, clip, vae)
        written = {k: w.to("cpu") for k, w in tensors.items() if k.startswith((UNET, TEXT))}
        patched = [len(model.backup), len(clip.patcher.backup)]
    return {
        "far": farthest(written, by_hand(folder, 1.0, 1.0)),
        "patched before": patched,
        "twice": farthest(written, by_hand(folder, 2.0, 2.0)),
    }


def _dynamic(networks: Networks) -> Networks:
    """The same under ComfyUI's dynamic VRAM."""
    model, clip = networks
    clip, device = clip.clone(), torch.device("cpu")
    clip.patcher.detach()  # as on a GPU, where it is not loaded before it is used
    clip.patcher = DynamicOnCpu(clip.cond_stage_model, device, device)
    return DynamicOnCpu(model.model, device, device), clip


def short_of_memory(folder: str) -> dict:
    """How far text states are, while ComfyUI leaves patches to the layers, from those of the CLIP
    as loaded whole; and whether it does."""
    networks = parts(folder)
    expected = encode(made(networks, 0.3, 0.3)[1], PROMPT)
    model, clip, _ = checkpoints.load_checkpoint(Path(f"{folder}/reco.safetensors"))
    clip.patcher.detach()  # as on a GPU, where it is not loaded before it is used
    for layer in clip.cond_stage_model.modules():
        comfy.model_patcher.wipe_lowvram_weight(layer)
    _, clip = made({**networks, "reco": (model, clip)}, 0.3, 0.3)
    clip.patcher.partially_load(clip.patcher.load_device, 1)
    clip.cond_stage_model.reset_clip_options()
    clip.cond_stage_model.set_clip_options({"execution_device": clip.patcher.load_device})
    found = clip.cond_stage_model.encode_token_weights(clip.tokenize(PROMPT))[0]
    return {
        "far": (found - expected).abs().max().item(),
        "in parts": clip.patcher.model.model_lowvram,
    }

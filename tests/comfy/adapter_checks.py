"""What tests ask of adapters on loaded models, in ComfyUI; see inside_checks.py.

A recipe of MODEL and CLIP is a list of steps, each [name, arguments...]:
  ["stock", plain file], ["reco", ReCo file], ["adapted", plain file, adapter], which come first;
  ["apply", adapter, strength_model, strength_clip], ["lora", file, strength], ["merge", recipe,
  ratio], which change them.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import comfy.sample
import comfy.sd
import comfy.utils
import folder_paths
import torch
from comfy_extras import nodes_model_merging
from inside_checks import PACK, checkpoints, comfyui_nodes, encode, encoding, load, module
from stock_checks import refusal
from stock_models import stock_clip, stock_parts

adapting = module("nodes.adapting")
TABLES = "clip_l.transformer.text_model.embeddings."
PROMPT = "a dog <100> <100> <500> <500> a cat <0> <0> <999> <999> a tree"

_stock: dict[str, tuple] = {}


def parts(recipe: list) -> tuple:
    """MODEL, CLIP and VAE that a recipe makes. Stock files are loaded once, as by ComfyUI."""
    (first, *given), *steps = recipe
    if first == "stock":
        (path,) = given
        if path not in _stock:
            _stock[path] = stock_parts(path)
        model, clip, vae = _stock[path]
    elif first == "reco":
        model, clip, vae = load(*given)
    else:
        model, clip, vae = checkpoints.load_with_adapter(Path(given[0]), Path(given[1]), *given[2:])
    for kind, *given in steps:
        if kind == "apply":
            model, clip = adapting.apply_adapter(model, clip, Path(given[0]), *given[1:])
        elif kind == "lora":
            lora = comfy.utils.load_torch_file(given[0])
            model, clip = comfy.sd.load_lora_for_models(model, clip, lora, given[1], given[1])
        else:
            other, ratio = parts(given[0]), given[1]
            (model,) = nodes_model_merging.ModelMergeSimple().merge(model, other[0], ratio)
            (clip,) = nodes_model_merging.CLIPMergeSimple().merge(clip, other[1], ratio)
    return model, clip, vae


def latents(model, clip, prompt: str = PROMPT) -> torch.Tensor:
    """Of a step of sampling, with guidance."""
    positive = encoding.encode_prompt(clip, prompt, size=(64, 64)).conditioning
    negative = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    empty = torch.zeros(1, 4, 8, 8)
    noise = comfy.sample.prepare_noise(empty, seed=0)
    return comfy.sample.sample(
        model, noise, 1, 3.0, "euler", "normal", positive, negative, empty, seed=0
    )


def differences(recipes: dict, first: str) -> dict:
    """How far latents and text states of recipes are from those of the first."""
    made = {name: parts(recipe) for name, recipe in recipes.items()}
    drawn = {name: latents(model, clip) for name, (model, clip, _) in made.items()}
    texts = {name: encode(clip, PROMPT) for name, (_, clip, _) in made.items()}
    return {
        name: [_apart(drawn[name], drawn[first]), _apart(texts[name], texts[first])]
        for name in recipes
    }


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The greatest difference, over the greatest number of the second."""
    return ((a - b).abs().max() / b.abs().max()).item()


def left_behind(path: str, adapter: str, lora: str) -> dict:
    """What a stock CLIP and clones of it encode while a ReCo clone is loaded and unloaded between;
    and how often any was not what it was at first."""
    stock = parts([["stock", path]])[1]
    recipes = {
        "stock": [["stock", path]],
        "lora": [["stock", path], ["lora", lora, 1.0]],
        "reco": [["stock", path], ["apply", adapter, 1.0, 1.0]],
        "reco, lora": [["stock", path], ["apply", adapter, 1.0, 1.0], ["lora", lora, 1.0]],
        "weaker": [["stock", path], ["apply", adapter, 0.5, 0.5]],
    }
    clips = {name: parts(recipe)[1] for name, recipe in recipes.items()}
    before = {name: encode(clip, PROMPT) for name, clip in clips.items()}
    order = ["reco", "stock", "reco, lora", "stock", "lora", "weaker", "reco", "lora", "stock"]
    changed = [name for name in order if not torch.equal(encode(clips[name], PROMPT), before[name])]
    comfy.model_management.unload_all_models()
    rows = {name: list(table.shape) for name, table in _tables(stock).items()}
    return {
        "changed": changed,
        "distinct": len({states.double().sum().item() for states in before.values()}),
        "lengths": [before[name].shape[1] for name in ("stock", "reco")],
        "tables": rows,
    }


def _tables(clip) -> dict[str, torch.Tensor]:
    embeddings = clip.cond_stage_model.clip_l.transformer.text_model.embeddings
    return {
        "token": embeddings.token_embedding.weight,
        "position": embeddings.position_embedding.weight,
    }


def _encode_as_loaded(clip) -> torch.Tensor:
    """Text states by what is loaded now, without asking for more of it."""
    clip.cond_stage_model.reset_clip_options()
    clip.cond_stage_model.set_clip_options({"execution_device": clip.patcher.load_device})
    return clip.cond_stage_model.encode_token_weights(clip.tokenize(PROMPT))[0]


def _unloaded_clip(path: str) -> comfy.sd.CLIP:
    """A stock CLIP as on a GPU, where it is not loaded before it is used."""
    clip = stock_clip(comfy.utils.load_torch_file(path))
    clip.patcher.detach()
    for layer in clip.cond_stage_model.modules():
        comfy.model_patcher.wipe_lowvram_weight(layer)
    return clip


def short_of_memory(path: str, adapter: str) -> dict:
    """How far text states are from those of the CLIP as loaded whole, while ComfyUI loads it in
    parts, whole after that, unloads it in parts, and loads it again."""
    model, clip, _ = parts([["stock", path], ["apply", adapter, 1.0, 1.0]])
    expected = encode(clip, PROMPT)
    stock = _unloaded_clip(path)
    _, clip = adapting.apply_adapter(model, stock, Path(adapter), 1.0, 1.0)
    patcher = clip.patcher
    device, found = patcher.load_device, {}

    def note(state: str) -> None:
        found[state] = [_apart(_encode_as_loaded(clip), expected), patcher.model.model_lowvram]

    patcher.partially_load(device, 1)
    note("in parts")
    table = clip.state_dict_for_saving()[f"{TABLES}position_embedding.weight"]
    found["saved rows"] = [len(table), len(table.to("cpu"))]
    patcher.partially_load(device, 1e32)
    note("whole")
    patcher.partially_unload(patcher.offload_device, 1e32)
    patcher.partially_load(device, 1)
    note("in parts again")
    patcher.detach()
    found["unloaded"] = [len(table) for table in _tables(clip).values()]
    return found


class DynamicOnCpu(comfy.model_patcher.ModelPatcherDynamic):
    """ComfyUI's patcher for dynamic VRAM, which it makes for GPUs alone."""

    def __new__(cls, *arguments, **options):
        return object.__new__(cls)


class NoBuffer:
    """In place of the pinned memory of a GPU."""

    size = 0

    def __init__(self, *sizes: int) -> None:
        pass


@contextmanager
def dynamic_on_cpu() -> Iterator[None]:
    """In the block, DynamicOnCpu works without a GPU."""
    host_buffer = comfy.model_patcher.comfy_aimdo.host_buffer
    kept, host_buffer.HostBuffer = host_buffer.HostBuffer, NoBuffer
    try:
        yield
    finally:
        host_buffer.HostBuffer = kept


def dynamic(path: str, adapter: str) -> dict:
    """How far text states are from those without dynamic VRAM, of a ReCo clone, the stock CLIP, and
    again, and of the tables that are saved. The LoRA is off, since that is not applied on a CPU."""
    with dynamic_on_cpu():
        model, whole, _ = parts([["stock", path], ["apply", adapter, 1.0, 0.0]])
        expected = {"reco": encode(whole, PROMPT), "stock": encode(_stock[path][1], PROMPT)}
        stock = _unloaded_clip(path)
        cpu = torch.device("cpu")
        stock.patcher = DynamicOnCpu(stock.cond_stage_model, cpu, cpu)
        _, reco = adapting.apply_adapter(model, stock, Path(adapter), 1.0, 0.0)
        assert reco.is_dynamic()
        found: dict = {"reco": [], "stock": []}
        for name, clip in 2 * (("reco", reco), ("stock", stock)):
            found[name].append(_apart(encode(clip, PROMPT), expected[name]))
        for clip in (reco, whole):
            clip.load_model()
        saved, expected = reco.state_dict_for_saving(), whole.state_dict_for_saving()
        names = [name for name in expected if name.startswith(TABLES)]
        found["saved"] = [_apart(saved[n].to("cpu"), expected[n].to("cpu")) for n in names]
        return found


def refused(recipe: list) -> str:
    """Why a recipe cannot be made, or its CLIP not be used."""

    def make() -> None:
        _, clip, _ = parts(recipe)
        encoding.encode_prompt(clip, PROMPT, size=(64, 64))

    return refusal(make)


def refused_kind(plain: str, case: str, adapter: str) -> str:
    """Why an adapter is not applied to a model of another kind."""
    from stock_checks import odd_clip, odd_model

    model, clip, _ = parts([["stock", plain]])
    if case.startswith("CLIP "):
        clip = odd_clip(case.removeprefix("CLIP "))
    else:
        model = odd_model(plain, case)
    return refusal(adapting.apply_adapter, model, clip, Path(adapter))


def told(recipe: list) -> list[str]:
    """What the node says of the adapter that was applied last: its report, and its remarks."""
    report, remarks = adapting.described(parts(recipe)[1])
    return [report, *(remark.message for remark in remarks)]


def saved_again(recipe: list, folder: str) -> dict:
    """How far latents of a recipe are from those of files that are saved of it, and of parts."""
    model, clip, vae = parts(recipe)
    before = latents(model, clip)
    ours, stock = Path(folder, "ours.safetensors"), Path(folder, "stock.safetensors")
    module("nodes.save").save_checkpoint(model, clip, vae, ours, {})
    comfy.sd.save_checkpoint(str(stock), model, clip, vae)
    folder_paths.set_output_directory(folder)
    nodes_model_merging.ModelSave().save(model, "unet")
    nodes_model_merging.CLIPSave().save(clip, "text")
    (unet,), (text,) = Path(folder).glob("unet*"), Path(folder).glob("text*")
    opened = {
        "ours": checkpoints.load_checkpoint(ours),
        "stock": checkpoints.load_checkpoint(stock),
        "parts": checkpoints.load_parts(unet, text),
    }
    info = clip.tokenizer.info
    known = ("num_bins", "max_length", "encoders", "unet_heads", "words", "image_size", "family")

    def others(again) -> list[str]:
        return [key for key in known if getattr(again.tokenizer.info, key) != getattr(info, key)]

    return {
        name: {"apart": _apart(latents(*again[:2]), before), "others": others(again[1])}
        for name, again in opened.items()
    }


def cost(path: str, adapter: str) -> dict:
    """Of applying an adapter: seconds, and whether weights are shared."""
    model, clip, _ = parts([["stock", path]])
    start = time.perf_counter()
    adapted, text = adapting.apply_adapter(model, clip, Path(adapter))
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "shared": adapted.model is model.model and text.cond_stage_model is clip.cond_stage_model,
        "untouched": not model.patches and not clip.patcher.patches,
    }


@contextmanager
def loras_in(folder: str) -> Iterator[None]:
    """The folder in place of ComfyUI's loras."""
    before = folder_paths.folder_names_and_paths["loras"]
    folder_paths.folder_names_and_paths["loras"] = ([folder], {".safetensors"})
    folder_paths.filename_list_cache.pop("loras", None)
    try:
        yield
    finally:
        folder_paths.folder_names_and_paths["loras"] = before
        folder_paths.filename_list_cache.pop("loras", None)


def listing(folder: str) -> dict:
    """The names that the nodes list of a folder; seconds of processor time that the first look
    takes, and the least of later ones."""
    with loras_in(folder):
        seconds = []
        folder_paths.get_filename_list("loras")
        for _ in range(4):
            start = time.process_time()
            names = PACK.nodes.adapter_files.adapter_names()
            seconds.append(time.process_time() - start)
    return {"names": names, "seconds": [seconds[0], min(seconds[1:])]}


def registered(folder: str) -> list[list[str]]:
    """The adapters in a node's schema while ComfyUI registers the nodes, and after that."""

    def listed() -> list[str]:
        inputs = {one.id: one for one in PACK.nodes.ReCoApplyAdapter.GET_SCHEMA().inputs}
        return inputs["adapter_name"].options

    async def register() -> list[list[str]]:  # as ComfyUI's load_custom_node
        await PACK.nodes.ReCoExtension().get_node_list()
        at_start = listed()
        await asyncio.sleep(0)
        return [at_start, listed()]

    with loras_in(folder):
        return asyncio.run(register())


def full_size(folder: str) -> dict:
    """Of base.safetensors by ComfyUI's own loader nodes, with adapter.safetensors on it: how far
    latents and text states are from those of merged.safetensors, and what it takes."""
    import resource  # not on Windows

    for kind in ("checkpoints", "diffusion_models", "text_encoders"):
        folder_paths.add_model_folder_path(kind, folder)
    merged = load_once(f"{folder}/merged.safetensors")
    adapter, start = f"{folder}/adapter.safetensors", time.monotonic()
    loader = comfyui_nodes.CheckpointLoaderSimple()
    model, clip, _ = loader.load_checkpoint("base.safetensors")
    before, plain = _encoding(clip)
    adapted, text = adapting.apply_adapter(model, clip, Path(adapter))
    after, states = _encoding(text)
    drawn = latents(adapted, text)
    result = {
        "apart": [_apart(drawn, merged["latents"]), _apart(states, merged["states"])],
        "without the UNet": _apart(latents(model, text), merged["latents"]),
        "stock again": _apart(_encoding(clip)[1], plain),
        "seconds to encode": [before, after],
    }
    del adapted, text, model, clip
    gc.collect()
    (model,) = comfyui_nodes.UNETLoader().load_unet("base.safetensors", "default")
    (clip,) = comfyui_nodes.CLIPLoader().load_clip("text.safetensors", "stable_diffusion")
    _, text = adapting.apply_adapter(model, clip, Path(adapter))
    result["parts"] = _apart(_encoding(text)[1], merged["states"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    return {**result, "seconds": time.monotonic() - start, "peak_gib": peak}


def load_once(path: str) -> dict:
    """Latents and text states of a ReCo checkpoint, which is not kept."""
    model, clip, _ = checkpoints.load_checkpoint(Path(path))
    found = {"latents": latents(model, clip), "states": encode(clip, PROMPT)}
    comfy.model_management.unload_all_models()
    return found


def _encoding(clip) -> tuple[float, torch.Tensor]:
    """The least seconds of three, and the states."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        states = encode(clip, PROMPT)
        seconds.append(time.perf_counter() - start)
    return min(seconds), states

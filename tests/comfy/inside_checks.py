"""What tests ask of a ComfyUI: run by inside.py with ComfyUI's modules at hand.

Arguments and results are JSON. Layouts go in as JSON texts, tokens come out as ids.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
import time
from pathlib import Path

import comfy.sample
import comfy.sd
import comfy.utils
import folder_paths
import server as _server  # noqa: F401  (ComfyUI has it loaded before it loads custom nodes)
import torch
from aiohttp import web
from inside import load_pack

import nodes as comfyui_nodes

PACK = load_pack()


def module(name: str):
    """A module of the pack, by its name below the pack's root."""
    return importlib.import_module(f"{PACK.__name__}.{name}")


checkpoints = module("nodes.checkpoints")
encoding = module("nodes.encoding")
Layout = module("reco_core.layout").Layout

_loaded: dict[str, tuple] = {}


def load(path: str, embeddings: str | None = None) -> tuple:
    key = f"{path} {embeddings}"
    if key not in _loaded:
        _loaded[key] = checkpoints.load_checkpoint(Path(path), [embeddings] if embeddings else None)
    return _loaded[key]


def encode(clip, prompt) -> torch.Tensor:
    return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0][0]


def makers() -> list[str]:
    """Nodes that are run again to recall a layout."""
    return [maker.GET_SCHEMA().node_id for maker in module("nodes.recalling").MAKERS]


def start_up() -> dict:
    """The least time in which fresh copies of the pack start, their bytecode being there, and the
    modules of its own that a start imports, by their names below its root."""
    names = [f"reco_pack_{number}" for number in range(5)]
    seconds = [_seconds_to_start(name) for name in names]
    imported = {name.partition(".")[2] for name in sys.modules if name.startswith(f"{names[0]}.")}
    return {"seconds": min(seconds), "imported": sorted(imported)}


def _seconds_to_start(name: str) -> float:
    """Of all that ComfyUI asks of a pack before it answers anyone: the module, the routes, the
    nodes and their schemas."""
    start = time.perf_counter()
    pack = load_pack(name)
    pack.nodes.routes.add_routes(web.RouteTableDef())
    for node in asyncio.run(pack.nodes.ReCoExtension().get_node_list()):
        node.GET_SCHEMA()
    return time.perf_counter() - start


def tokens(path: str, text: str, embeddings: str | None = None) -> dict:
    """Ids and weights of the one chunk; embedding vectors appear as -1."""
    return _ids_and_weights(load(path, embeddings)[1].tokenize(text))


def layout_tokens(path: str, layout: str) -> dict:
    return _ids_and_weights(load(path)[1].tokenize(Layout.from_json(layout)))


def _ids_and_weights(tokens: dict) -> dict:
    (chunk,) = tokens["l"]
    ids = [token if isinstance(token, int) else -1 for token, _ in chunk]
    return {"ids": ids, "weights": [weight for _, weight in chunk]}


def word_ids(path: str, text: str) -> list[list]:
    (chunk,) = load(path)[1].tokenize(text, return_word_ids=True)["l"]
    return [list(item) for item in chunk]


def untokenized(path: str, text: str) -> list[str]:
    tokenizer = load(path)[1].tokenizer
    (chunk,) = tokenizer.tokenize_with_weights(text)["l"]
    return [word for _, word in tokenizer.untokenize(chunk)]


def logged_while_tokenizing(path: str, text: str) -> dict:
    """The chunk's length, and what was logged as a warning meanwhile."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    try:
        result = tokens(path, text)
    finally:
        logging.getLogger().removeHandler(handler)
    return {"ids": result["ids"], "messages": messages}


def report(path: str, layout: str, overflow: str = "error") -> dict:
    clip = load(path)[1]
    encoded = encoding.encode_prompt(clip, Layout.from_json(layout), overflow)
    return {"shape": list(encoded.conditioning[0][0].shape), "report": encoded.report}


def encoded(path: str, text: str, embeddings: str, overflow: str = "error") -> dict:
    """What is said of a text of a 128 x 128 picture: {"remarks", "report"}, or {"error"}."""
    clip = load(path, embeddings)[1]
    try:
        result = encoding.encode_prompt(clip, text, overflow, (128, 128))
    except ValueError as error:
        return {"error": str(error)}
    return {"remarks": [remark.to_data() for remark in result.remarks], "report": result.report}


def remarks(layout: str) -> list[dict]:
    """What is said of a layout by itself."""
    reading = module("reco_core.remarks").Reading(Layout.from_json(layout))
    return [remark.to_data() for remark in PACK.nodes.remarks.all_remarks(reading)]


def routes() -> list[str]:
    """The addresses that the pack adds to ComfyUI's."""
    table = web.RouteTableDef()
    PACK.nodes.routes.add_routes(table)
    return [route.path for route in table]


def recalled_kinds() -> list[str]:
    """The nodes that are run again when a layout is recalled from a picture."""
    return [maker.define_schema().node_id for maker in module("nodes.recalling").MAKERS]


def tile_corners(cases: list[list[int]]) -> list[list[tuple[int, ...]]]:
    """Where ComfyUI cuts pictures into tiles: for each case, which has the sides of picture and
    tile and the overlap, xyxy of every tile."""
    from comfy_extras.nodes_images import SplitImageToTileList

    return [SplitImageToTileList.get_grid_coords(*case) for case in cases]


def stock_clip_error() -> str:
    """What the encoder says to a CLIP that did not come from a ReCo checkpoint."""
    clip = comfy.sd.CLIP(no_init=True)
    clip.tokenizer = object()
    try:
        encoding.encode_prompt(clip, Layout())
    except ValueError as error:
        return str(error)
    return ""


def text_states_difference(path: str, prompt: str) -> dict:
    """Greatest difference between the loader's text states and those of transformers' CLIPTextModel
    on the same ids and weights, in fp32."""
    from transformers import CLIPTextConfig, CLIPTextModel

    _, clip, _ = load(path)
    ours = encode(clip, prompt)
    state_dict, info = checkpoints.read_reco_checkpoint(Path(path))
    (size,) = info.encoders
    config = CLIPTextConfig(
        vocab_size=49408 + info.num_bins,
        hidden_size=size.width,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=info.max_length,
        hidden_act="quick_gelu",
    )
    model = CLIPTextModel(config).eval()
    prefix = "cond_stage_model.transformer."
    weights = {k[len(prefix) :]: v.float() for k, v in state_dict.items() if k.startswith(prefix)}
    if "embeddings.token_embedding.weight" in model.state_dict():  # transformers >= 5.6
        weights = {k.removeprefix("text_model."): v for k, v in weights.items()}
    model.load_state_dict(weights)
    ids = torch.tensor([[token for token, _ in clip.tokenize(prompt)["l"][0]]])
    with torch.no_grad():
        theirs = model(ids).last_hidden_state
    return {
        "shape": list(ours.shape),
        "dtype": str(next(clip.cond_stage_model.parameters()).dtype),
        "difference": (ours - theirs).abs().max().item(),
        "scale": theirs.abs().mean().item(),
    }


def unet_work(path: str, layout: str, steps: int) -> dict:
    """Rows and calls of the UNet while sampling with guidance."""
    model, clip, _ = load(path)
    layout = Layout.from_json(layout)
    rows: list[list[int]] = []

    def count(apply_model, arguments):
        rows.append(list(arguments["input"].shape))
        return apply_model(arguments["input"], arguments["timestep"], **arguments["c"])

    counted = model.clone()
    counted.set_model_unet_function_wrapper(count)
    positive = encoding.encode_prompt(clip, layout).conditioning
    negative = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    latent = torch.zeros(1, 4, layout.height // 8, layout.width // 8)
    noise = comfy.sample.prepare_noise(latent, seed=0)
    samples = comfy.sample.sample(
        counted, noise, steps, 3.0, "euler", "normal", positive, negative, latent, seed=0
    )
    lengths = [positive[0][0].shape[1], negative[0][0].shape[1]]
    return {"calls": rows, "lengths": lengths, "finite": bool(samples.isfinite().all())}


def lora_effect(path: str, prompt: str) -> dict:
    """How far a LoRA on UNet and text encoder moves text states, and how much of it applied."""
    model, clip, _ = load(path)
    name = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    fc1 = clip.cond_stage_model.clip_l.transformer.text_model.encoder.layers[0].mlp.fc1.weight
    lora = {
        f"{name}.lora_up.weight": torch.randn(fc1.shape[0], 1),
        f"{name}.lora_down.weight": torch.randn(1, fc1.shape[1]),
        f"{name}.alpha": torch.tensor(1.0),
    }
    unet_name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    to_k = model.model.diffusion_model.middle_block[1].transformer_blocks[0].attn2.to_k.weight
    lora[f"{unet_name}.lora_up.weight"] = torch.randn(to_k.shape[0], 1)
    lora[f"{unet_name}.lora_down.weight"] = torch.randn(1, to_k.shape[1])
    before = encode(clip, prompt)
    patched_model, patched_clip = comfy.sd.load_lora_for_models(model, clip, lora, 1.0, 1.0)
    after = encode(patched_clip, prompt)
    restored = encode(clip, prompt)
    return {
        "unet_patches": len(patched_model.patches),
        "clip_patches": len(patched_clip.patcher.patches),
        "moved": (after - before).abs().max().item(),
        "left_behind": (restored - before).abs().max().item(),
        "length": after.shape[1],
    }


def clip_skip_effect(path: str, prompt: str) -> dict:
    """ComfyUI's own CLIPSetLastLayer at -1 and -2."""
    _, clip, _ = load(path)
    plain = encode(clip, prompt)
    set_last_layer = comfyui_nodes.CLIPSetLastLayer().set_last_layer
    last = encode(set_last_layer(clip, -1)[0], prompt)
    earlier = encode(set_last_layer(clip, -2)[0], prompt)
    return {
        "last": (last - plain).abs().max().item(),
        "earlier": (earlier - plain).abs().max().item(),
        "length": earlier.shape[1],
    }


def weight_effect(path: str, plain: str, weighted: str) -> list[float]:
    """Per token, how far weights move the text states."""
    _, clip, _ = load(path)
    difference = encode(clip, weighted) - encode(clip, plain)
    return difference.abs().amax(dim=-1)[0].tolist()


def rebuilt_equal(path: str) -> dict:
    """Whether the patchers' factories make the same weights again, as offloading needs."""
    return _rebuilt_equal(load(path))


def _rebuilt_equal(parts: tuple) -> dict:
    result = {}
    for name, part in zip(("model", "clip", "vae"), parts, strict=True):
        patcher = part if name == "model" else part.patcher
        factory, arguments = patcher.cached_patcher_init
        again = factory(*arguments, disable_dynamic=True)
        here, there = patcher.model.state_dict(), again.model.state_dict()
        trained = [k for k in here if "logit_scale" not in k and "text_projection" not in k]
        result[name] = here.keys() == there.keys() and all(
            torch.equal(here[k], there[k]) for k in trained
        )
    return result


def adapter_effect(base: str, adapter: str) -> dict:
    """What a ReCo adapter's LoRA does to text states and weights, by the strengths."""

    def load_at(strength_model: float, strength_clip: float) -> tuple:
        return checkpoints.load_with_adapter(
            Path(base), Path(adapter), strength_model, strength_clip
        )

    prompt = "a dog <100> <100> <500> <500> a cat"
    without, off, on = load_at(0, 0), load_at(1, 0), load_at(1, 1)
    plain = encode(without[1], prompt)
    return {
        "text states at clip 0": (encode(off[1], prompt) - plain).abs().max().item(),
        "text states at clip 1": (encode(on[1], prompt) - plain).abs().max().item(),
        "patches at model 1": {"unet": len(on[0].patches), "text": len(on[1].patcher.patches)},
        "rebuilt": _rebuilt_equal(load_at(1, 1)),
    }


def adapter_warning(base: str, adapter: str) -> str:
    return checkpoints.warning_of(Path(base), Path(adapter))


def vae_round_trip(path: str) -> list[int]:
    """Shape of a picture that went to latents and back."""
    _, _, vae = load(path)
    return list(vae.decode(vae.encode(torch.rand(1, 64, 64, 3))).shape)


def full_size_step(path: str, layout: str) -> dict:
    """Load, encode, one step at the layout's size, decode; with seconds and peak memory."""
    import resource  # not on Windows

    start = time.monotonic()
    work = unet_work(path, layout, steps=1)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    return {**work, "seconds": seconds, "peak_gib": peak / 2**20}


CLIP_LAYOUT = """{"version": 1, "caption": "pets in a park", "width": 64, "height": 64, "regions": [
    {"text": "a brown dog", "box": [0, 0, 0.5, 0.5]},
    {"text": "a cat", "box": [0.5, 0.25, 1, 0.5]}]}"""


def clip_scores(folder: str) -> dict:
    """CLIP's scores and cosines of two boxes in noise, and what transformers makes of the same."""
    from transformers import CLIPModel

    image = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    image = (image * 255).round() / 255
    layout = Layout.from_json(CLIP_LAYOUT)
    vision, clip = _comfyuis_clip(folder)
    with torch.inference_mode():
        (regions,) = module("nodes.scoring").score_batch(image[None], layout, vision, clip)
        cosines = (
            module("nodes.clip_similarity").ClipSimilarity(vision, clip, layout).cosines(image)
        )
        rows = _similarities(CLIPModel.from_pretrained(folder).eval(), vision, clip, image)
    expected = [row.softmax(-1)[place].item() for place, row in enumerate(100 * rows)]
    return {
        "scores": {"found": [region.score for region in regions], "expected": expected},
        "cosines": {
            "found": [v for row in cosines for v in row.values()],
            "expected": rows.flatten().tolist(),
        },
    }


def _similarities(model, vision, clip, image: torch.Tensor) -> torch.Tensor:
    """(2, 4) cosines by transformers: the boxes with their texts, the caption and no text."""
    mean, std = torch.tensor(vision.image_mean), torch.tensor(vision.image_std)
    crops = (mean * 255).round().div(255).repeat(2, 32, 32, 1)  # ComfyUI rounds pixels to bytes
    crops[0] = image[:32, :32]
    crops[1, 8:24] = image[16:32, 32:]  # a box twice as wide as high
    crops = (crops - mean) / std
    texts = ["a brown dog", "a cat", "pets in a park", ""]
    ids = [[token for token, _ in clip.tokenize(text)["l"][0]] for text in texts]
    images = model.visual_projection(
        model.vision_model(pixel_values=crops.movedim(-1, 1)).pooler_output
    )
    words = model.text_projection(model.text_model(input_ids=torch.tensor(ids)).pooler_output)
    return torch.nn.functional.cosine_similarity(images[:, None], words, dim=-1)


def clip_error(folder: str, case: str, reco: str) -> str:
    """Why a pair of CLIP vision model and text encoder is refused."""
    vision, clip = _comfyuis_clip(folder, projected=case != "other size")
    if case == "no projection":
        torch.nn.init.zeros_(clip.cond_stage_model.clip_l.transformer.text_projection.weight)
    clip = load(reco)[1] if case == "reco" else clip
    layout = Layout.from_json(CLIP_LAYOUT)
    try:
        with torch.inference_mode():
            module("nodes.scoring").score_batch(torch.zeros(1, 64, 64, 3), layout, vision, clip)
    except ValueError as error:
        return str(error)
    raise AssertionError("not refused")


def _comfyuis_clip(folder: str, projected: bool = True) -> tuple:
    """ComfyUI's CLIP vision model and text encoder of a CLIP that transformers saved."""
    from comfy.clip_vision import ClipVisionModel
    from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer
    from comfy.supported_models_base import ClipTarget

    config = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    weights = comfy.utils.load_torch_file(str(Path(folder) / "model.safetensors"))
    size = {"projection_dim": config["projection_dim"]} if projected else {}
    vision = ClipVisionModel(
        {**VISION_CONFIG, **_known(config["vision_config"], VISION_CONFIG), **size}
    )
    vision.load_sd(weights)
    clip = comfy.sd.CLIP(
        ClipTarget(SD1Tokenizer, SD1ClipModel),
        state_dict=[weights],
        model_options={"clip_l_model_config": _known(config["text_config"], TEXT_SIZES)},
    )
    return vision, clip


TEXT_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
VISION_CONFIG = {
    **dict.fromkeys((*TEXT_SIZES, "image_size", "patch_size")),
    "hidden_act": "quick_gelu",
    "model_type": "clip_vision_model",
    "num_channels": 3,
}


def _known(config: dict, keys) -> dict:
    return {key: config[key] for key in keys if key in config}


def merged_clip(folder: str, merges: list, save: str = "") -> dict:
    """Why the encoder refuses the CLIP of reco.safetensors after ComfyUI's merge nodes.

    merges: each [node, file of the other CLIP, number of the node]. save: a file to write as
    ComfyUI's Save Checkpoint does.
    """
    from comfy_extras import nodes_model_merging

    model, clip, vae = load(f"{folder}/reco.safetensors")
    for kind, name, *numbers in merges:
        other = _clip(f"{folder}/{name}.safetensors")
        merge = nodes_model_merging.NODE_CLASS_MAPPINGS[kind]().merge
        (clip,) = merge(clip, other, *numbers)
    if save:
        comfy.sd.save_checkpoint(save, model, clip, vae)
    try:
        encoding.encode_prompt(clip, Layout("a red circle"))
    except ValueError as error:
        return {"refused": str(error)}
    return {"refused": ""}


def _clip(path: str):
    """A checkpoint's CLIP; a plain one's is built by ComfyUI's classes."""
    from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer
    from comfy.supported_models_base import ClipTarget

    tensors = comfy.utils.load_torch_file(path)
    table = tensors["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"]
    if len(table) > 49408:
        return load(path)[1]
    prefixes = {"cond_stage_model.": "clip_l."}
    weights = comfy.utils.state_dict_prefix_replace(tensors, prefixes, filter_keys=True)
    size = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2}
    config = {**size, "num_attention_heads": 2}
    return comfy.sd.CLIP(
        ClipTarget(SD1Tokenizer, SD1ClipModel),
        state_dict=weights,
        model_options={"clip_l_model_config": config},
    )


def loaded_without(path: str, changes: dict, dynamic: bool) -> str:
    """Why the networks of a checkpoint are refused when some weights are missing (None) or of
    another shape; dynamic: with layers that hold no weights before they are loaded, as ComfyUI's
    dynamic VRAM makes them. Empty when they load."""
    import comfy.memory_management

    state_dict, info = checkpoints.read_reco_checkpoint(Path(path))
    for key, shape in changes.items():
        whole = state_dict.pop(key)
        if shape is not None:
            state_dict[key] = torch.zeros(shape, dtype=whole.dtype)
    try:
        comfy.memory_management.aimdo_enabled = dynamic
        model = checkpoints.build_model(state_dict, info)
        clip = checkpoints.build_clip(state_dict, info)
        checkpoints.build_vae(state_dict)
    except ValueError as error:
        return str(error)
    finally:
        comfy.memory_management.aimdo_enabled = False
    lazy = any(hasattr(module, "comfy_need_lazy_init_bias") for module in model.model.modules())
    assert lazy == dynamic, "this ComfyUI makes no such layers"
    assert encode(clip, "a red circle").isfinite().all()
    return ""


def path_of(diffusers: str, name: str) -> str:
    """Why a name of the checkpoints' list is refused, with a folder as ComfyUI's diffusers folder;
    empty when it is not."""
    folder_paths.add_model_folder_path("diffusers", diffusers)
    try:
        PACK.nodes.loaders.checkpoint_path(name)
    except FileNotFoundError as error:
        return str(error)
    return ""


def fingerprint(diffusers: str, name: str):
    """By what ComfyUI knows that ReCo Load Checkpoint has to run again."""
    folder_paths.add_model_folder_path("diffusers", diffusers)
    return PACK.nodes.loaders.ReCoLoadCheckpoint.fingerprint_inputs(ckpt_name=name)

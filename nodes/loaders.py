"""Load ReCo checkpoints: single files of Stable Diffusion 1's architecture, of any width, whose
text encoder has position tokens."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io

from ..reco_core import (
    UNET_PREFIX,
    VAE_PREFIX,
    CheckpointInfo,
    describe_checkpoint,
    read_checkpoint,
)
from ..reco_core.checkpoint import reco_metadata
from ..reco_core.checkpoint_file import read_parts
from ..reco_core.facts import UNET_FACTS, Facts, facts_of
from .clip import build_clip, check_complete
from .layout import CATEGORY

CHECKPOINT_FOLDER = "reco_checkpoints"
"""Folder key of the pack's own models/: not `checkpoints`, whose stock loader cannot open them."""

UNET_FOLDER, TEXT_ENCODER_FOLDER = "diffusion_models", "text_encoders"
"""Where ComfyUI looks for what ModelSave and CLIPSave write."""

Read = Callable[[], tuple[dict, CheckpointInfo]]
"""Reads a ReCo checkpoint's weights, anew at each call."""

SD1_SIDE = 512
SUFFIXES = (".safetensors", ".ckpt")
TAESD_SCALES = ("vae_scale", "vae_shift")  # ComfyUI has its own where a file has none
SD1_VAE = {"ch": 128, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2}


class ReCoSD15(comfy.supported_models.SD15):
    """Stable Diffusion 1 without the stock restriction to 320 channels and 768 wide text states;
    what the checkpoint is is saved with its UNet."""

    unet_config = {}

    def __init__(self, unet_config: dict, facts: Facts):
        super().__init__(unet_config)
        self.facts = facts

    def process_unet_state_dict_for_saving(self, state_dict: dict) -> dict:
        saved = super().process_unet_state_dict_for_saving(state_dict)
        return {**saved, UNET_FACTS: self.facts.tensor()}


def read_reco_checkpoint(path: Path) -> tuple[dict, CheckpointInfo]:
    """Read a checkpoint file. Raises ValueError when it is not a ReCo checkpoint."""
    state_dict, metadata = read_checkpoint(path)
    info = describe_checkpoint(state_dict, metadata)
    if not info.is_reco:
        raise ValueError(
            f"{path.name!r} is a plain Stable Diffusion 1 checkpoint: its text encoder has no "
            "position tokens, so it cannot follow boxes. Open it with an adapter in "
            "ReCo Load Adapter or alone in ComfyUI's own Load Checkpoint, or make a ReCo "
            "checkpoint of it with `python -m train fit` (see the README)."
        )
    return state_dict, info


def build_model(
    state_dict: dict, info: CheckpointInfo, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """The UNet as ComfyUI's MODEL. Takes its weights out of state_dict."""
    management = comfy.model_management
    load_device = management.get_torch_device()
    parameters = comfy.utils.calculate_parameters(state_dict, UNET_PREFIX)
    facts = facts_of(state_dict, info.metadata | reco_metadata(info))
    config = ReCoSD15(_unet_config(state_dict), facts)
    config.unet_config["num_heads"] = info.unet_heads
    dtypes = config.supported_inference_dtypes
    dtype = management.unet_dtype(
        model_params=parameters,
        supported_dtypes=dtypes,
        weight_dtype=comfy.utils.weight_dtype(state_dict, UNET_PREFIX),
    )
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, load_device, dtypes))
    initial_device = management.unet_inital_load_device(parameters, dtype)
    model = config.get_model(state_dict, UNET_PREFIX, device=initial_device)
    patcher = _patcher_class(disable_dynamic)(
        model, load_device=load_device, offload_device=management.unet_offload_device()
    )
    found = {key: weight.shape for key, weight in state_dict.items()}
    model.load_model_weights(state_dict, UNET_PREFIX, assign=patcher.is_dynamic())
    check_complete("UNet", model.diffusion_model, UNET_PREFIX, found)
    if initial_device.type != "cpu":
        management.load_models_gpu([patcher], force_full_load=True)
    return patcher


def _unet_config(state_dict: dict) -> dict:
    config = comfy.model_detection.detect_unet_config(state_dict, UNET_PREFIX)
    if config is None:
        raise ValueError("The checkpoint's UNet is not of a kind that ComfyUI knows.")
    return config


def _patcher_class(disable_dynamic: bool) -> type[comfy.model_patcher.ModelPatcher]:
    if disable_dynamic:
        return comfy.model_patcher.ModelPatcher
    return comfy.model_patcher.CoreModelPatcher


def build_vae(state_dict: dict) -> comfy.sd.VAE:
    """ComfyUI's VAE around a KL autoencoder of any width, or TAESD. Takes its weights out."""
    weights = comfy.utils.state_dict_prefix_replace(state_dict, {VAE_PREFIX: ""}, filter_keys=True)
    shapes = {key: weight.shape for key, weight in weights.items()}
    found = dict.fromkeys(TAESD_SCALES, torch.Size()) | shapes
    try:
        vae = comfy.sd.VAE(sd=weights, config=kl_config(weights))
    except (RuntimeError, IndexError) as error:  # of torch, for a weight of another shape
        raise ValueError(
            f"The checkpoint's autoencoder does not fit together ({error}). Fetch or convert it "
            "again."
        ) from error
    if vae.first_stage_model is not None:
        check_complete("autoencoder", vae.first_stage_model, "", found)
    elif shapes:
        raise ValueError(
            "The checkpoint's autoencoder is incomplete, or of a kind that ComfyUI does not know: "
            f"it has weights like {min(shapes)!r}. Fetch or convert it again."
        )
    return vae


def kl_config(weights: dict) -> dict | None:
    """The configuration of a KL autoencoder that is not of SD1's size, read off its weights.

    None when ComfyUI's own detection is right: SD1's size, TAESD, no autoencoder at all.
    """
    if "encoder.conv_in.weight" not in weights:
        return None
    channels, image_channels = weights["encoder.conv_in.weight"].shape[:2]
    first_convs = _numbered(weights, "encoder.down.{}.block.0.conv1.weight")
    size = {
        "ch": channels,
        "ch_mult": [weights[name].shape[0] // channels for name in first_convs],
        "num_res_blocks": len(_numbered(weights, "encoder.down.0.block.{}.conv1.weight")),
    }
    if size == SD1_VAE:
        return None
    latent_channels = weights["decoder.conv_in.weight"].shape[1]
    ddconfig = {
        **size,
        "double_z": True,
        "z_channels": latent_channels,
        "resolution": 256,
        "in_channels": image_channels,
        "out_ch": image_channels,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {"params": {"ddconfig": ddconfig, "embed_dim": latent_channels}}


def _numbered(weights: dict, name: str) -> list[str]:
    """The names, counted up from 0, that are there without a gap."""
    names = []
    while name.format(len(names)) in weights:
        names.append(name.format(len(names)))
    return names


def load_checkpoint(path: Path, embedding_directory: list[str] | None = None):
    """MODEL, CLIP and VAE of a ReCo checkpoint file.

    Raises ValueError when the file is unreadable or not a ReCo checkpoint.
    """
    return build_parts(partial(read_reco_checkpoint, path), embedding_directory)


def build_parts(read: Read, embedding_directory: list[str] | None = None):
    """MODEL, CLIP and VAE of the weights that `read` returns, here and whenever ComfyUI rebuilds a
    patcher: for torch.compile, other devices and static offloading."""
    state_dict, info = read()
    model, clip = _build_networks(state_dict, info, read, embedding_directory)
    vae = build_vae(state_dict)
    if vae.first_stage_model is not None:
        vae.patcher.cached_patcher_init = (_reload_vae, (read,))
    return model, clip, vae


def _build_networks(state_dict: dict, info: CheckpointInfo, read: Read, embedding_directory):
    model = build_model(state_dict, info)
    clip = build_clip(state_dict, info, embedding_directory)
    model.cached_patcher_init = (_reload_model, (read,))
    clip.patcher.cached_patcher_init = (_reload_clip, (read, embedding_directory))
    return model, clip


def _reload_model(read: Read, disable_dynamic: bool = False):
    return build_model(*read(), disable_dynamic=disable_dynamic)


def _reload_clip(read: Read, embedding_directory, disable_dynamic: bool = False):
    return build_clip(*read(), embedding_directory, disable_dynamic=disable_dynamic).patcher


def _reload_vae(read: Read, disable_dynamic: bool = False):
    return build_vae(read()[0]).patcher


def read_reco_parts(unet: Path, text_encoder: Path) -> tuple[dict, CheckpointInfo]:
    """Read UNet and text encoder that were saved apart, without an autoencoder.

    Raises ValueError when a file is no such part, or they make no ReCo checkpoint together.
    """
    state_dict, metadata = read_parts(unet, text_encoder)
    try:
        info = describe_checkpoint(state_dict, metadata)
        if not info.is_reco:
            raise ValueError(
                "the text encoder has no position tokens: choose that of a ReCo "
                "checkpoint, or open both with ComfyUI's own Load Diffusion Model and Load CLIP"
            )
    except ValueError as error:
        raise ValueError(f"{unet.name!r} with {text_encoder.name!r}: {error}") from error
    return state_dict, info


def load_parts(unet: Path, text_encoder: Path, embedding_directory: list[str] | None = None):
    """MODEL and CLIP of files that ComfyUI's ModelSave and CLIPSave wrote.

    Raises ValueError as read_reco_parts.
    """
    read = partial(read_reco_parts, unet, text_encoder)
    return _build_networks(*read(), read, embedding_directory)


def checkpoint_names() -> list[str]:
    """Names in the pack's models/ and then in ComfyUI's checkpoints folder, each once."""
    names = (
        *folder_paths.get_filename_list(CHECKPOINT_FOLDER),
        *folder_paths.get_filename_list("checkpoints"),
    )
    return [name for name in dict.fromkeys(names) if name.lower().endswith(SUFFIXES)]


def checkpoint_path(name: str) -> Path:
    """The file of a listed name. Raises FileNotFoundError when it is gone."""
    own = folder_paths.get_full_path(CHECKPOINT_FOLDER, name)
    return Path(own or folder_paths.get_full_path_or_raise("checkpoints", name))


def part_names(folder: str) -> list[str]:
    """Names in one of ComfyUI's folders for parts of checkpoints."""
    names = folder_paths.get_filename_list(folder)
    return [name for name in names if name.lower().endswith(SUFFIXES)]


def part_paths(unet_name: str, clip_name: str) -> tuple[Path, Path]:
    """The files of listed names. Raises FileNotFoundError when one is gone."""
    unet = folder_paths.get_full_path_or_raise(UNET_FOLDER, unet_name)
    return Path(unet), Path(folder_paths.get_full_path_or_raise(TEXT_ENCODER_FOLDER, clip_name))


def start_size(clip: comfy.sd.CLIP) -> tuple[int, int]:
    """Width and height in pixels that a loaded checkpoint was trained on; Stable Diffusion 1's when
    its file does not say."""
    return clip.tokenizer.info.trained_size() or (SD1_SIDE, SD1_SIDE)


def network_outputs() -> list[io.Output]:
    return [
        io.Model.Output(display_name="model", tooltip="The UNet, for any sampler."),
        io.Clip.Output(
            display_name="clip",
            tooltip="The text encoder. It reads layouts and ReCo prompts, also from "
            "ComfyUI's own CLIP Text Encode.",
        ),
    ]


def size_outputs() -> list[io.Output]:
    tooltip = "{} in pixels to start from: that of the pictures it was trained on, or 512."
    return [
        io.Int.Output(display_name=side, tooltip=tooltip.format(side.capitalize()))
        for side in ("width", "height")
    ]


def part_outputs() -> list[io.Output]:
    vae = io.Vae.Output(display_name="vae", tooltip="Latents to pixels and back.")
    return [*network_outputs(), vae, *size_outputs()]


class ReCoLoadCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadCheckpoint",
            display_name="ReCo Load Checkpoint",
            category=CATEGORY,
            description="Load a Stable Diffusion 1 checkpoint that has ReCo's position tokens.",
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=checkpoint_names(),
                    tooltip="A ReCo checkpoint (.safetensors or .ckpt) from ComfyUI's checkpoints "
                    "folder, or one that comes with this pack.",
                )
            ],
            outputs=part_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, ckpt_name: str | None) -> int:
        """When the file was written, so that a newly trained one is read again."""
        if ckpt_name is None:  # linked: known only when the workflow runs
            return 0
        return checkpoint_path(ckpt_name).stat().st_mtime_ns

    @classmethod
    def execute(cls, ckpt_name: str) -> io.NodeOutput:
        embeddings = folder_paths.get_folder_paths("embeddings")
        model, clip, vae = load_checkpoint(checkpoint_path(ckpt_name), embeddings)
        return io.NodeOutput(model, clip, vae, *start_size(clip))


class ReCoLoadParts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadParts",
            display_name="ReCo Load Parts",
            category=CATEGORY,
            description="Load a ReCo UNet and a ReCo text encoder that ComfyUI saved apart.",
            inputs=[
                io.Combo.Input(
                    "unet_name",
                    options=part_names(UNET_FOLDER),
                    tooltip="What ModelSave wrote, from ComfyUI's diffusion_models folder.",
                ),
                io.Combo.Input(
                    "clip_name",
                    options=part_names(TEXT_ENCODER_FOLDER),
                    tooltip="What CLIPSave wrote, from ComfyUI's text_encoders folder.",
                ),
            ],
            outputs=[*network_outputs(), *size_outputs()],
        )

    @classmethod
    def fingerprint_inputs(cls, unet_name: str | None, clip_name: str | None):
        """When the files were written, so that newly saved ones are read again."""
        if unet_name is None or clip_name is None:  # linked: known only when the workflow runs
            return 0
        return [path.stat().st_mtime_ns for path in part_paths(unet_name, clip_name)]

    @classmethod
    def execute(cls, unet_name: str, clip_name: str) -> io.NodeOutput:
        embeddings = folder_paths.get_folder_paths("embeddings")
        model, clip = load_parts(*part_paths(unet_name, clip_name), embeddings)
        return io.NodeOutput(model, clip, *start_size(clip))

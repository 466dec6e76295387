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
from comfy_api.latest import io

from ..reco_core.checkpoint import describe_checkpoint, reco_metadata
from ..reco_core.checkpoint_file import read_checkpoint
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.facts import UNET_FACTS, Facts, facts_of
from ..reco_core.keys import UNET_PREFIX
from .clip import build_clip, check_complete
from .layout import CATEGORY
from .vae import build_vae

CHECKPOINT_FOLDER = "reco_checkpoints"
"""Folder key of the pack's own models/: not `checkpoints`, whose stock loader cannot open them."""

Read = Callable[[], tuple[dict, CheckpointInfo]]
"""Reads a ReCo checkpoint's weights, anew at each call."""

SD1_SIDE = 512
SUFFIXES = (".safetensors", ".ckpt")


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


def load_checkpoint(path: Path, embedding_directory: list[str] | None = None):
    """MODEL, CLIP and VAE of a ReCo checkpoint file.

    Raises ValueError when the file is unreadable or not a ReCo checkpoint.
    """
    return build_parts(partial(read_reco_checkpoint, path), embedding_directory)


def build_parts(read: Read, embedding_directory: list[str] | None = None):
    """MODEL, CLIP and VAE of the weights that `read` returns, here and whenever ComfyUI rebuilds a
    patcher: for torch.compile, other devices and static offloading."""
    state_dict, info = read()
    model, clip = build_networks(state_dict, info, read, embedding_directory)
    vae = build_vae(state_dict)
    if vae.first_stage_model is not None:
        vae.patcher.cached_patcher_init = (_reload_vae, (read,))
    return model, clip, vae


def build_networks(state_dict: dict, info: CheckpointInfo, read: Read, embedding_directory):
    """MODEL and CLIP of the weights that `read` returned; takes them out of state_dict."""
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

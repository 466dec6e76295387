"""What a run writes: a single-file checkpoint, a diffusers folder, or an adapter."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from reco_core.adapter import ADAPTER_FORMAT
from reco_core.atomic import write_atomically
from reco_core.checkpoint import family_metadata
from reco_core.checkpoint_file import write_checkpoint
from reco_core.keys import VAE_PREFIX
from reco_core.lora import ALPHA
from reco_core.named_base import without_base
from train.checkpoints.convert import output_form
from train.checkpoints.merge import base_metadata
from train.data.mixture import PictureSizes
from train.fit.going_on import without_folders
from train.fit.health import check_finite
from train.fit.options import FitConfig
from train.model.lora import adapter_tensors
from train.model.text_to_image import REGIONS_IN_WORDS, TextToImage, single_file
from train.precision import dtype_of


def export(
    config: FitConfig, model: TextToImage, base: dict[str, str], steps: int, path: Path
) -> Path:
    """Write the model as it is now; returns the path.

    base: metadata of the checkpoint the run began with; steps: of this run.

    Raises:
        ValueError: a number would not be finite in the file; what is at the path stays.
    """
    metadata = output_metadata(config, model, base, steps)
    if config.lora.rank or config.lora.text_rank:
        from train.fit.export import write_adapter

        write_adapter(model, config, path, metadata)
        return path
    dtype = dtype_of(config.output_precision)
    tensors = {
        # Beside a base, the autoencoder keeps the precision in which it was read or trained.
        key: tensor if config.model.base and key.startswith(VAE_PREFIX) else tensor.to(dtype)
        for key, tensor in single_file(model).items()
    }
    check_finite(tensors, f"{path} is not written", precision_advice(config))
    if path.suffix:
        write_checkpoint(path, tensors, metadata)
    else:
        from train.checkpoints.diffusers_folder import write_diffusers_folder

        write_diffusers_folder(path, tensors, metadata)
    return path


def precision_advice(config: FitConfig) -> str:
    """What to do about numbers that are not finite in a file."""
    if config.output_precision == "fp16":
        return 'fp16 ends at 65,504: set output_precision = "fp32" and run the same command again'
    return "go on from an older state: remove the newest in the folder's states"


def check_output(config: FitConfig) -> None:
    """Raise ValueError when the output could not be written; call it before training."""
    if config.lora.rank or config.lora.text_rank:
        from train.fit.export import check_adapter_output

        check_adapter_output(config, Path(config.output))
    else:
        output_form(Path(config.output))


def output_metadata(
    config: FitConfig, model: TextToImage, base: dict[str, str], steps: int
) -> dict[str, str]:
    """What the file says of itself; see reco_core/checkpoint.py and named_base.py."""
    metadata = (base if model.num_bins else without_base(base)) | {
        "steps": str(int(base.get("steps", 0)) + steps),
        "data": ", ".join(dict.fromkeys(one.title for one in config.data.sets)),
        **family_metadata(model.info),
        "image_size": str(config.image_size),
        "config": json.dumps(without_folders(config)),
    }
    metadata.pop("buckets", None)  # a base's
    if config.data.buckets or config.data.bucket_sizes:
        metadata["buckets"] = json.dumps(PictureSizes(config.data, config.image_size).sizes)
    if model.num_bins:
        metadata |= {"format": "reco", "num_bins": str(model.num_bins)}
        metadata |= {"max_length": str(model.max_length)}
    if model.positional_words:
        metadata[REGIONS_IN_WORDS] = "true"
    if config.licence:
        metadata["licence"] = config.licence
    metadata.pop("words", None)  # a base's list does not cover what was learned since
    words = [one.words() for one in config.data.sets]
    if None not in words:
        metadata["words"] = json.dumps(sorted({word for own in words for word in own or ()}))
    return metadata


def write_adapter(
    model: TextToImage, config: FitConfig, path: Path, metadata: dict[str, str]
) -> None:
    """Write the adapter of a model that add_lora prepared; the file appears whole or not at all.

    metadata: that of a checkpoint of this run; what the adapter and its base are is added.

    Raises:
        ValueError: there is no base, the name does not end in .safetensors, or a number would not
            be finite in the file.
    """
    check_adapter_output(config, path)
    precision = dtype_of(config.output_precision)
    tensors = {
        key: tensor.float() if key.endswith(ALPHA) else tensor.to(precision)
        for key, tensor in adapter_tensors(model).items()
    }
    tensors = {key: tensor.cpu().contiguous() for key, tensor in tensors.items()}
    check_finite(tensors, f"{path} is not written", precision_advice(config))
    described = without_base(metadata) | {
        "format": ADAPTER_FORMAT,
        "num_bins": str(model.num_bins),
        "max_length": str(model.max_length),
        "rank": str(config.lora.rank),
        "text_rank": str(config.lora.text_rank),
        "alpha": f"{config.lora.alpha:g}",
        **base_metadata(Path(config.model.base)),
    }
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=described))


def check_adapter_output(config: FitConfig, path: Path) -> None:
    """Raise ValueError when an adapter cannot be written there; call it before training."""
    if not config.model.base:
        raise ValueError(
            f"lora.rank = {config.lora.rank} trains an adapter of a base, but model.base is empty: "
            "name a checkpoint, or set lora.rank = 0"
        )
    if path.suffix != ".safetensors":
        raise ValueError(f"output = {str(path)!r}: an adapter is written as .safetensors")

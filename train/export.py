"""What a run writes: a single-file checkpoint, a diffusers folder, or an adapter."""

from __future__ import annotations

import json
from pathlib import Path

from reco_core.checkpoint_file import write_checkpoint
from reco_core.keys import VAE_PREFIX
from train.compute import DTYPES
from train.config import FitConfig, SetConfig, to_dict
from train.convert import output_form
from train.data.mixture import PictureSizes
from train.data.shapeskills import known_words
from train.health import check_finite
from train.model import REGIONS_IN_WORDS, TextToImage, single_file


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
        from train.adapter import write_adapter

        write_adapter(model, config, path, metadata)
        return path
    dtype = DTYPES[config.output_precision]
    tensors = {
        # Beside a base, the autoencoder keeps the precision in which it was read or trained.
        key: tensor if config.model.base and key.startswith(VAE_PREFIX) else tensor.to(dtype)
        for key, tensor in single_file(model).items()
    }
    check_finite(tensors, f"{path} is not written", precision_advice(config))
    if path.suffix:
        write_checkpoint(path, tensors, metadata)
    else:
        from train.diffusers_folder import write_diffusers_folder

        write_diffusers_folder(path, tensors, metadata)
    return path


def precision_advice(config: FitConfig) -> str:
    """What to do about numbers that are not finite in a file."""
    if config.output_precision == "fp16":
        return 'fp16 ends at 65,504: set output_precision = "fp32" and run the same command again.'
    return "Go on from an older state: remove the newest in the folder's states."


def check_output(config: FitConfig) -> None:
    """Raise ValueError when the output could not be written; call it before training."""
    if config.lora.rank or config.lora.text_rank:
        from train.adapter import check_adapter_output

        check_adapter_output(config, Path(config.output))
    else:
        output_form(Path(config.output))


def output_metadata(
    config: FitConfig, model: TextToImage, base: dict[str, str], steps: int
) -> dict[str, str]:
    """What the file says of itself; see reco_core/checkpoint.py."""
    metadata = base | {
        "steps": str(int(base.get("steps", 0)) + steps),
        "data": ", ".join(dict.fromkeys(map(_set_name, config.data.sets))),
        "unet_heads": str(model.unet.config.attention_head_dim),
        "text_heads": str(model.text_encoder.config.num_attention_heads),
        "image_size": str(config.image_size),
        "config": json.dumps(to_dict(config)),
    }
    metadata.pop("buckets", None)  # a base's
    if config.data.buckets:
        metadata["buckets"] = json.dumps(PictureSizes(config.data, config.image_size).sizes)
    if model.num_bins:
        metadata |= {"format": "reco", "num_bins": str(model.num_bins)}
        metadata |= {"max_length": str(model.max_length)}
    if model.positional_words:
        metadata[REGIONS_IN_WORDS] = "true"
    if config.licence:
        metadata["licence"] = config.licence
    if all(one.kind == "shapeskills" for one in config.data.sets):
        counts = {count for one in config.data.sets for count in one.counts}
        skills = {skill for one in config.data.sets for skill in one.skills}
        metadata["words"] = json.dumps(known_words(sorted(counts), sorted(skills)))
    else:
        metadata.pop("words", None)  # a base's list does not cover what was learned since
    return metadata


def _set_name(config: SetConfig) -> str:
    return "ShapeSkills" if config.kind == "shapeskills" else f"{config.kind} {config.path}"

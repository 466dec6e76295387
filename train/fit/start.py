"""What a run starts from: the model, its autoencoder, the average of its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_input import read_any
from reco_core.family import SD1, Family
from reco_core.trainable import check_trainable
from reco_core.weights import find_family
from train.checkpoints.convert import check_form
from train.checkpoints.merge import named_after
from train.fit.agreement import from_main
from train.fit.autoencoder import fit_autoencoder, load_autoencoder
from train.fit.health import check_finite
from train.fit.options import FitConfig
from train.fit.training_data import open_pictures
from train.model.latents import LatentCodec, TinyCodec, load_codec
from train.model.text_to_image import (
    TextToImage,
    extends,
    load_model,
    new_model,
    new_tables,
    with_autoencoder,
)


def start_model(config: FitConfig, accelerator: Accelerator) -> tuple[TextToImage, dict[str, str]]:
    """The model to train, from a checkpoint or new with its autoencoder; the base's metadata, with
    the plain checkpoint that all began with.

    Raises:
        ValueError: a base that cannot be read, that training does not fit, of other sizes than the
            options ask for, or with numbers that are not finite.
    """
    path = config.model.base
    if not path:
        return new_model(config.model, start_codec(config, accelerator, SD1), config.seed), {}
    tensors, metadata = read_any(Path(path))
    try:
        family = find_family(tensors)
        check_trainable(tensors, metadata, family)
        check_form(Path(config.output), family)
        info = describe_checkpoint(tensors, metadata)
        extends(config.model, info)
    except ValueError as error:
        raise ValueError(f"model.base = {path!r}: {error}") from error
    if config.model.autoencoder or config.autoencoder.base:
        codec = start_codec(config, accelerator, family)
        tensors = with_autoencoder(tensors, codec.single_file())
    check_finite(tensors, f"model.base = {path!r}", "it is damaged: take another file")
    if not info.is_reco:  # a ReCo checkpoint goes on naming the plain one that it came from
        metadata = named_after(Path(path), metadata)
    return load_model(tensors, metadata, config.model, config.seed), metadata


def settled(config: FitConfig, model: TextToImage) -> FitConfig:
    """The configuration with the sizes that it left to the base, for states and files to tell."""
    sized = replace(
        config.model,
        num_bins=model.num_bins,
        max_length=model.max_length,
        rows=new_tables(config.model).rows,
    )
    return replace(config, model=sized)


def start_codec(config: FitConfig, accelerator: Accelerator, family: Family) -> LatentCodec:
    """The autoencoder of `model.autoencoder`, or the small one, trained first.

    family: of the UNet.

    Raises:
        ValueError: both are asked for, or the base has none that can be trained.
    """
    if config.model.autoencoder and config.autoencoder.base:
        raise ValueError(
            f"model.autoencoder = {config.model.autoencoder!r} is taken as it is, and "
            f"autoencoder.base = {config.autoencoder.base!r} is trained: give one of them"
        )
    if config.model.autoencoder:
        return load_codec(read_any(Path(config.model.autoencoder))[0], family)

    def trained() -> Path:
        pictures, unseen = open_pictures(config)
        return fit_autoencoder(
            config.autoencoder,
            pictures,
            config.seed,
            Path(config.folder),
            accelerator.autocast,
            unseen,
            accelerator.device,
        )

    weights = from_main(accelerator, trained)
    return TinyCodec(load_autoencoder(config.autoencoder, weights), family)

"""Words for a run that starts from a checkpoint, after those of a model from nothing."""

from __future__ import annotations

import json
from pathlib import Path

from train.model.options import FROM_SCRATCH, AutoencoderConfig, ModelConfig
from train.options import help_of, own_options


def on_base(base: Path | str, keep_autoencoder: bool = False) -> list[str]:
    """The base, and the usual values of what only a new model uses.

    keep_autoencoder: leave the options of the small one as they are.
    """
    names = [("model", ModelConfig, name) for name in FROM_SCRATCH]
    if not keep_autoencoder:
        names += [
            ("autoencoder", AutoencoderConfig, name) for name in own_options(AutoencoderConfig)
        ]
    usual = [f"{part}.{name}={json.dumps(help_of(kind, name)[1])}" for part, kind, name in names]
    return [f"model.base={json.dumps(Path(base).as_posix())}", *usual]

"""A ReCo checkpoint minus its plain base, times a strength, plus another checkpoint.

    python -m train transplant reco_sd14_coco sd-v1-4.ckpt my-own.safetensors out.safetensors
    python -m train transplant reco.safetensors - my-own.safetensors out.safetensors --strength 0.8

`-` as BASE is the file whose SHA-256 RECO names, beside RECO or beside OTHER. Files are read and
written tensor by tensor, and read anew from time to time, so that the pages of what was read need
not stay in memory. Pickles of a torch before 1.6 are no archives, and stay in memory whole.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zipfile import is_zipfile

from tqdm import tqdm

from reco_core.checkpoint import describe_checkpoint, reco_metadata
from reco_core.checkpoint_file import SUFFIXES, write_checkpoint
from reco_core.checkpoint_input import read_any
from reco_core.keys import UNET_PREFIX, VAE_PREFIX
from reco_core.named_base import NamedBase, find_base, named_base
from reco_core.tensor_file import tensor_file_size
from reco_core.trainable import check_trainable
from reco_core.transplant import (
    Names,
    check_alike,
    check_kinds,
    transplant_metadata,
    transplanted,
)
from train.checkpoints.convert import output_form
from train.checkpoints.merge import base_sha256, plain_base
from train.command_line import in_range
from train.options import Range
from train.precision import PRECISIONS, Precision, dtype_of

if TYPE_CHECKING:
    import torch

NAMED = Path("-")
"""BASE that RECO names."""
Strength = Annotated[float, Range(-20, 20)]
_BAR_DELAY = 2.0  # seconds
_MAPPED = 128 << 20  # bytes read from a file before it is mapped anew


@dataclass(frozen=True)
class TransplantOptions:
    """strength times strength_unet is how much of the UNet's difference is added, and so for the
    text encoder. dtype: keep is OTHER's."""

    strength: float = 1.0
    strength_unet: float = 1.0
    strength_text: float = 1.0
    dtype: Precision | Literal["keep"] = "keep"

    def of(self, key: str) -> float:
        """The strength for a weight of a single file."""
        part = self.strength_unet if key.startswith(UNET_PREFIX) else self.strength_text
        return self.strength * part


class Source:
    """A checkpoint of which some weights are read, each once.

    Raises:
        ValueError: it is none that the difference of two is of use to; the error names `title`.
        FileNotFoundError: there is no such file or folder.
    """

    def __init__(self, role: str, path: Path):
        self.title, self.path, self._read = f"{role} {path.name!r}", path, 0
        self._tensors, self.metadata = read_any(path)
        try:
            self.info = describe_checkpoint(self._tensors, self.metadata)
            check_trainable(self._tensors, self.metadata, self.info.family)
        except ValueError as error:
            raise ValueError(f"{self.title}: {error}") from error
        self.kinds = {key: tensor.to("meta") for key, tensor in self._tensors.items()}
        self._is_mapped = path.is_dir() or path.suffix == ".safetensors" or is_zipfile(path)

    def __getitem__(self, key: str) -> torch.Tensor:
        if self._read > _MAPPED and self._is_mapped:
            self._tensors, _ = read_any(self.path)
            self._read = 0
        tensor = self._tensors[key]
        self._read += tensor.nbytes
        return tensor

    def shapes(self, prefix: str) -> dict[str, tuple[int, ...]]:
        """By key, of the weights whose keys begin so."""
        return {
            key: tuple(kind.shape) for key, kind in self.kinds.items() if key.startswith(prefix)
        }

    @property
    def sha256(self) -> str:
        """Empty of a folder."""
        return self.file.sha256 if self.file else ""

    @cached_property
    def file(self) -> NamedBase | None:
        """What it is as a base; None of a folder, which has no checksum."""
        return plain_base(self.path)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `transplant` to the command line."""
    parser = commands.add_parser(
        "transplant", help="boxes for another SD 1.x checkpoint: a ReCo one minus its base, plus it"
    )
    files = {
        "RECO": "a ReCo checkpoint: .safetensors, .ckpt or a diffusers folder, as are the next two",
        "BASE": "the plain checkpoint that it was trained from; -: found by the SHA-256 in RECO's "
        "metadata, beside RECO or OTHER",
        "OTHER": "the plain checkpoint that is to get boxes; the autoencoder is its own",
        "OUT": "a .safetensors file",
    }
    for name, text in files.items():
        metavar = "BASE|-" if name == "BASE" else name
        parser.add_argument(name.lower(), type=Path, metavar=metavar, help=text)
    strength = in_range(Strength)
    parser.add_argument("--strength", type=strength, default=1.0, help="of the difference (1)")
    parser.add_argument("--strength-unet", type=strength, default=1.0, help="times it, UNet (1)")
    parser.add_argument(
        "--strength-text", type=strength, default=1.0, help="times it, text encoder (1)"
    )
    parser.add_argument(
        "--dtype", choices=("keep", *PRECISIONS), default="keep", help="keep: as in OTHER"
    )
    parser.set_defaults(run=_run)


def transplant(
    reco: Path, base: Path, other: Path, output: Path, options: TransplantOptions | None = None
) -> str:
    """Write the checkpoint that the three make; base: NAMED looks for the one that `reco` names.

    Returns:
        A warning when the base is not the file that `reco` names, or when nothing brings an
        autoencoder; else "".

    Raises:
        ValueError: a file cannot be read, they do not go together, or a number would not be finite
            in the file; what is at `output` stays.
        FileNotFoundError: there is no such file.
    """
    options = options or TransplantOptions()
    if output_form(output) != "file":
        raise ValueError(
            f"{output}: what is made is written as .safetensors: name such a file, of which "
            "`python -m train convert` makes a folder"
        )
    first = Source("RECO", reco)
    if base == NAMED:
        base = _named(first, (reco.parent, other.parent))
    sources = (first, Source("BASE", base), Source("OTHER", other))
    _check(*sources)
    first, second, third = sources
    dtype = None if options.dtype == "keep" else dtype_of(options.dtype)
    kinds = {key: _kind(key, first, third, dtype) for key in third.kinds}
    _check_precision(third, kinds)
    metadata = _metadata(sources, options)
    with tqdm(
        desc=output.name,
        total=tensor_file_size(kinds, metadata),
        unit="B",
        unit_scale=True,
        delay=_BAR_DELAY,
    ) as bar:

        def make(key: str) -> torch.Tensor:
            if key.startswith(VAE_PREFIX):
                return third[key].to(kinds[key].dtype)
            made = transplanted(first[key], second[key], third[key], options.of(key))
            return _finite(key, made.to(kinds[key].dtype), sources)

        write_checkpoint(output, kinds, metadata, on_written=bar.update, make=make)
    return "; ".join(filter(None, _warnings(*sources)))


def _warnings(reco: Source, base: Source, other: Source) -> Iterator[str]:
    if named := named_base(reco.metadata):
        yield named.warning(reco.title, base.path.name, base_sha256(base.path))
    if not any(key.startswith(VAE_PREFIX) for key in other.kinds):
        yield (
            f"{other.title} has no autoencoder, and so what is written has none: load one beside "
            "it, with ComfyUI's Load VAE"
        )


def _named(reco: Source, folders: tuple[Path, ...]) -> Path:
    """The file that RECO names as its base, in one of some folders."""
    named = named_base(reco.metadata)
    if named is None:
        raise ValueError(
            f"{reco.title} does not say which plain checkpoint it was trained from: give that file "
            "as BASE"
        )
    found = find_base(named, _checkpoints(folders), base_sha256)
    if found is None:
        looked = " or ".join(str(folder) for folder in dict.fromkeys(folders))
        raise ValueError(
            f"{reco.title} was trained from {named.title}, and no file in {looked} is that one: "
            "put it there, under any name, or give it as BASE"
        )
    return found


def _checkpoints(folders: tuple[Path, ...]) -> Iterator[Path]:
    for folder in dict.fromkeys(folders):
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _check(reco: Source, base: Source, other: Source) -> None:
    """Raise ValueError unless the three go together."""
    names = Names(reco.title, base.title, other.title)
    check_kinds(names, reco.info, base.info, other.info)
    sources = (reco, base, other)
    check_alike("UNet", names, [source.shapes(UNET_PREFIX) for source in sources])
    for encoder in reco.info.family.encoders:
        shapes = [source.shapes(encoder.weights) for source in sources]
        check_alike("text encoder", names, shapes, encoder.tables)
    if base.path.samefile(other.path) or (base.sha256 and base.sha256 == other.sha256):
        raise ValueError(
            f"{base.title} and {other.title} are the same: what comes out would be {reco.title} "
            "itself; give the checkpoint that is to get boxes as OTHER"
        )


def _check_precision(other: Source, kinds: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError for weights of a byte each, which can hold no difference of two others."""
    for key, kind in kinds.items():
        if kind.is_floating_point() and kind.itemsize < 2 and not key.startswith(VAE_PREFIX):
            name = str(kind.dtype).removeprefix("torch.")
            raise ValueError(
                f"the weight {key!r} of {other.title} is {name}, too coarse for what training "
                "changed: give --dtype fp16"
            )


def _kind(key: str, reco: Source, other: Source, dtype: torch.dtype | None) -> torch.Tensor:
    """Shape and type of a weight that is made, as a tensor on the meta device."""
    import torch

    kind = other.kinds[key]
    shape = kind.shape if key.startswith(VAE_PREFIX) else reco.kinds[key].shape
    kept = dtype is None or not kind.is_floating_point() or not kind.ndim
    return torch.empty(shape, dtype=kind.dtype if kept else dtype, device="meta")


def _finite(key: str, made: torch.Tensor, sources: tuple[Source, ...]) -> torch.Tensor:
    if made.isfinite().all():
        return made
    for source in sources:
        if not source[key].isfinite().all():
            raise ValueError(
                f"the weight {key!r} of {source.title} has numbers that are not finite: take "
                "another file"
            )
    kind = str(made.dtype).removeprefix("torch.")
    raise ValueError(
        f"the weight {key!r} would have numbers beyond what {kind} holds: give --dtype fp32, or "
        "less strength"
    )


def _metadata(sources: tuple[Source, Source, Source], options: TransplantOptions) -> dict[str, str]:
    """Of what is made; its own plain base is OTHER, since the difference to that is RECO's."""
    reco, _, other = sources
    record: dict[str, object] = {
        role: {"name": source.path.name, "sha256": source.sha256}
        for role, source in zip(("reco", "base", "other"), sources, strict=True)
    }
    record["strength_unet"] = options.strength * options.strength_unet
    record["strength_text"] = options.strength * options.strength_text
    made = transplant_metadata(reco.metadata, other.metadata, record)
    return made | reco_metadata(reco.info) | (other.file.metadata() if other.file else {})


def _run(arguments: argparse.Namespace) -> int:
    options = TransplantOptions(
        arguments.strength, arguments.strength_unet, arguments.strength_text, arguments.dtype
    )
    paths = (arguments.reco, arguments.base, arguments.other, arguments.out)
    if warning := transplant(*paths, options):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"wrote {arguments.out}: {arguments.other.name} with the boxes of {arguments.reco.name}")
    return 0

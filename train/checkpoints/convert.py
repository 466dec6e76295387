"""Checkpoints in and out: single files, Lightning pickles and diffusers folders.

    python -m train convert reco_coco_616.ckpt models/reco.safetensors --dtype fp16
    python -m train convert models/reco.safetensors reco-diffusers
    python -m train convert sd-v1-4.ckpt start.safetensors --num-bins 64 --max-length 308

Tensors are mapped from the source and written one by one, so no model has to fit into memory.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from reco_core.checkpoint import describe_checkpoint, extend_checkpoint, reco_metadata
from reco_core.checkpoint_file import write_checkpoint
from reco_core.checkpoint_info import CheckpointInfo
from reco_core.checkpoint_input import read_any
from reco_core.extension import DEFAULT_BINS, DEFAULT_LENGTH, RECO, check_same, starting_rows
from reco_core.family import SD1, Family
from reco_core.tensor_file import stored_dtype
from reco_core.trainable import check_trainable
from reco_core.weights import find_family
from train.checkpoints.merge import named_after
from train.command_line import in_range
from train.model.options import Bins, Length
from train.options import Seed
from train.precision import PRECISIONS, Precision, dtype_of

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]


_BAR_DELAY = 2.0  # seconds


@dataclass(frozen=True)
class ConvertOptions:
    """What changes on the way. The three of a plain checkpoint's extension leave it plain if None.

    num_bins, max_length, rows: as of starting_rows and extend_checkpoint; where one is given the
        others are 1000, 616 and "ordered".
    """

    num_bins: int | None = None
    max_length: int | None = None
    rows: str | None = None
    seed: int = 0
    ema: bool = False
    dtype: Precision | Literal["keep"] = "keep"
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def extends(self) -> bool:
        return not (self.num_bins is None and self.max_length is None and self.rows is None)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `convert` to the command line."""
    parser = commands.add_parser(
        "convert", help="checkpoints in and out: single file, Lightning pickle, diffusers folder"
    )
    parser.add_argument(
        "source", type=Path, metavar="IN", help=".safetensors, .ckpt, .pt, .pth or a folder"
    )
    parser.add_argument(
        "target", type=Path, metavar="OUT", help="a .safetensors file, or a folder (no suffix)"
    )
    extension = parser.add_argument_group("a plain SD 1.x checkpoint becomes ReCo if one is given")
    extension.add_argument("--num-bins", type=in_range(Bins), help="position tokens to add (1000)")
    extension.add_argument(
        "--max-length", type=in_range(Length), help="length of the token sequence (616)"
    )
    extension.add_argument(
        "--rows",
        help="start of the new tokens: ordered, random, or a .safetensors file with a tensor "
        "`rows` of shape (num_bins, width)",
    )
    extension.add_argument("--seed", type=in_range(Seed), default=0, help="of the new rows")
    parser.add_argument(
        "--base", type=Path, help="IN is an adapter: write the checkpoint it makes of this base"
    )
    parser.add_argument(
        "--lora", action="store_true", help="IN is an adapter: write its LoRA alone, without rows"
    )
    parser.add_argument("--ema", action="store_true", help="take the UNet's averaged weights")
    parser.add_argument(
        "--dtype", choices=("keep", *PRECISIONS), default="keep", help="keep: as in IN"
    )
    parser.add_argument(
        "--metadata", action="append", default=[], metavar="KEY=VALUE", help="to add; repeatable"
    )
    parser.set_defaults(run=_run)


def convert(source: Path, target: Path, options: ConvertOptions | None = None) -> CheckpointInfo:
    """Write the checkpoint at `source` in the form that `target` names; returns what it is.

    Raises:
        ValueError: `source` is no Stable Diffusion 1.x checkpoint for text to image, or damaged,
            `target` has another suffix or is something else already, the options do not fit, or
            the disk is too full.
        FileNotFoundError: there is no `source`.
    """
    options = options or ConvertOptions()
    form = output_form(target)
    read, metadata = read_any(source, options.ema)
    metadata = metadata | options.metadata
    family = find_family(read)
    check_trainable(read, metadata, family)
    check_form(target, family)
    state = extended(read, metadata, options)
    if state is not read:
        metadata = named_after(source, metadata) | RECO
    info = describe_checkpoint(state, metadata)
    metadata = metadata | reco_metadata(info) | options.metadata
    dtype = None if options.dtype == "keep" else dtype_of(options.dtype)
    with _bar(state, dtype, target) as bar:
        if form == "file":
            write_checkpoint(target, state, metadata, dtype, bar.update)
        else:
            from train.checkpoints.diffusers_folder import write_diffusers_folder

            write_diffusers_folder(target, state, metadata, dtype, bar.update)
    return info


def extended(
    state: dict[str, torch.Tensor], metadata: Mapping[str, str], options: ConvertOptions
) -> dict[str, torch.Tensor]:
    """The checkpoint with position tokens if the options ask for them.

    Raises:
        ValueError: it has position tokens already, of other numbers than asked for; or as
            extend_checkpoint.
    """
    info = describe_checkpoint(state, metadata)
    if info.is_reco:
        check_same(info, options.num_bins, options.max_length, options.rows)
        return state
    if not options.extends:
        return state
    rows = starting_rows(options.rows or "ordered")
    default_bins = DEFAULT_BINS if isinstance(rows, str) else len(rows)
    return extend_checkpoint(
        state,
        default_bins if options.num_bins is None else options.num_bins,
        DEFAULT_LENGTH if options.max_length is None else options.max_length,
        rows,
        options.seed,
    )


def output_form(path: Path) -> Literal["file", "folder"]:
    """Whether a checkpoint written to `path` is a single file or a diffusers folder.

    Raises:
        ValueError: another suffix than .safetensors, or something of another form is there.
    """
    if path.suffix == ".safetensors":
        if path.is_dir():
            raise ValueError(f"{path} is a folder: name a file, or delete it")
        return "file"
    if re.fullmatch(r"\.[A-Za-z]\w*", path.suffix):  # but not sd1.5-reco
        raise ValueError(
            f"{path}: checkpoints are written as .safetensors, or as a diffusers folder when the "
            f"name has no suffix; {path.suffix} is neither"
        )
    if path.exists():
        from train.checkpoints.diffusers_folder import check_folder_output

        check_folder_output(path)
    return "folder"


def check_form(path: Path, family: Family) -> None:
    """Raise ValueError when a family's checkpoint cannot be written to `path`."""
    if output_form(path) == "folder" and family != SD1:
        raise ValueError(
            f"{path}: a diffusers folder is written of {SD1.title}, and this is {family.title}: "
            "name a .safetensors file"
        )


def _bar(state: StateDict, dtype: torch.dtype | None, target: Path) -> tqdm:
    """A progress bar of the bytes written."""
    total = sum(t.numel() * stored_dtype(t, dtype).itemsize for t in state.values())
    return tqdm(desc=target.name, total=total, unit="B", unit_scale=True, delay=_BAR_DELAY)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.lora:
        from train.checkpoints.merge import write_lora

        write_lora(arguments.source, arguments.target)
        print(f"wrote {arguments.target}: the LoRA of {arguments.source.name}")
        return 0
    if arguments.base:
        from train.checkpoints.merge import merge_adapter_file

        if warning := merge_adapter_file(arguments.source, arguments.base, arguments.target):
            print(f"warning: {warning}", file=sys.stderr)
        print(f"wrote {arguments.target}: {arguments.base.name} with {arguments.source.name}")
        return 0
    options = ConvertOptions(
        num_bins=arguments.num_bins,
        max_length=arguments.max_length,
        rows=arguments.rows,
        seed=arguments.seed,
        ema=arguments.ema,
        dtype=arguments.dtype,
        metadata=dict(map(_pair, arguments.metadata)),
    )
    info = convert(arguments.source, arguments.target, options)
    kind = f"ReCo with {info.num_bins} position tokens" if info.is_reco else "plain SD 1.x"
    print(f"wrote {arguments.target}: {kind}, sequences of {info.max_length} tokens")
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"--metadata {text!r} is not of the form KEY=VALUE")
    return key, value

"""A ReCo checkpoint minus its base plus another: its numbers, what it says, what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_checkpoint import (
    CLIP_VOCABULARY,
    FULL_SIZE,
    HEADS,
    POSITION_EMBEDDING,
    TEXT_PREFIX,
    TOKEN_EMBEDDING,
    Size,
    checkpoint_shapes,
    random_state_dict,
)

from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from reco_core.keys import UNET_PREFIX, VAE_PREFIX
from reco_core.named_base import find_base, named_base
from train.__main__ import main
from train.checkpoints.diffusers_folder import write_diffusers_folder
from train.checkpoints.transplant import NAMED, TransplantOptions, transplant

ROOT = Path(__file__).parents[2]
RECO = Size(max_length=100, num_bins=64, text_width=16)
PLAIN = replace(RECO, num_bins=0, max_length=77)
METADATA = HEADS | {
    "format": "reco",
    "num_bins": "64",
    "max_length": "100",
    "image_size": "256",
    "steps": "9",
    "licence": "CC0-1.0",
    "words": '["red", "circle"]',
}
OUT_BLOCK = UNET_PREFIX + "out.2.weight"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three checkpoints of random weights; the ReCo one names its base."""
    folder = tmp_path_factory.mktemp("transplant")
    for name, seed in (("base", 1), ("other", 2)):
        weights = random_state_dict(PLAIN, seed=seed)
        write_checkpoint(folder / f"{name}.safetensors", weights, HEADS)
    base = folder / "base.safetensors"
    named = {"base": "sd-v1-4.ckpt", "base_sha256": sha256(base)}
    size = {"base_bytes": str(base.stat().st_size)}
    weights = random_state_dict(RECO, torch.float32, seed=0)
    write_checkpoint(folder / "reco.safetensors", weights, METADATA | named | size)
    return folder


def files(folder: Path) -> tuple[Path, Path, Path]:
    reco, base, other = (folder / f"{name}.safetensors" for name in ("reco", "base", "other"))
    return reco, base, other


def by_hand(folder: Path, unet: float, text: float) -> dict[str, torch.Tensor]:
    """The same in float64."""
    reco, base, other = (read_checkpoint(path)[0] for path in files(folder))
    made = {}
    for key, theirs in other.items():
        strength = unet if key.startswith(UNET_PREFIX) else text
        if key.startswith(VAE_PREFIX):
            made[key] = theirs.double()
            continue
        rows = len(theirs)
        difference = reco[key].double()[:rows] - base[key].double()
        changed = theirs.double() + strength * difference
        made[key] = torch.cat([changed, reco[key].double()[rows:]])
    return made


STRENGTHS = {
    "nothing": (TransplantOptions(strength=0.0, dtype="fp32"), 0.0, 0.0),
    "half": (TransplantOptions(strength=0.5, dtype="fp32"), 0.5, 0.5),
    "all": (TransplantOptions(dtype="fp32"), 1.0, 1.0),
    "more than all": (TransplantOptions(strength=1.2, dtype="fp32"), 1.2, 1.2),
    "less than nothing": (TransplantOptions(strength=-0.3, dtype="fp32"), -0.3, -0.3),
    "of each its own": (TransplantOptions(2.0, 0.25, 0.75, "fp32"), 0.5, 1.5),
    "the text alone": (TransplantOptions(strength_unet=0.0, dtype="fp32"), 0.0, 1.0),
}


@pytest.mark.parametrize("case", STRENGTHS)
def test_every_weight_is_the_others_with_so_much_of_the_difference(folder, tmp_path, case):
    options, unet, text = STRENGTHS[case]
    path = tmp_path / "out.safetensors"
    assert transplant(*files(folder), path, options) == ""
    made, _ = read_checkpoint(path)
    expected = by_hand(folder, unet, text)
    assert made.keys() == expected.keys()
    for key, tensor in made.items():
        assert tensor.dtype == torch.float32 or key.startswith(VAE_PREFIX), key
        torch.testing.assert_close(tensor.double(), expected[key], rtol=1e-5, atol=1e-6)
    for key, rows in ((TOKEN_EMBEDDING, CLIP_VOCABULARY), (POSITION_EMBEDDING, 77)):
        whole = read_checkpoint(folder / "reco.safetensors")[0][key]
        assert torch.equal(made[key][rows:], whole[rows:])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("keep", torch.float16),
        ("fp16", torch.float16),
        ("bf16", torch.bfloat16),
        ("fp32", torch.float32),
    ],
)
def test_the_precision_is_the_others_unless_another_is_asked_for(folder, tmp_path, dtype, expected):
    path = tmp_path / "out.safetensors"
    transplant(*files(folder), path, TransplantOptions(dtype=dtype))
    made, _ = read_checkpoint(path)
    assert {tensor.dtype for tensor in made.values() if tensor.ndim} == {expected}
    for key, tensor in by_hand(folder, 1.0, 1.0).items():
        step = torch.finfo(expected).eps
        torch.testing.assert_close(made[key].double(), tensor, rtol=step, atol=1e-6)


def test_the_file_says_what_it_is_and_how_it_was_made(folder, tmp_path):
    path = tmp_path / "out.safetensors"
    reco, base, other = files(folder)
    transplant(reco, base, other, path, TransplantOptions(0.5, strength_text=2.0))
    info = describe_checkpoint(*read_checkpoint(path))
    assert (info.is_reco, info.num_bins, info.max_length) == (True, 64, 100)
    assert (info.unet_heads, info.encoders[0].heads) == (8, 1)
    assert info.image_size == 256 and info.metadata["licence"] == "CC0-1.0"
    assert info.words == (), "the other knows words that it does not list"
    named = named_base(info.metadata)
    assert named is not None
    assert (named.name, named.sha256) == ("other.safetensors", sha256(other))
    assert named.size == other.stat().st_size
    assert json.loads(info.metadata["transplant"]) == {
        "reco": {"name": "reco.safetensors", "sha256": sha256(reco)},
        "base": {"name": "base.safetensors", "sha256": sha256(base)},
        "other": {"name": "other.safetensors", "sha256": sha256(other)},
        "strength_unet": 0.5,
        "strength_text": 1.0,
    }


@pytest.mark.parametrize(
    ("words", "licence", "known", "both"),
    [
        ('["blue", "circle"]', "OpenRAIL-M", ("blue", "circle", "red"), "CC0-1.0; OpenRAIL-M"),
        ('["red"]', "CC0-1.0", ("circle", "red"), "CC0-1.0"),
        ("[]", "", (), "CC0-1.0"),
        ("", "MIT", (), "CC0-1.0; MIT"),
        ('["Sky"]', "", ("circle", "red", "sky"), "CC0-1.0"),
    ],
)
def test_words_and_licences_are_those_of_both(folder, tmp_path, words, licence, known, both):
    other, out = tmp_path / "other.safetensors", tmp_path / "out.safetensors"
    weights, metadata = read_checkpoint(folder / "other.safetensors")
    write_checkpoint(other, weights, metadata | {"words": words, "licence": licence})
    transplant(*files(folder)[:2], other, out)
    info = describe_checkpoint(*read_checkpoint(out))
    assert (info.words, info.metadata["licence"]) == (known, both)


def test_a_transplant_can_be_transplanted_on_from_the_checkpoint_that_it_came_to(folder, tmp_path):
    """Minus that one it is the same difference again."""
    reco, base, other = files(folder)
    once, again = tmp_path / "once.safetensors", tmp_path / "again.safetensors"
    transplant(reco, base, other, once, TransplantOptions(dtype="fp32"))
    (tmp_path / "fine-tune.safetensors").write_bytes(other.read_bytes())
    transplant(once, NAMED, base, again, TransplantOptions(dtype="fp32"))
    made, _ = read_checkpoint(again)
    for key, tensor in read_checkpoint(reco)[0].items():
        if not key.startswith(VAE_PREFIX):
            torch.testing.assert_close(made[key], tensor, rtol=1e-4, atol=1e-5)


def test_folders_and_pickles_make_the_same_weights(folder, tmp_path):
    reco, base, other = files(folder)
    for path in (reco, other):
        write_diffusers_folder(tmp_path / path.stem, *read_checkpoint(path))
    torch.save({"state_dict": read_checkpoint(base)[0]}, tmp_path / "base.ckpt")
    out, of_folders = tmp_path / "out.safetensors", tmp_path / "of-folders.safetensors"
    transplant(reco, base, other, out)
    with pytest.raises(
        ValueError, match="BASE 'base.ckpt': .*heads"
    ):  # a pickle does not say how many heads a small model has
        transplant(tmp_path / "reco", tmp_path / "base.ckpt", tmp_path / "other", of_folders)
    write_diffusers_folder(tmp_path / "base", *read_checkpoint(base))
    transplant(tmp_path / "reco", tmp_path / "base", tmp_path / "other", of_folders)
    expected, made = read_checkpoint(out)[0], read_checkpoint(of_folders)[0]
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[key], expected[key]) for key in made)
    assert named_base(read_checkpoint(of_folders)[1]) is None, "a folder has no checksum"


def changed(folder: Path, tmp_path: Path, name: str, weights=None, metadata=None) -> Path:
    """A copy of a checkpoint with some weights and metadata replaced; None takes them out."""
    tensors, said = read_checkpoint(folder / f"{name}.safetensors")
    tensors = {k: t for k, t in {**tensors, **(weights or {})}.items() if t is not None}
    said = {k: t for k, t in {**said, **(metadata or {})}.items() if t is not None}
    path = tmp_path / f"{name}.safetensors"
    write_checkpoint(path, tensors, said)
    return path


def with_channels(count: int, folder: Path) -> dict[str, torch.Tensor]:
    key = UNET_PREFIX + "input_blocks.0.0.weight"
    weight = read_checkpoint(folder / "other.safetensors")[0][key]
    return {key: weight.repeat(1, 3, 1, 1)[:, :count].contiguous()}


REFUSED = {
    "a ReCo checkpoint as OTHER": (
        ("reco", "base", "reco"),
        "OTHER 'reco.safetensors' is of a ReCo",
    ),
    "a ReCo checkpoint as BASE": (
        ("reco", "reco", "other"),
        "BASE 'reco.safetensors' is of a ReCo",
    ),
    "a plain checkpoint as RECO": (
        ("other", "base", "other"),
        "RECO 'other.safetensors' is of a pl",
    ),
    "one and the same three times": (
        ("reco", "reco", "reco"),
        "BASE 'reco.safetensors' is of a ReCo",
    ),
    "one and the same as BASE and OTHER": (
        ("reco", "base", "base"),
        "BASE 'base.safetensors' and OTHER 'base.safetensors' are the same",
    ),
    "one that is not there": (("reco", "base", "gone"), "there is no checkpoint file .*gone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_wrong_checkpoint_in_a_place_is_named(folder, tmp_path, case):
    names, cause = REFUSED[case]
    paths = [folder / f"{name}.safetensors" for name in names]
    with pytest.raises((ValueError, FileNotFoundError), match=cause):
        transplant(*paths, tmp_path / "out.safetensors")
    assert not list(tmp_path.iterdir())


def test_other_kinds_of_checkpoints_are_named(folder, tmp_path):
    reco, base, _ = files(folder)

    def refused(cause: str, **changes) -> None:
        other = changed(folder, tmp_path, "other", **changes)
        with pytest.raises(ValueError, match=cause):
            transplant(reco, base, other, tmp_path / "out.safetensors")

    refused(
        "OTHER 'other.safetensors': this is an inpainting .*9 input channels instead of 4",
        weights=with_channels(9, folder),
    )
    refused("8 input channels instead of 4", weights=with_channels(8, folder))
    refused(
        "OTHER 'other.safetensors': this checkpoint does not predict noise",
        metadata={"modelspec.predict_key": "v"},
    )
    refused(r"have \[4, 1\] attention heads in OTHER .* \[8, 1\]", metadata={"unet_heads": "4"})
    refused("OTHER 'other.safetensors': .* incomplete", weights={OUT_BLOCK: None})
    refused(
        "OTHER 'other.safetensors': this UNet .* GLIGEN",
        weights={UNET_PREFIX + "position_net.null": torch.zeros(4)},
    )
    refused(
        "the UNet of RECO 'reco.safetensors' lacks 1 weights that OTHER 'other.safetensors' has",
        weights={UNET_PREFIX + "extra.weight": torch.zeros(4)},
    )
    refused(
        "the text encoder of RECO .* lacks 1 weights .*layers.9.bias",
        weights={TEXT_PREFIX + "encoder.layers.9.bias": torch.zeros(4)},
    )


@pytest.mark.parametrize(
    ("size", "cause"),
    [
        (replace(PLAIN, text_width=32), "of shape .*32.* in OTHER .*16.* in BASE"),
        (replace(PLAIN, channels=64), "of shape .* in OTHER 'other.safetensors' and .* in BASE"),
        (replace(PLAIN, text_layers=3), "lacks 16 weights that OTHER .*layers.2"),
        (replace(PLAIN, res_blocks=2), "UNet of OTHER .* lacks 42 weights that RECO"),
        (replace(PLAIN, max_length=90), r"\(90, 16\) in OTHER .* \(77, 16\) in BASE"),
    ],
    ids=lambda value: "",
)
def test_checkpoints_of_other_sizes_are_named_with_them(folder, tmp_path, size, cause):
    other = tmp_path / "other.safetensors"
    write_checkpoint(other, random_state_dict(size), HEADS)
    with pytest.raises(ValueError, match=cause):
        transplant(*files(folder)[:2], other, tmp_path / "out.safetensors")


def test_weights_of_a_byte_are_made_in_another_precision(folder, tmp_path):
    out = tmp_path / "out.safetensors"
    weights = {
        key: weight.to(torch.float8_e4m3fn) if weight.ndim and UNET_PREFIX in key else weight
        for key, weight in read_checkpoint(folder / "other.safetensors")[0].items()
    }
    other = changed(folder, tmp_path, "other", weights)
    with pytest.raises(ValueError, match="OTHER 'other.safetensors' is float8_.*--dtype fp16"):
        transplant(*files(folder)[:2], other, out)
    assert not out.exists()
    transplant(*files(folder)[:2], other, out, TransplantOptions(dtype="fp16"))
    made, _ = read_checkpoint(out)
    assert {weight.dtype for weight in made.values() if weight.ndim} == {torch.float16}


def test_an_autoencoder_that_is_nowhere_is_told(folder, tmp_path):
    reco, base, other = files(folder)
    lacking = {key: None for key in read_checkpoint(other)[0] if key.startswith(VAE_PREFIX)}
    bare = changed(folder, tmp_path, "other", lacking)
    told = transplant(reco, base, bare, tmp_path / "out.safetensors")
    assert "OTHER 'other.safetensors' has no autoencoder" in told


def test_numbers_that_are_not_finite_are_refused_and_leave_no_file(folder, tmp_path):
    reco, base, other = files(folder)
    out = tmp_path / "out.safetensors"
    weight = read_checkpoint(other)[0][OUT_BLOCK]
    strong = changed(folder, tmp_path, "reco", {OUT_BLOCK: torch.full_like(weight, 4_000)})
    with pytest.raises(ValueError, match="out.2.weight' .* beyond what float16 .* --dtype fp32"):
        transplant(strong, base, other, out, TransplantOptions(strength_unet=20))
    broken = changed(folder, tmp_path, "base", {OUT_BLOCK: torch.full_like(weight, torch.nan)})
    with pytest.raises(ValueError, match="out.2.weight' of BASE 'base.safetensors' has numbers"):
        transplant(reco, broken, other, out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["out", "out.ckpt", "out.pt", "a-folder", "x.bin"])
def test_another_form_than_a_safetensors_file_is_refused(folder, tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}.*safetensors"):
        transplant(*files(folder), tmp_path / name)


def test_the_base_is_found_by_its_checksum_whatever_its_name(folder, tmp_path):
    reco, base, other = files(folder)
    expected, made = tmp_path / "expected.safetensors", tmp_path / "made.safetensors"
    transplant(reco, base, other, expected)
    transplant(reco, NAMED, other, made)
    assert made.read_bytes() == expected.read_bytes()


def test_a_base_that_is_not_there_or_not_named_is_asked_for(folder, tmp_path):
    alone = tmp_path / "reco.safetensors"
    alone.write_bytes((folder / "reco.safetensors").read_bytes())
    out = tmp_path / "out.safetensors"
    digest = sha256(folder / "base.safetensors")[:10]
    with pytest.raises(
        ValueError, match=rf"'sd-v1-4.ckpt' \(SHA-256 {digest}\.\.\.\), and no file"
    ):
        transplant(alone, NAMED, tmp_path / "other.safetensors", out)
    nameless = dict.fromkeys(("base", "base_sha256", "base_bytes"))
    reco = changed(folder, tmp_path, "reco", metadata=nameless)
    with pytest.raises(ValueError, match="does not say which plain checkpoint"):
        transplant(reco, NAMED, folder / "other.safetensors", out)


def test_only_files_of_the_bases_size_are_read(tmp_path):
    contents = {"a": b"1234", "b": b"123", "sd-v1-4.ckpt": b"4321", "c": b"12345", "d": b"1234"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    read = []

    def checksum(path: Path) -> str:
        read.append(path.name)
        return sha256(path)

    metadata = {"base": "sd-v1-4.ckpt", "base_sha256": sha256(tmp_path / "d"), "base_bytes": "4"}
    named = named_base(metadata)
    assert named is not None
    assert find_base(named, sorted(tmp_path.iterdir()), checksum) == tmp_path / "a"
    assert read == ["sd-v1-4.ckpt", "a"]
    unsized = replace(named, size=None, sha256=sha256(tmp_path / "c"))
    assert find_base(unsized, sorted(tmp_path.iterdir()), checksum) == tmp_path / "c"


@pytest.mark.parametrize("checksum", ["abc", "g" * 64, "0" * 63, "0x" + "0" * 62, "0" * 65])
def test_a_checksum_that_is_none_is_refused(checksum):
    with pytest.raises(ValueError, match="base_sha256 = .* is no SHA-256"):
        named_base({"base_sha256": checksum})


def test_another_base_than_the_one_that_is_named_is_told(folder, tmp_path):
    reco, _, other = files(folder)
    base = changed(folder, tmp_path, "base", {OUT_BLOCK: read_checkpoint(other)[0][OUT_BLOCK]})
    warning = transplant(reco, base, other, tmp_path / "out.safetensors")
    assert "'base.safetensors' is not the file that RECO 'reco.safetensors'" in warning
    assert "'sd-v1-4.ckpt'" in warning


def test_the_command_line_makes_it_and_says_so(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.safetensors"
    words = ["train", "transplant", *map(str, files(folder)), str(out), "--dtype", "fp32"]
    strengths = ["--strength", "0.5", "--strength-unet", "0.5"]
    monkeypatch.setattr(sys, "argv", [*words, *strengths])
    assert main() == 0
    assert "other.safetensors with the boxes of reco.safetensors" in capsys.readouterr().out
    made, _ = read_checkpoint(out)
    expected = by_hand(folder, 0.25, 0.5)
    for key in (OUT_BLOCK, TOKEN_EMBEDDING):
        torch.testing.assert_close(made[key].double(), expected[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strength", ["21", "-20.1", "nan", "inf", "all"])
def test_a_strength_out_of_range_is_refused(folder, tmp_path, monkeypatch, capsys, strength):
    words = ["train", "transplant", *map(str, files(folder)), str(tmp_path / "out.safetensors")]
    monkeypatch.setattr(sys, "argv", [*words, f"--strength-text={strength}"])
    with pytest.raises(SystemExit):
        main()
    assert f"--strength-text: {strength}" in capsys.readouterr().err


@pytest.mark.slow  # 10 GB in, 2 out
def test_memory_stays_near_the_largest_file(tmp_path):
    """Mapped pages count, though the system could take them back at any time."""
    plain = replace(FULL_SIZE, num_bins=0, max_length=77)
    precisions = {"reco": torch.float32, "base": torch.float32, "other": torch.float16}
    for name, dtype in precisions.items():
        size = FULL_SIZE if name == "reco" else plain
        zeros = {key: torch.zeros(shape, dtype=dtype) for key, shape in checkpoint_shapes(size)}
        write_checkpoint(tmp_path / f"{name}.safetensors", zeros, {})
        del zeros
    code = """
import re, sys
from pathlib import Path
from train.checkpoints.transplant import transplant
import safetensors.torch
status = Path("/proc/self/status")  # getrusage would tell the parent's peak, if that was greater
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024
before = peak()
transplant(*map(Path, sys.argv[1:]))
print(peak() - before)
"""
    paths = map(str, (*files(tmp_path), tmp_path / "out.safetensors"))
    command = [sys.executable, "-c", code, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    largest = (tmp_path / "reco.safetensors").stat().st_size
    print(f"\n{int(done.stdout) / 2**30:.2f} GiB for files of {largest / 2**30:.2f} GiB")
    assert int(done.stdout) < 1.2 * largest

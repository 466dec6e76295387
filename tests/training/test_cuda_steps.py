"""What CUDA would refuse, found without a GPU: fake tensors of device cuda, CUDA's own autocast.

Fake tensors have no content, but every operation on them is dispatched, checked and cast as on the
device they say they are on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reco_core.layout import Box, Layout, Region
from train.config import load_config
from train.data.mixture import open_mixture
from train.data.shapeskills_set import ShapeSkillsConfig
from train.fit import autoencoder
from train.fit.losses import sample_losses
from train.fit.options import FitConfig
from train.fit.validation import Validation
from train.memory.count import empty_model, give_fake_weights
from train.memory.live import Answer, step_inputs
from train.model.grounding import record_cross_attention
from train.model.noise import kept_signal
from train.model.options import AutoencoderConfig
from train.model.sampling import denoise
from train.model.text_to_image import TextToImage
from train.precision import dtype_of

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "train" / "configs").rglob("*.toml"))
every_config = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: path.relative_to(FILES[0].parents[1]).with_suffix("").as_posix()
)
STEPS = {(c.compute, c.lora, c.loss): path for path in FILES for c in [load_config(path)]}
ARITHMETIC = {(c.compute, c.lora): path for path in FILES for c in [load_config(path)]}
every_arithmetic = pytest.mark.parametrize("path", ARITHMETIC.values(), ids=lambda path: path.stem)
CUDA = torch.device("cuda", 0)
BASE = Size(
    channel_mult=(1,), attention_levels=1, text_layers=1, max_length=77, num_bins=0, vae="kl"
)
LAYOUT = Layout("a dog", (Region("a dog", Box(0.1, 0.1, 0.6, 0.6)),), 64, 64)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small file of Stable Diffusion 1's parts, for configurations that start from one."""
    path = tmp_path_factory.mktemp("base") / "sd1.safetensors"
    save_file(random_state_dict(BASE), path, HEADS)
    return path


def small(config: FitConfig, base: Path) -> FitConfig:
    """The same but for sizes, on which neither kernels nor precisions depend."""
    model = config.model
    if model.base:
        length = model.max_length and max(model.max_length, BASE.max_length)
        model = replace(model, base=str(base), max_length=length)
    else:
        sizes = {"unet_channels": (32,), "text_layers": 1, "text_width": 32, "text_heads": 1}
        model = replace(model, **sizes)
    return replace(config, model=model, image_size=64)


@contextmanager
def autocast(precision: str) -> Iterator[None]:
    """As torch.autocast("cuda"), which does nothing where there is no CUDA."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", precision != "no")
    torch.set_autocast_dtype("cuda", dtype_of("fp32" if precision == "no" else precision))
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])


@contextmanager
def on_cuda(config: FitConfig) -> Iterator[TextToImage]:
    """The model of a configuration in training, all of it on a CUDA without content."""
    model, _ = empty_model(config)
    kept_signal(model.family.noise)  # remembered by its module: it must not be a fake one
    with FakeTensorMode(allow_non_fake_inputs=True), Answer(max(1, config.data.max_regions)):
        give_fake_weights(model, "cuda")
        yield model


def precisions(config: FitConfig) -> list[str]:
    return sorted({config.compute.precision, "bf16", "fp16"})


def precisions_of_step(path: Path, config: FitConfig) -> list[str]:
    """All, for one of the configurations whose steps compute the same; its own for the others."""
    return precisions(config) if path in STEPS.values() else [config.compute.precision]


@every_config
def test_a_step_of_every_config_is_legal_on_cuda(path, base):
    config = small(load_config(path), base)
    with on_cuda(config) as model:
        recorders = record_cross_attention(model.unet) if config.loss.grounding_weight else []
        batch, drawn = step_inputs(model, config, 2)
        for precision in precisions_of_step(path, config):
            with autocast(precision):
                losses = sample_losses(model, batch.to(CUDA), drawn, recorders, config.loss)
                assert torch.is_autocast_enabled("cuda") == (precision != "no")
            for name, loss in losses.items():
                assert (loss.device, loss.dtype) == (CUDA, torch.float32), (precision, name)
            assert losses["total"].requires_grad


WITHOUT_BF16 = ("compute.precision=fp16", "compute.frozen_precision=fp16")
BF16 = [path for path in STEPS.values() if load_config(path).compute.precision == "bf16"]


@pytest.mark.parametrize("path", BF16, ids=lambda path: path.stem)
def test_the_words_for_cards_without_bf16_make_a_legal_step_of_fp16(path, base):
    assert " ".join(WITHOUT_BF16) in (ROOT / "docs" / "training.md").read_text("utf-8")
    config = small(load_config(path, WITHOUT_BF16), base)
    with on_cuda(config) as model:
        assert torch.bfloat16 not in {weight.dtype for weight in model.parameters()}
        recorders = record_cross_attention(model.unet) if config.loss.grounding_weight else []
        batch, drawn = step_inputs(model, config, 2)
        with autocast(config.compute.precision):
            losses = sample_losses(model, batch.to(CUDA), drawn, recorders, config.loss)
        assert losses["total"].dtype == torch.float32 and losses["total"].requires_grad


@every_arithmetic
def test_drawing_and_validation_are_legal_on_cuda_in_every_precision(path, base):
    config = small(load_config(path), base)
    shapes = open_mixture([ShapeSkillsConfig(samples=1)], config.data, config.image_size)
    with on_cuda(config) as model, torch.no_grad():
        words = model.words(config.data.max_regions)
        for precision in precisions(config):
            with autocast(precision):
                noise = torch.zeros(1, 4, 8, 8)
                latents = denoise(model, [LAYOUT], noise, steps=1, guidance=3.0, sampler="ddim")
                assert model.codec.decode(latents).device == CUDA
                validation = Validation(model, shapes, words, (500,), seed=0, micro_batch=1)
                assert validation._error(500, 0).dtype == torch.float32


class AllFinite(TorchDispatchMode):
    """Says of fake numbers that they are, as `torch.isfinite(x).all()` asks of real ones."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.equal.default:
            return True
        return func(*args, **(kwargs or {}))


def test_the_small_autoencoder_is_trained_on_the_device_of_the_run(tmp_path, monkeypatch):
    config = AutoencoderConfig(
        width=8, encoder_blocks=(0, 0, 1, 1), decoder_blocks=(1, 1, 0, 0), steps=2, batch_size=2
    )
    shapes = open_mixture([ShapeSkillsConfig(samples=2)], load_config(FILES[0]).data, 64)
    written, moved = {}, []
    start = autoencoder.start_autoencoder

    def on_cuda_from_the_start(options):
        """Fake parameters cannot be moved; a step on another device than theirs is refused."""
        with torch.device(CUDA):
            model = start(options)
        model.to = lambda device, **more: moved.append(device) or model
        return model

    monkeypatch.setattr(autoencoder, "start_autoencoder", on_cuda_from_the_start)
    monkeypatch.setattr(autoencoder, "SAVE_EVERY", 2)
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: None)  # torch's wants a real CUDA
    monkeypatch.setattr(
        autoencoder, "save_atomically", lambda state, path: written.update({path.name: state})
    )
    with FakeTensorMode(allow_non_fake_inputs=True), Answer(1), AllFinite():
        autoencoder.fit_autoencoder(config, shapes, 0, tmp_path, unseen=shapes, device=CUDA)
    assert moved == [CUDA]
    found = tree_leaves([written["autoencoder.safetensors"], written["autoencoder_state.pt"]])
    assert {x.device for x in found if isinstance(x, torch.Tensor) and x.dim()} == {CUDA}

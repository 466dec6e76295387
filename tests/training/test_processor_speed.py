"""What makes a step on a CPU fast, and leaves its numbers as they are."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from reco_core.checkpoint_file import read_checkpoint
from train.allocator import LARGE_PAGES
from train.model.compute import prepare_model
from train.model.onednn import OneDNNLinear, use_onednn
from train.model.options import ComputeConfig, ModelConfig
from train.model.text_to_image import load_model

ROOT = Path(__file__).parents[2]
FAULTS = """
import resource
import sys
import train.__main__
assert "torch" not in sys.modules, "its variables are read once, when it is imported"
from train.allocator import keep_memory
keep_memory()
import torch

def faults(mebibytes, count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    made = [torch.ones(mebibytes << 18) for _ in range(count)]
    del made
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

again = sum([faults(size, 64 // size) for _ in range(6)][-1] for size in (1, 2, 4))
large = torch.ones(2**22)
flags = [line for line in open("/proc/self/smaps") if line.startswith("VmFlags")]
print(again, sum(" hg" in line for line in flags))
"""
PAGES = 2**26 // 4096
"""Of what is made at once in the program above, which tells faults and mappings of large pages."""
LARGE = Path("/sys/kernel/mm/transparent_hugepage")
needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch is built without oneDNN"
)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries are left alone")
def test_a_step_finds_the_memory_of_the_one_before():
    again, large = _faults()
    assert again < PAGES / 5
    assert large or not LARGE.exists(), "torch asked for no large pages"


def _faults() -> list[int]:
    environment = {k: v for k, v in os.environ.items() if k != LARGE_PAGES}
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


@needs_onednn
@pytest.mark.parametrize("shape", [(3, 7, 5), (7, 5), (2, 3, 7, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_onednn_gives_the_products_and_gradients_of_torch(shape, bias):
    plain = nn.Linear(5, 6, bias=bias).double()
    layer = OneDNNLinear(5, 6, bias=bias)
    layer.load_state_dict(plain.state_dict())
    x = torch.randn(shape, requires_grad=True)
    exact = x.detach().double().requires_grad_()
    for linear, rows in ((layer, x), (plain, exact)):
        linear(rows).square().sum().backward()
    torch.testing.assert_close(layer(x).double(), plain(exact), rtol=1e-5, atol=1e-5)
    pairs = [(x, exact), *zip(layer.parameters(), plain.parameters(), strict=True)]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-5, atol=1e-5)


@needs_onednn
def test_only_plain_fp32_goes_to_onednn(monkeypatch):
    def refuse(*_):
        raise AssertionError("not torch's own way")

    monkeypatch.setattr("train.model.onednn._product", refuse)
    layer, x = OneDNNLinear(4, 4), torch.randn(2, 4)
    with pytest.raises(AssertionError):
        layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


@needs_onednn
def test_frozen_layers_keep_no_inputs_for_the_backward_pass():
    layer, kept = OneDNNLinear(4, 4).requires_grad_(False), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        layer(torch.randn(2, 4, requires_grad=True))
    assert [tuple(x.shape) for x in kept] == [(4, 4)], "its weight alone"


def test_layers_change_where_it_is_a_gain_and_keep_names_and_weights(monkeypatch):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = {name: id(weight) for name, weight in model.named_parameters()}
    for gain, kind in ((False, nn.Linear), (True, OneDNNLinear)):
        monkeypatch.setattr("train.model.onednn.gains", lambda gain=gain: gain)
        use_onednn(model)
        assert type(model[0]) is kind
    assert {name: id(weight) for name, weight in model.named_parameters()} == before


@pytest.mark.parametrize(("precision", "turned"), [("no", False), ("bf16", True)])
def test_fp32_weights_that_learn_lie_as_the_optimiser_reads_them(precision, turned, base):
    model = load_model(*read_checkpoint(base), ModelConfig())
    prepare_model(model, ComputeConfig(precision=precision), torch.device("cpu"))
    for module, is_turned in ((model.unet, turned), (model.codec.autoencoder, True)):
        weight = next(m.weight for m in module.modules() if isinstance(m, nn.Conv2d))
        assert weight.is_contiguous(memory_format=torch.channels_last) == is_turned

"""States: which files are some, what becomes of damaged ones, and what they hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from on_base import on_base
from safetensors.torch import load_file, save_file
from torch import nn

from train.config import load_config
from train.fit.learner import Average
from train.fit.loop import fit
from train.fit.options import FitConfig
from train.fit.state_parts import Frozen, Learned, bit_sum, check_frozen
from train.fit.training_state import find_states, restore_state, save_state, state_path
from train.model.compute import OutOfMemory


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture
def config(tmp_path):
    return FitConfig(folder=str(tmp_path), keep=3)


def parts(value=0.0, device="cpu"):
    """A model in two halves, with an optimiser that has moments, and averages."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).to(device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    optimizer = torch.optim.AdamW(model.parameters(), fused=device == "cpu")
    if device == "cpu":
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    average = Average(model.parameters(), decay=0.9)
    return {
        "unet": Learned(model[0]),
        "text_encoder": Learned(model[1]),
        "optimizer": optimizer,
        "ema": average,
        "scaler": None,
    }


@pytest.fixture
def states(config, accelerator):
    """Three states of different weights."""
    for step in (1, 2, 3):
        save_state(parts(float(step)), config, step, step, accelerator)
    return [state_path(config_folder(config), step) for step in (1, 2, 3)]


def config_folder(config):
    return Path(config.folder)


def flip_in_the_middle(data):
    middle = len(data) // 2
    return (
        data[:200] + bytes(255 - byte for byte in data[200 : middle + 400]) + data[middle + 400 :]
    )


DAMAGE = {
    "cut": lambda data: data[:1000],
    "cut late": lambda data: data[:-10],
    "empty": lambda data: b"",
    "other bytes": flip_in_the_middle,
    "text": lambda data: b"hello",
    "html": lambda data: b"<!doctype html><html></html>",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_state_is_set_aside_and_the_one_before_it_used(kind, config, states, accelerator):
    damaged = DAMAGE[kind](states[2].read_bytes())
    states[2].write_bytes(damaged)
    ours = parts()
    found = restore_state(ours, config, accelerator)
    assert (found.step, found.halvings) == (2, 2)
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), weights(parts(2.0)), strict=True))
    (said,) = found.remarks
    assert states[2].name in said and states[1].name in said and "damaged" in said
    assert states[2].with_name("step-0000003.pt.damaged").read_bytes() == damaged
    assert [path.name for path in find_states(config_folder(config))] == [
        "step-0000002.pt", "step-0000001.pt",
    ]  # fmt: skip
    save_state(parts(3.0), config, 3, 0, accelerator)
    states[2].write_bytes(b"again")
    restore_state(parts(), config, accelerator)
    assert states[2].with_name("step-0000003.pt.damaged-2").exists()


def weights(ours):
    return [x for name in ("unet", "text_encoder") for x in ours[name].state_dict().values()]


def saved_without(name):
    def change(state):
        del state[name]

    return change


def without_a_weight(state):
    del state["unet"]["weight"]


def of_another_shape(state):
    state["text_encoder"]["bias"] = torch.zeros(7)


def without_moments(state):
    state["optimizer"]["param_groups"] = []


@pytest.mark.parametrize(
    "change",
    [
        saved_without("step"), saved_without("options"), saved_without("ema"),
        without_a_weight, of_another_shape, without_moments,
    ],
)  # fmt: skip
def test_a_state_that_lacks_something_is_damaged(change, config, states, accelerator):
    state = torch.load(states[2], weights_only=True)
    change(state)
    torch.save(state, states[2])
    ours = parts()
    assert restore_state(ours, config, accelerator).step == 2
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), weights(parts(2.0)), strict=True))


def test_where_no_state_can_be_read_nothing_is_renamed(config, states, accelerator):
    for path in states:
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"step-0000003\.pt.*cannot be read"):
        restore_state(parts(), config, accelerator)
    assert all(path.exists() for path in states)


NO_STATES = [
    "step-abc.pt", "step-.pt", "step-0000009 (1).pt", "step-0000009.pt.bak", "step-0000009-copy.pt",
    "step-9.pt", "step-000000٩.pt", "step--000009.pt", ".step-0000009.pt", "my-step-0000009.pt",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_STATES)
def test_files_of_other_names_are_no_states_and_stay(name, config, states, accelerator):
    other = states[0].with_name(name)
    other.write_bytes(b"mine")
    assert restore_state(parts(), config, accelerator).step == 3
    for step in (4, 5, 6, 12_345_678):
        save_state(parts(), config, step, 0, accelerator)
    assert other.read_bytes() == b"mine"
    assert [path.name for path in find_states(config_folder(config))] == [
        "step-12345678.pt", "step-0000006.pt", "step-0000005.pt",
    ]  # fmt: skip


MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] . DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("could not create a primitive"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear"),
]


@pytest.mark.parametrize("where", ["reading", "loading"])
@pytest.mark.parametrize("error", MEMORY, ids=lambda error: str(error)[:20])
def test_a_memory_error_is_told_as_one_and_the_state_stays(
    where, error, config, states, monkeypatch, accelerator
):
    def fail(*args, **options):
        raise error

    ours = parts()
    fails = (torch, "load") if where == "reading" else (ours["optimizer"], "load_state_dict")
    monkeypatch.setattr(*fails, fail)
    with pytest.raises(OutOfMemory, match=r"memory ran out while the state .*step-0000003\.pt"):
        restore_state(ours, config, accelerator)
    assert states[2].exists() and "remove" not in str(error)


def test_a_state_that_may_not_be_read_is_not_taken_for_damaged(config, states, accelerator):
    folder = state_path(config_folder(config), 4)
    folder.mkdir()
    with pytest.raises(ValueError, match=r"step-0000004\.pt.*(directory|denied)"):
        restore_state(parts(), config, accelerator)
    assert folder.exists() and states[2].exists()


def test_states_are_read_to_the_cpu_and_go_to_the_device_from_there(
    config, states, monkeypatch, accelerator
):
    """The meta device stands for one that has no room for a second model."""
    devices = []
    load = torch.load

    def watched(*args, **options):
        devices.append(torch.device(options["map_location"]).type)
        return load(*args, **options)

    monkeypatch.setattr(torch, "load", watched)
    ours = parts(device="meta")
    ours["optimizer"] = None
    assert restore_state(ours, config, accelerator).step == 3 and devices == ["cpu"]
    assert {x.device.type for x in [*weights(ours), *ours["ema"].shadow_params]} == {"meta"}


def test_the_sum_of_bits_tells_tensors_apart_on_any_precision():
    one = torch.tensor([1.0, -2.0, 0.5, float("nan")])
    for tensor in (
        one,
        one.half(),
        one.bfloat16(),
        one.double(),
        torch.tensor(3),
        one.reshape(2, 2).T,
    ):
        other = tensor.clone()
        other[(0,) * other.dim()] += 1
        assert bit_sum(tensor) == bit_sum(tensor.clone()) != bit_sum(other)


@pytest.fixture
def adapter_words(overrides, base):
    return [
        *overrides, *on_base(base), "image_size=64", "data.cache_latents=false",
        "sample.every=0", "validation.every=0", "lora.rank=2", "lora.text_rank=2", "save_every=1",
        "optimizer.ema_decay=0.9", "output_precision=fp32",
    ]  # fmt: skip


def test_an_adapter_s_states_hold_what_learns_and_go_on_bit_for_bit(
    adapter_words, config_file, base, tmp_path
):
    def stop(step):
        if step == 2:
            raise KeyboardInterrupt

    config = load_config(config_file, adapter_words)
    with pytest.raises(KeyboardInterrupt):
        fit(config, stop)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    state = torch.load(state_path(tmp_path / "run", 2), weights_only=True)
    learned = {**state["unet"], **state["text_encoder"]}
    assert all("lora_" in name or name.endswith(".new") for name in learned)
    assert state_path(tmp_path / "run", 2).stat().st_size < base.stat().st_size / 10
    parted = load_file(fit(config))
    assert tmp_path.name.encode() not in (tmp_path / "run.safetensors").read_bytes()
    whole = [word.replace("/run", "/whole") for word in adapter_words]
    for key, tensor in load_file(fit(load_config(config_file, whole))).items():
        assert torch.equal(parted[key], tensor), key

    other = load_file(base)
    other["model.diffusion_model.out.2.bias"][0] += 1
    from random_checkpoint import HEADS

    save_file(other, tmp_path / "plain.safetensors", HEADS)
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "copy").rename(tmp_path / "run")
    taken = state_path(tmp_path / "run", 2)
    state = torch.load(taken, weights_only=True)
    options = json.loads(state["options"])
    options["model"]["base"] = str(tmp_path / "plain.safetensors")
    torch.save(state | {"options": json.dumps(options)}, taken)
    words = [*adapter_words, f'model.base="{(tmp_path / "plain.safetensors").as_posix()}"']
    with pytest.raises(ValueError, match=r"do not learn were others, first unet\.conv_out\.bias"):
        fit(load_config(config_file, words))


def test_states_of_earlier_versions_that_hold_the_whole_model_are_read(tmp_path):
    model, other = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2))
    for one in (model, other):
        one[0].requires_grad_(False)
    Learned(model).load_state_dict(other.state_dict())
    assert torch.equal(model[1].weight, other[1].weight)
    check_frozen(None, Frozen(None), tmp_path)

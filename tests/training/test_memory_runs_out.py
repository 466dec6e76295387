"""What becomes of a run whose memory ends in places other than a micro-batch's passes."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from reco_core.layout import Layout
from train.config import load_config
from train.fit import validation
from train.fit.loop import fit
from train.fit.training_state import find_states
from train.model import sampling
from train.model.compute import OutOfMemory, start_accelerator
from train.model.grounding import RecordingAttention
from train.model.options import ComputeConfig

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def notes(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["message"] for line in lines if line["group"] == "note"]


def test_halving_frees_the_graph_of_the_pass_that_failed(tiny_config, monkeypatch):
    """All of it, while nothing else runs: before the smaller micro-batch begins."""
    graphs, alive = [], []
    backward, call = Accelerator.backward, RecordingAttention.__call__

    def record(self, *args, **options):
        made = call(self, *args, **options)
        graphs.append(weakref.ref(self.probabilities))
        return made

    def fail_once(self, loss, **options):
        if not alive:
            alive.append(sum(one() is not None for one in graphs))
            raise FULL
        return backward(self, loss, **options)

    monkeypatch.setattr(RecordingAttention, "__call__", record)
    monkeypatch.setattr(Accelerator, "backward", fail_once)
    monkeypatch.setattr(
        "train.fit.steps.free_memory", lambda: alive.append(sum(x() is not None for x in graphs))
    )
    config = replace(
        tiny_config,
        optimizer=replace(tiny_config.optimizer, steps=1, warmup_steps=0),
        sample=replace(tiny_config.sample, every=0),
        validation=replace(tiny_config.validation, every=0),
    )
    fit(config)
    assert alive[0] > 0 and alive[1] == 0


@pytest.fixture
def drawing(monkeypatch):
    """A sampler that has room for so many pictures; the sizes of what it was asked for."""

    def with_room(room):
        asked = []

        def sample(model, layouts, seeds, *options):
            asked.append(len(layouts))
            if len(layouts) > room:
                raise FULL
            return [
                (layout.caption, layout.width, seed)
                for layout, seed in zip(layouts, seeds, strict=True)
            ]

        monkeypatch.setattr(sampling, "_sample", sample)
        return asked

    return with_room


@pytest.mark.parametrize("room", [1, 2, 3, 5, 7, 100])
def test_pictures_come_in_order_in_batches_that_fit_into_memory(room, drawing):
    asked = drawing(room)
    widths = [64, 128, 64, 64, 128, 192, 64]
    layouts = [Layout(str(i), (), width, 64) for i, width in enumerate(widths)]
    drawn = sampling.sample_layouts(None, layouts, seed=10)
    assert drawn == [(str(i), width, 10 + i) for i, width in enumerate(widths)]
    assert max(asked) == 4 and (room >= 4) == (asked.count(4) == 1 and len(asked) == 3)


def test_one_picture_that_does_not_fit_is_told_as_a_memory_error(drawing):
    asked = drawing(0)
    with pytest.raises(OutOfMemory, match="a single picture was drawn.*CUDA out of memory"):
        sampling.sample_layouts(None, [Layout("a", (), 64, 64)] * 6)
    assert asked == [6, 3, 1]


def test_other_errors_of_drawing_are_not_taken_for_memory(monkeypatch):
    def fail(*args):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(sampling, "_sample", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        sampling.sample_layouts(None, [Layout("a", (), 64, 64)])


def test_pictures_are_decoded_one_by_one(monkeypatch):
    class Codec:
        sizes: list[int] = []

        def decode(self, latents):
            self.sizes.append(len(latents))
            return latents[:, :3]

    class Model:
        codec = Codec()

    monkeypatch.setattr(sampling, "denoise", lambda model, layouts, noise, *rest: noise)
    sampling.sample_layouts(Model(), [Layout("a", (), 64, 64)] * 5)
    assert Codec.sizes == [1] * 5


def test_a_run_goes_on_without_a_sheet_or_a_measure_that_do_not_fit_and_has_its_state(
    tiny_config, monkeypatch, tmp_path
):
    found = []

    def no_room(*args, **options):
        found.append(find_states(tmp_path / "run")[0].name)
        raise FULL

    monkeypatch.setattr(sampling, "_sample", no_room)
    monkeypatch.setattr(validation.Validation, "measure", lambda self: no_room())
    config = replace(
        tiny_config,
        sample=replace(tiny_config.sample, every=2, layouts=1),
        validation=replace(tiny_config.validation, every=4),
    )
    assert load_file(fit(config))
    assert found == ["step-0000002.pt", "step-0000002.pt", "step-0000004.pt"]
    said = notes(tmp_path / "run")
    assert [one.partition(",")[0] for one in said] == [
        "no sample sheet of step 2", "no validation after step 4", "no sample sheet of step 4",
    ]  # fmt: skip
    assert all("CUDA out of memory" in one for one in said)


def test_a_measure_that_is_no_number_stops_before_the_state_is_written(
    tiny_config, monkeypatch, tmp_path
):
    monkeypatch.setattr(validation.Validation, "measure", lambda self: {"loss": float("nan")})
    config = replace(tiny_config, validation=replace(tiny_config.validation, every=3))
    with pytest.raises(ValueError, match="validation after step 3 gives .*nan"):
        fit(replace(config, save_every=1))
    assert [path.name for path in find_states(tmp_path / "run")] == [
        "step-0000002.pt", "step-0000001.pt",
    ]  # fmt: skip
    assert not list((tmp_path / "run").glob("samples/*"))


@pytest.mark.parametrize("place", ["train.fit.run.start_model", "train.fit.learner.Learner.learn"])
def test_elsewhere_a_memory_error_is_one_line(place, config_file, overrides, monkeypatch):
    def fail(*args, **options):
        raise FULL

    monkeypatch.setattr(place, fail)
    with pytest.raises(OutOfMemory, match="memory ran out in this run.*CUDA out of memory"):
        fit(load_config(config_file, overrides))


@pytest.fixture
def tf32():
    """The two switches, which are as they were afterwards."""
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    yield switches
    for switch, value in zip(switches, before, strict=True):
        switch.allow_tf32 = value


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_is_what_the_option_says_in_products_and_convolutions(allowed, tf32):
    for switch in tf32:
        switch.allow_tf32 = not allowed
    start_accelerator(ComputeConfig(tf32=allowed))
    assert [switch.allow_tf32 for switch in tf32] == [allowed, allowed]


@pytest.mark.parametrize("name", ["DEEPSPEED", "FSDP", "MEGATRON_LM", "PARALLELISM_CONFIG"])
def test_engines_that_accelerate_is_configured_for_and_that_would_not_be_used_are_refused(
    name, monkeypatch
):
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(ValueError, match=f"configured for {name} .*compute.engine"):
        start_accelerator(ComputeConfig())

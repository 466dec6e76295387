"""Weights and moments spread over processes (FSDP2) take less memory, and learn the same."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from launched import launch_program
from safetensors import safe_open
from safetensors.torch import load_file
from train_command import train

from train.config import load_config
from train.fit.training_state import find_states

BRIEF = (
    "optimizer.batch_size=4",
    "optimizer.steps=3",
    "optimizer.ema_decay=0.9",
    "compute.threads=1",
    "compute.gradient_checkpointing=true",
    "data.flip=0.5",
    "data.text_dropout=0.2",
    "sample.every=0",
    "save_every=1",
)
SPREAD, MIXED = "compute.engine=fsdp", "compute.precision=bf16"
# Of every training, beside BRIEF, in the order in which they run; the last ends the launch.
OPTIONS = {
    "spread": (SPREAD, "sample.every=3"),
    "begun": (SPREAD, "optimizer.steps=1"),
    "accumulated": (SPREAD, "optimizer.micro_batch=1"),
    "half": (SPREAD, "compute.gradient_precision=bf16"),
    "mixed": (SPREAD, MIXED),
    "stopped": (SPREAD,),
}
# Says from inside of a run what each process holds after its last step.
PROGRAM = """
import json, os, sys
from pathlib import Path
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.distributed.tensor import DTensor
from train.config import load_config
from train.fit import loop, run as module
from train.fit.optimizer import decay_used_rows

rank, passes, runs = int(os.environ["RANK"]), [], []
start_run, start_model, backward = loop.start_run, module.start_model, Accelerator.backward

def started(config, accelerator):
    runs.append(start_run(config, accelerator))
    return runs[-1]

def started_apart(config, accelerator):
    model, base = start_model(config, accelerator)
    with torch.no_grad():
        for parameter in (*model.unet.parameters(), *model.text_encoder.parameters()):
            parameter.add_(0.01 * rank)
    return model, base

def fails(self, loss, **options):
    passes.append(1)
    if name == "stopped" and rank and len(passes) == 2:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return backward(self, loss, **options)

def held(tensors):
    tensors = list(tensors)
    own = [t.to_local() if isinstance(t, DTensor) else t for t in tensors]
    return [sum(t.nbytes for t in own), sum(t.nbytes for t in tensors)]

def rows_that_decay(optimizer):
    # of this process's part of the words' table, when its row 1 is used
    (table, *_) = next(g["params"] for g in optimizer.param_groups if g["decays_by_use"])
    table.grad = torch.zeros_like(table)
    table.grad.to_local()[1] = 1.0
    before = table.to_local().clone()
    decay_used_rows(optimizer, 1.0)
    return (before != table.to_local()).any(dim=1).nonzero().flatten().tolist()

loop.start_run, module.start_model, Accelerator.backward = started, started_apart, fails
here = Path(sys.argv[1])
for name in sys.argv[3:]:
    passes.clear()
    AcceleratorState._reset_state()  # each has a precision of its own
    words = json.loads((here / f"{name}.json").read_text())
    failure, gradients = "", []

    def after_step(step):
        gradients.append([p.grad is None for p in runs[-1].learner.parameters])

    try:
        loop.fit(load_config(Path(sys.argv[2]), words), after_step)
    except ValueError as error:
        failure = str(error)
    learner = runs[-1].learner
    moments = [x for s in learner.optimizer.state_dict()["state"].values() for x in s.values()]
    said = {
        "world": torch.distributed.get_world_size(), "failure": failure, "passes": len(passes),
        "spread": all(isinstance(p, DTensor) for p in learner.parameters),
        "weights": held(learner.parameters), "moments": held(moments),
        "averages": held(learner.average.shadow_params), "freed": all(map(all, gradients)),
        "decayed": rows_that_decay(learner.optimizer),
    }
    (here / f"{name}-{rank}.json").write_text(json.dumps(said))
    if name == "stopped":
        sys.exit(2)
"""


@pytest.fixture(scope="module")
def launch(config_file, words_in):
    """Train in so many processes, in a folder; what they said: {name: [process 0, 1 ...]}."""

    def start(processes, here, options):
        runs = {name: [*words_in(here, name), *BRIEF, *own] for name, own in options.items()}
        return launch_program(PROGRAM, processes, here, config_file, runs)

    return start


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return tmp_path_factory.mktemp("sharding")


@pytest.fixture(scope="module")
def said(launch, here):
    """By two processes."""
    return launch(2, here, OPTIONS)


@pytest.fixture(scope="module")
def alone(config_file, words_in, tmp_path_factory):
    """The folder of the same training in one process that holds everything."""
    folder = tmp_path_factory.mktemp("alone")
    for name, own in {"plain": (), "mixed": (MIXED,)}.items():
        done = train("fit", "--config", config_file, *words_in(folder, name), *BRIEF, *own)
        assert done.returncode == 0, done.stderr
    return folder


def log_of(folder, group):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["group"] == group]


def figures(folder, group, name):
    return [line[name] for line in log_of(folder, group)]


def assert_learned_alike(here, name, alone):
    for group, figure, rel in (
        ("train", "total", 1e-4),
        ("train", "gradient_norm", 1e-3),
        ("validation", "loss", 1e-4),
        ("validation", "gap", 1e-3),
    ):
        expected = figures(alone / "plain", group, figure)
        assert len(expected) == (3 if group == "train" else 1)
        assert figures(here / name, group, figure) == pytest.approx(expected, rel=rel)
    ours, theirs = (
        load_file(here / f"{name}.safetensors"),
        load_file(alone / "plain.safetensors"),
    )
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("name", ["spread", "accumulated"])
def test_two_processes_learn_what_one_does_with_the_same_batch(said, here, alone, name):
    assert [(one["world"], one["failure"]) for one in said[name]] == [(2, "")] * 2
    assert [one["passes"] for one in said[name]] == [3 if name == "spread" else 6] * 2
    assert_learned_alike(here, name, alone)


def test_products_in_bf16_learn_as_one_process_does(said, here, alone):
    assert [(one["world"], one["failure"]) for one in said["mixed"]] == [(2, "")] * 2
    for folder in (here / "mixed", alone / "mixed"):
        assert figures(folder, "train", "total") != figures(alone / "plain", "train", "total")
    for group, figure in (("train", "total"), ("train", "gradient_norm"), ("validation", "loss")):
        expected = figures(alone / "mixed", group, figure)
        assert figures(here / "mixed", group, figure) == pytest.approx(expected, rel=2e-2)


def test_each_process_holds_half_of_weights_moments_and_averages(said):
    for one in said["spread"]:
        assert one["spread"] and one["freed"]
        for kind in ("weights", "moments", "averages"):
            own, whole = one[kind]
            assert own == pytest.approx(whole / 2, rel=0.02), kind


def test_each_process_decays_its_rows_of_words_that_were_used(said):
    assert [one["decayed"] for one in said["spread"]] == [[1]] * 2


def test_a_sheet_is_drawn_with_all_weights(said, here):
    (sheet,) = (here / "spread" / "samples").glob("*3.png")
    assert sheet.stat().st_size > 1000


def test_gradients_are_rounded_where_that_is_asked_for(said, here):
    exact, rounded = (figures(here / name, "train", "gradient_norm") for name in ("spread", "half"))
    assert rounded == pytest.approx(exact, rel=1e-2) and rounded != exact


def test_a_state_is_parts_of_safetensors_and_a_file_without_what_is_spread(said, here):
    newest = find_states(here / "begun")[0]
    assert newest.name == "step-0000001" and newest.is_dir()
    shards = sorted(newest.glob("*.safetensors"))
    held = [one["weights"][0] + one["moments"][0] + one["averages"][0] for one in said["begun"]]
    assert [path.stat().st_size for path in shards] == pytest.approx(held, rel=0.05)
    with safe_open(shards[0], "pt") as file:
        assert any(name.startswith("optimizer.state.") for name in file.keys())  # noqa: SIM118
    (rest,) = [path for path in newest.iterdir() if path not in shards]
    assert rest.stat().st_size < min(held) / 10


@pytest.fixture(scope="module")
def words_of(config_file, words_in):
    """The command of a run in a folder, with the steps that one of three has."""
    return lambda folder, name: [
        *("fit", "--config", config_file, *words_in(folder, name), *BRIEF),
        *(SPREAD, "optimizer.steps=3"),
    ]


def test_one_process_goes_on_from_the_state_of_two(said, here, alone, words_of):
    done = train(*words_of(here, "begun"))
    assert done.returncode == 0, done.stderr
    assert "passes" in said["begun"][0] and len(figures(here / "begun", "train", "total")) == 3
    expected = figures(here / "spread", "train", "total")
    assert figures(here / "begun", "train", "total") == pytest.approx(expected, rel=1e-4)
    ours, theirs = (load_file(here / f"{name}.safetensors") for name in ("begun", "spread"))
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "option", "spoil"),
    [
        ("half", "compute.gradient_precision=bf16", lambda parts: os.truncate(parts[1], 1000)),
        ("mixed", MIXED, lambda parts: parts[0].unlink()),
    ],
    ids=["cut", "missing"],
)
def test_a_damaged_part_is_set_aside_and_the_state_before_it_used(
    said, here, words_of, name, option, spoil
):
    newest = find_states(here / name)[0]
    spoil(sorted(newest.glob("*.safetensors")))
    done = train(*words_of(here, name), option)
    assert done.returncode == 0, done.stderr
    (note,) = log_of(here / name, "note")
    assert "step-0000003" in note["message"] and "is damaged" in note["message"]
    assert (newest.parent / "step-0000003.damaged").is_dir() and newest.is_dir()


def test_the_torch_file_of_a_state_runs_nothing(said, here, words_of, tmp_path):
    class Runs:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    newest = find_states(here / "accumulated")[0]
    (newest / "rest.pt").write_bytes(pickle.dumps(Runs()))
    done = train(*words_of(here, "accumulated"), "optimizer.micro_batch=1")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
    (note,) = log_of(here / "accumulated", "note")
    assert "is damaged" in note["message"]


def test_the_other_engine_does_not_take_the_state(said, here, words_of):
    done = train(*words_of(here, "spread"), "compute.engine=ddp")
    assert done.returncode == 2
    assert "compute.engine was 'fsdp' and is 'ddp'" in done.stderr


def test_memory_that_runs_out_ends_all_and_the_next_start_knows(said, here, alone, words_of):
    (one,) = said["stopped"]
    assert "memory ran out where processes wait" in one["failure"]
    assert len(figures(here / "stopped", "train", "total")) == 1
    done = train(*words_of(here, "stopped"))
    assert done.returncode == 0, done.stderr
    (note,) = log_of(here / "stopped", "note")
    assert note["message"].startswith("micro-batches of 1, as memory ran out before")
    expected = figures(alone / "plain", "train", "total")
    assert figures(here / "stopped", "train", "total") == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_four_processes_go_on_from_the_state_of_one(launch, tmp_path, alone, words_of):
    done = train(*words_of(tmp_path, "begun"), "optimizer.steps=2")
    assert done.returncode == 0, done.stderr
    (four,) = launch(4, tmp_path, {"begun": (SPREAD,)}).values()
    assert [(one["world"], one["failure"]) for one in four] == [(4, "")] * 4
    own, whole = four[0]["weights"]
    assert own == pytest.approx(whole / 4, rel=0.05)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("lora.rank=2", "lora.rank = 2"),
        ("optimizer.kind=adafactor", "optimizer.kind = 'adafactor'"),
        ("compute.compile=true", "compute.compile = True"),
        ("compute.precision=fp16", "compute.precision = 'fp16'"),
    ],
)
def test_what_was_never_seen_to_work_spread_is_refused(config_file, overrides, word, told):
    with pytest.raises(ValueError, match=f"{told} does not go with compute.engine = 'fsdp'"):
        load_config(config_file, [*overrides, SPREAD, word])

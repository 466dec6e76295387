"""Several processes train as one does with the same batch, and end with the same weights."""

from __future__ import annotations

import json

import pytest
import torch
from accelerate.state import AcceleratorState
from launched import launch_program
from on_base import on_base
from safetensors.torch import load_file
from set_files import write_lines, write_picture

from train.config import load_config
from train.fit.loop import fit

BRIEF = ("optimizer.batch_size=4", "optimizer.steps=3", "sample.every=0", "compute.threads=1")
FULL = ("data.flip=0.5", "data.text_dropout=0.2", "compute.gradient_checkpointing=true")
ADAPTER = ("lora.rank=2", "lora.text_rank=2", "image_size=64", "data.cache_latents=false")
ONE_BY_ONE = "optimizer.micro_batch=1"
SIZES = ("data.bucket_sizes=[[64,64],[64,96]]", "optimizer.steps=8", "data.cache_latents=false")
# All trainings, and what becomes of processes that differ or run out of memory, in one launch. A
# process says where it is, and digests of all its weights after every step, from inside of the run.
PROGRAM = """
import json, os, sys
from contextlib import contextmanager
from pathlib import Path
import torch
from accelerate import Accelerator
from train.fit import engine, loop, run as module, steps as passes, training_data
from train.fit.agreement import check_agreement, digest, model_tensors, share_weights
from train.config import load_config

told, steps, rank = {}, [], int(os.environ["RANK"])
start_model, backward, taken = module.start_model, Accelerator.backward, passes.taken
compress = engine.bf16_compress_hook
probe = passes.Stepper._probe
FAILS = {"halved": 2, "stopped": 4}
open_mixture = training_data.open_mixture

def started_apart(config, accelerator):
    # as if each process had drawn, or read, weights of its own
    model, base = start_model(config, accelerator)
    with torch.no_grad():
        for name, tensor in model_tensors(model).items():
            if tensor.is_floating_point() and accelerator.process_index:
                tensor.add_(0.01)
    told["world"] = torch.distributed.get_world_size()
    told["backend"] = torch.distributed.get_backend()
    try:
        check_agreement(model_tensors(model), {}, accelerator, "Here")
    except ValueError as error:
        told["refused"] = str(error)
    return model, base

def opened(*words):
    told["opened"] = True
    return open_mixture(*words)

def watched(model, accelerator):
    share_weights(model, accelerator)
    if name == "apart":
        model.unet.unused = torch.nn.Parameter(torch.zeros(1))
    told["model"] = model

def fails_once(self, loss, **options):
    told["passes"] = told.get("passes", 0) + 1
    if rank and told["passes"] == FAILS.get(name):
        loss.register_hook(no_memory)  # when the other process is in its backward pass, or through
    return backward(self, loss, **options)

def no_memory(gradient):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

def noting(size, device):
    told["reserved"] = told.get("reserved", []) + [size]
    return taken(size, device)

def probed(self, parts):
    # the sizes of a process's pictures, step by step
    told.setdefault("sizes met", []).extend(
        "{}x{}".format(*reversed(part.batch.pictures.shape[2:])) for part in parts
    )
    return probe(self, parts)

def compressed(group, bucket):
    told["sent"] = told.get("sent", []) + [bucket.is_last()]
    told["bytes"] = told.get("bytes", 0) + bucket.buffer().nbytes
    return compress(group, bucket)

module.start_model, module.share_weights = started_apart, watched
Accelerator.backward, passes.taken, engine.bf16_compress_hook = fails_once, noting, compressed
training_data.open_mixture = opened
passes.Stepper._probe = probed
here = Path(sys.argv[1])
for name in sys.argv[3:]:
    words = json.loads((here / f"{name}.json").read_text())
    config = load_config(Path(sys.argv[2]), words)
    told.clear(), steps.clear()

    def after_step(step):
        steps.append(digest([digest(x) for x in model_tensors(told["model"]).values()]))
        if name == "apart" and rank:
            told["model"].unet.conv_in.weight.data.add_(1e-3)

    try:
        loop.fit(config, after_step)
        failure = ""
    except ValueError as error:
        failure = str(error)
    learned = [p for p in told.pop("model").parameters() if p.requires_grad]
    told["views"] = all(p.grad is not None and p.grad._is_view() for p in learned)
    told["learned"] = sum(p.numel() for p in learned)
    told["moments"] = sum(8 * p.numel() + 4 for p in learned)
    said = {**told, "digests": steps, "failure": failure}
    (here / f"{name}-{rank}.json").write_text(json.dumps(said))
    if name == "stopped":
        sys.exit(2)
"""


@pytest.fixture(scope="module")
def two_sizes(tmp_path_factory):
    """A set of pictures in two sizes."""
    folder = tmp_path_factory.mktemp("two-sizes")
    lines = []
    for number in range(24):
        write_picture(folder / f"{number}.png", size=(64, 96) if number % 2 else (64, 64))
        region = {"text": "red thing", "box": [0.25, 0.1, 0.9, 0.8]}
        lines.append({"image": f"{number}.png", "caption": "a thing", "regions": [region]})
    return write_lines(folder / "set.jsonl", *lines)


@pytest.fixture(scope="module")
def options(base, two_sizes):
    """Of every training, beside BRIEF, in the order in which they run; the last ends the launch."""
    sets = f'data.sets=[{{kind="json_lines", path={json.dumps(str(two_sizes))}}}]'
    adapter = (*ADAPTER, *on_base(base))
    return {
        "full": FULL,
        "adapter": (*adapter, ONE_BY_ONE),
        "half": (*adapter, ONE_BY_ONE, "compute.gradient_precision=bf16"),
        "halved": adapter,
        "sizes": (sets, *SIZES),
        "apart": (*adapter, "save_every=2"),
        "stopped": (*adapter, "save_every=1"),
    }


@pytest.fixture(scope="module")
def launch(config_file, words_in, options, tmp_path_factory):
    """Train in so many processes; what they said: {name: [process 0, 1 ...]}, and the folder."""

    def start(processes, *names):
        here = tmp_path_factory.mktemp("processes")
        words = {name: [*words_in(here, name), *BRIEF, *options[name]] for name in names}
        return launch_program(PROGRAM, processes, here, config_file, words), here

    return start


@pytest.fixture(scope="module")
def runs(launch, options):
    """Of two processes."""
    return launch(2, *options)


@pytest.fixture(scope="module")
def alone(config_file, words_in, options, tmp_path_factory):
    """The folder of the same trainings in one process, in which accelerate starts anew."""
    here = tmp_path_factory.mktemp("alone")
    for name in ("full", "adapter"):
        train_alone(config_file, [*words_in(here, name), *BRIEF, *options[name]])
    return here


def train_alone(config_file, words):
    AcceleratorState._reset_state(reset_partial_state=True)
    return fit(load_config(config_file, words))


def log_of(folder, group):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["group"] == group]


def losses(folder):
    return [line["total"] for line in log_of(folder, "train")]


def norms(folder):
    """Of gradients, in which a wrong mean shows: the steps of AdamW do not tell."""
    return [line["gradient_norm"] for line in log_of(folder, "train")]


def assert_equal_weights(said, processes=2):
    """After each of three steps on all processes, which had all begun apart."""
    assert [(one["world"], one["backend"], one["failure"]) for one in said] == [
        (processes, "gloo", "")
    ] * processes
    assert all("process 1" in one["refused"] for one in said), "they started alike"
    assert all(one["digests"] == said[0]["digests"] for one in said)
    assert len(set(said[0]["digests"])) == 3


@pytest.mark.parametrize("kind", ["full", "adapter", "half", "halved"])
def test_two_processes_end_with_equal_weights_from_unequal_ones(runs, kind):
    assert_equal_weights(runs[0][kind])


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_the_main_process_alone_looks_at_the_sets(runs, kind):
    both = runs[0][kind]
    assert ["opened" in said for said in both] == [True, False]


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_two_processes_have_the_loss_curve_of_one_with_the_same_batch(runs, alone, kind):
    one = losses(alone / kind)
    assert len(one) == 3
    assert losses(runs[1] / kind) == pytest.approx(one, rel=1e-4)
    assert norms(runs[1] / kind) == pytest.approx(norms(alone / kind), rel=1e-3)
    assert_close_files(runs[1] / f"{kind}.safetensors", alone / f"{kind}.safetensors")


def test_processes_meet_new_sizes_at_different_steps(runs):
    """What a process then tries out, it does without the others."""
    said, here = runs
    assert [one["failure"] for one in said["sizes"]] == ["", ""]
    assert said["sizes"][0]["digests"] == said["sizes"][1]["digests"]
    assert len(losses(here / "sizes")) == 8
    first, second = (one["sizes met"] for one in said["sizes"])
    assert first != second and set(first) == set(second) == {"64x64", "64x96"}


@pytest.mark.slow
def test_four_processes_have_it_too(launch, alone):
    said, here = launch(4, "adapter")
    assert_equal_weights(said["adapter"], 4)
    assert losses(here / "adapter") == pytest.approx(losses(alone / "adapter"), rel=1e-4)
    assert norms(here / "adapter") == pytest.approx(norms(alone / "adapter"), rel=1e-3)


def assert_close_files(ours, theirs):
    ours, theirs = load_file(ours), load_file(theirs)
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-2, atol=2e-3)


def test_gradients_are_sent_once_a_step_and_in_half_precision_if_that_is_asked_for(runs):
    for said in runs[0]["half"]:
        assert sum(said["sent"]) == 3, "the last bucket of each step, of two micro-batches"
        assert said["bytes"] == 3 * 4 * said["learned"]
    assert "sent" not in runs[0]["adapter"][0]
    exact = losses(runs[1] / "adapter")
    rounded = losses(runs[1] / "half")
    assert rounded == pytest.approx(exact, rel=1e-2) and rounded[1:] != exact[1:]


def test_gradients_stay_what_is_sent_and_are_in_memory_once(runs):
    for kind in ("full", "adapter", "half", "halved"):
        assert all(said["views"] for said in runs[0][kind])


def test_memory_that_runs_out_in_one_process_halves_the_micro_batches_of_all(runs, alone):
    said, here = runs
    (note,) = log_of(here / "halved", "note")
    assert note["message"] == "memory ran out: micro-batches of 1 from now on, 2 to a step"
    assert losses(here / "halved") == pytest.approx(losses(alone / "adapter"), rel=1e-4)
    whole, halves = (said[name] for name in ("adapter", "halved"))
    assert [one["passes"] for one in whole] == [2 + 3 * 2] * 2, "new shapes are tried first"
    assert [one["passes"] for one in halves] == [2 + 1 + 3 * 2] * 2


def test_what_the_optimiser_will_need_is_held_while_micro_batches_are_tried(runs):
    for one in (*runs[0]["adapter"], *runs[0]["full"]):
        assert one["reserved"] == [one["moments"]]


def test_memory_that_runs_out_while_others_wait_ends_all_and_the_next_start_knows(
    runs, alone, config_file, words_in, options
):
    said, here = runs
    (one,) = said["stopped"]
    assert "memory ran out where processes wait" in one["failure"]
    assert "next start takes micro-batches of 1," in one["failure"]
    assert losses(here / "stopped") == pytest.approx(losses(alone / "adapter")[:1], rel=1e-4)
    words = [*words_in(here, "stopped"), *BRIEF, *options["stopped"]]
    train_alone(config_file, words)
    (note,) = log_of(here / "stopped", "note")
    assert note["message"].startswith("micro-batches of 1, as memory ran out before")
    assert losses(here / "stopped") == pytest.approx(losses(alone / "adapter"), rel=1e-4)


def test_processes_that_drift_apart_are_stopped_and_nothing_is_written(runs):
    (first, second), here = runs[0]["apart"], runs[1]
    for said in (first, second):
        assert "After step 2 process 1 differs from process 0 in 1 of" in said["failure"]
        assert "unet.conv_in.weight" in said["failure"]
    assert not list((here / "apart" / "states").glob("*"))
    assert not (here / "apart.safetensors").exists()

"""A run that can no longer learn stops, says why, and leaves states and files as they were."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from on_base import on_base
from safetensors.torch import load_file, save_file
from set_files import write_picture

from train.__main__ import main
from train.config import load_config
from train.data.batch import Batch
from train.data.look_ahead import LookAhead
from train.data.mixture import open_mixture
from train.data.options import DataConfig
from train.data.shapeskills_set import ShapeSkillsConfig
from train.fit.autoencoder import fit_autoencoder
from train.fit.health import IDLE_STEPS, OVERFLOWS, Health, not_finite
from train.fit.loop import fit
from train.fit.options import FitConfig
from train.model.options import AutoencoderConfig

ROOT = Path(__file__).parents[2]
PICTURES = 8


@pytest.fixture
def pictures(tmp_path):
    """A set of JSON lines, and the folder its pictures are in."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(PICTURES):
        write_picture(folder / f"{i}.png", (64, 64), (8, 8, 48, 48))
    regions = [{"text": "a dog", "box": [0.1, 0.1, 0.8, 0.8]}]
    told = [{"image": f"pictures/{i}.png", "caption": "a dog"} for i in range(PICTURES)]
    lines = [json.dumps(line | {"regions": regions}) for line in told]
    (tmp_path / "set.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def words(overrides, base, pictures, tmp_path):
    """A fine-tuning on these pictures, which writes its state and a numbered file at each step."""
    path = (tmp_path / "set.jsonl").as_posix()
    return [
        *overrides, f'data.sets=[{{kind="json_lines", path="{path}"}}]', "image_size=64",
        "data.cache_latents=false", *on_base(base), "sample.every=0",
        "validation.every=0", "save_every=1", "export_every=1", "optimizer.steps=6",
        "optimizer.warmup_steps=0",
    ]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """What there is of states and files."""

    def look():
        found = [tmp_path / "run.safetensors", *(tmp_path / "run").glob("states/*")]
        found += (tmp_path / "run").glob("exports/*")
        return {path.name: path.read_bytes() for path in sorted(found) if path.exists()}

    return look


def remove_pictures(folder):
    shutil.rmtree(folder)


def empty_pictures(folder):
    for path in folder.iterdir():
        path.write_bytes(b"")


def cut_pictures(folder):
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize("lose", [remove_pictures, empty_pictures, cut_pictures])
def test_a_run_without_a_picture_left_stops_at_that_step(
    lose, words, pictures, config_file, written, tmp_path
):
    (tmp_path / "run.safetensors").write_bytes(b"an older file")
    seen = {}

    def after_step(step):
        if step == 2:
            seen.update(written())
            lose(pictures)

    with pytest.raises(ValueError, match=r"step 3 has nothing to learn from.*png.*same command"):
        fit(load_config(config_file, words), after_step)
    assert written() == seen and {"run-0000002.safetensors", "step-0000002.pt"} <= seen.keys()


def test_a_run_that_starts_without_a_picture_fails_as_a_command(
    words, pictures, config_file, written, monkeypatch, capsys
):
    cut_pictures(pictures)  # their sizes can still be read, which is all that is looked at before
    monkeypatch.setattr(sys, "argv", ["train", "fit", "--config", str(config_file), *words])
    assert main() == 2
    assert "step 1 has nothing to learn from" in capsys.readouterr().err
    assert not written()


def test_a_step_without_a_picture_is_passed_over_while_others_are_there(
    words, pictures, config_file
):
    for i in range(PICTURES - 1):
        (pictures / f"{i}.png").write_bytes(b"")
    assert fit(load_config(config_file, [*words, "optimizer.batch_size=1"])).exists()


def test_looking_ahead_keeps_the_order():
    batches = [batch(picture) for picture in (0, 0, 1, 0)]
    ahead = LookAhead(iter(batches))
    assert ahead.finds_picture() and ahead.finds_picture()
    assert [*ahead.take(2), *ahead.take(2)] == batches
    assert not LookAhead(iter(batch(0) for _ in range(1000))).finds_picture()


DIVERGING = {  # by numbers that no file or command line may hold
    "rate": ("optimizer.learning_rate=1e30", "the weights after step 1 give a loss of"),
    "rate of rows": ("optimizer.rows_learning_rate=1e38", "after step 1|weights after step 1"),
    "weight decay": ("optimizer.weight_decay=1e38", "fter step [12]"),
    "weight of the loss": ("loss.grounding_weight=1e39", "the loss of step 1 is (inf|nan)"),
    "gradients": ("loss.grounding_weight=1e38", "the (loss|gradients) of step 1"),
    "no loss": ("loss.snr_weight_limit=0.0", "the loss of step 1 is exactly 0"),
    "half-precision file": ("optimizer.learning_rate=1e6", "(65,504|step 1)"),
}


@pytest.mark.parametrize("kind", DIVERGING)
def test_a_run_that_diverges_writes_nothing(kind, words, config_file, written, tmp_path):
    word, message = DIVERGING[kind]
    (tmp_path / "run.safetensors").write_bytes(b"an older file")
    more = [] if "grounding" in word else ["loss.grounding_weight=0.0"]
    with pytest.raises(ValueError, match=message):
        fit(unchecked(load_config(config_file, [*words, *more, "optimizer.ema_decay=0.0"]), word))
    found = written()
    assert found.pop("run.safetensors") == b"an older file"
    assert not [name for name in found if name.endswith("safetensors")]


def unchecked(config: FitConfig, word: str) -> FitConfig:
    """The configuration with a number out of its range."""
    name, _, value = word.partition("=")
    section, option = name.split(".")
    object.__setattr__(getattr(config, section), option, float(value))
    return config


def test_weights_that_are_spoiled_on_the_way_do_not_replace_good_ones(words, config_file, written):
    """Over all steps the newest states are those of finite weights."""
    from train.fit import run as module

    config, seen = load_config(config_file, words), {}
    models = []
    choose = module.choose_trained

    def after_step(step):
        if step == 3:
            seen.update(written())
            next(models[0].unet.parameters()).data.fill_(float("nan"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "choose_trained", lambda m, c: (models.append(m), choose(m, c)))
        with pytest.raises(ValueError, match="the loss of step 4 is nan.*learning_rate"):
            fit(config, after_step)
    assert written() == seen
    spoil(Path(config.folder), "unet")
    with pytest.raises(ValueError, match=r"step-0000003\.pt: .*not finite, first unet\..*remove"):
        fit(config)


def spoil(folder, part):
    """Put a NaN into the newest state, as an older version might have."""
    newest = max((folder / "states").iterdir())
    state = torch.load(newest, weights_only=True)
    state[part][next(iter(state[part]))].fill_(float("nan"))
    torch.save(state, newest)


def test_a_base_that_is_not_finite_is_refused(words, base, config_file, tmp_path):
    tensors = load_file(base)
    tensors["model.diffusion_model.out.2.bias"][0] = float("inf")
    from random_checkpoint import HEADS

    save_file(tensors, tmp_path / "bad.safetensors", HEADS)
    with pytest.raises(
        ValueError, match=r"bad\.safetensors.*1 tensors are not finite, first model"
    ):
        fit(load_config(config_file, [*words, f'model.base="{tmp_path / "bad.safetensors"}"']))


@pytest.mark.parametrize("lose", [remove_pictures, empty_pictures])
def test_a_validation_set_without_a_picture_is_refused(lose, words, config_file, tmp_path):
    folder = tmp_path / "others" / "pictures"
    folder.mkdir(parents=True)
    for i in range(2):
        write_picture(folder / f"{i}.png", (64, 64), (8, 8, 48, 48))
    path = folder.parent / "set.jsonl"
    shutil.copy(tmp_path / "set.jsonl", path)
    lose(folder)
    chosen = f'validation.set={{kind="json_lines", path="{path.as_posix()}"}}'
    said = r"no sample of json_lines '.*others/set\.jsonl' can be used"
    with pytest.raises(ValueError, match=said):
        fit(load_config(config_file, [*words, "validation.every=1", chosen]))


def batch(present: float) -> Batch:
    """One sample, whose picture is there or not."""
    nothing = torch.zeros(1, 1)
    return Batch(nothing, nothing, nothing, torch.tensor([present]), torch.zeros(1, 3, 8, 8))


@pytest.fixture
def health():
    def of(precision):
        compute = replace(FitConfig().compute, precision=precision)
        return Health(replace(FitConfig(), compute=compute), Accelerator(cpu=True))

    return of


def check(health, step, loss, norm):
    health.check_gradients(step, torch.tensor(loss), torch.tensor(norm), [batch(1.0)], lambda: True)


def test_gradients_that_overflow_in_half_precision_are_passed_over_unless_it_goes_on(health):
    scaled = health("fp16")
    for _ in range(3):
        for step in range(OVERFLOWS - 1):
            check(scaled, step, 1.0, float("inf"))
        check(scaled, OVERFLOWS, 1.0, 0.5)
    for step in range(OVERFLOWS - 1):
        check(scaled, step, 1.0, float("nan"))
    with pytest.raises(ValueError, match=f"for {OVERFLOWS} steps in a row.*bf16"):
        check(scaled, 100, 1.0, float("inf"))


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_an_error_in_every_precision(health, precision, loss):
    with pytest.raises(ValueError, match="the loss of step 7 is"):
        check(health(precision), 7, loss, 1.0)


def test_steps_without_a_gradient_are_an_error_when_they_go_on(health):
    idle = health("no")
    for step in range(1, IDLE_STEPS):
        check(idle, step, 1.0, 0.0)
    with pytest.raises(ValueError, match=f"no gradient for {IDLE_STEPS} steps"):
        check(idle, IDLE_STEPS, 1.0, 0.0)


def test_tensors_that_are_not_finite_are_found_at_any_depth():
    bad, good = torch.tensor([1.0, float("nan")]), torch.ones(2)
    values = {
        "a": {"b": [good, bad.half()]},
        "c": bad.bfloat16(),
        "d": torch.tensor([2**62]),
        "e": 1,
    }
    assert not_finite(values) == ["a.b.1", "c"]


@pytest.mark.parametrize("rate", [1e30, 1e12])
def test_an_autoencoder_that_diverges_is_not_kept(rate, tmp_path):
    config = AutoencoderConfig(
        width=8, encoder_blocks=(0, 0, 1, 1), decoder_blocks=(1, 1, 0, 0), steps=4, batch_size=2
    )
    object.__setattr__(config, "learning_rate", rate)  # which no reader lets pass
    pictures = open_mixture([ShapeSkillsConfig(samples=100)], DataConfig(), 64)
    with pytest.raises(ValueError, match="autoencoder.*smaller autoencoder.learning_rate"):
        fit_autoencoder(config, pictures, 0, tmp_path)
    assert not list(tmp_path.iterdir())

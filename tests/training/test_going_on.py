"""What a run may change when it goes on: every option says so itself."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file

from train.config import load_config
from train.data.coco import CocoConfig
from train.data.cutouts.cutouts_set import CutoutsConfig
from train.data.sets import CONFIGS
from train.data.shapeskills_set import ShapeSkillsConfig
from train.data.shards import ShardsConfig
from train.fit.going_on import changed_options, without_folders
from train.fit.loop import fit
from train.fit.options import FitConfig, to_dict
from train.model.options import FROM_SCRATCH, ModelConfig
from train.options import IS_PLACE, Free, Range, bare, build, hints_of

PLAIN = FitConfig()
ALL_KINDS = tuple(kind(samples=4) for kind in CONFIGS.values() if kind is not ShardsConfig)


def is_free_now(mark):
    """In PLAIN, a run from nothing."""
    return mark.but("one", PLAIN) == mark.but("another", PLAIN)


def leaves(kind=FitConfig, name="", free=False):
    """(dotted name, type, whether it is free) of every option but those of sets."""
    for option, hint in hints_of(kind).items():
        plain, marks = bare(hint)
        dotted = f"{name}.{option}".strip(".")
        is_free = free or any(is_free_now(mark) for mark in marks if isinstance(mark, Free))
        if dataclasses.is_dataclass(plain) and dotted != "validation.set":
            yield from leaves(plain, dotted, is_free)
        elif dotted not in ("data.sets", "validation.set"):
            yield dotted, hint, is_free


def changed(value, hint):
    """JSON values of which some can be no other option's, but all differ from this one's."""
    plain, marks = bare(hint)
    if plain is bool:
        return [not value]
    if choices := [one for one in get_args(plain) if isinstance(one, str)]:
        return [one for one in choices if one != value]
    if isinstance(value, str):
        return [f"{value}-other"]
    for mark in marks:
        if isinstance(mark, Range):
            return [(value or 0) + mark.step, (value or 0) - mark.step - 1]
    return [[*(value or []), 7]]


def put(values, dotted, value):
    *sections, option = dotted.split(".")
    for section in sections:
        values = values[section]
    values[option] = value


def before(config, **options):
    values = json.loads(json.dumps(to_dict(config)))
    for dotted, value in options.items():
        put(values, dotted.replace("__", "."), value)
    return values


OPTIONS = {name: (hint, free) for name, hint, free in leaves()}


def value_of(config, dotted):
    for name in dotted.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_of_another_value_is_refused_unless_it_is_marked_free(name):
    hint, free = OPTIONS[name]
    now = json.loads(json.dumps(value_of(PLAIN, name)))
    for other in changed(now, hint):
        values = before(PLAIN)
        put(values, name, other)
        found = changed_options(values, PLAIN)
        assert found == ([] if free else [(name, other, now)]), other


def test_options_that_change_no_weight_are_among_the_free():
    """Those that users change when they go on, on the same machine or another."""
    free = {name for name, (_, free) in OPTIONS.items() if free}
    assert free >= {
        "data.workers", "data.cache_folder", "compute.threads", "folder", "output", "keep",
        "save_every", "export_every", "log.every", "log.wandb", "sample.every", "sample.layouts",
        "validation.every", "licence", "optimizer.steps",
    }  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_text_among_the_options_is_a_place_or_free_or_a_set_s_kind(kind):
    """So that a new option that holds a path is not forgotten, here and in what is given away."""
    texts = [(name, hint, free) for name, hint, free in leaves() if bare(hint)[0] is str]
    texts += [(name, hint, False) for name, hint in hints_of(CONFIGS[kind]).items()]
    for name, hint, free in texts:
        plain, marks = bare(hint)
        assert plain is not str or IS_PLACE in marks or free or name in ("kind", "split"), name


@pytest.mark.parametrize("dotted", [f"model.{name}" for name in FROM_SCRATCH])
def test_what_only_new_models_use_is_free_beside_a_base(dotted):
    """Runs that began with such options, which meant nothing, go on without them."""
    values = before(FitConfig(model=ModelConfig(base="some.safetensors")))
    values["autoencoder"]["width"] = 8
    hint, _ = OPTIONS[dotted]
    put(values, dotted, changed(value_of(PLAIN, dotted), hint)[0])
    assert changed_options(values, FitConfig(model=ModelConfig(base="some.safetensors"))) == []


SAME = [
    ("photos", "./photos"),
    ("./photos/", "photos"),
    ("photos/../photos", "photos"),
    ("there/photos", "photos"),
    ("photos", "{here}/photos"),
    ("{here}/./photos", "there/../{name}/photos"),
]
OTHER = [
    ("photos", "photos2"),
    ("photos", "there"),
    ("photos", ""),
    ("", "."),
    ("photos", "/photos"),
]


@pytest.mark.parametrize(("old", "new"), SAME + OTHER)
def test_places_are_compared_as_places(old, new, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "there").symlink_to(tmp_path)
    is_same = (old, new) in SAME
    old, new = (text.format(here=tmp_path, name=tmp_path.name) for text in (old, new))
    one = build(FitConfig, {"data": {"sets": [{"kind": "bbox", "path": new}]}})
    values = before(one)
    values["data"]["sets"][0]["path"] = old
    found = [name for name, *_ in changed_options(values, one)]
    assert found == ([] if is_same else ["data.sets.0.path"])


def test_whether_samples_are_kept_apart_may_only_change_where_that_changes_nothing():
    sets = [CocoConfig(path="p"), ShapeSkillsConfig(samples=4), CutoutsConfig(path="p", samples=4)]
    found = []
    for one in sets:
        config = dataclasses.replace(PLAIN, data=dataclasses.replace(PLAIN.data, sets=(one,)))
        values = [before(config, validation__every=every) for every in (0, 9)]
        found.append([bool(changed_options(one, config)) for one in values])
    assert found == [[True, False], [False, False], [False, False]]


def test_readers_of_shards_must_stay_as_many():
    shards = dataclasses.replace(PLAIN.data, sets=(ShardsConfig(path="p-{0..1}.tar"),))
    config = dataclasses.replace(PLAIN, data=shards)
    assert changed_options(before(config, data__workers=3), config) == [("data.workers", 3, 0)]


def test_what_an_earlier_version_did_not_know_is_taken_to_be_as_usual():
    values = before(PLAIN)
    del values["loss"]["region_weight"], values["data"]["layout_dropout"], values["lora"]
    assert changed_options(values, PLAIN) == []
    values["loss"]["gone"] = 1
    assert changed_options(values, PLAIN) == [("loss.gone", 1, None)]


def test_free_options_change_no_weight(config_file, words_in, tmp_path):
    """All at once, in the middle of a run."""
    words = [*words_in(tmp_path, "one"), "optimizer.ema_decay=0.9", "data.flip=0.5"]
    plain = load_file(fit(load_config(config_file, words)))
    assert tmp_path.name.encode() not in (tmp_path / "one.safetensors").read_bytes()
    there = [*words_in(tmp_path, "two"), "optimizer.ema_decay=0.9", "data.flip=0.5"]
    with pytest.raises(KeyboardInterrupt):
        fit(load_config(config_file, there), stop_after(2))
    (tmp_path / "two").rename(tmp_path / "three")
    place = (tmp_path / "three").as_posix()
    others = [
        f'folder="{place}"', f'output="{place}/out.safetensors"', "save_every=1", "keep=1",
        "export_every=3", "licence=mine", "log.every=3", "sample.every=0", "sample.layouts=3",
        "validation.every=3", "validation.timesteps=[10]", f'data.cache_folder="{place}/c"',
        "compute.threads=1",
    ]  # fmt: skip
    changed = load_file(fit(load_config(config_file, [*there, *others])))
    assert all(torch.equal(plain[key], changed[key]) for key in plain)


def stop_after(step):
    def after_step(done):
        if done == step:
            raise KeyboardInterrupt

    return after_step


PLACES = [
    "/home/jane/photos",
    "photos/",
    r"C:\Users\jane\photos",
    "~jane/photos",
    "a/jane/../photos",
    "https://jane.example/photos",
]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_given_away_names_files_but_not_where_they_were(place):
    sets = [{"kind": "coco", "path": place, "annotations": place, "captions": place}]
    sets += [{"kind": "cutouts", "path": place, "things": place, "backgrounds": place}]
    cached = {"cache_folder": place, "cache_latents": True, "crop": "centre"}
    config = build(
        FitConfig,
        {
            "folder": place, "output": place, "data": {"sets": sets, **cached},
            "model": {"base": place, "autoencoder": place, "rows": place},
            "validation": {"set": {"kind": "bbox", "path": place, "region_captions": place}},
        },
    )  # fmt: skip
    told = json.dumps(without_folders(config))
    assert told.count('"photos"') == 14 and "jane" not in told and "/" not in told
    assert config.data.sets[0].title == "coco photos"

"""Every option has a range or a kind, is refused outside of it in one line, and is in the help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from safetensors import safe_open
from train_command import train

from reco_core.checks import quote
from train.config import load_config
from train.data.limits import Limits
from train.data.sets import CONFIGS, KINDS
from train.data.shapeskills import KnowsScenes
from train.evaluate.command import _suites as suites
from train.evaluate.drawing import Drawing
from train.fit.options import FitConfig, from_json, to_dict
from train.options import Range, Share, Some, bare, build, help_of, hints_of, kinds_of, options

ROOT = Path(__file__).resolve().parents[2]
OTHERS = (Limits, Drawing, *suites().values())
"""Options that are given on the command line alone."""


@dataclass(frozen=True)
class Option:
    """An option of a class, or the first number of one that is a list.

    owner: the class it is of. table: the names above it. kind: of the data set it is of.
    """

    owner: type
    name: str
    hint: Any
    table: tuple[str, ...] = ()
    kind: str = ""
    in_list: bool = False

    @property
    def range(self) -> Range | None:
        return next((mark for mark in bare(self.hint)[1] if isinstance(mark, Range)), None)

    @property
    def shown(self) -> str:
        return ".".join((*self.table, self.name)) + (".0" if self.in_list else "")

    def word(self, value: str) -> str:
        """OPTION=VALUE that gives it a value, which is written as TOML."""
        if self.in_list:
            rest = [json.dumps(one) for one in help_of(self.owner, self.name)[1][1:]]
            value = f"[{', '.join([value, *rest])}]"
        if not self.kind:
            return f"{'.'.join((*self.table, self.name))}={value}"
        inline = f'{{kind = "{self.kind}", {self.name} = {value}}}'
        *table, last = self.table
        return (
            f"{'.'.join(table)}=[{inline}]" if last == "0" else f"{'.'.join(self.table)}={inline}"
        )


def walk(owner: type, table: tuple[str, ...] = (), kind: str = "") -> Iterator[Option]:
    """All options of a class, and of the classes and kinds in it."""
    for name, hint in hints_of(owner).items():
        plain, marks = bare(hint)
        inner = get_args(plain)[0] if get_origin(plain) is tuple else None
        if is_dataclass(plain) and not kinds_of(marks):
            yield from walk(plain, (*table, name))
        elif kinds := kinds_of(marks) or kinds_of(bare(inner)[1]):
            place = (*table, name, "0") if inner else (*table, name)
            for own, one in kinds.items():
                yield from walk(one, place, own)
        elif not (kind and name == "kind"):
            yield Option(owner, name, hint, table, kind)
            if inner:
                yield Option(owner, name, inner, table, kind, in_list=True)


ALL = [*walk(FitConfig)]
NUMBERS = [o for o in ALL if bare(o.hint)[0] in (int, float)]


def named(option: Option) -> str:
    return f"{option.shown} {option.kind}".strip()


def load(*words: str) -> FitConfig:
    empty = ROOT / "tests" / "data" / "empty.toml"
    return load_config(empty, words)


def refusal(*words: str) -> str:
    """What is said of words that are refused."""
    with pytest.raises(ValueError) as caught:
        load(*words)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    return said


def test_the_walk_finds_what_a_reader_of_the_files_would():
    found = {option.shown for option in ALL}
    assert {"seed", "optimizer.beta2", "data.sets.0.sides.0", "validation.set.split"} <= found
    assert {option.kind for option in ALL} == {"", *KINDS}
    assert len(NUMBERS) > 80


@pytest.mark.parametrize("option", NUMBERS, ids=named)
def test_a_number_outside_of_its_range_is_refused_before_any_work(option):
    kind = bare(option.hint)[0]
    assert option.range, f"{option.shown} has no range"
    wrong = ["nan", "inf", "-inf", "1e300", "-1", '"3"', "true", "[]", "{}", f"1{'0' * 30}"]
    for value in [*wrong, "1.5"] if kind is int else wrong:
        said = refusal(option.word(value))
        assert said.startswith(f"{option.shown} = "), said
        assert said.endswith(f": give {option.range.words(kind)}"), said


@pytest.mark.parametrize("option", ALL, ids=named)
def test_a_value_of_another_type_is_refused(option):
    plain = bare(option.hint)[0]
    if plain in (int, float):
        return
    said = refusal(option.word("3"))
    assert said.startswith(f"{option.shown} = 3: ")
    assert any(
        word in said for word in ("give text", "give true or false", "choose from", "a list")
    )


@pytest.mark.parametrize("owner", OTHERS, ids=lambda owner: owner.__name__)
def test_numbers_of_the_command_line_have_ranges_too(owner):
    needed = {f.name: "x" for f in fields(owner) if f.default is MISSING}
    numbers = [o for o in walk(owner) if bare(o.hint)[0] in (int, float)]
    assert numbers
    for option in numbers:
        words = option.range.words(bare(option.hint)[0])
        for value in (float("nan"), float("inf"), -1, 10**30, "3", True):
            given = [value, *help_of(owner, option.name)[1][1:]] if option.in_list else value
            with pytest.raises(ValueError) as caught:
                build(owner, {**needed, option.name: given})
            assert str(caught.value) == f"{option.shown} = {quote(value)}: give {words}"


@pytest.mark.parametrize("option", [*ALL, *(o for one in OTHERS for o in walk(one))], ids=named)
def test_every_option_says_what_it_is(option):
    assert len(help_of(option.owner, option.name)[0]) > 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("optimizer.steeps=3",), "unknown option 'optimizer.steeps': did you mean 'optimizer.ste"),
        (("zebra=3",), "unknown option 'zebra': choose from autoencoder, compute"),
        (("data.sets.0.kind=cocoa",), "data.sets.0.kind = 'cocoa': choose from shapeskills, coco"),
        (("data.sets=[]",), "data.sets = []: give at least one"),
        (("data.sets=[3]",), "data.sets.0 = 3: give a table [data.sets.0]"),
        (("optimizer=3",), "optimizer = 3: give a table [optimizer]"),
        (("validation.timesteps=[]",), "validation.timesteps = []: give at least one"),
        (("autoencoder.encoder_blocks=[0]",), "autoencoder.encoder_blocks = [0]: give a list of 4"),
        (("data.sets.0.sides=[0.1,0.2,0.3]",), "data.sets.0.sides = [0.1, 0.2, 0.3]: give a list"),
        (("data.sets.0.sides=[0.5,0.4]",), "data.sets.0: sides = [0.5, 0.4]"),
        (("model.text_heads=3",), "model: text_heads = 3 does not divide text_width = 128"),
        (("model.unet_heads=3",), "model: unet_heads = 3 does not divide unet_channels = 64, 128"),
        (("model.unet_channels=[40]",), "model.unet_channels.0 = 40: give a multiple of 32"),
        (("image_size=100",), "image_size = 100: give a multiple of 8"),
        (("image_size=32",), "autoencoder.crop = 64 is larger than image_size = 32"),
        (("model.num_bins=1",), "model: num_bins = 1"),
        (("optimizer=[]", "optimizer.steps.x=3"), "'steps' is not one of the 0 tables"),
        (("optimizer.steps=3", "optimizer.steps.x=3"), "'x' stands in 3, which is no table"),
        (("data.sets.9.seed=3",), "'9' is not one of the 1 tables"),
    ],
)
def test_a_mistake_is_told_in_one_line(words, said):
    base = ["data.sets=[{samples = 3}]"] if words[0].startswith("data.sets.") else []
    assert said in refusal(*base, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lora.alpha=8.0",), "lora: alpha = 8.0 has no effect with rank = 0 and text_rank = 0"),
        (("lora.rank=4", "optimizer.train_unet=false"), "optimizer.train_unet = False has no effe"),
        (
            ("optimizer.train_text_encoder=false", "optimizer.rows_learning_rate=1e-4"),
            "optimizer: rows_learning_rate = 0.0001 has no effect with train_text_encoder = false",
        ),
        (("loss.contrastive_temperature=0.1",), "loss: contrastive_temperature = 0.1 has no eff"),
        (("data.max_aspect=3.0",), "data: max_aspect = 3.0 has no effect without buckets"),
        (
            ("data.buckets=true", "data.bucket_sizes=[[64, 64]]", "data.bucket_step=8"),
            "data: bucket_step = 8 has no effect beside bucket_sizes",
        ),
        (("data.cache_folder=here",), "data: cache_folder = 'here' has no effect without cache_la"),
        (
            ("model.base=a.safetensors", "model.text_layers=4"),
            "model.text_layers = 4 has no effect beside model.base",
        ),
        (
            ("model.base=a.safetensors", "model.unet_channels=[32]"),
            "model.unet_channels = (32,) has no effect beside model.base",
        ),
        (
            ("model.base=a.safetensors", "autoencoder.width=16"),
            "autoencoder.width = 16 has no effect beside model.base or model.autoencoder",
        ),
        (
            ("model.autoencoder=a.safetensors", "autoencoder.steps=5"),
            "autoencoder.steps = 5 has no effect beside model.base or model.autoencoder",
        ),
        (
            ("data.use_regions=false", "data.region_dropout=0.1"),
            "data: region_dropout = 0.1 has no effect with use_regions = false",
        ),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused_by_name(words, said):
    assert refusal(*words).startswith(said)
    assert refusal(*words).endswith(": leave it out")


def test_an_option_that_has_no_effect_may_say_its_default():
    assert load("data.max_aspect=2.0", "lora.alpha=1.0").lora.alpha == 1.0


def test_a_training_of_nothing_is_refused_at_once():
    words = ("optimizer.train_unet=false", "optimizer.train_text_encoder=false")
    assert refusal(*words).endswith("both false: there is nothing to learn")


@pytest.mark.parametrize("split", ["test", "Train", "val2014", "", "train "])
def test_a_split_that_paintskills_has_not_is_refused_where_it_is_given(split):
    said = refusal(f'data.sets=[{{kind = "paintskills", split = "{split}"}}]')
    assert said == f"data.sets.0.split = {split!r}: choose from train, val"
    with pytest.raises(ValueError, match="choose from train, val"):
        build(suites()["paintskills"], {"path": "x", "detector": "x", "split": split})


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_of_another_kind_is_refused_by_name(kind):
    own = hints_of(CONFIGS[kind])
    others = {o for one in CONFIGS.values() for o in hints_of(one)} - own.keys()
    assert others
    for name in others:
        said = refusal(f'data.sets=[{{kind = "{kind}", {name} = 3}}]')
        owners = ", ".join(k for k, one in CONFIGS.items() if name in hints_of(one))
        assert said.startswith(f"data.sets.0.{name} is an option of {owners}; {kind} has: ")


def test_words_are_taken_with_and_without_dashes_and_lists_by_index():
    config = load(
        'data.sets=[{samples = 3}, {kind = "coco"}]', "--data.sets.1.path=here", "data.flip=0",
        "--optimizer.steps=7", "model.unet_channels=[32, 64]", "licence=2024-01-31",
    )  # fmt: skip
    assert (config.data.sets[1].path, config.optimizer.steps) == ("here", 7)
    assert config.model.unet_channels == (32, 64)
    assert (config.data.flip, config.licence) == (0.0, "2024-01-31")


def test_classes_made_in_code_are_checked_too():
    config = load()
    with pytest.raises(ValueError, match=r"^steps = 0: give a whole number of at least 1 "):
        replace(config.optimizer, steps=0)

    @options
    class Toy:
        shares: Some[Share]
        size: Annotated[float, Range(0, 1, above=True, below=True)] = 0.5

    assert Toy((1,)).shares == (1.0,)
    for value in (0, 1):
        with pytest.raises(ValueError, match="above 0 and below 1$"):
            Toy((1,), value)


@pytest.mark.parametrize("path", sorted((ROOT / "train" / "configs").rglob("*.toml")), ids=str)
def test_a_configuration_comes_back_from_what_it_writes(path):
    config = load_config(path)
    assert build(FitConfig, from_json(json.dumps(to_dict(config)))) == config


def test_options_from_before_kinds_had_their_own_are_read():
    text = (ROOT / "tests" / "data" / "options-of-all-kinds.json").read_text("utf-8")
    old = json.loads(text)
    assert old["data"]["sets"][1]["kind"] == "coco" and "skills" in old["data"]["sets"][1]
    config = build(FitConfig, from_json(text))
    assert [one.kind for one in config.data.sets] == ["shapeskills", "coco"]
    assert config.data.sets[0].skills == ("count", "spatial")
    assert config.validation.set.path == "val2017"
    old["data"]["sets"][1]["colour"] = "blue"  # of no kind: not left out in silence
    with pytest.raises(ValueError, match=r"unknown option 'data\.sets\.1\.colour'"):
        build(FitConfig, from_json(json.dumps(old)))


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.safetensors")), ids=str)
def test_the_options_in_kept_checkpoints_are_read(path):
    with safe_open(path, "pt") as file:
        told = (file.metadata() or {}).get("config")
    assert told is None or build(FitConfig, from_json(told)).output_precision


def test_what_kinds_can_do_is_asked_of_them():
    shapes = CONFIGS["shapeskills"](samples=3, seed=4)
    unseen = shapes.unseen(2)
    assert (unseen.split, unseen.samples, unseen.seed) == ("validation", 2, 4)
    assert isinstance(KINDS["shapeskills"][1](unseen, 64), KnowsScenes)
    assert {"red", "circle"} <= set(shapes.words())
    cutouts = CONFIGS["cutouts"](samples=3, seed=4).unseen(2)
    assert (cutouts.split, cutouts.samples, cutouts.seed) == ("validation", 2, 4)
    rest = [one() for name, one in CONFIGS.items() if name not in ("shapeskills", "cutouts")]
    assert not any(one.unseen(2) or one.words() for one in rest)
    assert [name for name, one in CONFIGS.items() if one.is_stream] == ["shards"]


def test_the_help_of_fit_shows_every_option_without_loading_torch():
    done = train("fit", "--help")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.replace("│", " ").split())
    for option in ALL:
        if not option.in_list and option.table != ("validation", "set"):
            number = str([*KINDS].index(option.kind)) if option.kind else "0"
            table = [number if step == "0" else step for step in option.table]
            assert f"--{'.'.join([*table, option.name])} " in text
            assert help_of(option.owner, option.name)[0][:30] in text
    heavy = "import sys, train.config_help as h; h.describe_options(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, capture_output=True, text=True)
    assert not {"torch", "diffusers", "transformers", "scipy"} & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("words", "has", "lacks"),
    [
        (("data", "check", "--kind", "coco"), ["--annotations TEXT"], ["--split", "--counts"]),
        (("data", "check"), ["--kind paintskills", "--split", "--counts 1..6"], []),
        (("evaluate",), ["--skill-layouts 1..1,000,000,000", "(default: 200)", "--inception"], []),
        (("evaluate", "--suite", "coco"), ["--inception", "--no-real"], ["--skill-layouts"]),
    ],
)
def test_the_help_of_a_command_shows_the_options_of_what_is_chosen(words, has, lacks):
    text = train(*words, "--help").stdout
    assert all(part in text for part in has)
    assert not any(part in text for part in lacks)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("data", "check", "--kind", "coco", "--split", "val"),
            "--split is no option of --kind",
        ),
        (("data", "check", "--path", "here"), "--path is an option of coco, paintskills"),
        (("data", "check", "--kind", "cocoa"), "--kind cocoa: choose from shapeskills, coco"),
        (("data", "check", "--kind", "coco", "--samples", "-1"), "--samples = -1: give a whole"),
        (("data", "check", "--kind", "coco", "--max-regions", "0"), "--max-regions = 0: give a"),
        (("evaluate", "--checkpoint", "x", "--guidance", "nan"), "--guidance = nan: give a number"),
        (
            ("evaluate", "--checkpoint", "x", "--split", "val"),
            "no option of --suite shapes",
        ),
    ],
)
def test_options_of_commands_are_refused_by_name(words, said):
    done = train(*words)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1

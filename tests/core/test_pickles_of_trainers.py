"""Pickles as trainers leave them: read without their libraries, and nothing in them is run."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import io
import os
import pathlib
import pickle
import re
import sys
import types
import typing
import uuid
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from random_checkpoint import TEXT_PREFIX, Size, random_state_dict

from reco_core.checkpoint_file import read_checkpoint, read_tensors
from reco_core.keys import UNET_PREFIX

FEW = {"a": torch.arange(3.0)}
both_forms = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@contextmanager
def library(**classes: type):
    """Makes classes importable by names like `omegaconf__dictconfig__DictConfig`, meanwhile."""
    made = []
    try:
        for path, base in classes.items():
            *parents, name = path.split("__")
            for count in range(1, len(parents) + 1):
                module = ".".join(parents[:count])
                if module not in sys.modules:
                    sys.modules[module] = types.ModuleType(module)
                    made.append(module)
            members = {"__module__": ".".join(parents), "__qualname__": name}
            setattr(sys.modules[".".join(parents)], name, type(name, (base,), members))
        yield lambda path: getattr(sys.modules[path.rpartition(".")[0]], path.rpartition(".")[2])
    finally:
        for module in made:
            del sys.modules[module]


def filled(kind: type, base: type = object, *arguments, **state):
    made = base.__new__(kind, *arguments)
    made.__dict__.update(state)
    return made


def saved(content: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


OMEGACONF = {
    "omegaconf__dictconfig__DictConfig": object,
    "omegaconf__listconfig__ListConfig": object,
    "omegaconf__base__ContainerMetadata": object,
    "omegaconf__base__Metadata": object,
    "omegaconf__nodes__AnyNode": object,
    "omegaconf__nodes__IntegerNode": object,
}
LIGHTNING = {
    "pytorch_lightning__callbacks__model_checkpoint__ModelCheckpoint": object,
    "pytorch_lightning__utilities__parsing__AttributeDict": dict,
}


def omegaconf_objects(found) -> object:
    """A config of a dict with a list and a number in it, built as omegaconf 2.1 builds them."""
    container = found("omegaconf.base.ContainerMetadata")
    node, leaf = found("omegaconf.nodes.AnyNode"), found("omegaconf.base.Metadata")
    about = {"ref_type": typing.Any, "optional": True, "flags": {"struct": True}}
    number = filled(node, _metadata=filled(leaf, **about, object_type=None, key=0), _val=4)
    items = filled(
        found("omegaconf.listconfig.ListConfig"),
        _metadata=filled(container, **about, object_type=list, element_type=typing.Any),
        _content=[number, number],
    )
    kept = collections.defaultdict(dict, {"flags": {}})
    config = filled(
        found("omegaconf.dictconfig.DictConfig"),
        _metadata=filled(container, **about, object_type=dict, key_type=typing.Optional[int]),  # noqa: UP045
        _content={"channel_mult": items, "width": number},
        resolver_cache=kept,
    )
    number.__dict__["_parent"] = items
    items.__dict__["_parent"] = config  # a circle, as there
    return config


@both_forms
def test_an_imitation_of_the_authors_checkpoint_is_read(tmp_path, zipped):
    weights = random_state_dict(
        Size(channels=320, channel_mult=(1,), attention_levels=1, text_width=768, text_layers=1)
    )
    averages = {
        "model_ema." + key.removeprefix("model.").replace(".", ""): tensor + 1
        for key, tensor in weights.items()
        if key.startswith(UNET_PREFIX)
    }
    buffers = {
        "betas": torch.linspace(0.00085, 0.012, 1000),
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(20_000, dtype=torch.int32),
        f"{TEXT_PREFIX}embeddings.position_ids": torch.arange(1000)[None],
    }
    with library(**OMEGACONF, **LIGHTNING) as found:
        callback = found("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")
        hyper = found("pytorch_lightning.utilities.parsing.AttributeDict")
        parameters = hyper(unet_config=omegaconf_objects(found), lr=1e-4)
        parameters.frozen = True
        content = {
            "epoch": 3,
            "global_step": 20_000,
            "pytorch-lightning_version": "1.4.2",
            "state_dict": weights | averages | buffers,
            "callbacks": {
                callback: {
                    "monitor": "val/loss_simple_ema",
                    "best_model_score": np.float64(0.12),
                    "current_score": np.float32(0.12),
                    "dirpath": pathlib.PosixPath("logs"),
                    "object": filled(callback, mode="min", kth_value=torch.tensor(0.5)),
                }
            },
            "optimizer_states": [
                {"state": {0: {"step": 5, "exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 1}]}
            ],
            "lr_schedulers": [{"lr_lambdas": [None], "base_lrs": [np.float64(1e-4)]}],
            "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
            "hparams_name": "kwargs",
            "hyper_parameters": parameters,
        }
        (tmp_path / "reco_coco_616.ckpt").write_bytes(saved(content, zipped))
    state, metadata = read_checkpoint(tmp_path / "reco_coco_616.ckpt")
    assert "omegaconf" not in sys.modules and "pytorch_lightning" not in sys.modules
    kept = {key: tensor for key, tensor in weights.items() if "vae_" not in key}
    assert kept.keys() <= state.keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in kept.items())
    assert metadata == {"steps": "20000"}


CLASSES = {
    "lightning__pytorch__utilities__parsing__AttributeDict": dict,
    "torchmetrics__utilities__data__Values": list,
    "ldm__models__diffusion__ddpm__DDPM": object,
    "easydict__EasyDict": dict,
    "transformers__models__clip__configuration_clip__CLIPTextConfig": object,
}
LEFT = {
    "a namespace": lambda found: argparse.Namespace(lr=1, path=pathlib.Path("a")),
    "a path": lambda found: pathlib.PurePosixPath("a/b"),
    "paths in a set": lambda found: {pathlib.PosixPath("a"), pathlib.PosixPath("b")},
    "a default dict": lambda found: collections.defaultdict(list, {"a": [1]}),
    "a counter": lambda found: collections.Counter("aab"),
    "a queue": lambda found: collections.deque([1, 2], maxlen=3),
    "a simple namespace": lambda found: types.SimpleNamespace(a=1),
    "numbers of numpy": lambda found: [np.float64(1), np.int64(2), np.bool_(True)],
    "an array": lambda found: np.arange(6).reshape(2, 3),
    "a type of numpy": lambda found: [np.dtype("float32"), np.float32],
    "a random state": lambda found: np.random.RandomState(0),
    "a generator": lambda found: np.random.default_rng(0),
    "dates": lambda found: [datetime.datetime(2022, 1, 2), datetime.timedelta(3)],
    "numbers": lambda found: [fractions.Fraction(1, 3), decimal.Decimal("0.1"), 1j],
    "an identifier": lambda found: uuid.UUID(int=5),
    "plain types": lambda found: [int, dict, list, type(None), frozenset([1]), slice(1, 2)],
    "types of typing": lambda found: [typing.Any, list[int], typing.Optional[int]],  # noqa: UP045
    "a dict of a library": lambda found: found("lightning.pytorch.utilities.parsing.AttributeDict")(
        a=1
    ),
    "a dict of another": lambda found: found("easydict.EasyDict")(a={"b": 1}),
    "a list of a library": lambda found: found("torchmetrics.utilities.data.Values")([1, 2]),
    "an object of a library": lambda found: filled(found("ldm.models.diffusion.ddpm.DDPM"), a=1),
    "a class of a library": lambda found: {found("ldm.models.diffusion.ddpm.DDPM"): 1},
    "a config of a library": lambda found: filled(
        found("transformers.models.clip.configuration_clip.CLIPTextConfig"), vocab_size=5
    ),
    "a module of torch": lambda found: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU()),
    "an optimizer": lambda found: torch.optim.AdamW(torch.nn.Linear(2, 2).parameters()),
    "a version of torch": lambda found: torch.__version__,
}


@pytest.mark.parametrize(
    ("kind", "zipped"),
    [(kind, True) for kind in LEFT]
    # Before 1.6 torch saved a module with its source, which its reading of weights refuses.
    + [(kind, False) for kind in LEFT if kind != "a module of torch"],
)
def test_what_a_trainer_leaves_beside_the_weights_is_passed_over(tmp_path, kind, zipped):
    with library(**CLASSES) as found:
        content = {"state_dict": FEW, "left": LEFT[kind](found), "global_step": 5}
        (tmp_path / "x.ckpt").write_bytes(saved(content, zipped))
    before = set(sys.modules)
    tensors, metadata = read_tensors(tmp_path / "x.ckpt")
    assert torch.equal(tensors.pop("a"), FEW["a"]) and not tensors
    assert metadata == {"steps": "5"}
    imported = {name.split(".")[0] for name in sys.modules.keys() - before}
    assert not {path.split("__")[0] for path in CLASSES} & imported


RUNS = [
    "os system",
    "posix system",
    "nt system",
    "subprocess Popen",
    "subprocess check_output",
    "builtins eval",
    "builtins exec",
    "__builtin__ eval",
    "__builtin__ execfile",
    "builtins getattr",
    "builtins __import__",
    "builtins open",
    "builtins bytearray",
    "builtins map",
    "functools partial",
    "functools reduce",
    "importlib import_module",
    "runpy run_path",
    "pickle loads",
    "shutil rmtree",
    "types FunctionType",
    "types CodeType",
    "ctypes CDLL",
    "operator attrgetter",
    "operator methodcaller",
    "webbrowser open",
    "copyreg add_extension",
    "collections namedtuple",
    "pathlib Path.write_text",
    "pathlib os.system",
    "typing ForwardRef",
    "torch load",
    "torch.hub load",
    "torch.nn.modules.module register_module_forward_hook",
    "torch.nn.init os.system",
    "torch.utils.cpp_extension load_inline",
    "numpy load",
    "numpy.f2py.crackfortran myeval",
    "numpy.testing._private.utils runstring",
    "omegaconf.omegaconf OmegaConf.register_new_resolver",
    "omegaconf.resolvers.oc env",
    "pytorch_lightning.cli instantiate_class",
    "lightning_evil.trap Trap",
    "torch.nnx Trap",
    "fire Fire",
    "sh Command",
]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("form", ["zip", "legacy", "old call", "newer name"])
def test_a_name_that_could_run_code_is_refused_by_it(tmp_path, monkeypatch, name, form):
    monkeypatch.chdir(tmp_path)
    program = calling(name, "__import__('os').mkdir('ran') if 0 else 'mkdir ran'", form)
    (tmp_path / "x.ckpt").write_bytes(archived(program) if form != "legacy" else program)
    module, _, last = name.partition(" ")
    shown = rf"{module.replace('__builtin__', 'builtins')}\.{re.escape(last)}"
    with pytest.raises(ValueError, match=rf"would run code \({shown}\); nothing was run"):
        read_tensors(tmp_path / "x.ckpt")
    assert os.listdir(tmp_path) == ["x.ckpt"]


def test_the_trap_of_these_tests_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for form in ("zip", "old call"):
        pickle.loads(calling("os system", "mkdir ran", form))
        (tmp_path / "ran").rmdir()


def calling(name: str, argument: str, form: str) -> bytes:
    """A pickle that calls a name with a text, beside a dict as a state dict begins."""
    module, _, last = name.partition(" ")
    text = b"X" + len(argument.encode()).to_bytes(4, "little") + argument.encode()
    if form == "old call":
        return b"\x80\x02(" + text + f"i{module}\n{last}\n".encode() + b"."
    if form == "newer name":
        names = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, last))
        return b"\x80\x04" + names + b"\x93" + text + b"\x85R."
    return b"\x80\x02" + f"c{module}\n{last}\n".encode() + text + b"\x85R."


def archived(program: bytes) -> bytes:
    """What torch.save writes, with another pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(FEW))) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            is_program = entry.filename.endswith("data.pkl")
            new.writestr(entry.filename, program if is_program else old.read(entry))
    return file.getvalue()

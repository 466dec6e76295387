"""Folders of ComfyUI's diffusers folder in the loaders: listed, opened, read again, refused."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from random_checkpoint import CLIP_VOCABULARY, HEADS, Size, random_state_dict
from workflows import ask, layout_node, node

from comfy_server import Failure
from reco_core.checkpoint_file import read_checkpoint
from reco_core.layout import Layout
from train.checkpoints.diffusers_folder import write_diffusers_folder

API = json.loads((Path(__file__).parent / "data" / "reco_api.json").read_text("utf-8"))
LISTED = {"port/", "of/one/kind/port/", "reco-tiny.safetensors/", "plain/"}
TOKEN_TABLE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


@pytest.fixture(scope="module")
def folders(base_dir, tiny) -> Path:
    """ComfyUI's diffusers folder: the tiny checkpoint, and another one under its file's name."""
    top = base_dir / "models" / "diffusers"
    weights, metadata = read_checkpoint(tiny)
    write_diffusers_folder(top / "port", weights, metadata)
    shorter = random_state_dict(Size(max_length=96))
    write_diffusers_folder(top / tiny.name, shorter, {"format": "reco", **HEADS})
    shutil.copy(top / "port" / "model_index.json", top)  # a folder fetched one level too high
    plain = {**weights, TOKEN_TABLE: weights[TOKEN_TABLE][:CLIP_VOCABULARY]}
    write_diffusers_folder(top / "plain", plain, HEADS)
    (top / "of" / "one" / "kind").mkdir(parents=True)
    (top / "of" / "one" / "kind" / "port").symlink_to(top / "port")  # as in the hub's cache
    for unlisted in ("port/.cache/download", "port/inner", ".hidden/port", "nothing"):
        (top / unlisted).mkdir(parents=True)
        if unlisted != "nothing":
            shutil.copy(top / "plain" / "model_index.json", top / unlisted)
    yield top
    shutil.rmtree(top)


def of_folder(name: str) -> dict:
    workflow = copy.deepcopy(API)
    workflow["loader"]["inputs"]["ckpt_name"] = name
    return workflow


def limit(server, name: str) -> int:
    """Tokens that the checkpoint of a name reads, by the editor's count."""
    reader = [{"checkpoint": name}]
    return ask(server, "count", {"layout": Layout("a").to_data(), "readers": [reader]})["limit"]


@pytest.mark.parametrize("kind", ["ReCoLoadCheckpoint", "ReCoLoadAdapter"])
def test_loaders_list_folders_after_files_by_names_that_no_file_has(server, folders, kind):
    info = json.loads(server.get(f"/object_info/{kind}"))[kind]
    declared = info["input"]["required"]["ckpt_name"]
    names = declared[1]["options"] if declared[0] == "COMBO" else declared[0]
    assert {name for name in names if name.endswith("/")} == LISTED
    assert "reco-tiny.safetensors" in names
    assert [name.endswith("/") for name in names] == sorted(name.endswith("/") for name in names)


def test_a_folder_gives_the_picture_of_the_file_it_was_made_from(run, folders):
    pictures = [
        run(of_folder(name))[0]["picture"]
        for name in ("reco-tiny.safetensors", "port/", "of/one/kind/port/")
    ]
    for picture in pictures[1:]:
        assert np.array_equal(picture, pictures[0])
    assert pictures[0].std() > 1


def test_a_folder_and_a_file_of_one_name_are_told_apart(server, folders):
    names = ("reco-tiny.safetensors", "reco-tiny.safetensors/", "port/")
    assert [limit(server, name) for name in names] == [308, 96, 308]


@pytest.mark.parametrize("name", ["../checkpoints/", "port/inner/", "port/../plain/", "nothing/"])
def test_a_name_that_is_not_listed_is_no_way_in(server, inside, folders, name):
    with pytest.raises(Failure, match="ckpt_name"):
        server.wait(server.post_prompt(of_folder(name)))
    assert "no diffusers folder" in inside("path_of", diffusers=str(folders), name=name)


def test_the_count_and_the_cache_see_that_a_folder_was_written_anew(server, inside, folders):
    fingerprint = {"diffusers": str(folders), "name": "changing/"}
    try:
        shutil.copytree(folders / "reco-tiny.safetensors", folders / "changing")
        assert limit(server, "changing/") == 96
        found = [inside("fingerprint", **fingerprint)] * 2
        for part in ("unet", "vae", "text_encoder", "tokenizer"):
            file = next((folders / "changing" / part).glob("*.json"))
            os.utime(file, ns=(1, 1 + len(found)))
            found.append(inside("fingerprint", **fingerprint))
        assert len({str(each) for each in found}) == 5
        shutil.rmtree(folders / "changing")
        shutil.copytree(folders / "port", folders / "changing")
        assert limit(server, "changing/") == 308
    finally:
        shutil.rmtree(folders / "changing")


REFUSED = {
    "plain/": "plain Stable Diffusion 1 checkpoint",
    "another/": "not Stable Diffusion 1.x: use a folder of a StableDiffusionPipeline",
    "of-v/": "does not predict noise",
    "of-groups/": "unet/config.json says norm_num_groups = 16",
    "incomplete/": "vae/ has no weights",
    "code/": "would run code.*nothing was run",
}


def change(folder: Path) -> None:
    """Make what its name says of a copy of a good folder."""

    def edit(file: str, **changes) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    if folder.name == "another":
        edit("model_index.json", text_encoder_2=["transformers", "CLIPTextModelWithProjection"])
    if folder.name == "of-v":
        edit("scheduler/scheduler_config.json", prediction_type="v_prediction")
    if folder.name == "of-groups":
        edit("unet/config.json", norm_num_groups=16)
    if folder.name in ("incomplete", "code"):
        weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
        weights.unlink()
    if folder.name == "code":
        shutil.copy(folder.parents[1] / "checkpoints" / "code.ckpt", weights.with_suffix(".bin"))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_reco_folder_is_refused_in_words(server, folders, base_dir, name):
    if not (folders / name).exists():
        shutil.copytree(folders / "port", folders / name)
        change(folders / name)
    text = node("CLIPTextEncode", clip=["loader", 1], text="")
    loader = node("ReCoLoadCheckpoint", ckpt_name=name)
    shown = node("PreviewAny", source=["text", 0])
    with pytest.raises(Failure, match=REFUSED[name]) as failure:
        server.wait(server.post_prompt({"loader": loader, "text": text, "shown": shown}))
    assert "(node loader)" in str(failure.value)
    assert not (base_dir / "code-has-run").exists()
    server.wait(server.post_prompt({"a": layout_node(), "b": node("PreviewAny", source=["a", 0])}))

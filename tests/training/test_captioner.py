"""Region captions of real, tiny GIT and BLIP models; a killed run is continued."""

from __future__ import annotations

import io
import json
import signal
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from train_command import start, train

from reco_core.layout import Box
from train.data.caption_model import load_describer
from train.data.captioner import MIN_SIDE, PADDING, crop_pixels, write_captions
from train.data.json_lines import JsonLinesConfig
from train.data.sets import open_set
from train.data.shards import ShardsConfig

ROOT = Path(__file__).parents[2]
WORDS = '[PAD] [UNK] [CLS] [SEP] [MASK] a red blue dog cat on the sign " stop tree house'.split()
TINY = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "initializer_range": 1.0,
}
EYES = {"image_size": 32, "patch_size": 16, **TINY}
WORDING = {
    "vocab_size": len(WORDS),
    "max_position_embeddings": 64,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
    **TINY,
}


@pytest.fixture(scope="module")
def git_folder(tmp_path_factory):
    import torch
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM, GitProcessor

    folder = tmp_path_factory.mktemp("git")
    torch.manual_seed(0)
    GitForCausalLM(GitConfig(vision_config=EYES, **WORDING)).save_pretrained(folder)
    square = {"height": 32, "width": 32}
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square)
    GitProcessor(processor, tokenizer(folder)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip_folder(tmp_path_factory):
    import torch
    from transformers import (
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder = tmp_path_factory.mktemp("blip")
    torch.manual_seed(0)
    text = {**WORDING, "sep_token_id": 3, "encoder_hidden_size": 32}
    config = BlipConfig(text_config=text, vision_config=EYES, projection_dim=32)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    processor = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(processor, tokenizer(folder)).save_pretrained(folder)
    return folder


def tokenizer(folder):
    from transformers import BertTokenizer

    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return BertTokenizer(str(folder / "vocab.txt"))


def write_set(folder, pictures=6, regions=4, seed=0):
    """A JSON lines set of noisy pictures, each with as many regions."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(pictures):
        pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        corners = np.sort(rng.random((regions, 2, 2)), axis=1).reshape(regions, 4)
        lines.append(
            {
                "image": f"{number}.png",
                "caption": "noise",
                "width": 64,
                "height": 48,
                "regions": [{"text": "noise", "box": box} for box in corners.tolist()],
            }
        )
    path = folder / "set.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def opened(path, **options):
    return open_set(JsonLinesConfig(path=str(path), **options))


def command(path, output, model, *options):
    words = ("--path", path, "--output", output, "--model", model, *options)
    return ["data", "caption", "--kind", "json_lines", *words]


def read(output):
    return [json.loads(line) for line in output.read_text().splitlines()]


def by_region(entries):
    return {(entry["key"], entry["index"]): entry for entry in entries}


def sizes(crops):
    """A describer that says how large a crop is."""
    return [f"{crop.width} by {crop.height}" for crop in crops]


def test_a_killed_run_is_continued_to_the_captions_of_one_that_was_not(tmp_path, git_folder):
    path, output = write_set(tmp_path), tmp_path / "captions.jsonl"
    whole = tmp_path / "whole.jsonl"
    describe = load_describer(str(git_folder), max_tokens=10)
    # A tiny model may have nothing to say of some regions.
    total = write_captions(opened(path), describe, whole).written
    assert len({entry["text"] for entry in read(whole)}) > 8  # it does see the crops

    run = command(path, output, git_folder, "--batch-size", "1", "--max-tokens", "10")
    process = start(*run, folder=tmp_path / "said")
    while not output.exists() or output.read_bytes().count(b"\n") < 3:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    killed = output.read_bytes().count(b"\n")
    assert killed < total

    result = train(*run)
    assert result.returncode == 0, result.stderr
    assert f"wrote {total - killed} captions" in result.stdout
    assert len(read(output)) == total
    assert by_region(read(output)) == by_region(read(whole))


def test_blip_writes_captions_that_training_reads(tmp_path, blip_folder):
    path, output = write_set(tmp_path), tmp_path / "captions.jsonl"
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:500])
    (tmp_path / "4.png").unlink()
    result = train(*command(path, output, blip_folder, "--max-tokens", "5"))
    assert result.returncode == 0, result.stderr
    for name in ("2.png", "4.png"):
        assert sum(f"{name}: " in line for line in result.stdout.splitlines()) == 1
    captions = by_region(read(output))
    assert {key for key, _ in captions} <= {"0.png", "1.png", "3.png", "5.png"}
    assert captions
    retold = opened(path, region_captions=str(output))
    for (key, index), entry in captions.items():
        region = retold[int(key[0])].regions[index]
        assert region.text == entry["text"]
        assert [region.box.x0, region.box.y0, region.box.x1, region.box.y1] == entry["box"]
        assert len(entry["text"].split()) <= 5


def test_a_line_torn_anywhere_is_written_again(tmp_path):
    path, output = write_set(tmp_path, pictures=1, regions=2), tmp_path / "captions.jsonl"
    write_captions(opened(path), sizes, output)
    whole = output.read_bytes()
    first_line = whole.index(b"\n") + 1
    for length in range(first_line, len(whole)):
        output.write_bytes(whole[:length])
        assert write_captions(opened(path), sizes, output).written == 1
        assert output.read_bytes() == whole


def test_what_is_captioned_is_not_even_opened_again(tmp_path):
    path, output = write_set(tmp_path, pictures=2, regions=3), tmp_path / "captions.jsonl"
    write_captions(opened(path), sizes, output)
    before = output.read_bytes()
    for picture in ("0.png", "1.png"):
        whole = (tmp_path / picture).read_bytes()
        (tmp_path / picture).write_bytes(whole[:100])  # broken
    report = write_captions(opened(path), sizes, output)
    assert (report.written, report.before, report.problems) == (0, 6, ())
    assert output.read_bytes() == before


def test_a_moved_box_is_captioned_again_and_its_last_caption_counts(tmp_path):
    path, output = write_set(tmp_path, pictures=1, regions=2), tmp_path / "captions.jsonl"
    write_captions(opened(path), sizes, output)
    entry = json.loads(path.read_text())
    entry["regions"][1]["box"] = [0, 0, 1, 1]
    path.write_text(json.dumps(entry))
    assert write_captions(opened(path), sizes, output).written == 1
    retold = opened(path, region_captions=str(output))
    assert retold[0].regions[1].text == "64 by 48"


def test_a_double_quote_calls_for_the_padded_crop(tmp_path):
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste("red", (20, 20, 60, 60))
    picture.save(tmp_path / "sign.png")
    boxes = [[0.2, 0.2, 0.6, 0.6], [0.7, 0.7, 1, 1]]
    regions = [{"text": "sign", "box": box} for box in boxes]
    entry = {"image": "sign.png", "caption": "a sign", "regions": regions}
    (tmp_path / "set.jsonl").write_text(json.dumps(entry))

    def reads_what_fills_the_crop(crops):
        red = [crop.getcolors() == [(crop.width * crop.height, (255, 0, 0))] for crop in crops]
        return ['a sign "red"' if r else said for r, said in zip(red, sizes(crops), strict=True)]

    output = tmp_path / "captions.jsonl"
    write_captions(opened(tmp_path / "set.jsonl"), reads_what_fills_the_crop, output)
    side = round(40 * (1 + 2 * PADDING))
    assert [entry["text"] for entry in read(output)] == [f"{side} by {side}", "30 by 30"]


def test_a_region_the_model_says_nothing_about_keeps_its_text_and_is_named(tmp_path):
    path, output = write_set(tmp_path, pictures=1, regions=2), tmp_path / "captions.jsonl"
    report = write_captions(opened(path), lambda crops: [""] * len(crops), output)
    assert report.written == 0
    assert [problem.reason for problem in report.problems] == [
        "region 1: the model said nothing",
        "region 2: the model said nothing",
    ]
    assert output.read_bytes() == b""


def test_shards_are_captioned_too(tmp_path):
    path = write_set(tmp_path, pictures=3, regions=2)
    with tarfile.open(tmp_path / "set-0.tar", "w") as shard:
        for number, line in enumerate(path.read_text().splitlines()):
            described = json.loads(line)
            del described["image"]
            members = {
                "png": (tmp_path / f"{number}.png").read_bytes(),
                "json": json.dumps(described).encode(),
            }
            for suffix, data in members.items():
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))
    output = tmp_path / "captions.jsonl"
    shards = ShardsConfig(path=str(tmp_path / "set-0.tar"))
    assert write_captions(open_set(shards), sizes, output).written == 6
    assert write_captions(open_set(shards), sizes, output).written == 0


def test_a_file_of_something_else_is_left_alone(tmp_path):
    path, notes = write_set(tmp_path, pictures=1, regions=1), tmp_path / "notes.txt"
    notes.write_text("dear diary\nno newline at the end")
    with pytest.raises(ValueError, match="line 1 of .*notes.txt.* is not a region caption"):
        write_captions(opened(path), sizes, notes)
    assert notes.read_text() == "dear diary\nno newline at the end"


@settings(max_examples=100)
@given(
    st.tuples(*[st.floats(0, 1)] * 4),
    st.integers(1, 500),
    st.integers(1, 500),
    st.sampled_from([0.0, PADDING]),
)
def test_a_crop_holds_the_box_and_enough_around_small_ones(corners, width, height, padding):
    (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
    box = Box(x0, y0, x1, y1)
    left, top, right, bottom = crop_pixels(box, width, height, padding)
    assert 0 <= left <= x0 * width and x1 * width <= right <= width
    assert 0 <= top <= y0 * height and y1 * height <= bottom <= height
    assert right - left >= min(MIN_SIDE, width)
    assert bottom - top >= min(MIN_SIDE, height)
    assert right - left <= max(MIN_SIDE, (1 + 2 * padding) * (x1 - x0) * width + 2)


def test_an_absent_model_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="hf download someone/absent-model --local-dir FOLDER"):
        load_describer("someone/absent-model")
    with pytest.raises(ValueError, match="absent' is not here"):
        load_describer(str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="is no GIT or BLIP model"):
        load_describer(str(tmp_path))


def test_half_precision_is_refused_where_it_cannot_be_used(git_folder):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("CUDA has it")
    with pytest.raises(ValueError, match="fp16 needs CUDA"):
        load_describer(str(git_folder), "fp16")

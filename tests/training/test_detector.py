"""Boxes from real, tiny OWLv2 and GroundingDINO models; a killed run is continued."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from train.data.commands import add_commands
from train.data.detector import write_boxes
from train.data.detector_model import OpenDetector, open_detector
from train.data.json_lines import JsonLinesConfig
from train.data.sets import open_set

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] . a dog red car the on street cat".split()
TINY = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
EYES = {"image_size": 32, "patch_size": 16, **TINY}


@pytest.fixture(scope="module")
def owl_folder(tmp_path_factory, clip_tokenizer):
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor
    from transformers import Owlv2Processor as Processor

    folder = tmp_path_factory.mktemp("owl")
    torch.manual_seed(0)
    wording = {"vocab_size": len(clip_tokenizer), "max_position_embeddings": 16, **TINY}
    config = Owlv2Config(text_config=wording, vision_config=EYES, projection_dim=32)
    model = Owlv2ForObjectDetection(config)
    with torch.no_grad():  # boxes of 0.73 of the sides around each patch, scores of 0.27 to 0.73
        for layer in (model.box_head.dense2, model.class_head.logit_scale):
            layer.weight.zero_()
            layer.bias.zero_()
        model.box_head.dense2.bias[2:] = 1
        model.class_head.logit_shift.weight.zero_()
        model.class_head.logit_shift.bias.zero_()
    model.save_pretrained(folder)
    tokenizer = copy.deepcopy(clip_tokenizer)
    tokenizer.model_max_length = 16
    eyes = Owlv2ImageProcessor(size={"height": 32, "width": 32})
    Processor(eyes, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dino_folder(tmp_path_factory):
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    folder = tmp_path_factory.mktemp("dino")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(0)
    eyes = SwinConfig(
        image_size=32, embed_dim=16, depths=[1] * 4, num_heads=[1] * 4, window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    parts = ("encoder", "decoder")
    sizes = {f"{part}_layers": 2 for part in parts}
    sizes |= {f"{part}_attention_heads": 2 for part in parts}
    sizes |= {f"{part}_ffn_dim": 32 for part in parts}
    wording = BertConfig(vocab_size=len(WORDS), **TINY)
    config = GroundingDinoConfig(
        backbone_config=eyes, text_config=wording, d_model=32, num_queries=4, **sizes
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    processor = GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    GroundingDinoProcessor(processor, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """A folder of three, one of them in another folder, with a caption each."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name, size, colour in (
        ("a", (60, 40), "red"),
        ("b", (40, 60), "blue"),
        ("more/c", (32, 32), "white"),
    ):
        Image.new("RGB", size, colour).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text("a dog on the street\n")
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_owlv2_finds_what_transformers_own_pipeline_finds(owl_folder):
    from transformers import pipeline

    found = pipeline("zero-shot-object-detection", model=str(owl_folder), device="cpu")
    picture = Image.effect_noise((60, 40), 90).convert("RGB")
    theirs = found(picture, candidate_labels=["dog"], threshold=0.0)
    (ours,) = open_detector(str(owl_folder), 0.0, overlap=1.0).find([picture], [["dog"]])
    assert ours and {one.text for one in ours} == {"dog"}
    corners = {name: max(0, value) for name, value in theirs[0]["box"].items()}
    best = ours[0].box
    assert best.x0 * 60 == pytest.approx(corners["xmin"], abs=1)
    assert best.y0 * 40 == pytest.approx(corners["ymin"], abs=1)
    assert best.x1 * 60 == pytest.approx(min(corners["xmax"], 60), abs=1)
    assert best.y1 * 40 == pytest.approx(min(corners["ymax"], 40), abs=1)
    assert [one.score for one in ours][0] == pytest.approx(theirs[0]["score"], abs=1e-4)
    assert len(ours) <= len(theirs)


def test_of_boxes_that_lie_on_each_other_the_best_stays(owl_folder):
    picture = Image.effect_noise((60, 40), 90).convert("RGB")
    (every,) = open_detector(str(owl_folder), 0.0, overlap=1.0).find([picture], [["dog", "cat"]])
    (apart,) = open_detector(str(owl_folder), 0.0, overlap=0.01).find([picture], [["dog", "cat"]])
    assert len(every) == 4 and apart == every[:1]
    assert open_detector(str(owl_folder), 0.9).find([picture], [["dog"]]) == [[]]


def test_groundingdino_finds_phrases_of_captions_or_the_words_it_is_given(dino_folder):
    detector = open_detector(str(dino_folder), 0.0, overlap=1.0)
    picture = Image.effect_noise((60, 40), 90).convert("RGB")
    found, others = detector.find([picture, picture], ["a dog on the street", "a red car"])
    assert found and {w for one in found for w in one.text.split()} <= {*WORDS}
    assert all(w not in one.text.split() for one in others for w in ("dog", "street"))
    (asked,) = detector.find([picture], [["dog", "red car"]])
    assert {one.text for one in asked} <= {"dog", "red car"}


def test_the_command_writes_a_set_that_training_reads(pictures, owl_folder, tmp_path, capsys):
    output = tmp_path / "boxes.jsonl"
    (pictures / "broken.png").write_bytes(b"not a picture")
    run(pictures, output, "--model", owl_folder, "--words", "dog", "red car", "--threshold", "0")
    opened = open_set(JsonLinesConfig(path=str(output)))
    assert not opened.problems and len(opened) == 3
    assert {region.text for region in opened[0].regions} <= {"dog", "red car"}
    assert opened[1].captions == ("a dog on the street",)
    assert opened[0].open().size == (opened[0].width, opened[0].height)
    said = capsys.readouterr().out
    assert "left out: pictures/broken.png" in said and "in 3 pictures" in said
    assert not list(tmp_path.glob("*.part"))


def test_captions_are_read_where_no_words_are_given(pictures, dino_folder, tmp_path, capsys):
    (pictures / "b.txt").unlink()
    run(pictures, tmp_path / "boxes.jsonl", "--model", dino_folder, "--threshold", "0")
    assert {one["image"] for one in lines(tmp_path / "boxes.jsonl")} == {
        "pictures/a.png",
        "pictures/more/c.png",
    }
    assert "b.png: has no caption beside it: write b.txt" in capsys.readouterr().out


@pytest.mark.parametrize("count", [255, 2000])
def test_a_caption_that_is_longer_than_the_model_reads_is_named(
    count, pictures, dino_folder, tmp_path, capsys
):
    """With a token before and two behind it; the other pictures are looked at."""
    (pictures / "b.txt").write_text("dog " * count)
    run(pictures, tmp_path / "boxes.jsonl", "--model", dino_folder, "--threshold", "0")
    assert len(lines(tmp_path / "boxes.jsonl")) == 2
    assert f"takes {count + 3} tokens, and" in capsys.readouterr().out


def test_a_caption_as_long_as_the_model_reads_is_read(pictures, dino_folder, tmp_path):
    (pictures / "b.txt").write_text("dog " * 253)
    run(pictures, tmp_path / "boxes.jsonl", "--model", dino_folder, "--threshold", "0")
    assert len(lines(tmp_path / "boxes.jsonl")) == 3


def test_words_that_are_longer_than_the_model_reads_are_refused_at_once(
    pictures, owl_folder, tmp_path
):
    words = ["dog", "a red car " * 9]
    with pytest.raises(ValueError, match="tokens, and .* reads 16: shorten"):
        write_boxes(pictures, tmp_path / "a", open_detector(str(owl_folder), 0.0), words)


def run(pictures, output, *words):
    import argparse

    from train.command_line import OptionsParser

    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(parser_class=OptionsParser), None)
    base = ["data", "detect", "--path", str(pictures), "--output", str(output)]
    arguments = parser.parse_args([*base, *map(str, words)])
    assert arguments.run(arguments) == 0


class Stopping:
    """A real detector that stops a run at a picture, as a kill would."""

    def __init__(self, detector: OpenDetector, after: int):
        self.detector, self.after, self.seen = detector, after, 0

    def find(self, images, asked):
        if self.seen >= self.after:
            raise KeyboardInterrupt
        self.seen += len(images)
        return self.detector.find(images, asked)


def test_a_stopped_run_goes_on_to_the_file_of_one_that_was_not(pictures, owl_folder, tmp_path):
    detector, words = open_detector(str(owl_folder), 0.0), ["dog"]
    whole, output = tmp_path / "whole.jsonl", tmp_path / "boxes.jsonl"
    assert write_boxes(pictures, whole, detector, words, batch_size=1).before == 0
    stopping = replace(detector, find=Stopping(detector, 2).find)
    with pytest.raises(KeyboardInterrupt):
        write_boxes(pictures, output, stopping, words, batch_size=1)
    assert not output.exists()
    part = tmp_path / "boxes.jsonl.part"
    part.write_bytes(part.read_bytes()[:-9])  # the second line torn
    with pytest.raises(ValueError, match="was begun with other options"):
        write_boxes(pictures, output, detector, ["cat"])
    report = write_boxes(pictures, output, detector, words, batch_size=1)
    assert (report.before, report.pictures) == (1, 3)
    assert lines(output) == lines(whole) and not part.exists()
    with pytest.raises(ValueError, match="is there already"):
        write_boxes(pictures, output, detector, words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--words", " "), "an empty word"),
        (("--model", "someone/absent"), "hf download someone/absent --local-dir FOLDER"),
        (("--model", "absent-folder"), "hf download IDEA-Research/grounding-dino-tiny --local"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words, said, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=said):
        run(pictures, tmp_path / "boxes.jsonl", *words)


def test_what_finds_nothing_or_has_no_words_is_refused(pictures, owl_folder, tmp_path):
    with pytest.raises(ValueError, match="nothing was found in 3 pictures"):
        write_boxes(pictures, tmp_path / "a", open_detector(str(owl_folder), 0.9), ["dog"])
    with pytest.raises(ValueError, match="reads no sentences: say what to look for with --words"):
        write_boxes(pictures, tmp_path / "b", open_detector(str(owl_folder)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no pictures"):
        write_boxes(tmp_path / "empty", tmp_path / "c", open_detector(str(owl_folder)), ["dog"])


def test_a_model_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="is no open-vocabulary detector"):
        open_detector(str(tmp_path))

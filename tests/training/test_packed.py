"""`python -m train data pack`, and training on what it writes."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from set_files import COCO, encoded, picture, write_coco, write_lines, write_picture, write_shard
from train_command import train

from reco_core import atomic
from reco_core.layout import Box, Region
from train.data.coco import CocoConfig
from train.data.json_lines import JsonLinesConfig
from train.data.loader import TrainingSet, training_batches
from train.data.mixture import open_mixture
from train.data.options import DataConfig
from train.data.pack import pack_set
from train.data.packed import PackedConfig, PackedSet
from train.data.plan import Plan, Share
from train.data.sets import open_set
from train.data.shapeskills_set import ShapeSkillsConfig
from train.data.shards import ShardsConfig
from train.model.words import Words

SAMPLE = 4 * 512
"""Bytes of one in a shard: two members of at most a block each, with their headers."""
PLAIN = DataConfig(crop="centre", flip=0.0)


def everything(sample):
    return (
        sample.key, sample.captions, sample.regions, (sample.width, sample.height),
        np.asarray(sample.open()).tobytes(),
    )  # fmt: skip


def lines(folder, count=12):
    """A set of pictures in two shapes, with different boxes."""
    objects = []
    for i in range(count):
        size = (96, 64) if i % 3 else (64, 64)
        write_picture(folder / f"{i}.png", size=size, box=(8, 8, 30 + i, 50))
        region = {"text": f"thing {i}", "box": [0.1, 1 / 7, 0.5 + i / 100, 0.9]}
        objects.append({"image": f"{i}.png", "captions": [f"{i}", "b"], "regions": [region]})
    return JsonLinesConfig(path=str(write_lines(folder / "set.jsonl", *objects)))


def packed(config, folder, shard_bytes=10**9, size=64):
    pack_set(open_set(config, size), folder, shard_bytes, "set", 1)
    return PackedConfig(path=str(folder))


@pytest.fixture
def small(tmp_path):
    """Twelve samples in shards of five."""
    return packed(lines(tmp_path / "own"), tmp_path / "small", 5 * SAMPLE)


# what is written


def test_every_sample_is_what_it_was_and_pictures_keep_their_bytes(tmp_path, small):
    own, there = open_set(lines(tmp_path / "own")), open_set(small)
    assert len(list((tmp_path / "small").glob("*.tar"))) == 3
    assert [everything(there[i]) for i in range(len(there))] == [everything(one) for one in own]
    for i in range(len(there)):
        assert there[i].open.encoded() == (tmp_path / "own" / f"{i}.png").read_bytes()


def test_pictures_that_lie_on_their_side_are_packed_as_they_are(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    picture().save(tmp_path / "a.png", "JPEG", exif=turned)  # and its name is wrong
    file = write_lines(tmp_path / "set.jsonl", {"image": "a.png", "caption": "x"})
    there = open_set(packed(JsonLinesConfig(path=str(file)), tmp_path / "packed"))
    assert (there[0].width, there[0].height) == there[0].open().size == (48, 64)
    assert there[0].open.encoded() == (tmp_path / "a.png").read_bytes()
    with tarfile.open(tmp_path / "packed" / "000000.tar") as tar:
        assert tar.getnames() == ["000000000.jpg", "000000000.json"]


def test_what_is_drawn_is_packed_too(tmp_path):
    own = ShapeSkillsConfig(samples=3, seed=1)
    there = open_set(packed(own, tmp_path / "packed"))
    drawn = open_set(own, 64)
    assert [everything(there[i]) for i in range(3)] == [everything(drawn[i]) for i in range(3)]


def test_foreign_shards_are_packed_and_packed_ones_are_read_as_shards(tmp_path):
    """An index for shards of others; and shards that any reader of webdataset's form reads."""
    boxes = b'[{"label": "dog", "bbox": [0.25, 0.25, 0.75, 0.75]}]'
    members = {"a.jpg": encoded(), "a.txt": b"two dogs\na pet", "a.bbox": boxes}
    members |= {"b.jpg": b"no picture", "b.txt": b"b"}
    foreign = ShardsConfig(path=str(write_shard(tmp_path / "set.tar", members)))
    there = open_set(packed(foreign, tmp_path / "packed"))
    assert (len(there), there[0].key) == (1, "set.tar/a")
    assert there[0].open.encoded() == members["a.jpg"]
    (again,) = open_set(ShardsConfig(path=str(tmp_path / "packed" / "000000.tar"))).epoch(0, 0)
    assert everything(again)[1:] == everything(there[0])[1:]
    assert again.regions == (Region("dog", Box(0.25, 0.25, 0.75, 0.75)),)


def test_the_index_says_where_tar_has_the_members(tmp_path, small):
    rows, place = np.load(tmp_path / "small" / "index.npy", allow_pickle=False), 0
    for shard in sorted((tmp_path / "small").glob("*.tar")):
        with tarfile.open(shard) as tar:
            for number, words in zip(*[iter(sorted(tar.getnames()))] * 2, strict=True):
                for member, what in ((number, "words"), (words, "picture")):
                    info = tar.getmember(member)
                    row = rows[place]
                    assert (info.offset_data, info.size) == (row[what], row[f"{what}_bytes"])
                place += 1
    assert place == len(rows) == 12


def test_the_same_set_makes_the_same_files(tmp_path, small):
    packed(lines(tmp_path / "own"), tmp_path / "again", 5 * SAMPLE)
    for file in (tmp_path / "again").iterdir():
        assert file.read_bytes() == (tmp_path / "small" / file.name).read_bytes()


# what is refused


def test_the_command_says_what_is_left_out_and_how_to_go_on(tmp_path):
    images = [*COCO["images"], {"id": 1, "file_name": "d.png", "width": 9, "height": 9}]
    options = write_coco(tmp_path / "own", {**COCO, "images": images})
    (tmp_path / "own" / "b.png").write_bytes(b"no picture")
    words = [part for name, value in options.items() for part in (f"--{name}", value)]
    result = train("data", "pack", *words, "--output", tmp_path / "packed")
    assert result.returncode == 0, result.stderr
    for line in (
        "2 problems; left out: 2 samples (1 for their pictures), 0 regions and 0 files",
        "  d.png: has neither a caption nor a region",
        f'in a configuration: {{kind = "packed", path = "{tmp_path}/packed"}}',
    ):
        assert line in result.stdout.splitlines()
    assert "wrote 2 samples of coco" in result.stdout and "  b.png: the picture" in result.stdout


def test_the_command_fails_by_name_where_shards_are_not_whole_and_packs_the_rest(tmp_path):
    members = {"a.jpg": encoded(), "a.txt": b"x"}
    for number in range(6):
        write_shard(tmp_path / f"{number}.tar", members)
    cut = [tmp_path / f"{number}.tar" for number in range(4)]
    for path in cut:
        path.write_bytes(path.read_bytes()[: -8 * 1024])
    (tmp_path / "5.tar").unlink()
    words = "--kind", "shards", "--path", tmp_path / "{0..5}.tar", "--output", tmp_path / "packed"
    result = train("data", "pack", *words)
    assert result.returncode == 1 and "wrote 1 samples of shards" in result.stdout
    assert "error: 5 shards were not read to their end" in result.stderr
    for path in (*cut, tmp_path / "5.tar"):
        assert f"  {path}" in result.stderr.splitlines()
    assert len(open_set(PackedConfig(path=str(tmp_path / "packed")))) == 1


def test_a_folder_that_is_there_is_left_alone(tmp_path, small):
    with pytest.raises(ValueError, match="is there already: name a new folder"):
        packed(lines(tmp_path / "own"), tmp_path / "small")


def test_nothing_stays_where_nothing_can_be_packed(tmp_path):
    own = lines(tmp_path / "own", 3)
    for i in range(3):
        file = tmp_path / "own" / f"{i}.png"
        file.write_bytes(file.read_bytes()[: 120 if i else 10])
    with pytest.raises(ValueError, match=r"no sample of set can be used: 3 pictures that cannot"):
        packed(own, tmp_path / "packed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_room_on_the_disk_is_looked_for_before(tmp_path, monkeypatch):
    own = open_set(lines(tmp_path / "own"))
    free = [12 * SAMPLE - 1]
    usage = type("Usage", (), {"free": property(lambda self: free[0])})
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda folder: usage())
    with pytest.raises(ValueError, match=r"packed needs 0.00 GB but the disk has"):
        pack_set(own, tmp_path / "packed", 10**6, "set", 1)
    free[0] = 10**6 - 1  # enough for the set, and not for a shard
    with pytest.raises(ValueError, match=r"000000\.tar needs 0.00 GB"):
        pack_set(own, tmp_path / "packed", 10**6, "set", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


def grown(name, by):
    return lambda folder: (folder / name).open("ab").write(by)


def with_rows(change):
    def write(folder):
        rows = np.load(folder / "index.npy")
        np.save(folder / "index.npy", change(rows))

    return write


def with_column(name, value):
    def change(rows):
        rows[name][3] = value
        return rows

    return with_rows(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "000001.tar").unlink(), r"000001\.tar' is not there"),
        (grown("000001.tar", b"x"), r"has 20,481 bytes, and its index says 20,480: copy"),
        (lambda f: (f / "index.json").unlink(), "cannot read the index of packed shards"),
        (lambda f: (f / "index.json").write_text("[1]"), "is no index of packed shards"),
        (lambda f: (f / "index.json").write_text('{"version": 2}'), "is of version 2, and this"),
        (lambda f: (f / "index.json").write_text('{"kind": "x"}'), "kind = 'x': choose from pac"),
        (lambda f: (f / "index.npy").write_bytes(b"\x93NUMPY"), r"cannot read '.*index\.npy'"),
        (with_rows(lambda rows: rows[:-1]), "has an index of 11 samples and shards of 12"),
        (with_rows(lambda rows: rows["width"]), "does not hold the rows of an index"),
        (lambda f: np.save(f / "index.npy", np.array([Harm()])), r"cannot read '.*index\.npy'"),
        (
            lambda f: (f / "index.npy").write_bytes(pickle.dumps(Harm())),
            r"cannot read '.*index\.npy'",
        ),
        (with_column("picture", 2**63), "its row of sample 4 is"),
        (with_column("words_bytes", 2**32 - 1), "its row of sample 4 is"),
        (with_column("height", 0), "its row of sample 4 is"),
    ],
)
def test_a_packed_set_that_is_not_whole_is_refused_when_it_is_opened(
    change, message, tmp_path, small, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    change(tmp_path / "small")
    with pytest.raises(ValueError, match=message):
        open_set(small)
    assert not Path("harmed").exists()


def test_what_is_not_as_it_was_packed_is_never_trained_on(tmp_path, small):
    """A shard of the same size with something else in it, here one bit of a picture."""
    there, shard = open_set(small), tmp_path / "small" / "000000.tar"
    start = int(there.rows["picture"][0]) + 40
    data = bytearray(shard.read_bytes())
    data[start] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match=r"000000\.tar' has changed at byte"):
        there[0].open()
    assert there[1].open().size == (96, 64)


# as a set


def test_a_packed_set_opens_without_a_look_at_a_sample(small, monkeypatch):
    monkeypatch.setattr(PackedSet, "__getitem__", None)
    assert len(open_mixture([small], PLAIN, 64)) == 12
    assert len(open_mixture([replace(small, samples=7, repeats=2)], PLAIN, 64)) == 14


def test_packed_samples_mix_and_split_as_those_of_files(tmp_path, small):
    own = lines(tmp_path / "own")
    config = DataConfig(buckets=True, bucket_step=8)
    for sets in ([own, small], [replace(small, repeats=2), own]):
        mixture = open_mixture(sets, config, 64)
        alone = open_mixture([replace(own, repeats=one.repeats) for one in sets], config, 64)
        for ours, theirs in zip(mixture.split(3), alone.split(3), strict=True):
            assert ours.sizes.tolist() == theirs.sizes.tolist()
            for n in range(len(ours)):
                assert everything(ours.sample(n)) == everything(theirs.sample(n))


def test_a_sample_that_is_repeated_comes_far_apart(small):
    mixture = open_mixture([replace(small, repeats=2), replace(small, repeats=3)], PLAIN, 64)
    turns = [mixture.blocks[n::2].tolist() for n in range(2)]
    assert turns[0][:12] == [0] * 12 and len({*turns[0][:12], *turns[1][:12]}) == 2
    assert len(set(mixture.blocks.tolist())) == 5


def test_packed_sets_go_to_other_processes_as_their_folder(small):
    sent = pickle.dumps(open_set(small))
    assert len(sent) < 300
    assert everything(pickle.loads(sent)[5]) == everything(open_set(small)[5])


# their order


def rows_of(config, processes, step, count, seed=3):
    """Pictures and ids of steps of four samples, in the order of the whole batch."""
    mixture = open_mixture([config], DataConfig(), 64)
    rows = TrainingSet(mixture, DataConfig(), Words(96, 1000, 5), seed)
    plan = Plan(mixture.sizes, range(len(mixture)), 2, seed, mixture.blocks)
    shares = [Share(n, processes, 2 // processes, 2) for n in range(processes)]
    readers = [training_batches(rows, plan, share, False, step) for share in shares]
    batches = []
    for _ in range(count):
        batches += [batch for r in readers for batch in islice(r, 2 // processes)]
    return batches


def test_a_run_goes_on_at_any_step_with_any_number_of_processes_without_reading_anew(
    tmp_path, small
):
    """What was trained on is gone when it goes on, and is not missed."""
    whole = rows_of(small, 1, 0, 3)
    mixture = open_mixture([small], DataConfig(), 64)
    plan = Plan(mixture.sizes, range(12), 2, 3, mixture.blocks)
    done = [draw.number for chunk in range(4) for draw in plan.chunk(chunk)]
    assert len(set(done)) == 8
    there, files = open_set(small), sorted((tmp_path / "small").glob("*.tar"))
    for number in done:
        row, shard = there.rows[number], files[number // 5]
        data = bytearray(shard.read_bytes())
        data[row["picture"] : row["picture"] + row["picture_bytes"]] = bytes(row["picture_bytes"])
        shard.write_bytes(data)
    for processes in (1, 2):
        parts = rows_of(small, processes, 2, 1)
        assert not any(batch.problems for batch in parts)
        for ours, theirs in zip(parts, whole[4:], strict=True):
            assert torch.equal(ours.pictures, theirs.pictures) and torch.equal(ours.ids, theirs.ids)


@pytest.mark.slow
def test_how_long_opening_takes(tmp_path, capsys):
    """100,000 samples from COCO's files, and packed, and a copy for another process; processor
    time."""
    import time

    count = 100_000
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12)).save(buffer, "PNG")
    images, things, captions = [], [], []
    for i in range(count):
        (tmp_path / f"{i}.png").write_bytes(buffer.getvalue())
        images.append({"id": i, "file_name": f"{i}.png", "width": 16, "height": 12})
        captions.append({"image_id": i, "caption": f"picture {i}"})
        things += [{"image_id": i, "category_id": 1, "bbox": [j, 1, 3, 3]} for j in range(7)]
    named = {"images": images, "categories": [{"id": 1, "name": "dog"}], "annotations": things}
    for name, content in (("instances", named), ("captions", {"annotations": captions})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    own = CocoConfig(
        path=str(tmp_path),
        annotations=str(tmp_path / "instances.json"),
        captions=str(tmp_path / "captions.json"),
    )
    there = packed(own, tmp_path / "packed")
    took = Counter()
    for name, one in (("coco", own), ("packed", there)):
        start = time.process_time()
        mixture = open_mixture([one], PLAIN, 512)
        took[name] = time.process_time() - start
        start = time.process_time()
        assert len(pickle.loads(pickle.dumps(mixture))) == count
        took[f"{name}, copied"] = time.process_time() - start
    with capsys.disabled():
        print(f"\n{count:,} samples are open after {dict(took)} s")
    assert took["packed"] < 2

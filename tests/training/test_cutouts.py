"""Cutouts: things with transparency drawn into boxes, with words that say what is seen."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from set_files import write_cutout

from reco_core.prompt import normalize_text
from train.__main__ import main
from train.data.cutouts import fluent_emoji
from train.data.cutouts.command import FORMS
from train.data.cutouts.cutouts_set import CutoutsConfig, open_cutouts
from train.data.cutouts.file_words import names_of, plural_of
from train.data.cutouts.scenes import draw_boxes, render
from train.data.cutouts.things import TINTS, cutout, read_things
from train.data.options import DataConfig
from train.data.sets import CONFIGS, open_set
from train.options import build

THINGS = ("ball", "box", "kite", "tall_tree")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four things, each with ground around it that is not seen."""
    folder = tmp_path_factory.mktemp("cutouts")
    for name in THINGS:
        write_cutout(folder / f"{name}.png", size=(40, 80) if "tall" in name else (80, 60))
    return folder


@pytest.fixture(scope="module")
def told(folder, tmp_path_factory):
    """A list of the four, of which two can be tinted."""
    path = tmp_path_factory.mktemp("list") / "things.toml"
    path.write_text(
        'ball = { words = ["ball", "toy ball"], colour = "red" }\n'
        'kite = { colour = "red" }\n'
        'crate = { file = "box", plural = "crates" }\n'
        'tree = { file = "tall_tree", article = "the" }\n'
    )
    return str(path)


def opened(folder, told="", **options):
    given = {"samples": 60, **options}
    return open_cutouts(CutoutsConfig(path=str(folder), things=told, **given), 128)


@pytest.mark.parametrize("overlap", [0.0, 0.4])
def test_things_lie_inside_the_picture_and_over_one_another_as_far_as_asked(folder, overlap):
    most = 0.0
    drawn = opened(folder, counts=(3,), sides=(0.4, 0.6), overlap=overlap)
    for index in range(len(drawn)):
        scene, _, regions = drawn.draw(index)
        boxes = [thing.pixels for thing in scene.things]
        assert [region.box.to_pixels(*scene.size) for region in regions] == boxes
        for number, (x0, y0, x1, y1) in enumerate(boxes):
            assert 0 <= x0 < x1 <= scene.size[0] and 0 <= y0 < y1 <= scene.size[1]
            most = max([most, *(shared(boxes[number], other) for other in boxes[:number])])
    assert most <= overlap and bool(most) == bool(overlap)


def shared(a, b):
    """How much of the smaller of two boxes the other covers."""
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(width, 0) * max(height, 0) / smaller


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=6),
    st.tuples(st.integers(64, 300), st.integers(64, 300)),
    st.floats(1, 2),
    st.sampled_from([0.0, 0.2, 1.0]),
)
def test_any_things_find_room_in_any_picture(seed, shapes, size, stretch, overlap):
    boxes = draw_boxes(np.random.default_rng(seed), shapes, size, (0.2, 0.9), stretch, overlap)
    assert len(boxes) == len(shapes)
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]
        assert max(x1 - x0, y1 - y0) <= 0.9 * (size[0] * size[1]) ** 0.5 + 8
    overlaps = (shared(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert max(overlaps, default=0) <= overlap + 1e-9


def test_more_things_than_there_is_room_for_are_refused():
    with pytest.raises(ValueError, match="6 things find no room in a picture of 16 x 16"):
        draw_boxes(np.random.default_rng(0), [(1, 1)] * 6, (16, 16), (0.5, 0.9))


def test_a_thing_fills_its_box_and_nothing_else_changes(folder):
    """Against the ground alone, only pixels in the boxes differ, up to their edges."""
    drawn = opened(folder, counts=(1,), grounds=("plain",))
    for index in range(20):
        scene, *_ = drawn.draw(index)
        picture = np.asarray(drawn[index].open(), int)
        ground = np.asarray(render(replace(scene, things=())), int)
        differs = np.abs(picture - ground).sum(axis=2) > 0
        ys, xs = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        seen = (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1)
        assert np.abs(np.array(seen) - scene.things[0].pixels).max() <= 1


def test_a_sample_depends_on_seed_split_and_number_only(folder, told):
    one, again = (opened(folder, told) for _ in range(2))
    assert one[7].captions == again[7].captions and one[7].regions == again[7].regions
    assert one[7].open().tobytes() == again[7].open().tobytes() and one.version == again.version
    splits = [{"split": split} for split in ("validation", "test", "held_out")]
    others = [opened(folder, told, **o) for o in ({"seed": 1}, *splits)]
    assert len({str(each[7].regions) for each in (one, *others)}) == 5
    assert len({each.version for each in (one, *others)}) == 5
    assert opened(folder, told, samples=5).version == one.version


def test_splits_share_no_layout_over_many_seeds(folder, told):
    drawn = [
        str(opened(folder, told, samples=1, seed=seed, split=split)[0].regions)
        for split in ("train", "validation", "test")
        for seed in (*range(40), 2**32 - 1)
    ]
    assert len(set(drawn)) == len(drawn)


def test_samples_go_to_reading_processes(folder, told):
    sample = pickle.loads(pickle.dumps(opened(folder, told)[3]))
    assert sample.open().size == (sample.width, sample.height)


def test_pictures_have_the_sizes_asked_for(folder):
    sizes = ((96, 128), (128, 96), (64, 64))
    drawn = [opened(folder, sizes=sizes)[index] for index in range(30)]
    assert {sample.open().size for sample in drawn} == set(sizes)
    assert all(sample.open().size == (sample.width, sample.height) for sample in drawn)


def test_a_changed_picture_changes_the_version(tmp_path):
    write_cutout(tmp_path / "ball.png")
    before = opened(tmp_path).version
    write_cutout(tmp_path / "ball.png", (40, 40))
    assert opened(tmp_path).version != before


def test_only_the_held_out_split_shows_the_pairs_that_are_held_out(folder, told):
    share = 0.3
    pairs = opened(folder, told, held_out=share).pairs
    assert any(pair.tint for pair in pairs) and any(pair.ground for pair in pairs)
    for split in ("train", "test"):
        drawn = opened(folder, told, split=split, held_out=share, samples=200)
        assert drawn.pairs == pairs and not any(unseen(drawn, i) for i in range(len(drawn)))
    held_out = opened(folder, told, split="held_out", held_out=share, samples=200)
    assert all(0 in unseen(held_out, index) for index in range(len(held_out)))


def unseen(drawn, index):
    """Which things of a scene are of pairs that are held out."""
    scene, *_ = drawn.draw(index)
    pairs = {(pair.thing.name, pair.tint, pair.ground) for pair in drawn.pairs}
    return [
        number
        for number, thing in enumerate(scene.things)
        if pairs & {(thing.name, thing.tint, ""), (thing.name, "", scene.ground.name)}
    ]


def test_what_is_held_out_depends_on_names_alone(folder, told):
    """The same things in a larger folder, with another seed, are held out from the same."""
    few, many = (
        {(p.thing.name, p.tint, p.ground) for p in drawn.pairs if p.thing.name in ("ball", "kite")}
        for drawn in (opened(folder, held_out=0.4), opened(folder, told, held_out=0.4, seed=5))
    )
    assert few == {pair for pair in many if not pair[1]}


def test_a_ground_that_nothing_is_left_for_is_shown_with_everything(folder, told):
    drawn = opened(folder, told, held_out=1.0)
    assert {pair.ground for pair in drawn.pairs} == {""}
    assert drawn.draw(0) and {tuple(tints) for tints in drawn.tints_of.values()} == {("red",)}


def test_words_say_what_is_seen(folder, told):
    """Every region's text names its thing, and its tint where that is not its own colour."""
    drawn = opened(folder, told, samples=200)
    words = {thing.name: thing.words for thing in drawn.things}
    for index in range(len(drawn)):
        scene, captions, regions = drawn.draw(index)
        assert len(captions) == 3 and all(captions)
        for thing, region in zip(scene.things, regions, strict=True):
            assert any(region.text.endswith(word) for word in words[thing.name])
            if thing.tint and thing.tint != thing.colour:
                assert thing.tint in region.text.split() and thing.tint in captions[0]
            assert not thing.tint or thing.colour
    first = [drawn[i].captions[0] for i in range(200)]
    assert any(c.startswith(("two ", "three ", "four ")) for c in first)
    assert any("the tree" in c for c in first) and not any("a tree" in c for c in first)
    assert any("at night" in c for c in first) and any("background" in c for c in first)


def test_known_words_are_all_the_words_used(folder, told):
    drawn = opened(folder, told, samples=600)
    samples = [drawn[index] for index in range(len(drawn))]
    texts = [text for s in samples for text in (*s.captions, *(r.text for r in s.regions))]
    used = {word.strip(",") for text in texts for word in normalize_text(text).split()}
    assert used <= set(drawn.options.words()) and set(drawn.options.words()) - used <= {
        "four",
        "an",
    }


def test_a_tint_turns_the_main_hue_and_leaves_grays(folder):
    for name, wanted in TINTS.items():
        if name == "red":
            continue
        data = np.asarray(cutout(folder / "ball.png", "red", name), int)
        assert np.abs(data[-5, -5, :3] - wanted).max() <= 12
        assert np.abs(data[3, 3, :3] - (230, 230, 235)).max() <= 3
    assert np.array_equal(cutout(folder / "ball.png", "red", "red"), cutout(folder / "ball.png"))


@pytest.mark.parametrize("gray", [(0, 0, 0, 255), (255, 255, 255, 255), (120, 122, 121, 255)])
def test_a_thing_without_hue_has_no_colour_that_could_be_turned(gray, tmp_path):
    write_cutout(tmp_path / "coal.png", colour=gray)
    (tmp_path / "list.toml").write_text('coal = { colour = "red" }\n')
    with pytest.raises(ValueError, match="'coal' in .*colour = 'red', but only 0.0% of coal.png"):
        opened(tmp_path, str(tmp_path / "list.toml"))
    (tmp_path / "list.toml").write_text("coal = {}\n")
    assert opened(tmp_path, str(tmp_path / "list.toml"), tint=1.0)[0].regions


def test_files_are_named_by_their_names_or_by_the_words_beside_them(tmp_path):
    for name in ("red-Car_2", "red car 1", "x17"):
        write_cutout(tmp_path / f"{name}.png")
    (tmp_path / "x17.txt").write_text("garden gnome\ngnome\n")
    things, problems = read_things(str(tmp_path))
    assert not problems
    assert {t.name: (len(t.files), t.words, t.plural) for t in things} == {
        "red car": (2, ("red car",), "red cars"),
        "garden gnome": (1, ("garden gnome", "gnome"), "garden gnomes"),
    }


def test_pictures_of_one_thing_share_their_wordings(tmp_path):
    told = {"dog 1": "dog\nhound\n", "dog 2": "dog\npuppy\nhound\n", "x": "dog\nmutt\n", "cat": ""}
    for name, text in told.items():
        write_cutout(tmp_path / f"{name}.png")
        if text:
            (tmp_path / f"{name}.txt").write_text(text)
    cat, dog = read_things(str(tmp_path))[0]
    assert dog.words == ("dog", "hound", "puppy", "mutt") and len(dog.files) == 3
    assert cat.words == ("cat",)


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        ("palm tree", "Palm_tree-02"),
        ("éclair", "éclair"),
        ("a, a", "a (3)/A(12)"),
        ("dog, dog, dog", "dog/dog 1/dog_2"),
        ("dog, dog", "dog1/dog2"),
        ("boeing 747, boeing", "boeing 747/boeing"),
        ("iphone 12, iphone 13", "iphone 12/iphone-13"),
        ("ps4, ps5, mp3", "ps4/ps5/mp3"),
        ("7up, 747, route 66", "7up/747/route 66 (2)"),
        (", ".join(["cup"] * 12), "/".join(f"cup {number}" for number in range(1, 13))),
    ],
)
def test_numbers_at_the_end_of_names_count_copies_where_they_are_small(names, stems):
    stems = stems.split("/")
    assert ", ".join(names_of(stems)[stem] for stem in stems) == names


def test_the_command_says_which_pictures_are_one_thing(tmp_path, monkeypatch, capsys):
    for name in ("dog 1", "dog 2", "boeing 747", "boeing 737"):
        write_cutout(tmp_path / f"{name}.png")
    monkeypatch.setattr("sys.argv", f"train data cutouts --path {tmp_path}".split())
    assert main() == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "one thing: dog: dog 1.png, dog 2.png" and second.startswith("3 things")


@pytest.mark.parametrize(
    ("one", "many"), [("car", "cars"), ("box", "boxes"), ("berry", "berries"), ("toy", "toys")]
)
def test_regular_plurals(one, many):
    assert plural_of(one) == many


def make_bad(folder, fault):
    path = folder / "bad.png"
    if fault == "no transparency":
        Image.new("RGB", (20, 20), "red").save(path)
    elif fault == "nothing of it is transparent":
        Image.new("RGBA", (20, 20), "red").save(path)
    elif fault == "empty":
        Image.new("RGBA", (20, 20)).save(path)
    elif fault == "cannot be read":
        path.write_bytes(b"no picture")
    elif fault == "cannot be a thing's words":
        path = write_cutout(folder / "<bin_1>.png")
    elif fault == "letters":
        path = write_cutout(folder / f"{'x' * 61}.png")
    else:
        (folder / "bad.txt").write_text("\n")
        write_cutout(path)
    return path.name


FAULTS = (
    "no transparency",
    "nothing of it is transparent",
    "empty",
    "cannot be read",
    "cannot be a thing's words",
    "letters",
    "write what the thing is called",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_cutout_is_named_and_left_out(fault, tmp_path):
    name = make_bad(tmp_path, fault)
    with pytest.raises(ValueError, match=f"can be used as a thing; .*{fault}"):
        opened(tmp_path)
    write_cutout(tmp_path / "ball.png")
    drawn = opened(tmp_path)
    assert [thing.name for thing in drawn.things] == ["ball"]
    assert [problem.key for problem in drawn.problems] == [name]
    assert fault in drawn.problems[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ghost = {}", "'ghost' in .*there is no ghost.jpg"),
        ('ball = { colour = "teal" }', "'ball' in .*colour = 'teal': choose from red"),
        ("ball = { size = 3 }", "'ball' in .*give a table of article, colour, file"),
        ('ball = { words = ["<b>"] }', "'ball' in .*cannot be a thing's words"),
        ("ball = {", "is not TOML"),
        ("", "is empty"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(line, reason, folder, tmp_path):
    (tmp_path / "list.toml").write_text(line)
    with pytest.raises(ValueError, match=reason):
        opened(folder, str(tmp_path / "list.toml"))


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"split": "val"}, "split = 'val': choose from train, validation, test, held_out"),
        ({"samples": 0}, "samples = 0: say how many"),
        ({"counts": (0,)}, "counts.0 = 0: give a whole number of at least 1 and at most 8"),
        ({"grounds": ()}, "name some, or give backgrounds"),
        ({"grounds": ("moon",)}, "grounds.0 = 'moon': choose from plain, land"),
        ({"sides": (0.5, 0.2)}, "sides = .0.5, 0.2.: give the shorter first"),
        ({"stretch": 0.5}, "stretch = 0.5: give a number of at least 1 and at most 4"),
        ({"overlap": 1.5}, "overlap = 1.5: give a number of at least 0 and at most 1"),
        ({"sizes": ((100, 64),)}, "sizes.0.0 = 100: give a multiple of 8"),
        ({"split": "held_out", "held_out": 0.0}, "keeps no pair of these 4 things apart"),
    ],
)
def test_options_that_cannot_be_are_refused(option, reason, folder):
    with pytest.raises(ValueError, match=reason):
        opened(folder, **option)


def test_given_grounds_are_drawn_on_and_named(folder, tmp_path):
    Image.new("RGB", (200, 100), (1, 2, 250)).save(tmp_path / "brick_wall.png")
    Image.new("RGB", (200, 100), (1, 2, 250)).save(tmp_path / "k.jpg")
    (tmp_path / "k.txt").write_text("in a kitchen\non a kitchen table\n")
    (tmp_path / "broken.png").write_bytes(b"x")
    drawn = opened(folder, backgrounds=str(tmp_path), grounds=(), counts=(1,), held_out=0.0)
    assert [problem.key for problem in drawn.problems] == ["broken.png"]
    said = " / ".join(drawn[i].captions[0] for i in range(60))
    for where in ("in front of a brick wall", "in a kitchen", "on a kitchen table"):
        assert where in said
    corners = np.asarray(drawn[0].open(), int)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (np.abs(corners - (1, 2, 250)).max(axis=1) <= 6).any()


def test_a_training_can_name_the_kind(folder, told):
    table = {"kind": "cutouts", "path": str(folder), "things": told, "samples": 4}
    (config,) = build(DataConfig, {"sets": [table]}).sets
    assert open_set(config, 96)[0].open().size == (96, 96)
    unseen = open_set(config.unseen(9), 96)
    assert len(unseen) == 9 and unseen[0].key == "validation/0"


@pytest.mark.parametrize("form", FORMS)
def test_the_command_draws_a_sheet_and_writes_sets_that_others_read(
    form, folder, told, tmp_path, monkeypatch, capsys
):
    arguments = f"train data cutouts --path {folder} --things {told} --samples 5 --sizes 64x96"
    arguments += f" --sheet {tmp_path / 's.png'} --export {tmp_path / 'out'} --form {form}"
    monkeypatch.setattr("sys.argv", arguments.split())
    assert main() == 0
    assert "4 things, 2 of which can be tinted" in capsys.readouterr().out
    assert Image.open(tmp_path / "s.png").width > 400
    out = tmp_path / "out"
    files = {"path": str(out / "set.jsonl") if form == "json_lines" else str(out)}
    if form == "coco":
        files |= {name: str(out / f"{file}.json") for name, file in COCO.items()}
    again = open_set(CONFIGS[form](**files))
    wanted = opened(folder, told, samples=5, sizes=((64, 96),))
    assert len(again) == 5
    for index in range(5):
        assert set(again[index].captions) == set(wanted[index].captions)
        assert boxes(again[index]) == pytest.approx(boxes(wanted[index]), abs=1e-6)
        texts = [region.text for region in wanted[index].regions]
        named = list(wanted.shown(index)) if form == "yolo" else texts
        assert [region.text for region in again[index].regions] == named
        assert again[index].open().tobytes() == wanted[index].open().tobytes()


def test_an_exported_coco_set_has_a_category_for_each_thing(folder, told, tmp_path, monkeypatch):
    """The same ones however few are drawn; what is said of a thing is its annotation's caption."""
    out = tmp_path / "out"
    command = f"train data cutouts --path {folder} --things {told} --samples 3 --export {out}"
    monkeypatch.setattr("sys.argv", [*command.split(), "--form", "coco"])
    assert main() == 0
    exported = json.loads((out / "instances.json").read_text("utf-8"))
    names = {category["id"]: category["name"] for category in exported["categories"]}
    assert list(names.values()) == ["ball", "kite", "crate", "tree"]
    drawn = opened(folder, told, samples=3)
    found = [(one["image_id"], names[one["category_id"]]) for one in exported["annotations"]]
    assert found == [(i, thing.name) for i in range(3) for thing in drawn.draw(i)[0].things]
    texts = [one["caption"] for one in exported["annotations"]]
    assert texts == [region.text for i in range(3) for region in drawn[i].regions]


COCO = {"annotations": "instances", "captions": "captions"}


def boxes(sample):
    return [side for r in sample.regions for side in (r.box.x0, r.box.y0, r.box.x1, r.box.y1)]


def test_what_is_there_is_not_written_over(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    arguments = f"train data cutouts --path {folder} --samples 2 --export {tmp_path / 'out'}"
    monkeypatch.setattr("sys.argv", arguments.split())
    assert main() == 2 and "is there already" in capsys.readouterr().err


def test_another_package_than_the_one_trained_with_is_refused(tmp_path):
    other = tmp_path / "other.tgz"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match="has the hash sha512-.*not that of @lobehub"):
        fluent_emoji.get_pictures(tmp_path / "new", other)
    assert not (tmp_path / "new").exists()


def test_without_npm_one_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="npm is not installed: .*--package"):
        fluent_emoji.get_pictures(tmp_path / "new")


def test_the_list_of_everyday_things_has_over_a_hundred(tmp_path):
    """Each with a picture of its own, read as the list of a set is."""
    for file in re.findall('file = "([^"]+)"', fluent_emoji.LIST.read_text(encoding="utf-8")):
        write_cutout(tmp_path / f"{file}.webp", (8, 8))
    things, _ = read_things(str(tmp_path), str(fluent_emoji.LIST))
    assert len(things) == len({thing.files for thing in things}) >= 100
    assert all(thing.words for thing in things)


def test_the_exported_file_is_what_json_lines_reads(folder, tmp_path):
    from train.data.export_set import export_set

    drawn = opened(folder, samples=3)
    shown = ((drawn[i], drawn.shown(i)) for i in range(3))
    assert export_set(shown, tmp_path / "out", "json_lines", THINGS) == 3
    assert len(open_set(CONFIGS["json_lines"](path=str(tmp_path / "out" / "set.jsonl")))) == 3

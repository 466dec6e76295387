"""Blind pairs for people, and what is made of their answers."""

from __future__ import annotations

import argparse
import io
import json
import re
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter, PngImagePlugin

from train.data.shapeskills import Split, render, sample
from train.evaluate.people import key_path, questions_of, write_people_page
from train.evaluate.people_statistics import krippendorff_alpha, ratio_interval, sign_test
from train.evaluate.suite import Case
from train.evaluate.tally import add_command, tally

NAMES = ("steady-otter", "windy-badger")
SAMPLES = {f"layout-{i}": sample(i, split=Split.TEST, size=64) for i in range(8)}
CASES = [Case(name, one.layout, seed) for seed, (name, one) in enumerate(SAMPLES.items())]


def sharp(case):
    """The truth, as a file that names who drew it."""
    image = render(SAMPLES[case.name].scene)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("checkpoint", NAMES[0])
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=notes, icc_profile=NAMES[0].encode())
    return Image.open(file)


def blurred(case):
    return render(SAMPLES[case.name].scene).filter(ImageFilter.GaussianBlur(4))


def write(folder, seed=0, cases=CASES, names=NAMES):
    """The page and its key."""
    page = write_people_page(folder / "people.html", cases, sharp, blurred, names=names, seed=seed)
    return page, json.loads(key_path(page).read_text("utf-8"))


def study_in(page):
    found = re.search(r'id="study">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1])


def picture(data):
    return Image.open(io.BytesIO(b64decode(data)))


# The page


def test_the_page_does_not_tell_who_drew_what(tmp_path):
    page, key = write(tmp_path)
    html = page.read_bytes()
    for pair in study_in(page)["pairs"]:
        for side in ("left", "right"):
            file = b64decode(pair[side])
            assert not picture(pair[side]).info
            assert set(re.findall(rb"IHDR|IDAT|IEND|tEXt|iTXt|zTXt|iCCP|eXIf|tIME", file)) == {
                *(b"IHDR", b"IDAT", b"IEND")
            }
            html += file
    for secret in (*NAMES, *(pair["case"] for pair in key["pairs"])):
        assert secret.encode() not in html


def test_the_key_tells_who_drew_what(tmp_path):
    page, key = write(tmp_path)
    cases = {case.name: case for case in CASES}
    study = study_in(page)
    assert key["page"] == study["page"]
    assert [pair["case"] for pair in key["pairs"]] != list(cases), "the order is shuffled"
    assert {pair["case"] for pair in key["pairs"]} == set(cases)
    for told, shown in zip(key["pairs"], study["pairs"], strict=True):
        case = cases[told["case"]]
        assert shown["caption"] == case.layout.caption
        for side in ("left", "right"):
            drawn = sharp(case) if told[side] == NAMES[0] else blurred(case)
            assert not ImageChops.difference(picture(shown[side]), drawn.convert("RGB")).getbbox()
    assert sum(pair["left"] == NAMES[0] for pair in key["pairs"]) == len(CASES) / 2


def test_a_seed_makes_the_same_page_again(tmp_path):
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        page, _ = write(tmp_path / name, seed)
        files.append((page.read_bytes(), key_path(page).read_bytes()))
    assert files[0] == files[1]
    assert files[0][0] != files[2][0] and files[0][1] != files[2][1]


def test_one_region_has_no_relation():
    for case in CASES:
        asked = ("count", "relation", "attributes")
        if len(case.layout.regions) < 2:
            asked = ("count", "attributes")
        assert questions_of(case.layout) == asked
    assert {len(case.layout.regions) for case in CASES} >= {1, 2}


def test_words_of_a_layout_cannot_break_the_page(tmp_path):
    from dataclasses import replace

    hostile = "</script><script>alert(1)</script><!-- {{study}} \\1 \u2028"
    case = replace(CASES[0], layout=replace(CASES[0].layout, caption=hostile))
    page, _ = write(tmp_path, cases=[case])
    assert study_in(page)["pairs"][0]["caption"] == hostile
    assert page.read_bytes().count(b"<script") == 3


def test_a_key_of_another_study_is_kept(tmp_path):
    _, first = write(tmp_path, seed=1)
    write(tmp_path, seed=1)
    assert len(list(tmp_path.iterdir())) == 2
    _, second = write(tmp_path, seed=2)
    kept = json.loads((tmp_path / "people_key.old-1.json").read_text("utf-8"))
    assert (kept, second["page"] == first["page"]) == (first, False)


def test_a_large_page_says_how_to_cut_it(tmp_path, monkeypatch):
    monkeypatch.setattr("train.evaluate.people.LARGEST_PAGE", 30_000)
    with pytest.warns(UserWarning, match=r"people.html has 0\.\d MB in 8 pairs.*--layouts \d"):
        write(tmp_path)


@pytest.mark.parametrize("names", [("a", "a"), ("a", " ")])
def test_names_must_tell_the_checkpoints_apart(tmp_path, names):
    with pytest.raises(ValueError, match="must differ and not be empty"):
        write(tmp_path, names=names)


def test_a_page_needs_a_case(tmp_path):
    with pytest.raises(ValueError, match="no case to show"):
        write(tmp_path, cases=[])


# Answers, said of the first and the second checkpoint


class Study:
    """A key on disk, and raters who answer by checkpoint."""

    def __init__(self, folder, pairs, flip=False):
        self.folder = folder
        names = NAMES[::-1] if flip else NAMES
        self.lefts = [number % 2 for number in range(pairs)]
        self.key = folder / "people_key.json"
        told = [
            {
                "case": f"layout-{number}",
                "left": NAMES[left],
                "right": NAMES[1 - left],
                "questions": ["count", "relation", "attributes"],
            }
            for number, left in enumerate(self.lefts)
        ]
        self.key.write_text(json.dumps({"page": "abc", "names": names, "pairs": told}))

    def answers(self, rater, pairs, page="abc"):
        """A file of one rater. pairs: {number: {question: (first, second), "better": 0/1/"tie"}}"""
        given = []
        for number, said in pairs.items():
            item = {"pair": number, "seconds": 2.0}
            for name, value in said.items():
                if name == "better":
                    sides = {0: "left", 1: "right"}
                    item[name] = sides.get(value, value)
                    if self.lefts[number] and value in sides:
                        item[name] = sides[1 - value]
                else:
                    left, right = value[:: -1 if self.lefts[number] else 1]
                    item[name] = {"left": left, "right": right}
            given.append(item)
        path = self.folder / f"answers-{rater}.json"
        path.write_text(json.dumps({"page": page, "rater": rater, "answers": given}))
        return path


def test_shares_are_those_that_were_given(tmp_path):
    study = Study(tmp_path, pairs=4)
    ann = study.answers(
        "Ann",
        {
            0: {"count": (True, False), "better": 0},
            1: {"count": (True, False), "better": 0},
            2: {"count": (True, True), "better": "tie"},
            3: {"count": (False, None), "better": 1},
        },
    )
    ben = study.answers("Ben", {0: {"count": (True, True), "relation": (False, True)}})
    found = tally(study.key, [ann, ben]).figures
    count = found["questions"]["count"]
    assert count["answers"] == 4 and count["answered_on_one_side_only"] == 1
    assert (count["first"]["mean"], count["second"]["mean"]) == (1.0, 0.5)
    assert count["difference"]["mean"] == 0.5
    assert count["sign_test_p"] == 0.5, "two pairs for the first, none for the second"
    assert found["questions"]["relation"]["difference"] == {"mean": -1.0, "interval": None}
    assert found["questions"]["attributes"]["first"] == {"mean": None, "interval": None}
    better = found["better"]
    assert (better["first"], better["ties"], better["second"]) == (0.5, 0.25, 0.25)
    assert better["preference"]["mean"] == 0.625, "ties count half"
    assert better["sign_test_p"] == 1.0
    assert better["left_chosen"] == pytest.approx(2 / 3), "of pairs 0, 1 and 3 all but 1"
    assert found["raters"]["Ann"] == {
        "answers": 7,
        "pairs": 4,
        "complete_pairs": 0,
        "median_seconds": None,
    }


@settings(max_examples=8)
@given(
    said=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from([0, 1, "tie"])),
        min_size=2,
        max_size=12,
    )
)
def test_the_other_checkpoint_has_the_opposite_difference(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("study")
    given = {i: {"count": one[:2], "better": one[2]} for i, one in enumerate(said)}
    results = []
    for flip in (False, True):
        study = Study(folder, len(said), flip)
        results.append(tally(study.key, [study.answers("Ann", given)]).figures)
    a, b = (result["questions"]["count"] for result in results)
    assert a["difference"]["mean"] == -b["difference"]["mean"]
    low, high = b["difference"]["interval"]
    assert a["difference"]["interval"] == pytest.approx((-high, -low))
    assert (a["first"], a["sign_test_p"]) == (b["second"], b["sign_test_p"])
    a, b = (result["better"] for result in results)
    assert a["preference"]["mean"] == pytest.approx(1 - b["preference"]["mean"])
    assert a["left_chosen"] == b["left_chosen"]


def test_intervals_hold_the_truth_in_95_of_100_studies():
    """Raters of a pair see the same pictures, so that their answers go together."""
    chance = np.random.default_rng(0)
    studies, pairs, raters, lean = 400, 20, 3, 0.2
    held = 0
    for seed in range(studies):
        drawn = np.clip(0.5 + chance.normal(0, 0.3, (pairs, 2)) + (lean / 2, -lean / 2), 0, 1)
        yes = chance.random((raters, pairs, 2)) < drawn
        given = chance.random((raters, pairs)) < 0.8  # not everyone answers everything
        difference = (yes[..., 0].astype(int) - yes[..., 1]) * given
        low, high = ratio_interval(difference.sum(0), given.sum(0), seed, resamples=300)
        held += low <= TRUE_DIFFERENCE <= high
    assert 0.92 <= held / studies <= 0.98


def expected_difference(lean=0.2, spread=0.3):
    """Of clipped shares, by adding up over a fine grid of what the normal distribution gives."""
    z = np.linspace(-6, 6, 20_001)
    weight = np.exp(-(z**2) / 2)
    share = [np.clip(0.5 + spread * z + side * lean / 2, 0, 1) for side in (1, -1)]
    return float(((share[0] - share[1]) * weight).sum() / weight.sum())


TRUE_DIFFERENCE = expected_difference()


def test_one_pair_has_no_interval():
    assert ratio_interval([2, 0], [3, 0]) is None


def test_agreement_is_that_of_the_published_example():
    """Krippendorff (2011), four observers and twelve units, nominal: 0.743."""
    observers = ("12332141 2...", "12332241 25.3", ".3332342 251.", "12332441 251.")
    rows = [row.replace(" ", "") for row in observers]
    units = [[value for value in unit if value != "."] for unit in zip(*rows, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([[True, True], [False, False]], 1.0),
        ([[True, False]] * 4, -0.75),
        ([[True], [False]], None),
        ([[True, True]] * 3, None),
    ],
    ids=["always", "never", "one rater", "no difference to agree on"],
)
def test_agreement_at_its_ends(units, expected):
    assert krippendorff_alpha(units) == (expected if expected is None else pytest.approx(expected))


def test_the_sign_test_leaves_ties_out():
    assert sign_test([1, 2, 0.5, 3, 1, 0, 0]) == pytest.approx(2 / 2**5)
    assert sign_test([1, -1]) == 1.0
    assert sign_test([0, 0]) is None


# The command


def run(capsys, *words):
    """What `python -m train tally` prints."""
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    arguments = parser.parse_args(["tally", *map(str, words)])
    assert arguments.run(arguments) == 0
    return capsys.readouterr().out


def test_the_command_prints_tables_and_writes_them(tmp_path, capsys):
    study = Study(tmp_path, pairs=6)
    said = {"count": (True, False), "relation": (True, True), "attributes": (False, False)}
    every = {number: {**said, "better": 0} for number in range(6)}
    files = [study.answers(rater, every) for rater in ("Ann", "Ben")]
    printed = run(capsys, "--key", study.key, *files, "--output", tmp_path / "out")
    assert "| Count right | 100.0 | 0.0 | +100.0 | +100.0 to +100.0 | 0.0312 | 1 | 12 |" in printed
    assert "| 100.0 | 0.0 | 0.0 | 100.0 | 100.0 to 100.0 | 0.0312 | - | 12 |" in printed
    assert "| Ben | 24 | 6 | 6 | 2 |" in printed
    assert (tmp_path / "out" / "tally.md").read_text("utf-8") in printed
    figures = json.loads((tmp_path / "out" / "tally.json").read_text("utf-8"))
    assert figures["names"] == list(NAMES)
    assert figures["questions"]["count"]["difference"] == {"mean": 1.0, "interval": [1.0, 1.0]}


MISTAKES = {
    "of another page": ({"page": "xyz"}, "answers page 'xyz', but the key is of page 'abc'"),
    "no answers": ({"answers": None}, "needs the rater's name and a list of answers"),
    "no rater": ({"rater": " "}, "needs the rater's name and a list of answers"),
    "an unknown pair": ({"answers": [{"pair": 2}]}, "pair 2 is unknown: the page has pairs 0 to 1"),
    "a pair twice": ({"answers": [{"pair": 0}, {"pair": 0}]}, "pair 0 is answered twice"),
    "a text as answer": ({"answers": [{"pair": 0, "count": "yes"}]}, "count = 'yes' of pair 0"),
    "a wrong side": ({"answers": [{"pair": 0, "better": "up"}]}, "not left, right or tie"),
    "a wrong time": ({"answers": [{"pair": 0, "seconds": "1"}]}, "seconds = '1' of pair 0"),
    "no object": ({"answers": ["0"]}, "'0' is no answer to a pair"),
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_broken_file_is_named(tmp_path, change, message):
    study = Study(tmp_path, pairs=2)
    path = study.answers("Ann", {0: {"better": 0}})
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        tally(study.key, [path])
    assert "answers-Ann.json" in str(error.value)


def test_half_a_file_is_named(tmp_path):
    study = Study(tmp_path, pairs=2)
    path = study.answers("Ann", {0: {"better": 0}})
    path.write_text(path.read_text()[:30])
    with pytest.raises(ValueError, match=r"answers-Ann\.json' is not JSON"):
        tally(study.key, [path])


def test_two_files_of_one_rater_are_named(tmp_path):
    study = Study(tmp_path, pairs=2)
    paths = [study.answers(rater, {0: {"better": 0}}) for rater in ("Ann", "ann")]
    paths[1] = paths[1].rename(tmp_path / "later.json")
    with pytest.raises(ValueError, match=r"answers-Ann\.json' and '.*later\.json' are both of"):
        tally(study.key, paths)


def test_an_answer_to_what_was_not_asked_is_refused(tmp_path):
    study = Study(tmp_path, pairs=1)
    key = json.loads(study.key.read_text())
    key["pairs"][0]["questions"].remove("relation")
    study.key.write_text(json.dumps(key))
    path = study.answers("Ann", {0: {"relation": (True, True)}})
    with pytest.raises(ValueError, match="an answer to 'relation', which it was not asked"):
        tally(study.key, [path])


def test_answers_given_as_the_key_are_refused(tmp_path):
    study = Study(tmp_path, pairs=1)
    path = study.answers("Ann", {})
    with pytest.raises(ValueError, match="is no key of pairs: give the people_key.json"):
        tally(path, [path])

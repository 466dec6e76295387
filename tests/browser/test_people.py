"""The page of blind pairs as a rater meets it: from a file, by keyboard, with nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest
from PIL import ImageFilter
from playwright.sync_api import expect

from train.data.shapeskills import Split, render, sample
from train.evaluate.people import key_path, write_people_page
from train.evaluate.suite import Case
from train.evaluate.tally import tally

NAMES = ("steady-otter", "windy-badger")
SAMPLES = [sample(i, split=Split.TEST) for i in range(3)]
CASES = [Case(f"layout-{i}", one.layout, i) for i, one in enumerate(SAMPLES)]
CASES[2] = replace(CASES[2], layout=replace(CASES[2].layout, regions=()))
LEFT, RIGHT, BETTER = "123", "456", {"left": "7", "tie": "8", "right": "9"}
QUESTIONS = ("count", "relation", "attributes")


def sharp(case):
    return render(SAMPLES[case.seed].scene)


def blurred(case):
    return sharp(case).filter(ImageFilter.GaussianBlur(4))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The page's file and its key, read."""
    path = tmp_path_factory.mktemp("study") / "people.html"
    write_people_page(path, CASES, sharp, blurred, names=NAMES)
    return path, json.loads(key_path(path).read_text("utf-8"))


@pytest.fixture
def page(chromium, study):
    """The page open in a fresh profile; it must neither fail nor ask for anything."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors, requests = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(study[0].as_uri())
    page.bring_to_front()
    yield page
    context.close()
    assert not errors
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}


def begin(page, rater="Ann"):
    name = page.locator("#rater")
    expect(name).to_be_focused()
    page.keyboard.type(rater)
    expect(name).to_have_value(rater)
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("Pair 1 of 3")


def press(page, keys):
    for key in keys:
        page.keyboard.press(key)


def save(page, folder, how="s"):
    """The file that a key, or a click on the button, saves."""
    with page.expect_download() as download:
        if how == "click":
            page.locator("#save").click()
        else:
            page.keyboard.press(how)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def turn(page, hidden):
    """Tell the page what another tab in front tells it: without a screen no tab is hidden."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def stop_clock(page):
    """Begin again with a clock that moves by run_for alone."""
    page.clock.install(time=0)
    page.clock.pause_at(datetime(2000, 1, 1))
    page.reload()


def pressed(page):
    """Labels of the buttons of answers that are chosen."""
    chosen = page.locator('.choice[aria-pressed="true"]:visible')
    return chosen.evaluate_all("all => all.map((one) => one.ariaLabel)")


def test_a_study_by_keyboard_alone_is_tallied(page, study, tmp_path):
    path, key = study
    stop_clock(page)
    begin(page, "Åsa B.")
    for number, pair in enumerate(key["pairs"]):
        expect(page.locator("#place")).to_have_text(f"Pair {number + 1} of 3")
        page.clock.run_for(3_000)
        left_is_sharp = pair["left"] == NAMES[0]
        for digits, is_sharp in ((LEFT, left_is_sharp), (RIGHT, not left_is_sharp)):
            for digit in digits:  # where a question is not asked, its key does nothing
                press(page, digit if is_sharp else digit * 2)
        press(page, BETTER["left" if left_is_sharp else "right"])
        press(page, ["Enter"])
    expect(page.locator("#done")).to_have_text("3/3 answered")
    expect(page.locator("#status")).to_contain_text("press s to save")
    file = save(page, tmp_path)
    assert file.name == "answers-Åsa-B.json"
    found = tally(key_path(path), [file]).figures
    asked = {name: sum(name in pair["questions"] for pair in key["pairs"]) for name in QUESTIONS}
    assert asked["relation"] < asked["count"] == 3
    for name in QUESTIONS:
        answered = found["questions"][name]
        assert (answered["answers"], answered["difference"]["mean"]) == (asked[name], 1.0)
    assert (found["better"]["answers"], found["better"]["preference"]["mean"]) == (3, 1.0)
    rater = found["raters"]["Åsa B."]
    assert (rater["complete_pairs"], rater["median_seconds"]) == (3, 3)


def test_a_key_says_yes_then_no_then_nothing(page, tmp_path):
    begin(page)
    for expected in ([True], [False], []):
        press(page, "1")
        saved = json.loads(save(page, tmp_path).read_text("utf-8"))
        values = [answer["count"]["left"] for answer in saved["answers"]]
        assert values == expected
        assert saved["rater"] == "Ann"
    press(page, "88")
    assert not pressed(page)


def test_reloading_and_other_raters_keep_answers(page, tmp_path):
    begin(page)
    press(page, ["1", "5", "5", "9", "ArrowRight", "8"])
    chosen = pressed(page)
    page.reload()
    expect(page.locator("#place")).to_have_text("Pair 2 of 3")
    assert pressed(page) == chosen == ["Better: Tie"]
    press(page, ["ArrowLeft"])
    before = pressed(page)
    assert "Better: Right" in before and "left, Count right? Yes" in before

    page.get_by_role("button", name="Other rater").click()
    begin(page, "Ben")
    assert not pressed(page)
    page.get_by_role("button", name="Other rater").click()
    begin(page, "Ann")
    assert pressed(page) == before
    expect(page.locator("#rater-name")).to_have_text("Ann")


def test_the_time_of_a_pair_is_that_of_looking_at_it(page, tmp_path):
    stop_clock(page)
    page.clock.run_for(60_000)  # reading what the study is about
    begin(page)
    page.clock.run_for(5_000)
    press(page, "1")
    turn(page, hidden=True)
    page.clock.run_for(60_000)
    turn(page, hidden=False)
    press(page, ["ArrowRight"])
    page.clock.run_for(7_000)
    press(page, ["8", "ArrowLeft"])
    page.clock.run_for(2_000)
    saved = json.loads(save(page, tmp_path).read_text("utf-8"))
    assert [answer["seconds"] for answer in saved["answers"]] == [7, 7]


def test_the_mouse_does_all_that_keys_do(page, tmp_path):
    begin(page)
    page.get_by_role("button", name="left, Count right? No").click()
    page.get_by_role("button", name="Better: Left").click()
    page.get_by_role("button", name="Boxes").click()
    assert page.locator("#left .box").count() == page.locator("#sketch .box").count()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Back").click()
    assert pressed(page) == ["left, Count right? No", "Better: Left"]
    saved = json.loads(save(page, tmp_path, "click").read_text("utf-8"))
    [answer] = saved["answers"]
    assert (answer["count"], answer["better"]) == ({"left": False, "right": None}, "left")


def test_enter_goes_on_whatever_was_clicked_last(page):
    begin(page)
    page.get_by_role("button", name="Better: Tie").click()
    press(page, ["Enter"])
    expect(page.locator("#place")).to_have_text("Pair 2 of 3")
    press(page, ["Enter", "Enter"])
    expect(page.locator("#place")).to_have_text("Pair 1 of 3")
    assert pressed(page) == ["Better: Tie"]


def test_the_focus_is_seen_and_space_presses_it(page):
    begin(page)
    chosen = page.get_by_role("button", name="left, Count right? Yes")
    for _ in range(10):
        press(page, ["Tab"])
        if chosen.evaluate("one => one === document.activeElement"):
            break
    assert chosen.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    press(page, ["Space"])
    assert pressed(page) == ["left, Count right? Yes"]


def test_boxes_lie_over_both_pictures_where_the_layout_says(page, study):
    begin(page)
    press(page, "b")
    [case] = [one for one in CASES if one.name == study[1]["pairs"][0]["case"]]
    for side in ("left", "right"):
        frame = page.locator(f"#{side} .frame").bounding_box()
        for region, box in zip(
            case.layout.regions, page.locator(f"#{side} .box").all(), strict=True
        ):
            drawn = box.bounding_box()
            found = [
                (drawn["x"] - frame["x"]) / frame["width"],
                (drawn["y"] - frame["y"]) / frame["height"],
                (drawn["x"] + drawn["width"] - frame["x"]) / frame["width"],
                (drawn["y"] + drawn["height"] - frame["y"]) / frame["height"],
            ]
            wanted = [region.box.x0, region.box.y0, region.box.x1, region.box.y1]
            assert found == pytest.approx(wanted, abs=0.01)
        texts = page.locator(f"#{side} .tag").all_inner_texts()
        assert len(texts) == len(case.layout.regions)
    press(page, "b")
    assert page.locator("#left .box").count() == 0


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_pair_fits_the_window(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    begin(page)
    size = page.evaluate(
        "(({scrollWidth, scrollHeight}) => [scrollWidth, scrollHeight])(document.documentElement)"
    )
    assert size[0] == width
    assert size[1] == 800 or width == 420
    pictures = [page.locator(f"#{side} img").bounding_box() for side in ("left", "right")]
    assert pictures[0]["y"] == pictures[1]["y"]
    assert pictures[0]["width"] == pictures[1]["width"] == pytest.approx(pictures[0]["height"])
    assert pictures[0]["width"] > 0.3 * min(width, 800)

"""Where the browser of the browser tests comes from, and what is said when there is none."""

import os
from pathlib import Path

import pytest

import browser
import dev


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any browser, that only has what is put into this folder on its PATH."""
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.setattr(browser, "PLACES", {})
    return tmp_path


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ([], True),
        (["-q", "-k", "box"], True),
        (["tests"], True),
        (["tests/browser"], True),
        (["tests/dev", "tests/browser/test_comfy_page.py::test_it"], True),
        (["tests/dev"], False),
        (["-x", "tests/core/test_layout.py::test_it"], False),
        (["--ignore=tests/browser"], False),
    ],
)
def test_a_browser_is_got_when_browser_tests_run(words: list[str], needed: bool) -> None:
    assert browser.is_needed(words) == needed


def test_the_browser_that_chromium_path_names_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "my-chromium"
    mine.touch()
    monkeypatch.setenv("CHROMIUM_PATH", str(mine))
    assert browser.get_chromium(print) == mine
    monkeypatch.setenv("CHROMIUM_PATH", str(tmp_path / "none"))
    with pytest.raises(dev.Failure, match="CHROMIUM_PATH is '.*none', which is no file"):
        browser.get_chromium(print)


@pytest.mark.skipif(os.name == "nt", reason="Windows finds programs by their extension")
def test_an_installed_browser_is_taken_and_nothing_is_got(bare: Path) -> None:
    installed = bare / "chromium"
    installed.touch(mode=0o755)
    said: list[str] = []
    assert browser.get_chromium(said.append) == installed
    assert not said


def test_without_a_browser_and_a_network_one_line_says_what_to_do(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"http://127.0.0.1:{dev.free_port()}"
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", nobody)
    monkeypatch.setattr(browser, "is_roots_debian", lambda: False)  # its packages come another way
    said: list[str] = []
    with pytest.raises(dev.Failure, match="no Chromium .* CHROMIUM_PATH, .*--ignore") as failed:
        browser.get_chromium(said.append)
    assert "\n" not in str(failed.value)
    assert [line for line in said if line.startswith("Getting Playwright's Chromium")]


def test_a_font_that_cannot_be_had_is_told_and_stops_nothing(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "is_roots_debian", lambda: True)
    monkeypatch.setattr(browser, "APT", (browser.PYTHON, "-c", "exit('E: no package')"))
    said: list[str] = []
    browser.get_font(said.append)
    assert len(said) == 2 and "(E: no package); tests that need one are left out" in said[1]

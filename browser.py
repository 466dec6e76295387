"""The Chromium of the browser tests: one that is there, else one that is installed without asking.

Nothing is installed as another user, and Debian's packages only by root, as in a container.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from comfy_server import PYTHON, ROOT, Failure, run

TESTS = ROOT / "tests" / "browser"
COMMANDS = ("google-chrome-stable", "google-chrome", "chromium", "chromium-browser")
PLACES = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ),
    "win32": (
        r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
        r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
    ),
}
PLAYWRIGHTS = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
)
APT: tuple[str | Path, ...] = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y")
# Where its downloads are blocked, Playwright must not wait long for each of its mirrors.
IMPATIENT = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000"}


def is_needed(words: Sequence[str]) -> bool:
    """Whether pytest, given these words, runs browser tests."""
    if any(word.rstrip("/") == "--ignore=tests/browser" for word in words):
        return False
    paths = [ROOT / word.partition("::")[0] for word in words if not word.startswith("-")]
    named = [path for path in paths if path.exists()]
    return not named or any(TESTS in (p, *p.parents) or p in TESTS.parents for p in named)


def find_chromium() -> Path | None:
    """The browser that CHROMIUM_PATH names, else an installed one, else Playwright's own if any."""
    given = os.environ.get("CHROMIUM_PATH")
    if given:
        if not Path(given).is_file():
            raise Failure(f"CHROMIUM_PATH is {given!r}, which is no file. Name one or unset it.")
        return Path(given)
    return next((path for path in candidates() if path.is_file()), None)


def candidates() -> Iterator[Path]:
    yield from (Path(found) for name in COMMANDS if (found := shutil.which(name)))
    yield from (Path(os.path.expandvars(place)) for place in PLACES.get(sys.platform, ()))
    status, output = run([PYTHON, "-c", PLAYWRIGHTS])
    if status == 0:
        yield Path(output.strip())


def get_chromium(say: Callable[[str], None]) -> Path:
    """find_chromium(), after installing one if there is none. Raises Failure if that fails."""
    found = find_chromium()
    if found:
        return found
    said = ""
    for what, commands in installations():
        say(f"Getting {what}")
        for command in commands:
            status, said = run(command, environment=IMPATIENT)
            if status:
                break
        found = find_chromium()
        if found:
            return found
    raise Failure(
        f"there is no Chromium for the browser tests and none can be got"
        f" ({reason(said)}). Install Chromium or Chrome, or set"
        " CHROMIUM_PATH, or leave these tests out: python dev.py test --ignore=tests/browser"
    )


def get_font(say: Callable[[str], None]) -> None:
    """Add a font with Chinese and Japanese letters where Debian has none.

    A test that needs one is left out where none can be had, so that is only said.
    """
    if not is_roots_debian() or has_font():
        return
    say("Getting a font with Chinese letters, 2 MB")
    run([*APT, "update"])
    install = [*APT, "install", "--no-install-recommends", "fontconfig", "fonts-droid-fallback"]
    _, said = run(install)
    if not has_font():
        say(f"There is none to be had ({reason(said)}); tests that need one are left out")


def has_font() -> bool:
    lists = shutil.which("fc-list")
    return bool(lists and run([lists, ":lang=zh"])[1].strip())


def reason(said: str) -> str:
    """Why an installation failed, of what it said."""
    lines = [line.strip() for line in said.splitlines() if "rror" in line or line[:2] == "E:"]
    return (lines or ["no reason given"])[0][:120]


def installations() -> Iterator[tuple[str, list[list[str | Path]]]]:
    """What can be tried here, with its commands, the likeliest first."""
    if is_roots_debian():
        packages = ["--no-install-recommends", "chromium", "fonts-dejavu-core"]
        yield "Debian's chromium, 100 MB", [[*APT, "update"], [*APT, "install", *packages]]
    root = sys.platform == "linux" and os.geteuid() == 0
    install: list[str | Path] = [PYTHON, "-m", "playwright", "install", "--no-shell", "chromium"]
    # Its libraries are packages of the system, which only root may add without asking.
    yield "Playwright's Chromium, 200 MB", [[*install, "--with-deps"] if root else install]


def is_roots_debian() -> bool:
    """Debian itself, and root's: Ubuntu's package of this name only fetches a snap."""
    if sys.platform != "linux" or os.geteuid():
        return False
    try:
        return "\nID=debian\n" in f"\n{Path('/etc/os-release').read_text('utf-8')}\n"
    except OSError:
        return False

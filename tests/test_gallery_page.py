"""The gallery's page in a real browser, from a file: prompts as text, keys, lazy images, sizes, names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from earlier import remember
from imgcli.core.history import Parent
from test_gallery import HOSTILE, PLAIN, png

if TYPE_CHECKING:
    from browser import Browser
    from conftest import Cli

pytestmark = pytest.mark.slow
OPEN = "document.getElementById('lightbox').open"
FOCUS = "document.activeElement.dataset.index ?? document.activeElement.id"
LOADED = "[...document.querySelectorAll('#grid img')].filter(one => one.complete && one.naturalWidth).length"
MANY = 500
NAMED = {"button", "link", "searchbox", "combobox", "image", "dialog", "region"}
"""Roles of what needs a name."""


@pytest.fixture
def page(imgcli: Cli, world: dict[str, str], folder: Path, browser: Browser) -> Path:
    """A gallery in the browser: five images with hostile prompts, and one that was made from the newest."""
    browser.resize(1280, 800)
    entries = [
        remember(world, (png((40 * number, 90, 90)), folder / f"{number}.png"), prompt=prompt)
        for number, prompt in enumerate(HOSTILE)
    ]
    parents = (Parent(entries[-1].images[0].sha256),)
    remember(world, (png((9, 9, 200)), folder / "child.png"), prompt="make it night", parents=parents)
    assert 0 == imgcli("gallery").exit_code
    path = folder / PLAIN / "index.html"
    browser.open(path.as_uri())
    return path


def text(browser: Browser, selector: str) -> Any:
    """Return the text of an element."""
    return browser.evaluate(f"document.querySelector({selector!r}).textContent")


@pytest.mark.usefixtures("page")
def test_a_prompt_is_text(browser: Browser) -> None:
    """No prompt becomes markup or code, in list and lightbox, and the page breaks no rule of its own."""
    for number, prompt in enumerate(HOSTILE, start=1):
        browser.evaluate(f"location.hash = '#{number}'")
        browser.wait_for(f"{OPEN} && document.getElementById('title').textContent === '{number - 1}.png'")
        if browser.evaluate("!document.getElementById('whole').hidden"):
            browser.evaluate("document.getElementById('whole').click()")
        assert prompt == text(browser, "#prompt")
    assert "Image gallery" == browser.evaluate("document.title")
    assert [2, 0] == browser.evaluate(
        "['script', '[onerror]'].map(one => document.querySelectorAll(one).length)"
    )
    assert [] == browser.console + browser.thrown


def test_nothing_is_asked_of_others(browser: Browser, page: Path) -> None:
    """The page asks for files of its folder and for the originals, and for nothing else."""
    browser.press("Tab", "Tab", "Tab", "Tab", "Enter")
    browser.wait_for(OPEN)
    folder = page.parent.parent.as_uri()
    assert [] == [address for address in browser.requests if not address.startswith(f"{folder}/")]
    assert f"{folder}/child.png" in browser.requests


@pytest.mark.usefixtures("page")
def test_it_is_used_by_keys(browser: Browser) -> None:
    """Tab leads into the list, arrows move, Enter opens, arrows go on, Escape goes back to that image."""
    browser.press("Tab", "Tab", "Tab", "Tab")
    assert "0" == browser.evaluate(FOCUS)
    browser.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert "1" == browser.evaluate(FOCUS)
    browser.press("ArrowDown")
    assert "5" == browser.evaluate(FOCUS)  # there is nothing below, so the last one
    browser.press("Home", "Enter")
    browser.wait_for(OPEN)
    assert ("lightbox", "child.png") == (browser.evaluate(FOCUS), text(browser, "#title"))
    browser.press("ArrowLeft")  # there is no newer one
    browser.press("ArrowRight", "ArrowRight")
    browser.wait_for("document.getElementById('title').textContent === '3.png'")
    assert "3 of 6" == text(browser, "#position")
    browser.press("Escape")
    browser.wait_for(f"({FOCUS}) === '2'")  # the browser itself goes back to where it was opened first
    assert not browser.evaluate(OPEN)
    browser.press("End")
    assert "5" == browser.evaluate(FOCUS)
    assert [] == browser.console + browser.thrown


@pytest.mark.usefixtures("page")
def test_kin_is_linked(browser: Browser) -> None:
    """An image's family is a tree whose links lead to each of them; the browser's Back closes it."""
    browser.evaluate("document.querySelector('.tile').click()")
    browser.wait_for(OPEN)
    browser.wait_for("document.querySelector('#family li li [aria-current]')?.hash === '#6'")
    browser.evaluate("document.querySelector('#family a').click()")
    browser.wait_for("document.getElementById('title').textContent === '4.png'")
    browser.evaluate("document.querySelector('#family li li a').click()")
    browser.wait_for("document.getElementById('title').textContent === 'child.png'")
    for _ in range(3):
        browser.evaluate("history.back()")
    browser.wait_for(f"!{OPEN}")


@pytest.mark.usefixtures("page")
def test_commands_are_copied(browser: Browser) -> None:
    """A button copies the command line, and the page says which."""
    browser.evaluate("document.querySelector('.tile').click()")
    browser.wait_for(OPEN)
    browser.evaluate("document.getElementById('again').focus()")
    browser.press("Enter")
    assert browser.wait_for("document.getElementById('copied').textContent") == "Copied: imgcli again 6"


@pytest.mark.usefixtures("page")
def test_what_is_gone_is_said(browser: Browser, folder: Path) -> None:
    """An original that went away after the gallery was made leaves its thumbnail, and words."""
    (folder / "child.png").unlink()
    browser.evaluate("document.querySelector('.tile').click()")
    browser.wait_for(f"{OPEN} && !document.getElementById('missing').hidden")
    assert "Original not found" == text(browser, "#missing")
    browser.wait_for("document.querySelector('#full img').naturalWidth === 64")
    assert browser.evaluate("document.getElementById('open').hidden")


@pytest.mark.usefixtures("page")
def test_search(browser: Browser) -> None:
    """What is typed leaves the images that have it in their prompt or name, at once, and says how many."""
    browser.evaluate("document.getElementById('search').focus()")
    browser.write("</SCRIPT>")
    assert "1 of 6 images" == text(browser, "#count")
    browser.write(" no such thing")
    assert browser.evaluate("!document.getElementById('none').hidden")
    browser.evaluate("document.getElementById('reset').click()")
    assert ("6 images", "search") == (text(browser, "#count"), browser.evaluate(FOCUS))


@pytest.mark.usefixtures("page")
def test_it_fits_a_phone(browser: Browser) -> None:
    """On a narrow screen nothing is wider than it, in the list or in the lightbox."""
    browser.resize(360, 640, 2, is_phone=True)
    wide = "Math.max(document.documentElement.scrollWidth, document.getElementById('lightbox').scrollWidth)"
    assert 360 >= browser.evaluate(wide)
    for number in range(1, 7):
        browser.evaluate(f"location.hash = '#{number}'")
        browser.wait_for(OPEN)
        assert 360 >= browser.evaluate(wide)


@pytest.mark.usefixtures("page")
def test_screen_readers_hear_names(browser: Browser) -> None:
    """Every control and every image that tells something has a name; an image's is its prompt."""
    names = list[str]()
    for number in (None, 6):
        if number:
            browser.evaluate(f"location.hash = '#{number}'")
            browser.wait_for(OPEN)
        names += browser.named(NAMED)
    assert [] == [name for name in names if name.endswith(" ")]
    assert {"searchbox Search", "combobox Model", "combobox Day"} <= set(names)
    assert {"dialog child.png", "button Close", "button Older image"} <= set(names)
    assert any(name.startswith("button make it night 2026-11-22") for name in names), names
    assert f"image {HOSTILE[1]}" in names


def test_five_hundred_images(imgcli: Cli, world: dict[str, str], folder: Path, browser: Browser) -> None:
    """Of 500 images those near the window are loaded, the last ones when they are; nothing moves."""
    browser.resize(1280, 800)
    for run in range(MANY // 10):
        images = ((png((run, number, 0)), folder / f"{run}-{number}.png") for number in range(10))
        remember(world, *images, prompt=f"run {run}")
    assert 0 == imgcli("gallery").exit_code
    browser.open((folder / PLAIN / "index.html").as_uri())
    browser.wait_for(f"{LOADED} > 10")
    assert 100 > browser.evaluate(LOADED)
    tops = "[...document.querySelectorAll('.tile')].map(one => one.offsetTop)"
    before = browser.evaluate(tops)
    for _ in range(5):
        browser.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        browser.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    browser.wait_for("document.querySelectorAll('.tile').length === 500")
    browser.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    browser.wait_for("[...document.querySelectorAll('#grid img')].at(-1).naturalWidth > 0")
    assert before == browser.evaluate(tops)[: len(before)]
    assert MANY - 100 > browser.evaluate(LOADED)
    browser.evaluate("document.querySelector('.tile').focus()")
    browser.press("End", "Enter")
    browser.wait_for(OPEN)
    assert "500 of 500" == text(browser, "#position")


@pytest.mark.usefixtures("page")
def test_it_may_be_moved(browser: Browser, imgcli: Cli, folder: Path, tmp_path: Path) -> None:
    """With its originals the folder can be taken anywhere."""
    assert 0 == imgcli("gallery", "-o", "all", "--copy-originals").exit_code
    moved = shutil.move(folder / "all", tmp_path / "moved & <b>here</b> #1")
    browser.open((Path(moved) / "index.html").as_uri() + "#6")
    browser.wait_for(f"{OPEN} && document.querySelectorAll('#full img')[1].naturalWidth === 64")
    assert [] == browser.console + browser.thrown

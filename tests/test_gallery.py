"""Galleries, through the front door: which images, what the page is told of them, what is written."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from PIL import Image

from beside import wait_for
from earlier import REQUEST, history, remember
from imgcli.core.history import Parent
from imgcli.core.image import ImageFormat
from imgcli.web.gallery.gallery_page import PAGE, page_files

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\u202egnp.tac\u202c \u200f\u05e9\u05dc\u05d5\u05dd\u200f 'it' `is` ${value} \\u003c \u2028 \x1b[2J",
    "a cat on a very long roof, " * 1200,
    "",
)
"""Prompts that are text, whatever they look like."""
PLAIN = "imgcli-gallery"


def png(color: tuple[int, int, int] = (200, 20, 20), size: tuple[int, int] = (64, 48)) -> bytes:
    """Encode an image of one color."""
    data = BytesIO()
    Image.new("RGB", size, color).save(data, "PNG")
    return data.getvalue()


def told(root: Path) -> list[dict[str, Any]]:
    """Read what the page is told of every image."""
    script = (root / "gallery-data.js").read_bytes().decode("ascii")
    assert script.startswith("globalThis.imgcliGallery = ")
    assert script.endswith(";\n")
    images: list[dict[str, Any]] = json.loads(script[script.index("{") : -2])["images"]
    return images


def test_a_page_of_everything(imgcli: Cli, folder: Path) -> None:
    """A gallery has a page, a thumbnail per image, and for each the prompt, parameters, bill and commands."""
    assert 0 == imgcli("gen", "a cat", "--demo", "-q", "--quality", "low").exit_code
    done = imgcli("gallery")
    root = folder / PLAIN
    assert (0, [str(root / "index.html")], "") == (done.exit_code, done.lines, done.stderr)
    names = {"index.html", "gallery.css", "gallery.js", "gallery-data.js", "thumbnails"}
    assert names == {path.name for path in root.iterdir()}
    (image,) = told(root)
    with Image.open(root / image["thumbnail"]) as small:
        assert ("WEBP", (480, 480)) == (small.format, small.size)
    assert (folder / "a-cat.png").samefile(root / image["original"])
    assert ("a cat", "a-cat.png", "demo", "there") == tuple(
        image[key] for key in ("prompt", "name", "cost", "state")
    )
    assert ("imgcli again 1", "imgcli edit 1 ") == (image["again"], image["edit"])
    facts = dict(image["facts"])
    assert ("low", "1024x1024", "gpt-4o-mini") == (facts["quality"], facts["size"], facts["model"])
    assert "total" == image["bill"][-1][0]
    assert re.fullmatch(r"\$0\.\d{4}", image["bill"][-1][-1])


def test_a_prompt_is_text(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """Whatever a prompt looks like, the page gets exactly that text, in a script without any markup."""
    for number, prompt in enumerate(HOSTILE):
        remember(world, (png((number, 0, 0)), folder / f"{number}.png"), prompt=prompt)
    assert 0 == imgcli("gallery").exit_code
    assert HOSTILE == tuple(image["prompt"] for image in reversed(told(folder / PLAIN)))
    assert not re.search(rb"[<>&]", (folder / PLAIN / "gallery-data.js").read_bytes())


def test_what_became_of_files(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """An image whose file is gone, changed, damaged or never was is shown as that, and hinders nothing."""
    for name in ("gone", "changed", "there"):
        remember(world, (png() + name.encode(), folder / f"{name}.png"), prompt=name)
    remember(world, (b"no image", folder / "broken.png"), prompt="broken")
    remember(world, (png(), None), prompt="unsaved")
    (folder / "gone.png").unlink()
    (folder / "changed.png").write_bytes(png((1, 1, 1)))
    done = imgcli("gallery")
    note = "note: 2 image files are gone, changed or unreadable, and shown without the original\n"
    assert (0, note) == (done.exit_code, done.stderr)
    found = {
        image["prompt"]: (image["state"], bool(image["thumbnail"]), bool(image["original"]))
        for image in told(folder / PLAIN)
    }
    assert {
        "unsaved": ("unsaved", False, False),
        "broken": ("there", False, True),
        "there": ("there", True, True),
        "changed": ("changed", False, False),
        "gone": ("gone", False, False),
    } == found


def test_some_of_them(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """--limit counts images, from the newest run on; --search takes runs by their text."""
    remember(world, (png((1, 0, 0)), folder / "old.png"), prompt="a dog")
    remember(world, *((png((2, n, 0)), folder / f"cat {n}.png") for n in range(3)), prompt="three CATS")
    remember(world, (png((3, 0, 0)), folder / "new.png"), prompt="a bird")
    assert 0 == imgcli("gallery", "--limit", "3", "-o", "some").exit_code
    assert ["3", "2-1", "2-2"] == [image["id"] for image in told(folder / "some")]
    assert 0 == imgcli("gallery", "--search", "cats", "-o", "cats").exit_code
    assert ["2-1", "2-2", "2-3"] == [image["id"] for image in told(folder / "cats")]
    assert f"imgcli edit '{folder}/cat 1.png' " == told(folder / "cats")[1]["edit"]
    done = imgcli("gallery", "--search", "horse", "-o", "none")
    assert (2, [], False) == (done.exit_code, done.lines, (folder / "none").exists())
    assert "No image in the history has “horse” in its prompt or path." in done.stderr


def test_the_family(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """An image names what it was made from and what was made of it; kin outside the gallery is counted."""
    first, second = png((1, 0, 0)), png((2, 0, 0))
    remember(world, (first, folder / "1.png"), prompt="a cat")
    parent = remember(world, (second, folder / "2.png"), prompt="a dog").images[0]
    sources = (Parent(parent.sha256), Parent("ab" * 32))
    remember(world, (png((3, 0, 0)), folder / "3.png"), prompt="both", parents=sources)
    assert 0 == imgcli("gallery").exit_code
    kin = [(image["parents"], image["children"], image["outside"]) for image in told(folder / PLAIN)]
    assert [(["2"], [], 1), ([], ["3"], 0), ([], [], 0)] == kin
    assert 0 == imgcli("gallery", "--limit", "1", "-o", "one").exit_code
    assert ([], 2) == tuple(told(folder / "one")[0][key] for key in ("parents", "outside"))


def test_nothing_is_overwritten(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """A folder that has a page is refused as it is; --force updates it and keeps what is gone elsewhere."""
    remember(world, (png(), folder / "1.png"))
    page = folder / PLAIN / "index.html"
    page.parent.mkdir()
    page.write_bytes(b"mine")
    done = imgcli("gallery")
    assert (2, []) == (done.exit_code, done.lines)
    assert "imgcli-gallery already has a file index.html. Nothing was changed." in done.stderr
    assert ([page], b"mine") == (list(page.parent.iterdir()), page.read_bytes())
    assert 0 == imgcli("gallery", "--force").exit_code
    assert b"mine" != page.read_bytes()
    (thumbnail,) = (folder / PLAIN / "thumbnails").iterdir()
    before = thumbnail.stat().st_mtime_ns
    (folder / "1.png").unlink()
    remember(world, (png((9, 9, 9)), folder / "2.png"))
    assert 0 == imgcli("gallery", "--force").exit_code
    states = [(image["state"], bool(image["thumbnail"])) for image in told(folder / PLAIN)]
    assert [("there", True), ("gone", True)] == states
    assert before == thumbnail.stat().st_mtime_ns
    left = imgcli("gallery", "--force", "--limit", "1")
    assert "1 file in" in left.stderr
    assert thumbnail.exists()


def test_there_is_never_half_a_page(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """Where the images' files cannot be written there is no page, or the one before, as it was."""
    remember(world, (png(), folder / "1.png"))
    root = folder / PLAIN
    for is_update in (False, True):
        root.mkdir(exist_ok=True)
        (root / "thumbnails").write_bytes(b"")
        before = {path.name: path.read_bytes() for path in root.iterdir()}
        done = imgcli("gallery", *(["--force"] if is_update else []))
        assert (12, []) == (done.exit_code, done.lines)
        assert "imgcli-gallery cannot be written" in done.stderr
        assert before == {path.name: path.read_bytes() for path in root.iterdir()}
        (root / "thumbnails").unlink()
        if not is_update:
            assert 0 == imgcli("gallery").exit_code
            remember(world, (png((1, 1, 1)), folder / "2.png"))
            shutil.rmtree(root / "thumbnails")


def test_copies_for_others(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """With --copy-originals the folder stands for itself: byte for byte, and nothing of my machine in it."""
    one, two = png((1, 0, 0)), png((2, 0, 0))
    remember(world, (one, folder / "it's.png"), (two, folder / "#2?.png"))
    assert 0 == imgcli("gallery", "--copy-originals", "-o", "all").exit_code
    for path in folder.glob("*.png"):
        path.unlink()
    assert 0 == imgcli("gallery", "--copy-originals", "-o", "all", "--force").exit_code
    images = told(folder / "all")
    root = (folder / "all").rename(folder / "elsewhere")
    assert [one, two] == [(root / unquote(image["original"])).read_bytes() for image in images]
    assert ["there", "there"] == [image["state"] for image in images]
    assert "imgcli edit originals/it-s-" in images[0]["edit"]
    assert str(folder).encode() not in (root / "gallery-data.js").read_bytes()


def test_links_lead_to_odd_names(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """The address of an original is one, whatever is in its name, in the gallery's own folder too."""
    names = ["a:b.png", "50% #1?.png", os.fsdecode(b"\xff.png"), "日本.png"]
    for number, name in enumerate(names):
        remember(world, (png((number, 0, 0)), folder / name))
    assert 0 == imgcli("gallery", "-o", ".").exit_code
    addresses = [image["original"] for image in reversed(told(folder))]
    assert ["a%3Ab.png", "50%25%20%231%3F.png", "%FF.png", "%E6%97%A5%E6%9C%AC.png"] == addresses


def test_what_is_private_is_left_out(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """What may name a person or hold a secret goes into the history, and not into a page that others see."""
    request = replace(REQUEST, safety_identifier="alice", extra=('key="s3cret"',), instructions="be bold")
    remember(world, (png(), folder / "1.png"), request=request)
    assert 0 == imgcli("gallery").exit_code
    page = (folder / PLAIN / "gallery-data.js").read_text()
    assert [True, False, False] == [text in page for text in ("be bold", "alice", "s3cret")]


def test_drawings(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """An SVG file is its own thumbnail: as an image it runs no script."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8z"/></svg>'
    entry = remember(world, (drawing, folder / "a.svg"))
    with history(world) as book:
        book.record(replace(entry, images=(replace(entry.images[0], format=ImageFormat.SVG),)))
    assert 0 == imgcli("gallery").exit_code
    (image_told,) = told(folder / PLAIN)
    assert image_told["thumbnail"].endswith(".svg")
    assert drawing == (folder / PLAIN / image_told["thumbnail"]).read_bytes()


def test_it_is_opened(imgcli: Cli, world: dict[str, str], folder: Path, tmp_path: Path) -> None:
    """--open gives the page to the desktop; where nothing opens it, a note says so and the page is there."""
    remember(world, (png(), folder / "1.png"))
    programs = tmp_path / "bin"
    programs.mkdir()
    done = imgcli("gallery", "--open", env={"PATH": str(programs)})
    note = "note: xdg-open is not installed, so the page was not opened.\n"
    assert (0, note) == (done.exit_code, done.stderr)
    tool = programs / "xdg-open"
    opened = tmp_path / "opened"
    tool.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}.part\n/bin/mv {opened}.part {opened}\n')
    tool.chmod(0o755)
    assert 0 == imgcli("gallery", "--open", "--force", env={"PATH": str(programs)}).exit_code
    wait_for(opened.exists)
    assert str(folder / PLAIN / "index.html") == opened.read_text()


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--limit", "0"], 2, "--limit must be between 1 and 1,000,000,000."),
        (["--search", " "], 2, "--search must not be empty."),
        (["-o", ""], 2, "-o needs the name of a folder."),
        (["-o", "-"], 2, "-o needs the name of a folder."),
        (["-o", "1.png"], 12, "1.png cannot be written"),
        (["-o", "1.png/g"], 12, "1.png/g cannot be written"),
    ],
)
def test_refusals(
    imgcli: Cli, world: dict[str, str], folder: Path, options: list[str], code: int, sentence: str
) -> None:
    """What cannot be done is one sentence and an exit code, and leaves everything as it was."""
    remember(world, (png(), folder / "1.png"))
    done = imgcli("gallery", *options)
    assert (code, []) == (done.exit_code, done.lines)
    assert sentence in done.stderr
    assert (["1.png"], png()) == ([path.name for path in folder.iterdir()], (folder / "1.png").read_bytes())


def test_no_history_no_gallery(imgcli: Cli, folder: Path) -> None:
    """Without any image there is no gallery, and a way to get one."""
    done = imgcli("gallery")
    assert (2, [], []) == (done.exit_code, done.lines, list(folder.iterdir()))
    assert 'Try: imgcli gen "a cat" --demo' in done.stderr


def test_the_page_is_closed_to_the_world() -> None:
    """The page has no inline code and names no other host; it comes last, so there is never half of one."""
    files = dict(page_files([]))
    assert PAGE == list(files)[-1]
    for name, data in files.items():
        assert not re.search(rb"https?:|//[a-z]|@import|url\(", data.replace(b"// ", b"")), name
    page, script = files[PAGE].decode(), files["gallery.js"].decode()
    assert not re.search(r"<style|<script>|\son\w+=|\sstyle=|javascript:|unsafe-", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert {"default-src 'none'", "base-uri 'none'", "form-action 'none'"} <= set(policy[1].split("; "))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch\(|XMLHttp", script)

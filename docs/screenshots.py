"""Take the documentation's images: python docs/screenshots.py [live grid kitty sixel blocks gallery serve].

Real commands in real terminals on a virtual screen, against the demo server. Needs Debian's xvfb, kitty,
xterm, imagemagick and fonts-dejavu-core; for the pages chromium.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from browser import Browser  # noqa: E402 - the tests know how to drive one

PROMPT = "evening over the hills"
NAME = "moonrise.png"
SHOWN = Path(tempfile.gettempdir()) / "images"  # a folder whose name looks well in an image
FONT, BACKGROUND = "DejaVu Sans Mono", "#16161e"
PATIENCE = 90  # seconds for a run
A_LOT = 1.2  # mean difference of grey levels
IMAGE_COLOURS = 500  # text alone has fewer
COMMAND = "printf '\\033[1;32m$\\033[0m imgcli {0}\\n'; {1} {2} 2>&1; touch done; sleep {3}"


@dataclass(frozen=True)
class Shot:
    """An image for the README: which terminal, how large in pixels, and what runs in it."""

    terminal: tuple[str, ...]
    size: tuple[int, int]
    typed: str
    run: str


def kitty(size: tuple[int, int]) -> tuple[str, ...]:
    """Start kitty over the whole virtual screen."""
    settings = {
        "initial_window_width": size[0],
        "initial_window_height": size[1],
        "remember_window_size": "no",
        "font_family": FONT,
        "font_size": "10.5",
        "background": BACKGROUND,
        "window_padding_width": "6",
        "update_check_interval": "0",
    }
    options = [argument for name, value in settings.items() for argument in ("-o", f"{name}={value}")]
    return ("kitty", "--config", "NONE", *options)


def xterm(*options: str) -> tuple[str, ...]:
    """Start xterm over the whole virtual screen."""
    look = ("-fa", FONT, "-fs", "10", "-bg", BACKGROUND, "-fg", "#d8d8d8", "-b", "6", "-bw", "0")
    return ("xterm", *look, "-geometry", "100x50+0+0", *options, "-e")


GENERATE = f'gen "{PROMPT}" --demo --seed 8'
VARIANTS = f'gen "{PROMPT}" -n 4 --demo --seed 8'
VIEW = f"view {NAME}"
SMALL = (400, 440)
SHOTS = {
    "live": Shot(kitty((720, 600)), (720, 600), GENERATE, f"{GENERATE} --width 52"),
    "grid": Shot(kitty((920, 480)), (920, 480), VARIANTS, VARIANTS),
    "kitty": Shot(kitty(SMALL), SMALL, VIEW, f"{VIEW} --width 44"),
    "sixel": Shot(xterm("-ti", "vt340"), SMALL, VIEW, f"{VIEW} --width 44"),
    "blocks": Shot(xterm(), SMALL, VIEW, f"{VIEW} --width 44"),
}


@contextmanager
def screen(size: tuple[int, int]) -> Iterator[str]:
    """Start a virtual screen and yield its name."""
    name = f":{90 + os.getpid() % 9}"
    command = ["Xvfb", name, "-screen", "0", f"{size[0]}x{size[1]}x24"]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    try:
        yield name
    finally:
        server.terminate()
        server.wait()


def environment(display: str, folder: Path) -> dict[str, str]:
    """Return an environment with a home of its own, and nothing that would change what is shown."""
    told = {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "HOME": str(folder), "LANG": "C.UTF-8"}
    unwanted = ("NO_COLOR", "CI", "OPENAI_BASE_URL", "IMGCLI_PREVIEW", "TMUX", "COLORTERM")
    return {name: value for name, value in os.environ.items() if name not in unwanted} | told


def photograph(display: str, folder: Path) -> Image.Image:
    """Take an image of the virtual screen."""
    file = folder / "shot"
    subprocess.run(["import", "-display", display, "-window", "root", f"png:{file}"], check=True)
    with Image.open(file) as image:
        return image.convert("RGB")


def moments(shot: Shot, folder: Path) -> list[Image.Image]:
    """Run a command in its terminal; return the screen each time it had changed a lot, and at the end."""
    imgcli = f'"{sys.executable}" -m imgcli'
    script = COMMAND.format(shot.typed, imgcli, shot.run, PATIENCE)
    done = folder / "done"
    done.unlink(missing_ok=True)
    with screen(shot.size) as display:
        command = [*shot.terminal, "bash", "-c", script]
        window = subprocess.Popen(
            command, env=environment(display, folder), cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            return [*_changes(display, folder, done), _settled(display, folder)]
        finally:
            window.terminate()
            window.wait()


def _changes(display: str, folder: Path, done: Path) -> Iterator[Image.Image]:
    """Yield every new image on the screen until the command has ended."""
    before, deadline = b"", time.monotonic() + PATIENCE
    while not done.exists() and time.monotonic() < deadline:
        seen = photograph(display, folder)
        small = seen.resize((64, 64)).convert("L").tobytes()
        if _difference(small, before) > A_LOT and _is_image(seen):
            yield seen
        before = small
        time.sleep(0.2)


def _settled(display: str, folder: Path) -> Image.Image:
    """Return the screen once nothing moves any more."""
    before, seen = None, photograph(display, folder)
    while before is None or before.tobytes() != seen.tobytes():
        time.sleep(1.5)
        before, seen = seen, photograph(display, folder)
    return seen


def _difference(one: bytes, other: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one) if other else 0.0


def _is_image(seen: Image.Image) -> bool:
    return len(seen.resize((128, 128)).getcolors(128 * 128) or ()) > IMAGE_COLOURS


def beside(images: list[Image.Image]) -> Image.Image:
    """Put moments side by side."""
    gap = 10
    width = sum(shown.width for shown in images) + gap * (len(images) - 1)
    strip = Image.new("RGB", (width, max(shown.height for shown in images)), "white")
    left = 0
    for shown in images:
        strip.paste(shown, (left, 0))
        left += shown.width + gap
    return strip


PAGE_SIZE = 940, 640
SERVED_SIZE, PHONE_SIZE = (940, 1160), (400, 1160)
SCENES = "mountains in fog", "a lighthouse at dusk", "paper hills", "tiles", "the last light", "noon"


def history(folder: Path) -> dict[str, str]:
    """Make images for a gallery, one of them an edit, and return their environment."""
    env = environment("", folder)
    runs = [["gen", scene, "--demo", "--seed", str(seed)] for seed, scene in enumerate(SCENES, start=20)]
    for run in (*runs, ["edit", "last", "add a moon", "--demo", "--seed", "8"]):
        command = [sys.executable, "-m", "imgcli", *run, "--quiet"]
        subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, check=True)
    return env


def gallery(folder: Path) -> list[Image.Image]:
    """Return the page that `imgcli gallery` makes, and one image of it for somebody who prefers dark."""
    command = [sys.executable, "-m", "imgcli", "gallery"]
    subprocess.run(command, cwd=folder, env=history(folder), stdout=subprocess.DEVNULL, check=True)
    address = (folder / "imgcli-gallery" / "index.html").as_uri()
    with Browser(folder / "profile", *PAGE_SIZE) as browser:
        browser.open(address)
        light = browsed(folder, browser)
        browser.prefer("dark")
        browser.open(f"{address}#7")
        return [light, browsed(folder, browser)]


def serve(folder: Path) -> list[Image.Image]:
    """Return the page of `imgcli serve` after a run, and on the phone of somebody who prefers dark."""
    env = history(folder)
    command = [sys.executable, "-m", "imgcli", "serve", "--demo", "--seed", "33", "--port", "0"]
    server = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip() if server.stdout else ""
        with Browser(folder / "profile", *SERVED_SIZE) as browser:
            browser.open(address)
            browser.wait_for("document.getElementById('price').textContent")
            browser.evaluate("document.getElementById('new-size').value = '1536x1024'")
            browser.write("a lighthouse on paper hills")
            browser.press("Enter")
            browser.wait_for("!!document.querySelector('.result .actions:not([hidden])')")
            wide = browsed(folder, browser)
            browser.prefer("dark")
            browser.resize(*PHONE_SIZE, is_phone=True)
            browser.evaluate("document.querySelector('.result .edit').click()")
            browser.write("make it night")
            return [wide, browsed(folder, browser)]
    finally:
        server.terminate()
        server.wait()


def browsed(folder: Path, browser: Browser) -> Image.Image:
    """Take an image of the page in the browser, once every image that is near is there."""
    near = "one.getBoundingClientRect().top < innerHeight && one.offsetParent"
    browser.wait_for(f"[...document.images].every((one) => one.complete || !({near}))")
    time.sleep(1)  # until it is painted
    file = folder / "page.png"
    browser.screenshot(file)
    with Image.open(file) as image:
        return image.convert("RGB")


PAGES = {"gallery": gallery, "serve": serve}


def save(name: str, seen: list[Image.Image]) -> None:
    """Write one of the README's images: three moments of a run, or how it ends."""
    *rough, final = seen
    chosen = [rough[0], rough[len(rough) // 2], final] if name == "live" else [final]
    chosen = seen if name in PAGES else chosen
    beside(chosen).quantize(256, dither=Image.Dither.NONE).save(DOCS / f"{name}.png", optimize=True)


def main(names: list[str]) -> None:
    """Take the images that were asked for, or all of them."""
    for name in ("", *PAGES):  # each page has a history of its own
        (SHOWN / name).mkdir()
    try:
        command = [sys.executable, "-m", "imgcli", *shlex.split(GENERATE), "--quiet", "-o", NAME]
        subprocess.run(command, cwd=SHOWN, stdout=subprocess.DEVNULL, check=True)
        for name in names or [*SHOTS, *PAGES]:
            save(name, PAGES[name](SHOWN / name) if name in PAGES else moments(SHOTS[name], SHOWN))
    finally:
        shutil.rmtree(SHOWN)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Take the documentation's images: python docs/screenshots.py [live grid kitty sixel blocks gallery].

Real commands in real terminals on a virtual screen, against the demo server. Needs Debian's xvfb, kitty,
xterm, imagemagick and fonts-dejavu-core; for the gallery chromium.
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


GALLERY = "gallery"
PAGE_SIZE = 940, 640
SCENES = "mountains in fog", "a lighthouse at dusk", "paper hills", "tiles", "the last light", "noon"


def gallery(folder: Path) -> list[Image.Image]:
    """Return the page that `imgcli gallery` makes, and one image of it for somebody who prefers dark."""
    env = environment("", folder)
    runs = [["gen", scene, "--demo", "--seed", str(seed)] for seed, scene in enumerate(SCENES, start=20)]
    edit = ["edit", "last", "add a moon", "--demo", "--seed", "8"]
    for run in (*runs, edit, ["gallery"]):
        command = [sys.executable, "-m", "imgcli", *run, *([] if run == ["gallery"] else ["--quiet"])]
        subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, check=True)
    address = (folder / "imgcli-gallery" / "index.html").as_uri()
    return [browsed(folder, address), browsed(folder, f"{address}#7", "--force-dark-mode")]


def browsed(folder: Path, address: str, *flags: str) -> Image.Image:
    """Take an image of a page in the browser."""
    file, (width, height) = folder / "page.png", PAGE_SIZE
    look = ("--headless=new", "--hide-scrollbars", f"--window-size={width},{height}", "--no-sandbox")
    taken = (f"--screenshot={file}", "--virtual-time-budget=5000", f"--user-data-dir={folder / 'profile'}")
    command = ["chromium", *look, *taken, *flags, address]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with Image.open(file) as image:
        return image.convert("RGB")


def save(name: str, seen: list[Image.Image]) -> None:
    """Write one of the README's images: three moments of a run, or how it ends."""
    *rough, final = seen
    chosen = [rough[0], rough[len(rough) // 2], final] if name == "live" else [final]
    chosen = seen if name == GALLERY else chosen
    beside(chosen).quantize(256, dither=Image.Dither.NONE).save(DOCS / f"{name}.png", optimize=True)


def main(names: list[str]) -> None:
    """Take the images that were asked for, or all of them."""
    SHOWN.mkdir()
    try:
        command = [sys.executable, "-m", "imgcli", *shlex.split(GENERATE), "--quiet", "-o", NAME]
        subprocess.run(command, cwd=SHOWN, stdout=subprocess.DEVNULL, check=True)
        for name in names or [*SHOTS, GALLERY]:
            save(name, gallery(SHOWN) if name == GALLERY else moments(SHOTS[name], SHOWN))
    finally:
        shutil.rmtree(SHOWN)


if __name__ == "__main__":
    main(sys.argv[1:])

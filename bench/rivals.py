"""Prints what it takes to show an image, beside chafa and beside Python itself: python bench/rivals.py.

Programs run on a terminal of their own, which answers at once; each pair in turn, so that both share the
machine's noise, and the least of all runs counts: what is above it, others have caused. An aim is for the
ratio of CPU time; the clock's stands beside it, and means something on a machine that does nothing else.
How close the images come is in `bench/fidelity.py`; details are in `bench/blocks_speed.py` and
`bench/preview.py`.
"""

from __future__ import annotations

import argparse
import os
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import PIL
import typer

sys.path.append(str(Path(__file__).parent.parent))  # Python itself adds the script's own folder

from bench import preview
from bench.images import landscape, noise, portrait
from bench.pty_runs import Run, Window, run
from PIL import Image

import imgcli
from imgcli.core.image import EncodedImage
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.terminal.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

USUAL, LARGE = Window(80, 42), Window(300, 102)
"""Room for 80x40 and for 300x100 cells, a line about the image, and the shell's prompt."""
_PORTRAIT, _NOISE = "portrait.png", "noise.png"
_ULTRA_HD = 3840, 2160
_GRAIN = 24  # of a photograph that a camera took at dusk
_FORMATS: dict[str, dict[str, Any]] = {"png": {}, "jpeg": {"quality": 90}, "webp": {"quality": 80}}
_OURS = [sys.executable, "-c", "from imgcli.__main__ import main; main()"]
_CHAFA = shutil.which("chafa") or ""
_BARE = "import typer, sys; from PIL import Image; Image.open(sys.argv[1]).load()"


class Race(NamedTuple):
    """What one row compares: two ways to do the same, and at most how many times the CPU time ours may take.

    `most` is how much memory it may take, in MB.
    """

    what: str
    ours: Callable[[], Run]
    rival: Callable[[], Run]
    title: str
    aim: float
    most: float | None = None


def races(folder: Path) -> Iterator[Race]:
    """Yield the rows of the table."""

    def view(name: str, window: Window, protocol: str) -> Callable[[], Run]:
        command = [*_OURS, "view", str(folder / name), "--preview", protocol]
        return lambda: run(command, window, _env(folder))

    def chafa(name: str, *options: str) -> Callable[[], Run]:
        command = [_CHAFA, *options, "-s", "80x40", str(folder / name)]
        return lambda: run(command, USUAL, _env(folder))

    python = "typer and decoding"
    bare = [sys.executable, "-c", _BARE, str(folder / _PORTRAIT)]
    base = lambda: run(bare, USUAL, _env(folder))  # noqa: E731 - as its neighbours
    blocks = ("-f", "symbols", "-c", "full", "--symbols", "block")
    yield Race("1024x1024 to 80x40 blocks", view(_PORTRAIT, USUAL, "blocks"), base, python, 1.4)
    yield Race("the same to 300x100 octants", view(_PORTRAIT, LARGE, "octants"), base, python, 1.2, 90)
    if not _CHAFA:
        return
    for name in _FORMATS:
        photo = f"photo.{name}"
        what = f"3840x2160 {name} to 80x40 blocks"
        yield Race(what, view(photo, USUAL, "blocks"), chafa(photo, *blocks), "chafa", 1.3)
    sixels = view(_NOISE, USUAL, "sixel"), chafa(_NOISE, "-f", "sixel")
    yield Race("1024x1024 of noise to sixels", *sixels, "chafa", 1.0)
    frame = _frame(folder / _PORTRAIT)
    yield Race("a frame of 80x40 blocks in process", frame, chafa(_PORTRAIT, *blocks), "chafa", 0.5)


def _env(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }


def _frame(path: Path) -> Callable[[], Run]:
    """Return what draws a frame as the live view does: from the bytes of a file to rows."""
    data, renderer = path.read_bytes(), BlockRenderer(preview.terminal())

    def draw() -> Run:
        start, used = time.perf_counter(), time.process_time()
        renderer.render(EncodedImage.of(data), preview.BOX)
        return Run(time.perf_counter() - start, time.process_time() - used, 0)

    return draw


def paint(folder: Path) -> None:
    """Write the images that are shown."""
    portrait().save(folder / _PORTRAIT)
    noise().save(folder / _NOISE)
    photo = landscape().resize(_ULTRA_HD, Image.Resampling.BICUBIC)
    grain = Image.merge("RGB", [Image.effect_noise(photo.size, _GRAIN) for _ in range(3)])
    photo = Image.blend(photo, grain, 0.1)
    for name, options in _FORMATS.items():
        photo.save(folder / f"photo.{name}", **options)


def measured(race: Race, rounds: int) -> list[str]:
    """Run both in turn and return a row of the table."""
    runs = [(race.ours(), race.rival()) for _ in range(rounds + 1)][1:]  # the first one warms the caches
    ours, rival = zip(*runs, strict=True)
    took, its = min(one.seconds for one in ours), min(one.seconds for one in rival)
    used, its_used = min(one.cpu for one in ours), min(one.cpu for one in rival)
    memory = max(one.memory for one in ours)
    is_reached = used <= race.aim * its_used and memory <= (race.most or memory)
    most = f", {race.most:.0f} MB" if race.most else ""
    return [
        race.what,
        f"{1000 * used:.0f} ms" + (f", {memory:.0f} MB" if memory else ""),
        f"{race.title} {1000 * its_used:.0f} ms",
        f"{used / its_used:.2f}",
        f"{race.aim:.1f}{most}",
        "yes" if is_reached else "NO",
        f"{took / its:.2f}",
    ]


def handing_on() -> Iterator[list[str]]:
    """Yield the rows on what the protocols cost us, and on what a tick of the clock writes."""
    shown = preview.sample()
    painters = preview.painters()
    for name in ("kitty", "iterm2"):
        painter = painters[name][0]
        _, median, _ = preview.timed(
            lambda painter=painter: Screen().draw(
                painter.render(shown, preview.BOX), "status", preview.COLUMNS
            )  # type: ignore[misc]
        )
        what = f"{name}, a PNG of {len(shown.data) / 1e6:.1f} MB, our CPU"
        yield [what, f"{median:.1f} ms", "< 10 ms", "yes" if median < preview.PASS_THROUGH else "NO"]
    most = max(preview.bytes_per_tick(painter, shown)[0] for painter, _ in painters.values())
    what = "bytes of a tick, the most of any rung"
    yield [what, f"{most}", f"< {preview.TICK}", "yes" if most < preview.TICK else "NO"]


def compared() -> str:
    """Return the names and versions of everything that takes part."""
    found = [f"imgcli {imgcli.__version__}", f"Python {platform.python_version()}"]
    found += [f"typer {typer.__version__}", f"Pillow {PIL.__version__}"]
    if _CHAFA:
        told = subprocess.run([_CHAFA, "--version"], capture_output=True, text=True, check=True).stdout
        found.append(f"chafa {told.split()[2]}")
    return ", ".join(found)


def _table(heading: Sequence[str], rows: Iterator[list[str]]) -> bool:
    """Print rows as they come; return whether all of them are reached."""
    print(f"\n| {' | '.join(heading)} |\n|{'---|' * len(heading)}")
    is_reached = True
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
        is_reached &= "NO" not in row
    return is_reached


def _compile() -> None:
    """Have all of our modules compiled, as an installation has them."""
    for path in Path(imgcli.__file__).parent.rglob("*.py"):
        py_compile.compile(str(path))


def main() -> int:
    """Prints the tables; ends with 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each runs")
    parser.add_argument("words", nargs="*", help="words of the rows to run: all of them")
    options = parser.parse_args()
    _compile()
    print(compared())
    if not _CHAFA:
        print("rows against chafa are left out: apt-get install chafa")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paint(folder)
        words = set(options.words)
        chosen = [race for race in races(folder) if not words or words & {*race.what.split()}]
        heading = ("", "imgcli", "beside", "ratio", "aim", "reached", "by the clock")
        is_reached = _table(heading, (measured(race, options.rounds) for race in chosen))
    if not options.words:
        is_reached &= _table(("", "imgcli", "aim", "reached"), handing_on())
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())

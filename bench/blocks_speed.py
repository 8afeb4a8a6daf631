"""Prints how long one 1024x1024 PNG takes to become 80x40 cells, in our process and in chafa's."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.images import portrait  # noqa: E402
from rich.console import Console  # noqa: E402
from rich_pixels import Pixels  # noqa: E402

from imgcli.core.params import PreviewProtocol  # noqa: E402
from imgcli.output.images.blocks import ansi_lines, draw  # noqa: E402
from imgcli.output.images.decode import decode, fit  # noqa: E402
from imgcli.output.images.pixels import PixelsRenderer  # noqa: E402
from imgcli.output.terminal.capabilities import ColorDepth  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS, ROWS = 80, 40
ROUNDS = 15


def lines(data: bytes, symbols: PreviewProtocol) -> str:
    """Bytes to text by our own writer of colour codes."""
    image = decode(data)
    return "\n".join(ansi_lines(draw(image, fit(image.size, COLUMNS, ROWS), symbols, ColorDepth.TRUECOLOR)))


def by_rich(data: bytes) -> str:
    """Bytes to text by way of rich's console."""
    image = decode(data)
    screen = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=COLUMNS + 1)
    with screen.capture() as captured:
        screen.print(Pixels.from_image(image, fit(image.size, COLUMNS, ROWS), PixelsRenderer()))
    return captured.get()


def contestants(path: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    data = path.read_bytes()
    found: dict[str, Callable[[], object]] = {"decoding alone": lambda: decode(data)}
    for symbols in (
        PreviewProtocol.HALF,
        PreviewProtocol.BLOCKS,
        PreviewProtocol.SEXTANTS,
        PreviewProtocol.OCTANTS,
    ):
        found[f"imgcli {symbols.value}"] = lambda symbols=symbols: lines(data, symbols)  # type: ignore[misc]
    found["imgcli blocks, by rich"] = lambda: by_rich(data)
    if shutil.which("chafa"):
        command = ["chafa", "-f", "symbols", "-c", "full", "-s", f"{COLUMNS}x{ROWS}", "--symbols", "block"]
        found["chafa process"] = lambda: subprocess.run(
            [*command, str(path)], capture_output=True, check=True
        )
    return found


def main() -> None:
    """Prints the first, the best and the median time of each, taken in turn so that all share the noise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portrait.png"
        portrait().save(path)
        timed = contestants(path)
        taken: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(ROUNDS):
            for name, run in timed.items():
                start = time.perf_counter()
                run()
                taken[name].append(1000 * (time.perf_counter() - start))
    rival = sorted(taken.get("chafa process", []))
    print(f"{'ms':24}{'first':>8}{'best':>8}{'median':>8}" + ("   median/chafa" if rival else ""))
    for name, times in taken.items():
        middle = sorted(times)[ROUNDS // 2]
        ratio = f"{middle / rival[ROUNDS // 2]:12.2f}" if rival else ""
        print(f"{name:24}{times[0]:8.1f}{min(times):8.1f}{middle:8.1f}{ratio}")
    if not rival:
        print("chafa is not installed: ours alone")


if __name__ == "__main__":
    main()

"""Prints what an image costs on its way to the screen, beside the targets: python bench/preview.py.

Times are CPU time of our own process, up to the bytes that are written; the terminal's come on top. The rest
of the table, beside chafa and timg, is in `bench/fidelity.py` and `bench/blocks_speed.py`.
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

sys.path.append(str(Path(__file__).parent.parent))  # Python itself adds the script's own folder

from bench.images import portrait

from imgcli.core.events import FinalImage, PartialImage, Started
from imgcli.core.image import EncodedImage
from imgcli.core.params import Api, PreviewProtocol
from imgcli.core.request import ImageRequest
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.iterm2 import ITerm2Renderer, Transfer
from imgcli.output.images.kitty import KittyRenderer, Route
from imgcli.output.images.pixels import HalfRenderer
from imgcli.output.images.protocol import Box
from imgcli.output.images.sixel import SixelRenderer
from imgcli.output.sinks.live import LiveSink
from imgcli.output.terminal.capabilities import ColorDepth, Terminal
from imgcli.output.terminal.console import paint
from imgcli.output.terminal.screen import Screen
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.core.billing.bill import Bill
    from imgcli.core.events import Completed
    from imgcli.output.images.protocol import Renderer

COLUMNS, ROWS = 80, 40
BOX = Box(COLUMNS, ROWS)
CELL = (10, 20)
ROUNDS = 15
WHOLE_SIZE = 1_700_000  # bytes of the API's usual 1024x1024 PNG
PASS_THROUGH = 10.0  # ms for handing a PNG on
TICK = 64  # bytes
REQUEST = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, partials=3)


def sample() -> EncodedImage:
    """A 1024x1024 PNG of about the size that the API sends."""
    image, buffer, strength = portrait(), io.BytesIO(), 0
    while buffer.tell() < WHOLE_SIZE:
        strength += 4
        grain = Image.merge("RGB", (Image.effect_noise(image.size, strength),) * 3)
        buffer = io.BytesIO()
        Image.blend(image, grain, 0.25).save(buffer, "PNG", compress_level=1)
    return EncodedImage.of(buffer.getvalue())


def terminal() -> Terminal:
    """A terminal of 80 by 41 cells in every colour."""
    return Terminal(lambda: os.terminal_size((COLUMNS, ROWS + 1)), ColorDepth.TRUECOLOR)


def painters() -> dict[str, tuple[Renderer, float | None]]:
    """Every rung's painter, and the target in ms where there is one."""
    blocks = {
        rung.value: BlockRenderer(terminal(), rung)
        for rung in (
            PreviewProtocol.OCTANTS,
            PreviewProtocol.SEXTANTS,
            PreviewProtocol.BLOCKS,
            PreviewProtocol.ASCII,
        )
    }
    return {
        "kitty": (KittyRenderer(CELL), PASS_THROUGH),
        "kitty in tmux": (KittyRenderer(CELL, Route.TMUX), None),
        "iterm2": (ITerm2Renderer(CELL, Transfer.MULTIPART), PASS_THROUGH),
        "sixel": (SixelRenderer(CELL), None),
        **{name: (painter, None) for name, painter in blocks.items()},
        "half": (HalfRenderer(terminal(), PreviewProtocol.HALF), None),
    }


def timed(run: Callable[[], str]) -> tuple[float, float, int]:
    """The best and the median of some runs in ms of CPU, and the bytes of what the last one gave."""
    taken, size = [], 0
    for _ in range(ROUNDS):
        start = time.process_time()
        size = len(run().encode())
        taken.append(1000 * (time.process_time() - start))
    return min(taken), sorted(taken)[ROUNDS // 2], size


def _printed(painter: Renderer, shown: EncodedImage) -> str:
    """What the live view prints of an image, by rich."""
    out = io.StringIO()
    paint(SafeWriter(out), Screen().draw(painter.render(shown, BOX), "status", COLUMNS))
    return out.getvalue()


class _Counter(io.StringIO):
    """A terminal that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, text: str) -> int:
        self.written += len(text.encode())
        return len(text)


class _Ready:
    """An provider whose painter needs no asking."""

    widest = None
    note = ""
    cell = None

    def __init__(self, painter: Renderer) -> None:
        self._chosen = painter

    def renderer(self) -> Renderer:
        return self._chosen

    def close(self) -> None:
        """Nothing was asked."""


def no_bill(_request: ImageRequest, _completed: Completed, _partials: int, _images: int) -> Bill:
    """Nobody pays for this."""
    raise NotImplementedError


def bytes_per_tick(painter: Renderer, shown: EncodedImage) -> tuple[int, float]:
    """The most and the mean of what a tick writes in half a minute, an image on the screen."""
    now, out = [1000.0], _Counter()
    sink = LiveSink(out, terminal(), no_bill, lambda: now[0], _Ready(painter), None).open()
    for event in (Started("j", REQUEST), PartialImage("j", 0, 0, shown), FinalImage("j", 0, shown)):
        sink.handle(event)
    costs = []
    for _ in range(240):
        before = out.written
        now[0] += 1 / 8
        sink.refresh()
        costs.append(out.written - before)
    return max(costs), sum(costs) / len(costs)


def main() -> None:
    """Prints a row for each rung."""
    shown = sample()
    print(f"a 1024x1024 PNG of {len(shown.data):,} bytes into {COLUMNS}x{ROWS} cells")
    print(f"{'':16}{'best ms':>9}{'median':>9}{'target':>9}{'bytes':>12}{'tick, most':>12}{'mean':>7}")
    for name, (painter, target) in painters().items():
        best, median, size = timed(
            lambda painter=painter: _printed(painter, shown)  # type: ignore[misc]
        )
        most, mean = bytes_per_tick(painter, shown)
        aim = f"< {target:.0f}" if target else ""
        print(f"{name:16}{best:9.1f}{median:9.1f}{aim:>9}{size:12,}{most:12}{mean:7.1f}")
    print(f"target of a tick: under {TICK} bytes")


if __name__ == "__main__":
    main()

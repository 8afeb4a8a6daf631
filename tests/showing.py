"""What tests of the sinks share: a run as events, a clock that stands still, windows to look at."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyte

from imgcli.core.billing.bill import Bill, Part, Row
from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.core.events import (
    Completed,
    Event,
    Failed,
    FinalImage,
    Notice,
    PartialImage,
    Saved,
    Started,
    Waiting,
)
from imgcli.core.image import EncodedImage
from imgcli.core.params import Api, Quality
from imgcli.core.request import ImageRequest
from imgcli.output.images.protocol import Box, Frame
from imgcli.output.terminal.capabilities import ColorDepth, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.core.events import Json
    from imgcli.core.pipeline import Sink
    from imgcli.output.images.protocol import Renderer

JOB = "j1"
REQUEST = ImageRequest(
    "a cat", "gpt-4o-mini", Api.RESPONSES, size="1024x1024", quality=Quality.MEDIUM, partials=3
)
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\x90q\x00\r[/x][bold]\u202e:smile:"
"""Clipboard, CSI, C1, a NUL, a carriage return, rich markup, a bidi override."""
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[78])")


def png(width: int, height: int, shade: int) -> EncodedImage:
    """Make a grey image without Pillow; another shade makes other bytes."""
    rows = (b"\0" + bytes([shade]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (("IHDR", header), ("IDAT", zlib.compress(rows)), ("IEND", b""))
    return EncodedImage.of(
        b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), data) for name, data in chunks)
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


ROUGH, BETTER, FINE = png(64, 64, 10), png(64, 64, 100), png(64, 64, 200)


def started(request: ImageRequest = REQUEST) -> Started:
    """Begin the usual job."""
    return Started(JOB, request)


def partial(index: int = 0, shown: EncodedImage = ROUGH, image: int = 0) -> PartialImage:
    """Send a rough image."""
    return PartialImage(JOB, image, index, shown)


def final(shown: EncodedImage = FINE, image: int = 0, prompt: str | None = "A cat, sitting") -> FinalImage:
    """Send the image."""
    return FinalImage(JOB, image, shown, prompt)


def saved(name: str = "a-cat.png", image: int = 0, problem: Problem | None = None) -> Saved:
    """Say that it is on disk."""
    return Saved(JOB, image, Path("/pictures") / name, problem)


def notice(text: str) -> Notice:
    """Say something odd."""
    return Notice(JOB, text)


def waiting(seconds: float, reason: str) -> Waiting:
    """Say that the server is busy."""
    return Waiting(JOB, seconds, reason)


def completed(
    model: str | None = "gpt-4o-mini-2024-07-18", usage: Json | None = None, tool_usage: Json | None = None
) -> Completed:
    """End well."""
    tokens = usage or {"input_tokens": 9}
    return Completed(JOB, model, tokens, tool_usage or {"image_gen": {"output_tokens": 5}}, "resp_1")


def failed(
    what: str = "The stream ended with no image.",
    advice: str = "Look at your usage page.",
    code: str | None = None,
    param: str | None = None,
) -> Failed:
    """End badly."""
    return Failed(JOB, Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, advice, code, param))


WHOLE_RUN: tuple[Event, ...] = (
    started(),
    partial(0, ROUGH),
    partial(1, BETTER),
    final(),
    saved(),
    completed(),
)

BILL = Bill(
    (
        Row(Part.TEXT, "gpt-4o-mini", 2941, 0, 249, None, Decimal("0.0004"), Decimal("0.0001")),
        Row(Part.IMAGE, "gpt-image-2", 40, None, 2060, 2, Decimal("0.0002"), Decimal("0.0618")),
    ),
    prices_date=None,
)


def price(_request: ImageRequest, _completed: Completed, _partials: int, _images: int) -> Bill:
    """Charge the same for everything."""
    return BILL


def room(rows: int) -> int:
    """Count the rows that an image gets: the line about its file, the bill and the prompt have theirs."""
    return rows - 1 if rows < 12 else rows - 1 - (5 if rows >= 20 else 1) - 1


@dataclass
class FakeClock:
    """A clock that moves when a test moves it."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


@dataclass
class Ready:
    """A provider whose renderer needs no asking."""

    chosen: Renderer
    widest: int | None = None
    closed: int = 0
    note: str = ""
    cell: tuple[int, int] | None = None

    def renderer(self) -> Renderer:
        """Give it."""
        return self.chosen

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Letters:
    """A renderer that fills its whole box with a letter: `A` for the first image, then `B`, then `C`."""

    def render(self, shown: EncodedImage, box: Box) -> Frame:
        """Cover every cell, so that any row too many or too wide would be seen."""
        letter = {ROUGH.data: "A", BETTER.data: "B", FINE.data: "C"}[shown.data]
        return Frame((f"\x1b[31m{letter * box.columns}\x1b[0m",) * box.rows, box.columns)


class SmallLetters(Letters):
    """A renderer that leaves room beside and under its image, where remains of an earlier one show."""

    def render(self, shown: EncodedImage, box: Box) -> Frame:
        """Cover a part of the box."""
        return super().render(shown, Box(max(box.columns * 3 // 4, 1), max(box.rows // 2, 1)))


class XtermScreen(pyte.HistoryScreen):
    """pyte, resized as xterm does it: rows are cut below the cursor first, then scrolled off above it."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines, history=1000, ratio=0.5)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the window; nothing is wrapped anew."""
        lines, columns = lines or self.lines, columns or self.columns
        scrolled = max(self.cursor.y + 1 - lines, 0)
        rows = {y - scrolled: row for y, row in self.buffer.items() if 0 <= y - scrolled < lines}
        self.buffer.clear()
        self.buffer.update(rows)
        for row in self.buffer.values():
            for x in [x for x in row if x >= columns]:
                del row[x]
        self.cursor.y -= scrolled
        self.lines, self.columns = lines, columns
        self.set_margins()
        self.cursor.x = min(self.cursor.x, columns - 1)


class WrappingScreen(XtermScreen):
    """pyte, resized as VTE, kitty and tmux do it: rows that are too wide are wrapped anew."""

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the window; the cursor stays with its character."""
        columns = columns or self.columns
        above = 0
        rows: list[dict[int, Any]] = []
        for y in range(self.lines):
            cells = dict(self.buffer[y])
            used = max((x for x, cell in cells.items() if cell.data.strip()), default=-1) + 1
            if y == self.cursor.y:
                above = len(rows)
            rows += [
                {x - left: cells[x] for x in cells if left <= x < left + columns}
                for left in range(0, max(used, 1), columns)
            ]
        self.buffer.clear()
        for y, cells in enumerate(rows):
            self.buffer[y].update(cells)
        self.cursor.y = above
        super().resize(lines, columns)


class Window(io.StringIO):
    """A terminal's window: a stream to write to, and a screen to look at."""

    def __init__(self, columns: int = 80, rows: int = 24, kind: type[XtermScreen] = XtermScreen) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.screen = kind(columns, rows)
        self._parser = pyte.Stream(self.screen)

    def isatty(self) -> bool:
        """It is one."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What it speaks."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Show."""
        self.writes.append(text)
        self._parser.feed(text)
        return len(text)

    def resize(self, columns: int, rows: int) -> None:
        """Drag the window's corner."""
        self.screen.resize(rows, columns)

    def size(self) -> os.terminal_size:
        """Measure it."""
        return os.terminal_size((self.screen.columns, self.screen.lines))

    def terminal(self, depth: ColorDepth = ColorDepth.TRUECOLOR) -> Terminal:
        """Describe it."""
        return Terminal(self.size, depth)

    @property
    def lines(self) -> list[str]:
        """What is to be seen, without trailing blanks."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def history(self) -> list[str]:
        """What has scrolled off above, and what is to be seen."""
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return [line.rstrip() for line in [*above, *self.screen.display]]

    @property
    def is_cursor_shown(self) -> bool:
        """Whether the user has the cursor back."""
        return not self.screen.cursor.hidden


def feed(sink: Sink, events: Iterable[Event]) -> None:
    """Hand events to a sink, then close it."""
    for event in events:
        sink.handle(event)
    sink.close()

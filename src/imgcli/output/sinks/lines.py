"""Plain lines without escape codes, for files, pipes, dumb terminals and logs."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple, Self, assert_never

from imgcli.core.errors import ExitCode
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started, Waiting
from imgcli.core.messages import (
    notice_line,
    partial_label,
    problem_lines,
    saved_line,
    started_line,
    still_waiting_line,
    waiting_line,
)
from imgcli.core.text import clean, duration
from imgcli.output.images.decode import described, facts
from imgcli.output.sinks.queued import Ticker
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.terminal.hyperlinks import NO_LINKS
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import TextIO

    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.hyperlinks import Hyperlinks


class PendingWords(NamedTuple):
    """What is printed before anything has come, and of an image that is not saved."""

    opening: str
    unsaved: str


GENERATING = PendingWords("connecting", "not saved")
STREAMING = PendingWords("connecting", "written to standard output")
VIEWING = PendingWords("reading", "")


class DescriptionSink:
    """Writes one line per finished image of a run."""

    def __init__(self, stdout: TextIO, name: str) -> None:
        self._out = SafeWriter(stdout)
        self._name = name

    def handle(self, event: Event) -> None:
        """Write an image's line; raises `OSError` when nobody reads."""
        if isinstance(event, FinalImage):
            name = f"{self._name}, image {event.image_index + 1}" if event.image_index else self._name
            self._out.lines([described(name, event.image, ", ")])

    def close(self) -> None:
        """Do nothing: nothing is open."""


def printed_path(saved: Saved) -> Path | None:
    """Return what a script gets of a file: its absolute path, None for what is no image."""
    damaged = saved.problem and saved.problem.exit_code is ExitCode.DAMAGED
    return None if damaged else saved.path.absolute()


class PathsSink:
    """Prints absolute paths when the job has ended: a live image may be on the same terminal until then.

    With `order`, the ids of jobs that share that terminal, it prints them in that order when it is closed.
    """

    def __init__(self, stdout: TextIO, order: Sequence[str] = (), links: Hyperlinks = NO_LINKS) -> None:
        self._stdout = stdout
        self._links = links
        self._order = order
        self._waiting: list[tuple[str, Path]] = []

    def handle(self, event: Event) -> None:
        """Collect paths, then print them; raises `OSError` when nobody reads."""
        match event:
            case Saved():
                if path := printed_path(event):
                    self._waiting.append((event.job, path))
            case Completed() | Failed() if not self._order:
                self._print()
            case _:
                pass

    def close(self) -> None:
        """Print what was not printed yet."""
        self._print()

    def _print(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._order:
            waiting.sort(key=lambda one: self._order.index(one[0]))
        if waiting:
            write_paths(self._stdout, [path for _, path in waiting], self._links)


def write_paths(stdout: TextIO, paths: Iterable[Path], links: Hyperlinks = NO_LINKS) -> None:
    """Write absolute names, a line each, as the bytes they are: a name need not be valid in any encoding.

    On a terminal they are cleaned, for a name may hold what it would obey.
    """
    if stdout.isatty():
        stdout.write("".join(f"{links.to(path, clean(str(path.absolute())))}\n" for path in paths))
        stdout.flush()
        return
    data = b"".join(os.fsencode(path.absolute()) + b"\n" for path in paths)
    stdout.flush()
    binary = getattr(stdout, "buffer", None)
    if binary is None:  # a text stream in memory
        stdout.write(os.fsdecode(data))
    else:
        binary.write(data)
    stdout.flush()


HEARTBEAT = 15.0
"""Seconds without a line after which a person wonders whether anything still happens."""
_LOOKS = 15  # how often in that time the clock is read
_PATIENCE = 1.0  # seconds that a reader who takes nothing may hold up the end


class LinesStyle(NamedTuple):
    """How a `LinesSink` words things: its first line, an image that is not saved, the bill, problems.

    Every line begins with `prefix`: `[2/4] ` for one of several jobs.
    """

    opening: Callable[[ImageRequest], str] = started_line
    words: PendingWords = GENERATING
    write_bill: Callable[[Bill], list[str]] | None = None
    in_color: bool = False
    prefix: str = ""


_USUAL = LinesStyle()


class LinesSink:
    """Writes one line per change, then the bill."""

    def __init__(self, stderr: TextIO, price: Price, clock: Clock, style: LinesStyle = _USUAL) -> None:
        self._out = SafeWriter(stderr)
        self._price = price
        self._style = style
        self._summary = RunSummary(clock)
        self._clock = clock
        self._heartbeat: float | None = None
        self._spoke = 0.0
        self._ticker: Ticker | None = None
        self._lock = threading.Lock()

    def open(self, heartbeat: float) -> Self:
        """Write a line as well when nothing was written for so many seconds."""
        self._heartbeat = heartbeat
        return self

    def handle(self, event: Event) -> None:
        """Write what this event has to say; raises `OSError` when nobody reads."""
        if isinstance(event, Completed | Failed):
            self.close()
        with self._lock:
            self._summary.note(event)
            self._speak(self._lines(event))
        if isinstance(event, Started) and self._heartbeat and not self._ticker:
            self._ticker = Ticker(self._beat, self._heartbeat / _LOOKS)
            self._ticker.start()

    def close(self) -> None:
        """Stop saying that it waits."""
        if self._ticker:
            self._ticker.stop(_PATIENCE)

    def _beat(self) -> None:
        with self._lock:
            due = self._spoke + (self._heartbeat or 0)
            if self._clock() >= due:
                self._speak([still_waiting_line(self._summary.elapsed, has_image=bool(self._summary.finals))])
                self._spoke = due  # so that the lines come at 15, 30 and 45 s, however late this one is

    def _speak(self, lines: list[str]) -> None:
        self._out.lines(f"{self._style.prefix}{line}" for line in lines)
        if lines:
            self._spoke = self._clock()

    def _lines(self, event: Event) -> list[str]:
        match event:
            case Started(request=request):
                lines = [self._style.opening(request)]
            case Waiting(seconds=seconds, reason=reason):
                lines = [waiting_line(seconds, reason)]
            case PartialImage(image_index=image_index):
                lines = [self._partial_line(image_index)]
            case Saved():
                lines = self._saved_lines(event)
            case Notice(text=text):
                lines = [notice_line(text)]
            case Completed():
                lines = self._last_lines(event)
            case Failed(problem=problem, ended=ended):
                lines = self._bill_lines(ended) + problem_lines(problem, in_color=self._style.in_color)
            case FinalImage():
                lines = []
            case _:
                assert_never(event)
        return lines

    def _partial_line(self, image_index: int) -> str:
        asked = self._summary.request.partials if self._summary.request else 0
        words = partial_label(self._summary.partials_of(image_index), asked)
        return f"{words} after {duration(self._summary.elapsed)}"

    def _saved_lines(self, saved: Saved) -> list[str]:
        final = self._summary.finals.get(saved.image_index)
        known = facts(final.image) if final else []
        line = saved_line(str(saved.path), [*known, duration(self._summary.elapsed)], ", ")
        problem = problem_lines(saved.problem, in_color=self._style.in_color) if saved.problem else []
        return [line, *problem]

    def _last_lines(self, completed: Completed) -> list[str]:
        unsaved = self._summary.unsaved_lines(", ", self._style.words.unsaved)
        return unsaved + self._bill_lines(completed)

    def _bill_lines(self, ended: Completed | None) -> list[str]:
        from imgcli.output.tables.bill import compact_lines

        bill = self._summary.bill(ended, self._price)
        return (self._style.write_bill or compact_lines)(bill) if bill else []


class ErrorsSink:
    """Writes errors and nothing else: for JSON lines, and for quiet runs, which `tells_names` too.

    That is where a file has another name than its user gave, which JSON lines say by themselves.
    """

    def __init__(self, stderr: TextIO, *, tells_names: bool = False, in_color: bool = False) -> None:
        self._out = SafeWriter(stderr)
        self._in_color = in_color
        self._tells_names = tells_names

    def handle(self, event: Event) -> None:
        """Write what a script must know; raises `OSError` when nobody reads."""
        match event:
            case Failed(problem=problem):
                self._out.lines(problem_lines(problem, in_color=self._in_color))
            case Saved(problem=problem) if problem:
                self._out.lines(problem_lines(problem, in_color=self._in_color))
            case Notice(text=text, is_about_name=True) if self._tells_names:
                self._out.lines([notice_line(text)])
            case _:
                pass

    def close(self) -> None:
        """Do nothing: nothing is open."""

"""The live grid: images of several jobs side by side, each with a status line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, assert_never

from imgcli.core.errors import Charged, ExitCode
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started, Waiting
from imgcli.core.messages import notice_line, partial_label, problem_lines, unbilled_lines
from imgcli.core.text import duration, shorten
from imgcli.output.images.image_grid import GridProvider, GridTile, ImageGrid
from imgcli.output.sinks.lines import GENERATING, printed_path
from imgcli.output.sinks.status import Status
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.sinks.terminal_sink import PERIOD, TerminalSink, bill_under, separator
from imgcli.output.terminal.canvas import Canvas
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.screen import NO_FOOTER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.errors import Problem
    from imgcli.core.events import Event
    from imgcli.core.image import EncodedImage
    from imgcli.core.request import ImageRequest
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.sinks.lines import PendingWords
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.capabilities import Terminal
    from imgcli.output.terminal.screen import Footer


_LABEL_LENGTH = 40
_NAME_LENGTH = 200
_MOST_NAMES = 8
_MOST_IMAGES = 64
"""Images of ended jobs that are kept for a larger window."""
_MOST_PATHS = 4
"""Lines of saved paths for which the grid makes room; it scrolls up for more."""
_FIRST = 1 << 40
"""The rank of a running job; those of ended ones count upwards from 1."""


class _JobTile:
    """What is shown of one job; what is not needed any more after its end is let go."""

    def __init__(self, number: int, label: str) -> None:
        self.number = number
        self.label = shorten(label, _LABEL_LENGTH)
        self.summary: RunSummary | None = None
        self.status: Status | None = None
        self.image: EncodedImage | None = None
        self.saved: list[Saved] = []
        self.problem: Problem | None = None
        self.result = ""
        self.cost = ""
        self.ended_at: float | None = None
        self.rank = 0

    def note(self, event: Event, clock: Clock) -> None:
        """Turn an event into what is to be shown."""
        if self.summary is None:
            self.summary, self.status = RunSummary(clock), Status(clock())
        self.summary.note(event)
        status = self.status or Status(clock())
        match event:
            case Started():
                self.status = Status(clock(), "generating")
            case Waiting(seconds=seconds, reason=reason):
                self.status = status.waiting(reason, clock() + seconds)
            case PartialImage(image=image, image_index=image_index):
                self.image, self.status = image, status.now_doing(self._progress(image_index))
            case FinalImage(image=image):
                self.image, self.status = image, status.now_doing("saving")
            case Saved():
                self.saved.append(event)
                self.result, self.ended_at = self._names(), clock()
            case Failed(problem=problem):
                self.problem = problem
            case Completed() | Notice():
                pass
            case _:
                assert_never(event)

    def end(self, now: float, unsaved: str, bill: Bill | None) -> None:
        """Take note of the end, and of what it cost."""
        from imgcli.core.billing.bill import dollars

        self.ended_at = self.ended_at or now
        if self.problem:
            is_lost = self.problem.exit_code is ExitCode.UNKNOWN  # of which the kind would tell nothing
            self.result = "no image" if is_lost else f"failed: {self.problem.exit_code.kind}"
        elif not self.saved:
            self.result = unsaved
        self.cost = dollars(bill.total) if bill else ""
        self.summary = None

    def tile(self, now: float) -> GridTile:
        """Return the tile as it is at this moment."""
        if self.status is None:
            return GridTile(self.label, "queued")
        elapsed = duration((self.ended_at or now) - self.status.began)
        details = (elapsed, self.cost) if self.cost else (elapsed,)
        words = self.result or self.status.words(now)
        return GridTile(self.label, words, details, self.image, self.rank, self.problem is not None)

    def _progress(self, image_index: int) -> str:
        seen = self.summary.partials_of(image_index) if self.summary else 0
        request = self.summary.request if self.summary else None
        return partial_label(seen, request.partials) if request else f"partial {seen}"

    def _names(self) -> str:
        """Name the first file, or its path where that is not as expected, and count the others."""
        first, *others = self.saved
        name = shorten(str(first.path) if first.problem else first.path.name, _NAME_LENGTH)
        return f"{name} and {len(others)} more" if others else name


class GridSink(TerminalSink[ImageGrid]):
    """Shows several jobs on a terminal at once, each in the tile that `labels` has for its id, in that order.

    A job that is not among them gets a tile of its own, with a number. Without a `provider` tiles are rows of
    text. When all have ended, the grid stays, and under it what there is to say, and one bill for all; where
    `labels` is empty, `finish` says when that is.
    """

    def __init__(  # noqa: PLR0913 - as the live image, and the labels
        self,
        stream: TextIO,
        terminal: Terminal,
        price: Price,
        clock: Clock,
        labels: Mapping[str, str],
        provider: RendererProvider | None = None,
        *,
        period: float | None = PERIOD,
    ) -> None:
        super().__init__(Canvas(stream, terminal, GridProvider(provider, terminal)), clock, period)
        self._terminal = terminal
        self._separator = separator(terminal)
        self._price = price
        self._status = Status(clock())
        self._tiles = {job: _JobTile(at, label) for at, (job, label) in enumerate(labels.items())}
        self._running = set(labels)
        self._are_all_known = bool(labels)
        self._ended: list[_JobTile] = []
        self._bill: Bill | None = None
        self._unbilled = 0
        self._notices: dict[str, None] = {}
        self._shape = 1.0

    def open(self, words: PendingWords = GENERATING, footer: Footer = NO_FOOTER) -> Self:
        """Put the first status row on the screen, then start to tick; only then is the terminal asked."""
        paths = min(len(self._tiles), _MOST_PATHS) if footer.path_columns else 1
        remarks = footer.remarks + max(paths - 1, 0)
        return super().open(words, footer._replace(remarks=remarks, may_scroll=True))

    def handle(self, event: Event) -> None:
        """Take note of one event; the last one of all jobs is shown before this returns."""
        if self._has_ended:
            if isinstance(event, Notice):
                self._canvas.leave([notice_line(event.text)])
            return
        with self._note_lock:
            self._note(event)
        if isinstance(event, Completed | Failed) and self._are_all_known and not self._running:
            self.finish()
        else:
            self._wake()

    def finish(self) -> None:
        """Show the last of it: where some jobs will never start, or were not known beforehand."""
        if not self._has_ended:
            self._finish([])

    def _note(self, event: Event) -> None:
        if event.job not in self._tiles:
            self._tiles[event.job] = _JobTile(len(self._tiles), self._label(event.job))
            self._running.add(event.job)
        tile = self._tiles[event.job]
        tile.note(event, self._clock)
        tile.rank = _FIRST - tile.number
        match event:
            case Notice(text=text):
                self._notices[notice_line(text)] = None
            case Started(request=request):
                self._shape = _shape(request) or self._shape
            case Completed():
                self._note_end(tile, event.job, event)
            case Failed(ended=ended):
                self._note_end(tile, event.job, ended)
            case _:
                pass

    def _label(self, job: str) -> str:  # noqa: ARG002 - for grids that know more
        """Return the label of a job that was not known beforehand: its number."""
        return str(len(self._tiles) + 1)

    def _note_end(self, tile: _JobTile, job: str, completed: Completed | None) -> None:
        from imgcli.core.billing.bill import sum_bills

        bill = tile.summary.bill(completed, self._price) if tile.summary else None
        tile.end(self._clock(), self._words.unsaved, bill)
        self._bill = sum_bills(filter(None, [self._bill, bill]))
        self._unbilled += bill is None and tile.problem is not None and tile.problem.charged is not Charged.NO
        self._running.discard(job)
        self._ended.append(tile)
        tile.rank = len(self._ended)
        if len(self._ended) > _MOST_IMAGES:
            self._ended[-1 - _MOST_IMAGES].image = None

    def _paint(self) -> None:
        if not self._canvas.is_away:
            self._canvas.show(self._grid(), self._row())
            self._canvas.tick(self._row())

    def _grid(self) -> ImageGrid:
        with self._note_lock:
            now, tiles = self._clock(), list(self._tiles.values())
            if len(tiles) > _MOST_IMAGES:  # those that run, and the newest
                tiles = [tile for tile in tiles if tile.rank > max(len(self._ended) - _MOST_IMAGES, 0)]
            more = len(self._tiles) - len(tiles)
            return ImageGrid(tuple(tile.tile(now) for tile in tiles), self._shape, more=more)

    def _row(self) -> str:
        done = f"{len(self._ended)} of {len(self._tiles)} done"
        spent = [self._spent()] if self._bill else []
        status = self._status.now_doing(self._separator.join([done, *spent]))
        return status.row(self._clock(), self._separator)

    def _fraction(self) -> float | None:
        return self._share(len(self._tiles))

    def _share(self, total: int) -> float | None:
        """Return how many jobs of so many have ended; as long as none has, nobody knows."""
        return len(self._ended) / total if self._ended and total else None

    def _spent(self) -> str:
        from imgcli.output.tables.bill import total_words

        return total_words(self._bill) if self._bill else ""

    def _end(self, lines: Sequence[str]) -> None:
        bill = bill_under(self._bill, self._terminal, self._footer) if self._bill else []
        bill = [*bill, *unbilled_lines(self._unbilled)] if bill else []
        self._canvas.leave([*self._notices, *self._problem_lines(), *bill, *lines], self._paths())

    def _problem_lines(self) -> list[str]:
        """Format what went wrong, once where it was the same for several jobs."""
        in_color = self._terminal.depth > ColorDepth.MONO
        labels: dict[tuple[str, ...], list[str]] = {}
        for tile in self._tiles.values():
            for problem in [*(saved.problem for saved in tile.saved), tile.problem]:
                if problem:
                    lines = tuple(problem_lines(problem, in_color=in_color))
                    labels.setdefault(lines, []).append(tile.label)
        return [
            line
            for (first, *rest), concerned in labels.items()
            for line in (f"{_names(concerned)}: {first}", *rest)
        ]

    def _paths(self) -> list[str]:
        """Return the first of what is printed on standard output later, where that is this terminal."""
        if not self._footer.path_columns:
            return []
        saved = (saved for tile in self._tiles.values() for saved in tile.saved)
        return [str(path) for path in map(printed_path, saved) if path][:_MOST_PATHS]


def _names(labels: Sequence[str]) -> str:
    """Name the tiles, or count them where they are many."""
    return ", ".join(labels) if len(labels) <= _MOST_NAMES else f"{len(labels)} images"


def _shape(request: ImageRequest) -> float | None:
    """Return how many times wider than high an image will be, None where the model chooses."""
    width, _, height = (request.size or "").partition("x")
    if width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return int(width) / int(height)
    return None

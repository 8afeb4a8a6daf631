"""Viewing: pictures, recorded runs and live streams, shown as `gen` would show them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imgcli.cli import material as materials
from imgcli.cli import notes, signals
from imgcli.cli.ending import exit_code
from imgcli.cli.finding import Located, locate
from imgcli.cli.keeping import Keeper
from imgcli.cli.material import Kind, Material
from imgcli.cli.order import Wanted
from imgcli.cli.report import pricing, refuse
from imgcli.cli.world import size_of
from imgcli.core import catalog, session
from imgcli.core.demo import uncharged_events
from imgcli.core.errors import ExitCode, ImgcliError, Problem, check_between, gravest, usage_error
from imgcli.core.events import Failed, ImageFormat, Picture, Saved, Started
from imgcli.core.text import shorten
from imgcli.show.described import DescribingSink, described
from imgcli.show.ladder import Ladder
from imgcli.show.output import Output
from imgcli.show.status import VIEWING
from imgcli.show.terminal import Display, choose_display, look

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import TextIO

    from imgcli.cli.order import Sight
    from imgcli.cli.world import World
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest
    from imgcli.core.session import Sink

_JOB = "view"
_NAME_LENGTH = 200
_LONGEST_RUN = 1_000_000.0
"""Seconds, as many as a recording can tell; a system cannot sleep for whatever number a file holds."""
_SPEEDS = 0.001, 1_000_000
_DAMAGES = ("damaged", "without")
"""How the reasons begin by which a picture is broken, and not merely more than we show."""


@dataclass(frozen=True)
class Viewing:
    """What to view and how. `speed` is None for as fast as it goes; `save`, the folder for its pictures."""

    names: tuple[str, ...]
    sight: Sight
    speed: float | None = 1.0
    save: Path | None = None


@dataclass
class Viewer:
    """Views one thing after the other on the best stream that there is."""

    world: World
    order: Viewing
    stream: TextIO = field(init=False)
    display: Display = field(init=False)
    easel: Ladder = field(init=False)

    def __post_init__(self) -> None:
        world, sight = self.world, self.order.sight
        self.stream = world.stdout if world.stdout.isatty() else world.stderr
        self._terminal = look(world.env, self.stream, lambda: size_of(self.stream), sight.rung)
        plain = sight.wanted is Wanted.PLAIN
        self.display = Display.LINES if plain else choose_display(sight.rung, self._terminal)
        self.easel = Ladder(world.env, self.stream, self._terminal, sight.rung, sight.width)

    def view_all(self) -> ExitCode:
        """View everything; what cannot be viewed is told, and does not keep the rest from being seen."""
        try:
            return gravest([self._view(name) for name in self.order.names])
        finally:
            self.easel.close()

    def _view(self, name: str) -> ExitCode:
        """View a file, or all that a run brought."""
        try:
            located = Located((name,)) if name == materials.STDIN else locate(self.world, name)
        except ImgcliError as error:
            return refuse(self.world, error.problem)
        notes.tell(self.world, located.notes)
        return gravest([self._view_file(path) for path in located.paths])

    def _view_file(self, name: str) -> ExitCode:
        try:
            with materials.opened(name, self.world.stdin.buffer) as material:
                if material.kind is Kind.PICTURE:
                    return self._view_picture(material)
                return self._view_run(material)
        except ImgcliError as error:
            return refuse(self.world, error.problem)

    def _view_picture(self, material: Material) -> ExitCode:
        picture = Picture.of(_whole(material))
        try:
            self._show(material.name, picture)
        except ValueError as error:  # Undecodable, which only show imports: it loads Pillow
            raise ImgcliError(_unshowable(material.name, picture, str(error))) from None
        return self._keep_picture(material, picture)

    def _show(self, name: str, picture: Picture) -> None:
        if self.display is Display.PICTURE:
            from imgcli.show.gallery import Gallery

            Gallery(self.stream, self._terminal, self.easel).show(picture, described(name, picture, " · "))
            return
        from imgcli.show.shrink import decode

        decode(picture.data)
        Output(self.world.stdout).lines([described(name, picture, ", ")] if not self.order.save else [])

    def _keep_picture(self, material: Material, picture: Picture) -> ExitCode:
        if not self.order.save:
            return ExitCode.OK
        keeper = Keeper.of(self.world, self.order.save, material)
        return keeper.keep(picture)

    def _view_run(self, material: Material) -> ExitCode:
        if len(self.order.names) > 1:
            notes.write(self.world, [shorten(material.name, _NAME_LENGTH)])
        events = session.conducted(_job(material), self._source(material))
        if self.order.save:
            events = Keeper.of(self.world, self.order.save, material).finals(events)
        with self._sinks(material) as sinks:
            outcome = session.run(_local(events), sinks)
        return exit_code(self.world, outcome, _job(material), is_free=True)

    def _source(self, material: Material) -> Iterator[Event]:
        job = _job(material)
        if material.header:
            yield Started(job, material.header.request)
        pace = _Pace(self.world, None if material.is_live else self.order.speed)
        if material.kind is Kind.LINES:
            from imgcli.api.jsonl_reading import read_json_lines

            yield from read_json_lines(material.chunks, job, pace.wait)
            return
        from imgcli.api.reading import read_events
        from imgcli.store.recording import replayed

        chunks = replayed(material.chunks, pace.wait) if pace.speed else material.chunks
        if material.is_live:  # whose writer may never close it
            yield from read_events(chunks, job, linger=None)
        else:
            yield from read_events(chunks, job)

    @contextmanager
    def _sinks(self, material: Material) -> Iterator[list[Sink]]:
        """Open the show, then what speaks on standard output; close them on every path."""
        with closing(self._show_of_run()) as show, signals.stoppable(show):
            yield [show, *self._results(material)]

    def _show_of_run(self) -> Sink:
        price, clock = pricing(catalog.load()), self.world.monotonic
        if self.display is Display.LINES:
            from imgcli.show.plain import PlainSink

            return PlainSink(self.world.stderr, price, clock, _viewing_line, VIEWING)
        from imgcli.show.live import LiveSink

        easel = self.easel if self.display is Display.PICTURE else None
        return LiveSink(self.stream, self._terminal, price, clock, easel).open(VIEWING)

    def _results(self, material: Material) -> list[Sink]:
        if self.order.save:
            from imgcli.show.paths import PathsSink

            return [PathsSink(self.world.stdout)]
        return [DescribingSink(self.world.stdout, material.name)] if self.display is Display.LINES else []


@dataclass
class _Pace:
    """Waits until the time of a replay has come: `speed` times as fast as it was, None for no waiting."""

    world: World
    speed: float | None

    def __post_init__(self) -> None:
        self._began = self.world.monotonic()

    def wait(self, seconds: float) -> None:
        """Return when so many seconds of the original run have passed; at once where no run is as long."""
        if self.speed and 0 < seconds < _LONGEST_RUN:
            left = self._began + seconds / self.speed - self.world.monotonic()
            if left > 0:
                self.world.sleep(min(left, _LONGEST_RUN))


def _local(events: Iterable[Event]) -> Iterator[Event]:
    """Leave money out of what is shown: viewing costs none, and the run may be somebody else's."""
    for event in uncharged_events(events):
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem:
                yield replace(event, problem=replace(problem, is_local=True))
            case _:
                yield event


def viewing(
    names: Iterable[str], sight: Sight, speed: float | None, save: Path | None, world: World
) -> Viewing:
    """Check what was asked for. Raises `ImgcliError` (usage)."""
    told = tuple(names)
    if not told and not _is_piped(world):
        raise usage_error("There is nothing to view.", "Name a file, or pipe a stream: ... | imgcli view -")
    if told.count(materials.STDIN) > 1:
        raise usage_error("Standard input can be viewed once.")
    if materials.STDIN in told and not _is_piped(world):
        raise usage_error("Standard input is this terminal.", "Pipe a stream: curl -N ... | imgcli view -")
    check_between("--speed", speed, *_SPEEDS)
    return Viewing(told or (materials.STDIN,), sight, speed, save)


def _is_piped(world: World) -> bool:
    try:
        return not world.stdin.isatty()
    except ValueError:  # closed
        return False


def _job(material: Material) -> str:
    return material.header.job if material.header else _JOB


def _viewing_line(request: ImageRequest) -> str:
    return f"a run of {shorten(request.model, _NAME_LENGTH)}"


def _whole(material: Material) -> bytes:
    """Read a picture's file; raises `ImgcliError` for one that never ends."""
    parts, size = [], 0
    for chunk in material.chunks:
        size += len(chunk)
        if size > materials.LARGEST_PICTURE:
            limit = materials.LARGEST_PICTURE // 1_000_000
            raise usage_error(f"{shorten(material.name, _NAME_LENGTH)} is larger than {limit} MB.")
        parts.append(chunk)
    return b"".join(parts)


def _unshowable(name: str, picture: Picture, reason: str) -> Problem:
    """Tell a broken picture from one that is merely not for terminals."""
    shown = shorten(name, _NAME_LENGTH)
    if picture.format is ImageFormat.SVG:
        return Problem(ExitCode.USAGE, f"{shown} is an SVG drawing, which no terminal shows.")
    what = f"{shown} cannot be shown: the picture is {reason}."
    return Problem(ExitCode.DAMAGED if reason.startswith(_DAMAGES) else ExitCode.USAGE, what)

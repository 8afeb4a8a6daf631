"""Viewing: images, recorded runs and live streams, shown as `gen` would show them."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imgcli.app import context, process
from imgcli.app import view_input as materials
from imgcli.app.context import size_of
from imgcli.app.generate import exit_status
from imgcli.app.lookup import Located, locate
from imgcli.app.options import PreviewMode
from imgcli.app.reporting import pricing, refuse
from imgcli.app.view_input import ViewInput, ViewInputKind
from imgcli.core import catalog, pipeline
from imgcli.core.errors import ImgcliError, check_between, usage_error
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.pipeline import mark_uncharged
from imgcli.core.problem import ExitCode, Problem, most_severe
from imgcli.core.text import shorten
from imgcli.output.images.select import RendererSelector
from imgcli.output.sinks.lines import VIEWING, DescriptionSink, described
from imgcli.output.terminal.capabilities import Display, choose_display, detect_terminal, has_color
from imgcli.output.terminal.writer import SafeWriter
from imgcli.store.paths import FallbackFolders, state_folder
from imgcli.store.publish.naming import NameFields, current_folder
from imgcli.store.publish.publisher import Destination, open_publisher
from imgcli.store.publish.stage import SavingStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import TextIO

    from imgcli.app.context import Context
    from imgcli.app.options import PreviewOptions
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Sink
    from imgcli.core.request import ImageRequest
    from imgcli.store.publish.publisher import Publisher


_UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True)
class ImageKeeper:
    """Saves what is viewed into one folder, which is made where there is none."""

    world: Context
    job: str
    publisher: Publisher
    saving: SavingStage

    @classmethod
    def of(cls, world: Context, folder: Path, material: ViewInput) -> ImageKeeper:
        """Make sure that saving will work; raises `ImgcliError` when it will not."""
        header = material.header
        prompt, model = (header.request.prompt, header.request.model) if header else (None, None)
        job, now = header.job if header else world.token(), world.now()
        subject = NameFields(prompt or material.title, model or _UNKNOWN_MODEL, job, now)
        destination = Destination(os.path.join(folder, ""), current_folder())  # noqa: PTH118 - with its slash
        rescue = FallbackFolders(state_folder(world.env), world.env)
        publisher = open_publisher(destination, subject, rescue, world.stdout.buffer)
        return cls(world, job, publisher, SavingStage(publisher, process.shielded))

    def finals(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and save the finished images among them."""
        try:
            for event in events:
                if isinstance(event, PartialImage):
                    yield event
                else:
                    yield from self.saving([event])
        finally:
            self.publisher.tidy()

    def keep(self, image: EncodedImage) -> ExitCode:
        """Save one image and tell where, its path on standard output."""
        from imgcli.output.sinks.lines import PathsSink

        code, paths = ExitCode.OK, PathsSink(self.world.stdout)
        for event in mark_uncharged(self.saving([FinalImage(self.job, 0, image), Completed(self.job, None)])):
            match event:
                case Notice(text=text):
                    context.warn(self.world, [text])
                case Saved(problem=problem) if problem:
                    code = refuse(self.world, problem)
                case Failed(problem=problem):
                    code = refuse(self.world, problem)
                case _:
                    pass
            paths.handle(event)
        self.publisher.tidy()
        return code


_JOB = "view"
_NAME_LENGTH = 200
_LONGEST_RUN = 1_000_000.0
"""Seconds, as many as a recording can tell; a system cannot sleep for whatever number a file holds."""
_SPEEDS = 0.001, 1_000_000
_DAMAGES = ("damaged", "without")
"""How the reasons begin by which an image is broken, and not merely more than we show."""


@dataclass(frozen=True)
class Viewing:
    """What to view and how. `speed` is None for as fast as it goes; `save`, the folder for its images."""

    names: tuple[str, ...]
    sight: PreviewOptions
    speed: float | None = 1.0
    save: Path | None = None


@dataclass
class Viewer:
    """Views one thing after the other on the best stream that there is."""

    world: Context
    order: Viewing
    stream: TextIO = field(init=False)
    display: Display = field(init=False)
    provider: RendererSelector = field(init=False)

    def __post_init__(self) -> None:
        world, sight = self.world, self.order.sight
        self.stream = world.stdout if world.stdout.isatty() else world.stderr
        self._terminal = detect_terminal(world.env, self.stream, lambda: size_of(self.stream), sight.rung)
        plain = sight.wanted is PreviewMode.PLAIN
        self.display = Display.LINES if plain else choose_display(sight.rung, self._terminal)
        self.provider = RendererSelector(world.env, self.stream, self._terminal, sight.rung, sight.width)

    def view_all(self) -> ExitCode:
        """View everything; what cannot be viewed is told, and does not keep the rest from being seen."""
        try:
            return most_severe([self._view(name) for name in self.order.names])
        finally:
            self.provider.close()

    def _view(self, name: str) -> ExitCode:
        """View a file, or all that a run brought."""
        try:
            located = Located((name,)) if name == materials.STDIN else locate(self.world, name)
        except ImgcliError as error:
            return refuse(self.world, error.problem)
        context.warn(self.world, located.notes)
        return most_severe([self._view_file(path) for path in located.paths])

    def _view_file(self, name: str) -> ExitCode:
        try:
            with materials.open_input(name, self.world.stdin.buffer) as material:
                if material.kind is ViewInputKind.IMAGE:
                    return self._view_image(material)
                return self._view_run(material)
        except ImgcliError as error:
            return refuse(self.world, error.problem)

    def _view_image(self, material: ViewInput) -> ExitCode:
        image = EncodedImage.of(_whole(material))
        try:
            self._show(material.name, image)
        except ValueError as error:  # Undecodable, which only show imports: it loads Pillow
            raise ImgcliError(_unshowable(material.name, image, str(error))) from None
        return self._keep_image(material, image)

    def _show(self, name: str, image: EncodedImage) -> None:
        if self.display is Display.IMAGE:
            from imgcli.output.terminal.canvas import StillViewer

            StillViewer(self.stream, self._terminal, self.provider).show(image, described(name, image, " · "))
            return
        from imgcli.output.images.decode import decode

        decode(image.data)
        SafeWriter(self.world.stdout).lines([described(name, image, ", ")] if not self.order.save else [])

    def _keep_image(self, material: ViewInput, image: EncodedImage) -> ExitCode:
        if not self.order.save:
            return ExitCode.OK
        keeper = ImageKeeper.of(self.world, self.order.save, material)
        return keeper.keep(image)

    def _view_run(self, material: ViewInput) -> ExitCode:
        if len(self.order.names) > 1:
            context.write(self.world, [shorten(material.name, _NAME_LENGTH)])
        events = pipeline.checked(_job(material), self._source(material))
        if self.order.save:
            events = ImageKeeper.of(self.world, self.order.save, material).finals(events)
        with self._sinks(material) as sinks:
            outcome = pipeline.run(_local(events), sinks)
        return exit_status(self.world, outcome, _job(material), is_free=True)

    def _source(self, material: ViewInput) -> Iterator[Event]:
        job = _job(material)
        if material.header:
            yield Started(job, material.header.request)
        pace = _Pace(self.world, None if material.is_live else self.order.speed)
        if material.kind is ViewInputKind.LINES:
            from imgcli.api.stream.jsonl import read_json_lines

            yield from read_json_lines(material.chunks, job, pace.wait)
            return
        from imgcli.api.stream.reader import read_events
        from imgcli.store.runlog.writer import replayed

        chunks = replayed(material.chunks, pace.wait) if pace.speed else material.chunks
        if material.is_live:  # whose writer may never close it
            yield from read_events(chunks, job, linger=None)
        else:
            yield from read_events(chunks, job)

    @contextmanager
    def _sinks(self, material: ViewInput) -> Iterator[list[Sink]]:
        """Open the show, then what speaks on standard output; close them on every path."""
        with closing(self._show_of_run()) as show, process.stoppable(show):
            yield [show, *self._results(material)]

    def _show_of_run(self) -> Sink:
        price, clock = pricing(catalog.load()), self.world.monotonic
        if self.display is Display.LINES:
            from imgcli.output.sinks.lines import LinesSink, LinesStyle

            in_color = has_color(self.world.env, self.world.stderr)
            style = LinesStyle(_viewing_line, VIEWING, in_color=in_color)
            return LinesSink(self.world.stderr, price, clock, style)
        from imgcli.output.sinks.live import LiveSink

        provider = self.provider if self.display is Display.IMAGE else None
        return LiveSink(self.stream, self._terminal, price, clock, provider).open(VIEWING)

    def _results(self, material: ViewInput) -> list[Sink]:
        if self.order.save:
            from imgcli.output.sinks.lines import PathsSink

            return [PathsSink(self.world.stdout)]
        return [DescriptionSink(self.world.stdout, material.name)] if self.display is Display.LINES else []


@dataclass
class _Pace:
    """Waits until the time of a replay has come: `speed` times as fast as it was, None for no waiting."""

    world: Context
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
    for event in mark_uncharged(events):
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem:
                yield replace(event, problem=replace(problem, is_local=True))
            case _:
                yield event


def viewing(
    names: Iterable[str], sight: PreviewOptions, speed: float | None, save: Path | None, world: Context
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


def _is_piped(world: Context) -> bool:
    try:
        return not world.stdin.isatty()
    except ValueError:  # closed
        return False


def _job(material: ViewInput) -> str:
    return material.header.job if material.header else _JOB


def _viewing_line(request: ImageRequest) -> str:
    return f"a run of {shorten(request.model, _NAME_LENGTH)}"


def _whole(material: ViewInput) -> bytes:
    """Read an image's file; raises `ImgcliError` for one that never ends."""
    parts, size = [], 0
    for chunk in material.chunks:
        size += len(chunk)
        if size > materials.LARGEST_IMAGE:
            limit = materials.LARGEST_IMAGE // 1_000_000
            raise usage_error(f"{shorten(material.name, _NAME_LENGTH)} is larger than {limit} MB.")
        parts.append(chunk)
    return b"".join(parts)


def _unshowable(name: str, image: EncodedImage, reason: str) -> Problem:
    """Tell a broken image from one that is merely not for terminals."""
    shown = shorten(name, _NAME_LENGTH)
    if image.format is ImageFormat.SVG:
        return Problem(ExitCode.USAGE, f"{shown} is an SVG drawing, which no terminal shows.")
    what = f"{shown} cannot be shown: the image is {reason}."
    return Problem(ExitCode.DAMAGED if reason.startswith(_DAMAGES) else ExitCode.USAGE, what)

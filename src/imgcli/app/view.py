"""Viewing images, recorded runs and live streams, as `gen` shows them."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import field, replace
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.app import process, view_input
from imgcli.app.context import size_of
from imgcli.app.image_pages import ImagePages
from imgcli.app.lookup import Located, Lookup, locate
from imgcli.app.options import PreviewMode
from imgcli.app.reporting import exit_status, pricing, refuse
from imgcli.app.view_input import ViewInput, ViewInputKind
from imgcli.core import pipeline
from imgcli.core.errors import ExitCode, ImgcliError, Problem, check_between, most_severe, usage_error
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.image import EncodedImage
from imgcli.core.pipeline import mark_uncharged
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.images.select import RendererSelector
from imgcli.output.sinks.lines import VIEWING, DescriptionSink, described
from imgcli.output.tables.history import cost_words
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
    from imgcli.output.terminal.viewer import Playback
    from imgcli.store.publish.publisher import Publisher


_UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True)
class ImageKeeper:
    """Saves what is viewed into one folder, which is made where there is none."""

    context: Context
    job: str
    publisher: Publisher
    saving: SavingStage

    @classmethod
    def of(cls, context: Context, folder: Path, source: ViewInput) -> ImageKeeper:
        """Make sure that saving will work; raises `ImgcliError` when it will not."""
        header = source.header
        prompt, model = (header.request.subject, header.request.model) if header else (None, None)
        job, now = header.job if header else context.token(), context.now()
        subject = NameFields(prompt or source.title, model or _UNKNOWN_MODEL, job, now)
        destination = Destination(os.path.join(folder, ""), current_folder())  # noqa: PTH118 - with its slash
        rescue = FallbackFolders(state_folder(context.env), context.env)
        publisher = open_publisher(destination, subject, rescue, context.stdout.buffer)
        return cls(context, job, publisher, SavingStage(publisher, process.shielded))

    def finals(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and save the finished images among them."""
        try:
            for event in events:
                if isinstance(event, PartialImage):
                    yield event
                else:
                    yield from self.saving([event])
        finally:
            self.publisher.remove_empty_folders()

    def keep(self, image: EncodedImage) -> ExitCode:
        """Save one image and tell where, its path on standard output."""
        from imgcli.output.sinks.lines import PathsSink

        code, paths = ExitCode.OK, PathsSink(self.context.stdout, links=self.context.links)
        for event in mark_uncharged(self.saving([FinalImage(self.job, 0, image), Completed(self.job, None)])):
            match event:
                case Notice(text=text):
                    self.context.warn([text])
                case Saved(problem=problem) if problem:
                    code = refuse(self.context, problem)
                case Failed(problem=problem):
                    code = refuse(self.context, problem)
                case _:
                    pass
            paths.handle(event)
        self.publisher.remove_empty_folders()
        return code


_JOB = "view"
_NAME_LENGTH = 200
_LONGEST_RUN = 1_000_000.0
"""Seconds, as many as a recording can tell; a system cannot sleep for whatever number a file holds."""
_SPEEDS = 0.001, 1_000_000
_DAMAGES = ("damaged", "without")
"""How the reasons begin by which an image is broken, and not merely more than we show."""


class Motion(Enum):
    """What becomes of an animation: it is played once, again and again, or only its first frame is shown."""

    ONCE = "once"
    LOOP = "loop"
    NONE = "none"


@dataclass(frozen=True)
class ViewOptions:
    """What to view and how. `speed` is None for as fast as it goes; `save`, the folder for its images."""

    names: tuple[str, ...]
    preview: PreviewOptions
    speed: float | None = 1.0
    save: Path | None = None
    motion: Motion = Motion.ONCE


@dataclass
class Viewer:
    """Views one thing after the other on the best stream that there is."""

    context: Context
    options: ViewOptions
    stream: TextIO = field(init=False)
    display: Display = field(init=False)
    provider: RendererSelector = field(init=False)

    def __post_init__(self) -> None:
        context, preview = self.context, self.options.preview
        self.stream = context.stdout if context.stdout.isatty() else context.stderr
        self._terminal = detect_terminal(
            context.env, self.stream, lambda: size_of(self.stream), preview.protocol
        )
        plain = preview.mode is PreviewMode.PLAIN
        self.display = Display.LINES if plain else choose_display(preview.protocol, self._terminal)
        self.provider = RendererSelector(
            *(context.env, self.stream, self._terminal, preview.protocol, preview.width),
            is_endless=self.options.motion is Motion.LOOP,
        )
        self._pages: ImagePages | None = None
        self._lookup: Lookup | None = None

    def view_all(self) -> ExitCode:
        """View everything; what cannot be viewed is told, and does not keep the rest from being seen."""
        codes: list[ExitCode] = []
        try:
            with ExitStack() as stack:
                paths = [path for name in self.options.names for path in self._locate(name, codes)]
                if self.display is Display.IMAGE and len(paths) > 1 and not self.options.save:
                    self._lookup = Lookup.opened(self.context, stack)
                    self._pages = ImagePages(self.stream, self._terminal, self.provider, len(paths))
                codes += [self._view_file(path) for path in paths]
                if self._pages:
                    self._pages.flush()
            return most_severe(codes)
        finally:
            self.provider.close()

    def _locate(self, name: str, codes: list[ExitCode]) -> tuple[str, ...]:
        """Return a file, or all that a run brought."""
        try:
            located = Located((name,)) if name == view_input.STDIN else locate(self.context, name)
        except ImgcliError as error:
            codes.append(refuse(self.context, error.problem))
            return ()
        self.context.warn(located.notes)
        return located.paths

    def _view_file(self, name: str) -> ExitCode:
        try:
            with view_input.open_input(name, self.context.stdin.buffer) as source:
                if source.kind is ViewInputKind.IMAGE:
                    return self._view_image(source)
                return self._view_run(source)
        except ImgcliError as error:
            return refuse(self.context, error.problem)

    def _view_image(self, source: ViewInput) -> ExitCode:
        image = EncodedImage.of(_whole(source))
        try:
            self._show(source.name, image)
        except ValueError as error:  # Undecodable, which only show imports: it loads Pillow
            raise ImgcliError(_unshowable(source.name, str(error))) from None
        return self._keep_image(source, image)

    def _show(self, name: str, image: EncodedImage) -> None:
        if self._pages:
            self._pages.add(image, os.path.basename(name), self._cost(image))  # noqa: PTH119 - not always a path
            return
        if self.display is Display.IMAGE:
            from imgcli.output.terminal.viewer import StillViewer

            viewer = StillViewer[EncodedImage](self.stream, self._terminal, self.provider)
            with process.stoppable(viewer):
                viewer.show(image, described(name, image, " · "), self._playback())
            return
        from imgcli.output.images.decode import decode

        decode(image.data)
        SafeWriter(self.context.stdout).lines([described(name, image, ", ")] if not self.options.save else [])

    def _playback(self) -> Playback | None:
        from imgcli.output.terminal.viewer import Playback

        if self.options.motion is Motion.NONE:
            return None
        is_endless = self.options.motion is Motion.LOOP
        return Playback(is_endless, self.context.monotonic, self.context.sleep, lambda: self.provider.cell)

    def _cost(self, image: EncodedImage) -> tuple[str, ...]:
        """Return what an image cost, where the history knows it."""
        entry = self._lookup.producer(image.sha256) if self._lookup else None
        return (cost_words(entry),) if entry and len(entry.images) == 1 else ()

    def _keep_image(self, source: ViewInput, image: EncodedImage) -> ExitCode:
        if not self.options.save:
            return ExitCode.OK
        keeper = ImageKeeper.of(self.context, self.options.save, source)
        return keeper.keep(image)

    def _view_run(self, source: ViewInput) -> ExitCode:
        if self._pages:
            self._pages.flush()
        if len(self.options.names) > 1:
            self.context.write_lines([shorten(source.name, _NAME_LENGTH)])
        events = pipeline.enforce_grammar(_job(source), self._source(source))
        if self.options.save:
            events = ImageKeeper.of(self.context, self.options.save, source).finals(events)
        with self._sinks(source) as sinks:
            outcome = pipeline.run(_local(events), sinks)
        return exit_status(self.context, outcome, _job(source), is_free=True)

    def _source(self, source: ViewInput) -> Iterator[Event]:
        job = _job(source)
        if source.header:
            yield Started(job, source.header.request)
        pace = _Pace(self.context, None if source.is_live else self.options.speed)
        if source.kind is ViewInputKind.LINES:
            from imgcli.api.stream.jsonl import read_json_lines

            yield from read_json_lines(source.chunks, job, pace.wait)
            return
        from imgcli.api.stream.reader import read_events
        from imgcli.store.runlog.writer import replayed

        chunks = replayed(source.chunks, pace.wait) if pace.speed else source.chunks
        if source.is_live:  # whose writer may never close it
            yield from read_events(chunks, job, note_end=None)
        else:
            yield from read_events(chunks, job)

    @contextmanager
    def _sinks(self, source: ViewInput) -> Iterator[list[Sink]]:
        """Open the show, then what speaks on standard output; close them on every path."""
        with closing(self._show_of_run(source)) as show, process.stoppable(show):
            yield [show, *self._results(source)]

    def _show_of_run(self, source: ViewInput) -> Sink:
        price, clock = pricing(self.context.models), self.context.monotonic
        if self.display is Display.LINES:
            from imgcli.output.sinks.lines import LinesSink, LinesStyle

            in_color = has_color(self.context.env, self.context.stderr)
            style = LinesStyle(_viewing_line, VIEWING, in_color=in_color)
            return LinesSink(self.context.stderr, price, clock, style)
        from imgcli.output.sinks.live import LiveSink

        provider = self.provider if self.display is Display.IMAGE else None
        has_progress = self._terminal.progress and source.is_live  # a replay is no work that goes on
        terminal = replace(self._terminal, progress=has_progress)
        return LiveSink(self.stream, terminal, price, clock, provider).open(VIEWING)

    def _results(self, source: ViewInput) -> list[Sink]:
        if self.options.save:
            from imgcli.output.sinks.lines import PathsSink

            return [PathsSink(self.context.stdout, links=self.context.links)]
        return [DescriptionSink(self.context.stdout, source.name)] if self.display is Display.LINES else []


@dataclass
class _Pace:
    """Waits until the time of a replay has come: `speed` times as fast as it was, None for no waiting."""

    context: Context
    speed: float | None

    def __post_init__(self) -> None:
        self._began = self.context.monotonic()

    def wait(self, seconds: float) -> None:
        """Return when so many seconds of the original run have passed; at once where no run is as long."""
        if self.speed and 0 < seconds < _LONGEST_RUN:
            left = self._began + seconds / self.speed - self.context.monotonic()
            if left > 0:
                self.context.sleep(min(left, _LONGEST_RUN))


def _local(events: Iterable[Event]) -> Iterator[Event]:
    """Leave money out of what is shown: viewing costs none, and the run may be somebody else's."""
    for event in mark_uncharged(events):
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem:
                yield replace(event, problem=replace(problem, is_local=True))
            case _:
                yield event


def view_options(
    files: Iterable[str],
    preview: PreviewOptions,
    speed: float | None,
    save: Path | None,
    motion: Motion,
    context: Context,
) -> ViewOptions:
    """Check what was asked for. Raises `ImgcliError` (usage)."""
    names = tuple(files)
    if not names and not _is_piped(context):
        raise usage_error("There is nothing to view.", "Name a file, or pipe a stream: ... | imgcli view -")
    if names.count(view_input.STDIN) > 1:
        raise usage_error("Standard input can be viewed only once.")
    if view_input.STDIN in names and not _is_piped(context):
        raise usage_error("Standard input is this terminal.", "Pipe a stream: curl -N ... | imgcli view -")
    check_between("speed", speed, *_SPEEDS)
    return ViewOptions(names or (view_input.STDIN,), preview, speed, save, motion)


def _is_piped(context: Context) -> bool:
    try:
        return not context.stdin.isatty()
    except ValueError:  # closed
        return False


def _job(source: ViewInput) -> str:
    return source.header.job if source.header else _JOB


def _viewing_line(request: ImageRequest) -> str:
    return f"a run of {shorten(request.model, _NAME_LENGTH)}"


def _whole(source: ViewInput) -> bytes:
    """Read an image's file; raises `ImgcliError` for one that never ends."""
    parts, size = [], 0
    for chunk in source.chunks:
        size += len(chunk)
        if size > view_input.LARGEST_IMAGE:
            limit = view_input.LARGEST_IMAGE // 1_000_000
            raise usage_error(f"{shorten(source.name, _NAME_LENGTH)} is larger than {limit} MB.")
        parts.append(chunk)
    return b"".join(parts)


def _unshowable(name: str, reason: str) -> Problem:
    """Describe an image that cannot be shown: a broken one, or one that is not for terminals."""
    shown = shorten(name, _NAME_LENGTH)
    what = f"{shown} cannot be shown: the image is {reason}."
    return Problem(ExitCode.DAMAGED if reason.startswith(_DAMAGES) else ExitCode.USAGE, what)

"""Viewing images, recorded runs and live streams, as `gen` shows them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import field
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.context import size_of
from imgcli.app.preview_options import PreviewMode
from imgcli.app.view.view_input import LARGEST_IMAGE, STDIN, ViewInputKind, open_input
from imgcli.app.view.view_options import Motion
from imgcli.core.errors import ExitCode, ImgcliError, Problem, most_severe, usage_error
from imgcli.core.image import EncodedImage
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.images.decode import decode, described
from imgcli.output.images.select import RendererSelector
from imgcli.output.terminal.capabilities import Display, choose_display, detect_terminal
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from typing import TextIO

    from imgcli.app.context import Context
    from imgcli.app.image_pages import ImagePages
    from imgcli.app.lookup import Lookup
    from imgcli.app.view.view_input import ViewInput
    from imgcli.app.view.view_options import ViewOptions
    from imgcli.output.terminal.viewer import Playback


_NAME_LENGTH = 200
_DAMAGES = ("damaged", "without")
"""How the reasons begin by which an image is broken, and not merely more than we show."""


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
                    from imgcli.app.image_pages import ImagePages
                    from imgcli.app.lookup import Lookup

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
        if name == STDIN or _is_surely_a_file(name):
            return (name,)
        from imgcli.app.lookup import locate  # the history, which a file is shown without

        try:
            located = locate(self.context, name)
        except ImgcliError as error:
            codes.append(self._refuse(error.problem))
            return ()
        self.context.warn(located.notes)
        return located.paths

    def _view_file(self, name: str) -> ExitCode:
        try:
            with open_input(name, self.context.stdin.buffer) as source:
                if source.kind is ViewInputKind.IMAGE:
                    return self._view_image(source)
                return self._view_run(source)
        except ImgcliError as error:
            return self._refuse(error.problem)

    def _view_run(self, source: ViewInput) -> ExitCode:
        from imgcli.app.view.run_viewer import RunViewer  # here, so that an image does without it

        if self._pages:
            self._pages.flush()
        context, options = self.context, self.options
        return RunViewer(context, options, self.stream, self._terminal, self.display, self.provider).view(
            source
        )

    def _refuse(self, problem: Problem) -> ExitCode:
        from imgcli.app.reporting import refuse  # here, because most is shown

        return refuse(self.context, problem)

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
        from imgcli.output.tables.history import cost_words

        entry = self._lookup.producer(image.sha256) if self._lookup else None
        return (cost_words(entry),) if entry and len(entry.images) == 1 else ()

    def _keep_image(self, source: ViewInput, image: EncodedImage) -> ExitCode:
        if not self.options.save:
            return ExitCode.OK
        from imgcli.app.view.image_keeper import ImageKeeper

        keeper = ImageKeeper.of(self.context, self.options.save, source)
        return keeper.keep(image)


def _is_surely_a_file(name: str) -> bool:
    """Return whether a name is that of something that is there, before any id, and not `last` or `last~2`."""
    try:
        return "." in name and os.path.lexists(name)
    except ValueError:  # a NUL
        return False


def _whole(source: ViewInput) -> bytes:
    """Read an image's file; raises `ImgcliError` for one that never ends."""
    parts, size = [], 0
    for chunk in source.chunks:
        size += len(chunk)
        if size > LARGEST_IMAGE:
            limit = LARGEST_IMAGE // 1_000_000
            raise usage_error(f"{shorten(source.name, _NAME_LENGTH)} is larger than {limit} MB.")
        parts.append(chunk)
    return b"".join(parts)


def _unshowable(name: str, reason: str) -> Problem:
    """Describe an image that cannot be shown: a broken one, or one that is not for terminals."""
    shown = shorten(name, _NAME_LENGTH)
    what = f"{shown} cannot be shown: the image is {reason}."
    return Problem(ExitCode.DAMAGED if reason.startswith(_DAMAGES) else ExitCode.USAGE, what)

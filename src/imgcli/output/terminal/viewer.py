"""Shows images one after the other, and plays animations in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from imgcli.core.image import EncodedImage
from imgcli.core.text import shorten
from imgcli.output.images.protocol import NOTHING, Box, PlayingRenderer, StoredRenderer
from imgcli.output.terminal.screen import Screen, rows_below
from imgcli.output.terminal.writer import BrokenPipeWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import TextIO

    from imgcli.output.images.animation import Animation
    from imgcli.output.images.protocol import ProviderOf, RendererOf
    from imgcli.output.terminal.canvas import LeftImage
    from imgcli.output.terminal.capabilities import Terminal


T = TypeVar("T")
"""What is shown: an image, or a grid of them."""

_FAINT, _RESET = "\x1b[2m", "\x1b[0m"
_CAPTION_ROWS = 2  # the line about it, and the shell's prompt
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"
_CLEAR_LINE = "\x1b[K"
_MOST_LATE = 1.0  # seconds; a terminal that is even slower gets every frame, later
_REPAIR_SECONDS = 0.3  # seconds that painting over that may take
_USUAL_CELL = 16, 32  # pixels: as many as kitty's renderer takes for enough


class Playback(NamedTuple):
    """How an animation is played: once, or until its viewer has seen enough; `cell` is in pixels."""

    is_endless: bool
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    cell: Callable[[], tuple[int, int] | None]


class StillViewer(Generic[T]):
    """Shows images on a terminal that does not change meanwhile, and plays the one that is animated."""

    def __init__(self, stream: TextIO, terminal: Terminal, provider: ProviderOf[RendererOf[T]]) -> None:
        self._out = BrokenPipeWriter(stream)
        self._terminal = terminal
        self._provider = provider
        self._memory: StoredRenderer | None = None
        self._note = ""
        self._screen = Screen()
        self._is_away = False
        self._is_repainting = False
        self._fixed: os.terminal_size | None = None

    def show(self, image: T, caption: str = "", playback: Playback | None = None) -> None:
        """Show an image under what is there; raises what the renderer raises, and then nothing is shown."""
        self._screen, self._fixed, self._is_repainting = Screen(), None, False
        try:
            self._show(image, caption, playback)
        except Exception:
            raise
        except BaseException:
            self._break_off()
            raise

    def replay(self, left: LeftImage, playback: Playback) -> None:
        """Play an image that was left on the screen, in its place, where it is animated.

        What stands under it stays: once the window has another size, or somebody else had it, nobody knows
        where that is, and the playing ends.
        """
        self._screen, self._fixed = Screen(), left.size
        frame, box = left.frame, Box(left.frame.columns, left.frame.rows)
        if not frame.rows or frame.rows + left.below >= left.size.lines or self._is_moved():
            return
        renderer = cast("RendererOf[EncodedImage]", self._provider.renderer())
        animation = _animation(left.image, box, renderer, playback)
        first = renderer.render(animation.first.image, box) if animation else NOTHING
        if not animation or (first.columns, first.rows) != (frame.columns, frame.rows):
            return
        self._memory = renderer if isinstance(renderer, StoredRenderer) else None
        try:
            self._out.write(self._screen.reopen(frame, left.below))
            self._out.write(self._screen.update(first, "", left.size.columns))
            self._play(animation, renderer, box, playback)
        except BaseException:
            self._break_off()
            raise
        self._out.write(self._screen.leave())

    def suspend(self) -> bool:
        """Leave the terminal to somebody else: nothing is painted until `resume`.

        Returns whether that is done: not while a write is under way, into which a signal has broken.
        """
        if self._out.is_writing:
            return False
        self._is_away = True
        self._break_off()
        return True

    def resume(self) -> None:
        """Continue below what others have written; nothing more of what had its place above that."""
        self._is_away = self._fixed is not None

    def _show(self, image: T, caption: str, playback: Playback | None) -> None:
        columns, rows = self._terminal.size()
        self._out.write(_SAVE_CURSOR)
        renderer = self._provider.renderer()
        self._memory = renderer if isinstance(renderer, StoredRenderer) else None
        self._out.write(f"{_RESTORE_CURSOR}{_CLEAR_LINE}")
        rows -= self._tell(columns)
        box = Box(max(min(self._provider.widest or columns, columns), 1), max(rows - _CAPTION_ROWS, 1))
        animation = _animation(image, box, renderer, playback) if rows > 1 else None
        shown = cast("T", animation.first.image) if animation else image
        frame = renderer.render(shown, box) if rows > 1 else NOTHING
        self._out.write(self._screen.draw(frame, "", columns))
        if animation and playback:
            self._play(animation, cast("RendererOf[EncodedImage]", renderer), box, playback)
        self._out.write(self._screen.leave())
        if self._memory:
            self._memory.keep()
        if not caption:
            return
        unicode = self._terminal.unicode
        line = caption if unicode else caption.replace(" · ", ", ")
        self._out.write(f"{_FAINT}{shorten(line, max(columns - 1, 1))}{_RESET}\r\n")

    def _play(
        self, animation: Animation, renderer: RendererOf[EncodedImage], box: Box, playback: Playback
    ) -> None:
        """Play an animation whose first frame is shown."""
        if isinstance(renderer, PlayingRenderer):
            played = renderer.play(animation, is_endless=playback.is_endless)
            if played is not None:
                for text in played:
                    self._out.write(text)
                return
        self._repaint(animation, renderer, box, playback)
        while playback.is_endless and not self._is_away:
            self._repaint(animation, renderer, box, playback)

    def _repaint(
        self, animation: Animation, renderer: RendererOf[EncodedImage], box: Box, playback: Playback
    ) -> None:
        """Paint one frame after the other, each at its time; what cannot be painted in time is left out."""
        due, skipped = playback.clock(), None
        for image, seconds in animation.frames():
            due += seconds
            late = playback.clock() - due
            skipped = image if 0 <= late < _MOST_LATE else None
            due += late if late >= _MOST_LATE else 0
            if not skipped:
                self._paint(image, renderer, box)
                self._is_repainting = True
                playback.sleep(max(due - playback.clock(), 0))
            if self._is_away:
                return
        if skipped:
            self._paint(skipped, renderer, box)

    def _paint(self, image: EncodedImage, renderer: RendererOf[EncodedImage], box: Box) -> None:
        """Put a frame in the place of the one before, in the window as it is now."""
        self._is_away = self._is_away or self._is_moved()
        if self._is_away:
            return
        columns, rows = self._terminal.size()
        room = Box(max(min(box.columns, columns), 1), max(min(box.rows, rows - _CAPTION_ROWS), 1))
        self._out.write(self._screen.update(renderer.render(image, room), "", columns))

    def _is_moved(self) -> bool:
        """Return whether the image may be elsewhere, because the window has another size."""
        return bool(self._fixed) and self._terminal.size() != self._fixed

    def _tell(self, columns: int) -> int:
        """Print, once, why the renderer is not the one that was asked for; return how many rows that took."""
        note, self._note = ("" if self._note else self._provider.note), self._provider.note
        self._out.write(f"{_FAINT}{note}{_RESET}\r\n" if note else "")
        return rows_below([note], columns) if note else 0

    def _break_off(self) -> None:
        """Restore the terminal in the middle of anything: a signal has come."""
        aborted = self._memory.abort() if self._memory else ""
        if self._is_repainting and not self._is_moved():  # the terminal has written a `^C` into the image
            self._is_repainting = False
            self._out.recover(aborted)
            self._out.limit(_REPAIR_SECONDS)
            self._out.write(self._screen.mend(self._terminal.size().columns))
        self._out.recover(aborted + (self._screen.break_off() if self._out.is_cut else self._screen.leave()))


def _animation(image: object, box: Box, renderer: object, playback: Playback | None) -> Animation | None:
    """Return the animation that is to be played here; None for an image that stands still."""
    if not playback or not isinstance(image, EncodedImage) or getattr(renderer, "plays_gifs", False):
        return None
    from imgcli.output.images.animation import Animation

    width, height = playback.cell() or _USUAL_CELL
    return Animation.of(image, (box.columns * width, box.rows * height))

"""Selects the renderer for a terminal: the one that was asked for, or the best that it supports."""

from __future__ import annotations

from dataclasses import field, replace
from math import inf
from typing import TYPE_CHECKING

from imgcli.core.params import PreviewProtocol
from imgcli.dataclass import dataclass
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.database import Ability, Quirk, choose_protocol, identify, possible_protocols
from imgcli.output.terminal.probe import LAST_QUESTION, EchoOff, is_ours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from imgcli.output.images.kitty import ImageFiles
    from imgcli.output.images.protocol import Renderer
    from imgcli.output.terminal.answers import Answers, Size, Tmux
    from imgcli.output.terminal.capabilities import Terminal


_USUAL_REGISTERS = 256
_ZOOM = 2  # times as large as it is, at most, an image is shown where nobody asked for its width
_REMOTE = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")  # where the terminal has other files than we have
_NARROW_CELL = 8  # pixels; an image that comes out too small is better than one that does not fit


@dataclass(frozen=True)
class _Findings:
    """What the terminal and the tmux around us had to say."""

    answers: Answers
    tmux: Tmux | None


@dataclass(frozen=True)
class TerminalReport:
    """A terminal that has been asked: as it describes itself, and what it can show, the best first."""

    terminal: Terminal
    answers: Answers
    tmux: Tmux | None
    possible: tuple[PreviewProtocol, ...]


@dataclass
class RendererSelector:
    """The provider of a real terminal: `stream` leads to it, `requested` is what the user asked for.

    `widest` is the user's limit in columns, `is_endless` has animations played again and again.
    """

    env: Mapping[str, str]
    stream: TextIO
    terminal: Terminal
    requested: PreviewProtocol = PreviewProtocol.AUTO
    widest: int | None = None
    is_endless: bool = False
    _echo_off: EchoOff | None = field(default=None, init=False)
    _renderer: Renderer | None = field(default=None, init=False)
    _found: _Findings | None = field(default=None, init=False)
    _files: ImageFiles | None = field(default=None, init=False)
    note: str = field(default="", init=False)

    def renderer(self) -> Renderer:
        """Ask what must be asked, within the query's budget, and choose; once."""
        if self._renderer is None:
            found = self._found = self._ask()
            obstacle = self._obstacle(found)
            requested = PreviewProtocol.AUTO if obstacle else self.requested
            protocol = choose_protocol(requested, self.env, found.answers, found.tmux)
            self.note = f"{obstacle}: shown as {protocol}" if obstacle else ""
            self._renderer = self._build(protocol, found)
        return self._renderer

    def report(self) -> TerminalReport:
        """Ask what must be asked, once, and return what is known of the terminal then."""
        found = self._found = self._found or self._ask()
        terminal = _with_answers(self.terminal, found, is_tmux=self._is_tmux(found))
        possible = possible_protocols(self.env, found.answers, found.tmux)
        if not terminal.unicode:  # `_build` has nothing else for it
            possible = (PreviewProtocol.ASCII,)
        return TerminalReport(terminal, found.answers, found.tmux, possible)

    def renderer_for(self, protocol: PreviewProtocol) -> Renderer:
        """Return the renderer of one protocol, a new one each time."""
        found = self._found = self._found or self._ask()
        return self._build(protocol, found)

    @property
    def cell(self) -> tuple[int, int] | None:
        """A cell's width and height in pixels, None while nobody has told."""
        return self._found.answers.cell if self._found else None

    def close(self) -> None:
        """Take away answers that came too late, so that no shell takes them for keys, and leftover files."""
        if self._files:
            self._files.close()
        if self._echo_off:
            self._echo_off.close()
            self._echo_off = None

    def _ask(self) -> _Findings:
        """Ask whatever renderer is wanted: its name tells neither colours, background nor a cell's shape."""
        from imgcli.output.terminal.answers import KITTY, PALETTE, SILENCE, ask_tmux
        from imgcli.output.terminal.probe import query, questions_for

        tmux = ask_tmux(self.env)
        if not is_ours(self.stream) or not questions_for(self.env):
            return _Findings(SILENCE, tmux)
        self._echo_off = EchoOff.over(
            self.stream, self.env
        )  # before the question: a signal may come after it
        if self._echo_off:
            self._echo_off.owed = 1
            self._echo_off.begin()
        first = KITTY if tmux and tmux.has_kitty else b""  # to any other tmux it is a title
        first += PALETTE if self.terminal.depth is ColorDepth.ANSI_16 else b""
        files = self._offered_files(tmux)
        answers = query(self.env, first=(files.question() if files else b"") + first)
        if files and answers.reads_files and files.are_read:
            self._files = files
        elif files:
            files.close(patience=0)
        if answers.is_complete and self._echo_off:
            self._echo_off.end()
            self._echo_off = None
        return _Findings(answers, tmux)

    def _offered_files(self, tmux: Tmux | None) -> ImageFiles | None:
        """Return files to offer to a terminal that does kitty's protocol and may be on this machine."""
        is_wanted = self.requested in {PreviewProtocol.AUTO, PreviewProtocol.KITTY}
        is_kitty = PreviewProtocol.KITTY in identify(self.env)[0].abilities
        if not is_wanted or not is_kitty or tmux or any(map(self.env.get, _REMOTE)):
            return None
        from imgcli.output.images.kitty import ImageFiles

        return ImageFiles()

    def _expect_answers(self) -> None:
        """Keep what the terminal is going to say, although it was told not to, from screen and shell."""
        self._echo_off = self._echo_off or EchoOff.over(self.stream, self.env)
        if self._echo_off:
            self._echo_off.question = LAST_QUESTION
            self._echo_off.begin()

    def _obstacle(self, found: _Findings) -> str:
        """Return why tmux keeps the images that were asked for from the terminal; empty where it does not."""
        tmux = found.tmux
        if not tmux or not self._is_tmux(found):
            return ""
        if self.requested is PreviewProtocol.KITTY and self._is_native(found):
            return ""
        if self.requested in {PreviewProtocol.KITTY, PreviewProtocol.ITERM2} and tmux.passthrough is False:
            return f"tmux stops {self.requested} images (tmux set -g allow-passthrough on)"
        is_sixel = self.requested is PreviewProtocol.SIXEL and found.answers.is_complete
        if is_sixel and not (found.answers.sixel and tmux.may_show_sixels):
            return "this tmux, or the terminal around it, shows no sixels"
        return ""

    def _build(self, protocol: PreviewProtocol, found: _Findings) -> Renderer:
        known, version = identify(self.env, found.answers.name)
        terminal = replace(
            _with_answers(self.terminal, found, is_tmux=self._is_tmux(found)),
            has_wedges=known.can(Ability.WEDGES, version),
        )
        match protocol:
            case PreviewProtocol.KITTY:
                return self._kitty(terminal, found)
            case PreviewProtocol.ITERM2:
                return self._iterm2(terminal, found)
            case PreviewProtocol.SIXEL:
                return self._sixel(terminal, found)
            case _ if not terminal.unicode:
                return BlockRenderer(terminal, PreviewProtocol.ASCII, self._zoom(1))
            case PreviewProtocol.HALF:
                from imgcli.output.images.pixels import HalfRenderer

                return HalfRenderer(terminal, protocol, self._zoom(1))
            case _:
                return BlockRenderer(terminal, protocol, self._zoom(1))

    def _kitty(self, terminal: Terminal, found: _Findings) -> Renderer:
        from imgcli.output.images.kitty import KittyRenderer, Route
        from imgcli.output.images.kitty_player import PlayingKittyRenderer

        known, version = identify(self.env, found.answers.name)
        if Quirk.ANSWERS_ALWAYS in known.quirks and is_ours(self.stream):
            self._expect_answers()
        renderer = PlayingKittyRenderer if known.can(Ability.ANIMATION, version) else KittyRenderer
        shape = 1, terminal.aspect
        if self._is_tmux(found) and not self._is_native(
            found
        ):  # which does not know the cells of the terminal outside, or guesses them
            return KittyRenderer(shape, Route.TMUX, zoom=self._zoom(_NARROW_CELL))
        if cell := found.answers.cell:
            kitty = renderer(shape, enough=cell, zoom=self._zoom(cell[0]), files=self._files)
        else:
            kitty = renderer(shape, zoom=self._zoom(_NARROW_CELL), files=self._files)
        kitty.takes_hints = known.can(Ability.BRIEF, version)
        return kitty

    def _iterm2(self, terminal: Terminal, found: _Findings) -> Renderer:
        from imgcli.output.images.iterm2 import ITerm2Renderer, Transfer

        known, version = identify(self.env, found.answers.name)
        transfer = Transfer.MULTIPART if known.can(Ability.MULTIPART, version) else Transfer.WHOLE
        zoom = self._zoom(found.answers.cell[0] if found.answers.cell else _NARROW_CELL)
        plays_gifs = self.is_endless and known.can(Ability.GIF, version)
        transfer = Transfer.TMUX if self._is_tmux(found) else transfer
        return ITerm2Renderer((1, terminal.aspect), transfer, zoom, plays_gifs=plays_gifs)

    def _sixel(self, terminal: Terminal, found: _Findings) -> Renderer:
        from imgcli.output.images.sixel import SixelRenderer

        answers = found.answers
        cell = answers.cell or (_NARROW_CELL, round(_NARROW_CELL * terminal.aspect))
        registers = answers.registers or _USUAL_REGISTERS
        paints = registers, terminal.background, answers.largest
        return SixelRenderer(cell, *paints, self._zoom(1), fills_cells=self._is_tmux(found))

    def _zoom(self, pixels: int) -> float:
        """Return how many columns of so many pixels a pixel of the image may take; text has one a column."""
        return inf if self.widest else _ZOOM / pixels

    def _is_native(self, found: _Findings) -> bool:
        """Return whether a tmux around us shows kitty's images itself."""
        return bool(found.tmux and found.tmux.has_kitty and found.answers.kitty)

    def _is_tmux(self, found: _Findings) -> bool:
        return found.tmux is not None and identify(self.env, found.answers.name)[0].name == "tmux"


def _with_answers(terminal: Terminal, found: _Findings, *, is_tmux: bool) -> Terminal:
    """Return the terminal as it describes itself, where it does."""
    answers = found.answers
    return replace(
        terminal,
        depth=_depth(terminal.depth, found, is_tmux=is_tmux),
        background=answers.background or terminal.background,
        palette=answers.palette,
        aspect=_aspect(answers.cell) or terminal.aspect,
    )


def _depth(depth: ColorDepth, found: _Findings, *, is_tmux: bool) -> ColorDepth:
    """Return the colours that a terminal of this name has; monochrome is somebody's request."""
    if depth is ColorDepth.MONO:
        return depth
    if is_tmux and found.tmux and found.tmux.has_truecolor:  # which it tells also while it cannot be asked
        return ColorDepth.TRUECOLOR
    known, version = identify({}, found.answers.name)
    if known.name == "tmux" and depth is ColorDepth.ANSI_16:  # it has 256 wherever it is, and TERM=screen
        return ColorDepth.ANSI_256
    return ColorDepth.TRUECOLOR if known.can(Ability.TRUECOLOR, version) else depth


def _aspect(cell: Size | None) -> float | None:
    return cell[1] / cell[0] if cell else None

"""Checks of the terminal: its name, its colors, the renderer that `auto` chooses and why, and tmux."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode, Problem
from imgcli.core.option import option
from imgcli.core.params import PreviewProtocol
from imgcli.core.text import shorten
from imgcli.output.diagnosis import Check
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.database import Ability, QueryPolicy, Quirk, can, identify, query_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.output.images.select import TerminalReport


TERMINAL, COLORS, PREVIEW, EXTRAS, TMUX = "terminal", "colors", "preview", "extras", "tmux"

_LENGTH = 40
_DEPTHS = {
    ColorDepth.NONE: "none",
    ColorDepth.MONO: "black and white",
    ColorDepth.ANSI_16: "16 colors",
    ColorDepth.ANSI_256: "256 colors",
    ColorDepth.TRUECOLOR: "24-bit colors",
}
_NAMED = "TERM", "TERM_PROGRAM", "COLORTERM", "NO_COLOR", "CI", "LANG", "LC_ALL"
"""Environment variables that say something about the terminal, for programs."""
_DARK_BELOW = 128
_SIXEL = "it reports sixel, and a cell's size is known"
_SWITCHES: Mapping[bool | None, str] = {True: "on", False: "off", None: "unknown"}
_PASSTHROUGH = "tmux set -g allow-passthrough on"


def no_terminal_checks(env: Mapping[str, str], requested: str) -> Iterator[Check]:
    """Return the checks where neither standard output nor standard error leads to a terminal."""
    facts = {"is_terminal": False, "environment": _environment(env)}
    yield Check.note(TERMINAL, "none: output goes to a file or a pipe", facts=facts)
    yield _preview(requested, (), "plain lines, because there is no terminal", env)


def terminal_checks(env: Mapping[str, str], report: TerminalReport, requested: str) -> Iterator[Check]:
    """Check a terminal that was asked; `requested` is the protocol that a run would be asked for."""
    yield _terminal(env, report)
    yield _colors(env, report)
    if report.terminal.depth is ColorDepth.NONE:
        yield _preview(requested, (), f"plain lines, because {_plain_reason(env)}", env)
    else:
        best = report.possible[0]
        yield _preview(requested, report.possible, f"{best}: {_reason(env, report, best)}", env)
    yield _extras(env, report)
    if env.get("TMUX"):
        yield _tmux(report)


def _terminal(env: Mapping[str, str], report: TerminalReport) -> Check:
    answers, size = report.answers, report.terminal.size()
    known, version = identify(env, answers.name)
    number = ".".join(map(str, version))
    facts = {
        "is_terminal": True,
        "name": known.name or None,
        "version": number or None,
        "calls_itself": answers.name or None,
        "answered": answers.is_complete,
        "columns": size.columns,
        "rows": size.lines,
        "cell": list(answers.cell) if answers.cell else None,
        "unicode": report.terminal.unicode,
        "environment": _environment(env),
    }
    name = answers.name or " ".join(filter(None, [known.name, number])) or "unknown"
    cell = f", cells of {answers.cell[0]}x{answers.cell[1]} pixels" if answers.cell else ""
    term = shorten(env.get("TERM", ""), _LENGTH) or "not set"
    text = f"{name} (TERM {term}), {size.columns}x{size.lines}{cell}"
    if not report.terminal.unicode:
        return Check.note(
            TERMINAL, f"{text}; ASCII only", "Set LANG to a UTF-8 locale, such as C.UTF-8.", facts
        )
    return Check.ok(TERMINAL, text, facts)


def _colors(env: Mapping[str, str], report: TerminalReport) -> Check:
    terminal = report.terminal
    color = terminal.background
    facts = {
        "colors": int(terminal.depth),
        "background": "#{:02x}{:02x}{:02x}".format(*color) if color else None,
        "sixel_colors": report.answers.registers,
    }
    if terminal.depth is ColorDepth.NONE:
        return Check.note(COLORS, f"not used, because {_plain_reason(env)}", facts=facts)
    shade = "unknown" if color is None else "dark" if max(color) < _DARK_BELOW else "light"
    text = f"{_DEPTHS[terminal.depth]}, {shade} background"
    if terminal.depth is ColorDepth.MONO and env.get("NO_COLOR"):
        return Check.note(COLORS, f"{text}, because NO_COLOR is set", facts=facts)
    can_have_more = Quirk.FEW_COLOURS not in identify(env, report.answers.name)[0].quirks
    if terminal.depth < ColorDepth.TRUECOLOR and can_have_more:
        return Check.note(COLORS, text, "If it has more: export COLORTERM=truecolor", facts)
    return Check.ok(COLORS, text, facts)


def _preview(
    requested: str, possible: tuple[PreviewProtocol, ...], auto: str, env: Mapping[str, str]
) -> Check:
    """Return which protocol a run takes: what was asked for by variable or file, else the best."""
    asked = requested.strip().lower()
    chosen = str(possible[0]) if possible else PreviewProtocol.OFF
    facts = {"requested": shorten(asked, _LENGTH), "auto": chosen, "why": auto, "possible": list(possible)}
    if asked not in set(PreviewProtocol):
        choices = ", ".join(PreviewProtocol)
        what = f"IMGCLI_PREVIEW must be one of {choices}, not {shorten(asked, _LENGTH)}."
        return Check.problem(PREVIEW, Problem(ExitCode.USAGE, what), facts)
    if asked == PreviewProtocol.AUTO:
        return Check.ok(PREVIEW, f"auto takes {auto}", facts)
    by = "IMGCLI_PREVIEW" if env.get("IMGCLI_PREVIEW", "").strip() else "the configuration"
    text = f"{by} asks for {asked}; auto takes {auto}"
    if asked in possible or asked == PreviewProtocol.OFF or not possible:
        return Check.ok(PREVIEW, text, facts)
    return Check.note(PREVIEW, text, f"If no image appears, use {option('preview', 'auto')}.", facts)


def _extras(env: Mapping[str, str], report: TerminalReport) -> Check:
    """Return what else the terminal is known to do: a run goes by its environment, not by its answers."""
    known, version = identify(env)
    links, progress = (known.can(one, version) for one in (Ability.LINKS, Ability.PROGRESS))
    outside = report.tmux.outside if report.tmux and report.tmux.passthrough else ""
    languages = (Ability.NOTIFY_99, Ability.NOTIFY_777, Ability.NOTIFY_9)
    told = [one.value for one in languages if known.can(one, version) or (outside and can(one, outside))]
    facts = {"links": links, "progress": progress, "notifications": told[0] if told else None}
    words = [
        "paths are links" if links else "no links",
        "progress in its tab" if progress else "no progress in its tab",
        f"notifications by {told[0]}" if told else "notifications by the desktop or the bell",
    ]
    return Check.ok(EXTRAS, ", ".join(words), facts)


def _reason(env: Mapping[str, str], report: TerminalReport, best: PreviewProtocol) -> str:
    """Return why this protocol is the best here."""
    answers = report.answers
    known, _ = identify(env, answers.name)
    name = known.name or "this terminal"
    if best is PreviewProtocol.KITTY:
        if known.name == "tmux" and report.tmux:
            return f"tmux lets it through to {shorten(report.tmux.outside, _LENGTH)}"
        late = f"{name} has it, although it did not answer the query"
        return "it answers kitty's query" if answers.kitty else late
    if best in {PreviewProtocol.BLOCKS, PreviewProtocol.HALF}:
        return _why_blocks(env, report)
    told = {PreviewProtocol.SIXEL: _SIXEL, PreviewProtocol.ASCII: "the locale is not UTF-8"}
    is_told = Quirk.IMAGES_OPTIONAL in known.quirks
    return told.get(best, f"{name} {'says so' if is_told else 'is known to have it'}")


def _why_blocks(env: Mapping[str, str], report: TerminalReport) -> str:
    answers = report.answers
    if query_policy(env) is QueryPolicy.NEVER:
        return f"{identify(env, answers.name)[0].name or 'a terminal without TERM'} is not asked for more"
    if not answers.is_complete:
        return "it did not answer the query"
    if answers.sixel and answers.cell is None:
        return "it reports sixel, but not a cell's size"
    if answers.kitty or answers.sixel:
        return "its images are not known to work"
    return "it reports neither kitty's protocol nor sixel"


def _plain_reason(env: Mapping[str, str]) -> str:
    for name in ("NO_COLOR", "CI"):
        if env.get(name):
            return f"{name} is set"
    term = env.get("TERM", "")
    if term in {"", "dumb", "unknown"}:
        return f"TERM is {term or 'not set'}"
    return "the terminal belongs to another job"


def _tmux(report: TerminalReport) -> Check:
    """Return what tmux lets through, and how to let it through where that would show more."""
    tmux = report.tmux
    outside = shorten(tmux.outside, _LENGTH) if tmux else ""
    facts = {
        "passthrough": tmux.passthrough if tmux else None,
        "outside": outside or None,
        "truecolor": tmux.has_truecolor if tmux else None,
    }
    if tmux is None or not outside:
        return Check.note(TMUX, "it does not tell what it runs in", facts=facts)
    text = f"in {outside}, passthrough {_SWITCHES[tmux.passthrough]}"
    if not tmux.passthrough and can(Ability.PLACEHOLDERS, tmux.outside):
        return Check.note(TMUX, text, f"For sharp images: {_PASSTHROUGH}", facts)
    if not tmux.has_truecolor:
        advice = f"If {outside} has 24-bit colors: tmux set -as terminal-features ',*:RGB'"
        return Check.note(TMUX, f"{text}, not known to have 24-bit colors", advice, facts)
    return Check.ok(TMUX, text, facts)


def _environment(env: Mapping[str, str]) -> dict[str, str | None]:
    return {name: shorten(env[name], _LENGTH) if name in env else None for name in _NAMED}

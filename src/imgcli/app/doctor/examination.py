"""`imgcli doctor`: runs every check, prints each as it ends, then the test card."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from imgcli import __version__
from imgcli.app.context import all_secrets, size_of
from imgcli.app.doctor.server_checks import server_checks
from imgcli.app.doctor.setup_checks import ConfigurationFacts, configuration_check, versions_check
from imgcli.app.doctor.storage_checks import storage_checks
from imgcli.app.doctor.terminal_checks import no_terminal_checks, terminal_checks
from imgcli.core.errors import usage_error
from imgcli.core.option import option
from imgcli.core.secrets import redact
from imgcli.dataclass import dataclass
from imgcli.output.diagnosis import exit_code_of
from imgcli.output.tables.doctor import check_lines, closing_line, doctor_json
from imgcli.output.terminal.capabilities import ColorDepth, detect_terminal, has_color
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.errors import ExitCode
    from imgcli.core.image import EncodedImage
    from imgcli.output.diagnosis import Check
    from imgcli.output.images.card import CardRenderer
    from imgcli.output.images.select import RendererSelector, TerminalReport


_CAPTION_ROWS = 2  # the line below the card, and the shell's prompt
_LEAST_ROWS = 20  # of the card, although the checks above it scroll away


@dataclass(frozen=True)
class DoctorOptions:
    """What to check, and how to tell it; `preview` is what a run would be asked for, unchecked."""

    server: ServerOptions
    configuration: ConfigurationFacts
    preview: str
    is_offline: bool = False
    as_json: bool = False
    has_test_card: bool = False


def examine(context: Context, options: DoctorOptions) -> ExitCode:
    """Check everything, print what was found, and return the exit code that a run would have.

    Raises `ImgcliError` (usage) for a test card without a terminal to show it on.
    """
    examined = _ExaminedTerminal.of(context)
    if options.has_test_card and (examined is None or examined.is_plain):
        raise usage_error(
            f"{option('test-card')} needs a terminal that shows images.",
            "Run it in the terminal that has the problem, without a pipe, TERM=dumb, NO_COLOR or CI.",
            about=("test-card",),
        )
    try:
        told = _tell(context, options, examined)
        if options.has_test_card and examined:
            examined.show_card(context, told.rows)
    finally:
        if examined:
            examined.selector.close()
    return exit_code_of(told.checks)


class _Told(NamedTuple):
    """The checks, and the rows that they take on the screen."""

    checks: list[Check]
    rows: int


def _tell(context: Context, options: DoctorOptions, examined: _ExaminedTerminal | None) -> _Told:
    """Make the checks; a person sees each as it is made, because a server may take long to answer."""
    out = SafeWriter(context.stdout)
    columns = size_of(context.stdout).columns if context.stdout.isatty() else None
    in_color = has_color(context.env, context.stdout)
    secrets, found, rows = all_secrets(context), list["Check"](), 1
    for check in _checks(context, options, examined):
        safe = _redacted(check, secrets)
        found.append(safe)
        if not options.as_json:
            lines = check_lines(safe, columns, in_color=in_color)
            rows += len(lines)
            out.lines(lines)
            context.stdout.flush()
    out.lines([json.dumps(doctor_json(found), indent=2)] if options.as_json else [closing_line(found)])
    return _Told(found, rows)


def _checks(context: Context, options: DoctorOptions, examined: _ExaminedTerminal | None) -> Iterator[Check]:
    yield versions_check()
    if examined:
        yield from terminal_checks(context.env, examined.report, options.preview)
    else:
        yield from no_terminal_checks(context.env, options.preview)
    yield configuration_check(options.configuration)
    yield from storage_checks(context)
    yield from server_checks(context, options.server, is_offline=options.is_offline)


def _redacted(check: Check, secrets: Sequence[str]) -> Check:
    """Return a check without secrets, wherever an environment may have them."""

    def safe(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
        if isinstance(value, str):
            return redact(value, *secrets)
        if isinstance(value, dict):
            return {key: safe(inner) for key, inner in value.items()}
        return [safe(inner) for inner in value] if isinstance(value, list) else value

    facts = {key: safe(value) for key, value in check.facts.items()}
    return replace(
        check, text=redact(check.text, *secrets), advice=redact(check.advice, *secrets), facts=facts
    )


@dataclass(frozen=True)
class _ExaminedTerminal:
    """The terminal that a run would show its image on, with what it told."""

    stream: TextIO
    selector: RendererSelector
    report: TerminalReport

    @classmethod
    def of(cls, context: Context) -> _ExaminedTerminal | None:
        """Ask the terminal on standard error, else on standard output; None for no terminal."""
        from imgcli.output.images.select import RendererSelector

        stream = next((one for one in (context.stderr, context.stdout) if one.isatty()), None)
        if stream is None:
            return None
        terminal = detect_terminal(context.env, stream, lambda: size_of(stream))
        selector = RendererSelector(context.env, stream, terminal)
        return cls(stream, selector, selector.report())

    @property
    def is_plain(self) -> bool:
        """Whether it gets plain lines, without any escape code."""
        return self.report.terminal.depth is ColorDepth.NONE

    def show_card(self, context: Context, rows_above: int) -> None:
        """Paint the card with every renderer that this terminal can do; a screenshot shows what it is."""
        from imgcli.output.images.card import CardRenderer, NamedRenderer, paint_test_card
        from imgcli.output.terminal.viewer import StillViewer

        names = list(map(str, self.report.possible))
        renderers = [
            NamedRenderer(name, self.selector.renderer_for(protocol))
            for name, protocol in zip(names, self.report.possible, strict=True)
        ]
        terminal = self.report.terminal
        size = terminal.size()
        most_rows = max(size.lines - rows_above - _CAPTION_ROWS, _LEAST_ROWS)
        cards = [paint_test_card(name) for name in names]
        provider = _CardProvider(CardRenderer(renderers, terminal.aspect, most_rows))
        viewer: StillViewer[Sequence[EncodedImage]] = StillViewer(self.stream, terminal, provider)
        name = self.report.answers.name or "unnamed terminal"
        term = context.env.get("TERM", "")
        window = f"{size.columns}x{size.lines}"
        facts = [f"imgcli {__version__}", name, f"TERM {term}", window, f"auto: {names[0]}"]
        viewer.show(cards, _caption(facts, [f"TERM {term}", window], size.columns))


def _caption(facts: list[str], spare: list[str], columns: int) -> str:
    """Return facts as one line, without those to spare where it would be cut off before the last."""
    line = " · ".join(facts)
    if len(line) < columns or not spare:
        return line
    return _caption([fact for fact in facts if fact != spare[0]], spare[1:], columns)


@dataclass(frozen=True)
class _CardProvider:
    """Has the renderer of the test card, in the whole width of the window."""

    cards: CardRenderer
    widest: int | None = None
    note: str = ""

    def renderer(self) -> CardRenderer:
        """Return the renderer."""
        return self.cards

    def close(self) -> None:
        """Leave the terminal to whoever asked it."""

"""How a run ends that could not say on standard output what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from imgcli.cli import signals
from imgcli.cli.order import Style
from imgcli.cli.report import tell
from imgcli.cli.world import abandon
from imgcli.core.demo import uncharged
from imgcli.core.errors import Charged, ExitCode, Problem, gravest
from imgcli.show.jsonl import JsonLinesSink
from imgcli.show.paths import PathsSink
from imgcli.show.queued import QueuedSink

if TYPE_CHECKING:
    from imgcli.cli.world import World
    from imgcli.core import session


def exit_code(world: World, outcome: session.Outcome, job: str, *, is_free: bool = False) -> ExitCode:
    """Add to the outcome what became of the sink that spoke on standard output; a demo is free."""
    for broken, error in outcome.broken:
        sink = broken.inner if isinstance(broken, QueuedSink) else broken
        if not isinstance(sink, JsonLinesSink | PathsSink):
            continue  # a show that broke costs the show
        if isinstance(error, BrokenPipeError):
            _reader_has_gone(sink)
            continue
        problem = _unwritable(error, outcome)
        problem = uncharged(problem) if is_free else problem
        abandon(world.stdout)
        tell(world, Style.PATHS, problem, job)
        return gravest([outcome.exit_code, problem.exit_code])
    return outcome.exit_code


def _reader_has_gone(sink: JsonLinesSink | PathsSink) -> None:
    """End as a filter does whose reader has left; a path that nobody wants to know costs nothing."""
    if isinstance(sink, JsonLinesSink):
        _die_by_sigpipe()


def _die_by_sigpipe() -> NoReturn:
    import signal

    signals.die_by(signal.SIGPIPE)


def _unwritable(error: Exception, outcome: session.Outcome) -> Problem:
    """Describe a standard output that did not take the result."""
    reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    lost = f"Standard output could not be written ({reason})"
    if not isinstance(error, OSError):
        return Problem(ExitCode.INTERNAL, f"{lost}.", Charged.MAYBE)
    if not outcome.saved:
        return Problem(ExitCode.UNKNOWN, f"{lost}, and the picture was not to be saved.", Charged.MAYBE)
    places = ", ".join(str(saved.path.absolute()) for saved in outcome.saved)
    return Problem(ExitCode.ELSEWHERE, f"{lost}; the picture is saved as {places}.", Charged.YES)

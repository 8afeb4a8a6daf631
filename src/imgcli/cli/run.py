"""One generation: source, stages and sinks put together, and taken apart on every path."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import typer

from imgcli.cli import desk as desks
from imgcli.cli import signals
from imgcli.cli.order import Keeping, Style
from imgcli.cli.report import Reporter, tell
from imgcli.cli.world import abandon
from imgcli.core import catalog, session
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, gravest, usage_error
from imgcli.core.events import Event, Notice, Started
from imgcli.core.wish import Decision, decide
from imgcli.show.jsonl import InlineImages, JsonLinesSink
from imgcli.show.paths import PathsSink
from imgcli.store.saving import KeepPartials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imgcli.api.account import Account
    from imgcli.cli.desk import Desk
    from imgcli.cli.order import Endpoint, Order
    from imgcli.cli.world import World

_WATCHED_PARTIALS = 3
_DEMO_NOTICE = "demo: painted on this machine; nothing is charged, the bill shows what it would cost"


@contextmanager
def refusals(world: World, style: Style) -> Iterator[None]:
    """Report whatever is refused before a run begins, and end with its exit code."""
    try:
        yield
    except ImgcliError as error:
        tell(world, style, error.problem)
        raise typer.Exit(error.problem.exit_code) from None


def show_request(world: World, order: Order) -> ExitCode:
    """Print the request as JSON and send nothing; what it would cost to watch is in it."""
    models = catalog.load()
    decision = _decide(world, order, Reporter(world, order, models), models)
    for notice in decision.notices:
        world.stderr.write(f"note: {notice}\n")
    world.stdout.write(json.dumps(decision.request.wire(), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.OK


def perform(world: World, order: Order) -> ExitCode:
    """Run one generation to its end. Raises `ImgcliError` for what is refused before anything is sent."""
    models = catalog.load()
    reporter = Reporter(world, order, models)
    decision = _decide(world, order, reporter, models)
    _check_that_something_stays(order, reporter)
    job = f"{world.now():%Y%m%d-%H%M%S}-{world.token()}"
    with ExitStack() as stack:
        account = _account(world, order.endpoint, stack)
        desk = stack.enter_context(desks.opened(world, order.output, decision.request, job))
        source = _source(world, order.endpoint, decision, account, desk)
        return _conduct(world, reporter, desk, source)


def _decide(world: World, order: Order, reporter: Reporter, models: catalog.Catalog) -> Decision:
    """Fill in how many partials are worth their price."""
    watched = reporter.is_watched or order.output.partials is KeepPartials.ALL
    wish = replace(order.wish, watched_partials=_WATCHED_PARTIALS if watched else 0)
    return decide(wish, models, world.now().date())


def _check_that_something_stays(order: Order, reporter: Reporter) -> None:
    """Refuse to buy a picture that nobody keeps and nobody sees."""
    if order.output.keeping is Keeping.SAVE or reporter.is_shown:
        return
    if order.report.style is not Style.JSON_LINES or order.report.inline is InlineImages.NONE:
        raise usage_error(
            "--no-save would leave nothing of a picture that is paid for.",
            "Add --jsonl, or a terminal to show it on.",
        )


def _account(world: World, endpoint: Endpoint, stack: ExitStack) -> Account:
    """Find the server and the key; the demo's server runs in this process, as long as the run."""
    from imgcli.api.account import account

    if not endpoint.demo:
        return account(world.env, endpoint.base_url)
    from imgcli.standin.server import StandIn

    server = stack.enter_context(StandIn())
    return account({}, server.base_url)


def _source(
    world: World, endpoint: Endpoint, decision: Decision, account: Account, desk: Desk
) -> Iterator[Event]:
    """Ask the server, and give what it answers as events; every byte is recorded before it is read."""
    yield Started(desk.job, decision.request)
    for text in (*decision.notices, *([_DEMO_NOTICE] if endpoint.demo else [])):
        yield Notice(desk.job, text)
    from imgcli.api.client import Clock, Limits, send
    from imgcli.api.reading import read_events

    clock = Clock(monotonic=world.monotonic, sleep=world.sleep)
    desk.has_asked = not endpoint.demo
    answer = yield from send(decision.request, desk.job, account, Limits(endpoint.timeout), clock)
    try:
        yield from read_events(desk.recorded(answer.chunks), desk.job)
    finally:
        answer.close()


def _conduct(world: World, reporter: Reporter, desk: Desk, source: Iterator[Event]) -> ExitCode:
    """Let the events run from the source through the stages into the sinks."""
    events = desk.saving(session.conducted(desk.job, desk.reporting(source)))
    try:
        with reporter.sinks() as sinks:
            outcome = session.run(events, sinks)
            desk.settle(outcome)
    except signals.Interrupted as interrupted:
        kept = desk.keep_last_partial()
        reporter.tell(desk.job, _interruption(interrupted, kept, desk))
        raise
    return _exit_code(world, outcome, desk)


def _interruption(interrupted: signals.Interrupted, kept: Path | None, desk: Desk) -> Problem:
    """Say what a signal broke off, and what that may have cost."""
    where = f" The last partial image is kept as {kept}." if kept else ""
    charged = Charged.MAYBE if desk.has_asked else Charged.NO
    code = ExitCode.UNKNOWN if desk.has_asked else ExitCode.USAGE
    return Problem(code, f"Interrupted by {interrupted.name}.{where}", charged)


def _exit_code(world: World, outcome: session.Outcome, desk: Desk) -> ExitCode:
    """Add to the outcome what became of the sink that spoke on standard output."""
    for sink, error in outcome.broken:
        if not isinstance(sink, JsonLinesSink | PathsSink):
            continue  # a show that broke costs the show
        if isinstance(error, BrokenPipeError):
            _reader_has_gone(sink)
            continue
        problem = _unwritable(error, outcome)
        abandon(world.stdout)
        tell(world, Style.PATHS, problem, desk.job)
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
    places = ", ".join(str(saved.path.absolute()) for saved in outcome.saved) or "nowhere"
    what = f"Standard output could not be written ({reason}); the picture is saved as {places}."
    code = ExitCode.ELSEWHERE if isinstance(error, OSError) else ExitCode.INTERNAL
    return Problem(code, what, Charged.YES if outcome.saved else Charged.MAYBE)

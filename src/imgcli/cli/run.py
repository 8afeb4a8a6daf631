"""One generation: source, stages and sinks put together, and taken apart on every path."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from imgcli.cli import desk as desks
from imgcli.cli import embedding, memory, money, notes, opening, signals
from imgcli.cli.ending import exit_code
from imgcli.cli.order import Keeping, Style
from imgcli.cli.report import Reporter, refuse
from imgcli.core import catalog, session
from imgcli.core.demo import uncharged, uncharged_events
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import Event, Failed, Notice, Started
from imgcli.core.redaction import masked
from imgcli.core.reference import abbreviated
from imgcli.core.wish import Decision, decide
from imgcli.store.saving import KeepPartials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from imgcli.api.account import Account
    from imgcli.cli.desk import Desk
    from imgcli.cli.order import Endpoint, Order
    from imgcli.cli.world import World
    from imgcli.core.session import Sink

_WATCHED_PARTIALS = 3
_DEMO_NOTICE = "a free demo; the bill is what it would cost"
_FORM_NOTICE = "this goes out as a form (multipart/form-data), its pictures as they are"


def same(problem: Problem) -> Problem:
    """Leave a refusal as it is."""
    return problem


@contextmanager
def refusals(world: World, style: Style, explained: Callable[[Problem], Problem] = same) -> Iterator[None]:
    """Report whatever is refused before a run begins, and end with its exit code."""
    try:
        yield
    except ImgcliError as error:
        raise typer.Exit(refuse(world, explained(error.problem), style)) from None


def show_request(world: World, order: Order) -> ExitCode:
    """Print the request as JSON and send nothing; what it would cost to watch is in it."""
    models = catalog.load()
    decision = _decide(world, order, Reporter(world, order, models), models)
    notes.tell(world, decision.notices)
    money.watched(world, order, decision, models)
    _check_day(world, order, decision, models)
    if decision.request.is_form:
        notes.tell(world, [_FORM_NOTICE])
    world.stdout.write(_readable_json(abbreviated(decision.request.wire())) + "\n")
    return ExitCode.OK


def _check_day(world: World, order: Order, decision: Decision, models: catalog.Catalog) -> None:
    if order.budget.day:
        from imgcli.cli import reservation

        reservation.check(world, order, decision, models)


def _readable_json(body: Mapping[str, Any]) -> str:
    """Write JSON in any script's letters, but escape what a terminal would obey instead of showing it."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def perform(world: World, order: Order) -> ExitCode:
    """Run one generation to its end. Raises `ImgcliError` for what is refused before anything is sent."""
    models = catalog.load()
    reporter = Reporter(world, order, models)
    decision = _decide(world, order, reporter, models)
    _check_that_something_stays(order, reporter)
    decision = money.watched(world, order, decision, models)
    job = f"{world.now():%Y%m%d-%H%M%S}-{world.token()}"
    recipe = embedding.recipe(world, order, decision.request)
    with ExitStack() as stack:
        desk = desks.Desk(job, is_free=order.endpoint.is_free)
        if order.budget.day:
            from imgcli.cli import reservation

            held = reservation.held(world, order, decision, desk, models)
            decision = stack.enter_context(held)
        extra = memory.for_recovery(world, order) | embedding.for_record(recipe)
        stack.enter_context(desks.opened(world, order.output, decision.request, desk, extra))
        desk.embedding = embedding.stage(recipe)
        account = _account(world, order.endpoint)
        source = _source(world, order.endpoint, decision, account, desk)
        remembered = stack.enter_context(memory.kept(world, order, desk, models))
        code = _conduct(world, reporter, desk, source, remembered)
    if order.output.desktop:
        opening.hand_over(world, desk.whole, order.output.desktop)
    return code


def _decide(world: World, order: Order, reporter: Reporter, models: catalog.Catalog) -> Decision:
    """Fill in how many partials are worth their price, and check what only the whole order can tell."""
    watched = reporter.is_watched or order.output.partials is KeepPartials.ALL
    wish = replace(order.wish, watched_partials=_WATCHED_PARTIALS if watched else 0)
    decision = decide(wish, models, world.now().date())
    embedding.check(order.output, decision.request)
    return replace(decision, notices=(*order.notices, *decision.notices))


def _check_that_something_stays(order: Order, reporter: Reporter) -> None:
    """Refuse to buy a picture that nobody keeps and nobody sees."""
    if order.output.keeping is Keeping.SAVE or order.output.record or reporter.is_shown or reporter.is_inline:
        return
    is_json = order.report.style is Style.JSON_LINES
    raise usage_error(
        "--no-save would leave nothing of an image that is paid for.",
        "Add --jsonl-images inline." if is_json else "Add --jsonl, or a terminal to show it on.",
    )


def _account(world: World, endpoint: Endpoint) -> Account | None:
    """Find the server and the key, None for the demo, which has its own."""
    from imgcli.api.account import account

    return None if endpoint.demo else account(world.env, endpoint.base_url, endpoint.server)


@contextmanager
def _reachable(account: Account | None, seed: int | None) -> Iterator[Account]:
    """Give the account to ask; the demo's server runs in this process, as long as it is asked."""
    if account is not None:
        yield account
        return
    from imgcli.api.account import account as find
    from imgcli.standin.server import StandIn

    with StandIn(seed=seed) as server:
        yield find({}, server.base_url)


def _source(
    world: World, endpoint: Endpoint, decision: Decision, account: Account | None, desk: Desk
) -> Iterator[Event]:
    """Ask the server, and give what it answers as events; every byte is recorded before it is read."""
    yield Started(desk.job, decision.request)
    for text in (*desk.notices, *decision.notices, *([_DEMO_NOTICE] if endpoint.demo else [])):
        yield Notice(desk.job, text)
    from imgcli.api.client import Clock
    from imgcli.api.continuing import send_decided
    from imgcli.api.patience import Limits
    from imgcli.api.reading import read_events
    from imgcli.api.vocabulary import maskable
    from imgcli.core.redaction import redacted_events

    clock = Clock(monotonic=world.monotonic, sleep=world.sleep)
    desk.has_asked = not endpoint.demo
    with _reachable(account, endpoint.seed) as peer:
        limits = Limits.scaled(endpoint.timeout)
        answer = yield from send_decided(decision, desk.job, peer, limits, clock, desk.sent)
        desk.sent()  # a server may answer before the whole request has gone out
        with closing(answer):
            if answer.is_demo:
                desk.note_demo()
            chunks = desk.recorded(masked(answer.chunks, *maskable(*peer.secrets)))
            events = read_events(chunks, desk.job, answer.note, answer.linger, decision.request.inputs)
            yield from redacted_events(events, *peer.secrets)


def _conduct(
    world: World,
    reporter: Reporter,
    desk: Desk,
    source: Iterator[Event],
    remembered: Sequence[Sink],
) -> ExitCode:
    """Let the events run from the source through the stages into the sinks."""
    saved = desk.saving(_dated(world, session.conducted(desk.job, desk.reporting(source))))
    events = reporter.compared(uncharged_events(saved, lambda: desk.is_free))
    try:
        with reporter.sinks() as sinks:
            outcome = session.run(events, [*sinks, *remembered])
            notes.tell(world, desk.settle(outcome))
    except signals.Interrupted as interrupted:
        kept = desk.keep_last_partial()
        broken = _interruption(interrupted, kept, desk)
        problem = uncharged(broken) if desk.is_free else broken
        reporter.tell(desk.job, problem)
        for sink in remembered:
            sink.handle(Failed(desk.job, problem))
        raise
    return exit_code(world, outcome, desk.job, is_free=desk.is_free)


def _dated(world: World, events: Iterator[Event]) -> Iterator[Event]:
    """Say of a model that the server does not have any more when it went, and what to use instead."""
    asked: tuple[str | None, ...] = ()
    for event in events:
        match event:
            case Started(request=request):
                asked = request.model, request.image_model
                yield event
            case Failed(problem=problem) if problem.cause is Cause.NO_MODEL:
                gone = catalog.load().shutdown_of(asked, world.now().date())
                yield replace(event, problem=replace(problem, what=gone, advice="") if gone else problem)
            case _:
                yield event


def _interruption(interrupted: signals.Interrupted, kept: Path | None, desk: Desk) -> Problem:
    """Say what a signal broke off, what is left of it, and what that may have cost."""
    by = f"Interrupted by {interrupted.name}"
    if desk.saved:
        places = ", ".join(str(path.absolute()) for path in desk.saved)
        told = Problem(ExitCode.UNKNOWN, f"{by}; the picture is saved as {places}.", Charged.YES)
    elif desk.has_sent or kept:
        where = f" The last partial image is kept as {kept}." if kept else ""
        told = Problem(ExitCode.UNKNOWN, f"{by}.{where}", Charged.MAYBE, CHECK_USAGE)
    else:
        told = Problem(ExitCode.USAGE, f"{by}.", Charged.NO)
    return replace(told, signal=interrupted.signum)

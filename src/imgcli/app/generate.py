"""One generation: source, stages and sinks put together, and taken apart on every path."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from imgcli.app import artifacts, budget, context, desktop, history_log, process
from imgcli.app import artifacts as desks
from imgcli.app.context import abandon
from imgcli.app.options import Keeping, OutputFormat
from imgcli.app.reporting import Reporter, refuse, tell
from imgcli.core import catalog, pipeline
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.events import Event, Failed, Notice, Started
from imgcli.core.pipeline import mark_uncharged, uncharged
from imgcli.core.problem import CHECK_USAGE, Cause, Charged, ExitCode, Problem, most_severe
from imgcli.core.request import abbreviated
from imgcli.core.secrets import masked
from imgcli.core.validate import ValidRequest, validate
from imgcli.output.sinks.jsonl import JsonLinesSink
from imgcli.output.sinks.lines import PathsSink
from imgcli.output.sinks.queued import QueuedSink
from imgcli.store.publish.stage import KeepPartials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from imgcli.api.auth import Credentials
    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions, ServerOptions
    from imgcli.core.pipeline import Sink


def exit_status(world: Context, outcome: pipeline.Outcome, job: str, *, is_free: bool = False) -> ExitCode:
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
        tell(world, OutputFormat.PATHS, problem, job)
        return most_severe([outcome.exit_code, problem.exit_code])
    return outcome.exit_code


def _reader_has_gone(sink: JsonLinesSink | PathsSink) -> None:
    """End as a filter does whose reader has left; a path that nobody wants to know costs nothing."""
    if isinstance(sink, JsonLinesSink):
        _die_by_sigpipe()


def _die_by_sigpipe() -> NoReturn:
    import signal

    process.die_by(signal.SIGPIPE)


def _unwritable(error: Exception, outcome: pipeline.Outcome) -> Problem:
    """Describe a standard output that did not take the result."""
    reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    lost = f"Standard output could not be written ({reason})"
    if not isinstance(error, OSError):
        return Problem(ExitCode.INTERNAL, f"{lost}.", Charged.MAYBE)
    if not outcome.saved:
        return Problem(ExitCode.UNKNOWN, f"{lost}, and the image was not to be saved.", Charged.MAYBE)
    places = ", ".join(str(saved.path.absolute()) for saved in outcome.saved)
    return Problem(ExitCode.ELSEWHERE, f"{lost}; the image is saved as {places}.", Charged.YES)


_WATCHED_PARTIALS = 3
_DEMO_NOTICE = "a free demo; the bill is what it would cost"
_FORM_NOTICE = "this goes out as a form (multipart/form-data), its images as they are"


def same(problem: Problem) -> Problem:
    """Leave a refusal as it is."""
    return problem


@contextmanager
def refusals(
    world: Context, style: OutputFormat, explained: Callable[[Problem], Problem] = same
) -> Iterator[None]:
    """Report whatever is refused before a run begins, and end with its exit code."""
    try:
        yield
    except ImgcliError as error:
        raise typer.Exit(refuse(world, explained(error.problem), style)) from None


def dry_run(world: Context, order: GenerateOptions) -> ExitCode:
    """Print the request as JSON and send nothing; what it would cost to watch is in it."""
    models = catalog.load()
    decision = _decide(world, order, Reporter(world, order, models), models)
    context.warn(world, decision.notices)
    budget.watched(world, order, decision, models)
    _check_day(world, order, decision, models)
    if decision.request.is_form:
        context.warn(world, [_FORM_NOTICE])
    from imgcli.api.wires import WIRES

    body = WIRES[decision.request.api].body(decision.request)
    world.stdout.write(_readable_json(abbreviated(body)) + "\n")
    return ExitCode.OK


def _check_day(
    world: Context, order: GenerateOptions, decision: ValidRequest, models: catalog.Catalog
) -> None:
    if order.budget.day:
        from imgcli.app import reservation

        reservation.check(world, order, decision, models)


def _readable_json(body: Mapping[str, Any]) -> str:
    """Write JSON in any script's letters, but escape what a terminal would obey instead of showing it."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def generate(world: Context, order: GenerateOptions) -> ExitCode:
    """Run one generation to its end. Raises `ImgcliError` for what is refused before anything is sent."""
    models = catalog.load()
    reporter = Reporter(world, order, models)
    decision = _decide(world, order, reporter, models)
    _check_that_something_stays(order, reporter)
    decision = budget.watched(world, order, decision, models)
    job = f"{world.now():%Y%m%d-%H%M%S}-{world.token()}"
    recipe = artifacts.recipe(world, order, decision.request)
    with ExitStack() as stack:
        desk = desks.RunArtifacts(job, is_free=order.endpoint.is_free)
        if order.budget.day:
            from imgcli.app import reservation

            held = reservation.held(world, order, decision, desk, models)
            decision = stack.enter_context(held)
        extra = history_log.for_recovery(world, order) | artifacts.for_record(recipe)
        stack.enter_context(desks.prepare_artifacts(world, order.output, decision.request, desk, extra))
        desk.embedding = artifacts.stage(recipe)
        account = _account(world, order.endpoint)
        source = _source(world, order.endpoint, decision, account, desk)
        remembered = stack.enter_context(history_log.open_recorder(world, order, desk, models))
        code = _run_pipeline(world, reporter, desk, source, remembered)
    if order.output.desktop:
        desktop.hand_over(world, desk.whole, order.output.desktop)
    return code


def _decide(
    world: Context, order: GenerateOptions, reporter: Reporter, models: catalog.Catalog
) -> ValidRequest:
    """Fill in how many partials are worth their price, and check what only the whole order can tell."""
    watched = reporter.is_watched or order.output.partials is KeepPartials.ALL
    wish = replace(order.wish, watched_partials=_WATCHED_PARTIALS if watched else 0)
    decision = validate(wish, models, world.now().date())
    artifacts.check(order.output, decision.request)
    return replace(decision, notices=(*order.notices, *decision.notices))


def _check_that_something_stays(order: GenerateOptions, reporter: Reporter) -> None:
    """Refuse to buy an image that nobody keeps and nobody sees."""
    if order.output.keeping is Keeping.SAVE or order.output.record or reporter.is_shown or reporter.is_inline:
        return
    is_json = order.report.style is OutputFormat.JSON_LINES
    raise usage_error(
        "--no-save would leave nothing of an image that is paid for.",
        "Add --jsonl-images inline." if is_json else "Add --jsonl, or a terminal to show it on.",
    )


def _account(world: Context, endpoint: ServerOptions) -> Credentials | None:
    """Find the server and the key, None for the demo, which has its own."""
    from imgcli.api.auth import credentials

    return None if endpoint.demo else credentials(world.env, endpoint.base_url, endpoint.server)


@contextmanager
def _reachable(account: Credentials | None, seed: int | None) -> Iterator[Credentials]:
    """Return the account to ask; the demo's server runs in this process, as long as it is asked."""
    if account is not None:
        yield account
        return
    from imgcli.api.auth import credentials as find
    from imgcli.demo.server import DemoServer

    with DemoServer(seed=seed) as server:
        yield find({}, server.base_url)


def _source(
    world: Context,
    endpoint: ServerOptions,
    decision: ValidRequest,
    account: Credentials | None,
    desk: RunArtifacts,
) -> Iterator[Event]:
    """Ask the server, and give what it answers as events; every byte is recorded before it is read."""
    yield Started(desk.job, decision.request)
    for text in (*desk.notices, *decision.notices, *([_DEMO_NOTICE] if endpoint.demo else [])):
        yield Notice(desk.job, text)
    from imgcli.api.client import Clock, send_with_fallback
    from imgcli.api.stream.reader import maskable, read_events
    from imgcli.api.transport import Timeouts
    from imgcli.core.secrets import redacted_events

    clock = Clock(monotonic=world.monotonic, sleep=world.sleep)
    desk.has_asked = not endpoint.demo
    with _reachable(account, endpoint.seed) as peer:
        limits = Timeouts.scaled(endpoint.timeout)
        answer = yield from send_with_fallback(decision, desk.job, peer, limits, clock, desk.sent)
        desk.sent()  # a server may answer before the whole request has gone out
        with closing(answer):
            if answer.is_demo:
                desk.note_demo()
            chunks = desk.recorded(masked(answer.chunks, *maskable(*peer.secrets)))
            events = read_events(chunks, desk.job, answer.note, answer.linger, decision.request.inputs)
            yield from redacted_events(events, *peer.secrets)


def _run_pipeline(
    world: Context,
    reporter: Reporter,
    desk: RunArtifacts,
    source: Iterator[Event],
    remembered: Sequence[Sink],
) -> ExitCode:
    """Let the events run from the source through the stages into the sinks."""
    saved = desk.saving(_dated(world, pipeline.checked(desk.job, desk.reporting(source))))
    events = reporter.compared(mark_uncharged(saved, lambda: desk.is_free))
    try:
        with reporter.sinks() as sinks:
            outcome = pipeline.run(events, [*sinks, *remembered])
            context.warn(world, desk.settle(outcome))
    except process.Interrupted as interrupted:
        kept = desk.keep_last_partial()
        broken = _interruption(interrupted, kept, desk)
        problem = uncharged(broken) if desk.is_free else broken
        reporter.tell(desk.job, problem)
        for sink in remembered:
            sink.handle(Failed(desk.job, problem))
        raise
    return exit_status(world, outcome, desk.job, is_free=desk.is_free)


def _dated(world: Context, events: Iterator[Event]) -> Iterator[Event]:
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


def _interruption(interrupted: process.Interrupted, kept: Path | None, desk: RunArtifacts) -> Problem:
    """Say what a signal broke off, what is left of it, and what that may have cost."""
    by = f"Interrupted by {interrupted.name}"
    if desk.saved:
        places = ", ".join(str(path.absolute()) for path in desk.saved)
        told = Problem(ExitCode.UNKNOWN, f"{by}; the image is saved as {places}.", Charged.YES)
    elif desk.has_sent or kept:
        where = f" The last partial image is kept as {kept}." if kept else ""
        told = Problem(ExitCode.UNKNOWN, f"{by}.{where}", Charged.MAYBE, CHECK_USAGE)
    else:
        told = Problem(ExitCode.USAGE, f"{by}.", Charged.NO)
    return replace(told, signal=interrupted.signum)

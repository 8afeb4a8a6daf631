"""One generation, from options to an exit code: prepare, hold what it needs, send, pass the events on."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from imgcli.app import budget, desktop, history_log, process
from imgcli.app.artifacts import RunArtifacts, check_embedding, open_artifacts
from imgcli.app.options import OutputFormat
from imgcli.app.reporting import Reporter, exit_status
from imgcli.core import catalog, pipeline
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, Problem, usage_error
from imgcli.core.events import Event, Failed, Notice, Started
from imgcli.core.messages import preset_words
from imgcli.core.pipeline import mark_uncharged, uncharged
from imgcli.core.request import abbreviate
from imgcli.core.secrets import mask_secrets
from imgcli.core.validate import ValidRequest, validate
from imgcli.store.publish.stage import KeepPartials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgcli.api.auth import Credentials
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.catalog import Catalog
    from imgcli.core.pipeline import Sink, Stage


_WATCHED_PARTIALS = 3
_DEMO_NOTICE = "a free demo; the bill is what it would cost"
_FORM_NOTICE = "sent as a form (multipart/form-data), with the image files unchanged"


@dataclass
class Job:
    """One run that may be sent: a value, so that several can be prepared before the first of them runs.

    `credentials` is None in a demo, whose server starts with the run. A daily cap may block the fallback of
    `valid`; nothing else changes after `prepare`.
    """

    id: str
    context: Context
    options: GenerateOptions
    models: Catalog
    valid: ValidRequest
    credentials: Credentials | None
    artifacts: RunArtifacts
    reporter: Reporter


def generate(context: Context, options: GenerateOptions) -> ExitCode:
    """Run one generation, or print its request (`dry_run`).

    Raises `ImgcliError` for what is refused before anything is sent.
    """
    job = prepare(context, options)
    if options.dry_run:
        return _print_request(job)
    request, artifacts = job.valid.request, job.artifacts
    extra = history_log.for_recovery(context, options)
    # The day's money is reserved before anything is written, and given back last, once it is known whether
    # anything was sent. The run log begins before the history opens: whatever is paid for is in it.
    with (
        _reserved(job),
        open_artifacts(context, options, request, artifacts, extra),
        history_log.open_recorder(context, options, artifacts, job.models) as recorders,
    ):
        code = run(job, recorders)
    if options.output.desktop:
        desktop.hand_over(context, artifacts.whole, options.output.desktop)
    return code


def prepare(context: Context, options: GenerateOptions) -> Job:
    """Decide what is sent, where, and with which key; nothing is held or written by that.

    Prints the estimate where it is wanted. Raises `ImgcliError`.
    """
    models = catalog.load()
    reporter = Reporter(context, options, models)
    is_watched = reporter.is_watched or options.output.partials is KeepPartials.ALL
    draft = replace(options.draft, watched_partials=_WATCHED_PARTIALS if is_watched else 0)
    valid = validate(draft, models, context.now().date())
    check_embedding(options.output, valid.request)
    valid = replace(valid, notices=(*options.notices, *valid.notices))
    if options.dry_run:
        presets = valid.request.presets
        context.warn([*([preset_words(presets)] if presets else []), *valid.notices])  # events of a run
    else:
        _check_that_something_stays(options, reporter)
    valid = budget.check_limit(context, options, valid, models)
    job_id = f"{context.now():%Y%m%d-%H%M%S}-{context.token()}"
    artifacts = RunArtifacts(job_id, is_free=options.server.is_free)
    return Job(job_id, context, options, models, valid, _credentials(context, options), artifacts, reporter)


def _check_that_something_stays(options: GenerateOptions, reporter: Reporter) -> None:
    """Refuse to buy an image that nobody keeps and nobody sees."""
    if options.output.save or options.output.record or reporter.is_shown or reporter.is_inline:
        return
    is_json = options.display.format is OutputFormat.JSON_LINES
    raise usage_error(
        "With --no-save you would pay for an image and keep nothing of it.",
        "Add --jsonl-images inline." if is_json else "Add --jsonl, or a terminal to show it on.",
    )


def _credentials(context: Context, options: GenerateOptions) -> Credentials | None:
    """Find the server and the key; a demo has its own, and a dry run needs none."""
    if options.server.demo or options.dry_run:
        return None
    from imgcli.api.auth import credentials

    return credentials(context.env, options.server.base_url, options.server.settings)


def _print_request(job: Job) -> ExitCode:
    """Print the request as JSON; what it would cost to watch is in it."""
    if job.options.budget.day:
        from imgcli.app import reservation

        reservation.check(job.context, job.options, job.valid, job.models)
    if job.valid.request.is_form:
        job.context.warn([_FORM_NOTICE])
    from imgcli.api.wires import WIRES

    body = WIRES[job.valid.request.api].body(job.valid.request)
    job.context.stdout.write(_readable_json(abbreviate(body)) + "\n")
    return ExitCode.OK


def _readable_json(body: Mapping[str, Any]) -> str:
    """Format JSON in any script's letters, but escape what a terminal would obey instead of showing it."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


@contextmanager
def _reserved(job: Job) -> Iterator[None]:
    """Reserve what the run may cost, where a daily cap holds."""
    if not job.options.budget.day:
        yield
        return
    from imgcli.app import reservation

    held = reservation.held(job.context, job.options, job.valid, job.artifacts, job.models)
    with held as job.valid:
        yield


def run(job: Job, recorders: Sequence[Sink]) -> ExitCode:
    """Send the request, and let the events of its answer run through the stages into the sinks."""
    artifacts, context = job.artifacts, job.context
    stages: tuple[Stage, ...] = (  # in the order in which an event passes them
        artifacts.report_lost_log,
        partial(pipeline.enforce_grammar, job.id),  # from here on a run ends exactly once, and raises nothing
        partial(_explain_shutdown, context),
        artifacts.note_received,  # the hashes of images as they came: embedding changes them
        artifacts.embed,
        artifacts.save,  # before anybody sees an image
        partial(mark_uncharged, is_free=lambda: artifacts.is_free),  # after the last stage that fails
        job.reporter.compare,
    )
    events: Iterable[Event] = stream(job)
    for stage in stages:
        events = stage(events)
    try:
        with job.reporter.sinks() as sinks:
            outcome = pipeline.run(events, [*sinks, *recorders])
            context.warn(artifacts.settle(outcome))
    except process.Interrupted as interrupted:
        problem = _interruption(interrupted, artifacts)
        job.reporter.report(job.id, problem)
        for recorder in recorders:
            recorder.handle(Failed(job.id, problem))
        raise
    return exit_status(context, outcome, job.id, is_free=artifacts.is_free)


def stream(job: Job) -> Iterator[Event]:
    """Send the request and yield its answer as events. The POST goes out once the first notices are taken.

    It is not sent before: whoever watches sees the run begin, and knows what is to be known before it.
    """
    artifacts, server = job.artifacts, job.options.server
    yield Started(job.id, job.valid.request)
    for text in (*artifacts.notices, *job.valid.notices, *([_DEMO_NOTICE] if server.demo else [])):
        yield Notice(job.id, text)
    from imgcli.api.client import Clock, send_with_fallback
    from imgcli.api.stream.reader import maskable, read_events
    from imgcli.api.transport import Timeouts
    from imgcli.core.secrets import redact_events

    clock = Clock(monotonic=job.context.monotonic, sleep=job.context.sleep)
    timeouts = Timeouts.scaled(server.timeout)
    artifacts.has_asked = not server.demo
    with _reachable(job) as credentials:
        answer = yield from send_with_fallback(
            job.valid, job.id, credentials, timeouts, clock, artifacts.sent
        )
        artifacts.sent()  # a server may answer before the whole request has gone out
        with closing(answer):
            if answer.is_demo:
                artifacts.note_demo()
            # Every byte is in the run log before anybody interprets it.
            chunks = artifacts.recorded(mask_secrets(answer.chunks, *maskable(*credentials.secrets)))
            inputs = job.valid.request.inputs
            events = read_events(chunks, job.id, answer.note, answer.linger, inputs)
            yield from redact_events(events, *credentials.secrets)


@contextmanager
def _reachable(job: Job) -> Iterator[Credentials]:
    """Return the credentials; the demo's server runs in this process, as long as it is asked."""
    if job.credentials:
        yield job.credentials
        return
    from imgcli.api.auth import credentials
    from imgcli.demo.server import DemoServer

    with DemoServer(seed=job.options.server.seed) as server:
        yield credentials({}, server.base_url)


def _explain_shutdown(context: Context, events: Iterable[Event]) -> Iterator[Event]:
    """Add when a model that the server no longer has was shut down, and what to use instead."""
    names: tuple[str | None, ...] = ()
    for event in events:
        match event:
            case Started(request=request):
                names = request.model, request.image_model
                yield event
            case Failed(problem=problem) if problem.cause is Cause.MODEL_NOT_FOUND:
                gone = catalog.load().shutdown_of(names, context.now().date())
                yield replace(event, problem=replace(problem, what=gone, advice="") if gone else problem)
            case _:
                yield event


def _interruption(interrupted: process.Interrupted, artifacts: RunArtifacts) -> Problem:
    """Describe what a signal broke off, what is left of it, and what that may have cost."""
    kept, by = artifacts.keep_last_partial(), f"Interrupted by {interrupted.name}"
    if artifacts.saved:
        paths = ", ".join(str(path.absolute()) for path in artifacts.saved)
        problem = Problem(ExitCode.UNKNOWN, f"{by}; the image is saved as {paths}.", Charged.YES)
    elif artifacts.has_sent or kept:
        where = f" The last partial image is kept as {kept}." if kept else ""
        problem = Problem(ExitCode.UNKNOWN, f"{by}.{where}", Charged.MAYBE, CHECK_USAGE)
    else:
        problem = Problem(ExitCode.USAGE, f"{by}.", Charged.NO)
    problem = replace(problem, signal=interrupted.signum)
    return uncharged(problem) if artifacts.is_free else problem

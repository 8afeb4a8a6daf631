"""One job, from a prepared request to its outcome."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from imgcli.api.stream.reader import StreamPosition
from imgcli.app import history_log, process
from imgcli.app.artifacts import open_artifacts
from imgcli.core import catalog, pipeline
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, Problem
from imgcli.core.events import Event, Failed, Notice, Started
from imgcli.core.messages import FETCH_LATER
from imgcli.core.pipeline import mark_uncharged, uncharged
from imgcli.core.secrets import mask_secrets
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imgcli.api.auth import Credentials
    from imgcli.api.client import Answer, Clock
    from imgcli.api.retry import RateLimits
    from imgcli.api.transport import Timeouts
    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.catalog import Catalog
    from imgcli.core.pipeline import Outcome, Sink, Stage
    from imgcli.core.validate import ValidRequest


_DEMO_NOTICE = "a free demo; the bill is what it would cost"


class JobDisplay(Protocol):
    """Where the events of a job are shown: a terminal of its own, or one that it shares with other jobs."""

    def compare(self, events: Iterable[Event]) -> Iterator[Event]:
        """Add to each final image how much it differs from the one before, where that is wanted."""

    def sinks(self) -> AbstractContextManager[Sequence[Sink]]:
        """Open the sinks; they are closed on every path."""

    def report(self, job: str, problem: Problem) -> None:
        """Report a problem after the job was broken off, when its sinks are closed."""


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class JobHooks:
    """What whoever runs many jobs wants to know on the way; all are called in the job's thread.

    `sending` is called before the last piece of the request goes out, and raises `ImgcliError` where it must
    not; `answered` gets what the server said about further requests; `over` is called when the end of the
    answer was read, maybe more than once. A busy server may be asked again for `busy_budget` seconds.
    Jobs with the same `reading` read their answers one after the other.
    """

    sending: Callable[[], None] = _ignore
    answered: Callable[[RateLimits | None], None] = _ignore
    busy_budget: float = 60.0
    over: Callable[[], None] = _ignore
    reading: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Job:
    """One run that may be sent: a value, so that several can be prepared before the first of them runs.

    `credentials` is None in a demo, whose server starts with the run. A daily cap may block the fallback of
    `valid`; nothing else changes after it was prepared. `stop` ends it from another thread. `position` is how
    far its answer was read.
    """

    id: str
    context: Context
    options: GenerateOptions
    models: Catalog
    valid: ValidRequest
    credentials: Credentials | None
    artifacts: RunArtifacts
    display: JobDisplay
    stop: process.Stop = field(default_factory=process.Stop)
    hooks: JobHooks = field(default_factory=JobHooks)
    position: StreamPosition = field(default_factory=StreamPosition)


def execute(job: Job) -> Outcome:
    """Run a job whole. Raises `ImgcliError` for what is refused before anything is sent."""
    # The run log begins before the history opens: whatever is paid for is in it.
    recorder = history_log.open_recorder(job.context, job.options, job.artifacts, job.models)
    with hold(job), recorder as recorders:
        return run(job, recorders)


@contextmanager
def hold(job: Job) -> Iterator[None]:
    """Hold what a job needs before anything is sent. Raises `ImgcliError`."""
    extra = history_log.for_recovery(job.context, job.options)
    # The day's money is reserved before anything is written, and given back last, once it is known whether
    # anything was sent.
    with _reserved(job), open_artifacts(job.context, job.options, job.valid.request, job.artifacts, extra):
        yield


@contextmanager
def _reserved(job: Job) -> Iterator[None]:
    """Reserve what the run may cost, where a daily cap holds."""
    if not job.options.budget.day:
        yield
        return
    from imgcli.app.money import reservation

    held = reservation.held(job.context, job.options, job.valid, job.artifacts, job.models)
    with held as job.valid:
        yield


def run(job: Job, recorders: Sequence[Sink]) -> Outcome:
    """Send the request, and let the events of its answer run through the stages into the sinks."""
    artifacts, context = job.artifacts, job.context
    stages: tuple[Stage, ...] = (  # in the order in which an event passes them
        job.stop.ending,
        artifacts.report_lost_log,
        partial(pipeline.enforce_grammar, job.id),  # from here on a run ends exactly once, and raises nothing
        partial(_explain_shutdown, context),
        artifacts.note_received,  # the hashes of images as they came: embedding changes them
        artifacts.embed,
        artifacts.save,  # before anybody sees an image
        partial(mark_uncharged, is_free=lambda: artifacts.is_free),  # after the last stage that fails
        job.display.compare,
    )
    events: Iterable[Event] = stream(job)
    for stage in stages:
        events = stage(events)
    try:
        with job.display.sinks() as sinks:
            outcome = pipeline.run(events, [*sinks, *recorders])
            context.warn(artifacts.settle(outcome))
    except process.Interrupted as interrupted:
        problem = _interruption(interrupted, job)
        job.display.report(job.id, problem)
        for recorder in recorders:
            recorder.handle(Failed(job.id, problem))
        raise
    return outcome


def stream(job: Job) -> Iterator[Event]:
    """Send the request and yield its answer as events. The POST goes out once the first notices are taken.

    It is not sent before: whoever watches sees the run begin, and knows what is to be known before it.
    """
    artifacts, server = job.artifacts, job.options.server
    yield Started(job.id, job.valid.request)
    for text in (*artifacts.notices, *job.valid.notices, *([_DEMO_NOTICE] if server.demo else [])):
        yield Notice(job.id, text)
    from imgcli.api.client import Clock, send_with_fallback
    from imgcli.api.download import LinkedImages
    from imgcli.api.stream.reader import read_events
    from imgcli.api.transport import Timeouts
    from imgcli.api.wires import maskable
    from imgcli.core.secrets import redact_events

    clock = Clock(
        monotonic=job.context.monotonic,
        sleep=job.context.sleep,
        on_stop=job.stop.calling,
        reading=job.hooks.reading,
    )
    timeouts = replace(Timeouts.scaled(server.timeout), budget=job.hooks.busy_budget)

    def sending() -> None:
        job.hooks.sending()
        artifacts.sent()

    def note_end(is_over: bool) -> None:  # noqa: FBT001 - a callback
        answer.note_end(is_over)
        if is_over:
            job.hooks.over()

    artifacts.has_asked = not server.demo
    with _reachable(job) as credentials:
        answer = yield from send_with_fallback(job.valid, job.id, credentials, timeouts, clock, sending)
        artifacts.sent()  # a server may answer before the whole request has gone out
        answer = _in_background(job, answer, credentials, timeouts, clock)
        with closing(answer):
            job.hooks.answered(answer.limits)
            if answer.is_demo:
                artifacts.note_demo()
                if not server.demo:
                    yield Notice(job.id, _DEMO_NOTICE)
            # Every byte is in the run log before anybody interprets it.
            chunks = artifacts.recorded(mask_secrets(answer.chunks, *maskable(*credentials.secrets)))
            links = LinkedImages(credentials, timeouts, clock, artifacts.add)
            inputs = job.valid.request.inputs
            events = read_events(chunks, job.id, answer.note, note_end, inputs, links, position=job.position)
            yield from redact_events(events, *credentials.secrets)


def _in_background(
    job: Job, answer: Answer, credentials: Credentials, timeouts: Timeouts, clock: Clock
) -> Answer:
    """Return the answer; one of the background goes on after its connection broke."""
    request = job.valid.request
    if not request.detach:
        return answer
    from imgcli.api.background import ResponseStore, as_event_stream, follow
    from imgcli.api.wires import WIRES

    if not request.stream:
        return as_event_stream(answer)
    # A batch's own sleep keeps others waiting, and says that nothing was charged where it is stopped.
    clock = replace(clock, sleep=job.stop.sleep)
    store = ResponseStore(credentials, WIRES[request.api].path(request, credentials.paths), timeouts, clock)
    return follow(answer, job.position, store)


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


def _interruption(interrupted: process.Interrupted, job: Job) -> Problem:
    """Describe what a signal broke off, what is left of it, and what that may have cost."""
    artifacts, by = job.artifacts, interrupted.reason
    goes_on = job.valid.request.detach and artifacts.has_sent and job.position.is_pending
    kept = None if goes_on else artifacts.keep_last_partial()
    if goes_on and not artifacts.saved:
        what = f"{by}. The server goes on in the background."
        advice = FETCH_LATER if job.options.output.save else CHECK_USAGE
        problem = Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, advice)
    elif artifacts.saved:
        paths = ", ".join(str(path.absolute()) for path in artifacts.saved)
        problem = Problem(ExitCode.UNKNOWN, f"{by}; the image is saved as {paths}.", Charged.YES)
    elif artifacts.has_sent or kept:
        where = f" The last partial image is kept as {kept}." if kept else ""
        problem = Problem(ExitCode.UNKNOWN, f"{by}.{where}", Charged.MAYBE, CHECK_USAGE)
    else:
        problem = Problem(ExitCode.USAGE, f"{by}.", Charged.NO)
    problem = replace(problem, signal=interrupted.signum)
    return uncharged(problem) if artifacts.is_free else problem

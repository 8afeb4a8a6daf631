"""Runs of web clients: each in its own thread, ended by itself, its client or a signal."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from imgcli.app.crash import report_crash
from imgcli.app.generate import prepare
from imgcli.app.job import JobHooks, execute
from imgcli.app.process import Interrupted, Stop
from imgcli.app.reporting import pricing
from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.events import Failed, PartialImage, Saved
from imgcli.core.messages import problem_lines, saved_line
from imgcli.core.params import InlineImages
from imgcli.output.json import to_json
from imgcli.output.sinks.jsonl import JsonLinesSink, error_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from imgcli.app.context import Context
    from imgcli.app.job import Job
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Sink


class LineOutput(Protocol):
    """Where the lines of a run go; see `LineStream` of `web`, which is one."""

    has_begun: bool

    @property
    def is_behind(self) -> bool:
        """Whether partial images should be left out."""

    def begin(self) -> None:
        """Begin the stream."""

    def fail(self, problem: Mapping[str, Any]) -> None:
        """Say why there will be no stream."""

    def write(self, text: str, /) -> object:
        """Write a line."""

    def flush(self) -> object:
        """Send what was written."""

    def close(self) -> None:
        """End the stream."""


class WebClient(NamedTuple):
    """Who asked for a run: where its lines go, and how a problem is put in words that fit a request."""

    output: LineOutput
    explained: Callable[[Problem], Problem]

    def tell(self, problem: Problem, job: str | None = None, index: int = 0) -> None:
        """Tell of a problem: in a line of the stream, or in its place."""
        problem = self.explained(problem)
        line = error_line(problem, job, index)
        if self.output.has_begun:
            self.output.write(to_json(line) + "\n")
            return
        told = " ".join(filter(None, [problem.what, problem.advice]))
        names = ("message", "code", "param", "job", "kind", "exit_code", "charged", "advice")
        self.output.fail({"details": told, **{name: line[name] for name in names}})


class WebDisplay:
    """Shows one run to a web client: as JSON lines, or as a refusal where it fails before they begin."""

    def __init__(self, context: Context, client: WebClient, price: Price) -> None:
        self._context = context
        self._client = client
        self._lines = JsonLinesSink(client.output, InlineImages.INLINE, price, context.monotonic)

    def compare(self, events: Iterable[Event]) -> Iterator[Event]:
        """Compare nothing."""
        return iter(events)

    @contextmanager
    def sinks(self) -> Iterator[Sequence[Sink]]:
        """Open the one sink."""
        try:
            yield [self]
        finally:
            self.close()

    def handle(self, event: Event) -> None:
        """Write the lines of an event, but no partial image to a reader who is far behind."""
        log(self._context, event)
        output = self._client.output
        if isinstance(event, Failed):
            if not output.has_begun:
                self._client.tell(event.problem, event.job)
                return
            event = replace(event, problem=self._client.explained(event.problem))
        if not (isinstance(event, PartialImage) and output.is_behind):
            self._lines.handle(event)

    def close(self) -> None:
        """Write the images that came before an interruption."""
        self._lines.close()

    def report(self, job: str, problem: Problem) -> None:
        """Report a problem after the run was broken off."""
        log(self._context, Failed(job, problem))
        self._client.tell(problem, job, self._lines.next_index)


def log(context: Context, event: Event) -> None:
    """Tell whoever runs the server what became of a run; a client's mistakes are the client's."""
    match event:
        case Saved(path=path):
            context.write_lines([saved_line(str(path.absolute()), [], "")])
        case Failed(problem=problem) if problem.exit_code is not ExitCode.USAGE:
            context.write_lines(problem_lines(problem))
        case _:
            pass


class WebRun:
    """One run of a web client."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def cancel(self) -> None:
        """End it as Ctrl-C would, for want of a client; does nothing once it has ended."""
        self._stop.set(signal.SIGINT, "The client left")


class WebRuns:
    """Runs what web clients ask for, at most `limit` at a time."""

    def __init__(self, context: Context, limit: int) -> None:
        self._context = context
        self._limit = limit
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, Stop] = {}
        self._is_over = False
        self._import = threading.Lock()

    def start(self, make: Callable[[], GenerateOptions], client: WebClient) -> WebRun | None:
        """Start a run with the options that `make` returns; None when as many run as may.

        What `make` raises is told to the client, as is everything else that goes wrong.
        """
        stop = Stop()
        thread = threading.Thread(target=self._serve, args=(make, client, stop), name="web run", daemon=True)
        with self._lock:
            if self._is_over or len(self._running) >= self._limit:
                return None
            thread.start()
            self._running[thread] = stop
        return WebRun(stop)

    def stop(self, signum: int) -> None:
        """End what runs as a signal ends it, and begin nothing more."""
        with self._lock:
            self._is_over = True
            stops = list(self._running.values())
        for stop in stops:
            stop.set(signum)

    def join(self, seconds: float) -> None:
        """Wait until every run has ended; one that cannot be woken leaves its run log to `recover`."""
        deadline = self._context.monotonic() + seconds
        for thread in list(self._running):
            thread.join(max(0.0, deadline - self._context.monotonic()))

    def _serve(self, make: Callable[[], GenerateOptions], client: WebClient, stop: Stop) -> None:
        """Run one to its end, and leave nothing open."""
        try:
            self._run(make, client, stop)
        finally:
            with self._lock:  # before the client hears of the end, and asks again
                del self._running[threading.current_thread()]
            client.output.close()

    def _run(self, make: Callable[[], GenerateOptions], client: WebClient, stop: Stop) -> None:
        """Run one; a crash is a defect of ours, and takes no other run with it."""
        try:
            stop.check()
            execute(self._prepare(make(), client, stop))
        except Interrupted as interrupted:
            if not client.output.has_begun:  # else it has been reported
                client.tell(Problem(ExitCode.USAGE, f"{interrupted.reason}.", signal=interrupted.signum))
        except ImgcliError as error:
            self._tell(error.problem, client)
        except Exception as error:  # noqa: BLE001 - see above
            self._tell(report_crash(error, self._context), client)

    def _tell(self, problem: Problem, client: WebClient) -> None:
        log(self._context, Failed("", problem))
        client.tell(problem)

    def _prepare(self, options: GenerateOptions, client: WebClient, stop: Stop) -> Job:
        with self._import:  # the SDK's light import is not made for several threads
            from imgcli.api.sdk import import_client

            import_client()
        server = options.server
        host = None if server.demo else server.host(self._context.env)
        price = pricing(self._context.models, host, is_demo=server.demo)
        context = replace(self._context, sleep=stop.sleep)
        (job,) = prepare(context, [options])
        display = WebDisplay(context, client, price)
        hooks = JobHooks(answered=lambda _: client.output.begin())
        return replace(job, context=context, display=display, stop=stop, hooks=hooks)

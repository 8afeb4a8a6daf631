"""Several jobs at once, each in its own thread, with one display."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from dataclasses import field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from imgcli.app.context import within
from imgcli.app.job import Job, execute
from imgcli.app.process import Interrupted, Stop, tune_memory
from imgcli.core.errors import AFTER_SENDING, ImgcliError
from imgcli.core.events import Event, Failed, Notice, PartialImage
from imgcli.core.pipeline import Outcome, deliver
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imgcli.core.errors import Problem
    from imgcli.core.pipeline import Sink


_WAITING_EVENTS = 200
"""Events that may wait for a slow display; partial images that would be more are left out."""
_LAST_WAIT = 10.0
"""Seconds that jobs may take to end after a signal: they save what has come, and hang up."""
_PATIENCE = 1.0
"""Seconds that a reader who takes nothing may cost once a signal came."""


@dataclass(frozen=True)
class Task:
    """A job that is to be run: `prepare` makes it, in its thread, and may raise `ImgcliError`.

    `sink` gets its events there, after they were handled: the display sees them too, in another thread.
    """

    id: str
    prepare: Callable[[], Job]
    sink: Sink | None = None


@dataclass
class JobResult:
    """How a job ended; `job` is None where it could not be prepared. A crash is a defect of ours."""

    task: Task
    job: Job | None = None
    outcome: Outcome = field(default_factory=Outcome)
    crash: Exception | None = None


@dataclass(frozen=True)
class _AnswerEnd:
    """The end of a job's answer was read: another request may go out while its image is saved."""

    job: str


_TURN = 0.0005
"""Seconds after which a thread that computes lets one go on that reads an answer; a tenth of Python's own."""
_START = 0.2
"""Seconds in which the first requests go out, before what an image needs is imported."""
Source: TypeAlias = "Callable[[], Task | float | None]"
"""Returns the next task, or the seconds after which to ask again, or None for when a job has ended."""


class _SharedDisplay:
    """The display of one job among several: its events go to the thread that shows them all."""

    def __init__(self, job: Job, forward: Callable[[Event], None], sink: Sink | None) -> None:
        self.compare = job.display.compare
        self._forward = forward
        self._others = [sink] if sink else []

    @contextmanager
    def sinks(self) -> Iterator[Sequence[Sink]]:
        """Return what forwards; the display itself outlives the job."""
        yield [self, *self._others]

    def handle(self, event: Event) -> None:
        """Forward an event."""
        self._forward(event)

    def close(self) -> None:
        """Do nothing: the display is others' too."""

    def report(self, job: str, problem: Problem) -> None:
        """Show how the job was broken off."""
        self._forward(Failed(job, problem))


class JobPool:
    """Runs jobs in threads, `limit` requests at a time. Sinks are called in the caller's thread alone.

    A job whose answer was read whole leaves its place to the next while its image is saved; there are at most
    as many of those.

    A signal ends the jobs as it ends a single one: what has come is kept, and each says what that cost.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        limit: int,
        stop: Stop,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor  # here: a batch that is done needs none

        self.outcome = Outcome()
        """What all jobs together have come to, with the sinks that broke."""
        self._working = list(sinks)
        self._limit = limit
        self._stop = stop
        self._sleep = sleep or stop.sleep
        self._inbox: SimpleQueue[Event | JobResult | _AnswerEnd | None] = SimpleQueue()
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = 0
        self._running: dict[str, Task] = {}
        self._asking: set[str] = set()
        # As many as jobs run, so that an image never waits for a pipe that nobody reads.
        self._workers = ThreadPoolExecutor(2 * limit, "publisher")
        self._reading = threading.Lock()
        self._deferred: list[str] = []
        self._noticed: set[str] = set()

    def run(self, source: Source, note: Callable[[JobResult], None]) -> None:
        """Run what `source` has, and pass each result to `note`. Raises `Interrupted`, and what crashed."""
        crashes: list[Exception] = []
        from imgcli.store.verify import import_decoder

        _import_client()
        tune_memory(is_reused=True)
        sys.setswitchinterval(_TURN)
        imports = threading.Timer(_START, import_decoder)
        imports.daemon = True
        imports.start()
        try:
            while True:
                pause = None if crashes else self._start(source)
                if not self._running and pause is None:
                    break
                match self._take(pause):
                    case None:
                        pass  # it is time to ask again
                    case _AnswerEnd(job):
                        self._asking.discard(job)
                    case JobResult() as result:
                        self._end(result)
                        crashes.extend([result.crash] if result.crash else [])
                        note(result)
                    case event:
                        self._show(event)
        except Interrupted as interrupted:
            self._stop.set(interrupted.signum)
            self._drain(note)
            raise
        imports.cancel()
        for _ in range(self._threads):
            self._tasks.put(None)
        self._workers.shutdown()
        for crash in crashes:
            raise crash

    def wake(self, text: str) -> None:
        """Ask the source again now, and show a notice; a signal's handler may call this."""
        job = next(iter(self._running), None)
        self._inbox.put(Notice(job, text) if job else None)

    def deferred(self) -> Iterable[str]:
        """Return what the jobs had to say on standard error, each line once."""
        return dict.fromkeys(self._deferred)

    def _start(self, source: Source) -> float | None:
        """Start as many jobs as may run; return the seconds until the next may, None when that is unknown."""
        while len(self._asking) < self._limit and len(self._running) < 2 * self._limit:
            task = source()
            if not isinstance(task, Task):
                return task
            self._running[task.id] = task
            self._asking.add(task.id)
            self._tasks.put(task)
            if len(self._running) > self._threads:  # kept, because each new one costs memory for good
                self._threads += 1
                threading.Thread(target=self._serve, name=f"jobs {self._threads}", daemon=True).start()
        return None

    def _end(self, result: JobResult) -> None:
        self._running.pop(result.task.id)
        self._asking.discard(result.task.id)

    def _take(self, seconds: float | None) -> Event | JobResult | _AnswerEnd | None:
        """Wait for what comes next; None when nothing came in so many seconds."""
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def _drain(self, note: Callable[[JobResult], None]) -> None:
        """Wait for the jobs to end after a signal, and show how each did, as far as somebody reads."""
        events: list[Event] = []
        try:
            while self._running:
                match self._inbox.get(timeout=_LAST_WAIT):
                    case None | _AnswerEnd():
                        pass
                    case JobResult() as result:
                        self._end(result)
                        note(result)
                    case event:
                        events.append(event)
        except Empty:
            pass  # a job that cannot be woken; its run log stays for `recover`

        def show_all() -> None:
            for event in events:
                self._show(event)

        within(_PATIENCE, show_all)

    def _show(self, event: Event) -> None:
        """Pass an event to the sinks; what several jobs notice is shown once."""
        if isinstance(event, Notice):
            if event.text in self._noticed:
                return
            self._noticed.add(event.text)
        self.outcome.record(event)
        deliver(event, self._working, self.outcome)

    def _forward(self, event: Event) -> None:
        if not (isinstance(event, PartialImage) and self._inbox.qsize() > _WAITING_EVENTS):
            self._inbox.put(event)

    def _serve(self) -> None:
        """Run one job after the other, in a thread of its own."""
        while task := self._tasks.get():
            self._work(task)

    def _work(self, task: Task) -> None:
        """Run one job, and leave nothing but a result."""
        result = JobResult(task)
        try:
            self._stop.check()
            result.job = job = self._attached(task.prepare(), task.sink)
            result.outcome = execute(job)
        except ImgcliError as error:
            result.outcome.problems.append(error.problem)
            self._forward(Failed(task.id, error.problem))
        except Interrupted:
            pass  # it has been reported
        except Exception as error:  # noqa: BLE001 - the main thread raises it again
            if result.job and result.job.artifacts.has_sent:
                error.add_note(AFTER_SENDING)
            result.crash = error
        self._inbox.put(result)

    def _attached(self, job: Job, sink: Sink | None) -> Job:
        context = replace(job.context, defer=self._deferred.extend, sleep=self._sleep)
        over = partial(self._inbox.put, _AnswerEnd(job.id))
        hooks = replace(job.hooks, over=over, reading=self._reading)
        job.artifacts.workers = self._workers
        display = _SharedDisplay(job, self._forward, sink)
        return replace(job, context=context, display=display, stop=self._stop, hooks=hooks)


def _import_client() -> None:
    """Import the SDK in one thread, because its light import is not made for several."""
    from imgcli.api.sdk import import_client

    import_client()

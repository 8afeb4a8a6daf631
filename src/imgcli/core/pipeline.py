"""The pipeline of a run: the grammar of its events, the loop over its sinks, and the outcome."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, ImgcliError, Problem, most_severe
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, PartialImage, Saved
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


Stage: TypeAlias = "Callable[[Iterable[Event]], Iterator[Event]]"
"""A step of the pipeline: events in, events out."""


def uncharged(problem: Problem) -> Problem:
    """Return a problem as one that cost nothing, without the advice to check the usage page."""
    advice = "" if problem.advice == CHECK_USAGE else problem.advice
    return replace(problem, charged=Charged.NO, advice=advice)


def mark_uncharged(events: Iterable[Event], is_free: Callable[[], bool] = lambda: True) -> Iterator[Event]:
    """Pass events on; where the run is free, mark their problems as not charged."""
    for event in events:
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem and is_free():
                yield replace(event, problem=uncharged(problem))
            case _:
                yield event


def each_notice_once(events: Iterable[Event]) -> Iterator[Event]:
    """Pass events on, but of equal notices only the first."""
    texts = set[str]()
    for event in events:
        if isinstance(event, Notice):
            if event.text in texts:
                continue
            texts.add(event.text)
        yield event


class Sink(Protocol):
    """A consumer of a run's events: the live image, lines, the history."""

    def handle(self, event: Event) -> None:
        """Handle one event. An exception disables this sink and affects no other."""

    def close(self) -> None:
        """Restore everything; called once, on every path."""


@dataclass
class Outcome:
    """The outcome of a run: its images, files and problems, and the sinks that failed."""

    images: int = 0
    saved: list[Saved] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: list[tuple[Sink, Exception]] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """The most severe of what happened."""
        return most_severe(problem.exit_code for problem in self.problems)

    def record(self, event: Event) -> None:
        """Record what this event means for the outcome."""
        match event:
            case FinalImage():
                self.images += 1
            case Saved(problem=problem):
                self.saved.append(event)
                self.problems.extend([problem] if problem else [])
            case Failed(problem=problem):
                self.problems.append(problem)
            case _:
                pass


def run(events: Iterable[Event], sinks: Sequence[Sink]) -> Outcome:
    """Pass every event to every sink, to the end of the source.

    The source is read to its end, whatever becomes of the sinks, because its stages save the images.
    """
    outcome = Outcome()
    working = list(sinks)
    for event in events:
        outcome.record(event)
        deliver(event, working, outcome)
    return outcome


def deliver(event: Event, working: list[Sink], outcome: Outcome) -> None:
    """Pass an event to the sinks that still work; one that raises is dropped, with a notice to the others."""
    for sink in list(working):
        try:
            sink.handle(event)
        except Exception as error:  # noqa: BLE001 - whatever breaks in a display must not reach the saving
            working.remove(sink)
            outcome.broken.append((sink, error))
            notice = Notice(event.job, f"a display failed ({type(error).__name__}); saving continues")
            deliver(notice, working, outcome)


def enforce_grammar(job: str, events: Iterable[Event]) -> Iterator[Event]:
    """Enforce the grammar: exactly one end, and never a successful one without an image.

    Here, and only here, an `ImgcliError` becomes a `Failed` event. After the image has arrived, a later error
    costs the bill, not the image: it becomes a notice.
    """
    images = partials = 0
    try:
        for event in events:
            match event:
                case Completed() if not images:
                    yield Failed(job, _no_image(partials), event)
                    return
                case Completed() | Failed():
                    yield event
                    return
                case FinalImage():
                    images += 1
                case PartialImage():
                    partials += 1
                case _:
                    pass
            yield event
    except ImgcliError as error:
        yield from _end(job, error, images)
    else:
        yield from _end(job, ImgcliError(_no_image(partials)), images)


def _end(job: str, error: ImgcliError, images: int) -> Iterator[Event]:
    """Yield the end of a run that broke off, with what the server had reported."""
    if images and error.problem.exit_code is not ExitCode.PARTIAL:
        yield Notice(job, f"after the image arrived: {error.problem.what}")
        yield error.ended or Completed(job, model=None)
    else:
        yield Failed(job, error.problem, error.ended)


def _no_image(partials: int) -> Problem:
    """Build the problem of a stream that ended without a final image."""
    seen = f"{partials} partial image{'s' * (partials != 1)} and no final one" if partials else "no image"
    return Problem(ExitCode.UNKNOWN, f"The stream ended with {seen}.", Charged.MAYBE, CHECK_USAGE)

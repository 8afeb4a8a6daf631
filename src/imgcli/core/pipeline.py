"""The grammar of a run, the loop over its sinks, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, PartialImage, Saved
from imgcli.core.problem import CHECK_USAGE, Charged, ExitCode, Problem, most_severe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


Stage: TypeAlias = "Callable[[Iterable[Event]], Iterator[Event]]"
"""Takes the events of a run, and gives events."""


def uncharged(problem: Problem) -> Problem:
    """Take the money out of a problem, and the advice to look for it."""
    advice = "" if problem.advice == CHECK_USAGE else problem.advice
    return replace(problem, charged=Charged.NO, advice=advice)


def mark_uncharged(events: Iterable[Event], is_free: Callable[[], bool] = lambda: True) -> Iterator[Event]:
    """Pass events on; where the run is free, those that tell of a problem say that it cost nothing."""
    for event in events:
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem and is_free():
                yield replace(event, problem=uncharged(problem))
            case _:
                yield event


class Sink(Protocol):
    """Consumes the events of a run: an image on the terminal, lines, a history."""

    def handle(self, event: Event) -> None:
        """Take one event, in order. Whatever it raises retires this sink and harms nobody else."""

    def close(self) -> None:
        """Put everything back; called once, on every path."""


@dataclass
class Outcome:
    """What came of a run: the images, the files, the problems, and the sinks that broke on the way."""

    images: int = 0
    saved: list[Saved] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: list[tuple[Sink, Exception]] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """The gravest of what happened."""
        return most_severe(problem.exit_code for problem in self.problems)

    def note(self, event: Event) -> None:
        """Remember what this event means for the end."""
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
    """Hand every event to every sink until the source is drained.

    A sink that raises is retired, and the others are told; the source is read to its end all the same,
    because the saving happens on the way.
    """
    outcome = Outcome()
    working = list(sinks)
    for event in events:
        outcome.note(event)
        _deliver(event, working, outcome)
    return outcome


def _deliver(event: Event, working: list[Sink], outcome: Outcome) -> None:
    """Return one event to the sinks that still work."""
    for sink in list(working):
        try:
            sink.handle(event)
        except Exception as error:  # noqa: BLE001 - whatever breaks in a display must not reach the saving
            working.remove(sink)
            outcome.broken.append((sink, error))
            told = Notice(event.job, f"a display stopped working ({type(error).__name__}); saving goes on")
            _deliver(told, working, outcome)


def checked(job: str, events: Iterable[Event]) -> Iterator[Event]:
    """Hold a source to the grammar: exactly one end, and never a good one without an image.

    Here, and only here, a problem that travelled as `ImgcliError` becomes the value `Failed`. When the
    image had already arrived, a later fault costs the bill, not the image: it becomes a notice.
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
        yield from _ending(job, error, images)
    else:
        yield from _ending(job, ImgcliError(_no_image(partials)), images)


def _ending(job: str, error: ImgcliError, images: int) -> Iterator[Event]:
    """End a run that did not end by itself, with whatever the server had told of it."""
    if images and error.problem.exit_code is not ExitCode.PARTIAL:
        yield Notice(job, f"after the image had arrived: {error.problem.what}")
        yield error.ended or Completed(job, model=None)
    else:
        yield Failed(job, error.problem, error.ended)


def _no_image(partials: int) -> Problem:
    """Describe a stream that ended without a final image."""
    seen = f"{partials} partial image{'s' * (partials != 1)} and no final one" if partials else "no image"
    return Problem(ExitCode.UNKNOWN, f"The stream ended with {seen}.", Charged.MAYBE, CHECK_USAGE)

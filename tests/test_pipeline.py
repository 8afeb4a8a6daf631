"""The grammar of a run, and the loop over its sinks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, most_severe
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.image import EncodedImage
from imgcli.core.params import Api
from imgcli.core.pipeline import enforce_grammar, run
from imgcli.core.request import ImageRequest
from streams import RED

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = EncodedImage.of(RED)
STARTED = Started("j", ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES))
PARTIAL = PartialImage("j", 0, 0, IMAGE)
FINAL = FinalImage("j", 0, IMAGE)
SAVED = Saved("j", 0, Path("/a.png"))
COMPLETED = Completed("j", "gpt-4o-mini")
REFUSED = Problem(ExitCode.REFUSED, "No.", Charged.NO)


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def handle(self, event: Event) -> None:
        """Remember it."""
        self.seen.append(event)

    def close(self) -> None:
        """Nothing is open."""


class Broken(Recorder):
    """A sink that breaks at its first event."""

    def handle(self, event: Event) -> None:
        """Break."""
        raise OSError(event)


def raising(*events: Event, problem: Problem = REFUSED, ended: Completed | None = None) -> Iterator[Event]:
    """Give events, then break as a source does."""
    yield from events
    raise ImgcliError(problem, ended)


def test_a_good_run_passes_unchanged() -> None:
    """A run that keeps to the grammar is left alone."""
    events: list[Event] = [STARTED, PARTIAL, FINAL, SAVED, COMPLETED]
    assert events == list(enforce_grammar("j", events))


@pytest.mark.parametrize("events", [[], [STARTED], [STARTED, PARTIAL], [STARTED, COMPLETED]])
def test_no_image_is_never_success(events: list[Event]) -> None:
    """A stream that ends without an image is a failure, even one that says it is complete."""
    last = list(enforce_grammar("j", events))[-1]
    assert isinstance(last, Failed)
    assert (ExitCode.UNKNOWN, Charged.MAYBE) == (last.problem.exit_code, last.problem.charged)


def test_a_problem_becomes_an_event() -> None:
    """What a source raises is told as the bad end."""
    assert [STARTED, Failed("j", REFUSED)] == list(enforce_grammar("j", raising(STARTED)))


def test_a_fault_after_the_image_is_a_notice() -> None:
    """When the image has arrived, a later fault costs the bill alone."""
    *_, notice, end = enforce_grammar("j", raising(STARTED, FINAL))
    assert isinstance(notice, Notice)
    assert Completed("j", None) == end


ENDED = Completed("j", "gpt-4o-mini", {"total_tokens": 7}, None, "resp_1", "gpt-image-2")


def test_a_fault_after_the_image_keeps_what_the_server_told() -> None:
    """The response's name and the models are not forgotten when the connection breaks behind the image."""
    assert ENDED == list(enforce_grammar("j", raising(STARTED, FINAL, ended=ENDED)))[-1]


def test_a_bad_end_keeps_its_usage() -> None:
    """What the server counted reaches the bill of a run that failed."""
    assert [STARTED, Failed("j", REFUSED, ENDED)] == list(enforce_grammar("j", raising(STARTED, ended=ENDED)))
    partial = Problem(ExitCode.PARTIAL, "One of two.", Charged.YES)
    end = list(enforce_grammar("j", raising(STARTED, FINAL, problem=partial, ended=ENDED)))[-1]
    assert Failed("j", partial, ENDED) == end


def test_a_good_end_without_a_image_keeps_its_usage() -> None:
    """A run that is turned into a failure by the grammar keeps its bill, too."""
    end = list(enforce_grammar("j", [STARTED, ENDED]))[-1]
    assert isinstance(end, Failed)
    assert ENDED == end.ended


def test_one_of_several_missing_is_partial() -> None:
    """When one of several images was refused the run fails as partial, though others are there."""
    problem = Problem(ExitCode.PARTIAL, "One of two.", Charged.MAYBE)
    assert Failed("j", problem) == list(enforce_grammar("j", raising(STARTED, FINAL, problem=problem)))[-1]


def test_nothing_follows_the_end() -> None:
    """What a stream says after its end is not listened to."""
    assert [FINAL, COMPLETED] == list(enforce_grammar("j", [FINAL, COMPLETED, PARTIAL, Failed("j", REFUSED)]))


MIDDLE = st.lists(
    st.sampled_from([PARTIAL, FINAL, SAVED, Notice("j", "odd"), COMPLETED, Failed("j", REFUSED)])
)


@given(MIDDLE, st.booleans())
def test_every_run_has_one_end(middle: list[Event], breaks: bool) -> None:  # noqa: FBT001 - hypothesis
    """Whatever a source does, a run has exactly one end, and it is the last event."""
    source = raising(STARTED, *middle) if breaks else iter([STARTED, *middle])
    seen = list(enforce_grammar("j", source))
    ends = [isinstance(event, Completed | Failed) for event in seen]
    assert [False] * (len(ends) - 1) + [True] == ends
    if isinstance(seen[-1], Completed):
        assert FINAL in seen


def test_a_broken_sink_harms_nobody() -> None:
    """A display that breaks is retired; the others go on and are told."""
    broken, good = Broken(), Recorder()
    outcome = run([STARTED, FINAL, SAVED, COMPLETED], [broken, good])
    assert [STARTED, FINAL, SAVED, COMPLETED] == [e for e in good.seen if not isinstance(e, Notice)]
    assert [broken] == [sink for sink, _ in outcome.broken]
    assert ExitCode.OK == outcome.exit_code


def test_the_outcome_remembers_problems() -> None:
    """An image that is elsewhere decides the exit code of a run that ended well."""
    problem = Problem(ExitCode.ELSEWHERE, "It is there.", Charged.YES)
    outcome = run([FINAL, Saved("j", 0, Path("/b.png"), problem), COMPLETED], [])
    assert (ExitCode.ELSEWHERE, 1) == (outcome.exit_code, len(outcome.saved))


@given(st.lists(st.sampled_from(ExitCode), min_size=1))
def test_the_gravest_code_wins(codes: list[ExitCode]) -> None:
    """With several codes the gravest is the result, whatever their order; a bug of ours is the gravest."""
    assert most_severe(codes) == most_severe(reversed(codes))
    assert most_severe(codes) in codes
    assert ExitCode.INTERNAL == most_severe([*codes, ExitCode.INTERNAL])

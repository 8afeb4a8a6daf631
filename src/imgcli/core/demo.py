"""What a free run, such as a demo's, says of money: whatever becomes of it, nothing was charged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.core.errors import CHECK_USAGE, Charged
from imgcli.core.events import Failed, Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imgcli.core.errors import Problem
    from imgcli.core.events import Event


def uncharged(problem: Problem) -> Problem:
    """Take the money out of a problem, and the advice to look for it."""
    advice = "" if problem.advice == CHECK_USAGE else problem.advice
    return replace(problem, charged=Charged.NO, advice=advice)


def uncharged_events(events: Iterable[Event], is_free: Callable[[], bool] = lambda: True) -> Iterator[Event]:
    """Pass events on; where the run is free, those that tell of a problem say that it cost nothing."""
    for event in events:
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem and is_free():
                yield replace(event, problem=uncharged(problem))
            case _:
                yield event

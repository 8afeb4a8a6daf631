"""Going on with a conversation that the server may have forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.api.client import DEFAULT_CLOCK, DEFAULT_LIMITS, send
from imgcli.api.upload import ignore
from imgcli.core.errors import Cause, Charged, ImgcliError
from imgcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from imgcli.api.account import Account
    from imgcli.api.client import Answer, Clock
    from imgcli.api.patience import Limits
    from imgcli.core.errors import Problem
    from imgcli.core.events import Waiting
    from imgcli.core.wish import Decision

FORGOTTEN = "the server cannot continue the conversation; the picture itself is sent instead"


def send_decided(
    decision: Decision,
    job: str,
    account: Account,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock = DEFAULT_CLOCK,
    sent: Callable[[], None] = ignore,
) -> Generator[Waiting | Notice, None, Answer]:
    """Send the request; where the server cannot continue its conversation, say so and send the other one.

    The first one cost nothing then: it was refused before any work. Raises `ImgcliError` as `send` does.
    """
    try:
        return (yield from send(decision.request, job, account, limits, clock, sent))
    except ImgcliError as error:
        problem = error.problem
        is_free = problem.cause is Cause.FORGOTTEN and problem.charged is Charged.NO
        if decision.otherwise is None or not is_free:
            raise
        if decision.barred:
            raise ImgcliError(_barred(problem, decision.barred)) from None
    yield Notice(job, FORGOTTEN, decision.otherwise)
    return (yield from send(decision.otherwise, job, account, limits, clock, sent))


def _barred(forgotten: Problem, why: Problem) -> Problem:
    """Say that there was another way, and why it was not gone."""
    what = f"{forgotten.what} The picture itself was not sent instead, because of a limit. {why.what}"
    return replace(forgotten, what=what, advice=why.advice)

"""Another request, where the first one is refused for a reason that it avoids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.api.client import DEFAULT_CLOCK, DEFAULT_TIMEOUTS, send
from imgcli.api.upload import ignore
from imgcli.core.errors import Cause, Charged, ImgcliError, Problem
from imgcli.core.events import Notice, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from imgcli.api.auth import Credentials
    from imgcli.api.client import Answer, Clock
    from imgcli.api.transport import Timeouts
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest


PREVIOUS_RESPONSE_LOST = "the server cannot continue the conversation; sending the image itself instead"
WITHOUT_RESPONSE_FORMAT = "the server does not support response_format; sending the request again without it"


def send_with_fallback(
    valid: ValidRequest,
    job: str,
    credentials: Credentials,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    clock: Clock = DEFAULT_CLOCK,
    sent: Callable[[], None] = ignore,
) -> Generator[Waiting | Notice, None, Answer]:
    """Send the request; where the server refuses it for a reason that another one avoids, send that one.

    The first one cost nothing then: it was refused before any work. Raises `ImgcliError` as `send` does.
    """
    try:
        return (yield from send(valid.request, job, credentials, timeouts, clock, sent))
    except ImgcliError as error:
        other = _find_fallback(valid, error.problem)
        if other is None:
            raise
        if valid.fallback_blocked and error.problem.cause is Cause.PREVIOUS_RESPONSE_NOT_FOUND:
            raise ImgcliError(_blocked_fallback(error.problem, valid.fallback_blocked)) from None
    text, request = other
    yield Notice(job, text, request)
    return (yield from send(request, job, credentials, timeouts, clock, sent))


def _find_fallback(valid: ValidRequest, problem: Problem) -> tuple[str, ImageRequest] | None:
    """Choose what to send after a refusal that certainly cost nothing, and say why; None for nothing."""
    if problem.charged is not Charged.NO:
        return None
    if problem.cause is Cause.PREVIOUS_RESPONSE_NOT_FOUND and valid.fallback:
        return PREVIOUS_RESPONSE_LOST, valid.fallback
    if problem.cause is Cause.RESPONSE_FORMAT and valid.request.inline:
        return WITHOUT_RESPONSE_FORMAT, replace(valid.request, inline=False)
    return None


def _blocked_fallback(forgotten: Problem, why: Problem) -> Problem:
    """Return the refusal with the limit that rules the fallback out."""
    what = f"{forgotten.what} The image itself was not sent instead, because of a limit. {why.what}"
    return replace(forgotten, what=what, advice=why.advice)

"""The models that a key can use: `GET /v1/models`, which is free."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from imgcli.api import client
from imgcli.api.client import DEFAULT_CLOCK, Call, Clock
from imgcli.api.errors.table import STATUSES
from imgcli.core.catalog import ServerModel
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.json_fields import as_list, as_object, as_text, parse_object
from imgcli.core.option import option
from imgcli.core.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.auth import Credentials
    from imgcli.api.transport import Timeouts


_LARGEST = 16_000_000  # bytes; OpenAI's list has some 20,000
_MOST_MODELS = 20_000
_LONGEST_NAME = 200
_FORBIDDEN = 403
_RUN_AGAIN = "Listing models is free: run it again."
_ADDRESS = f"Check {option('base-url')} (OPENAI_BASE_URL); some servers do not list their models."
_PERMISSION = 'A restricted key needs the permission "List models: Read" for this.'


def ask(
    credentials: Credentials, timeouts: Timeouts, clock: Clock = DEFAULT_CLOCK
) -> tuple[ServerModel, ...]:
    """Ask a server once. Raises `ImgcliError`, which always says that nothing was charged."""
    try:
        with closing(client.ask(credentials, Call("/models"), timeouts, clock)) as answer:
            body = _read_body(answer.chunks)
    except ImgcliError as error:
        problem = _uncharged(error.problem)
    else:
        return read(body, *credentials.secrets)
    raise ImgcliError(problem)


def read(body: bytes, *secrets: str) -> tuple[ServerModel, ...]:
    """Read a list of models; entries that are none are left out. Raises `ImgcliError` for no list at all.

    `shutdown_date`, "2027-01-14" or null, is OpenAI's (deprecations page, November 2026).
    """
    with suppress(UnicodeDecodeError):
        answer = parse_object(body.decode("utf-8-sig"))
        if answer is not None and isinstance(answer.get("data"), list):
            models = (
                _model_of(as_object(entry), *secrets) for entry in as_list(answer["data"])[:_MOST_MODELS]
            )
            return tuple(model for model in models if model)
    what = "The server did not answer with a list of models."
    raise ImgcliError(Problem(ExitCode.REFUSED, what, Charged.NO, _ADDRESS))


def _model_of(entry: dict[str, Any], *secrets: str) -> ServerModel | None:
    name = as_text(entry.get("id"))
    if name is None or len(name) > _LONGEST_NAME:
        return None
    told = as_text(entry.get("shutdown_date")) or ""
    with suppress(ValueError):
        return ServerModel(redact(name, *secrets), date.fromisoformat(told))
    return ServerModel(redact(name, *secrets))


def _read_body(chunks: Iterator[bytes]) -> bytes:
    """Read a whole answer; raises `ImgcliError` for one without an end."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > _LARGEST:
            what = f"The server's list of models is longer than {_LARGEST // 1_000_000} MB."
            raise ImgcliError(Problem(ExitCode.REFUSED, what, advice=_ADDRESS))
    return bytes(body)


def _uncharged(problem: Problem) -> Problem:
    """Return the problem as one of a call that is free and brings no image."""
    advice = problem.advice
    match problem.exit_code:
        case ExitCode.UNKNOWN:
            advice = _RUN_AGAIN
        case ExitCode.REFUSED:
            advice = _ADDRESS
        case ExitCode.AUTH if advice == STATUSES[_FORBIDDEN].advice:
            advice = _PERMISSION
        case _:
            pass
    return replace(problem, charged=Charged.NO, advice=advice)

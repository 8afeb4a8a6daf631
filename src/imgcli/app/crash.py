"""Crash reports: one sentence for the user, and a file without secrets for us."""

from __future__ import annotations

import platform
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from imgcli.app.context import all_secrets
from imgcli.core.errors import AFTER_SENDING, Charged, ExitCode, Problem
from imgcli.core.secrets import redact
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.app.context import Context


_SHORTEST = 4  # letters; hiding a shorter "password" would make the text unreadable and hide nothing


def report_crash(error: Exception, context: Context, charged: Charged = Charged.NO) -> Problem:
    """Describe an unexpected exception, and keep its redacted traceback in the state folder.

    One that is marked with `AFTER_SENDING` may have cost something, whatever `charged` says.
    """
    told = f"imgcli itself failed: {type(error).__name__}: {shorten(_redact(str(error), context), 200)}."
    path = _write(error, context)
    where = f" The details are in {path}; they hold no key." if path else ""
    return Problem(
        ExitCode.INTERNAL,
        told,
        Charged.MAYBE if AFTER_SENDING in getattr(error, "__notes__", ()) else charged,
        f"This is a bug; please report it.{where}",
    )


def _redact(text: str, context: Context) -> str:
    """Remove the keys, passwords, and whatever looks like one, from a text."""
    return redact(text, *all_secrets(context), *_logins(context.env))


def _logins(env: Mapping[str, str]) -> set[str]:
    """Collect the logins that addresses hold, as they are written and as they are meant."""
    found: set[str] = set()
    for name, value in env.items():
        if name.lower().endswith(("_proxy", "_url")):
            login = value.rpartition("@")[0].rpartition("//")[2]
            found |= {login, login.partition(":")[2]}
    return {spelling for login in found for spelling in (login, unquote(login)) if len(login) >= _SHORTEST}


def _write(error: Exception, context: Context) -> Path | None:
    """Write frames only: never locals, never a chained cause, which may quote a request's headers."""
    from imgcli.store.paths import state_folder

    with suppress(Exception):
        folder = state_folder(context.env)
        path = folder / f"crash-{context.now():%Y%m%d-%H%M%S}-{context.token()}.txt"
        frames = "".join(traceback.format_tb(error.__traceback__))
        head = f"imgcli on Python {platform.python_version()}, {sys.platform}\n"
        path.write_text(
            head + _redact(f"{frames}{type(error).__name__}: {error}\n", context), encoding="utf-8"
        )
        path.chmod(0o600)
        return path
    return None

"""The checks of `imgcli doctor`: a line each with advice, or JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from imgcli.core.text import clean
from imgcli.output.diagnosis import CheckStatus, exit_code_of, worst
from imgcli.output.text import GAP, left, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.output.diagnosis import Check


_STATUS_WIDTH = max(map(len, CheckStatus))
_NAME_WIDTH = len("certificates")
_INDENT = _STATUS_WIDTH + _NAME_WIDTH + 2 * len(GAP)
_NARROWEST = 24  # columns that a sentence needs
_COLORS = {CheckStatus.OK: "\x1b[32m", CheckStatus.NOTE: "\x1b[33m", CheckStatus.PROBLEM: "\x1b[1;31m"}
_RESET = "\x1b[0m"


def check_lines(check: Check, columns: int | None, *, in_color: bool = False) -> list[str]:
    """Format a check and its advice, wrapped to so many columns, None for no terminal."""
    words = left(check.status, _STATUS_WIDTH)
    status = f"{_COLORS[check.status]}{words}{_RESET}" if in_color else words
    room = None if columns is None else columns - 1 - _INDENT
    sentences = [clean(text) for text in (check.text, check.advice) if text]
    if room is not None and room < _NARROWEST:
        return [f"{status}{GAP}{check.name}", *(f"{GAP}{text}" for text in sentences)]
    texts = [line for text in sentences for line in (wrapped(text, room) if room else [text])]
    first, *more = texts
    return [
        f"{status}{GAP}{left(check.name, _NAME_WIDTH)}{GAP}{first}",
        *(" " * _INDENT + one for one in more),
    ]


def closing_line(checks: Sequence[Check]) -> str:
    """Format how many problems and notes there are."""
    counts = Counter(check.status for check in checks)
    problems, notes = counts[CheckStatus.PROBLEM], counts[CheckStatus.NOTE]
    told = f"{problems or 'no'} problem{'s' * (problems != 1)}"
    told += f", {notes} note{'s' * (notes != 1)}" if notes else ""
    code = exit_code_of(checks)
    return f"{told} (exit code {code:d}, {code.kind})" if code else told


def doctor_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Write all checks as one object; what is not known is null. The keys are a contract."""
    code = exit_code_of(checks)
    return {
        "status": worst(checks),
        "exit_code": int(code),
        "kind": code.kind,
        "checks": [_check_json(check) for check in checks],
    }


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "check": check.name,
        "status": check.status,
        "message": check.text,
        "advice": check.advice or None,
        "exit_code": int(check.exit_code),
        "kind": check.exit_code.kind,
        "facts": dict(check.facts),
    }

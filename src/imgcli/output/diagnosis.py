"""The result of a check: a sentence, advice, and the exit code that a run would have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.errors import ExitCode, most_severe
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.core.errors import Problem


Facts: TypeAlias = Mapping[str, object]
"""What was found, for programs; what is not known is None."""


class CheckStatus(StrEnum):
    """How a check ended: all is well, something to know, or something that a run would fail with."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what was found, and what to do about it where something is to be done."""

    name: str
    status: CheckStatus
    text: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.OK
    facts: Facts = field(default_factory=dict)

    @classmethod
    def ok(cls, name: str, text: str, facts: Facts | None = None) -> Check:
        """Build the check of what is as it should be."""
        return cls(name, CheckStatus.OK, text, facts=facts or {})

    @classmethod
    def note(cls, name: str, text: str, advice: str = "", facts: Facts | None = None) -> Check:
        """Build the check of what works, and could be better."""
        return cls(name, CheckStatus.NOTE, text, advice, facts=facts or {})

    @classmethod
    def problem(cls, name: str, problem: Problem, facts: Facts | None = None) -> Check:
        """Build the check of what a run would fail with."""
        return cls(name, CheckStatus.PROBLEM, problem.what, problem.advice, problem.exit_code, facts or {})


def exit_code_of(checks: Iterable[Check]) -> ExitCode:
    """Return the most severe exit code of several checks."""
    return most_severe(check.exit_code for check in checks)


def worst(checks: Iterable[Check]) -> CheckStatus:
    """Return the worst status of several checks."""
    order = list(CheckStatus)
    return max((check.status for check in checks), key=order.index, default=CheckStatus.OK)

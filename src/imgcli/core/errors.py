"""What can go wrong, what it means for the user's money, and the exit code that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.problem import Charged, ExitCode, Problem

if TYPE_CHECKING:
    from imgcli.core.events import Completed


class ImgcliError(Exception):
    """A `Problem` on its way up from inside a source or a command.

    `ended` is what the server had told of the run by then, for the bill and for the request's name.
    """

    def __init__(self, problem: Problem, ended: Completed | None = None) -> None:
        super().__init__(problem.what)
        self.problem = problem
        self.ended = ended


def usage_error(what: str, advice: str = "") -> ImgcliError:
    """Say that an option, prompt or file was wrong: nothing was sent, nothing was charged."""
    return ImgcliError(Problem(ExitCode.USAGE, what, Charged.NO, advice))


def check_between(option: str, value: float | None, least: float, most: float) -> None:
    """Raise `ImgcliError` (usage) for a number beyond its bounds, NaN too; None is for who said nothing.

    Numbers are checked before anything is sent: clocks, sockets and SQLite break over absurd ones, and by
    then the answer may be paid for. The message leaves the number out, for it may have thousands of digits.
    """
    if value is not None and not least <= value <= most:
        raise usage_error(f"{option} must be between {least:,} and {most:,}.")

"""Errors: what went wrong, whether money was spent, and the exit code."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

from imgcli.core.option import option
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable


CHECK_USAGE = "Check your usage page before you run it again."
"""The advice wherever the client cannot know what was spent."""

AFTER_SENDING = "a request had been sent"
"""A note on an unexpected exception that may have cost something."""


class ExitCode(IntEnum):
    """The process's exit codes: a published, append-only contract.

    Each answers three questions: was money spent, do I have my image, may I run it again?
    """

    OK = 0
    INTERNAL = 1
    USAGE = 2
    PARTIAL = 3
    AUTH = 4
    REFUSED = 5
    BUSY = 6
    BILLING = 7
    UNREACHABLE = 8
    UNKNOWN = 9
    ELSEWHERE = 10
    DAMAGED = 11
    UNWRITABLE = 12
    ALTERED = 13
    NO_EVIDENCE = 14

    @property
    def kind(self) -> str:
        """The code's name in JSON and in the manual."""
        return self.name.lower()


class Charged(StrEnum):
    """Whether money was spent, as far as the client can know."""

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"


class Cause(Enum):
    """Why something failed, where the exit code and the server's code are not enough to react to it."""

    PREVIOUS_RESPONSE_NOT_FOUND = "previous response not found"  # a request without the conversation may work
    RESPONSE_FORMAT = "response_format"  # the server rejects this parameter; it may answer without it
    INCOMPLETE_REQUEST = "incomplete request"  # the upload broke off, so that nobody can have started work
    PROXY_FAILED = "proxy failed"  # a proxy took the request and did not reach the server
    NOT_FOUND = "not found"  # the server has the API, and not what was asked for by its id
    MODEL_NOT_FOUND = "model not found"  # the server does not have the model, or no longer has it
    UNREADABLE_IMAGE = (
        "unreadable image"  # image data arrived that could not be decoded; the run log holds it
    )
    TRUNCATED_IMAGE = "truncated image"  # an image started and did not arrive completely


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong, described so that a person can act on it.

    `what` and `advice` are our own sentences; foreign text in them is made safe when it is printed. `code`
    and `param` are the server's, None where it sent none.
    """

    exit_code: ExitCode
    what: str
    charged: Charged = Charged.NO
    advice: str = ""
    code: str | None = None
    param: str | None = None
    signal: int | None = None
    """The signal that interrupted the run; the process ends by it instead of by the exit code."""
    cause: Cause | None = None
    parameters: tuple[str, ...] = ()
    """The long names of the options that this is about."""
    is_local: bool = False
    """Whether the command sends nothing, so that no sentence about money is needed."""

    @property
    def kind(self) -> str:
        """The exit code's kind, or `interrupted`."""
        return self.exit_code.kind if self.signal is None else "interrupted"

    @property
    def status(self) -> int:
        """The status that a shell sees: the exit code, or 128 plus the signal's number."""
        return int(self.exit_code) if self.signal is None else 128 + self.signal


_MOST_SEVERE_FIRST = (
    ExitCode.INTERNAL,
    ExitCode.DAMAGED,
    ExitCode.ALTERED,  # an answer: no failure of another check takes it back
    ExitCode.ELSEWHERE,
    ExitCode.UNKNOWN,
    ExitCode.BILLING,
    ExitCode.AUTH,
    ExitCode.UNWRITABLE,
    ExitCode.USAGE,
    ExitCode.UNREACHABLE,
    ExitCode.PARTIAL,
    ExitCode.REFUSED,
    ExitCode.BUSY,
    ExitCode.NO_EVIDENCE,  # a check that failed may still find some
    ExitCode.OK,
)


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the most severe of several exit codes, OK when there are none."""
    return min(codes, key=_MOST_SEVERE_FIRST.index, default=ExitCode.OK)


class ImgcliError(Exception):
    """A `Problem` raised as an exception.

    `ended` is the `Completed` event with what the server had reported by then, for the bill and the request
    id.
    """

    # The type stays open: the events import this module.
    def __init__(self, problem: Problem, ended: Any = None) -> None:  # noqa: ANN401
        super().__init__(problem.what)
        self.problem = problem
        self.ended = ended


def usage_error(what: str, advice: str = "", *, about: tuple[str, ...] = ()) -> ImgcliError:
    """Build the error for a wrong option, prompt or file: nothing was sent, nothing was charged.

    `about` has the long names of the options that it is about.
    """
    return ImgcliError(Problem(ExitCode.USAGE, what, Charged.NO, advice, parameters=about))


def check_between(name: str, value: float | None, least: float, most: float) -> None:
    """Raise `ImgcliError` (usage) for a number out of bounds or NaN; None means that the option is not set.

    Numbers are checked before anything is sent: clocks, sockets and SQLite fail on absurd ones, and by then
    the image may be paid for. The message omits the number, which may have thousands of digits.
    """
    if value is not None and not least <= value <= most:
        raise usage_error(f"{option(name)} must be between {least:,} and {most:,}.", about=(name,))


def system_error(error: Exception) -> str | None:
    """Describe what this machine lacks; None for a decoder's error about the bytes themselves.

    A decoder's own `OSError` has no errno, nor has Pillow's about a codec that it was built without.
    """
    match error:
        case MemoryError():
            return "not enough memory"
        case OSError(errno=int()):
            return error.strerror or type(error).__name__
        case ImportError() | NameError():
            return str(error)
        case OSError() if str(error).endswith(("not available", "not installed")):
            return str(error)
        case _:
            return None

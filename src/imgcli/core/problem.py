"""What can go wrong, what it means for the user's money, and the exit code that says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


CHECK_USAGE = "Look at your usage page before you run it again."
"""The advice wherever nobody on this side knows what was spent."""

AFTER_SENDING = "a request had been sent"
"""The note on an unexpected exception that may have cost something."""


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

    @property
    def kind(self) -> str:
        """The code's name as JSON lines and the manual spell it."""
        return self.name.lower()


class Charged(StrEnum):
    """Whether money was spent, as far as anybody on this side of the wire can know."""

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"


class Cause(Enum):
    """What makes a problem one that can be got around; the rest is told by exit code and code."""

    PREVIOUS_RESPONSE_NOT_FOUND = "forgotten"  # the conversation cannot go on; a request of its own may do
    RESPONSE_FORMAT = "response_format"  # the server does not know this parameter; it may answer without it
    UNFINISHED = "unfinished"  # the request had not gone out whole, so that nobody can have begun with it
    UNREACHED = "unreached"  # a proxy took the request, and did not reach the server
    NO_MODEL = "no model"  # the server does not have the model, perhaps not any more
    UNREAD = "unread"  # data of an image came that could not be read: the record of the run holds it
    CUT = "cut"  # an image had begun and did not come whole


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong, told so that a person can act on it.

    `what` and `advice` are sentences of ours; text from outside inside them is made safe where it is
    printed. `code` and `param` are the server's own words, None where it gave none.
    """

    exit_code: ExitCode
    what: str
    charged: Charged = Charged.NO
    advice: str = ""
    code: str | None = None
    param: str | None = None
    signal: int | None = None
    """The signal that broke the run off; it ends the process in the exit code's place."""
    cause: Cause | None = None
    is_local: bool = False
    """Whether the command sends nothing, so that there is nothing to say about money."""

    @property
    def kind(self) -> str:
        """What programs call it: the exit code's kind, or `interrupted`."""
        return self.exit_code.kind if self.signal is None else "interrupted"

    @property
    def status(self) -> int:
        """What a shell will see: the exit code, or 128 and the signal's number."""
        return int(self.exit_code) if self.signal is None else 128 + self.signal


_GRAVEST_FIRST = (
    ExitCode.INTERNAL,
    ExitCode.DAMAGED,
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
    ExitCode.OK,
)


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """Choose the code to exit with when several apply; OK when there are none."""
    return min(codes, key=_GRAVEST_FIRST.index, default=ExitCode.OK)


def machine_trouble(error: Exception) -> str | None:
    """Say in words what this machine lacks; None for an error that is a decoder's verdict on the bytes.

    A decoder's own `OSError` has no number, nor has Pillow's about a codec that it was built without.
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

"""The status row's words: how long it has taken, what is happening, a countdown where the server is busy."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from imgcli.core.messages import partial_label
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from imgcli.core.request import ImageRequest


_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER = "|/-\\"
_TURNS_A_SECOND = 8
_MODEL_LENGTH = 40


@dataclass(frozen=True)
class Words:
    """How a run is spoken of: before anything has come, and of an image that is not kept."""

    opening: str
    unsaved: str


GENERATING = Words("connecting", "not saved")
POURING = Words("connecting", "written to standard output")
VIEWING = Words("reading", "")


@dataclass(frozen=True)
class Status:
    """What is happening, since when (a reading of the clock), and when it goes on (None: when it does)."""

    began: float
    doing: str = "connecting"
    until: float | None = None

    def row(self, now: float, separator: str) -> str:
        """Write the row as it is at this moment; its beginning alone changes while only the clock moves."""
        spinner = _ASCII_SPINNER if separator.isascii() else _SPINNER
        elapsed = max(now - self.began, 0)
        turn = spinner[int(elapsed * _TURNS_A_SECOND) % len(spinner)]
        return f"{turn} {elapsed:5.1f} s{separator}{self._doing(now)}"

    def _doing(self, now: float) -> str:
        if self.until is None:
            return self.doing
        left = ceil(self.until - now)
        return f"waiting {left} s: {self.doing}" if left > 0 else "asking again"


def generating(request: ImageRequest, partials: int) -> str:
    """Say that the server works, and how far it is."""
    model = shorten(request.model, _MODEL_LENGTH)
    return f"{partial_label(partials, request.partials)}, {model}" if partials else f"generating, {model}"

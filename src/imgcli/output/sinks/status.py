"""The status row: what a run is doing, how long, and when it continues."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Self

from imgcli.core.messages import partial_label
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from imgcli.core.request import ImageRequest


_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER = "|/-\\"
_TURNS_A_SECOND = 8
_MODEL_LENGTH = 40
_REASON_LENGTH = 200


@dataclass(frozen=True)
class Status:
    """What is happening, since when (a reading of the clock), and when it goes on (None: when it does)."""

    began: float
    doing: str = "connecting"
    until: float | None = None

    def now_doing(self, doing: str) -> Self:
        """Return the status of a run that goes on with something else."""
        return replace(self, doing=doing, until=None)

    def waiting(self, reason: str, until: float) -> Self:
        """Return the status of a run that is sent again at that reading of the clock."""
        return replace(self, doing=shorten(reason, _REASON_LENGTH), until=until)

    def row(self, now: float, separator: str) -> str:
        """Write the row as it is at this moment; its beginning alone changes while only the clock moves."""
        spinner = _ASCII_SPINNER if separator.isascii() else _SPINNER
        elapsed = max(now - self.began, 0)
        turn = spinner[int(elapsed * _TURNS_A_SECOND) % len(spinner)]
        return f"{turn} {elapsed:5.1f} s{separator}{self.words(now)}"

    def words(self, now: float) -> str:
        """Format what is happening at this moment."""
        if self.until is None:
            return self.doing
        left = ceil(self.until - now)
        return f"retrying in {left} s: {self.doing}" if left > 0 else "retrying"


def generating(request: ImageRequest, partials: int) -> str:
    """Format how far the server is."""
    model = shorten(request.model, _MODEL_LENGTH)
    return f"{partial_label(partials, request.partials)}, {model}" if partials else f"generating, {model}"

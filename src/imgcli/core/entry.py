"""One remembered run, as a value: what was asked for, what came of it, what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from imgcli.core.errors import Charged, ExitCode

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from imgcli.core.bill import Row
    from imgcli.core.events import ImageFormat, Json
    from imgcli.core.request import ImageRequest

DEMO = "demo"
"""The endpoint of runs that nobody was paid for."""
OK = ExitCode.OK.kind
"""The outcome of a run in which every picture was saved as asked."""

_NOTHING = Decimal(0)


class Role(StrEnum):
    """What an earlier picture was to a run: the one that was changed, one to look at, or the mask."""

    ORIGINAL = "original"
    REFERENCE = "reference"
    MASK = "mask"


@dataclass(frozen=True)
class Parent:
    """A picture that went into a run, known by its bytes' SHA-256 in lower-case hex."""

    sha256: str
    role: Role = Role.ORIGINAL


@dataclass(frozen=True)
class KeptPicture:
    """A picture that a run brought. `image` numbers a run's pictures from 0; `size` is width and height.

    `path` is where it was saved, absolute, None for one that went to a stream or was only shown. `length` is
    in bytes.
    """

    image: int
    sha256: str
    length: int
    path: Path | None = None
    format: ImageFormat | None = None
    size: tuple[int, int] | None = None
    revised_prompt: str | None = None


@dataclass(frozen=True)
class Entry:
    """One run in the history. `number` is the id that people type, None before the entry is recorded.

    `job` is the run's name, unique. `request` is None where nobody can read it any more. `endpoint` is the
    server's host, `DEMO`, or None where it is not known. `outcome` is the kind of the gravest problem, or
    `OK`; `message` is that problem's sentence. `cost` is in US dollars, exact, None when it is unknown; the
    bill's rows are `charges`, the oldest price in it is of `prices_date`. `billed` is false where nobody is
    charged for what the server counted.
    """

    job: str
    started: datetime
    ended: datetime
    prompt: str
    request: ImageRequest | None
    model: str | None = None
    image_model: str | None = None
    endpoint: str | None = None
    response_id: str | None = None
    usage: Json | None = None
    tool_usage: Json | None = None
    cost: Decimal | None = None
    prices_date: date | None = None
    outcome: str = OK
    message: str | None = None
    charged: Charged = Charged.YES
    pictures: tuple[KeptPicture, ...] = ()
    charges: tuple[Row, ...] = ()
    parents: tuple[Parent, ...] = ()
    number: int | None = None
    billed: bool = True

    @property
    def is_demo(self) -> bool:
        """Whether the stand-in painted it, so that its cost was never charged."""
        return self.endpoint == DEMO

    @property
    def is_free(self) -> bool:
        """Whether its cost was never charged: of a demo, or of a server that does not bill."""
        return self.is_demo or not self.billed

    @property
    def known(self) -> Decimal:
        """The dollars that are known: where `cost` is None, it was at least this."""
        return sum((row.known for row in self.charges), _NOTHING) if self.cost is None else self.cost

    @property
    def parent(self) -> str | None:
        """The SHA-256 of the picture that was changed, else of the first reference; None without any."""
        sources = [parent for parent in self.parents if parent.role is not Role.MASK]
        originals = [parent for parent in sources if parent.role is Role.ORIGINAL]
        return next((parent.sha256 for parent in [*originals, *sources]), None)

    @property
    def saved(self) -> tuple[KeptPicture, ...]:
        """The pictures that have a file."""
        return tuple(picture for picture in self.pictures if picture.path)

    def after(self, earlier: Entry) -> Entry:
        """Tell of the same run as `earlier`, which was recorded before more of it was known.

        What only the earlier entry knows stays: a recovered run no longer knows whom it had asked.
        """
        merged = replace(
            self,
            number=earlier.number,
            started=earlier.started,
            prompt=self.prompt or earlier.prompt,
            request=self.request or earlier.request,
            endpoint=self.endpoint or earlier.endpoint,
            parents=self.parents or earlier.parents,
            billed=self.billed and earlier.billed,
        )
        return merged if self.charges or not earlier.charges else _billed_as(merged, earlier)

    def says_the_same(self, other: Entry) -> bool:
        """Compare everything but the number and the time of the end."""
        return replace(self, number=None, ended=other.ended) == replace(other, number=None)


def _billed_as(entry: Entry, earlier: Entry) -> Entry:
    return replace(
        entry,
        usage=earlier.usage,
        tool_usage=earlier.tool_usage,
        cost=earlier.cost,
        charges=earlier.charges,
        prices_date=earlier.prices_date,
    )


@dataclass(frozen=True)
class Share:
    """One model's part of what a run cost, in US dollars; `cost` is None where any of it is unknown."""

    model: str | None
    cost: Decimal | None
    known: Decimal


@dataclass(frozen=True)
class Expense:
    """What one run cost: an `Entry`, reduced to the money. A failed run may have no `shares`.

    `endpoint` and `is_free` are as in `Entry`.
    """

    number: int
    started: datetime
    is_free: bool
    cost: Decimal | None
    shares: tuple[Share, ...] = ()
    prices_date: date | None = None
    endpoint: str | None = None

    @property
    def known(self) -> Decimal:
        """The dollars that are known: where `cost` is None, it was at least this."""
        return sum((share.known for share in self.shares), _NOTHING) if self.cost is None else self.cost

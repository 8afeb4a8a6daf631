"""A scenario as data: one table of a TOML file in `scenarios/`, checked when it is read."""

from __future__ import annotations

import signal
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from beside import PATIENCE
from faults.bodies import ORDINARY, Endless, Part, Script, bomb, plain_json, script, zipped
from wire import EVENT_STREAM, End, Framing, Reply, error_reply

HERE = Path(__file__).parent
FOLDER = HERE / "scenarios"


@dataclass(frozen=True)
class Answer:
    """One of the server's answers; see `bodies` for its parts and places."""

    body: tuple[Part, ...] = ORDINARY
    json: dict[str, Any] | None = None
    text: str | None = None
    error: dict[str, Any] | None = None
    newline: str = "\n"
    zipped: bool = False
    bomb: int = 0
    cut: str = "100%"
    end: str = "well"
    framing: str = "chunked"
    chunk: int = 65_536
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = EVENT_STREAM
    pauses: tuple[tuple[str, float], ...] = ()
    drip: float = 0.0

    def script(self, final: str, rough: str) -> Script:
        """Write the body, whole or cut."""
        if self.bomb:
            return bomb(self.bomb)
        if self.text is not None or self.error is not None:
            return Script((self.text or "").encode(), {}, (), ())
        whole = plain_json(self.json) if self.json else script(self.body, final, rough, self.newline)
        whole = zipped(whole) if self.zipped else whole
        if isinstance(whole.body, Endless):
            return whole
        return replace(whole, body=whole.body[: whole.offset(self.cut)])

    def reply(self, told: Script) -> Reply:
        """Make it a reply that the scripted server plays."""
        if self.error is not None:
            about = {"message": "No.", **self.error}
            return error_reply(self.status, about["message"], about.get("code"), headers=self.headers)
        pauses = {told.offset(place): seconds for place, seconds in self.pauses}
        if self.drip:
            pauses |= dict.fromkeys(range(self.chunk, len(told.body), self.chunk), self.drip)
        return Reply(
            told.body,  # type: ignore[arg-type]  # an endless one is sliced like bytes
            self.status,
            self.headers,
            "application/json" if self.json else self.content_type,
            Framing(self.framing),
            End(self.end),
            self.chunk,
            tuple(pauses.items()),
        )


@dataclass(frozen=True)
class Tty:
    """The terminal that the command runs on; `shows` must be on it at the end."""

    columns: int = 80
    rows: int = 24
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One scenario. What it says of the end is checked beside the invariants, which every scenario meets."""

    name: str
    promise: str
    also: tuple[str, ...] = ()
    # what the server does
    replies: tuple[Answer, ...] = (Answer(),)
    server: str = "plain"
    final: str = "RED"
    rough: str = "BLUE"
    # what the client is told, and where it runs
    command: tuple[str, ...] = ("gen", "a cat")
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    stdin: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    before: str = ""
    redirect: str = ""
    gone: tuple[str, ...] = ()
    limits: str = ""
    capless: bool = False
    offline: bool = False
    tmpfs: dict[str, str] = field(default_factory=dict)
    strace: str = ""
    signal: str = ""
    at: str = ""
    settle: float = 0.3
    resume: float = 0.0
    recover_kills: tuple[float, ...] = ()
    recover_faults: tuple[str, ...] = ()
    tty: Tty | None = None
    sabotage: str = ""
    # what must come out
    exit: int | str = 0
    posts: int = 1
    new: dict[str, str] | None = None
    copies: int = 1
    most_copies: int = 0
    stdout: str | None = None
    says: tuple[str, ...] = ()
    quiet_about: tuple[str, ...] = ()
    sent: tuple[str, ...] | None = None
    seconds: float = PATIENCE
    # when it runs
    slow: bool = False
    xfail: str = ""

    @property
    def id(self) -> str:
        """The fault that it is mainly about."""
        return self.name.partition("-")[0]

    @property
    def expected_exit(self) -> int:
        """The exit code, negative for death by a signal."""
        return self.exit if isinstance(self.exit, int) else -signal.Signals[self.exit]

    @classmethod
    def parse(cls, name: str, table: dict[str, Any]) -> Self:
        """Check one table; raises `TypeError` for a key that nobody knows."""
        told = dict(table)
        answers = told.pop("replies", [told.pop("reply", {})])
        told["replies"] = tuple(_answer(one) for one in answers)
        if "tty" in told:
            told["tty"] = Tty(**_frozen(told["tty"]))
        return cls(name=name, **_frozen(told))


def _answer(table: dict[str, Any]) -> Answer:
    frozen = _frozen(table)
    for name in ("headers", "pauses"):
        frozen[name] = tuple(map(tuple, table.get(name, ())))
    unknown = set(frozen) - {one.name for one in fields(Answer)}
    assert not unknown, f"unknown keys of an answer: {unknown}"
    return Answer(**frozen)


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def load() -> list[Row]:
    """Read every scenario of every file."""
    return [
        Row.parse(name, table)
        for path in sorted(FOLDER.glob("*.toml"))
        for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items()
    ]


ROWS = {row.name: row for row in load()}

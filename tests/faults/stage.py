"""A scenario set up: its room, its servers, and what its client is told."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from faults import disks
from faults.faultserver import FaultServer, certificate, nobody_answers, nobody_listens
from faults.room import CANARY_PASSWORD, Room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.bodies import Script
    from faults.rows import Row

_A_MOMENT = 0.5
REMOTE = "http://images.example/v1"
"""An address that only the proxy of a scenario can reach: there is no such host."""


@dataclass
class Stage:
    """A scenario set up: its room, its servers, the way into the room."""

    row: Row
    room: Room
    server: FaultServer
    scripts: list[Script]
    names: dict[str, str]
    enter: list[str]
    other: FaultServer | None = None
    read_at: float | None = None
    has_arrived: bool = False
    """Whether the client had the image long enough before it died to have written it down."""

    def note(self) -> None:
        """Look whether the client has read the whole image, and for how long it has had it."""
        images = self.scripts[0].images
        if self.read_at is None and images and self.server.has_read(images[0][0]):
            self.read_at = time.monotonic()
        self.has_arrived = self.read_at is not None and time.monotonic() - self.read_at > _A_MOMENT

    def fill(self, text: str) -> str:
        """Put addresses and folders where `{url}`, `{other}`, `{here}`, ... stand."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    @property
    def env(self) -> dict[str, str]:
        """The client's environment."""
        env = self.room.env | {"OPENAI_BASE_URL": self.names["url"]}
        if self.row.server == "proxy":
            proxy = f"http://canary:{CANARY_PASSWORD}@127.0.0.1:{self.server.port}"
            env |= {"HTTP_PROXY": proxy, "IMGCLI_INSECURE_HTTP": "1", "OPENAI_BASE_URL": REMOTE}
        env |= {name: self.fill(value) for name, value in self.row.env.items()}
        if self.row.sabotage:
            folder = self.room.inside.parent / "sabotage"
            folder.mkdir(exist_ok=True)
            (folder / "sitecustomize.py").write_text(self.row.sabotage)
            env["PYTHONPATH"] = str(folder)
        return {name: value for name, value in env.items() if name not in self.row.unset}

    @property
    def args(self) -> list[str]:
        """The command's arguments."""
        return [self.fill(word) for word in (*self.row.command, *self.row.args)]


@contextmanager
def staged(row: Row, root: Path) -> Iterator[Stage]:
    """Set a scenario up."""
    with ExitStack() as stack:
        room = Room.furnish(root, row.files)
        enter: list[str] = []
        if row.tmpfs:
            where, options = row.tmpfs["where"], row.tmpfs["options"]
            outside, enter = stack.enter_context(disks.small(root / where, options))
            room = Room(outside / root.relative_to("/"), root)
        scripts = [answer.script(row.final, row.rough) for answer in row.replies]
        server = FaultServer([])
        names = {"here": str(root / "here"), "home": str(root / "home"), "tmp": str(root / "tmp")}
        other = None
        if "{other}" in str(row):
            other = stack.enter_context(FaultServer([row.replies[0].reply(scripts[0])]))
            names["other"] = other.base_url
        if row.server.startswith("tls"):
            server.certificate = certificate(root)
            names["certificate"] = str(server.certificate)
        stack.enter_context(server)
        names |= {"port": str(server.port), "url": _url(row, server, stack)}
        stage = Stage(row, room, server, scripts, names, enter, other)
        server.replies = [
            replace(reply, headers=tuple((name, stage.fill(value)) for name, value in reply.headers))
            for reply in (a.reply(told) for a, told in zip(row.replies, scripts, strict=True))
        ]
        yield stage


def _url(row: Row, server: FaultServer, stack: ExitStack) -> str:
    match row.server:
        case "none":
            return f"http://127.0.0.1:{stack.enter_context(nobody_listens())}/v1"
        case "blackhole":
            return f"http://127.0.0.1:{stack.enter_context(nobody_answers())}/v1"
        case "tls":
            return f"https://127.0.0.1:{server.port}/v1"
        case _:
            return server.base_url

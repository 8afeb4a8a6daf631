"""`imgcli serve` as a process beside a test, and a client for it that sends what no browser would."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import zygote
from beside import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

GENERATE = "/api/gen/txttoimg"


@dataclass(frozen=True)
class WebAnswer:
    """What the server answered; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The body as JSON lines."""
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class RunningSite:
    """The server of a test; `url` is the line that it printed."""

    process: subprocess.Popen[bytes]
    url: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    @property
    def origin(self) -> str:
        """The origin of its page."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def opened(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: object = None
    ) -> Iterator[HTTPResponse]:
        """Ask, and return as soon as the answer begins; a body that is no text or bytes is sent as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, str | bytes):
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, body, sent)
            with closing(connection.getresponse()) as response:
                yield response

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: object = None
    ) -> WebAnswer:
        """Ask, and return the whole answer."""
        with self.opened(method, path, headers, body) as response:
            found = {name.lower(): value for name, value in response.getheaders()}
            return WebAnswer(response.status, found, response.read())

    def get(self, path: str, **headers: str) -> WebAnswer:
        """Ask with GET; `_` in the name of a header is a dash."""
        return self.ask("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    def generate(self, prompt: str = "a cat", **parameters: object) -> WebAnswer:
        """Make an image."""
        return self.ask("POST", GENERATE, body={"prompt": prompt, **parameters})

    def stop(self, signum: int) -> tuple[int, str]:
        """End it by a signal; return how it ended, and what it said."""
        self.process.send_signal(signum)
        _, told = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, told.decode()


def path_of(prompt: str = "a cat", **parameters: str) -> str:
    """Return the address that makes an image."""
    pairs = {"prompt": prompt, **parameters}
    return f"{GENERATE}?" + "&".join(f"{name}={quote(value)}" for name, value in pairs.items())


@contextmanager
def serving(world: dict[str, str], folder: Path, *args: str, **env: str) -> Iterator[RunningSite]:
    """Run the server; it is killed at the end."""
    process = zygote.start(
        [*zygote.IMGCLI, "serve", "--port", "0", *args],
        env=world | env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        stdout: IO[bytes] | None = process.stdout
        assert stdout is not None
        line = stdout.readline().decode().strip()
        assert line, process.communicate()[1].decode()
        yield RunningSite(process, line)
    finally:
        process.kill()
        process.communicate()

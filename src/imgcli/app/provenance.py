"""Where an image comes from, according to its bytes, the history and, if asked, a server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.embedded import strip
from imgcli.core.errors import ExitCode, ImgcliError, usage_error
from imgcli.core.image import EncodedImage
from imgcli.core.provenance import FileVerification, HistoryCheck, HistoryState, ServerCheck
from imgcli.core.text import file_size, shorten
from imgcli.store.files import LARGEST_IMAGE, read_named
from imgcli.store.image_facts import facts_of
from imgcli.store.manifest import check_manifest
from imgcli.store.verify import examine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.auth import Credentials
    from imgcli.app.context import Context
    from imgcli.app.lookup import Lookup
    from imgcli.app.options import ServerOptions
    from imgcli.core.history import FileFacts, HistoryEntry


_SHOWN = 200
_ABOUT_ONE_FILE = frozenset({ExitCode.REFUSED})
"""Where a server refuses one file it may take the next; other failures would only be repeated."""


class Verifier:
    """Verifies one file after another; `trusted` are certificates of signers (PEM), None for nobody's."""

    def __init__(self, images: Lookup, server: OnlineVerifier | None, trusted: str | None) -> None:
        self._images = images
        self._server = server
        self._trusted = trusted

    def paths(self, name: str) -> tuple[str, ...]:
        """Return the files that FILE or ID names: every file that a run saved, whatever is there now.

        Raises `ImgcliError` (usage).
        """
        if not name:
            raise usage_error("The name of a file is empty.")
        entry = self._images.run_named(name)
        if entry is None:
            return (name,)
        if not entry.saved:
            raise usage_error(f"Run {entry.number} saved no image ({entry.outcome}).")
        return tuple(str(image.path) for image in entry.saved)

    def verify(self, name: str) -> FileVerification:
        """Verify a file. Raises `ImgcliError` (usage) for one that cannot be read, and for no image.

        What kept a server from answering is in the result: the other sources have theirs all the same.
        """
        data, _ = read_named(name, LARGEST_IMAGE, "Name an image file.")
        file, bare = facts_of(Path(name), data), strip(data)
        history = self._history(name, file, bare if bare is not data else None)
        if file.format is None and history.entry is None:
            raise usage_error(
                f"{shorten(name, _SHOWN)} is not a PNG, JPEG, WebP, GIF or SVG image, and "
                "the history does not know it."
            )
        manifest = check_manifest(data, self._trusted)
        image = EncodedImage(data, file.format)
        server = self._server.check(name, image) if self._server else None
        damage = examine(image).damage if file.format else None
        return FileVerification(name, file, bare is not data, manifest, history, server, damage)

    def _history(self, name: str, file: FileFacts, bare: bytes | None) -> HistoryCheck:
        """Ask the history; `bare` is the file without its embedded parameters, None without any."""
        images = self._images
        if entry := images.saved_as(name, file.sha256) or images.producer(file.sha256):
            return HistoryCheck(HistoryState.UNCHANGED if bare is None else HistoryState.EMBEDDED, entry)
        if bare is None and (entry := images.received(file.sha256)):
            return HistoryCheck(HistoryState.RECEIVED, entry)
        if bare is not None and (entry := self._produced(sha256(bare).hexdigest())):
            return HistoryCheck(HistoryState.EMBEDDED, entry)
        named = file.parameters.sha256 if file.parameters else None
        if entry := (self._produced(named) if named else None) or images.saved_as(name):
            return HistoryCheck(HistoryState.CHANGED, entry)
        return HistoryCheck(HistoryState.UNAVAILABLE if images.history is None else HistoryState.UNKNOWN)

    def _produced(self, sha256: str) -> HistoryEntry | None:
        """Find the run whose image this is, saved with embedded parameters or without."""
        return self._images.producer(sha256) or self._images.received(sha256)


class OnlineVerifier:
    """Uploads files to a server that knows the marks of its own images, each once, and says so before."""

    def __init__(self, context: Context, credentials: Credentials, timeout: float, host: str) -> None:
        self._context = context
        self._credentials = credentials
        self._timeout = timeout
        self._host = host
        self._broken: ServerCheck | None = None

    def check(self, name: str, image: EncodedImage) -> ServerCheck:
        """Ask about a file, unless the server could not be asked about an earlier one."""
        from imgcli.api.client import Clock
        from imgcli.api.provenance import FORMATS, NO_CHECKS, ask
        from imgcli.api.transport import Timeouts
        from imgcli.app.reporting import refuse

        if image.format not in FORMATS:
            return ServerCheck(self._host, skipped="not asked: it checks PNG, JPEG, WebP and GIF")
        if self._broken:
            return self._broken
        size = file_size(len(image.data))
        self._context.warn([f"uploading {shorten(name, _SHOWN)} ({size}) to {self._host}"])
        clock = Clock(monotonic=self._context.monotonic, sleep=self._context.sleep)
        try:
            answer = ask(image, self._credentials, Timeouts.scaled(self._timeout), clock)
        except ImgcliError as error:
            refuse(self._context, error.problem)
            failed = ServerCheck(self._host, problem=error.problem)
            if error.problem.exit_code not in _ABOUT_ONE_FILE or error.problem.advice == NO_CHECKS:
                self._broken = failed
            return failed
        return replace(answer, host=self._host)


@contextmanager
def online(context: Context, server: ServerOptions) -> Iterator[OnlineVerifier]:
    """Open the way to a server: a profile's, OpenAI's, or the demo's in this process.

    Raises `ImgcliError` where there is no key for it, before anything is sent.
    """
    from imgcli.api.auth import credentials

    if not server.demo:
        key = credentials(context.env, server.base_url, server.settings, context.keys)
        yield OnlineVerifier(context, key, server.timeout, key.host)
        return
    from imgcli.demo.server import DemoServer

    with DemoServer(pace=0) as demo:
        yield OnlineVerifier(context, credentials({}, demo.base_url), server.timeout, "the offline demo")

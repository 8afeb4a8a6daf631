"""The context of a command: streams, environment, clocks and terminal size, as one value."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from imgcli.api.key_store import KeyStore
from imgcli.core.errors import ImgcliError
from imgcli.core.messages import notice_line
from imgcli.core.option import option
from imgcli.dataclass import cached_property, dataclass
from imgcli.output.terminal.writer import SafeWriter
from imgcli.regex import regex
from imgcli.store.config_file import read_text
from imgcli.store.files import UnfitFileError
from imgcli.store.price_file import read_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from imgcli.core.billing.price_table import PriceTable
    from imgcli.core.catalog import Catalog
    from imgcli.output.terminal.hyperlinks import Hyperlinks


_NAMED = regex(
    r"""(?:([\w-]+)["']?\s*=\s*["'])?env:([A-Z_][A-Z0-9_]*)|key-env["']?\s*=\s*["']([A-Z_][A-Z0-9_]*)"""
)


def all_secrets(context: Context) -> tuple[str, ...]:
    """Return what any run of this process may have had to hide, though the configuration be broken."""
    from imgcli.api.auth import secrets_of  # here, so that help and completions do without it

    return *secrets_of(context.env, _named(context.env)), *context.keys.secrets


def _named(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name the variables that the file takes keys and headers from, each with what it is for."""
    from imgcli.api.auth import KEY

    try:
        text = read_text(env) or ""
    except ImgcliError:
        return
    for header, variable, key in _NAMED.findall(text):
        yield header or KEY, variable or key


_LARGEST = 1_000
"""Columns or rows; no terminal has more, and COLUMNS can hold any number."""
_PATIENCE = 1.0
"""Seconds that a terminal which takes nothing may cost."""


@dataclass(frozen=True)
class Context:
    """Everything outside the process that a command may read or write."""

    env: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    size: Callable[[], os.terminal_size]
    token: Callable[[], str]
    """A short random word that tells runs apart."""
    history_wait: float = 1.0
    """Seconds for which a run waits for a locked history."""
    reservation_wait: float = 10.0
    """Seconds for which a run under a daily cap does, which is not sent without it."""
    closed: frozenset[int] = frozenset()
    """The standard descriptors (0, 1, 2) that were closed at the start; what is written there is lost."""
    defer: Callable[[list[str]], None] | None = None
    """What takes lines for standard error, while a display that several jobs share is on it."""
    keys: KeyStore = field(default_factory=KeyStore)
    """The keys that are not in the environment, each asked for once."""
    can_send: bool = False
    """Whether the command is one that sends requests, which may cost money."""

    @classmethod
    def of_this_process(cls, closed: frozenset[int], *, can_send: bool = False) -> Context:
        """Return the real streams, clock and environment."""
        return cls(
            env=os.environ,
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            monotonic=time.monotonic,
            sleep=time.sleep,
            now=lambda: datetime.now(UTC).astimezone(),
            size=lambda: size_of(sys.stderr),
            token=lambda: os.urandom(4).hex(),
            closed=closed,
            can_send=can_send,
        )

    @cached_property
    def models(self) -> Catalog:
        """The models with the prices of today: from the table that was read last, else built in.

        A table that cannot be used is left out, with a note.
        """
        from imgcli.core.billing.price_table import current
        from imgcli.core.catalog import load

        return current(load(), self._price_table(), self.now().date())

    @cached_property
    def links(self) -> Hyperlinks:
        """What makes links to files on standard output, where that is a terminal that shows them."""
        from imgcli.output.terminal import hyperlinks

        return hyperlinks.Hyperlinks.on(self.env, self.stdout)

    def _price_table(self) -> PriceTable | None:
        try:
            data = read_prices(self.env)
        except (OSError, UnfitFileError) as error:
            why = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
        else:
            if data is None:
                return None
            from imgcli.core.billing.price_table_reader import PriceTableError, read_table
            from imgcli.core.catalog import load

            try:
                return read_table(data, "", self.now().date(), load())
            except PriceTableError as error:
                why = str(error)
        instead = f"imgcli uses its own. `imgcli models {option('reset')}` removes it"
        self.warn([f"The stored price table {why}; {instead}."])
        return None

    def warn(self, sentences: Iterable[str]) -> None:
        """Print sentences on standard error, each marked as a note."""
        self.write_lines(map(notice_line, sentences))

    def write_lines(self, lines: Iterable[str]) -> None:
        """Print lines on standard error as they are; a stream that takes nothing is left alone."""
        safe = list(lines)
        if self.defer:
            self.defer(safe)
            return

        def write_all() -> None:
            with suppress(OSError, ValueError):
                SafeWriter(self.stderr).lines(safe)

        if safe:
            within(_PATIENCE, write_all)

    def confirm(self, question: str) -> bool | None:
        """Ask on the terminal, where no answer means no; None where nobody is there to be asked."""
        if not (self.stdin.isatty() and self.stderr.isatty()):
            return None
        SafeWriter(self.stderr).write(f"{question} [y/N] ")
        return self.stdin.readline().strip().lower() in {"y", "yes"}


def size_of(stream: TextIO) -> os.terminal_size:
    """Ask the terminal behind a stream for its columns and rows; COLUMNS and LINES fill in for none."""
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
        if size.columns and size.lines:
            return size
    told = shutil.get_terminal_size()
    return os.terminal_size((min(told.columns, _LARGEST), min(told.lines, _LARGEST)))


def within(seconds: float, action: Callable[[], None]) -> None:
    """Do what may never end, such as writing to a stalled terminal, and wait only so long for it."""
    import threading

    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)


def forget_blank_variables() -> None:
    """Remove variables of ours, and of OpenAI's, that hold nothing but spaces.

    From the process's own environment, because Typer and the SDK read it without asking us.
    """
    for name, value in list(os.environ.items()):
        if name.startswith(("IMGCLI_", "OPENAI_")) and not value.strip():
            del os.environ[name]


def forbid_core_dumps() -> None:
    """Keep the key out of core files, which hold a process's whole memory."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def abandon(stream: TextIO) -> None:
    """Point a stream that takes nothing at /dev/null, so that what is left in its buffer harms nobody."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def open_standard_descriptors() -> frozenset[int]:
    """Open /dev/null on any of descriptors 0 to 2 that was closed at the start, and tell which were.

    Otherwise the next file we open, perhaps the image itself, would become "standard output" and receive
    whatever is printed.
    """
    closed: set[int] = set()
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(os.open(os.devnull, flags))  # the lowest free number is this one
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    return frozenset(closed)

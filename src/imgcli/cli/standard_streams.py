"""Standard output, whose own failures can be told from every other `OSError`, and both ways to a terminal."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from imgcli.show.terminal_writer import TerminalWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer


class UnwritableOutputError(OSError):
    """Standard output does not take what is written to it: its disk is full, say."""


class _Bytes(io.BufferedWriter):
    """Where all text goes through, whoever writes it and however it is buffered."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _told(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _told(error) from None


def _told(error: OSError) -> OSError:
    """A reader that has left is no trouble of the stream."""
    return error if isinstance(error, BrokenPipeError) else UnwritableOutputError(error.errno, error.strerror)


def replace() -> None:
    """Let `sys.stdout` raise `UnwritableOutputError`, and both streams be patient with a terminal.

    They stay as they were in all else.
    """
    sys.stdout = _over(sys.stdout, _Bytes)  # type: ignore[arg-type]  # a real text stream
    sys.__stdout__ = sys.stdout  # type: ignore[misc]  # `shutil.get_terminal_size` asks it
    if sys.stderr.isatty():
        sys.stderr = _over(sys.stderr, io.BufferedWriter)  # type: ignore[arg-type]


def _over(text: io.TextIOWrapper, buffer: type[io.BufferedWriter]) -> io.TextIOWrapper:
    """Put a stream together anew."""
    told = text.encoding, text.errors, None, text.line_buffering, text.write_through
    below = text.detach()
    raw: Any = below.detach() if isinstance(below, io.BufferedWriter) else below  # PYTHONUNBUFFERED
    return io.TextIOWrapper(buffer((raw.isatty() and TerminalWriter.over(raw.fileno())) or raw), *told)

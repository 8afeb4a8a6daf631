"""Writing text to a stream that may be narrow-minded about characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO


class Output:
    """A text stream on which nothing raises `UnicodeError`, and every write is flushed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> None:
        """Write and flush; raises `OSError` when the reader has gone or the disk is full."""
        if text:
            self._stream.write(self._encodable(text))
            self._stream.flush()

    def lines(self, lines: Iterable[str]) -> None:
        """Write whole lines, in one go."""
        self.write("".join(f"{line}\n" for line in lines))

    def _encodable(self, text: str) -> str:
        """Replace what the stream's encoding lacks by question marks."""
        return text if text.isascii() else text.encode(self._encoding, "replace").decode(self._encoding)


class Patient(Output):
    """An output that goes quiet for good when its terminal has gone away: nobody is left to tell."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._is_gone = False

    def write(self, text: str) -> None:
        """Write and flush, or do nothing."""
        if self._is_gone:
            return
        try:
            super().write(text)
        except (OSError, ValueError):  # ValueError: somebody closed the stream
            self._is_gone = True

"""Progress in a terminal's tab or the taskbar, OSC 9;4: https://conemu.github.io/en/AnsiEscapeCodes.html."""

from __future__ import annotations

_PERIOD = 10.0  # seconds; Ghostty takes progress away that is not repeated within 15
_CLEAR = "\x1b]9;4;0\x1b\\"


class ProgressBar:
    """Builds the sequences, and knows what they have put on the terminal; empty ones where it takes none."""

    def __init__(self, *, is_supported: bool) -> None:
        self._is_supported = is_supported
        self._shown = ""
        self._written = 0.0

    def update(self, fraction: float | None, now: float) -> str:
        """Return what shows so much of the work as done, None for nobody knows; empty where that is shown."""
        state = "3" if fraction is None else f"1;{int(max(0.0, min(fraction, 1.0)) * 100)}"
        is_fresh = state == self._shown and now - self._written < _PERIOD
        if is_fresh or not self._is_supported:
            return ""
        self._shown, self._written = state, now
        return f"\x1b]9;4;{state}\x1b\\"

    def clear(self) -> str:
        """Return what takes it away; empty where there is none."""
        shown, self._shown = self._shown, ""
        return _CLEAR if shown else ""

"""Lazy `re.compile`: a pattern is compiled when first used. A command loads a hundred and needs few."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    regex = re.compile  # the very same to whoever reads types
else:

    class regex:  # noqa: N801 - called like a function
        """A pattern that is not compiled yet; it has the methods of one that is."""

        def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
            self._given = pattern, flags

        def __getattr__(self, name: str) -> object:
            value = getattr(re.compile(*self._given), name)
            setattr(self, name, value)  # the next time, it is found at once
            return value

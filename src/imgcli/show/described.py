"""Pictures described in words, where there is no terminal to show them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.events import FinalImage
from imgcli.core.text import shorten
from imgcli.show.dimensions import facts
from imgcli.show.output import Output

if TYPE_CHECKING:
    from typing import TextIO

    from imgcli.core.events import Event, Picture

_NAME_LENGTH = 1500


def described(name: str, picture: Picture, separator: str) -> str:
    """Describe a picture: `cat.png · png · 1024x1024 · 1.7 MB`."""
    kind = [picture.format.value] if picture.format else []
    return separator.join([shorten(name, _NAME_LENGTH), *kind, *facts(picture)])


class DescribingSink:
    """Writes one line per finished picture of a run."""

    def __init__(self, stdout: TextIO, name: str) -> None:
        self._out = Output(stdout)
        self._name = name

    def handle(self, event: Event) -> None:
        """Write a picture's line; raises `OSError` when nobody reads."""
        if isinstance(event, FinalImage):
            name = f"{self._name}, picture {event.image + 1}" if event.image else self._name
            self._out.lines([described(name, event.picture, ", ")])

    def close(self) -> None:
        """Nothing is open."""

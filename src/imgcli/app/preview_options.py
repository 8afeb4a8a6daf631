"""How images are to be shown: the options that a user chose, as values."""

from __future__ import annotations

from enum import Enum

from imgcli.core.params import PreviewProtocol
from imgcli.dataclass import dataclass


class PreviewMode(Enum):
    """How a preview was chosen: EXPLICIT on the command line, by DEFAULT, or none at all (PLAIN lines)."""

    EXPLICIT = "explicit"
    DEFAULT = "default"
    PLAIN = "plain"


@dataclass(frozen=True)
class PreviewOptions:
    """How images are shown; `width` is in columns, None for as many as there are."""

    protocol: PreviewProtocol = PreviewProtocol.AUTO
    mode: PreviewMode = PreviewMode.DEFAULT
    width: int | None = None

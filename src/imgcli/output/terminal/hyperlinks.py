"""Paths as links (OSC 8), on terminals known to support them: https://github.com/Alhadis/OSC8-Adoption."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from imgcli.dataclass import dataclass
from imgcli.output.terminal.capabilities import takes_codes
from imgcli.output.terminal.database import Ability, identify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TextIO


@dataclass(frozen=True)
class Hyperlinks:
    """Makes links to files; `host` is this machine's name, None where no link is to be made.

    A terminal compares the name with its own: over ssh, the file is on another machine.
    """

    host: str | None = None

    @classmethod
    def on(cls, env: Mapping[str, str], stream: TextIO) -> Self:
        """Return what makes links on a stream: none but where a terminal shows them.

        NO_COLOR is about colours: ls and gcc make links regardless. Below WSL, Windows Terminal would look
        for the file on the Windows side.
        """
        terminal, version = identify(env)
        if not (takes_codes(env, stream) and terminal.can(Ability.LINKS, version)) or env.get(
            "WSL_DISTRO_NAME"
        ):
            return cls()
        from socket import gethostname

        return cls(gethostname())

    def to(self, path: Path, text: str) -> str:
        """Return text, clean already, as a link to a file; the text alone where no link is to be made."""
        if self.host is None or not text:
            return text
        from urllib.parse import quote

        # The bytes, for a name need not be valid in any encoding; nothing but ASCII letters is left as it is.
        name = quote(os.fsencode(path.absolute().as_posix()))
        url = f"file://{quote(self.host)}{name if name.startswith('/') else f'/{name}'}"
        return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\"


NO_LINKS = Hyperlinks()

"""The way in, for `imgcli` and `python -m imgcli`: a Ctrl-C during the imports is a Ctrl-C too."""

from __future__ import annotations

from typing import NoReturn

from imgcli.cli import signals


def main() -> NoReturn:
    """Listen to signals first, then load the command line and run it."""
    signals.install()
    try:
        from imgcli.cli import app

        app.main()
    except signals.Interrupted as interrupted:
        signals.die_by(interrupted.signum)


if __name__ == "__main__":
    main()

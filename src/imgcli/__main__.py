"""The way in, for `imgcli` and `python -m imgcli`."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it; until it listens to signals, there is nothing to tidy up."""
    from imgcli.app import process
    from imgcli.cli import app

    try:
        app.main()
    except process.Interrupted as interrupted:
        process.die_by(interrupted.signum)


if __name__ == "__main__":
    main()

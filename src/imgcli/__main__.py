"""Entry point of `imgcli` and `python -m imgcli`."""

from __future__ import annotations

import gc
from typing import NoReturn

_FEW_COLLECTIONS = 50_000
"""New objects between two looks for garbage: loading makes many, and hardly any garbage."""


def main() -> NoReturn:
    """Load the command line and run it; until it listens to signals, there is nothing to tidy up."""
    gc.set_threshold(_FEW_COLLECTIONS)
    from imgcli.app import process
    from imgcli.cli import app

    try:
        app.main()
    except process.Interrupted as interrupted:
        process.die_by(interrupted.signum)


if __name__ == "__main__":
    main()

"""The configuration file itself: its place, the first one, and what may go wrong about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.text import shorten
from imgcli.store.config_file import VARIABLE, config_path, write_new

if TYPE_CHECKING:
    from pathlib import Path

    from imgcli.app.context import Context


def config_place(world: Context) -> Path:
    """Find the file's place, whether or not it exists. Raises `ImgcliError` (usage)."""
    path = config_path(world.env)
    if path is None:
        raise usage_error(
            "There is no home folder for a configuration file.", f"Set HOME, or name one in {VARIABLE}."
        )
    return path.absolute()


def begin_config(world: Context) -> Path:
    """Write the example, and tell where. Raises `ImgcliError` where that cannot be done."""
    path = config_place(world)
    shown = shorten(str(path), 200)
    try:
        write_new(path, example())
    except FileExistsError:
        raise usage_error(
            f"{shown} is there already; it was left as it is.", "See imgcli config show."
        ) from None
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None
    return path


def ensure(world: Context) -> Path:
    """Return the file's place, and begin it where there is none. Raises `ImgcliError`."""
    path = config_place(world)
    return path if os.path.lexists(path) else begin_config(world)


def unwritable(path: Path, error: Exception) -> ImgcliError:
    """Say why the file cannot be written."""
    why = error.strerror if isinstance(error, OSError) else error
    what = f"{shorten(str(path), 200)} cannot be written: {why}."
    return ImgcliError(Problem(ExitCode.UNWRITABLE, what))


def example() -> str:
    """Read the example that comes with imgcli."""
    import pkgutil

    return (pkgutil.get_data("imgcli.cli", "config_example.toml") or b"").decode()

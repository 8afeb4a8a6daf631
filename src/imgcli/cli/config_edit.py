"""`imgcli config edit`: the file in the user's own editor, and a check afterwards."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgcli.cli.config_file import ensure
from imgcli.cli.configured import configured_commands, schema
from imgcli.cli.settings import read_settings
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.cli.world import World

_VARIABLES = ("VISUAL", "EDITOR")
_ADVICE = "Name another one in VISUAL or EDITOR."
_USUAL = ("editor", "nano", "vi")


def edit(world: World) -> None:
    """Open the file, wait for the editor, and check what was written. Raises `ImgcliError`."""
    command = _editor(world)
    path = ensure(world)
    try:
        with subprocess.Popen([*command, str(path)]) as editor, _leaving_keys_to_it():
            status = editor.wait()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise usage_error(
            f"The editor {shorten(command[0], 60)} cannot be started: {why}.", _ADVICE
        ) from None
    if status:
        raise usage_error(f"The editor {shorten(command[0], 60)} ended with status {status}.")
    read_settings(world.env, schema(configured_commands()), named="")


def _editor(world: World) -> list[str]:
    """Choose the editor's command, with its options; raises `ImgcliError` (usage) without any."""
    for name in _VARIABLES:
        if told := world.env.get(name, "").strip():
            try:
                return shlex.split(told)
            except ValueError as error:
                raise usage_error(f"{name} cannot be read as a command: {error}.") from None
    for name in _USUAL:
        if found := shutil.which(name, path=world.env.get("PATH")):
            return [found]
    raise usage_error("There is no editor.", _ADVICE)


@contextmanager
def _leaving_keys_to_it() -> Iterator[None]:
    """Let Ctrl-C mean to the editor what it means there; it reaches this process as well."""
    keys = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)]
    earlier = [(one, signal.signal(one, signal.SIG_IGN)) for one in keys]
    try:
        yield
    finally:
        for one, handler in earlier:
            signal.signal(one, handler)

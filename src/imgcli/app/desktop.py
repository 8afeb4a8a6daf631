"""Desktop integration: open images in a viewer, copy them to the clipboard, show notifications."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app.context import within
from imgcli.app.options import Desktop
from imgcli.core.errors import ExitCode, usage_error
from imgcli.core.image import sniff
from imgcli.core.text import shorten
from imgcli.output.terminal.writer import SafeWriter
from imgcli.store.publish.naming import STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgcli.app.context import Context
    from imgcli.core.pipeline import Outcome


_PATIENCE = 1.0  # seconds that a terminal which takes nothing may cost
_LONGEST = 200
_ENOUGH = 1024
"""Bytes by which an image's format can be told."""


def perform(context: Context, name: str, asked: Desktop) -> ExitCode:
    """Open or copy one image. Raises `ImgcliError` (usage) where there is none, or no tool for it."""
    from imgcli.app.lookup import locate_one
    from imgcli.output.desktop import DesktopError
    from imgcli.store.image_facts import inspect

    if name == STDOUT:
        raise usage_error("open needs a file, not standard input.", "Save the image as a file first.")
    located = locate_one(context, name)
    context.warn(located.notes)
    (path,) = located.paths
    if inspect(path).format is None:
        raise usage_error(f"{path} is not a PNG, JPEG, WebP, GIF or SVG image.")
    try:
        _hand_over(context, Path(path), asked)
    except DesktopError as error:
        raise usage_error(str(error)) from None
    return ExitCode.OK


def open_results(context: Context, paths: Sequence[Path], asked: Iterable[Desktop]) -> None:
    """Open what was saved, and copy the first of it; what goes wrong is a note, and nothing else."""
    from imgcli.output.desktop import DesktopError

    files = [path for path in paths if path.is_file()]
    wanted = [(one, path) for one in asked for path in (files if one is Desktop.OPEN else files[:1])]
    troubles = list[str]()
    for one, path in wanted:
        try:
            _hand_over(context, path, one)
        except (DesktopError, OSError) as error:
            troubles.append(str(error))
    context.warn(dict.fromkeys(troubles))


def notify(context: Context, outcomes: Iterable[Outcome]) -> None:
    """Tell whoever walked away how runs ended; see `notify_of`."""
    each = list(outcomes)
    saved = [one.path.name for outcome in each for one in outcome.saved]
    problems = [problem.what for outcome in each for problem in outcome.problems]
    words = [f"saved {saved[0]}"] if len(saved) == 1 else [f"saved {len(saved)} images"] if saved else []
    notify_of(context, "; ".join([*words, *problems[:1]]) or "no image")


def notify_of(context: Context, text: str) -> None:
    """Notify by the terminal, else by the desktop, else by the bell; over ssh the desktop is another one.

    What goes wrong costs the notification.
    """
    from imgcli.output.desktop import DesktopError
    from imgcli.output.desktop import notify as notify_desktop
    from imgcli.output.terminal.capabilities import takes_codes
    from imgcli.output.terminal.notification import BELL, notification

    has_terminal = takes_codes(context.env, context.stderr)
    written = notification(text, context.env) if has_terminal else None
    if written is None:
        written = BELL if has_terminal else ""
        if not context.env.keys() & {"SSH_CONNECTION", "SSH_TTY"}:
            with suppress(DesktopError):
                notify_desktop(shorten(text, _LONGEST), context.env)
                written = ""

    def write() -> None:
        with suppress(OSError, ValueError):
            SafeWriter(context.stderr).write(written)

    within(_PATIENCE, write)


def _hand_over(context: Context, path: Path, asked: Desktop) -> None:
    from imgcli.output.desktop import DesktopError, copy_image, open_image

    if asked is Desktop.OPEN:
        open_image(path, context.env)
        return
    with path.open("rb") as file:
        kind = sniff(file.read(_ENOUGH))
    if kind is None:
        raise DesktopError(f"{path} is not an image and was not copied.")
    copy_image(path, kind, context.env)

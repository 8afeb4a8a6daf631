"""Handing images to the desktop: to its viewer, and to its clipboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.cli import notes
from imgcli.cli.order import STDOUT, Desktop
from imgcli.core.errors import ExitCode, usage_error
from imgcli.core.events import sniff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgcli.cli.world import World

_ENOUGH = 1024
"""Bytes by which an image's format can be told."""


def perform(world: World, name: str, asked: Desktop) -> ExitCode:
    """Open or copy one image. Raises `ImgcliError` (usage) where there is none, or no tool for it."""
    from imgcli.cli.finding import locate_one
    from imgcli.show.desktop import DesktopError
    from imgcli.store.inspection import inspect

    if name == STDOUT:
        raise usage_error("open takes a file, and - is none.", "Save the image as a file first.")
    located = locate_one(world, name)
    notes.tell(world, located.notes)
    (path,) = located.paths
    if inspect(path).format is None:
        raise usage_error(f"{path} is no image of a kind that imgcli makes (png, jpeg, webp, gif, svg).")
    try:
        _hand_over(world, Path(path), asked)
    except DesktopError as error:
        raise usage_error(str(error)) from None
    return ExitCode.OK


def hand_over(world: World, paths: Sequence[Path], asked: Iterable[Desktop]) -> None:
    """Open what was saved, and copy the first of it; what goes wrong is a note, and nothing else."""
    from imgcli.show.desktop import DesktopError

    files = [path for path in paths if path.is_file()]
    wanted = [(one, path) for one in asked for path in (files if one is Desktop.OPEN else files[:1])]
    troubles = list[str]()
    for one, path in wanted:
        try:
            _hand_over(world, path, one)
        except (DesktopError, OSError) as error:
            troubles.append(str(error))
    notes.tell(world, dict.fromkeys(troubles))


def _hand_over(world: World, path: Path, asked: Desktop) -> None:
    from imgcli.show.desktop import DesktopError, copy_image, open_image

    if asked is Desktop.OPEN:
        open_image(path, world.env)
        return
    with path.open("rb") as file:
        kind = sniff(file.read(_ENOUGH))
    if kind is None:
        raise DesktopError(f"{path} is no image, and was not copied.")
    copy_image(path, kind, world.env)

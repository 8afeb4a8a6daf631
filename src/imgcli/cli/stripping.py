"""Taking recipes out of files, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.cli import notes, signals
from imgcli.cli.finding import locate
from imgcli.cli.order import STDOUT
from imgcli.cli.report import refuse
from imgcli.core.errors import ExitCode, ImgcliError, gravest, usage_error
from imgcli.core.events import Saved
from imgcli.show.paths import PathsSink
from imgcli.store.naming import names_folder
from imgcli.store.publish import write_stream
from imgcli.store.stripping import Original

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.cli.world import World


def perform(world: World, names: Sequence[str], output: str | None) -> ExitCode:
    """Strip file after file; one that cannot be stripped is told, and does not keep the others from it."""
    _check(world, names, output)
    return gravest([_stripped(world, name, output) for name in names])


def _check(world: World, names: Sequence[str], output: str | None) -> None:
    """Refuse what would mix files up. Raises `ImgcliError` (usage)."""
    if output is not None and not output:
        raise usage_error("-o is empty.", "Give it a file or a folder, or leave it out.")
    if output == STDOUT and world.stdout.isatty():
        raise usage_error(
            "-o - would write the picture's bytes to this terminal.", "Redirect it (> cat.png)."
        )
    if output is not None and len(names) > 1 and not names_folder(output):
        raise usage_error(
            f"{len(names)} files do not fit into one.", "Give -o a folder, with a slash at its end."
        )


def _stripped(world: World, name: str, output: str | None) -> ExitCode:
    """Strip a file, or every image of a run."""
    try:
        located = locate(world, name)
    except ImgcliError as error:
        return refuse(world, error.problem)
    notes.tell(world, located.notes)
    return gravest([_stripped_file(world, path, output) for path in located.paths])


def _stripped_file(world: World, name: str, output: str | None) -> ExitCode:
    try:
        original = Original.read(name)
        if output is None:
            _in_place(world, original)
        elif output == STDOUT:
            write_stream(world.stdout.buffer, original.bare)
        else:
            place = Path(output)
            _elsewhere(world, original, place / original.path.name if names_folder(output) else place)
    except ImgcliError as error:
        return refuse(world, error.problem)
    return ExitCode.OK


def _in_place(world: World, original: Original) -> None:
    bare = original.bare
    taken = len(original.data) - len(bare)
    if not taken:
        notes.tell(world, [f"{original.shown} holds no recipe; it is left as it is"])
        return
    with signals.shielded():
        original.replace(bare)
    notes.tell(world, [f"{original.shown}: the recipe is taken out, {taken} bytes"])


def _elsewhere(world: World, original: Original, place: Path) -> None:
    """Write a copy, whether there was a recipe or not: a clean one is what was asked for."""
    with signals.shielded():
        copy = original.copy(original.bare, place)
    if copy.name != place.name:
        notes.tell(world, [f"{place.name} is there already; the copy is {copy.name}"])
    paths = PathsSink(world.stdout)
    paths.handle(Saved("", 0, copy))
    paths.close()

"""`imgcli strip`: the recipe out of an image's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app import context, process
from imgcli.app.lookup import locate
from imgcli.app.reporting import refuse
from imgcli.cli.completion import images_and_ids
from imgcli.core.errors import ExitCode, ImgcliError, most_severe, usage_error
from imgcli.core.events import Saved
from imgcli.output.sinks.lines import PathsSink
from imgcli.store.publish.atomic import write_stream
from imgcli.store.publish.naming import STDOUT, names_folder
from imgcli.store.strip import Original

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context


EPILOG = """\
Exit codes: the gravest of all files. 0 no file holds a recipe any more; 2 a file cannot be read, or
is no PNG; 12 a file cannot be written, and is as it was.
"""


Images = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|ID",
        help="PNG files, ids of imgcli history, or last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
CleanCopy = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Write a clean copy there, over nothing that is there: a file, a folder, or '-' for standard "
        "output.  [default: in the file's own place]",
    ),
]


def strip(ctx: typer.Context, files: Images, *, output: CleanCopy = None) -> None:
    """Remove embedded parameters from PNG files (see gen --embed).

    Nothing else in the file changes, and nothing is encoded again: it has the very bytes that the server
    sent, so that content credentials verify again. A file without a recipe is left untouched.

    \b
    Examples:
      imgcli strip cat.png                 before you give the image away
      imgcli strip *.png                   many at once
      imgcli strip cat.png -o clean.png    a clean copy; cat.png keeps its recipe
      imgcli strip cat.png -o - | upload   the clean bytes, for another program
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: Context = ctx.obj

    raise typer.Exit(strip_files(world, files, output))


def strip_files(world: Context, names: Sequence[str], output: str | None) -> ExitCode:
    """Strip file after file; one that cannot be stripped is told, and does not keep the others from it."""
    _check(world, names, output)
    return most_severe([_stripped(world, name, output) for name in names])


def _check(world: Context, names: Sequence[str], output: str | None) -> None:
    """Refuse what would mix files up. Raises `ImgcliError` (usage)."""
    if output is not None and not output:
        raise usage_error("-o is empty.", "Give it a file or a folder, or leave it out.")
    if output == STDOUT and world.stdout.isatty():
        raise usage_error("-o - would write the image's bytes to this terminal.", "Redirect it (> cat.png).")
    if output is not None and len(names) > 1 and not names_folder(output):
        raise usage_error(
            f"{len(names)} files do not fit into one.", "Give -o a folder, with a slash at its end."
        )


def _stripped(world: Context, name: str, output: str | None) -> ExitCode:
    """Strip a file, or every image of a run."""
    try:
        located = locate(world, name)
    except ImgcliError as error:
        return refuse(world, error.problem)
    context.warn(world, located.notes)
    return most_severe([_stripped_file(world, path, output) for path in located.paths])


def _stripped_file(world: Context, name: str, output: str | None) -> ExitCode:
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


def _in_place(world: Context, original: Original) -> None:
    bare = original.bare
    taken = len(original.data) - len(bare)
    if not taken:
        context.warn(world, [f"{original.shown} holds no recipe; it is left as it is"])
        return
    with process.shielded():
        original.replace(bare)
    context.warn(world, [f"{original.shown}: the recipe is taken out, {taken} bytes"])


def _elsewhere(world: Context, original: Original, place: Path) -> None:
    """Write a copy, whether there was a recipe or not: a clean one is what was asked for."""
    with process.shielded():
        copy = original.copy(original.bare, place)
    if copy.name != place.name:
        context.warn(world, [f"{place.name} is there already; the copy is {copy.name}"])
    paths = PathsSink(world.stdout)
    paths.handle(Saved("", 0, copy))
    paths.close()

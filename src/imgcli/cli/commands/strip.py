"""`imgcli strip`: remove embedded parameters from PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app import process
from imgcli.app.lookup import locate
from imgcli.app.reporting import refuse
from imgcli.cli.params import lookup  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.errors import ExitCode, ImgcliError, most_severe, usage_error
from imgcli.core.events import Saved
from imgcli.output.sinks.lines import PathsSink
from imgcli.store.publish.atomic import write_file, write_stream
from imgcli.store.publish.naming import STDOUT, names_folder
from imgcli.store.strip import PngFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.context import Context


EPILOG = """\
Exit codes (the most severe of all files): 0 no file has embedded parameters any more; 2 a file
cannot be read or is not a PNG file; 12 a file cannot be written and is unchanged.
"""

CleanCopy = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Write a copy instead: to a file, a folder, or '-' for standard output. Existing files are "
        "kept.  [default: change the file itself]",
    ),
]


def strip(ctx: typer.Context, files: lookup.Images, *, output: CleanCopy = None) -> None:
    """Remove embedded parameters from PNG files (see gen --embed).

    Nothing else in the file changes: the result is byte for byte what the server sent, so its content
    credentials verify again. A file without embedded parameters is left unchanged.

    \b
    Examples:
      imgcli strip cat.png                 before you share the image
      imgcli strip *.png                   many files
      imgcli strip cat.png -o clean.png    a clean copy; cat.png is unchanged
      imgcli strip cat.png -o - | upload   clean image data to standard output
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    if output is not None and not output:
        raise usage_error("-o is empty.", "Name a file or a folder, or leave it out.")
    if output == STDOUT and context.stdout.isatty():
        raise usage_error("-o - would write image data to the terminal.", "Redirect it (> cat.png).")
    if output is not None and len(files) > 1 and not names_folder(output):
        raise usage_error(
            f"{len(files)} files cannot be written to one.", "Name a folder with -o, ending in a slash."
        )
    raise typer.Exit(most_severe(code for name in files for code in _strip(context, name, output)))


def _strip(context: Context, name: str, output: str | None) -> Iterator[ExitCode]:
    """Strip a file, or every image of a run; one that cannot be stripped does not keep the others from it."""
    try:
        located = locate(context, name)
        context.warn(located.notes)
    except ImgcliError as error:
        yield refuse(context, error.problem)
        return
    for path in located.paths:
        try:
            _strip_file(context, PngFile.read(path), output)
            yield ExitCode.OK
        except ImgcliError as error:
            yield refuse(context, error.problem)


def _strip_file(context: Context, original: PngFile, output: str | None) -> None:
    stripped = original.stripped
    removed = len(original.data) - len(stripped)
    if output == STDOUT:
        write_stream(context.stdout.buffer, stripped)
    elif output is not None:
        path = Path(output)
        _write_copy(context, original, path / original.path.name if names_folder(output) else path)
    elif removed:
        with process.shielded():
            original.replace(stripped)
        context.warn([f"{original.shown}: parameters removed ({removed} bytes)"])
    else:
        context.warn([f"{original.shown} has no embedded parameters; it is unchanged"])


def _write_copy(context: Context, original: PngFile, path: Path) -> None:
    """Write a copy even if there was nothing to remove: a clean file is what was asked for."""
    with process.shielded():
        copy = write_file(path, original.stripped)
    if copy.name != path.name:
        context.warn([f"{path.name} already exists; the copy is {copy.name}"])
    paths = PathsSink(context.stdout, links=context.links)
    paths.handle(Saved("", 0, copy))
    paths.close()

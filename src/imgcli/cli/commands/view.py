"""`imgcli view`: show images and replay runs, from files or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcli.cli.params import display, generation  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
Exit codes (the most severe of all files): 0 everything was shown; 2 a file cannot be read or
displayed; 9 a stream ended without an image; 11 an image is corrupt.
"""


def view(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    files: generation.Files = None,
    *,
    preview: display.Preview = None,
    width: display.Width = None,
    plain: display.Plain = False,
    speed: display.Speed = 1.0,
    fast: display.Fast = False,
    loop: display.Loop = False,
    still: display.Still = False,
    save: generation.Save = None,
) -> None:
    """Show images and replay recorded runs.

    Takes image files, runs saved with imgcli gen --record or --jsonl, OpenAI's raw event streams, and '-' for
    the output of a program that is still running. Files are recognized by their content.

    \b
    Examples:
      imgcli view cat.png dog.webp            side by side
      imgcli view last 12                     the newest image, and run 12
      imgcli view party.gif --loop            until Ctrl-C
      imgcli view run.sse --speed 4           a recorded run, four times as fast
      curl -N ... | imgcli view -             OpenAI's own stream, live
      imgcli gen "a cat" --jsonl | tee run.jsonl | imgcli view -
      imgcli view run.jsonl --fast --save .   extract the images
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    # Imported here, so that help and completions do without them.
    from imgcli.app.view.view_options import Motion, view_options
    from imgcli.app.view.viewer import Viewer
    from imgcli.cli.preview_flags import preview_options

    how = preview_options({"preview": preview, "width": width, "plain": plain}, context.env)
    motion = Motion.NONE if still else Motion.LOOP if loop else Motion.ONCE
    options = view_options(files or (), how, None if fast else speed, save, motion, context)
    raise typer.Exit(Viewer(context, options).view_all())

"""The app, and `main`: signals, exit codes, the one place that prints an error."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from imgcli import __version__
from imgcli.cli import commands, notes, signals, standard_streams
from imgcli.cli.help import OrderedGroup
from imgcli.cli.standard_streams import UnwritableOutputError
from imgcli.cli.world import (
    World,
    forbid_core_dumps,
    forget_blank_variables,
    open_standard_descriptors,
    within,
)
from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.wording import problem_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

_HELP = """\
Generate images from a terminal and watch them arrive.

\b
Examples:
  imgcli gen "a cat" --demo              try it: no key, no money, no network
  imgcli gen "a cat"                     the real thing (needs OPENAI_API_KEY)
  imgcli edit a-cat.png "make it night"  change an image
  imgcli gen "a cat" -o cat.webp         choose the file and its format
  f=$(imgcli gen "a cat")                image on the terminal, path in $f
  imgcli gen "a cat" --jsonl             one JSON object per event
  imgcli history                         what was made, and what it cost
"""

_EPILOG = "Learn more: imgcli help COMMAND"

_PATIENCE = 1.0  # seconds that a reader who takes nothing may hold up the end by a signal


def build_app(loaded: Iterable[str] = commands.NAMES) -> typer.Typer:
    """Assemble the command line; of commands that are not `loaded` it has only the line in the list."""
    app = typer.Typer(
        name="imgcli",
        cls=OrderedGroup,
        help=_HELP,
        epilog=_EPILOG,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 100},
    )
    app.callback()(_version_option)
    commands.register(app, loaded)
    return app


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag
    if asked:
        typer.echo(f"imgcli {__version__}")
        raise typer.Exit


def _version_option(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hold the options that come before a command."""


def main() -> NoReturn:
    """Run the command line of this process and end it with a documented exit code, or by a signal."""
    closed = open_standard_descriptors()
    forbid_core_dumps()
    standard_streams.replace()
    forget_blank_variables()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # real text streams have it
    world = World.of_this_process(closed, can_send=not commands.SENDING.isdisjoint(sys.argv[1:2]))
    code: int = ExitCode.OK
    try:
        signals.install()
        code = _run(world)
        sys.stdout.flush()
    except signals.Interrupted as interrupted:
        within(_PATIENCE, lambda: _flush_quietly(sys.stdout, sys.stderr))
        signals.die_by(interrupted.signum)
    except BrokenPipeError:
        pass  # a reader that has seen enough, of help for instance, is no failure of ours
    except UnwritableOutputError as error:
        code = code or _unwritable_stdout(world, error)
    _leave(code)


def _run(world: World) -> int:
    """Run one command; every way in which it can go wrong becomes an exit code here."""
    try:
        return _invoke(world)
    except typer.TyperException as error:
        return _refuse(world, _wrong_usage(error))
    except (BrokenPipeError, UnwritableOutputError):
        raise
    except ImgcliError as error:
        return _refuse(world, error.problem)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one sentence, never a traceback
        return _crashed(world, error)


def _invoke(world: World) -> int:
    """Hand the arguments to Typer, which exits by itself when its reader has gone away."""
    try:
        args = sys.argv[1:] or ["-h"]
        result = build_app(commands.named())(args, standalone_mode=False, obj=world, prog_name="imgcli")
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):
            raise exit_.__context__ from None
        return int(exit_.code or 0)
    return result if isinstance(result, int) else ExitCode.OK


def _crashed(world: World, error: Exception) -> ExitCode:
    from imgcli.cli.crash import report_crash

    return _refuse(world, report_crash(error, world))


def _wrong_usage(error: typer.TyperException) -> Problem:
    from imgcli.cli.usage_errors import wrong_usage

    return wrong_usage(error, sys.argv[1:], [word for word in sys.argv[1:2] if word in commands.NAMES])


def _refuse(world: World, problem: Problem) -> ExitCode:
    """Report a problem as its reader expects it; of wrong options we learn before --jsonl is read."""
    from imgcli.cli.order import Style
    from imgcli.cli.report import refuse

    return refuse(world, problem, Style.JSON_LINES if "--jsonl" in sys.argv else Style.PEOPLE)


def _unwritable_stdout(world: World, error: UnwritableOutputError) -> ExitCode:
    """Say that standard output did not take what was written to it."""
    problem = Problem(
        ExitCode.UNWRITABLE,
        f"Standard output could not be written: {error.strerror}.",
        advice="Make room, or send it elsewhere.",
        is_local=not world.can_send,
    )
    notes.write(world, problem_lines(problem))
    return problem.exit_code


def _leave(code: int) -> NoReturn:
    """End the process without the interpreter's own flush, which would turn a full disk into exit 120."""
    _flush_quietly(sys.stdout, sys.stderr)
    import os

    os._exit(code)


def _flush_quietly(*streams: TextIO) -> None:
    for stream in streams:
        with suppress(OSError, ValueError):
            stream.flush()

"""The app, and `main`: signals, exit codes, the one place that prints an error."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import typer

from imgcli.app import process
from imgcli.app.context import (
    Context,
    forbid_core_dumps,
    forget_blank_variables,
    open_standard_descriptors,
    within,
)
from imgcli.app.process import UnwritableOutputError
from imgcli.cli import registry
from imgcli.cli.registry import build_app
from imgcli.core.errors import ImgcliError
from imgcli.core.problem import ExitCode, Problem

if TYPE_CHECKING:
    from typing import TextIO


_PATIENCE = 1.0  # seconds that a reader who takes nothing may hold up the end by a signal


def main() -> NoReturn:
    """Run the command line of this process and end it with a documented exit code, or by a signal."""
    closed = open_standard_descriptors()
    forbid_core_dumps()
    process.replace()
    forget_blank_variables()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # real text streams have it
    world = Context.of_this_process(closed, can_send=not registry.SENDING.isdisjoint(sys.argv[1:2]))
    code: int = ExitCode.OK
    try:
        process.install()
        code = _run(world)
        sys.stdout.flush()
    except process.Interrupted as interrupted:
        within(_PATIENCE, lambda: _flush_quietly(sys.stdout, sys.stderr))
        process.die_by(interrupted.signum)
    except BrokenPipeError:
        pass  # a reader that has seen enough, of help for instance, is no failure of ours
    except UnwritableOutputError as error:
        code = code or _unwritable_stdout(world, error)
    _leave(code)


def _run(world: Context) -> int:
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


def _invoke(world: Context) -> int:
    """Hand the arguments to Typer, which exits by itself when its reader has gone away."""
    try:
        args = sys.argv[1:] or ["-h"]
        result = build_app(registry.named())(args, standalone_mode=False, obj=world, prog_name="imgcli")
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):
            raise exit_.__context__ from None
        return int(exit_.code or 0)
    return result if isinstance(result, int) else ExitCode.OK


def _crashed(world: Context, error: Exception) -> ExitCode:
    from imgcli.app.crash import report_crash

    return _refuse(world, report_crash(error, world))


def _wrong_usage(error: typer.TyperException) -> Problem:
    from imgcli.cli.usage_errors import wrong_usage

    return wrong_usage(error, sys.argv[1:], [word for word in sys.argv[1:2] if word in registry.NAMES])


def _refuse(world: Context, problem: Problem) -> ExitCode:
    """Report a problem as its reader expects it; of wrong options we learn before --jsonl is read."""
    from imgcli.app.options import OutputFormat
    from imgcli.app.reporting import refuse

    return refuse(world, problem, OutputFormat.JSON_LINES if "--jsonl" in sys.argv else OutputFormat.PEOPLE)


def _unwritable_stdout(world: Context, error: UnwritableOutputError) -> ExitCode:
    """Say that standard output did not take what was written to it."""
    from imgcli.app.reporting import refuse

    what = f"Standard output could not be written: {error.strerror}."
    return refuse(world, Problem(ExitCode.UNWRITABLE, what, advice="Make room, or send it elsewhere."))


def _leave(code: int) -> NoReturn:
    """End the process without the interpreter's own flush, which would turn a full disk into exit 120."""
    _flush_quietly(sys.stdout, sys.stderr)
    import os

    os._exit(code)


def _flush_quietly(*streams: TextIO) -> None:
    for stream in streams:
        with suppress(OSError, ValueError):
            stream.flush()

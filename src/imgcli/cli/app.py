"""The entry point: `main` with its signals and exit codes, and the one place that reports an error."""

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
from imgcli.core.errors import ExitCode, ImgcliError, Problem

if TYPE_CHECKING:
    from typing import TextIO


_FLUSH_TIMEOUT = 1.0  # seconds that a reader who takes nothing may delay an exit by a signal


def main() -> NoReturn:
    """Run the command line of this process; exit with a documented code, or by a signal."""
    closed = open_standard_descriptors()
    forbid_core_dumps()
    process.replace()
    forget_blank_variables()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # real text streams have it
    context = Context.of_this_process(closed, can_send=not registry.SENDING.isdisjoint(sys.argv[1:2]))
    code: int = ExitCode.OK
    try:
        process.install()
        code = _run(context)
        sys.stdout.flush()
    except process.Interrupted as interrupted:
        within(_FLUSH_TIMEOUT, lambda: _flush_quietly(sys.stdout, sys.stderr))
        process.die_by(interrupted.signum)
    except BrokenPipeError:
        pass  # a reader that has seen enough, of help for instance, is not an error
    except UnwritableOutputError as error:
        code = code or _unwritable_stdout(context, error)
    _leave(code)


def _run(context: Context) -> int:
    """Run one command; every error becomes an exit code here."""
    try:
        return _invoke(context)
    except typer.TyperException as error:
        from imgcli.cli.usage_errors import wrong_usage

        command = [word for word in sys.argv[1:2] if word in registry.NAMES]
        return _refuse(context, wrong_usage(error, sys.argv[1:], command))
    except (BrokenPipeError, UnwritableOutputError):
        raise
    except ImgcliError as error:
        return _refuse(context, error.problem)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one sentence, never a traceback
        from imgcli.app.crash import report_crash

        return _refuse(context, report_crash(error, context))


def _invoke(context: Context) -> int:
    """Run the arguments through Typer, which exits by itself when its reader has gone away."""
    try:
        args = sys.argv[1:] or ["-h"]
        app = build_app(registry.named(), registry.listed())
        result = app(args, standalone_mode=False, obj=context, prog_name="imgcli")
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):
            raise exit_.__context__ from None
        return int(exit_.code or 0)
    return result if isinstance(result, int) else ExitCode.OK


def _refuse(context: Context, problem: Problem) -> ExitCode:
    """Report a problem as its reader expects it; wrong options are found before --jsonl is parsed."""
    from imgcli.app.options import OutputFormat
    from imgcli.app.reporting import refuse

    return refuse(context, problem, OutputFormat.JSON_LINES if "--jsonl" in sys.argv else OutputFormat.PEOPLE)


def _unwritable_stdout(context: Context, error: UnwritableOutputError) -> ExitCode:
    """Report that standard output could not be written, and return the exit code."""
    from imgcli.app.reporting import refuse

    what = f"Standard output could not be written: {error.strerror}."
    advice = "Free some space, or redirect it elsewhere."
    return refuse(context, Problem(ExitCode.UNWRITABLE, what, advice=advice))


def _leave(code: int) -> NoReturn:
    """Exit without the interpreter's own flush, which would turn a full disk into exit code 120."""
    _flush_quietly(sys.stdout, sys.stderr)
    import os

    os._exit(code)


def _flush_quietly(*streams: TextIO) -> None:
    for stream in streams:
        with suppress(OSError, ValueError):
            stream.flush()

"""Signals: Ctrl-C, TERM and HUP stop at once, clean up and end by the signal; Ctrl-Z and `fg` pause."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, runtime_checkable

from imgcli.output.terminal.writer import TerminalWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from typing_extensions import Buffer

_T = TypeVar("_T")

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_FOR_MAIN = (
    *_ENDING,
    *(getattr(signal, name) for name in ("SIGTSTP", "SIGCONT", "SIGWINCH") if hasattr(signal, name)),
)
"""The signals that have a handler of ours."""

_MOMENT = 0.01  # seconds, until what drops exceptions is over
_SAME = 0.2  # seconds, in which a second Ctrl-C is the first one, sent again


_KEEPING, _RETURNING = ((-3, 32 << 20), (-1, 16 << 20), (-8, 2)), ((-3, 128 << 10),)
"""For mallopt: M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h, with bytes; and M_ARENA_MAX."""


@runtime_checkable
class Pausable(Protocol):
    """What has to leave the terminal before this process stops."""

    def suspend(self) -> bool:
        """Leave it, and return whether that is done; never raises. If not, it is called again in a moment."""

    def resume(self) -> None:
        """Come back; called without `suspend` after a SIGSTOP."""


class Interrupted(BaseException):
    """A signal, or what `reason` says, ends us. Not an `Exception`: nothing but the top may swallow it."""

    def __init__(self, signum: int, reason: str = "") -> None:
        super().__init__(signum)
        self.signum = signum
        self.reason = reason or f"Interrupted by {self.name}"

    @property
    def name(self) -> str:
        """The signal's name, as `kill -l` spells it."""
        return signal.Signals(self.signum).name


class Stop:
    """Ends work in other threads as a signal ends it in the main one: at its next step."""

    def __init__(self) -> None:
        self._came = threading.Event()
        self._lock = threading.Lock()
        self._actions: set[Callable[[], None]] = set()
        self._why: tuple[int, str] = (signal.SIGINT, "")

    def set(self, signum: int, reason: str = "") -> None:
        """End what goes on and what begins from now on as this signal does; the first reason stands."""
        if not self._came.is_set():
            self._why = signum, reason
        with self._lock:
            self._came.set()
            actions = list(self._actions)
        for action in actions:
            action()

    def check(self) -> None:
        """Raise `Interrupted` once a signal came."""
        if self._came.is_set():
            raise Interrupted(*self._why)

    def sleep(self, seconds: float) -> None:
        """Sleep; raises `Interrupted` as soon as a signal comes."""
        self._came.wait(seconds)
        self.check()

    @contextmanager
    def calling(self, action: Callable[[], None]) -> Iterator[None]:
        """Call an action when a signal comes, so that a thread which waits in the system wakes up."""
        with self._lock:
            self._actions.add(action)
        if self._came.is_set():
            action()
        try:
            yield
        finally:
            with self._lock:
                self._actions.discard(action)

    def ending(self, events: Iterable[_T]) -> Iterator[_T]:
        """Pass events on until a signal came; what came before it is still handled.

        What the source raises then is its connection, which an action has closed.
        """
        try:
            for event in events:
                yield event
                self.check()
        except Exception:
            self.check()
            raise


class _SignalMask:
    """How many spans are open in which signals wait, one within the other, and the signal that does."""

    depth = 0
    waiting: int | None = None
    drain: Callable[[], None] | None = None
    """What the first Ctrl-C does in place of ending everything."""
    drained = float("-inf")
    """When that was: the same signal may come a second time, see `_watch_for_sleepers`."""


_shield = _SignalMask()


def install() -> None:
    """Turn the ending signals into `Interrupted`; one that was ignored at the start (nohup) stays ignored."""
    sys.unraisablehook = _send_again
    threading.setprofile(_leave_signals_to_main)
    for signum in _ENDING:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _interrupt)
    if hasattr(signal, "pthread_kill"):
        _watch_for_sleepers()


def _watch_for_sleepers() -> None:
    """Send an ending signal to the main thread once more, a moment after it came.

    Python's own handler only notes a signal, and the main thread acts on it between two steps. One that comes
    just before a step that sleeps in the system, such as a read of the network, wakes nobody: the run would
    go on until the server says something, or times out. Where the first signal was acted on, the second is
    ignored by then.
    """
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)

    def repeat() -> None:
        while numbers := os.read(readable, 16):
            time.sleep(_MOMENT)
            for signum in _ENDING:
                if signum in numbers and not _has_drained():  # or it would be sent for ever
                    with suppress(ProcessLookupError):  # it has ended meanwhile
                        signal.pthread_kill(main, signum)

    main = threading.get_ident()
    threading.Thread(target=repeat, name="signals", daemon=True).start()


def _leave_signals_to_main(*_: object) -> None:
    """Block in a new thread what the main thread acts on; runs once, before the thread's own code.

    The kernel may give a signal to any thread that takes it. Python then only notes it for the main thread,
    which goes on waiting in a read of the network, perhaps for ever.
    """
    sys.setprofile(None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_MAIN)


def _send_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again whose exception Python dropped, as it does in destructors and callbacks.

    One of them frees a module's lock after every import: without this, a Ctrl-C that falls there would print
    a traceback, and the run would go on with all signals ignored.
    """
    interrupted = lost.exc_value
    if not isinstance(interrupted, Interrupted):
        sys.__unraisablehook__(lost)
        return
    signal.signal(interrupted.signum, _interrupt)
    _send_soon(interrupted.signum)


def _send_soon(signum: int) -> None:
    """Send this process a signal, a moment from now."""
    timer = threading.Timer(_MOMENT, os.kill, (os.getpid(), signum))
    timer.daemon = True
    timer.start()


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    if signal.getsignal(signum) is signal.SIG_IGN:
        return  # we are ending, and this one was under way before it was ignored
    if signum == signal.SIGINT and _is_drained():
        return
    ignore()
    if _shield.depth:
        _shield.waiting = signum
    else:
        raise Interrupted(signum)


def _is_drained() -> bool:
    """Act on a first Ctrl-C where it only keeps new work from beginning, and return whether that was it."""
    drain, _shield.drain = _shield.drain, None
    if drain:
        _shield.drained = time.monotonic()
        drain()
    return _has_drained()


def _has_drained() -> bool:
    """Return whether a first Ctrl-C was acted on just now, so that the next one is still the same."""
    return time.monotonic() - _shield.drained < _SAME


@contextmanager
def draining(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` at the first Ctrl-C, and go on; the second ends everything, as the first does elsewhere.

    It runs between any two steps of the main thread: it may only take note.
    """
    _shield.drain = action
    try:
        yield
    finally:
        _shield.drain = None


def ignore() -> None:
    """From the first signal on we are ending anyway: a second one must not break the tidying up."""
    for signum in _ENDING:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold signals back while an image is being published; they arrive when it is safe.

    For the main thread, in which every handler runs; others end at their next step (`Stop`), which is after
    this. The signals are not masked: the kernel would hand them to another thread, and nobody would wake
    this one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _shield.depth += 1
    try:
        yield
    finally:
        _shield.depth -= 1
        if not _shield.depth and _shield.waiting is not None:
            waiting, _shield.waiting = _shield.waiting, None
            raise Interrupted(waiting)


@contextmanager
def stoppable(display: object) -> Iterator[None]:
    """Leave the terminal to the shell on Ctrl-Z, and bring the display back in the foreground.

    Changes nothing for what is not `Pausable`, nor where SIGTSTP is ignored.
    """
    is_ours = hasattr(signal, "SIGTSTP") and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    if not is_ours or not isinstance(display, Pausable):
        yield
        return
    with _handling_stops(display):
        yield


@contextmanager
def _handling_stops(display: Pausable) -> Iterator[None]:
    def stop(signum: int, _frame: FrameType | None) -> None:
        if not display.suspend():
            _send_soon(signum)
            return
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)  # here we stop; what follows comes after SIGCONT
        signal.signal(signum, stop)
        resume(signum, None)

    def resume(_signum: int, _frame: FrameType | None) -> None:
        if _is_in_foreground():
            display.resume()

    earlier = signal.signal(signal.SIGCONT, resume)
    signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.signal(signal.SIGCONT, earlier)


def _is_in_foreground() -> bool:
    """Return whether the terminal is ours again (`bg` wakes us too), or there is none."""
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:
        return True


def die_by(signum: int) -> NoReturn:
    """End the process by a signal, so that a shell's loop stops too, as it would for any program.

    A plain `exit(130)` does not stop `for p in ...; do imgcli gen "$p"; done`: bash goes on, and pays.
    """
    signal.signal(signum, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signum])
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)


class UnwritableOutputError(OSError):
    """Standard output does not take what is written to it: its disk is full, say."""


class _Bytes(io.BufferedWriter):
    """Where all text goes through, whoever writes it and however it is buffered."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _as_unwritable(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _as_unwritable(error) from None


def _as_unwritable(error: OSError) -> OSError:
    """Return the error to raise; a reader that has left is no fault of the stream."""
    return error if isinstance(error, BrokenPipeError) else UnwritableOutputError(error.errno, error.strerror)


def replace() -> None:
    """Make `sys.stdout` raise `UnwritableOutputError`, and both streams be patient with a terminal.

    They stay as they were in all else.
    """
    sys.stdout = _rebuilt(sys.stdout, _Bytes)  # type: ignore[arg-type]  # a real text stream
    sys.__stdout__ = sys.stdout  # type: ignore[misc]  # `shutil.get_terminal_size` asks it
    if sys.stderr.isatty():
        sys.stderr = _rebuilt(sys.stderr, io.BufferedWriter)  # type: ignore[arg-type]


def _rebuilt(text: io.TextIOWrapper, buffer: type[io.BufferedWriter]) -> io.TextIOWrapper:
    """Return a text stream over another buffer."""
    settings = text.encoding, text.errors, None, text.line_buffering, text.write_through
    below = text.detach()
    raw: Any = below.detach() if isinstance(below, io.BufferedWriter) else below  # PYTHONUNBUFFERED
    return io.TextIOWrapper(buffer((raw.isatty() and TerminalWriter.over(raw.fileno())) or raw), *settings)


def tune_memory(*, is_reused: bool) -> None:
    """Have glibc keep the memory of an image for the next one, or return it at once.

    By default it keeps some of it. Returned memory is cleared by the kernel before it is used anew, which
    takes time; and with an arena for each thread, each thread would keep images of its own.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):  # another C library
        for parameter, value in _KEEPING if is_reused else _RETURNING:
            ctypes.CDLL(None).mallopt(parameter, value)

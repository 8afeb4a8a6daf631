"""The real command as a process of its own, without loading its modules anew each time.

Loading the SDK takes most of a second of a core, many times what the rest of a run takes. So a process
waits that has loaded everything and run no command; a command is a fork of it, with the arguments,
environment, folder, streams and session that it would have been started with. What a fork cannot show
(loading itself, odd streams, limits, tracing) is tested with a process from scratch: see `may_fork`. With
IMGCLI_TEST_COLD set, all of it is.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import inspect
import io
import json
import os
import pkgutil
import platform
import posix
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

IMGCLI = (sys.executable, "-m", "imgcli")
_STANDARD = (0, 1, 2)
_CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
"""The number of clone(2), which can do what fork(2) cannot: give the child our own parent."""
_CLONE_PARENT = 0x8000
_GET_TID_ADDRESS = 40
"""PR_GET_TID_ADDRESS of prctl(2): where the C library keeps the number of its main thread."""
_READ_AT_START = ("PYTHON", "LC_", "LANG")
"""Variables that an interpreter looks at once, when it starts."""
_USED_LATER = (
    "anyio._backends._asyncio",
    "encodings.idna",
    "http.cookiejar",
    "httpcore2",
    "httpx2",
    "idna",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin",
    "PIL.WebPImagePlugin",
    "pybase64",
    "resource",
    "rich.live",
    "rich.table",
    "rich_pixels",
    "sqlite3",
    "truststore",
    "typer._adapters",
    "typer._click.decorators",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.h11_impl",
    "zoneinfo",
)


def start(command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
    """Start a command like `subprocess.Popen`, as a fork where that makes no difference."""
    return (_Forked if may_fork(command, popen) else subprocess.Popen)(list(command), **popen)


def run(command: Sequence[str], timeout: float, **popen: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end like `subprocess.run`, as a fork where that makes no difference."""
    data = popen.pop("input", None)
    if data is not None:
        popen["stdin"] = subprocess.PIPE
    with start(command, **popen) as process:
        try:
            out, err = process.communicate(data, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


def may_fork(command: Sequence[str], popen: dict[str, Any]) -> bool:
    """Tell whether a fork is as good as a new interpreter for this."""
    if sys.platform != "linux" or not _CLONE or os.environ.get("IMGCLI_TEST_COLD"):
        return False
    known = {"env", "cwd", "stdin", "stdout", "stderr", "start_new_session", "umask"}
    env = popen.get("env") or {}
    return tuple(command[:3]) == IMGCLI and set(popen) <= known and _at_start(env) == _at_start(ENV)


ENV = {"LANG": "C.UTF-8", "PYTHONWARNINGS": "default"}
"""What the waiting process was started with."""
MEASURING = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_PROCESS_")}
"""What tells a child of `coverage run` to measure itself; nothing in an ordinary suite."""


def _at_start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


class _Forked(subprocess.Popen[bytes]):
    """A command that is a fork of the waiting process; everything else is as `subprocess` has it."""

    def _execute_child(self, *given: Any) -> None:
        """Take the place of the standard library's fork and exec, with what it has prepared for them."""
        told = _PREPARED.bind(self, *given).arguments
        ends = [told[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [own if end == -1 else end for own, end in zip(_STANDARD, ends, strict=True)]
        as_what = {"session": told["start_new_session"], "umask": told["umask"]}
        args, cwd = told["args"][len(IMGCLI) :], told["cwd"] or Path.cwd()
        self.pid = fork(args, told["env"], cwd, streams, **as_what)
        self._child_created = True
        self._close_pipe_fds(*(told[name] for name in _PIPES))  # type: ignore[attr-defined]


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_PREPARED = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]  # noqa: SLF001


def fork(
    args: Sequence[str], env: dict[str, str], cwd: Path | str, streams: Sequence[int], **as_what: int
) -> int:
    """Start `imgcli ARGS...` and give its process id; with a session, a terminal as stdin becomes its own.

    What else it may be told is a `umask`.
    """
    told = {"args": list(args), "env": dict(env), "cwd": os.fspath(cwd), "umask": -1, **as_what}
    return _zygote().fork(told, streams)


def is_broken() -> bool:
    """Tell whether no command will ever start: the rest of the suite would fail, or wait for one."""
    return _zygote.cache_info().currsize > 0 and _zygote().is_broken


@cache
def _zygote() -> _Zygote:
    zygote = _Zygote()
    atexit.register(zygote.close)
    return zygote


class _Zygote:
    """The waiting process, seen from the tests; broken where a module of the program cannot be imported."""

    def __init__(self) -> None:
        self.is_broken = False
        self._door, inside = socket.socketpair()
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(inside.fileno())],
            env=ENV | MEASURING | {"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            stdin=subprocess.DEVNULL,
            pass_fds=[inside.fileno()],
            start_new_session=True,
        )
        inside.close()

    def fork(self, told: dict[str, Any], streams: Sequence[int]) -> int:
        """Ask for a fork; give its process id once it is ours to wait for."""
        body = json.dumps(told).encode()
        try:
            with self._turn:
                socket.send_fds(self._door, [len(body).to_bytes(8)], list(streams))
                self._door.sendall(body)
                return int.from_bytes(_exactly(self._door, 8))
        except (ConnectionError, EOFError):
            self.is_broken = True
            raise

    def close(self) -> None:
        """Let it go."""
        self._door.close()
        self._process.wait()


def _exactly(door: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = door.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


# What follows runs in the waiting process and in its forks.


def _serve(door: socket.socket) -> None:
    """Fork for everybody who asks; returns in each fork, and ends the process when the tests have ended."""
    while True:
        head, streams, _, _ = socket.recv_fds(door, 8, len(_STANDARD))
        if not head:
            os._exit(0)
        told = json.loads(_exactly(door, int.from_bytes(head)))
        child = _fork_sibling()
        if not child:
            break
        door.sendall(child.to_bytes(8))
        for descriptor in streams:
            os.close(descriptor)
    door.detach()
    _become(told, streams)


def _fork_sibling() -> int:
    """Fork as `os.fork` does, but a child of the tests, who wait for it: another fork would cost as much."""
    hooks, own = ctypes.pythonapi, ctypes.c_void_p()
    ctypes.CDLL(None).prctl(_GET_TID_ADDRESS, ctypes.byref(own), 0, 0, 0)
    hooks.PyOS_BeforeFork()
    child = ctypes.PyDLL(None).syscall(_CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if not child and own.value:
        ctypes.c_int.from_address(own.value).value = os.getpid()  # or `pthread_kill` would signal our parent
    (hooks.PyOS_AfterFork_Parent if child else hooks.PyOS_AfterFork_Child)()
    return int(child)


def _become(told: dict[str, Any], streams: list[int]) -> None:
    """Be the process that was asked for."""
    if told["session"]:
        os.setsid()
    for target, descriptor in zip(_STANDARD, streams, strict=True):
        os.dup2(descriptor, target)
    os.closerange(len(_STANDARD), 1024)
    if told["session"] and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(told["cwd"])
    if told["umask"] >= 0:
        os.umask(told["umask"])
    from substitutes import substitute

    substitute(told["env"])
    os.environ.clear()
    os.environ.update(told["env"])
    time.tzset()
    sys.argv[1:] = told["args"]
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8", "surrogateescape")
    sys.stdout = _text(1, "surrogateescape")
    sys.stderr = _text(2, "backslashreplace")


def _text(descriptor: int, errors: str) -> io.TextIOWrapper:
    """Make a text stream as an interpreter does when it starts."""
    raw = io.FileIO(descriptor, "w", closefd=False)
    is_error = descriptor == 2
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=is_error or raw.isatty())


def _load() -> None:
    """Load all of the program and what it loads later; nothing of it runs."""
    import imgcli
    import substitutes  # noqa: F401 - for `_become`

    for module in pkgutil.walk_packages(imgcli.__path__, "imgcli."):
        import_module(module.name)
    for name in _USED_LATER:
        import_module(name)
    _make_ready()
    if MEASURING:
        _save_coverage()


def _save_coverage() -> None:
    """Save once what loading has covered, else every fork would; each measures itself anew, to its end."""
    from coverage import Coverage

    from imgcli.app import process

    die = process.die_by

    def save_and_die(signum: int) -> NoReturn:
        if own := Coverage.current():
            own.save()
        die(signum)

    process.die_by = save_and_die
    inspect.stack()  # coverage asks for it in every fork: the answer for all modules takes 0.1 s, once
    if measured := Coverage.current():
        measured.stop()
        measured.save()
    os._exit = posix._exit  # noqa: SLF001 - a fork patches it anew, and this one would save both


def _make_ready() -> None:
    """Do what every fork would do in the same way: import the SDK, build classes, compile patterns."""
    from imgcli.api.sdk import import_client
    from imgcli.core import catalog
    from imgcli.regex import regex

    import_client()
    catalog.load()
    for module in [one for name, one in sys.modules.items() if name.partition(".")[0] == "imgcli"]:
        for values in vars(module).values():
            for value in values if isinstance(values, tuple) else (values,):
                if isinstance(value, type) and is_dataclass(value):
                    fields(value)
                elif isinstance(value, regex):  # type: ignore[arg-type]  # a class, except to who reads types
                    _ = value.pattern


if __name__ == "__main__":
    _load()
    gc.collect()
    gc.freeze()  # no collection in a fork writes to the pages that it shares with all others
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from imgcli.__main__ import main

    main()

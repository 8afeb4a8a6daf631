"""Starting a client under faults, and watching it until it has ended."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zygote
from beside import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faults.rows import Row

IMGCLI = zygote.IMGCLI
FROM_SCRATCH = ("env", *(word for name in zygote.MEASURING for word in ("-u", name)), *IMGCLI)
"""With an interpreter of its own, where the moments of its start matter; measuring would add one."""
NAIVE = (sys.executable, str(Path(__file__).parent / "naive.py"))
OPEN = b"(open)"
"""A standard input from which nothing ever comes."""
_POLL = 0.01


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: died by that signal), what it wrote, what it took."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float = 0.0
    memory: float = 0.0
    """Peak, in MB."""
    cmdlines: frozenset[bytes] = frozenset()
    left_behind: bool = False
    in_time: bool = True


@dataclass
class Launch:
    """A process to be: its command, where it runs, and what is done to it while it runs.

    `watch` is called again and again while it runs, with its process id. `gone` names standard streams whose
    reader leaves before anything was written.
    """

    command: Sequence[str]
    env: dict[str, str]
    cwd: Path
    out: Path
    stdin: bytes | None = None
    gone: tuple[str, ...] = ()
    seconds: float = PATIENCE
    watch: Callable[[int], None] = field(default=lambda _: None)

    def run(self) -> Ended:
        """Run it to its end; one that takes too long is killed and told of."""
        streams = {name: self._open(name) for name in ("stdout", "stderr")}
        started = time.monotonic()
        process = zygote.start(
            self.command,
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL if self.stdin is None else subprocess.PIPE,
            start_new_session=True,
            stdout=streams["stdout"],
            stderr=streams["stderr"],
        )
        for stream in streams.values():
            os.close(stream)
        self._feed(process)
        try:
            return self._await(process, started)
        finally:
            if process.stdin:
                process.stdin.close()

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        if self.stdin in (None, OPEN) or not process.stdin:
            return
        with suppress(BrokenPipeError):
            process.stdin.write(self.stdin or b"")
            process.stdin.close()

    def _open(self, name: str) -> int:
        if name not in self.gone:
            return os.open(self.out / name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        reader, writer = os.pipe()
        os.close(reader)
        return writer

    def _await(self, process: subprocess.Popen[bytes], started: float) -> Ended:
        cmdlines: set[bytes] = set()
        in_time = True
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            seconds = time.monotonic() - started
            if pid:
                break
            if seconds > self.seconds and in_time:
                in_time = False
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(OSError):
                cmdlines.add(Path(f"/proc/{process.pid}/cmdline").read_bytes())
            self.watch(process.pid)
            time.sleep(_POLL)
        process.returncode = os.waitstatus_to_exitcode(status)
        return Ended(
            process.returncode,
            self._written("stdout"),
            self._written("stderr"),
            seconds,
            usage.ru_maxrss / 1024,
            frozenset(cmdlines),
            left_behind=_somebody_lives(process.pid),
            in_time=in_time,
        )

    def _written(self, name: str) -> bytes:
        path = self.out / name
        return path.read_bytes() if path.exists() and name not in self.gone else b""


def _somebody_lives(group: int) -> bool:
    """Tell whether a process of the group is left, and end it."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@dataclass
class SignalAt:
    """Sends a signal once, a moment after `when` first holds: the client must have had time to act on it."""

    signum: int
    when: Callable[[], bool]
    settle: float = 0.3
    since: float | None = None
    done: bool = False

    def __call__(self, pid: int) -> None:
        """See `Launch.watch`."""
        if self.done or not self.when():
            return
        self.since = self.since or time.monotonic()
        if time.monotonic() - self.since >= self.settle:
            self.done = True
            os.kill(pid, self.signum)


def wrapped(command: Sequence[str], row: Row, redirect: str) -> list[str]:
    """Put a command offline, without root's special rights, under limits and injected faults, redirected."""
    before: list[str] = ["unshare", "-rn"] if row.offline else []
    if row.capless and os.geteuid() == 0:
        rights = "-dac_override,-dac_read_search,-fowner"
        before += ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    if row.limits:
        before += ["prlimit", *shlex.split(row.limits)]
    if row.strace:
        before += injecting(row.strace)
    if redirect or row.before:
        before += ["sh", "-c", f'{row.before or ":"}; exec "$@" {redirect}', "sh"]
    return [*before, *command]


def injecting(fault: str) -> list[str]:
    """Let a system call fail or kill, said as strace says it: `fsync:error=EIO:when=3`."""
    calls = fault.partition(":")[0]
    quiet = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]
    return [*quiet, "-e", f"trace={calls}", "-e", f"inject={fault}"]


def present(program: str) -> bool:
    """Tell whether a program is there; where the gate runs, it must be."""
    import shutil

    found = shutil.which(program) is not None
    assert found or not os.environ.get("CI"), f"{program} is missing; .ci/run installs it"
    return found


def kill_quietly(process: subprocess.Popen[Any]) -> None:
    """End a process that this harness started."""
    with suppress(ProcessLookupError):
        process.kill()
    process.wait()

"""A shell whose `imgcli` is a fork of a process that has loaded it already (see `zygote`)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import zygote
from beside import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
try:
    [os.fstat(one) for one in (0, 1, 2)]
except OSError:  # a stream that is closed cannot be handed over
    os.execv(sys.executable, [sys.executable, "-m", "imgcli", *sys.argv[1:]])
door = socket.socket(socket.AF_UNIX)
door.connect({address!r})
body = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(door, [len(body).to_bytes(8)], [0, 1, 2])
door.sendall(body)
sys.exit(int.from_bytes(door.recv(1)))
"""
_COLD = '#!/bin/sh\nexec "{python}" -m imgcli "$@"\n'


@contextmanager
def warm_programs(env: dict[str, str]) -> Iterator[Path]:
    """Make a folder with a program `imgcli`, for the path of scripts that run with this environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, address = folder / "imgcli", str(folder / "door")
        is_warm = zygote.may_fork(zygote.IMGCLI, {"env": env})
        program.write_text((_CLIENT if is_warm else _COLD).format(python=sys.executable, address=address))
        program.chmod(0o755)
        if not is_warm:
            yield folder
            return
        with socketserver.ThreadingUnixStreamServer(address, _Door) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield folder
            server.shutdown()


class _Door(socketserver.BaseRequestHandler):
    """Runs one command with the streams of the shell that asks for it."""

    def handle(self) -> None:
        """Fork, wait, and answer with the exit status as a shell has it."""
        head, streams, _, _ = socket.recv_fds(self.request, 8, 3)
        body = b""
        while len(body) < int.from_bytes(head):
            body += self.request.recv(65_536)
        args, env, folder = json.loads(body)
        given = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
        process = zygote.start([*zygote.IMGCLI, *args], env=env, cwd=folder, **given)
        for descriptor in streams:
            os.close(descriptor)
        code = process.wait()
        self.request.sendall((code if code >= 0 else 128 - code).to_bytes(1))


def run_script(script: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in bash, to its first command that fails."""
    bash = shutil.which("bash") or "bash"
    with warm_programs(env) as programs:
        return subprocess.run(
            [bash, "-e", "-o", "pipefail", "-c", script],
            cwd=folder,
            env=env | {"PATH": f"{programs}:{env['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

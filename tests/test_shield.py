"""Signals at odd moments: while an image is being published, in destructors, while modules are loaded."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

BEGINNING = """
import os, signal, threading, time
from imgcli.app import process as signals

threading.Thread(target=time.sleep, args=(600,), daemon=True).start()  # it masks nothing
signals.install()
"""


def played(folder: Path, script: str) -> tuple[int, str]:
    """Play a script beside a thread that takes any signal; give its exit code and what it printed."""
    whole = BEGINNING + textwrap.dedent(script)
    command = [sys.executable, "-c", whole]
    done = subprocess.run(command, cwd=folder, timeout=PATIENCE, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["SIGINT", *(pytest.param(name, marks=pytest.mark.slow) for name in ("SIGTERM", "SIGHUP"))]
)
def test_a_signal_waits_for_the_image(name: str, tmp_path: Path) -> None:
    """A signal that comes while an image is published waits, whichever thread the system gives it to."""
    script = f"""
        def publish():
            os.kill(os.getpid(), signal.{name})
            time.sleep(0.2)
            print("published")

        try:
            with signals.shielded():
                with signals.shielded():
                    publish()
                print("left the inner one")
            print("never")
        except signals.Interrupted as interrupted:
            print(interrupted.name)
    """
    assert (0, f"published\nleft the inner one\n{name}\n") == played(tmp_path, script)


def test_a_second_signal_does_not_disturb_the_tidying_up(tmp_path: Path) -> None:
    """However often Ctrl-C is pressed while an image is published, it ends once, and tidies up in peace."""
    script = """
        try:
            with signals.shielded():
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
        except signals.Interrupted as interrupted:
            with signals.shielded():
                os.kill(os.getpid(), signal.SIGTERM)
            print("tidied up", flush=True)
            signals.die_by(interrupted.signum)
    """
    assert (-signal.SIGINT, "tidied up\n") == played(tmp_path, script)


def test_a_signal_ends_waiting_at_once(tmp_path: Path) -> None:
    """Outside of publishing Ctrl-C breaks into whatever is waited for, also after an image was published."""
    script = """
        with signals.shielded():
            pass
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            os.read(os.pipe()[0], 1)
        except signals.Interrupted as interrupted:
            print(interrupted.name)
    """
    assert (0, "SIGINT\n") == played(tmp_path, script)


def test_a_signal_that_wakes_nobody_is_sent_again(tmp_path: Path) -> None:
    """A signal that comes just before a read of the network begins ends it too, though nothing ever comes.

    The moment cannot be met on purpose. What it leaves can: Python has noted the signal, and the main thread
    sleeps in the system. So another thread takes the signal here.
    """
    script = """
        def take():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            time.sleep(0.2)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

        silent, _open = os.pipe()
        threading.Thread(target=take, daemon=True).start()
        try:
            os.read(silent, 1)
        except signals.Interrupted as interrupted:
            print(interrupted.name)
    """
    assert (0, "SIGTERM\n") == played(tmp_path, script)


def test_a_signal_in_a_destructor_is_not_lost(tmp_path: Path) -> None:
    """Where Python drops exceptions, Ctrl-C prints no traceback, and comes again a moment later."""
    script = """
        class Owner:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)

        try:
            owner = Owner()
            del owner
            os.read(os.pipe()[0], 1)
        except signals.Interrupted as interrupted:
            print(interrupted.name)
    """
    assert (0, "SIGINT\n") == played(tmp_path, script)


LOADING = """
import os, signal, sys

def interrupt(event, args):
    if event == "exec" and args[0].co_filename.endswith(os.environ["WHEN"]):
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
"""


@pytest.mark.parametrize(
    "module",
    [
        pytest.param("imgcli/__main__.py", marks=pytest.mark.slow),
        pytest.param("imgcli/cli/app.py", marks=pytest.mark.slow),
        pytest.param("imgcli/app/process.py", marks=pytest.mark.slow),
        pytest.param("typer/core.py", marks=pytest.mark.slow),
        "imgcli/app/generate.py",
        pytest.param("openai/_models.py", marks=pytest.mark.slow),
    ],
)
def test_a_signal_while_modules_are_loaded(
    module: str, world: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    """Whichever module of ours or of others is being loaded, Ctrl-C ends us by SIGINT without a traceback."""
    (tmp_path / "sitecustomize.py").write_text(LOADING)
    env = world | {
        "PYTHONPATH": str(tmp_path),
        "WHEN": module,
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "OPENAI_API_KEY": "sk-x",
    }
    command = [sys.executable, "-m", "imgcli", "gen", "a cat"]
    done = subprocess.run(
        command, cwd=folder, env=env, timeout=PATIENCE, check=False, capture_output=True, text=True
    )
    assert -signal.SIGINT == done.returncode
    assert not [word for word in ("Traceback", "Exception", "KeyboardInterrupt") if word in done.stderr]

"""What stays in this process: keys, passwords, and whatever a terminal would obey."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zygote
from beside import PATIENCE, running
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Event, Notice
from imgcli.core.secrets import redact_events
from streams import created, stream, whole_run
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

SECRETS = {
    "OPENAI_API_KEY": "canary-key-without-a-prefix",
    "HTTPS_PROXY": "http://me:canary%40proxy@127.0.0.1:9",
    "OPENAI_CUSTOM_HEADERS": "Authorization: canary-header\nX-Team: blue",
}


def test_a_crash_tells_no_secret(imgcli: Cli, folder: Path) -> None:
    """Whatever an unexpected exception quotes, neither the message nor the crash file holds a secret."""
    quoted = " ".join([*SECRETS.values(), "canary@proxy", "http://token-canary@host/"])
    (folder / "sitecustomize.py").write_text(
        "import imgcli.core.validate\n"
        f"def broken(*_):\n    raise ValueError({quoted!r})\n"
        "imgcli.core.validate.resolve_size = broken\n"
    )
    result = imgcli("gen", "a cat", env={**SECRETS, "PYTHONPATH": str(folder)})
    (crash,) = (folder.parent / "home").rglob("crash-*.txt")
    assert 1 == result.exit_code
    assert "canary" not in result.stderr + crash.read_text()
    assert 0o600 == crash.stat().st_mode & 0o777


def test_a_proxy_that_cannot_be_reached(imgcli: Cli) -> None:
    """No message about a proxy holds its password."""
    result = imgcli("gen", "a cat", "--jsonl", env=SECRETS)
    assert 8 == result.exit_code
    assert "canary" not in result.stdout.decode() + result.stderr


def test_a_server_that_echoes_the_key() -> None:
    """A key that the server puts into a sentence of its own is hidden, in errors and in notices."""
    key = SECRETS["OPENAI_API_KEY"]

    def events() -> Iterator[Event]:
        yield Notice("j", f"your key {key} is old")
        raise ImgcliError(Problem(ExitCode.UNKNOWN, f"bad key {key}", Charged.MAYBE, code=key))

    told: list[Event] = []
    with pytest.raises(ImgcliError) as error:
        told.extend(redact_events(events(), key))
    assert "canary" not in repr(told) + repr(error.value.problem)
    assert error.value.__cause__ is None


def test_no_core_file(server: Server, world: dict[str, str], folder: Path) -> None:
    """A process that is aborted leaves no core file, which would hold the key."""
    wire = server(Reply(stream(created()), end=End.STALL))
    with running(wire, world, folder) as process:
        assert wire.sent.wait(PATIENCE)
        assert 0 == resource.prlimit(process.pid, resource.RLIMIT_CORE)[0]
        process.kill()


def test_the_shown_request_is_safe_to_look_at(imgcli: Cli) -> None:
    """--dry-run shows a prompt in its own script; what a terminal would obey is escaped, nothing is lost."""
    prompt = "고양이 \x1b]0;evil\x07 \u202e \u009b31m \u2028"
    result = imgcli("gen", prompt, "-m", "x\x1b[31m", "--dry-run")
    shown = result.stdout.decode()
    assert prompt == json.loads(shown)["input"]
    assert "고양이" in shown
    assert set() == {c for c in shown + result.stderr if not c.isprintable()} - {"\n"}


AUDIT = """if True:
    import json, sys
    def told(event, args):
        if event == "subprocess.Popen":
            with open("started", "a") as file:
                file.write(json.dumps([args[1], args[3]]) + "\\n")
    sys.addaudithook(told)
"""


def test_no_program_that_is_started_knows_the_key(server: Server, gen: Gen, folder: Path) -> None:
    """A program that a run starts, be it for the SDK, gets no environment with a key in it."""
    (folder / "sitecustomize.py").write_text(AUDIT)
    result = gen(server(Reply(whole_run())), "a cat", env={"PYTHONPATH": str(folder)})
    started = folder / "started"
    lines = started.read_text().splitlines() if started.exists() else []
    assert 0 == result.exit_code, result.stderr
    assert [] == [line for line in lines if '"OPENAI_API_KEY"' in line or json.loads(line)[1] is None]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids="{:03o}".format)
@pytest.mark.parametrize("command", [["gen", "--demo", "a cat"], ["config", "init"]], ids=" ".join)
def test_folders_are_ours_alone(world: dict[str, str], folder: Path, umask: int, command: list[str]) -> None:
    """Every folder that imgcli makes in a home is its owner's alone, whatever the umask."""
    env = {name: value for name, value in world.items() if not name.startswith("XDG_")}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = zygote.run([*zygote.IMGCLI, *command], PATIENCE, cwd=folder, env=env, umask=umask, **streams)
    made = [path for path in Path(world["HOME"]).rglob("*") if path.is_dir()]
    assert 0 == done.returncode, done.stderr
    assert {0o700} == {path.stat().st_mode & 0o777 for path in made}

"""Keys that are not in the environment: a command, a file, the system's keychain."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import substitutes
from imgcli.api.auth import credentials
from imgcli.api.key_store import KeyStore
from imgcli.app.context import Context
from imgcli.app.crash import report_crash
from imgcli.core.errors import ExitCode, ImgcliError
from streams import whole_run
from test_config import config_of
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli
    from wire import ScriptedServer

    Config = Callable[[str], None]
    Server = Callable[..., ScriptedServer]

ELSEWHERE = '[profile.work]\nbase-url = "https://example.invalid/v1"\n'
KEY = "canary-of-a-command-0123456789"


@pytest.fixture
def config(world: dict[str, str]) -> Callable[[str], None]:
    """Write the configuration file."""
    path = config_of(world)
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(text: str) -> None:
        path.write_text(text)

    return write


@pytest.fixture
def command(folder: Path) -> Callable[[str], str]:
    """Write a shell script; return the setting that runs it with two arguments."""

    def write(script: str) -> str:
        path = folder / "show key"
        path.write_text(f"#!/bin/sh\necho run >> '{folder}/runs'\n{script}\n")
        path.chmod(0o700)
        return f"key-command = {json.dumps([str(path), '$HOME', 'a b'])}\n"

    return write


def profile(peer: ScriptedServer, setting: str) -> str:
    """Return a profile for a scripted server."""
    return f'[profile.work]\nbase-url = "{peer.base_url}"\nmodel = "gpt-4o-mini"\n{setting}'


class TestCommand:
    """`key-command` in a profile."""

    def test_gives_the_key(
        self,
        imgcli: Cli,
        server: Server,
        config: Config,
        command: Callable[[str], str],
        folder: Path,
    ) -> None:
        """It is run once for several images, without a shell or our input; what it prints is sent."""
        peer = server(*[Reply(whole_run()) for _ in range(2)])
        script = f"""[ "$1" = '$HOME' ] && [ "$2" = 'a b' ] && cat && echo {KEY}"""
        config(profile(peer, command(script)))
        done = imgcli("gen", "-", "-n", "2", "--profile", "work", input=b"a cat")
        assert 0 == done.exit_code, done.stderr
        assert {f"Bearer {KEY}"} == {one.headers["authorization"] for one in peer.requests}
        assert {"a cat"} == {one.json["input"] for one in peer.requests}
        assert "run\n" == (folder / "runs").read_text()

    def test_is_not_asked_in_vain(
        self,
        imgcli: Cli,
        server: Server,
        config: Config,
        command: Callable[[str], str],
        folder: Path,
    ) -> None:
        """A dry run, the demo and another server's run do without it."""
        peer = server(Reply(whole_run()))
        config('default-profile = "work"\n' + profile(peer, command(f"echo {KEY}")).replace("127.0", "127.1"))
        for typed in (["--dry-run"], ["--demo"], ["--base-url", peer.base_url]):
            assert 0 == imgcli("gen", "x", *typed).exit_code
        assert not (folder / "runs").exists()

    def test_is_a_secret(
        self,
        imgcli: Cli,
        server: Server,
        config: Config,
        command: Callable[[str], str],
        folder: Path,
    ) -> None:
        """A server that echoes the key finds it masked in messages, in the run log and in JSON lines."""
        peer = server(*[error_reply(401, f"Incorrect API key provided: {KEY}.", "invalid_api_key")] * 2)
        config(profile(peer, command(f"echo {KEY}")))
        for more in ([], ["--jsonl"]):
            done = imgcli("gen", "x", "--profile", "work", *more)
            assert 4 == done.exit_code
            assert KEY not in done.stderr + done.stdout.decode()
        kept = [path for path in folder.parent.rglob("*") if path.is_file() and path.name != "show key"]
        assert [] == [path for path in kept if KEY.encode() in path.read_bytes()]

    @pytest.mark.parametrize(
        ("script", "told"),
        [
            (f"echo {KEY}; exit 3", "failed with exit code 3"),
            (f"echo {KEY}; kill -9 $$", "failed by signal 9"),
            (":", "gives no key: it is empty"),
            ("echo ' '", "gives no key: it is empty"),
            (f"echo {KEY}; echo user: me", "gives more than one line"),
            (f"printf '{KEY}\\n\\n'", "gives more than one line"),
            ("head -c 99999 /dev/zero | tr '\\0' x", "gives more than one line"),
            ("printf '\\377'", "does not give text"),
            (f"echo '{KEY} x'", f"contains an invalid character at position {len(KEY) + 1}"),
            (f"printf {KEY}; sleep 2 & wait", "did not end within 0.5 seconds"),
        ],
    )
    def test_failures(
        self,
        imgcli: Cli,
        config: Config,
        command: Callable[[str], str],
        script: str,
        told: str,
    ) -> None:
        """4: whatever goes wrong is a sentence that shows nothing of what was printed; nothing is sent."""
        config(ELSEWHERE + command(script))
        env = substitutes.waits(**{"api.key_store._PATIENCE": 0.5})
        done = imgcli("gen", "x", "--profile", "work", env=env)
        assert (4, b"") == (done.exit_code, done.stdout)
        assert "The key-command of profile work (show key) " in done.stderr
        assert told in " ".join(done.stderr.split())
        assert "Nothing was charged." in done.stderr
        assert KEY[:12] not in done.stderr

    def test_that_is_missing(self, imgcli: Cli, config: Config) -> None:
        """A program that is not there is named."""
        config(f'{ELSEWHERE}key-command = ["no-such-program", "x"]\n')
        done = imgcli("gen", "x", "--profile", "work")
        assert 4 == done.exit_code
        assert "The key-command of profile work (no-such-program) cannot be run: No such file" in done.stderr


def doctors_word(imgcli: Cli) -> tuple[str, str]:
    """Return the status and the message of the doctor's check of the key."""
    checks = json.loads(imgcli("doctor", "--offline", "--json", "--profile", "work").stdout)["checks"]
    return next((one["status"], one["message"]) for one in checks if one["check"] == "key")


class TestFile:
    """`key-file` in a profile."""

    def test_gives_the_key(self, imgcli: Cli, server: Server, config: Config, folder: Path) -> None:
        """Its one line is the key; that others can read it is said, by `gen` and by `doctor`."""
        peer = server(Reply(whole_run()))
        path = folder / "key"
        path.write_text(f"{KEY}\r\n")
        path.chmod(0o600)
        config(profile(peer, f"key-file = {json.dumps(str(path))}\n"))
        done = imgcli("gen", "x", "--profile", "work")
        assert (0, f"Bearer {KEY}") == (done.exit_code, peer.requests[0].headers["authorization"]), (
            done.stderr
        )
        assert "chmod" not in done.stderr
        check = json.loads(imgcli("doctor", "--offline", "--json", "--profile", "work").stdout)["checks"]
        told = next(one for one in check if one["check"] == "key")
        assert ("ok", True) == (
            told["status"],
            told["facts"]["origin"].startswith("key-file of profile work"),
        )
        path.chmod(0o644)
        assert (
            "other users of this machine can read"
            in imgcli("gen", "x", "--profile", "work", "--dry-run").stderr
        )
        check = json.loads(imgcli("doctor", "--offline", "--json", "--profile", "work").stdout)["checks"]
        told = next(one for one in check if one["check"] == "key")
        assert ("note", True) == (told["status"], "chmod 600" in told["message"])
        assert KEY not in json.dumps(check)

    @pytest.mark.parametrize(("make", "told"), [(os.mkfifo, "not a regular file"), (None, "No such file")])
    def test_failures(
        self,
        imgcli: Cli,
        config: Config,
        folder: Path,
        make: Any,
        told: str,
    ) -> None:
        """4: a file that is none is named, and a pipe is not waited for."""
        if make:
            make(folder / "key", stat.S_IRUSR)
        where = json.dumps(str(folder / "key"))
        config(f"{ELSEWHERE}key-file = {where}\n")
        done = imgcli("gen", "x", "--profile", "work")
        assert (4, True) == (done.exit_code, told in " ".join(done.stderr.split())), done.stderr


def test_a_crash_report_has_no_key(tmp_path: Path) -> None:
    """What a file or a command gave is hidden in crash reports, as a variable's value is."""
    (tmp_path / "key").write_text(KEY)
    context = replace(Context.of_this_process(frozenset()), env={"XDG_STATE_HOME": str(tmp_path / "state")})
    context.keys.of_file(str(tmp_path / "key"), "The file")
    problem = report_crash(ValueError(f"odd: {KEY}"), context)
    (report,) = (tmp_path / "state").rglob("crash-*")
    assert [False, False] == [KEY in told for told in (problem.what, report.read_text())]


class TestKeychain:
    """The system's keychain, through the optional package `keyring`."""

    @pytest.fixture
    def keychain(self, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str | Exception]:
        """Stand in for the package, with what it holds."""
        held: dict[tuple[str, str], str | Exception] = {}

        def get_password(service: str, user: str) -> str | None:
            found = held.get((service, user))
            if isinstance(found, Exception):
                raise found
            return found

        package, errors = ModuleType("keyring"), ModuleType("keyring.errors")
        package.get_password, errors.NoKeyringError = get_password, KeyError  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "keyring", package)
        monkeypatch.setitem(sys.modules, "keyring.errors", errors)
        return held

    def test_gives_the_key_of_a_host(self, keychain: dict[tuple[str, str], str | Exception]) -> None:
        """It is asked for the server's own host, after OPENAI_API_KEY; its key is a secret from then on."""
        keychain["imgcli", "api.openai.com"] = KEY
        store = KeyStore()
        found = credentials({}, store=store)
        assert (KEY, "the system's keychain") == (found.key, found.origin)
        assert (KEY,) == store.secrets
        assert "sk-x" == credentials({"OPENAI_API_KEY": "sk-x"}, store=KeyStore()).key
        with pytest.raises(ImgcliError, match="OPENAI_API_KEY is not set"):
            credentials({}, "https://example.com/v1", store=KeyStore())

    @pytest.mark.parametrize(
        ("fault", "told"), [(KeyError(), "OPENAI_API_KEY is not set"), (OSError(KEY), r"\(OSError\)")]
    )
    def test_failures(
        self, keychain: dict[tuple[str, str], str | Exception], fault: Exception, told: str
    ) -> None:
        """No keychain is no key; a broken one is told, without its words."""
        keychain["imgcli", "api.openai.com"] = fault
        with pytest.raises(ImgcliError, match=told) as caught:
            credentials({}, store=KeyStore())
        assert ExitCode.AUTH is caught.value.problem.exit_code
        assert KEY not in caught.value.problem.what

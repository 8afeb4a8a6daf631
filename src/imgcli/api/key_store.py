"""API keys from a command's output, a file or the system's keychain.

Each is asked once in a process, however many runs it makes. What was found is a secret from then on.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO


KEYCHAIN_SERVICE = "imgcli"
"""The name under which keys are in the system's keychain, with the server's host as the user."""
_PATIENCE = 60.0
"""Seconds that a command may take: it may ask for a passphrase on the terminal."""
_LARGEST = 64 * 1024
_NAME_LENGTH = 100
_TOO_OPEN = stat.S_IRGRP | stat.S_IROTH


@dataclass
class KeyStore:
    """The keys that this process was given by commands, files and the keychain; threads may share it."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _answers: dict[object, str | ImgcliError | None] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every key that was found, which no message may hold."""
        return tuple(key for key in list(self._answers.values()) if key and isinstance(key, str))

    def of_command(self, command: tuple[str, ...], named: str, env: Mapping[str, str]) -> str:
        """Return what a command prints; `named` is its name in messages. Raises `ImgcliError` (auth)."""
        return self._once(command, lambda: _key_in(_run(command, named, env), named)) or ""

    def of_file(self, path: str, named: str) -> str:
        """Return what a file holds. Raises `ImgcliError` (auth)."""
        return self._once(path, lambda: _key_in(_read(path, named), named)) or ""

    def of_keychain(self, host: str) -> str | None:
        """Return the system keychain's key for a host; None without one, or without the package `keyring`.

        Raises `ImgcliError` (auth) for a keychain that is there and cannot be read.
        """
        return self._once((KEYCHAIN_SERVICE, None, host), lambda: _from_keychain(host))

    def _once(self, source: object, ask: Callable[[], str | None]) -> str | None:
        with self._lock:
            if source not in self._answers:
                try:
                    self._answers[source] = ask()
                except ImgcliError as error:
                    self._answers[source] = error
            answer = self._answers[source]
        if isinstance(answer, ImgcliError):
            raise ImgcliError(answer.problem)
        return answer


def permission_warning(path: str) -> str:
    """Return a note on a key's file that other users of this machine can read, empty for none."""
    with suppress(OSError, ValueError):
        if os.name == "posix" and _path(path).stat().st_mode & _TOO_OPEN:
            shown = shorten(path, _NAME_LENGTH)
            return f"other users of this machine can read {shown}, which holds a key; run chmod 600 on it"
    return ""


def _path(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - it leaves the name of an unknown user alone


def _fault(what: str, advice: str) -> ImgcliError:
    return ImgcliError(Problem(ExitCode.AUTH, what, advice=advice))


def _key_in(data: bytes, named: str) -> str:
    """Return the one line that a source gave; no message shows any of it."""
    advice = "It must give the key alone, on one line."
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _fault(f"{named} does not give text.", advice) from None
    key = text.removesuffix("\n").removesuffix("\r")
    if not key.strip():
        raise _fault(f"{named} gives no key: it is empty.", advice)
    if len(data) > _LARGEST or "\n" in key or "\r" in key:
        raise _fault(f"{named} gives more than one line.", advice)
    return key.strip()


def _read(path: str, named: str) -> bytes:
    try:
        if not _path(path).is_file():
            _path(path).stat()
            raise _fault(f"{named} is not a regular file.", "Name a file that holds the key alone.")
        with _path(path).open("rb") as file:
            return file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        advice = "Write the key into it, or leave key-file out of the profile."
        raise _fault(f"{named} cannot be read: {why}.", advice) from None


def _run(command: tuple[str, ...], named: str, env: Mapping[str, str]) -> bytes:
    """Run a command without a shell and return what it prints; it may talk to the terminal itself.

    Its standard input is empty: ours may hold the prompt. What it writes to standard error is the user's.
    """
    import subprocess

    advice = "Run it by itself to see why; imgcli does not show what it prints."
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=dict(env))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise _fault(f"{named} cannot be run: {why}.", "Check the profile's key-command.") from None
    printed: list[bytes] = []

    def read() -> None:
        with suppress(OSError, ValueError), cast("BinaryIO", process.stdout) as pipe:
            printed.append(pipe.read(_LARGEST + 1))

    # A thread, because what the command has started itself may hold the pipe open after its end.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        reader.join(_PATIENCE)
        if not printed:
            raise _fault(f"{named} did not end within {_PATIENCE:g} seconds.", advice)
        if len(printed[0]) > _LARGEST:
            return printed[0]
        code = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        raise _fault(f"{named} did not end within {_PATIENCE:g} seconds.", advice) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code:
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise _fault(f"{named} failed {how}.", advice)
    return printed[0]


def _from_keychain(host: str) -> str | None:
    try:
        import keyring
        from keyring.errors import NoKeyringError
    except ImportError:
        return None
    try:
        key = keyring.get_password(KEYCHAIN_SERVICE, host)
    except NoKeyringError:
        return None
    except Exception as error:  # noqa: BLE001 - every system's keychain has exceptions of its own
        what = f"The system's keychain cannot be read ({type(error).__name__})."
        raise _fault(what, "Unlock it, or set OPENAI_API_KEY.") from None
    return _key_in(key.encode(), "The system's keychain") if key else None

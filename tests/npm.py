"""Packages from npm for tests that run JavaScript: installed once on a machine, then taken from there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_LONGEST = 280  # seconds, below what a whole test may take


def npm_packages(*names: str) -> Path:
    """Return a `node_modules` folder with these packages, each named with its version: `openai@7.59.0`.

    A script finds them where `node_modules` beside it is a link to that folder. No script of a package is
    run. Workers of one suite wait for the first to install. Without Node.js or npm the test is skipped, and
    fails where CI can install them.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            if os.environ.get("CI"):
                pytest.fail(f"{program} is missing; .ci/run installs it")
            pytest.skip(f"{program} is not installed")
    loose = [name for name in names if "@" not in name[1:]]
    assert not loose, f"without a version: {loose}"
    shelf = Path(tempfile.gettempdir()) / f"imgcli-npm-{os.getuid()}"
    shelf.mkdir(mode=0o700, exist_ok=True)
    assert shelf.stat().st_uid == os.getuid(), f"{shelf} is somebody else's"
    wanted = sorted(names)
    folder = shelf / hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:16]
    with (shelf / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(wanted, folder)
    return folder / "node_modules"


def _install(names: list[str], folder: Path) -> None:
    """Install beside the folder first: one that is there is whole."""
    begun = folder.with_suffix(".part")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir()
    (begun / "package.json").write_text("{}")
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error")
    done = subprocess.run(
        ["npm", "install", *options, *names],
        cwd=begun,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    begun.rename(folder)

"""The tasks of a contributor: `nox -l` lists them, `nox -s test` runs one."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "test"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def _install(session: nox.Session) -> None:
    session.install("-e", ".[dev]")


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    """Run the everyday suite; arguments after `--` go to pytest."""
    _install(session)
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run what the everyday suite leaves out, with every example that Hypothesis has."""
    _install(session)
    session.run("pytest", "-m", "slow", *session.posargs, env={"HYPOTHESIS_PROFILE": "gate"})


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure the everyday suite, branches and child processes included, against the bounds of the gate."""
    _install(session)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run(".ci/coverage", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and types."""
    _install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated parts of the documentation and the completion scripts."""
    _install(session)
    session.run("python", "docs/update.py")
    session.run("python", "completions/update.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Print start-up, run time and memory as ratios; arguments after `--` go to `bench/speed.py`."""
    _install(session)
    session.run("python", "bench/speed.py", *session.posargs)
    session.run("python", "bench/history.py")


@nox.session
def pictures(session: nox.Session) -> None:
    """Take the README's screenshots anew; needs xvfb, xterm and imagemagick."""
    _install(session)
    session.run("python", "docs/screenshots.py", *session.posargs)

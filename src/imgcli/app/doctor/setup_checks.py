"""Checks of the installation: versions, and the configuration file."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

from imgcli import __version__
from imgcli.core.text import shorten
from imgcli.output.diagnosis import Check

if TYPE_CHECKING:
    from imgcli.core.errors import Problem


VERSIONS, CONFIGURATION = "versions", "config"

_PACKAGES = {"openai": "openai", "pillow": "Pillow", "rich": "rich"}
_LENGTH = 60


class ConfigurationFacts(NamedTuple):
    """The configuration file: its place, whether it is there, the profile in use, and what is wrong."""

    file: str
    exists: bool
    profile: str | None = None
    named_by: str = ""
    problem: Problem | None = None


def versions_check() -> Check:
    """Return which versions of what are at work."""
    found = {"imgcli": __version__, "Python": platform.python_version()}
    found |= {shown: _version(name) for name, shown in _PACKAGES.items()}
    system = f"{platform.system()} {platform.release()}"
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    return Check.ok(
        VERSIONS, text, {**{name.lower(): number for name, number in found.items()}, "system": system}
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def configuration_check(found: ConfigurationFacts) -> Check:
    """Return whether the file is there and valid, and which profile is in use."""
    facts: dict[str, object] = {
        "file": found.file,
        "exists": found.exists,
        "profile": found.profile,
        "profile_named_by": found.named_by or None,
    }
    if found.problem:
        return Check.problem(CONFIGURATION, found.problem, facts)
    if not found.exists:
        return Check.ok(CONFIGURATION, f"no file ({found.file})", facts)
    profile = "no profile"
    if found.profile:
        profile = f"profile {shorten(found.profile, _LENGTH)} ({found.named_by})"
    return Check.ok(CONFIGURATION, f"{found.file} is valid, {profile}", facts)

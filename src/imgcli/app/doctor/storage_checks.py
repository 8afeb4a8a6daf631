"""Checks of storage: folders, the history, and unfinished runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app.unfinished_run import choose
from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.option import option
from imgcli.core.text import file_size, shorten
from imgcli.output.diagnosis import Check
from imgcli.store.health import examine_folder
from imgcli.store.paths import data_folder, state_places
from imgcli.store.publish.naming import current_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.app.context import Context
    from imgcli.store.health import FolderHealth


FOLDER, STATE, HISTORY, UNFINISHED = "folder", "state", "history", "unfinished"

_LITTLE = 100_000_000
"""Free bytes below which there is a note: a run log and the image may take some 30 MB."""
_LENGTH = 200
_MEND = "Choose another with {variable}, or make it writable: chmod u+rwx."


def storage_checks(context: Context) -> Iterator[Check]:
    """Check every place that a run writes to; nothing stays there."""
    yield _current(context)
    yield _state(context)
    yield _history(context)
    yield _unfinished(context)


def _current(context: Context) -> Check:
    """Check the folder in which images are saved unless somebody says otherwise."""
    try:
        health = examine_folder(current_folder())
    except ImgcliError as error:
        return Check.problem(FOLDER, error.problem, {"path": None, "writable": False})
    if health.fault:
        what = f"{_shown(health.folder, context)} cannot be written: {health.fault}."
        advice = f"Images are saved here: go elsewhere, or name a folder ({option('output')} DIR/)."
        return Check.problem(FOLDER, Problem(ExitCode.UNWRITABLE, what, advice=advice), _facts(health))
    return _writable(FOLDER, health, context)


def _state(context: Context) -> Check:
    """Check the folder of the run logs, and what is taken in its place."""
    places = [examine_folder(place, is_private=True) for place in state_places(context.env)]
    first = places[0]
    usable = next((health for health in places if not health.fault), None)
    if usable is first:
        return _writable(STATE, first, context)
    what = f"{_shown(first.folder, context)} cannot be written: {first.fault}"
    advice = _MEND.format(variable="XDG_STATE_HOME")
    if usable:
        return Check.note(
            STATE, f"{what}; run logs go to {_shown(usable.folder, context)}", advice, _facts(usable)
        )
    problem = Problem(ExitCode.UNWRITABLE, f"{what}, and an interrupted run is lost.", advice=advice)
    return Check.problem(STATE, problem, _facts(first))


def _history(context: Context) -> Check:
    from imgcli.store.health import examine_history
    from imgcli.store.history.recorder import PendingRows

    try:
        folder = data_folder(context.env)
    except OSError as error:
        what = f"There is no folder for the history: {error.strerror}."
        problem = Problem(ExitCode.USAGE, what, advice="Set HOME or XDG_DATA_HOME.")
        return Check.problem(HISTORY, problem, {"path": None})
    health, place = examine_history(folder), examine_folder(folder, is_private=True)
    waiting = 0
    with suppress(OSError):
        waiting = len(PendingRows(context.env).paths)
    facts: dict[str, object] = {
        "path": str(health.path),
        "exists": health.version is not None or bool(health.fault),
        "runs": health.runs,
        "version": health.version,
        "fault": health.fault or None,
        "writable": not place.fault,
        "waiting": waiting,
        "set_aside": [str(path) for path in health.aside],
    }
    shown = _shown(health.path, context)
    if health.fault:
        what = f"{shown} cannot be used: {health.fault}."
        advice = "Move it away, or put a backup in its place; its images are not touched."
        return Check.problem(HISTORY, Problem(ExitCode.USAGE, what, advice=advice), facts)
    if place.fault:
        what = f"{shown} cannot be written: {place.fault}."
        advice = _MEND.format(variable="XDG_DATA_HOME")
        return Check.problem(HISTORY, Problem(ExitCode.UNWRITABLE, what, advice=advice), facts)
    if health.aside:
        count = f"{len(health.aside)} file{'s' * (len(health.aside) != 1)}"
        what = f"{_runs(health.runs)}, {shown}; {count} of an earlier history that could not be used"
        return Check.note(HISTORY, what, "Delete them once you need nothing in them.", facts)
    if waiting:
        what = f"{_runs(health.runs)}; {waiting} more wait to be added, at the next command that reads it"
        return Check.note(HISTORY, what, facts=facts)
    old = "; it will be updated" if health.is_outdated else ""
    return Check.ok(HISTORY, f"{_runs(health.runs)}, {shown}{old}", facts)


def _runs(count: int | None) -> str:
    if not count:
        return "no runs yet"
    return f"{count:,} run{'s' * (count != 1)}"


def _unfinished(context: Context) -> Check:
    try:
        records = choose(context, (), None)
    except ImgcliError as error:
        return Check.problem(UNFINISHED, error.problem, {"runs": None})
    facts = {"runs": [record.run.id for record in records]}
    if not records:
        return Check.ok(UNFINISHED, "no interrupted runs", facts)
    what = f"{len(records)} interrupted run{'s' * (len(records) != 1)} may hold images"
    advice = f"`imgcli recover {option('list')}` shows them, `imgcli recover` saves what they hold."
    return Check.note(UNFINISHED, what, advice, facts)


def _writable(name: str, health: FolderHealth, context: Context) -> Check:
    shown = _shown(health.folder, context)
    if health.free is not None and health.free < _LITTLE:
        what = f"{shown}, {file_size(health.free)} free"
        return Check.note(name, what, "Free some space: a run may take 30 MB.", _facts(health))
    return Check.ok(name, f"{shown} is writable", _facts(health))


def _facts(health: FolderHealth) -> Mapping[str, object]:
    return {
        "path": str(health.folder),
        "exists": health.exists,
        "writable": not health.fault,
        "free_bytes": health.free,
    }


def _shown(path: Path, context: Context) -> str:
    """Return a path for people: the home as `~`."""
    home = context.env.get("HOME", "")
    with suppress(ValueError):
        if home:
            return shorten(str(Path("~") / path.relative_to(home)), _LENGTH)
    return shorten(str(path), _LENGTH)

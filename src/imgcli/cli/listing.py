"""Runs of the history, shown or forgotten."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.cli import lookup, notes
from imgcli.cli.world import size_of
from imgcli.core.errors import ExitCode, ImgcliError, check_between, usage_error
from imgcli.show.history_table import Places, entry_json, history_lines
from imgcli.show.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.cli.world import World
    from imgcli.core.entry import Entry, KeptPicture
    from imgcli.core.events import Picture
    from imgcli.show.gallery import Gallery
    from imgcli.show.known import Rung
    from imgcli.store.history import History

_USUAL_LIMIT = 20
_MOST = 1_000_000_000
_THUMBNAIL = 28  # columns


class Consent(Enum):
    """Whether somebody has agreed already."""

    GIVEN = "given"
    ASK = "ask"


@dataclass(frozen=True)
class Selection:
    """Which runs are meant; `limit` is None where nobody named one."""

    search: str = ""
    limit: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no run is left out."""
        return not self.search and self.limit is None


def selection(search: str | None, limit: int | None) -> Selection:
    """Check what was asked for. Raises `ImgcliError` (usage)."""
    if search is not None and not search.strip():
        raise usage_error("--search takes a text, and this one is empty.")
    check_between("--limit", limit, 1, _MOST)
    return Selection(search or "", limit)


def refuse_beside_forget(*, shows: bool) -> None:
    """Keep what only shows apart from what removes. Raises `ImgcliError` (usage)."""
    if shows:
        raise usage_error("--forget shows nothing, and --json or --preview ask for it.")


def refuse_yes_alone(*, yes: bool) -> None:
    """Raise `ImgcliError` (usage) for a --yes that nothing was asked for."""
    if yes:
        raise usage_error("--yes belongs to --forget.")


def show(world: World, asked: Selection, preview: Rung | None) -> ExitCode:
    """List the runs, with thumbnails where somebody wants them and sees them."""
    with lookup.opened(world) as history:
        entries = list(history.entries(asked.limit or _USUAL_LIMIT, asked.search))
    columns = size_of(world.stdout).columns if world.stdout.isatty() else None
    lines = history_lines(entries, places_of(world), columns)
    gallery = _Thumbnails.opened(world, preview)
    if gallery:
        gallery.show(entries, lines)
    else:
        Output(world.stdout).lines(lines)
    if not entries:
        _tell_of_none(world, asked)
    return ExitCode.OK


def show_json(world: World, asked: Selection, preview: Rung | None) -> ExitCode:
    """Write the runs for a program, each as soon as it is read."""
    from imgcli.show.jsonl import to_json

    if preview is not None:
        raise usage_error("--json and --preview contradict each other: both speak on standard output.")
    out = Output(world.stdout)
    with lookup.opened(world) as history:
        for entry in history.entries(asked.limit or _USUAL_LIMIT, asked.search):
            out.lines([to_json(entry_json(entry))])
    return ExitCode.OK


def forget(world: World, asked: Selection, consent: Consent) -> ExitCode:
    """Remove runs for good, once somebody has agreed."""
    with lookup.opened(world) as history:
        numbers = history.numbers(asked.limit, asked.search)
        left = list(_left(world, history, asked, frozenset(numbers)))
        if not numbers and not history.aside:
            _tell_of_none(world, asked)
        elif consent is Consent.GIVEN or _is_agreed(world, _many(len(numbers))):
            _forget(world, history, asked, numbers)
        else:
            return ExitCode.OK
    notes.tell(world, map(_of_record, left))
    return ExitCode.OK


def _left(world: World, history: History, asked: Selection, numbers: frozenset[int]) -> Iterator[Path]:
    """Find the records of runs that did not end well, as far as these are to be forgotten.

    They stay: a record may hold the only copy of a picture that is paid for.
    """
    from imgcli.cli.desk import RUNS
    from imgcli.store.runs import unfinished
    from imgcli.store.state import state_folders

    for run in (run for folder in state_folders(world.env) for run in unfinished(folder / RUNS)):
        entry = history.find_id(run.header.job) if run.header else None
        prompt = run.header.request.prompt if run.header else ""
        is_found = bool(asked.search) and asked.search.casefold() in prompt.casefold()
        if asked.is_everything or is_found or (entry and entry.number in numbers):
            yield run.path


def _of_record(path: Path) -> str:
    return (
        f"{path} still holds a run's prompt, and perhaps a picture that is paid for: finish it with "
        "`imgcli recover` and forget it again, or delete it"
    )


def _forget(world: World, history: History, asked: Selection, numbers: list[int]) -> None:
    count = history.forget(numbers)
    sentences = [f"{_many(count)} forgotten; the pictures are where they were"]
    if asked.is_everything:
        history.discard_aside()
    else:
        sentences += [f"{path} was set aside earlier and is not searched" for path in history.aside]
    notes.tell(world, sentences)


def _is_agreed(world: World, what: str) -> bool:
    """Ask. Raises `ImgcliError` (usage) where nobody can be asked."""
    is_agreed = notes.confirm(world, f"Forget {what} for good, prompts and costs? The pictures stay.")
    if is_agreed is None:
        raise usage_error(
            f"--forget would remove {what} for good, and nobody is here to be asked.", "Add --yes."
        )
    return is_agreed


def _many(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


def _tell_of_none(world: World, asked: Selection) -> None:
    if asked.search:
        notes.tell(world, [f"no run has “{asked.search}” in its prompt or path"])
    else:
        notes.tell(world, ['nothing is remembered yet; `imgcli gen "a cat" --demo` makes a beginning'])


def places_of(world: World) -> Places:
    """Find out from where this user looks at paths."""
    from imgcli.store.preflight import current_folder

    home = world.env.get("HOME", "")
    with suppress(ImgcliError):
        return Places(current_folder(), Path(home) if home.startswith("/") else None)
    return Places(None, None)


@dataclass(frozen=True)
class _Thumbnails:
    """Small pictures on the terminal, each with its run's line under it."""

    world: World
    gallery: Gallery

    @classmethod
    def opened(cls, world: World, preview: Rung | None) -> _Thumbnails | None:
        """Find out what this terminal shows; None where nobody wants thumbnails, or sees them."""
        if preview is None:
            return None
        from imgcli.show.terminal import Display, choose_display, look

        terminal = look(world.env, world.stdout, lambda: size_of(world.stdout), preview)
        if choose_display(preview, terminal) is not Display.PICTURE:
            return None
        from imgcli.show.gallery import Gallery
        from imgcli.show.ladder import Ladder

        easel = Ladder(world.env, world.stdout, terminal, preview, _THUMBNAIL)
        return cls(world, Gallery(world.stdout, terminal, easel))

    def show(self, entries: Sequence[Entry], lines: Sequence[str]) -> None:
        for entry, line in zip(entries, lines, strict=True):
            picture = next(filter(None, map(_unchanged, entry.saved)), None)
            try:
                if picture:
                    self.gallery.show(picture, line)
                    continue
            except ValueError:  # it does not decode
                pass
            Output(self.world.stdout).lines([line])


def _unchanged(kept: KeptPicture) -> Picture | None:
    """Read a picture back, None where its file has gone or is another picture by now."""
    from imgcli.core.events import Picture

    with suppress(OSError, ValueError):
        info = kept.path.stat() if kept.path else None
        if kept.path and info and stat.S_ISREG(info.st_mode) and info.st_size == kept.length:
            picture = Picture.of(kept.path.read_bytes())
            return picture if picture.sha256 == kept.sha256 else None
    return None

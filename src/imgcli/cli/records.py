"""The records of runs that did not end well: choosing among them, listing and discarding them."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from imgcli.api.reading import read_events
from imgcli.api.salvage import salvaged
from imgcli.cli import memory, notes
from imgcli.cli.desk import RUNS
from imgcli.cli.record import Record
from imgcli.core.errors import ExitCode, ImgcliError, usage_error
from imgcli.core.events import FinalImage, PartialImage
from imgcli.core.text import clean
from imgcli.core.wording import age, file_size, found_words
from imgcli.show.output import Output
from imgcli.store.publish import reason
from imgcli.store.runs import unfinished
from imgcli.store.state import state_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgcli.cli.world import World
    from imgcli.store.runs import Run

_OLD = timedelta(days=90)
_MANY = 5
_HOW = "`imgcli recover ID` saves one of these, `imgcli recover --discard ID` throws one away"
_NOTHING = "there is nothing to recover"


def choose(world: World, ids: Sequence[str], older: timedelta | None) -> list[Record]:
    """List the records that no live run is writing, of these names and at least that old.

    Raises `ImgcliError` (usage) for a name that no record has, and for the beginning of several ids.
    """
    runs = [run for folder in state_folders(world.env) for run in unfinished(folder / RUNS)]
    named = [run for name in ids for run in _called(name, runs)]
    chosen = [run for run in runs if not ids or run in named]
    records = [Record(run, world.now()) for run in chosen]
    return [record for record in records if older is None or record.age >= older]


def _called(name: str, runs: Sequence[Run]) -> list[Run]:
    """Find the run of a name, or of its beginning where that is enough: it may be thrown away."""
    found = [run for run in runs if name and name in _names(run)]
    found = found or [run for run in runs if name and any(one.startswith(name) for one in _names(run))]
    if not found:
        raise usage_error(f"No unfinished run is called {name}.", "`imgcli recover --list` shows them.")
    if len(found) > 1 and name not in _names(found[0]):
        ids = ", ".join(run.id for run in found[:_MANY])
        raise usage_error(f"{name} may mean {len(found)} runs: {ids}.", "Write more of one.")
    return found


def _names(run: Run) -> tuple[str, ...]:
    return run.id, run.path.stem, run.header.job if run.header else ""


def show(world: World, records: Iterable[Record]) -> ExitCode:
    """List records, a line each, and change nothing."""
    told = list(records)
    lines = [_line(record) for record in told]
    Output(world.stdout).lines(lines)
    notes.tell(world, [_HOW if lines else _NOTHING])
    offer(world, told)
    return ExitCode.OK


def offer(world: World, records: Iterable[Record]) -> None:
    """Say how to be rid of what is old; it is never removed unasked."""
    old = sum(record.age >= _OLD for record in records if record.run.path.exists())
    days = _OLD.days
    if old:
        told = (
            f"1 record is older than {days} days" if old == 1 else f"{old} records are older than {days} days"
        )
        notes.tell(world, [f"{told}: `imgcli recover --discard --older {days}d` removes what is that old"])


def discard(world: World, records: Iterable[Record]) -> ExitCode:
    """Remove records, whatever they hold, and say what that was."""
    code, told = ExitCode.OK, list(records)
    notes.tell(world, [] if told else ["there is nothing to discard"])
    for record in told:
        with record.run.claim() as is_ours:
            if not is_ours:
                continue
            held = _line(record)
            try:
                record.run.discard()
            except OSError as error:
                code = ExitCode.UNWRITABLE
                notes.tell(world, [f"{record.run.path} could not be removed ({reason(error)})"])
            else:
                memory.give_up(world, record.job)
                notes.tell(world, [f"discarded {held}"])
    return code


def _line(record: Record) -> str:
    """Describe one record: its name, when, how old, how large, what is in it, for which prompt, where."""
    kinds: Counter[str] = Counter()
    with suppress(ImgcliError), record.mapped() as content:
        events = read_events(record.chunks(), record.job, inputs=content.inputs)
        for event in salvaged(events, content, record.job):
            match event:
                case FinalImage(is_salvaged=True):
                    kinds["salvaged"] += 1
                case FinalImage():
                    kinds["final"] += 1
                case PartialImage():
                    kinds["partial"] += 1
                case _:
                    pass
    found = found_words(kinds["final"], kinds["partial"], kinds["salvaged"])
    facts = (record.run.id, record.when, age(record.age.total_seconds()), file_size(record.size), found)
    return "  ".join(map(clean, (*facts, record.prompt or "-", str(record.run.path))))

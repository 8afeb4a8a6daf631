"""The history of runs: SQLite in the data folder, used by many processes at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from imgcli.store.history import costs, rows
from imgcli.store.history.db import Database, HistoryError
from imgcli.store.history.schema import knows_received
from imgcli.store.publish.atomic import reason

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from imgcli.core.history import Family, FileFacts, HistoryEntry, RunCost
    from imgcli.store.history.costs import DayCosts
    from imgcli.store.history.lineage import Find


def _where(connection: sqlite3.Connection, search: str) -> str:
    """Return the condition for runs that have a text somewhere."""
    if not search:
        return ""
    connection.create_function("holds", 1, _holds(search), deterministic=True)
    return (
        " WHERE holds(prompt) OR EXISTS"
        " (SELECT 1 FROM pictures WHERE run = id AND (holds(revised_prompt) OR holds(path)))"
    )


def _holds(search: str) -> Callable[[object], bool]:
    """Make the comparison: SQLite's own knows no letters but ASCII's, and takes % and _ for more."""
    wanted = search.casefold()

    def holds(value: object) -> bool:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return isinstance(text, str) and wanted in text.casefold()

    return holds


class RunOutline(NamedTuple):
    """What a long list needs to know of a run; `started` is as `utc_text` writes it, `images` counts them."""

    number: int
    started: str
    model: str
    images: int


FindAnswer: TypeAlias = "Callable[[str], HistoryEntry | None]"

T = TypeVar("T")

__all__ = ["History", "HistoryError"]

_LONGEST_NUMBER = 18
"""Digits that fit into SQLite's integers."""
_LATEST = (
    "SELECT id FROM runs WHERE EXISTS (SELECT 1 FROM pictures WHERE run = runs.id)"
    " AND (? IS NULL OR endpoint = ?) ORDER BY started DESC, id DESC LIMIT 1 OFFSET ?"
)
_SHORTEST_JOB = 8
"""The fewest characters that name a job: they are its date; less is a number, which no run has."""
_LAST_CHARACTER = "\U0010ffff"


class History(Database):
    """What was asked for, what came of it, what it cost: the runs in the database of a folder.

    `close` it, or use it with `with`. Every method raises `HistoryError`, an `OSError`, where the file cannot
    be read or written just now. One that is of no use is set aside; `notices` are sentences about that.
    """

    @property
    def aside(self) -> list[Path]:
        """The files that were set aside earlier, with what lies beside them."""
        return sorted(self.path.parent.glob(f"{self.path.stem}.*-*{self.path.suffix}*"))

    def aside_since(self, moment: datetime) -> list[Path]:
        """List those that were set aside since a moment, or written until after it."""
        return [path for path in self.aside if _last_change(path) >= moment.timestamp()]

    def discard_aside(self) -> None:
        """Remove the files that were set aside. Raises `HistoryError`."""
        for path in self.aside:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise HistoryError(f"{path} cannot be removed: {reason(error)}") from error

    def record(self, entry: HistoryEntry) -> HistoryEntry:
        """Record a run, in place of what was known of the same job; return the entry with its number."""
        return self.write(lambda connection: _recorded(connection, entry))

    def find_sha256(self, sha256: str) -> HistoryEntry | None:
        """Find the newest run that brought an image with these bytes."""
        where = "id IN (SELECT run FROM pictures WHERE sha256 = ?)"
        return self._first(where, [sha256.lower()])

    def find_received(self, sha256: str) -> HistoryEntry | None:
        """Find the newest run that brought these bytes, and saved them with parameters embedded."""
        where = "id IN (SELECT run FROM pictures WHERE received = ?)"
        return self._first(where, [sha256.lower()]) if self.read(knows_received) else None

    def find_id(self, text: str) -> HistoryEntry | None:
        """Find a run by its number, its job's name, or a beginning of that which no other has."""
        if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER:
            found = self._first("id = ?", [int(text)])
            if found:
                return found
        text = text.encode("utf-8", "replace").decode()
        return self._first("job = ?", [text]) or self._only_one_beginning_with(text)

    def find_path(self, path: Path, sha256: str | None = None) -> HistoryEntry | None:
        """Find the last run that saved an image under exactly this name, whatever is there now.

        With `sha256` only a run counts that saved these bytes there.
        """
        where = "id = (SELECT max(run) FROM pictures WHERE path = ? AND sha256 = coalesce(?, sha256))"
        return self._first(where, [rows.path_cell(path), sha256])

    def find_response(self, response_id: str) -> HistoryEntry | None:
        """Find the run that a server answered under this id."""
        return self.read(lambda connection: _response_finder(connection)(response_id))

    def producer(self, sha256: str, child: HistoryEntry | None = None) -> HistoryEntry | None:
        """Find the run that brought what a later one started from; see `lineage.producer`."""
        from imgcli.store.history.lineage import producer

        return self.read(lambda connection: producer(_entry_finder(connection), sha256, child))

    def latest(self, endpoint: str | None = None, back: int = 0) -> HistoryEntry | None:
        """Find the newest run that brought an image, saved or not, of one endpoint or of any.

        Or, with `back`, the one so many such runs before it.
        """
        return self._first(f"id = ({_LATEST})", [endpoint, endpoint, back])

    def entries(self, limit: int | None = None, search: str = "") -> Iterator[HistoryEntry]:
        """Yield the newest runs first, all of them without a limit.

        `search` is a text that must be in the prompt, a revised prompt or a path; case does not matter.
        """
        for number in self.numbers(limit, search):
            entry = self._first("id = ?", [number])
            if entry:  # nobody forgot it meanwhile
                yield entry

    def numbers(self, limit: int | None = None, search: str = "") -> list[int]:
        """Return the numbers of the runs that `entries` yields."""

        def read(connection: sqlite3.Connection) -> list[int]:
            where = _where(connection, search)
            query = f"SELECT id FROM runs{where} ORDER BY started DESC, id DESC LIMIT ?"  # noqa: S608 - all ours
            return [number for (number,) in connection.execute(query, [-1 if limit is None else limit])]

        return self.read(read)

    def outlines(self, search: str = "") -> list[RunOutline]:
        """Return the outlines of the runs that `entries` yields."""
        images = "(SELECT count(*) FROM pictures WHERE run = id)"
        columns = f"id, started, coalesce(image_model, model, ''), {images}"

        def read(connection: sqlite3.Connection) -> list[RunOutline]:
            where = _where(connection, search)
            query = f"SELECT {columns} FROM runs{where} ORDER BY started DESC, id DESC"  # noqa: S608 - all ours
            return list(map(RunOutline._make, connection.execute(query)))

        return self.read(read)

    def children(self, sha256: str, of: HistoryEntry | None = None) -> list[HistoryEntry]:
        """List the runs that an image went into, oldest first; see `lineage.children`."""
        from imgcli.store.history.lineage import children

        return self.read(lambda connection: children(_entry_finder(connection), sha256, of))

    def family(self, origin: HistoryEntry | FileFacts) -> Family:
        """Collect what a run, or a file that no run brought, descends from, and what descends from it."""
        from imgcli.store.history.lineage import family_of

        return self.read(lambda connection: family_of(_entry_finder(connection), origin))

    def charges(self, since: datetime | None = None, *, each: bool = True) -> Iterable[RunCost]:
        """Return what every run since a moment cost, oldest first; free runs are among them.

        Not `each`: those of known cost are summed up, which is ten times as fast.
        """
        if not each:
            return self.read(lambda connection: costs.read_sums(connection, since))
        return costs.run_costs(self.read(lambda connection: costs.read_cost_rows(connection, since)))

    def day(self, since: datetime, decide: Callable[[DayCosts, FindAnswer], T]) -> T:
        """Call `decide` with what was spent and reserved since a moment, and reserve nothing."""
        return self.read(
            lambda connection: decide(costs.read_day(connection, since), _response_finder(connection))
        )

    def reserve(
        self, job: str, days: tuple[datetime, datetime], decide: Callable[[DayCosts, FindAnswer], Decimal]
    ) -> None:
        """Reserve what a run may cost, in one transaction with the day's sum; see `costs.reserve`.

        `decide` also gets what finds the run of a response's id.
        """
        self.write(
            lambda connection: costs.reserve(
                connection, job, days, lambda day: decide(day, _response_finder(connection))
            )
        )

    def release(self, job: str) -> None:
        """Release what is reserved for a run that was not sent, or that its owner has given up on."""
        if self.exists:
            self.write(lambda connection: costs.release(connection, job))

    def forget(self, numbers: Iterable[int]) -> int:
        """Remove runs so that nothing of them is left in the file; return how many there were."""
        if not self.exists:
            return 0
        wanted = [(number,) for number in numbers]
        count = self.write(lambda connection: _forgotten(connection, wanted))
        self.wipe()
        return count

    def _first(self, where: str, values: Sequence[Any]) -> HistoryEntry | None:
        found = self.read(lambda connection: _entries(connection, where, values, limit=1))
        return found[0] if found else None

    def _only_one_beginning_with(self, text: str) -> HistoryEntry | None:
        if len(text) < _SHORTEST_JOB:
            return None
        where, values = "job >= ? AND job < ?", [text, text + _LAST_CHARACTER]
        found = self.read(lambda connection: _entries(connection, where, values, limit=2))
        return found[0] if len(found) == 1 else None


def _last_change(path: Path) -> float:
    """Return the time of a file's last writing or renaming, in seconds; 0 for one that has gone."""
    with suppress(OSError):
        info = path.stat()
        return max(info.st_mtime, info.st_ctime)
    return 0.0


def _recorded(connection: sqlite3.Connection, entry: HistoryEntry) -> HistoryEntry:
    """Insert an entry, or bring the earlier one of its job up to date; nothing is written for no news."""
    earlier = next(iter(_entries(connection, "job = ?", [rows.run_cells(entry)["job"]])), None)
    if earlier is None:
        recorded = _inserted(connection, entry)
    else:
        recorded = entry.merged_with(earlier)
        if recorded.is_same_as(earlier):
            return recorded
        _updated(connection, recorded)
    costs.clear_reservation(connection, recorded)
    return recorded


def _inserted(connection: sqlite3.Connection, entry: HistoryEntry) -> HistoryEntry:
    number = _insert(connection, "runs", rows.run_cells(entry))
    recorded = replace(entry, number=number)
    _insert_parts(connection, recorded)
    return recorded


def _updated(connection: sqlite3.Connection, entry: HistoryEntry) -> None:
    cells = rows.run_cells(entry)
    if entry.request is None:  # nor does one that cannot be read any more become less
        del cells["request"]
    names = ", ".join(f"{name} = :{name}" for name in cells)
    connection.execute(f"UPDATE runs SET {names} WHERE id = :id", cells | {"id": entry.number})  # noqa: S608
    for table in ("pictures", "parents", "charges"):
        connection.execute(f"DELETE FROM {table} WHERE run = ?", [entry.number])  # noqa: S608
    _insert_parts(connection, entry)


def _insert_parts(connection: sqlite3.Connection, entry: HistoryEntry) -> None:
    run = {"run": entry.number}
    for image in entry.images:
        _insert(connection, "pictures", run | rows.image_cells(image))
    for position, parent in enumerate(entry.parents):
        _insert(connection, "parents", run | {"position": position} | rows.cells_of(parent, rows.PARENTS))
    for position, charge in enumerate(entry.charges):
        _insert(connection, "charges", run | {"position": position} | rows.cells_of(charge, rows.CHARGES))


def _insert(connection: sqlite3.Connection, table: str, cells: dict[str, Any]) -> int:
    """Insert one row; the names in it are ours, only the values come from elsewhere."""
    names, places = ", ".join(cells), ", ".join(f":{name}" for name in cells)
    done = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", cells)  # noqa: S608
    return done.lastrowid or 0


def _entries(
    connection: sqlite3.Connection, where: str, values: Sequence[Any], limit: int = -1
) -> list[HistoryEntry]:
    """Read the entries that a condition of ours names, newest first."""
    query = f"SELECT * FROM runs WHERE {where} ORDER BY started DESC, id DESC LIMIT ?"  # noqa: S608
    return [_entry(connection, run) for run in _rows(connection, query, [*values, limit])]


def _response_finder(connection: sqlite3.Connection) -> FindAnswer:
    def find(response_id: str) -> HistoryEntry | None:
        text = response_id.encode("utf-8", "replace").decode()
        return next(iter(_entries(connection, "response_id = ?", [text], limit=1)), None)

    return find


def _entry_finder(connection: sqlite3.Connection) -> Find:
    return lambda where, values: _entries(connection, where, values)


def _entry(connection: sqlite3.Connection, run: dict[str, Any]) -> HistoryEntry:
    def parts(table: str, order: str) -> list[dict[str, Any]]:
        return _rows(connection, f"SELECT * FROM {table} WHERE run = ? ORDER BY {order}", [run["id"]])  # noqa: S608

    return rows.entry_of(
        run, parts("pictures", "image"), parts("parents", "position"), parts("charges", "position")
    )


def _forgotten(connection: sqlite3.Connection, numbers: list[tuple[int]]) -> int:
    costs.forget_reservations(connection, numbers)
    return connection.executemany("DELETE FROM runs WHERE id = ?", numbers).rowcount


def _rows(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Run a query, each row by its columns' names."""
    found = connection.execute(query, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]

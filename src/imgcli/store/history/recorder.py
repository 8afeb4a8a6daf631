"""The history's sink: gathers a run's events, and writes one row at the end.

A row that the history cannot take waits in a file of its own until it can.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import field, replace
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

from imgcli.core.embedded import strip
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem, most_severe
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.history import OK, HistoryEntry, SavedImage
from imgcli.core.image import header_size
from imgcli.core.params import DEMO
from imgcli.core.request import ImageRequest
from imgcli.core.text import slug
from imgcli.dataclass import dataclass
from imgcli.store.history.repository import History, HistoryError
from imgcli.store.history.rows import entry_of, stored_cells
from imgcli.store.paths import private_folder, state_folder, state_folders
from imgcli.store.publish.atomic import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.core.history import Parent


_SHORT_PATIENCE = 0.1
"""Seconds for which a locked history is waited for after a signal."""
_FOLDER, _SUFFIX = "rows", ".json"
"""Where rows wait, inside the state folder."""


@dataclass(frozen=True)
class PendingRows:
    """The rows that wait in this user's state folders."""

    environ: Mapping[str, str]

    @property
    def paths(self) -> list[Path]:
        """List the files, the oldest first; makes no folder, and passes over one that cannot be read."""
        folders = [state / _FOLDER for state in state_folders(self.environ)]
        return [path for folder in folders for path in _listed(folder)]

    def keep(self, entry: HistoryEntry) -> None:
        """Keep a row, in place of an earlier one of the same run; raises `OSError`."""
        path = private_folder(state_folder(self.environ) / _FOLDER) / _file_name(entry.job)
        replace_file(path, json.dumps(stored_cells(entry)).encode("ascii"))

    def drop(self, job: str) -> None:
        """Remove what is kept of a run that the history knows by now."""
        for path in self.paths:
            if path.name == _file_name(job):
                _remove(path)

    def deliver(self, history: History) -> None:
        """Write every row to the history; one that cannot be read stays. Raises `HistoryError`."""
        for path in self.paths:
            if entry := _read_entry(path):
                history.record(entry)
                _remove(path)


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    return []


def _file_name(job: str) -> str:
    return f"{slug(job)}{_SUFFIX}"


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _read_entry(path: Path) -> HistoryEntry | None:
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        told = json.loads(path.read_bytes())
        return entry_of(told["run"], told["pictures"], told["parents"], told["charges"])
    return None


@dataclass(frozen=True)
class RunContext:
    """What the events of a run do not say: which server it asks, what it starts from, and when it began.

    `began` is None for a run that begins with its first event. `is_free` tells at the end whether anybody
    bills it. `pending` takes the row where the history does not within `patience` seconds.
    """

    job: str
    endpoint: str | None
    parents: tuple[Parent, ...] = ()
    began: datetime | None = None
    is_free: Callable[[], bool] = lambda: False
    pending: PendingRows | None = None
    patience: float = 1.0


@dataclass
class _RunSoFar:
    """What is known of a run by now."""

    began: datetime | None
    request: ImageRequest | None = None
    partials: int = 0
    finals: dict[int, SavedImage] = field(default_factory=dict)
    paths: dict[int, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    end: Completed | Failed | None = None


class HistorySink:
    """Records one run in the history of `folder()`. Never raises: what fails is in `trouble`, as sentences.

    A run that a signal breaks off ends with a `Failed` that has the signal; `close` records one that did not
    end. Of two ends the first counts.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        about: RunContext,
        price: Price,
        now: Callable[[], datetime],
    ) -> None:
        self.trouble: list[str] = []
        self._folder = folder
        self._about = about
        self._price = price
        self._now = now
        self._run = _RunSoFar(about.began)
        self._is_done = False
        self._is_interrupted = False

    def handle(self, event: Event) -> None:
        """Gather what an event says; the last one writes the row."""
        if self._is_done:
            return
        try:
            self._gather(event)
            if self._run.end:
                self._write(self._run.end)
        except Exception as error:  # noqa: BLE001 - whatever it is, the image is worth more
            self._note_failure(error)

    def close(self) -> None:
        """Record a run that was begun and never ended."""
        if self._run.began:
            broken = Problem(ExitCode.UNKNOWN, "The run was interrupted.", Charged.MAYBE, CHECK_USAGE)
            self.handle(Failed(self._about.job, broken))

    def skip_history(self) -> None:
        """Record nothing: no request was sent."""
        self._is_done = True

    def _gather(self, event: Event) -> None:
        run = self._run
        match event:
            case Started(request=request):
                run.request, run.began = request, run.began or self._now()
            case Notice(instead=ImageRequest() as request):
                run.request = request
            case PartialImage():
                run.partials += 1
            case FinalImage(image_index=image_index):
                run.finals[image_index] = _saved_image(event)
            case Saved(image_index=image_index, path=path, problem=problem):
                run.paths[image_index] = _absolute(path)
                run.problems += [problem] if problem else []
            case Completed():
                run.end = run.end or event
            case Failed(problem=problem):
                self._is_interrupted |= problem.signal is not None
                run.problems += [] if run.end else [problem]
                run.end = run.end or event
            case _:
                pass

    def _write(self, end: Completed | Failed) -> None:
        """Write the row, and those that waited; once, unless a signal comes before it is written."""
        entry, pending = self._entry(end), self._about.pending
        patience = _SHORT_PATIENCE if self._is_interrupted else self._about.patience
        try:
            with History(self._folder(), patience) as history:
                history.record(entry)
                self._is_done = True
                self.trouble += history.notices
                if pending:
                    pending.drop(entry.job)
                    pending.deliver(history)
        except HistoryError as error:
            if not self._is_done:
                self._postpone(entry, error)
        self._is_done = True

    def _postpone(self, entry: HistoryEntry, error: HistoryError) -> None:
        """Keep the row for later; raises `OSError`."""
        if self._about.pending is None:
            raise error
        try:
            self._about.pending.keep(entry)
        except OSError:
            raise error from None
        later = "`imgcli history` or the next run adds it"
        self.trouble.append(f"this run is not in the history yet ({error}); {later}")

    def _note_failure(self, error: Exception) -> None:
        why = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        self.trouble.append(f"this run is not in the history: {why}")
        self._is_done = True

    def _entry(self, end: Completed | Failed) -> HistoryEntry:
        run, ended = self._run, _completed_of(end)
        bill = self._bill(end)
        worst = _most_severe_problem(run.problems)
        charged = _charged(run.problems)
        return HistoryEntry(
            job=self._about.job,
            started=run.began or self._now(),
            ended=self._now(),
            prompt=run.request.prompt if run.request else "",
            request=run.request,
            model=ended.model or (run.request.model if run.request else None),
            image_model=ended.image_model or (run.request.image_model if run.request else None),
            endpoint=self._about.endpoint,
            response_id=ended.response_id,
            usage=ended.usage,
            tool_usage=ended.tool_usage,
            cost=_cost(bill, charged),
            prices_date=bill.prices_date if bill else None,
            prices_from=bill.prices_from if bill else None,
            outcome=worst.kind if worst else OK,
            message=worst.what if worst else None,
            charged=Charged.NO if self._is_free else charged,
            images=self._images(),
            charges=bill.rows if bill else (),
            parents=self._about.parents,
            billed=not self._is_free,
        )

    @property
    def _is_free(self) -> bool:
        return self._about.endpoint == DEMO or self._about.is_free()

    def _bill(self, end: Completed | Failed) -> Bill | None:
        """Compute the bill; none for a run that failed before the server counted."""
        ended = _completed_of(end)
        is_counted = isinstance(end, Completed) or ended.usage or ended.tool_usage
        if self._run.request is None or not is_counted:
            return None
        return self._price(self._run.request, ended, self._run.partials, len(self._run.finals))

    def _images(self) -> tuple[SavedImage, ...]:
        paths = self._run.paths
        return tuple(
            replace(image, path=paths.get(image_index)) for image_index, image in self._run.finals.items()
        )


def _absolute(path: Path) -> Path:
    """Return an absolute path, with its links.

    Only where it goes up, links on the way must be followed: /link/.. is not /.
    """
    name = path.absolute()
    return name.parent.resolve() / name.name if ".." in name.parts else name


def _saved_image(final: FinalImage) -> SavedImage:
    image = final.image
    bare = strip(image.data)
    return SavedImage(
        image_index=final.image_index,
        sha256=image.sha256,
        length=len(image.data),
        format=image.format,
        size=header_size(image),
        revised_prompt=final.revised_prompt,
        received=None if bare is image.data else sha256(bare).hexdigest(),
    )


def _completed_of(end: Completed | Failed) -> Completed:
    """Return what the server reported at the end, empty where it reported nothing."""
    ended = end if isinstance(end, Completed) else end.ended
    return ended or Completed(end.job, model=None)


def _most_severe_problem(problems: list[Problem]) -> Problem | None:
    """Choose the problem that names the outcome: the signal, or what gives the exit code."""
    broken_off = [problem for problem in problems if problem.signal is not None]
    code = most_severe(problem.exit_code for problem in problems)
    return next(iter([*broken_off, *(problem for problem in problems if problem.exit_code is code)]), None)


def _charged(problems: list[Problem]) -> Charged:
    """Return whether money was spent: a run without a problem was paid for, and YES goes before MAYBE."""
    told = {problem.charged for problem in problems} or {Charged.YES}
    return next(charged for charged in (Charged.YES, Charged.MAYBE, Charged.NO) if charged in told)


def _cost(bill: Bill | None, charged: Charged) -> Decimal | None:
    """Return what it cost, None where unknown; what the server counted goes before what we believe."""
    if bill and (bill.total is not None or bill.known):
        return bill.total
    return Decimal(0) if charged is Charged.NO else None

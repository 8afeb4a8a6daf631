"""An unfinished run, read from its run log; nothing in it is trusted."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.api.stream.link import LinkError
from imgcli.api.stream.reader import StreamPosition, read_events
from imgcli.api.stream.salvage import salvaged
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import FinalImage, PartialImage
from imgcli.core.json_fields import timestamp
from imgcli.core.messages import age, describe_contents
from imgcli.core.option import option
from imgcli.core.params import DEMO
from imgcli.core.text import clean, file_size, shorten
from imgcli.dataclass import cached_property, dataclass
from imgcli.output.terminal.writer import SafeWriter
from imgcli.store.paths import state_folders
from imgcli.store.publish.atomic import reason
from imgcli.store.publish.naming import STDOUT, NameFields, OutputTarget, current_folder, find_device
from imgcli.store.runlog.reader import RUNS, recorded, unfinished
from imgcli.store.runlog.writer import BILLED, ENDPOINT, HISTORY, TITLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgcli.api.stream.salvage import RecordContent as Content
    from imgcli.app.context import Context
    from imgcli.store.runlog.reader import RunLogFile


_NAMELESS = "recovered image"
_PROMPT_LENGTH = 60


class RunProgress(NamedTuple):
    """How far a run had come: the response that goes on in the background, and the images by kind."""

    pending: str | None
    images: Counter[str]


@dataclass(frozen=True)
class UnfinishedRun:
    """A run with the gaps in its header filled; `now` stands in for a time that cannot be read."""

    run: RunLogFile
    now: datetime

    @property
    def job(self) -> str:
        """The run's name, which went out as X-Client-Request-Id."""
        return (self.run.header.job if self.run.header else "") or self.run.path.stem

    @property
    def prompt(self) -> str:
        """The prompt's beginning, empty when it is not known."""
        return shorten(self.run.header.request.prompt, _PROMPT_LENGTH) if self.run.header else ""

    @property
    def time(self) -> datetime:
        """When the run began."""
        return (timestamp(self.run.header.time) if self.run.header else None) or self.now

    @property
    def age(self) -> timedelta:
        """How long ago the run began; where nothing says that, how long ago its record was written."""
        began = self.time
        if began is self.now:
            with suppress(OSError):
                began = datetime.fromtimestamp(self.run.path.stat().st_mtime, tz=UTC)
        return self.now.astimezone() - began.astimezone()

    @property
    def size(self) -> int:
        """How many bytes the record has; 0 where that cannot be told."""
        with suppress(OSError):
            return self.run.path.stat().st_size
        return 0

    @property
    def when(self) -> str:
        """When the run began, for people; the record's own name where nothing says it."""
        return f"{self.time:%Y-%m-%d %H:%M}" if self.run.header else self.run.path.stem

    @property
    def name(self) -> str:
        """A sentence by which the request can be found again."""
        if not self.run.header:
            return f"It is recorded in {self.run.path}."
        return f"It was requested on {self.when}: “{self.prompt}” (X-Client-Request-Id {self.job})."

    @property
    def has_begun(self) -> bool:
        """Whether anything was sent; true when nobody can tell."""
        try:
            return self.run.has_begun
        except OSError:
            return True

    @property
    def extra(self) -> Mapping[str, Any]:
        """What whoever sent the request left for us; a file can hold anything in its place."""
        told = self.run.header.extra if self.run.header else {}
        return told if isinstance(told, dict) else {}

    @cached_property
    def progress(self) -> RunProgress:
        """How far the run had come, found out by reading all of it."""
        kinds: Counter[str] = Counter()
        position = StreamPosition()
        with suppress(ImgcliError), self.mapped() as content:
            links = _LinkCount(kinds)
            events = read_events(
                self.chunks(), self.job, inputs=content.inputs, links=links, position=position
            )
            for event in salvaged(events, content, self.job):
                match event:
                    case FinalImage(is_salvaged=True):
                        kinds["salvaged"] += 1
                    case FinalImage():
                        kinds["final"] += 1
                    case PartialImage():
                        kinds["partial"] += 1
                    case _:
                        pass
        goes_on = self.is_detached and position.is_pending
        return RunProgress(position.response_id if goes_on else None, kinds)

    @property
    def is_detached(self) -> bool:
        """Whether the server may go on with the run; the demo has ended with its process."""
        header = self.run.header
        return header is not None and header.request.detach and recorded_server(self) != DEMO

    def chunks(self) -> Iterator[bytes]:
        """Return what the server sent; raises `ImgcliError` where the disk does not, or nothing came."""
        size = 0
        try:
            for chunk in self.run.chunks():
                size += len(chunk)
                yield chunk
        except OSError as error:
            what = f"The run log {self.run.path} cannot be read ({reason(error)})."
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.YES, "Try again.")) from None
        if not size:
            what = "The run was interrupted before a response arrived."
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))

    @contextmanager
    def mapped(self) -> Iterator[Content]:
        """Return the record's bytes, to look for images in what cannot be read."""
        from imgcli.api.stream.salvage import RecordContent as Content

        inputs = self.run.header.request.inputs if self.run.header else frozenset()
        with self.run.mapped() as (buffer, start):
            yield Content(buffer, start, inputs)

    def target(self, fallback: Path) -> OutputTarget:
        """Find where the images were meant to go; a default name for what was a stream."""
        base = self._base(fallback)
        output = self.run.header.output if self.run.header else None
        try:
            is_stream = output == STDOUT or find_device(output, base) is not None
            return OutputTarget.of(None if is_stream else output, self._subject, base)
        except ImgcliError:
            return OutputTarget.of(None, self._subject, base)

    def _base(self, fallback: Path) -> Path:
        if self.run.header and self.run.header.folder:
            return Path(self.run.header.folder)
        try:
            return current_folder()
        except ImgcliError:
            return fallback

    @property
    def _subject(self) -> NameFields:
        header = self.run.header
        if not header:
            return NameFields(_NAMELESS, _NAMELESS, self.job, self.time)
        title = self.extra.get(TITLE)
        named = title if isinstance(title, str) and PurePath(title).name == title else None
        return NameFields(header.request.subject, header.request.model, header.job, self.time, named)


def is_free(record: UnfinishedRun) -> bool:
    """Return whether nobody is charged for the run in a record."""
    return recorded_server(record) == DEMO or record.extra.get(BILLED) is False


def charged_since(context: Context, moment: datetime) -> list[UnfinishedRun]:
    """List the records of runs begun since a moment that may cost something and that belong in the history.

    Also of runs that are going on, and of those that the history knows.
    """
    from imgcli.store.runlog.reader import RUNS

    folders = state_folders(context.env)
    records = [UnfinishedRun(run, context.now()) for folder in folders for run in recorded(folder / RUNS)]
    return [one for one in records if one.time.astimezone() >= moment and _may_cost(one)]


def _may_cost(record: UnfinishedRun) -> bool:
    return record.has_begun and record.extra.get(HISTORY) is not False and not is_free(record)


def release_reservation(context: Context, job: str) -> None:
    """Release what a discarded run had reserved of the day's cap; never raises."""
    from imgcli.app import lookup

    with suppress(OSError), lookup.connect_history(context, context.history_wait) as history:
        history.release(job)


def recorded_server(record: UnfinishedRun) -> str | None:
    """Read out of a run's record which server it had asked, as `ServerOptions.name` names it."""
    endpoint = record.extra.get(ENDPOINT)
    return endpoint if isinstance(endpoint, str) else None


_OLD = timedelta(days=90)
_MANY = 5
_HOW = f"`imgcli recover ID` saves one of these, `imgcli recover {option('discard', 'ID')}` throws one away"
_NOTHING = "there is nothing to recover"


def choose(context: Context, ids: Sequence[str], older: timedelta | None) -> list[UnfinishedRun]:
    """List the records that no live run is writing, of these names and at least that old.

    Raises `ImgcliError` (usage) for a name that no record has, and for the beginning of several ids.
    """
    runs = [run for folder in state_folders(context.env) for run in unfinished(folder / RUNS)]
    named = [run for name in ids for run in _find_named(name, runs)]
    chosen = [run for run in runs if not ids or run in named]
    records = [UnfinishedRun(run, context.now()) for run in chosen]
    return [record for record in records if older is None or record.age >= older]


def _find_named(name: str, runs: Sequence[RunLogFile]) -> list[RunLogFile]:
    """Find the run of a name, or of its beginning where that is enough: it may be thrown away."""
    found = [run for run in runs if name and name in _names(run)]
    found = found or [run for run in runs if name and any(one.startswith(name) for one in _names(run))]
    if not found:
        raise usage_error(
            f"There is no unfinished run {name}.", f"`imgcli recover {option('list')}` shows them."
        )
    if len(found) > 1 and name not in _names(found[0]):
        ids = ", ".join(run.id for run in found[:_MANY])
        raise usage_error(f"{name} matches {len(found)} runs: {ids}.", "Type more of the id.")
    return found


def _names(run: RunLogFile) -> tuple[str, ...]:
    return run.id, run.path.stem, run.header.job if run.header else ""


def show(context: Context, records: Iterable[UnfinishedRun]) -> ExitCode:
    """List records, a line each, and change nothing."""
    listed = list(records)
    lines = [_describe(record) for record in listed]
    SafeWriter(context.stdout).lines(lines)
    from imgcli.app.later.submissions import reminders

    waiting = reminders(context)
    context.warn([_HOW] if lines else [] if waiting else [_NOTHING])
    context.warn(waiting)
    offer(context, listed)
    return ExitCode.OK


def offer(context: Context, records: Iterable[UnfinishedRun]) -> None:
    """Print how to remove what is old; it is never removed unasked."""
    old = sum(record.age >= _OLD for record in records if record.run.path.exists())
    days = _OLD.days
    if old:
        told = (
            f"1 run log is older than {days} days"
            if old == 1
            else f"{old} run logs are older than {days} days"
        )
        options = f"{option('discard')} {option('older', f'{days}d')}"
        context.warn([f"{told}: `imgcli recover {options}` deletes them"])


def discard(context: Context, records: Iterable[UnfinishedRun]) -> ExitCode:
    """Remove records, whatever they hold, and say what that was."""
    code, told = ExitCode.OK, list(records)
    context.warn([] if told else ["there is nothing to discard"])
    for record in told:
        with record.run.claim() as is_ours:
            if not is_ours:
                continue
            held = _describe(record)
            try:
                record.run.discard()
            except OSError as error:
                code = ExitCode.UNWRITABLE
                context.warn([f"{record.run.path} could not be removed ({reason(error)})"])
            else:
                release_reservation(context, record.job)
                context.warn([f"discarded {held}"])
    return code


@dataclass(frozen=True)
class _LinkCount:
    """Counts the images that a record only links to, and fetches none."""

    kinds: Counter[str]

    def fetch(self, link: str) -> bytes:
        self.kinds["link"] += 1
        raise LinkError(link)

    def record(self, part: bytes) -> None:
        """Keep nothing: nothing is fetched."""


def _describe(record: UnfinishedRun) -> str:
    """Describe one record: its name, when, how old, how large, what is in it, for which prompt, where."""
    pending, kinds = record.progress
    found = describe_contents(kinds["final"], kinds["partial"], kinds["salvaged"], kinds["link"])
    if pending:
        where = f"in the background at {recorded_server(record) or 'its server'}"
        found = f"{where}, {found}" if kinds else where
    facts = (record.run.id, record.when, age(record.age.total_seconds()), file_size(record.size), found)
    return "  ".join(map(clean, (*facts, record.prompt or "-", str(record.run.path))))

"""One record of an unfinished run, as far as it can be believed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from imgcli.cli.order import STDOUT
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.fields import moment
from imgcli.core.text import shorten
from imgcli.store.naming import Subject, Target
from imgcli.store.preflight import current_folder, device
from imgcli.store.publish import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from imgcli.api.salvage import Record as Content
    from imgcli.store.runs import Run

TITLE = "title"
"""Under this name a record tells what its file is named after, where that is not the prompt."""

BILLED = "billed"
"""Under this name a record tells that nobody is charged for its run."""

_NAMELESS = "recovered image"
_PROMPT_LENGTH = 60


@dataclass(frozen=True)
class Record:
    """A run with the gaps in its header filled; `now` stands in for a time that cannot be read."""

    run: Run
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
        return (moment(self.run.header.time) if self.run.header else None) or self.now

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
        return f"It was asked for on {self.when}: “{self.prompt}” (X-Client-Request-Id {self.job})."

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

    def chunks(self) -> Iterator[bytes]:
        """Give what the server sent; raises `ImgcliError` where the disk does not, or nothing came."""
        size = 0
        try:
            for chunk in self.run.chunks():
                size += len(chunk)
                yield chunk
        except OSError as error:
            what = f"The record {self.run.path} cannot be read ({reason(error)})."
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.YES, "Try again.")) from None
        if not size:
            what = "The run was broken off before an answer came."
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))

    @contextmanager
    def mapped(self) -> Iterator[Content]:
        """Give the record's bytes, to look for images in what cannot be read."""
        from imgcli.api.salvage import Record as Content

        inputs = self.run.header.request.inputs if self.run.header else frozenset()
        with self.run.mapped() as (buffer, start):
            yield Content(buffer, start, inputs)

    def target(self, fallback: Path) -> Target:
        """Find where the pictures were meant to go; a default name for what was a stream."""
        base = self._base(fallback)
        output = self.run.header.output if self.run.header else None
        try:
            is_stream = output == STDOUT or device(output, base) is not None
            return Target.of(None if is_stream else output, self._subject, base)
        except ImgcliError:
            return Target.of(None, self._subject, base)

    def _base(self, fallback: Path) -> Path:
        if self.run.header and self.run.header.folder:
            return Path(self.run.header.folder)
        try:
            return current_folder()
        except ImgcliError:
            return fallback

    @property
    def _subject(self) -> Subject:
        header = self.run.header
        if not header:
            return Subject(_NAMELESS, _NAMELESS, self.job, self.time)
        title = self.extra.get(TITLE)
        named = title if isinstance(title, str) and PurePath(title).name == title else None
        return Subject(header.request.prompt, header.request.model, header.job, self.time, named)

"""The lines of a batch's state file, each validated."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.batch_result import StateLine, TaskOutcome, TaskStatus, state_line
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.json_fields import count
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


VERSION = 1
MAGIC = "imgcli_batch"
"""The key in the first line that holds the version."""

_BEGINNING = 4096
"""Bytes of a first line: a file that does not begin like a state file is not read on."""
_SHOWN = 200
_MOST_VERSIONS = 1000
_UNCHANGED = "The file is unchanged."
_BEGIN_ANEW = (
    "Repair the line, or move the file elsewhere to start the batch from the beginning, which pays again for "
    "what is done."
)
_BLOCK = 1_000  # lines
_decoder = json.JSONDecoder(parse_float=Decimal)


class Records:
    """What the lines of a state file say, one after the other; a task's last line decides."""

    def __init__(self) -> None:
        self.outcomes: dict[str, TaskOutcome] = {}
        self.amounts: dict[tuple[str, str], Decimal] = {}
        self.unpriced: set[tuple[str, str]] = set()

    @property
    def spent(self) -> Decimal:
        """What all runs have cost; a run of unknown cost counts at its bound."""
        return sum(self.amounts.values(), Decimal(0))

    def add(self, line: StateLine) -> None:
        """Add a line."""
        task, job, outcome = line
        before = self.outcomes.get(task)
        if outcome is None:
            self.outcomes.pop(task, None)
        elif before and outcome.cost is None and outcome.bound is None:
            self.outcomes[task] = outcome._replace(bound=before.bound)
        else:
            self.outcomes[task] = outcome
        if before and before.batch and before.batch != job:  # what a batch of OpenAI's came to
            self._replace_batch((task, before.batch), (task, job))
        spent = line.spent
        run = task, job
        if spent is not None:
            self.amounts[run] = spent
            self.unpriced.discard(run)
        elif outcome and outcome.bound is not None:
            self.amounts[run] = outcome.bound
        elif run not in self.amounts:
            self.unpriced.add(run)

    def lose_batches(self, is_recorded: Callable[[str], bool]) -> None:
        """Count the tasks in batches that are recorded no more as of unknown outcome: nobody collects them.

        What they may have cost stays counted beside what they cost when they are sent again.
        """
        submitted = {
            task: outcome
            for task, outcome in self.outcomes.items()
            if outcome.status is TaskStatus.SUBMITTED and outcome.batch
        }
        known = {
            batch: is_recorded(batch) for batch in {outcome.batch or "" for outcome in submitted.values()}
        }
        for task, outcome in submitted.items():
            if not known[outcome.batch or ""]:
                self.outcomes[task] = outcome._replace(status=TaskStatus.UNKNOWN, batch=None)

    def _replace_batch(self, batch: tuple[str, str], run: tuple[str, str]) -> None:
        """Put a run in the place of the batch in which it was submitted."""
        if batch in self.amounts:
            self.amounts[run] = self.amounts.pop(batch)
        self.unpriced.discard(batch)


def read_content(path: Path, descriptor: int) -> bytes:
    """Read the file, as far as it is a state file. Raises `ImgcliError` (usage) and `OSError`."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        start = file.read(_BEGINNING)
        if not _may_begin(start):
            raise foreign(path)
        return start + file.read()


def _may_begin(start: bytes) -> bool:
    """Return whether a file that begins so may be a state file; a crash can leave zeros at its end."""
    magic, written = f'{{"{MAGIC}"'.encode(), start.rstrip(b"\0")
    return written[: len(magic)] == magic[: len(written)]


class ParsedState(NamedTuple):
    """What a file says, where its last whole line ends, and whether a line break stands there."""

    records: Records
    end: int
    is_ended: bool = True


def parse_state(path: Path, source: str, content: bytes) -> ParsedState:
    """Read a file's content. Raises `ImgcliError` (usage) with the line that is wrong.

    A last line without its end is one that was being written when the process died, and is left out, unless
    it is whole: then an editor has taken the line break.
    """
    *lines, last = content.split(b"\n")
    records = Records()
    if lines:
        _check_header(path, source, lines[0])
    elif _header_of(last):
        _check_header(path, source, last)
        return ParsedState(records, len(content), is_ended=False)
    else:
        return ParsedState(records, 0)
    for number, (line, known) in enumerate(_read_lines(lines[1:]), 2):
        if known is None and not line.strip():
            continue
        if known is None:
            what = f"{_line_of(path, number)} This is not a line of a batch's state."
            raise usage_error(f"{what} {_UNCHANGED}", _BEGIN_ANEW)
        records.add(known)
    known = read_line(last) if last else None
    if known:
        records.add(known)
        return ParsedState(records, len(content), is_ended=False)
    return ParsedState(records, len(content) - len(last))


def _check_header(path: Path, source: str, line: bytes) -> None:
    """Raise `ImgcliError` (usage) for a state of another version or of another input."""
    header = _header_of(line)
    if header is None:
        raise foreign(path)
    version, name = header[MAGIC], header.get("input")
    if version != VERSION:
        what = f"The state is of version {version}, and this imgcli reads version {VERSION}."
        raise usage_error(f"{_line_of(path, 1)} {what} {_UNCHANGED}", "Update imgcli.")
    if name != source:
        other = shorten(str(name), _SHOWN)
        what = f"{_line_of(path, 1)} This is the state of another batch: of {other}, not of {shown(source)}."
        raise usage_error(
            f"{what} {_UNCHANGED}", "If the input was renamed, rename it back; otherwise move the file."
        )


def _header_of(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        fields = json.loads(line)
        if isinstance(fields, dict) and count(fields.get(MAGIC), _MOST_VERSIONS) is not None:
            return fields
    return None


def foreign(path: Path) -> ImgcliError:
    """Build the error for a file that is not the state of a batch."""
    what = f"{shown(path)} is not the state of a batch, but has the name of one."
    return usage_error(f"{what} {_UNCHANGED}", "Move or rename it.")


def _line_of(path: Path, number: int) -> str:
    return f"Line {number} of {shown(path)}:"


def shown(path: Path | str) -> str:
    """Format a name for a message."""
    return shorten(str(path), _SHOWN)


def read_line(line: bytes | str) -> StateLine | None:
    """Read a line of a state file; None for anything else."""
    try:
        fields = _decoder.decode(line if isinstance(line, str) else line.decode())
        return state_line(fields) if isinstance(fields, dict) else None
    except (ValueError, RecursionError):
        return None


def _read_lines(lines: Sequence[bytes]) -> Iterator[tuple[bytes, StateLine | None]]:
    """Read lines as `read_line` does, a block at a time: parsing each by itself takes half as long again."""
    for start in range(0, len(lines), _BLOCK):
        block = lines[start : start + _BLOCK]
        yield from zip(block, _read_block(block) or map(read_line, block), strict=True)


def _read_block(lines: Sequence[bytes]) -> list[StateLine | None] | None:
    """Read lines of which each is a flat object; None where one may be something else.

    No line can be a part of the one before: with one closing brace in each, none can close two objects.
    """
    if not all(line.startswith(b"{") and line.find(b"}") == len(line) - 1 for line in lines):
        return None
    try:
        values = _decoder.decode((b"[%b]" % b",\n".join(lines)).decode())
    except (ValueError, RecursionError):
        return None
    is_one_each = len(values) == len(lines) and {*map(type, values)} <= {dict}
    return list(map(state_line, values)) if is_one_each else None

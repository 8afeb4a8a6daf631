"""Parses a batch file: rows of JSON Lines, CSV or plain text, and every error with its line."""

from __future__ import annotations

import csv
import json
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.template import normal_name
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator


PROMPT = "prompt"
"""The column that every row has."""

LONGEST_LINE = 1 << 20
"""Characters of a line; a longer one is a mistake."""

_SHOWN_FAULTS = 10
_MOST_FAULTS = 1_000  # after these a file is not read to its end
_NAME_LENGTH = 60
_EXAMPLE = 'Each line is an object such as {"prompt": "a cat", "size": "16:9"}.'
_DELIMITERS = ",;\t"


class RowFormat(Enum):
    """How the rows are written."""

    JSON_LINES = "JSON Lines"
    CSV = "CSV"
    TEXT = "plain text"


_ENDINGS = {
    ".jsonl": RowFormat.JSON_LINES,
    ".ndjson": RowFormat.JSON_LINES,
    ".csv": RowFormat.CSV,
    ".tsv": RowFormat.CSV,
}


class BatchRow(NamedTuple):
    """One row: the line on which it starts, from 1, and its cells by column; those not set are left out."""

    line: int
    cells: dict[str, Any]


class BatchFileError(ImgcliError):
    """The errors of a batch file; `faults` has a sentence for each of the first ones."""

    def __init__(self, problem: Problem, faults: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.faults = faults


class Faults:
    """The errors of a batch file, collected so that a user sees more than the first."""

    def __init__(self, name: str) -> None:
        self.name = shorten(name, _NAME_LENGTH)
        self._found: list[tuple[int, str, str]] = []
        self.count = 0

    def add(self, line: int, what: str, advice: str = "") -> None:
        """Record an error. Raises `BatchFileError` where there are so many that it must be another file."""
        self.count += 1
        if len(self._found) < _SHOWN_FAULTS:
            self._found.append((line, what.rstrip("."), advice))
        if self.count >= _MOST_FAULTS:
            self.check()

    def add_error(self, line: int, error: ImgcliError) -> None:
        """Record a problem as one of this line."""
        self.add(line, error.problem.what, error.problem.advice)

    def check(self) -> None:
        """Raise `BatchFileError` if there is an error."""
        if not self.count:
            return
        found = sorted(self._found, key=lambda fault: fault[0])
        sentences = [f"Line {line} of {self.name}: {what}." for line, what, _ in found]
        if self.count == 1:
            raise BatchFileError(Problem(ExitCode.USAGE, sentences[0], Charged.NO, found[0][2]))
        lines = tuple(
            " ".join(filter(None, [sentence, advice]))
            for sentence, (_, _, advice) in zip(sentences, found, strict=True)
        )
        count = f"at least {self.count:,}" if self.count >= _MOST_FAULTS else f"{self.count:,}"
        what = f"{self.name} has {count} errors, the first on line {found[0][0]}."
        advice = "" if self.count <= len(found) else f"These are the first {len(found)}."
        raise BatchFileError(Problem(ExitCode.USAGE, what, Charged.NO, advice), lines)


def read_rows(data: bytes, name: str, ending: str, faults: Faults) -> list[BatchRow]:
    """Parse the rows of a batch file; `name` is its name in messages, `ending` that of its file or empty.

    Errors of a row are added to `faults`. Raises `ImgcliError` (usage) for what is not a batch file.
    """
    text = _decoded(data, name)
    row_format = _ENDINGS.get(ending.lower()) or _guessed(text)
    rows = list(_READERS[row_format](text, faults))
    if not rows and not faults.count:
        what = (
            "has a header and no rows" if row_format is RowFormat.CSV and text.strip() else "has no prompts"
        )
        raise usage_error(f"{shorten(name, _NAME_LENGTH)} {what}.", "Write one image a line.")
    return rows


def _decoded(data: bytes, name: str) -> str:
    """Read UTF-8 text as editors write it. Raises `ImgcliError` (usage), with the line."""
    shown = shorten(name, _NAME_LENGTH)
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise usage_error(f"{shown} is empty.", "Write one prompt per line, or rows of CSV or JSON Lines.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise usage_error(f"{shown} is UTF-16 text.", "Save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise usage_error(f"Line {line} of {shown}: This is not UTF-8 text.", "Save it as UTF-8.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise usage_error(f"Line {line} of {shown}: There is a NUL character; is it a text file?")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _guessed(text: str) -> RowFormat:
    """Guess the format from the first line, for a file whose name does not say it."""
    first = _first_line(text)
    if first.startswith(("{", "[")):
        try:
            value = json.loads(first)
        except (ValueError, RecursionError):
            is_json = first == "[" or first.startswith(('{"', '[{"'))
            return RowFormat.JSON_LINES if is_json else RowFormat.TEXT
        return RowFormat.JSON_LINES if isinstance(value, dict | list) else RowFormat.TEXT
    header = [cell.strip().strip('"').lower() for cell in first.split(_delimiter(first))]
    return RowFormat.CSV if PROMPT in header else RowFormat.TEXT


def _first_line(text: str) -> str:
    return text.lstrip().partition("\n")[0].rstrip()


def _text_rows(text: str, faults: Faults) -> Iterator[BatchRow]:
    """Yield a row for every line that is neither blank nor a comment."""
    for number, line in enumerate(text.split("\n"), 1):
        prompt = line.strip()
        if not prompt or prompt[0] == "#":
            continue
        if len(prompt) > LONGEST_LINE:
            faults.add(number, _too_long())
            continue
        yield BatchRow(number, {PROMPT: prompt})


def _too_long() -> str:
    return f"The line is longer than {LONGEST_LINE:,} characters."


def _json_rows(text: str, faults: Faults) -> Iterator[BatchRow]:
    """Yield the objects, one a line; values that are null or empty are not set."""
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line:
            continue
        if len(line) > LONGEST_LINE:
            faults.add(number, _too_long())
            continue
        try:
            value = decoder.decode(line)
        except json.JSONDecodeError as error:
            if line == "[" or (line[0] == "[" and number == 1):
                faults.add(number, "This is one JSON list, not JSON Lines.", "Convert it: jq -c '.[]' FILE")
                return
            faults.add(number, f"This is not valid JSON ({error.msg}, column {error.colno}).", _EXAMPLE)
            continue
        except RecursionError:
            faults.add(number, "The JSON is nested too deeply.", _EXAMPLE)
            continue
        except ImgcliError as error:
            faults.add_error(number, error)
            continue
        if isinstance(value, dict):
            yield BatchRow(number, value)
        elif isinstance(value, list) and number == 1:
            faults.add(number, "This is a JSON list, not JSON Lines.", "Convert it: jq -c '.[]' FILE")
            return
        else:
            faults.add(number, "This is not a JSON object.", _EXAMPLE)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object without what is not set. Raises `ImgcliError` (usage) for a key given twice."""
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise usage_error(f"The key {shorten(twice, _NAME_LENGTH)} is there twice.")
    if None in values.values() or "" in values.values():
        return {name: value for name, value in pairs if value is not None and value != ""}
    return values


def _delimiter(line: str) -> str:
    """Return what separates the cells: a comma, or what spreadsheets write in some countries."""
    return max(_DELIMITERS, key=lambda one: (line.count(one), one == ","))


def _csv_rows(text: str, faults: Faults) -> Iterator[BatchRow]:
    """Yield the rows under a header; empty cells are not set."""
    lines = (f"{line}\n" for line in text.split("\n"))
    delimiter = _delimiter(_first_line(text))
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    columns = list[str]()
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _header(cells, line, faults)
                continue
            if len(cells) > len(columns) and any(cells[len(columns) :]):
                what = f"The row has {len(cells)} cells, and the header has {len(columns)}."
                faults.add(line, what, 'Put quotes around a text with a comma: "a cat, at night".')
                continue
            values = {name: cell for name, cell in zip(columns, cells, strict=False) if cell.strip()}
            if values.pop("", None):
                faults.add(line, "A cell has text, and its column has no name in the header.")
                continue
            yield BatchRow(line, values)
    except csv.Error as error:
        faults.add(start, _csv_fault(str(error)), 'A quote inside quotes is written twice: "a ""big"" cat".')


def _csv_fault(error: str) -> str:
    """Return the parser's message in our words."""
    if "unexpected end of data" in error:
        return "A text in quotes starts here and does not end."
    if "field limit" in error:
        return f"A cell is longer than {csv.field_size_limit():,} characters."
    return f"The quotes are wrong ({error})."


def _header(cells: list[str], line: int, faults: Faults) -> list[str]:
    """Return the names of the columns; those without one are dropped where all their cells are empty."""
    names = [normal_name(cell) for cell in cells]
    for name, count in Counter(names).items():
        if name and count > 1:
            faults.add(line, f"The header has the column {shorten(name, _NAME_LENGTH)} twice.")
    faults.check()
    return names


_READERS = {
    RowFormat.JSON_LINES: _json_rows,
    RowFormat.CSV: _csv_rows,
    RowFormat.TEXT: _text_rows,
}

"""The input file of a batch, validated as OpenAI does."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


LARGEST_FILE = 200 * 1024 * 1024
"""Bytes of an input file, by OpenAI's guide."""
MOST_REQUESTS = 50_000
"""Requests of one batch, by the same guide."""


def check_input(path: Path, endpoint: str) -> tuple[list[int], list[dict[str, object]]]:
    """Return where the requests of an input file begin, and what is wrong with them."""
    starts: list[int] = []
    faults: list[dict[str, object]] = []
    names: set[str] = set()
    models: set[str] = set()
    if path.stat().st_size > LARGEST_FILE:
        return [], [_fault("file_too_large", f"The input file is larger than {LARGEST_FILE} bytes.", None)]
    with path.open("rb") as file:
        for number, (start, line) in enumerate(_lines(file.readline), 1):
            if found := _fault_of(line, endpoint, names, models):
                faults.append(_fault(*found, number))
            starts.append(start)
    if not starts:
        faults.append(_fault("empty_file", "The input file is empty.", None))
    if len(starts) > MOST_REQUESTS:
        message = f"The input file has {len(starts)} requests, more than {MOST_REQUESTS}."
        faults.append(_fault("too_many_tasks", message, None))
    return starts, faults


def _lines(readline: Callable[[], bytes]) -> Iterator[tuple[int, bytes]]:
    start = 0
    while line := readline():
        if line.strip():
            yield start, line
        start += len(line)


def _fault(code: str, message: str, line: int | None) -> dict[str, object]:
    return {"code": code, "message": message, "param": None, "line": line}


def _fault_of(line: bytes, endpoint: str, names: set[str], models: set[str]) -> tuple[str, str] | None:
    """Return the code and the message for what is wrong with a line; record its id and its model."""
    row: object = None
    with suppress(ValueError, RecursionError):
        row = json.loads(line)
    if not isinstance(row, dict):
        return "invalid_json_line", "This line is not parseable as valid JSON."
    name, body = row.get("custom_id"), row.get("body")
    model = str(body.get("model")) if isinstance(body, dict) else ""
    is_streamed = isinstance(body, dict) and bool(body.get("stream"))
    faults = (
        ("custom_id", "missing_required_parameter", not isinstance(name, str) or not name),
        (f"The custom_id '{name}' is not unique.", "duplicate_custom_id", str(name) in names),
        ("The method must be POST.", "invalid_method", row.get("method") != "POST"),
        (f"The URL does not match the endpoint '{endpoint}'.", "invalid_url", row.get("url") != endpoint),
        ("body", "missing_required_parameter", not isinstance(body, dict)),
        ("Streaming is not supported.", "invalid_request", is_streamed),
        ("All requests must name the same model.", "mismatched_model", bool(models - {model})),
    )
    names.add(str(name))
    models.add(model)
    for what, code, is_wrong in faults:
        if is_wrong:
            return code, f"Missing required parameter: '{what}'." if " " not in what else what
    return None

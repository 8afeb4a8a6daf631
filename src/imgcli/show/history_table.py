"""Remembered runs: a line each for people, an object each for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgcli.core.bill import dollars
from imgcli.core.entry import OK
from imgcli.core.errors import ExitCode
from imgcli.core.text import clean, shorten
from imgcli.show.columns import GAP, cut_end, cut_start, left, right, widths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from pathlib import Path

    from imgcli.core.bill import Row
    from imgcli.core.entry import Entry, KeptPicture

_LONGEST = 1500
"""Characters of a prompt or a path where no terminal's width says how much is readable."""
_NARROWEST = 12
"""Columns below which a path tells nothing."""


@dataclass(frozen=True)
class Places:
    """From where paths are looked at: the current folder and the home, None where there is none."""

    here: Path | None
    home: Path | None

    def brief(self, path: Path) -> str:
        """Spell a path as somebody in the current folder would."""
        if self.here and path.is_relative_to(self.here):
            return str(path.relative_to(self.here))
        if self.home and path.is_relative_to(self.home):
            return f"~/{path.relative_to(self.home)}"
        return str(path)


def history_lines(entries: Sequence[Entry], places: Places, columns: int | None) -> list[str]:
    """Write a line a run: id, when, what it cost, how it ended where not well, prompt, path.

    They fit into so many columns; None is for a reader that is no terminal, and cuts next to nothing.
    """
    if not entries:
        return []
    told = [_told(entry) for entry in entries]
    wide = widths(told)
    kept = [index for index, width in enumerate(wide) if width]
    heads = [
        GAP.join((right if index != _OUTCOME else left)(row[index], wide[index]) for index in kept)
        for row in told
    ]
    rest = None if columns is None else max(columns - 1 - len(heads[0]) - len(GAP), 0)
    prompts = [shorten(entry.prompt, _LONGEST) or "-" for entry in entries]
    paths = [_path(entry, places) for entry in entries]
    return [
        f"{head}{GAP}{tail}".rstrip() for head, tail in zip(heads, _tails(prompts, paths, rest), strict=True)
    ]


_OUTCOME = 3
"""Which of the leading columns holds words."""


def _told(entry: Entry) -> tuple[str, str, str, str]:
    when = f"{entry.started.astimezone():%Y-%m-%d %H:%M}"
    return str(entry.number), when, cost_words(entry), outcome_words(entry)


def outcome_words(entry: Entry) -> str:
    """Name what went wrong; beside a cost that is unknown the kind `unknown` would say nothing."""
    if entry.outcome == OK:
        return ""
    is_unknown = entry.outcome == ExitCode.UNKNOWN.kind
    return "no picture" if is_unknown and not entry.pictures else shorten(entry.outcome, _NARROWEST)


def cost_words(entry: Entry) -> str:
    """Say what a run cost, with a plus where it was at least that."""
    if entry.is_demo:
        return "demo"
    if not entry.billed:
        return "free"
    return f"{dollars(entry.known)}+" if entry.cost is None and entry.known else dollars(entry.cost)


def _path(entry: Entry, places: Places) -> str:
    paths = [clean(places.brief(picture.path)) for picture in entry.pictures if picture.path]
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return shorten(paths[0], _LONGEST) + more if paths else ""


def _tails(prompts: Sequence[str], paths: Sequence[str], room: int | None) -> list[str]:
    """Let prompt and path share the rest of the line; a path takes half of it at most."""
    if room is None:
        return [f"{prompt}{GAP}{path}" for prompt, path in zip(prompts, paths, strict=True)]
    half = room // 2
    (longest,) = widths([[path] for path in paths])
    beside = min(longest, half) if half >= _NARROWEST else 0
    (widest,) = widths([[prompt] for prompt in prompts])
    wide = min(widest, room - beside - len(GAP) if beside else room)
    return [
        f"{left(cut_end(prompt, wide), wide)}{GAP}{cut_start(path, beside)}"
        if beside
        else cut_end(prompt, wide)
        for prompt, path in zip(prompts, paths, strict=True)
    ]


def entry_json(entry: Entry) -> dict[str, Any]:
    """Write a run for programs, everything that is known of it; times are in UTC."""
    return {
        "id": entry.number,
        "job": entry.job,
        "started": entry.started.isoformat(),
        "ended": entry.ended.isoformat(),
        "outcome": entry.outcome,
        "message": entry.message,
        "charged": entry.charged,
        "cost_usd": _usd(entry.cost),
        "prompt": entry.prompt,
        "model": entry.model,
        "image_model": entry.image_model,
        "endpoint": entry.endpoint,
        "response_id": entry.response_id,
        "pictures": list(map(_picture_json, entry.pictures)),
        "parents": [{"sha256": parent.sha256, "role": parent.role} for parent in entry.parents],
        "charges": list(map(_charge_json, entry.charges)),
        "prices_date": entry.prices_date.isoformat() if entry.prices_date else None,
        "usage": entry.usage,
        "tool_usage": entry.tool_usage,
        "request": entry.request.to_json() if entry.request else None,
        "billed": not entry.is_free,
    }


def _picture_json(picture: KeptPicture) -> dict[str, Any]:
    width, height = picture.size or (None, None)
    return {
        "image": picture.image,
        "path": str(picture.path) if picture.path else None,
        "sha256": picture.sha256,
        "format": picture.format,
        "bytes": picture.length,
        "width": width,
        "height": height,
        "revised_prompt": picture.revised_prompt,
    }


def _charge_json(row: Row) -> dict[str, Any]:
    return {
        "part": row.part,
        "model": row.model,
        "tokens_in": row.tokens_in,
        "cached": row.cached,
        "tokens_out": row.tokens_out,
        "partials": row.partials,
        "cost_usd": _usd(row.cost),
    }


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)

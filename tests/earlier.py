"""A history that tests begin with: runs as imgcli records them, without running it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.core.history import HistoryEntry, SavedImage
from imgcli.core.params import Api, Quality
from imgcli.core.request import ImageRequest
from imgcli.store.history.repository import History

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = "127.0.0.1:9"
"""A server that nobody asks: for --dry-run."""
AT = ("--base-url", f"http://{PLACE}/v1", "--dry-run")
REQUEST = ImageRequest("a cat", "gpt-6-luna", Api.RESPONSES, size="1536x1024", quality=Quality.LOW)
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def sha(data: bytes) -> str:
    """Name bytes as the history does."""
    return hashlib.sha256(data).hexdigest()


def history(world: Mapping[str, str]) -> History:
    """Open the history that commands in this world have."""
    folder = Path(world["XDG_DATA_HOME"]) / "imgcli"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return History(folder)


def remember(world: Mapping[str, str], *images: tuple[bytes, Path | None], **fields: Any) -> HistoryEntry:
    """Record a run that brought images, each with its file, None for one that was never saved."""
    kept = tuple(SavedImage(n, sha(data), len(data), path) for n, (data, path) in enumerate(images))
    for data, path in images:
        if path:
            path.write_bytes(data)
    with history(world) as book:
        count = len(book.numbers())
        began = BEGAN + timedelta(minutes=count)
        told: dict[str, Any] = {
            "prompt": "a cat",
            "request": REQUEST,
            "endpoint": PLACE,
            "response_id": f"resp_{count + 1}",
        }
        told |= {"job": f"job-{count}", "started": began, "ended": began, **fields}
        return book.record(HistoryEntry(images=kept, **told))


def runs(world: Mapping[str, str]) -> list[HistoryEntry]:
    """Read every run, the newest first."""
    with history(world) as book:
        return list(book.entries())

"""How fast the history is over 100,000 stored runs, as ratios to `import typer` in one run.

Usage: python bench/history.py [ROUNDS [RUNS]]. Prints a table; every row names its target.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import Part, Row
from imgcli.core.formats import png
from imgcli.core.history import HistoryEntry, Parent, SavedImage
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from imgcli.store.history.repository import History

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = [str(Path(sys.executable).with_name("imgcli"))]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PROMPT = "a cat on a wall in the style of a woodcut, seen from below, in the rain, number "
COMPLETING = "from imgcli.cli.completion import history_ids; assert history_ids('99')"

NUMBER = 995
"""The run that is asked for, in the middle of its family."""
GENERATIONS = 10
"""How many runs descend from each other."""

MULTIPLY = """
WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :runs)
INSERT INTO runs ({columns}) SELECT {values} FROM n, runs WHERE runs.id = 1
"""
PARTS = {
    "pictures": "printf('%064x', run.id)",
    "parents": f"printf('%064x', CASE WHEN run.id % {GENERATIONS} THEN run.id - 1 ELSE -run.id END)",
    "charges": None,
}


def entry(number: int) -> HistoryEntry:
    """Build a run as large as they are."""
    usage = {"input_tokens": 2941, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 249}
    prompt = f"{PROMPT}{number}"
    return HistoryEntry(
        job=f"job-{number}",
        started=BEGAN,
        ended=BEGAN,
        prompt=prompt,
        request=ImageRequest(prompt, "gpt-4o-mini", Api.RESPONSES, size="1024x1024", partials=3),
        model="gpt-4o-mini-2024-07-18",
        image_model="gpt-image-2.6-sunburst",
        endpoint="api.openai.com",
        response_id="resp_" + "0" * 48,
        usage=usage,
        tool_usage={"image_gen": usage | {"total_tokens": 3190}},
        cost=Decimal("0.06220535"),
        prices_date=BEGAN.date(),
        images=(
            SavedImage(0, "0" * 64, 1_700_000, Path("/home/me/a-cat.png"), ImageFormat.PNG, (1, 1), prompt),
        ),
        charges=(
            Row(Part.TEXT, "gpt-4o-mini", 2941, 0, 249, None, Decimal("0.0004"), Decimal("0.0001")),
            Row(Part.IMAGE, "gpt-image-2.6-sunburst", 9, None, 2060, 3, Decimal("0.0001"), Decimal("0.06")),
        ),
        parents=(Parent("1" * 64),),
    )


def fill(folder: Path, runs: int) -> None:
    """Record one run through the store, and multiply it inside the database."""
    with History(folder) as history:
        history.record(entry(1))
    with closing(sqlite3.connect(folder / "history.sqlite3")) as raw, raw:
        columns = [name for _, name, *_ in raw.execute("PRAGMA table_info(runs)") if name != "id"]
        told = {
            "job": "'job-' || i",
            "prompt": "prompt || i",
            "cost": "'0.0' || (6220535 + 7 * i)",
            "started": "strftime('%Y-%m-%dT%H:%M:%S.000+00:00', '2026-01-01', i || ' minutes')",
        }
        values = [told.get(name, name) for name in columns]
        raw.execute(MULTIPLY.format(columns=", ".join(columns), values=", ".join(values)), {"runs": runs})
        for table, sha256 in PARTS.items():
            copied = [name for _, name, *_ in raw.execute(f"PRAGMA table_info({table})") if name != "run"]
            shown = [sha256 if name == "sha256" and sha256 else f"part.{name}" for name in copied]
            raw.execute(
                f"INSERT INTO {table} (run, {', '.join(copied)}) SELECT run.id, {', '.join(shown)}"  # noqa: S608
                f" FROM runs AS run, {table} AS part WHERE run.id > 1 AND part.run = 1"
            )


def keep_image(folder: Path, number: int) -> Path:
    """Write an image that one of the runs brought."""
    path = folder / "renamed.png"
    path.write_bytes(image())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with closing(sqlite3.connect(folder / "history.sqlite3")) as raw, raw:
        raw.execute("UPDATE pictures SET sha256 = ? WHERE run = ?", [digest, number])
    return path


def image() -> bytes:
    """Make a PNG of 1.7 MB, of noise."""
    rows = b"".join(b"\0" + os.urandom(3 * 752) for _ in range(752))
    header = struct.pack(">IIBBBBB", 752, 752, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return png.SIGNATURE + b"".join(png.encode(*chunk) for chunk in chunks)


def timed(command: list[str], env: dict[str, str]) -> float:
    """Run a process with its output thrown away; gives seconds."""
    started = time.perf_counter()
    subprocess.run(
        command,
        env=env,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return time.perf_counter() - started


def recorded(folder: Path, number: int) -> float:
    """Record one more run, from opening the file to closing it; gives seconds."""
    one = replace(entry(number), job=f"new-{number}-{os.getpid()}")
    started = time.perf_counter()
    with History(folder) as history:
        history.record(one)
    return time.perf_counter() - started


def cases(env: dict[str, str], folder: Path, file: Path, stranger: Path) -> dict[str, Callable[[int], float]]:
    """List what is timed; each is called with the round's number."""

    def process(*command: str) -> Callable[[int], float]:
        return lambda _: timed(list(command), env)

    return {
        "import typer": process(sys.executable, "-c", "import typer"),
        "imgcli history": process(*COMMAND, "history"),
        "history ids for a Tab": process(sys.executable, "-c", COMPLETING),
        "imgcli info FILE": process(*COMMAND, "info", str(file)),
        "imgcli info ID": process(*COMMAND, "info", str(NUMBER)),
        "imgcli tree ID": process(*COMMAND, "tree", str(NUMBER)),
        "info FILE, unknown": process(*COMMAND, "info", str(stranger)),
        "imgcli --version": process(*COMMAND, "--version"),
        "history --search, no match": process(*COMMAND, "history", "--search", "nowhere to be found"),
        "imgcli cost": process(*COMMAND, "cost"),
        "recording a run": lambda number: recorded(folder, number),
    }


TARGETS = dict.fromkeys(
    (
        "imgcli history",
        "history ids for a Tab",
        "imgcli info FILE",
        "imgcli info ID",
        "imgcli tree ID",
    ),
    2.0,
) | {"imgcli cost": 3.0}
MOST_MS = 20.0


def main() -> None:
    """Fill a history, measure round after round, report."""
    told = [int(word) for word in sys.argv[1:]]
    rounds, runs = (*told, *(9, 100_000)[len(told) :])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "imgcli"
        fill(folder, runs)
        size = (folder / "history.sqlite3").stat().st_size
        print(f"{runs:,} runs, {size / 1e6:.0f} MB, {rounds} rounds\n")
        file = keep_image(folder, NUMBER)
        stranger = folder / "stranger.png"
        stranger.write_bytes(image())
        env = {"PATH": os.environ["PATH"], "HOME": name, "XDG_DATA_HOME": name, "LANG": "C.UTF-8"}
        seconds: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            for title, case in cases(env, folder, file, stranger).items():
                taken = case(number)
                if number:  # the first round warms the caches
                    seconds.setdefault(title, []).append(taken)
    report(seconds)


def report(seconds: dict[str, list[float]]) -> None:
    """Print medians, and ratios within each round beside their targets."""
    print(f"{'':28} {'median':>10} {'ratio':>7} {'target':>8}")
    for title, taken in seconds.items():
        pairs = zip(taken, seconds["import typer"], strict=True)
        ratio = statistics.median(one / base for one, base in pairs)
        median = statistics.median(taken) * 1000
        if title in TARGETS:
            most = TARGETS[title]
            verdict = f"{most:8.2f}  {'reached' if ratio <= most else 'MISSED'}"
        elif title == "recording a run":
            verdict = f"{MOST_MS:5.0f} ms  {'reached' if median <= MOST_MS else 'MISSED'}"
        else:
            verdict = ""
        print(f"{title:28} {median:7.1f} ms {ratio:7.2f} {verdict}")


if __name__ == "__main__":
    main()

"""What the promise is worth, in figures: the fault harness in its long form.

Usage: python bench/reliability.py [KILLS] [--workers N]. Prints the table of docs/reliability.md, and
whatever did not hold; ends with 1 when anything was lost, sent twice, or not as promised. Traffic goes to
loopback only.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from faults import injection, products
from faults.harness import expectations, play
from faults.invariants import nothing_is_lost, sent_once, violations
from faults.kills import killed
from faults.rows import ROWS, Row
from faults.signals import MOMENTS, SIGNALS, stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.invariants import Evidence

MUTATIONS = 4000
_KILLED = -9


@dataclass(frozen=True)
class Task:
    """One scenario to play, and what it counts as."""

    kind: str
    row: Row
    strict: bool = True
    """Whether the row says how it ends."""


@dataclass
class Verdict:
    """What came of a task."""

    task: Task
    lost: bool = False
    doubled: bool = False
    died: bool = False
    memory: float = 0.0
    wrong: list[str] = field(default_factory=list)


def judge(task: Task) -> Verdict:
    """Play one scenario in a folder of its own."""
    verdict = Verdict(task)
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = play(task.row, Path(folder) / "room")
        except AssertionError as error:
            verdict.wrong.append(f"{error}")
            return verdict
    _weigh(verdict, seen)
    return verdict


def _weigh(verdict: Verdict, seen: Evidence) -> None:
    wrong = violations(seen) + (list(expectations(seen)) if verdict.task.strict else [])
    verdict.lost = any(said.startswith("0 copies") for said in nothing_is_lost(seen))
    verdict.doubled = any("POST" in said for said in sent_once(seen))
    verdict.died = seen.ended.exit_code == _KILLED
    verdict.memory = max(ended.memory for ended in (seen.ended, *seen.recoveries))
    verdict.wrong = wrong


def scenarios() -> Iterator[Task]:
    """List every scenario that is written down."""
    yield from (Task("scenarios run", row) for row in ROWS.values() if not row.xfail)
    yield from (Task("scenarios run", stopped(*pair)) for pair in product(SIGNALS, MOMENTS))


def sweep() -> Iterator[Task]:
    """List every injection: each fault in each call of a run, and death in the calls of a recovery."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder) / "room"
        points = injection.points(injection.trace(room), str(room))
    for point, how in product(points, (*injection.FAULTS, *injection.RARE_FAULTS)):
        yield Task("injections survived", injection.injected(point, how), strict=False)
    [naming] = [point for point in points if point.call == "link"]
    for call, number in product(injection.CALLS, range(1, 9)):
        yield Task("injections survived", injection.recovery_dies(naming, call, number), strict=False)


def bad_inputs() -> Iterator[str]:
    """Read every cut of an answer in every framing, and thousands of mutations; a line for each input."""
    for newline, chunk in product(products.NEWLINES, products.CHUNKS):
        for whole, body in products.cuts(newline):
            yield "; ".join(products.refuted(whole, body, chunk))
    for body in products.mutations(1, MUTATIONS):
        yield "" if len(products.read(body, 700)[1]) == 1 else "a mutation ended more or less than once"


def report(verdicts: list[Verdict], inputs: list[str], seconds: float) -> int:
    """Print the table and what did not hold."""
    count = Counter(verdict.task.kind for verdict in verdicts if not verdict.wrong)
    kills = [verdict for verdict in verdicts if verdict.task.kind == "kills survived"]
    lost, doubled = sum(v.lost for v in verdicts), sum(v.doubled for v in verdicts)
    rows = {
        "scenarios run": sum(verdict.task.kind == "scenarios run" for verdict in verdicts),
        "kills survived": f"{count['kills survived']} ({sum(v.died for v in kills)} of them in the middle)",
        "injections survived": count["injections survived"],
        "bad inputs tried": f"{len(inputs):,}",
        "images lost": lost,
        "requests sent twice": doubled,
        "most memory": f"{max((v.memory for v in verdicts), default=0):.0f} MB",
    }
    print("| what | how many |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    wrong = [f"{v.task.row.name} {v.task.row.strace}: {said}" for v in verdicts for said in v.wrong]
    wrong += [said for said in inputs if said]
    known = [row.name for row in ROWS.values() if row.xfail]
    print(f"\n{seconds:.0f} s; known faults, not counted: {', '.join(known) or 'none'}")
    for line in wrong:
        print(f"WRONG {line}")
    return 1 if wrong or lost or doubled else 0


def heed_signals() -> None:
    """Take the signals that a shell lets its background jobs ignore, and with them every process of ours."""
    for signum in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(signum, signal.SIG_DFL)


def main() -> int:
    """Play everything, two at a time."""
    parser = argparse.ArgumentParser(description="The fault harness in its long form.")
    parser.add_argument("kills", nargs="?", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    told = parser.parse_args()
    started = time.monotonic()
    tasks = [*scenarios(), *sweep()]
    tasks += [Task("kills survived", killed(seed), strict=False) for seed in range(1000, 1000 + told.kills)]
    with get_context("spawn").Pool(told.workers, heed_signals) as pool:
        verdicts = list(pool.imap_unordered(judge, tasks))
    return report(verdicts, list(bad_inputs()), time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())

"""Prints what the preview costs beside chafa and timg, all in one run: python bench/rivals.py.

How close it comes is in `bench/fidelity.py`; details are in `bench/blocks_speed.py` and `bench/preview.py`.
Times are medians of runs taken in turn, so that all share the machine's noise.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parent.parent))  # Python itself adds the script's own folder

from bench import blocks_speed, fidelity, preview
from bench.images import portrait

from imgcli.core.params import PreviewProtocol
from imgcli.output.terminal.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
CHAFA = ["chafa", "-f", "symbols", "-c", "full", "-s", f"{fidelity.COLUMNS}x{fidelity.ROWS}"]
TIMG = ["timg", "-pq", f"-g{fidelity.COLUMNS}x{fidelity.ROWS}"]


@dataclass(frozen=True, slots=True)
class Row:
    """One target: what we reach, what the others do, and whether it is reached."""

    what: str
    ours: str
    chafa: str
    timg: str
    target: str
    reached: bool


def speed() -> Row:
    """The row on how long one image takes, decoding included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portrait.png"
        portrait().save(path)
        data = path.read_bytes()
        ours, chafa, timg = _in_turn(
            lambda: blocks_speed.lines(data, PreviewProtocol.BLOCKS),
            lambda: subprocess.run(
                [*CHAFA, "--symbols", "block", str(path)], capture_output=True, check=True
            ),
            lambda: subprocess.run([*TIMG, str(path)], capture_output=True, check=True),
        )
    what = "1024x1024 PNG to blocks, in the process; the others as processes"
    return Row(what, f"{ours:.1f} ms", f"{chafa:.1f} ms", f"{timg:.1f} ms", "<= chafa", ours <= chafa)


def _in_turn(*runs: Callable[[], object]) -> list[float]:
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, times in zip(runs, taken, strict=True):
            start = time.perf_counter()
            run()
            times.append(1000 * (time.perf_counter() - start))
    return [sorted(times)[ROUNDS // 2] for times in taken]


def handing_on() -> list[Row]:
    """The rows on what the protocols cost us, and on what a tick of the clock writes."""
    shown = preview.sample()
    painters = preview.painters()
    rows = []
    for name in ("kitty", "iterm2"):
        painter = painters[name][0]
        _, median, _ = preview.timed(
            lambda painter=painter: Screen().draw(
                painter.render(shown, preview.BOX), "status", preview.COLUMNS
            )  # type: ignore[misc]
        )
        what = f"{name}, a PNG of {len(shown.data) / 1e6:.1f} MB, our CPU"
        rows.append(Row(what, f"{median:.1f} ms", "-", "-", "< 10 ms", median < preview.PASS_THROUGH))
    most = max(preview.bytes_per_tick(painter, shown)[0] for painter, _ in painters.values())
    what = "bytes of a tick, the most of any rung"
    return [*rows, Row(what, f"{most}", "-", "-", f"< {preview.TICK}", most < preview.TICK)]


def main() -> int:
    """Prints the table; ends with 1 when a target is missed."""
    if missing := [program for program in ("chafa", "timg") if not shutil.which(program)]:
        print(f"to be compared with: apt-get install {' '.join(missing)}")
        return 2
    rows = [speed(), *handing_on()]
    print(f"{fidelity.COLUMNS}x{fidelity.ROWS} cells, truecolor\n")
    print("| | ours | chafa | timg | target | reached |\n|---|---|---|---|---|---|")
    for row in rows:
        answer = "yes" if row.reached else "NO"
        print(f"| {row.what} | {row.ours} | {row.chafa} | {row.timg} | {row.target} | {answer} |")
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

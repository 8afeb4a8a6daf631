"""How fast a batch is, as ratios in one run: against a server that takes 1 s an image, and `import typer`.

The ideal is what the server needs for the images, and one start: the time until it got the first request.

Usage: python bench/batch.py [IMAGES]. Prints a table; every row names its target. Traffic goes to loopback;
the images are 1024x1024 PNGs of 1.7 MB.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pipe, Process, Value
from pathlib import Path
from typing import TYPE_CHECKING

from speed import IMGCLI, natural_png, timed, timed_on_pty  # type: ignore[import-not-found]  # beside us

import streams
from wire import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.sharedctypes import Synchronized

    from speed import Run

    from wire import Request

SECONDS = 1.0
"""How long the server takes for an image."""
CONCURRENCY = 8
MANY, FEW = 1000, 10
"""Images of the two batches whose memory is compared."""
PLANNED, RESUMED = 100_000, 10_000
ROUNDS, BATCHES = 5, 3


class ImageServer(ScriptedServer):
    """A server that notes when a batch sent its first request."""

    def __init__(self, reply: Reply, first: Synchronized[float]) -> None:
        super().__init__([reply])
        self.first = first

    def reply_to(self, request: Request, turn: int) -> Reply:
        """Note the time, unless a request came before."""
        self.first.value = self.first.value or time.monotonic()
        return super().reply_to(request, turn)


def serve(told: Connection, first: Synchronized[float]) -> None:
    """Answer every request with the same image, a second after its beginning."""
    item = streams.image_item(natural_png(1))
    head, body = (
        streams.stream(streams.created()),
        streams.stream(streams.item_done(item), streams.completed(item)),
    )
    with ImageServer(Reply(head + body, pauses=((len(head), SECONDS),)), first) as server:
        told.send(server.base_url)
        told.recv()


def prompts(path: Path, count: int) -> Path:
    """Write a batch file of so many prompts."""
    path.write_text("".join(f"a cat, number {number}\n" for number in range(count)))
    return path


def finish(path: Path, count: int, env: dict[str, str], folder: Path) -> None:
    """Write the state of a batch that is done, with the tasks that a dry run names."""
    import json

    prompts(path, count)
    command = [*IMGCLI, "batch", str(path), "--dry-run", "--jsonl"]
    planned = subprocess.run(command, env=env, cwd=folder, check=True, capture_output=True, text=True).stdout
    lines = [json.dumps({"imgcli_batch": 1, "input": path.name})]
    for number, line in enumerate(planned.splitlines()):
        task, job = json.loads(line)["task"], f"20261129-120000-{number:08x}"
        lines.append(json.dumps({"task": task, "status": "sent", "job": job, "bound_usd": "0.1"}))
        saved = {
            "task": task,
            "status": "saved",
            "job": job,
            "paths": [f"/images/{number}.png"],
            "cost_usd": 0.05,
        }
        lines.append(json.dumps({**saved, "seconds": 20.1}))
    path.with_name(f"{path.name}.imgcli.jsonl").write_text("\n".join(lines) + "\n")


class Bench:
    """The folder and the environment of one measurement; each batch has a folder of its own."""

    def __init__(self, folder: Path, url: str, first: Synchronized[float]) -> None:
        self.folder, self.first = folder, first
        home = {
            name: str(folder / name)
            for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
        }
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OPENAI_BASE_URL": url, **home}

    def batch(self, count: int, *, on_pty: bool = False) -> Run:
        """Run a batch of so many images."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            file = prompts(Path(name) / "p.txt", count)
            command = [*IMGCLI, "batch", str(file), "-o", "out/", "--concurrency", str(CONCURRENCY)]
            run = timed_on_pty if on_pty else timed
            return run([*command, *(["--plain"] if not on_pty else [])], self.env, Path(name))

    def ratio(self, *command: str) -> float:
        """Time a command against `import typer`, round after round; gives the median of the ratios."""
        ratios: list[float] = []
        for number in range(ROUNDS + 1):
            base: float = timed([sys.executable, "-c", "import typer"], self.env, self.folder).seconds
            taken: float = timed([*IMGCLI, *command], self.env, self.folder).seconds
            ratios += [taken / base] if number else []  # the first round warms the caches
        return statistics.median(ratios)

    def rows(self, images: int) -> Iterator[tuple[str, float, float]]:
        """Measure each line of the table: its title, the ratio, and the most that it should be."""
        for title, on_pty, most in (
            (f"{images} images at {CONCURRENCY}, against the ideal", False, 1.08),
            ("the same with the display on a pty", True, 1.15),
        ):
            ratios: list[float] = []
            for _ in range(BATCHES):
                self.first.value, begun = 0.0, time.monotonic()
                taken: float = self.batch(images, on_pty=on_pty).seconds
                ratios += [taken / (images / CONCURRENCY * SECONDS + self.first.value - begun)]
            yield title, statistics.median(ratios), most
        few = statistics.median(self.batch(FEW).memory for _ in range(BATCHES))
        memory = self.batch(MANY).memory / few
        yield f"memory, {MANY:,} images against {FEW}", memory, 1.2
        planned = prompts(self.folder / "planned.txt", PLANNED)
        yield (
            f"planning {PLANNED:,} rows, against import typer",
            self.ratio("batch", str(planned), "--dry-run"),
            10,
        )
        done = self.folder / "done.txt"
        finish(done, RESUMED, self.env, self.folder)
        yield f"a finished batch of {RESUMED:,}, against import typer", self.ratio("batch", str(done)), 5


def main() -> None:
    """Serve, measure, and report."""
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    here, there = Pipe()
    first: Synchronized[float] = Value("d")
    server = Process(target=serve, args=(there, first))
    server.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            for title, ratio, most in Bench(Path(name), here.recv(), first).rows(images):
                verdict = "reached" if ratio <= most else "MISSED"
                print(f"{title:54} {ratio:6.2f} {most:6.2f}  {verdict}", flush=True)
    finally:
        here.send(None)
        server.join()


if __name__ == "__main__":
    main()

"""How much memory it takes to send an image along, beside a plain run: python bench/upload.py.

Prints a table: peak memory of the process above that of a run without an image, in times the file's size.
The target is at most 3 for a file of 20 MB. Traffic goes to loopback, to a server in another process.
"""

from __future__ import annotations

import os
import sys
import tempfile
from multiprocessing import Pipe, Process
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import streams
from images import noise, smooth
from memory import peak
from wire import Reply, ScriptedServer

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

TARGET = 3.0
ROUNDS = 3
WIRES = {
    "Responses API": ["-m", "gpt-4o-mini"],
    "Images API, form": ["-m", "gpt-image-2"],
    "Images API, JSON": ["-m", "gpt-image-2", "-i", "https://pictures.example/a.png"],
}


def serve(told: Connection) -> None:
    """Answer every request with the same run, in a process of its own."""
    with ScriptedServer([Reply(streams.whole_run())]) as server:
        told.send(server.base_url)
        told.recv()


def median_peak(folder: Path, base_url: str, *args: str) -> int:
    """Run a few times, and give the peak memory in bytes."""
    env = {"HOME": str(folder), "PATH": os.environ["PATH"], "OPENAI_BASE_URL": base_url}
    command = ["gen", "a cat", "--quiet", "-o", "out.png", "--force", *args]
    return sorted(peak(folder, env, *command) for _ in range(ROUNDS))[ROUNDS // 2]


def main() -> None:
    """Measure every wire with images that compress well and badly."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = {"20 MB png, noise": noise(2580), "20 MB png, smooth": smooth(2580, 4000)}
        ours, theirs = Pipe()
        server = Process(target=serve, args=(theirs,), daemon=True)
        server.start()
        base_url: str = ours.recv()
        print(f"{'picture':<20} {'wire':<18} {'size':>9} {'above a plain run':>18} {'ratio':>6}  target")
        for title, data in images.items():
            (folder / "a.png").write_bytes(data)
            for wire, args in WIRES.items():
                plain = median_peak(folder, base_url, *args[:2])
                more = median_peak(folder, base_url, *args, "-i", "a.png") - plain
                ratio = more / len(data)
                verdict = "met" if ratio <= TARGET else "MISSED"
                sizes = f"{len(data) / 1e6:6.1f} MB {more / 1e6:15.1f} MB"
                print(f"{title:<20} {wire:<18} {sizes} {ratio:6.2f}  {TARGET:g} {verdict}")
        ours.send(None)
        server.join()


if __name__ == "__main__":
    main()

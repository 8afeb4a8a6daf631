"""How fast imgcli is, as ratios in one run: against `import typer`, the bare SDK, and a shell pipeline.

Usage: python bench/speed.py [ROUNDS]. Prints a table; every row names its target. Traffic goes to loopback.
A stream has four PNGs, three partials and the final one, which comes twice: 11 MB, or 1 MB of small ones.
"""

from __future__ import annotations

import os
import pty
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import Pipe, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import streams
from wire import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

OFF = ("--preview", "off", "--partials", "3")
HERE = Path(__file__).resolve().parent
MODULE = [sys.executable, "-m", "imgcli"]
COMMAND = [str(Path(sys.executable).with_name("imgcli"))]
IMGCLI = COMMAND if Path(COMMAND[0]).exists() else MODULE
PIPELINE = (
    'curl -sN "$OPENAI_BASE_URL/responses" -H "Authorization: Bearer $OPENAI_API_KEY"'
    ' -H "Content-Type: application/json" -d \'{"model":"gpt-4o-mini","stream":true}\''
    " | grep '^data: ' | cut -c7-"
    " | jq -r 'select(.type==\"response.output_item.done\") | .item.result // empty' | base64 -d > piped.png"
)


@dataclass(frozen=True)
class Run:
    """One process: seconds from start to end, seconds to its first byte, peak memory in MB."""

    seconds: float
    first: float
    memory: float


@dataclass(frozen=True)
class Case:
    """One thing that is timed, and how it is run."""

    name: str
    run: Callable[[], Run]


def natural_png(seed: int, side: int = 1024) -> bytes:
    """Paint an image that compresses as badly as a photo does: about 1.7 MB, 0.15 MB with a side of 300."""
    import io
    import random

    from PIL import Image

    grain = random.Random(seed)
    small = Image.frombytes("RGB", (64, 64), grain.randbytes(64 * 64 * 3))
    smooth = small.resize((side, side), Image.Resampling.BICUBIC)
    noise = Image.frombytes("RGB", (side, side), grain.randbytes(side * side * 3))
    out = io.BytesIO()
    Image.blend(smooth, noise, 0.05).save(out, "PNG", compress_level=1)
    return out.getvalue()


def recorded(side: int) -> bytes:
    """Build a run's stream: three partial images and the final one, which comes twice."""
    *partials, final = (natural_png(seed, side) for seed in range(4))
    item = streams.image_item(final)
    return streams.stream(
        streams.created(),
        *(streams.partial(index, data) for index, data in enumerate(partials)),
        streams.item_done(item),
        streams.completed(item),
    )


def serve(told: Connection) -> None:
    """Answer every request at once with the same run: one of large images, and one of small ones."""
    large, small = recorded(1024), recorded(300)
    with ScriptedServer([Reply(large)]) as one, ScriptedServer([Reply(small)]) as other:
        told.send((one.base_url, other.base_url, len(large), len(small)))
        told.recv()


def timed(command: list[str], env: dict[str, str], folder: Path, **popen: Any) -> Run:
    """Run a process with its output thrown away."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL, **popen)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Run(seconds, seconds, usage.ru_maxrss / 1024)


def timed_on_pty(command: list[str], env: dict[str, str], folder: Path) -> Run:
    """Run a process whose standard error is a terminal of 80x24, and read what it shows."""
    main, side = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=side
    )
    os.close(side)
    first = 0.0
    while True:
        try:
            data = os.read(main, 65_536)
        except OSError:
            break
        first = first or (time.perf_counter() - started if data else 0.0)
        if not data:
            break
    os.close(main)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Run(time.perf_counter() - started, first, usage.ru_maxrss / 1024)


def cases(env: dict[str, str], folder: Path, small_url: str) -> list[Case]:
    """List what is timed."""
    small = {**env, "OPENAI_BASE_URL": small_url}
    screen = {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    completing = {
        **env,
        "_IMGCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": "imgcli gen --qu",
        "COMP_CWORD": "2",
    }
    quiet = {"stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}

    def plain(command: list[str], its_env: dict[str, str] = env) -> Callable[[], Run]:
        return lambda: timed(command, its_env, folder, **quiet)

    found = [
        Case("import typer", plain([sys.executable, "-c", "import typer"])),
        Case("imgcli --help", plain([*IMGCLI, "--help"])),
        Case("imgcli --version", plain([*IMGCLI, "--version"])),
        Case("a completion", plain(IMGCLI, completing)),
        Case("gen --dry-run", plain([*IMGCLI, "gen", "a cat", "--dry-run"])),
        Case("bare SDK, small", plain([sys.executable, str(HERE / "bare_sdk.py"), "bare.png"], small)),
        Case("gen, small images", plain([*IMGCLI, "gen", "a cat", *OFF], small)),
        Case("bare SDK", plain([sys.executable, str(HERE / "bare_sdk.py"), "bare.png"])),
        Case("gen, preview off", plain([*IMGCLI, "gen", "a cat", *OFF])),
        Case("gen, blocks on a pty", lambda: timed_on_pty([*IMGCLI, "gen", "a cat"], screen, folder)),
    ]
    if all(map(shutil.which, ("curl", "jq", "base64"))):
        found.append(Case("curl | jq | base64", plain(["bash", "-c", PIPELINE])))
    return found


TARGETS = (
    # what, of which case, against which, how much at most
    ("imgcli --help", "seconds", "imgcli --help", "import typer", 1.5),
    ("imgcli --version", "seconds", "imgcli --version", "import typer", 1.5),
    ("a completion", "seconds", "a completion", "import typer", 1.2),
    ("gen --dry-run", "seconds", "gen --dry-run", "import typer", 1.6),
    ("gen, preview off", "seconds", "gen, preview off", "bare SDK", 0.38),
    ("gen, four small images", "seconds", "gen, small images", "bare SDK, small", 0.55),
    ("gen, blocks on a pty", "seconds", "gen, blocks on a pty", "bare SDK", 0.48),
    ("first status row", "first", "gen, blocks on a pty", "import typer", 2.0),
    ("peak memory, preview off", "memory", "gen, preview off", "bare SDK", 0.6),
    ("peak memory, blocks", "memory", "gen, blocks on a pty", "bare SDK", 1.3),
    ("against a shell pipeline", "seconds", "gen, preview off", "curl | jq | base64", None),
)


def measure(rounds: int, env: dict[str, str], folder: Path, small_url: str) -> dict[str, list[Run]]:
    """Run every case in turn, round after round, so that a slow moment hits all alike."""
    runs: dict[str, list[Run]] = {}
    for number in range(rounds + 1):
        for case in cases(env, folder, small_url):
            run = case.run()
            if number:  # the first round warms the caches
                runs.setdefault(case.name, []).append(run)
    return runs


def report(runs: dict[str, list[Run]]) -> None:
    """Print medians, then each ratio beside its target."""
    for name, its in runs.items():
        seconds = statistics.median(run.seconds for run in its)
        memory = statistics.median(run.memory for run in its)
        print(f"{name:28} {seconds * 1000:8.0f} ms {memory:8.0f} MB")
    print(f"\n{'':28} {'ratio':>8} {'target':>8}")
    for title, field, name, base, most in TARGETS:
        if base in runs:
            base_field = "seconds" if field == "first" else field
            ratio = statistics.median(
                getattr(a, field) / getattr(b, base_field)
                for a, b in zip(runs[name], runs[base], strict=True)
            )
            verdict = f"{most:8.2f}  {'reached' if ratio <= most else 'MISSED'}" if most else ""
            print(f"{title:28} {ratio:8.2f} {verdict}")


def main() -> None:
    """Start the server in a process of its own, measure, report."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    ours, its = Pipe()
    server = Process(target=serve, args=(its,), daemon=True)
    server.start()
    url, small_url, large, small = ours.recv()
    print(f"streams of {large / 1e6:.1f} and {small / 1e6:.1f} MB, {rounds} rounds\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"PATH": os.environ["PATH"], "HOME": name, "LANG": "C.UTF-8"}
        report(measure(rounds, {**env, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "bench"}, folder, small_url))
    ours.send(None)
    server.join(2)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()

"""What scripts do to a command: capture it, pipe it, close its streams, fill its disk."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE, running, wait_for
from imgcli.core.embedded import EmbeddedParameters, embed
from streams import BLUE, RED, whole_run
from warm_shell import warm_programs
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(server: Server, world: dict[str, str], folder: Path) -> Iterator[Shell]:
    """Run a bash script in which `imgcli` is the real command and the server answers well."""
    wire = server(Reply(whole_run()))

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=world | {"OPENAI_BASE_URL": wire.base_url, "PATH": f"{programs}:{world['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    with warm_programs(world) as programs:
        yield run


def test_capturing_the_path(shell: Shell, folder: Path) -> None:
    """`f=$(imgcli gen "a cat")` captures the path and nothing else."""
    done = shell('f=$(imgcli gen "a cat"); echo "$?:$f"')
    assert f"0:{folder}/a-cat.png\n" == done.stdout


def test_a_pipe_that_became_a_file(server: Server, world: dict[str, str], folder: Path) -> None:
    """A file that took the place of the pipe that -o named is not written over: the image goes elsewhere."""
    pipe = folder / "out"
    os.mkfifo(pipe)
    wire = server(Reply(whole_run(), holds=(200,)))
    with running(wire, world, folder, "-o", "out") as process:
        wait_for(lambda: wire.requests)
        pipe.unlink()
        pipe.write_bytes(b"precious, and longer than nothing")
        wire.go_on()
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (10, b"precious, and longer than nothing") == (process.returncode, pipe.read_bytes()), stderr
    assert RED == Path(stdout.decode().strip()).read_bytes()


@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param("<&- 2>&-", id="both"),
        pytest.param("2>/dev/full", id="full"),
        pytest.param("2>/dev/null", id="null", marks=pytest.mark.slow),
        pytest.param("2>&-", id="closed", marks=pytest.mark.slow),
        pytest.param("<&-", id="in", marks=pytest.mark.slow),
    ],
)
def test_whatever_stderr_is(redirection: str, shell: Shell, folder: Path) -> None:
    """With stderr closed, full or thrown away, the path and the file are as ever."""
    done = shell(f'f=$(imgcli gen "a cat" {redirection}); echo "$?:$f"')
    assert f"0:{folder}/a-cat.png\n" == done.stdout
    assert RED == (folder / "a-cat.png").read_bytes()


@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param("2>/dev/full", id="full"),
        pytest.param("2>&-", id="closed", marks=pytest.mark.slow),
        pytest.param("<&-", id="in", marks=pytest.mark.slow),
    ],
)
def test_bytes_on_standard_output(redirection: str, shell: Shell, folder: Path) -> None:
    """`-o - > x.png` gives exactly the image's bytes, also when stderr or stdin are unusable."""
    done = shell(f'imgcli gen "a cat" -o - {redirection} > x.png; echo $?')
    assert ("0\n", RED) == (done.stdout, (folder / "x.png").read_bytes())


def test_stdout_closed(shell: Shell, folder: Path) -> None:
    """With stdout closed from the start the image is saved, and nothing is printed into it."""
    done = shell('imgcli gen "a cat" >&-; echo $?')
    assert ("0\n", RED) == (done.stdout, (folder / "a-cat.png").read_bytes())


@pytest.mark.slow
def test_stdout_closed_for_bytes(shell: Shell, folder: Path) -> None:
    """`-o -` with stdout closed is refused before anything is paid: the image would be lost."""
    done = shell('imgcli gen "a cat" -o - >&-; echo $?')
    assert ("12\n", []) == (done.stdout, list(folder.iterdir()))


def test_a_reader_that_leaves_costs_nothing(shell: Shell, folder: Path) -> None:
    """`imgcli gen ... | true` saves the image and exits 0."""
    done = shell('imgcli gen "a cat" | true; echo ${PIPESTATUS[0]}')
    assert ("0\n", RED) == (done.stdout, (folder / "a-cat.png").read_bytes())


def test_a_jsonl_reader_that_leaves(shell: Shell, folder: Path) -> None:
    """With --jsonl the image is saved first, and then we die by SIGPIPE, as a filter does."""
    done = shell('imgcli gen "a cat" --jsonl | true; echo ${PIPESTATUS[0]}')
    assert (f"{128 + signal.SIGPIPE}\n", RED) == (done.stdout, (folder / "a-cat.png").read_bytes())
    assert "Traceback" not in done.stderr


def test_a_full_stdout(shell: Shell, folder: Path) -> None:
    """When stdout cannot take the path, the image is saved, the path is on stderr, and the code says so."""
    done = shell('imgcli gen "a cat" > /dev/full; echo $? >&2')
    assert "10" == done.stderr.splitlines()[-1], done.stderr
    assert str(folder / "a-cat.png") in done.stderr
    assert RED == (folder / "a-cat.png").read_bytes()


def test_a_full_stdout_for_bytes(shell: Shell) -> None:
    """When `-o -` cannot be written, the image is kept in a file that stderr names."""
    done = shell('imgcli gen "a cat" -o - > /dev/full; echo $? >&2')
    assert "10" == done.stderr.splitlines()[-1], done.stderr
    named = [word.strip("'\".,") for word in done.stderr.split() if word.strip("'\".,").endswith(".png")]
    assert [RED] == [Path(path).read_bytes() for path in dict.fromkeys(named) if Path(path).is_file()]


@pytest.mark.parametrize(
    "args",
    [
        "strip x.png",
        "gen x --dry-run --estimate",
        "view --save images bare.png",
        "recover",
        "history",
    ],
)
def test_notes_that_nobody_can_read(args: str, shell: Shell, folder: Path) -> None:
    """A note that cannot be written is no reason to fail."""
    (folder / "bare.png").write_bytes(RED)
    (folder / "x.png").write_bytes(embed(RED, EmbeddedParameters("a cat")))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "bare.png").write_bytes(BLUE)
    done = shell(f"imgcli {args} 2>/dev/full; echo $?")
    assert "0" == done.stdout.splitlines()[-1], done.stdout


@pytest.mark.parametrize(
    ("python", "args"),
    [
        ("", "gen --help"),
        ("", "strip x.png -o -"),
        ("1", "--version"),
        ("1", "models"),
        ("1", "config path"),
        ("1", "gen x --dry-run"),
    ],
)
def test_a_full_stdout_for_anything_else(python: str, args: str, shell: Shell, folder: Path) -> None:
    """Whatever is written to a full disk ends with 12 and a sentence; it is no fault of ours."""
    (folder / "x.png").write_bytes(RED)
    done = shell(f"export PYTHONUNBUFFERED={python}; imgcli {args} > /dev/full; echo $?")
    assert "12\n" == done.stdout, done.stderr
    assert "Standard output could not be written: No space left on device." in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("args", ["--help", "gen --help", "--version"])
def test_help_into_a_reader_that_leaves(args: str, shell: Shell) -> None:
    """Help piped into a reader that has seen enough is no error and no traceback."""
    done = shell(f"imgcli {args} | true; echo ${{PIPESTATUS[0]}}")
    assert ("0\n", "") == (done.stdout, done.stderr)


def test_jq_reads_every_line(shell: Shell) -> None:
    """`| jq -r .status` prints partial, partial, partial, completed."""
    done = shell('imgcli gen "a cat" --jsonl | jq -r .status')
    assert "partial\npartial\npartial\ncompleted\n" == done.stdout

"""Help, and what is said of a command line that is wrong: as a newcomer at 80x24 meets it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer

from imgcli.cli.registry import build_app
from streams import RED, whole_run
from terminal import PtyRun
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

AT_80 = {"COLUMNS": "80", "LINES": "24"}


def commands() -> Iterator[tuple[str, ...]]:
    """List every command, and those of groups; the top is the empty one."""
    top: Any = typer.main.get_group(build_app())
    yield ()
    for name, command in top.commands.items():
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", ()))


def page(imgcli: Cli, *args: str) -> list[str]:
    """Read a help page of 80 columns."""
    done = imgcli(*args, env=AT_80)
    assert (0, "") == (done.exit_code, done.stderr)
    return done.lines


def test_a_short_page_fits_a_screen(imgcli: Cli) -> None:
    """-h has usage, examples and the way to the long page, on one screen of 80x24, for every command.

    Two rows belong to the command line above it and the prompt below it.
    """
    for command in commands():
        lines = page(imgcli, *command, "-h")
        name = " ".join(["imgcli", *command])
        assert (name, True) == (name, len(lines) <= 22)
        assert lines[0].startswith(f"Usage: {name} ")
        assert f"More: {name} --help" == lines[-1]
        assert [] == [line for line in lines if len(line) > 80]
        assert "\n\n\n" not in "\n".join(lines)
        headings = [at for at, line in enumerate(lines) if line in {"Examples:", "Options:", "Commands:"}]
        assert {lines[at - 1] for at in headings} <= {""}


@pytest.mark.slow
def test_a_long_page_fits_the_width(imgcli: Cli) -> None:
    """No line of a long page is wider than the terminal, so that tables and examples stand as written."""
    wide = {
        command: [line for line in page(imgcli, *command, "--help") if len(line) > 80]
        for command in commands()
    }
    assert {} == {command: lines for command, lines in wide.items() if lines}


def test_a_narrow_terminal(world: dict[str, str], folder: Path) -> None:
    """Help takes the width of its window, breaks lines between words, and leaves no word out."""
    env, program = world | {"TERM": "xterm-256color"}, (sys.executable, "-B", "-m", "imgcli")  # not a fork
    pages = []
    for columns in (50, 100):
        with PtyRun(["--help"], env, folder, columns=columns, rows=100, program=program) as run:
            assert 0 == run.finish()
            pages.append(run.lines[run.lines.index("Commands:") :])
    narrow, wide = (" ".join(lines).split() for lines in pages)
    assert wide == narrow


def test_a_narrow_short_page_keeps_its_examples_whole(imgcli: Cli) -> None:
    """In 50 columns the examples go without their remarks, and none is broken."""
    lines = imgcli("-h", env=AT_80 | {"COLUMNS": "50"}).lines
    assert '  imgcli edit a-cat.png "make it night"' in lines
    assert [] == [line for line in lines if len(line) > 50]


def test_a_short_page_has_what_matters(imgcli: Cli) -> None:
    """The short page of gen has the options that everybody needs, and two or three examples."""
    short, long = page(imgcli, "gen", "-h"), page(imgcli, "gen", "--help")
    text = "\n".join(short)
    assert [] == [
        one
        for one in ("-i,", "-m,", "-n,", "-s,", "--quality", "-o,", "--demo", "--max-cost")
        if one not in text
    ]
    assert 2 <= sum(line.startswith("  imgcli gen ") for line in short) <= 3
    assert ([], True) == ([line for line in short if "--timeout" in line], len(long) > 60)
    assert any("-h " in line for line in long)


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        (["help"], ["--help"]),
        (["help", "gen"], ["gen", "--help"]),
        (["help", "config", "set"], ["config", "set", "--help"]),
        (["help", "help"], ["--help"]),
        ([], ["-h"]),
        (["config"], ["config", "-h"]),
    ],
    ids=lambda args: " ".join(args) or "nothing",
)
def test_help_is_a_command(asked: list[str], same: list[str], imgcli: Cli) -> None:
    """`imgcli help COMMAND` shows that command's help; imgcli and its groups show theirs without a word."""
    assert page(imgcli, *same) == page(imgcli, *asked)


@pytest.mark.parametrize(
    ("args", "said", "advice"),
    [
        (["a cat"], 'No such command: "a cat".', 'To generate an image: imgcli gen "a cat"'),
        (["a", "cat", "--demo"], 'No such command: "a".', 'To generate an image: imgcli gen "a cat"'),
        (['a "$5" cat'], None, "To generate an image: imgcli gen 'a \"$5\" cat'"),
        (["cat " * 40], None, 'To generate an image: imgcli gen "..."'),
        (["cats"], 'No such command: "cats".', 'imgcli gen "cats"; for a list of commands: imgcli help'),
        (["histroy"], 'No such command: "histroy".', "Did you mean imgcli history?"),
        (["hist"], 'No such command: "hist".', "Did you mean imgcli history?"),
        (["generate", "a cat"], 'No such command: "generate".', "Did you mean imgcli gen?"),
        (["help", "histroy"], 'No such command: "histroy".', "Did you mean imgcli history?"),
        (["config", "shwo"], 'No such command: "shwo".', "Did you mean imgcli config show?"),
        (["config", "help"], "Did you mean imgcli config --help?", None),
        (["gen", "help"], "Did you mean imgcli gen --help?", "To use the word itself: imgcli gen -- help"),
        (["gen", "--demo", "help"], "Did you mean imgcli gen --help?", "imgcli gen -- help"),
        (["view", "help"], "Did you mean imgcli view --help?", "imgcli view -- help"),
        (["history", "help"], "Did you mean imgcli history --help?", None),
        (["gen", "a", "--qualty", "low"], "No such option: --qualty.", "Did you mean --quality?"),
        (["gen", "a", "--out", "x.png"], "No such option: --out.", "Did you mean --output?"),
        (["gen", "a", "--resolution", "9"], "No such option: --resolution.", "Did you mean --size?"),
        (["gen", "-help"], "No such option: -help.", "Did you mean --help?"),
        (["gen", "a", "-q", "-quality", "low"], "No such option: -quality.", "Did you mean --quality?"),
        (["gen", "a", "-z"], "No such option: -z.", "See imgcli gen --help."),
        ([""], 'No such command: "".', "For a list of commands: imgcli help"),
        (["gen", "a", "--zzz"], "No such option: --zzz.", "See imgcli gen --help."),
        (["gen", "a", "--seed", "3"], "The models take no seed", "Leave it out, or add --demo."),
        (["--seed", "3", "gen", "a"], "No such option: --seed.", "Put options after the command"),
        (["gen", "a", "--api-key", "sk-1"], "No such option: --api-key.", "OPENAI_API_KEY"),
        (["--demo", "gen", "a"], "No such option: --demo.", "Put options after the command"),
        (["gen", "@p.txt"], "There is a file p.txt; did you mean --prompt-file?", 'it: " @p.txt"'),
        (["edit", "p.txt", "@p.txt"], "p.txt", None),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_was_probably_meant(
    args: list[str], said: str | None, advice: str | None, imgcli: Cli, server: Server, folder: Path
) -> None:
    """2: a command line that is wrong sends nothing, and is told with what was probably meant."""
    (folder / "p.txt").write_text("a cat")
    peer = server(Reply(whole_run(RED)))
    done = imgcli(*args, env={"OPENAI_BASE_URL": peer.base_url, "OPENAI_API_KEY": "sk-x"})
    first, *rest = done.stderr.splitlines()
    assert (2, b"", 0) == (done.exit_code, done.stdout, peer.posts)
    assert said is None or said in first
    assert advice is None or advice in rest[-1]


@pytest.mark.parametrize(
    ("args", "prompt"),
    [
        (["--", "help"], "help"),
        (["help", "me"], "help me"),
        (["@nobody.txt"], "@nobody.txt"),
        (["@p.txt", "by"], "@p.txt by"),
        ([" @p.txt"], " @p.txt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_was_meant_is_sent(
    args: list[str], prompt: str, gen: Callable[..., Result], server: Server, folder: Path
) -> None:
    """A prompt that only looks like a slip is sent as it is."""
    (folder / "p.txt").write_text("a cat")
    peer = server(Reply(whole_run(RED)))
    done = gen(peer, "-m", "gpt-4o-mini", *args)
    assert (0, 1) == (done.exit_code, peer.posts), done.stderr
    assert json.dumps(prompt) in json.dumps(peer.requests[0].json)


@pytest.mark.parametrize(("command", "saves"), [("status", False), ("cancel", False), ("collect", True)])
def test_exit_codes_of_submitted_batches(imgcli: Cli, command: str, *, saves: bool) -> None:
    """Only the command that saves images has exit codes about saving them."""
    page = imgcli("help", "batch", command).stdout.decode()
    assert saves is ("0 all saved" in page)


def test_an_optional_name(imgcli: Cli) -> None:
    """An argument that can be left out stands in one pair of brackets."""
    assert "[OPTIONS] [NAME]\n" in imgcli("help", "models").stdout.decode()

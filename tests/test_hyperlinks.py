"""Saved paths are links, where a terminal is known to show them as such, and plain text everywhere else."""

from __future__ import annotations

from socket import gethostname
from typing import TYPE_CHECKING

import pytest

from imgcli.output.terminal.hyperlinks import NO_LINKS, Hyperlinks
from terminal import PtyRun

if TYPE_CHECKING:
    from pathlib import Path

KITTY = {"TERM": "xterm-kitty"}
DEMO = ("gen", "a cat", "--demo", "--seed", "1", "--preview", "off", "-o")


def run(args: tuple[str, ...], env: dict[str, str], folder: Path) -> PtyRun:
    """Return a command that ended well."""
    with PtyRun(args, env, folder, columns=200) as one:
        assert 0 == one.finish()
    return one


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("a cat.png", "a%20cat.png"),
        ("katze-ä.png", "katze-%C3%A4.png"),
        ("100%;#?.png", "100%25%3B%23%3F.png"),
    ],
)
def test_the_path_is_a_link(name: str, quoted: str, world: dict[str, str], folder: Path) -> None:
    """In kitty the saved path opens the file, whatever its name, and reads as it always did."""
    one = run((*DEMO, name), world | KITTY, folder)
    link = f"\x1b]8;;file://{gethostname()}{folder}/{quoted}\x1b\\{folder}/{name}\x1b]8;;\x1b\\"
    assert link.encode() in one.raw
    assert str(folder / name) in one.text.replace("\n", "")


@pytest.mark.parametrize(
    "env",
    [
        {"TERM": "xterm-256color"},
        {"TERM": "dumb", "KITTY_WINDOW_ID": "1"},
        KITTY | {"CI": "1"},
        {"TERM": "screen", "STY": "1", "KITTY_WINDOW_ID": "1"},
        {"TERM": "tmux-256color", "TMUX": "x", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.3a"},
    ],
)
def test_no_link_in_doubt(env: dict[str, str], world: dict[str, str], folder: Path) -> None:
    """A terminal that is not known to take links gets none; nor does the log of a CI."""
    assert b"\x1b]8" not in run((*DEMO, "a.png"), world | env, folder).raw


def test_plain_means_plain(world: dict[str, str], folder: Path) -> None:
    """With --plain there is no escape code, in any terminal."""
    assert b"\x1b]8" not in run((*DEMO, "a.png", "--plain"), world | KITTY, folder).raw


def test_colours_do_not_matter(world: dict[str, str], folder: Path) -> None:
    """NO_COLOR is about colours, as it is to ls and gcc."""
    assert b"\x1b]8;;file:" in run((*DEMO, "a.png"), world | KITTY | {"NO_COLOR": "1"}, folder).raw


def test_history_and_info(world: dict[str, str], folder: Path) -> None:
    """Whatever else names a file links to it, in full where its name is cut to the window."""
    run((*DEMO, "a.png"), world | KITTY, folder)
    link = f"\x1b]8;;file://{gethostname()}{folder}/a.png\x1b\\".encode()
    assert link in run(("history",), world | KITTY, folder).raw
    assert link in run(("info", "a.png"), world | KITTY, folder).raw


def test_a_batch_links_to_its_folder(world: dict[str, str], folder: Path) -> None:
    """The summary of a batch links to the folder of its images."""
    (folder / "rows.txt").write_text("a cat\na dog\n")
    raw = run(("batch", "rows.txt", "--demo", "--preview", "off", "-o", "out/"), world | KITTY, folder).raw
    assert f"\x1b]8;;file://{gethostname()}{folder}/out\x1b\\".encode() in raw


def test_nothing_in_a_name_ends_the_link(folder: Path) -> None:
    """Control characters and bytes of no encoding are percent-encoded in the address."""
    link = Hyperlinks("host").to(folder / "a\x1b\\\x07\udcff.png", "shown")
    assert f"\x1b]8;;file://host{folder}/a%1B%5C%07%FF.png\x1b\\shown\x1b]8;;\x1b\\" == link
    assert "shown" == NO_LINKS.to(folder, "shown")

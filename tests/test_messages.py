"""Sentences for people."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.core.messages import (
    image_facts,
    notice_line,
    partial_label,
    problem_lines,
    saved_line,
    started_line,
    unsaved_line,
    waiting_line,
)
from imgcli.core.text import duration, file_size
from showing import HOSTILE, REQUEST
from streams import created, stream
from tables import each
from terminal import PtyRun

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli


def test_what_is_asked_for() -> None:
    """The first line names model, size and quality, and the tool's model where one was chosen."""
    assert "asking gpt-4o-mini, 1024x1024, medium quality" == started_line(REQUEST)
    drawing = replace(REQUEST, image_model="gpt-image-2", size=None, quality=None)
    assert "asking gpt-4o-mini, drawing with gpt-image-2" == started_line(drawing)


@pytest.mark.parametrize(
    ("code", "charged", "sentence"),
    [
        (ExitCode.USAGE, Charged.NO, "Nothing was sent; nothing was charged."),
        (ExitCode.UNREACHABLE, Charged.NO, "Nothing was sent; nothing was charged."),
        (ExitCode.UNWRITABLE, Charged.NO, "Nothing was sent; nothing was charged."),
        (ExitCode.REFUSED, Charged.NO, "Nothing was charged."),
        (ExitCode.BUSY, Charged.NO, "Nothing was charged."),
        (ExitCode.UNKNOWN, Charged.MAYBE, "You may have been charged."),
        (ExitCode.ELSEWHERE, Charged.YES, "You were charged for this image."),
        (ExitCode.REFUSED, Charged.YES, "The text model's tokens were charged."),
    ],
)
def test_money(code: ExitCode, charged: Charged, sentence: str) -> None:
    """After every end that is not success people learn whether money may have been spent."""
    assert ["error: It broke.", sentence] == problem_lines(Problem(code, "It broke.", charged))


LOCAL = [
    ("view", "missing.png"),
    ("view", "cut.sse"),
    ("view", "cat.png", "--width", "0"),
    ("history", "--search", ""),
    ("info", "missing.png"),
    ("tree", "missing.png"),
    ("cost", "--bogus"),
    ("config", "show", "--bogus"),
    ("models", "--live", "--timeout", "0"),
    ("strip", "missing.png"),
    ("recover", "abc"),
    ("nonsense",),
]


@pytest.mark.parametrize("args", LOCAL, ids=" ".join)
def test_a_command_that_sends_nothing_is_silent_about_money(
    args: tuple[str, ...], imgcli: Cli, folder: Path
) -> None:
    """An error of a command that cannot cost anything says nothing of sending, nor of money."""
    (folder / "cut.sse").write_bytes(stream(created()))
    result = imgcli(*args)
    assert 0 != result.exit_code
    assert result.stderr.startswith("error: ")
    assert not re.search(r"sent|charged|usage page", result.stderr), result.stderr


@pytest.mark.parametrize("command", ["gen", "edit", "again"])
def test_a_command_that_sends_says_what_became_of_the_money(command: str, imgcli: Cli) -> None:
    """A wrong option of a command that sends requests is answered with: nothing was sent."""
    assert "Nothing was sent; nothing was charged." in imgcli(command, "x", "--bogus").stderr


@each("code", [code for code in ExitCode if code is not ExitCode.OK])
@each("charged", list(Charged))
def test_every_problem(code: ExitCode, charged: Charged) -> None:
    """Every problem is told in what happened, what it cost, what to do."""
    lines = problem_lines(Problem(code, "It broke.", charged, "Try again."))
    assert ("error: It broke.", "Try again.", 3) == (lines[0], lines[-1], len(lines))


def test_a_long_answer_is_cut() -> None:
    """A server's whole error page is cut to what can be read."""
    lines = problem_lines(Problem(ExitCode.REFUSED, "x" * 1_000_000))
    assert lines[0].endswith("x…")
    assert 5000 > len(lines[0])


def test_a_long_link_is_not_cut() -> None:
    """A signed link is told whole: it is the only way to the image."""
    what = f"The server answered with a link: https://example.org/{'x' * 4000}"
    assert f"error: {what}" == problem_lines(Problem(ExitCode.UNKNOWN, what))[0]


@given(st.text())
def test_always_one_safe_line(text: str) -> None:
    """Whatever the text, every line is one line without a control character."""
    problem = Problem(ExitCode.REFUSED, text, advice=text)
    lines = [notice_line(text), waiting_line(1, text), saved_line(text, [], ", "), *problem_lines(problem)]
    lines.append(started_line(replace(REQUEST, model=text, size=text, image_model=text)))
    joiners = dict.fromkeys((0x200C, 0x200D))
    assert [] == [line for line in lines if not line.translate(joiners).isprintable()]


def test_markup_is_text() -> None:
    """Markup stays what it was: characters."""
    assert "[/x][bold]" in notice_line(HOSTILE)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (4000, "1 h 06 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations are said as people say them."""
    assert text == duration(seconds)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (31_400, "31 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_740_000, "1.7 MB"),
    ],
)
def test_file_sizes(count: int, text: str) -> None:
    """Sizes are in decimal units, as file managers have them."""
    assert text == file_size(count)


def test_images() -> None:
    """A file's line has its name, its pixels where they are known, its size."""
    known = image_facts((1024, 768), 1_740_000)
    assert "saved a-cat.png · 1024x768 · 1.7 MB" == saved_line("a-cat.png", known, " · ")
    assert "not saved, 31 kB" == unsaved_line(image_facts(None, 31_000), ", ", "not saved")


def test_more_partials_than_asked_for() -> None:
    """A server that sends more partials than it was asked for is not said to send 4 of 3."""
    assert ["partial 3 of 3", "partial 4"] == [partial_label(3, 3), partial_label(4, 3)]


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"CI": "1"}, {"TERM": "dumb"}], ids=str)
def test_an_error_on_a_terminal(env: dict[str, str], world: dict[str, str], folder: Path) -> None:
    """On a terminal with colours an error begins with `error:` in red, anywhere else in plain text."""
    with PtyRun(["info", "missing.png"], world | {"TERM": "xterm-256color"} | env, folder) as run:
        assert 2 == run.finish()
    assert run.raw.startswith(b"error: " if env else b"\x1b[1;31merror:\x1b[0m "), run.raw

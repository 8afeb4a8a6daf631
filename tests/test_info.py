"""`imgcli info`: an image is known by its content, its recipe, or at least its bytes."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.embedded import embed
from imgcli.core.errors import Charged
from imgcli.core.history import HistoryEntry, Parent, Role
from imgcli.core.image import ImageFormat
from imgcli.core.request import InputImage
from imgcli.output.text import cell_width, wrapped
from imgcli.store.history.repository import History
from streams import BLUE, GREEN, RED, whole_run
from terminal import PtyRun
from test_content_credentials import FILES
from test_embedded import RECIPE
from test_history_store import REQUEST, ROWS, entry, image
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]
    Look = Callable[..., dict[str, Any]]
    Remember = Callable[..., list[HistoryEntry]]

KEYS = ["asked", "source", "file", "image", "run", "saved", "recipe", "parents", "children"]
FILE_KEYS = ["path", "format", "bytes", "width", "height", "sha256", "content_credentials"]


def sha(data: bytes) -> str:
    """Name bytes as the history does."""
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def remember(world: dict[str, str]) -> Remember:
    """Write runs into the history, as runs do."""

    def write(*entries: HistoryEntry) -> list[HistoryEntry]:
        with History(Path(world["XDG_DATA_HOME"]) / "imgcli") as history:
            return [history.record(one) for one in entries]

    return write


@pytest.fixture
def look(imgcli: Cli) -> Look:
    """Read what is known of one thing as a program does."""

    def read(name: str, **popen: Any) -> dict[str, Any]:
        result = imgcli("info", "--json", name, **popen)
        assert 0 == result.exit_code, result.stderr
        assert result.stdout.isascii()
        (line,) = result.lines
        told: dict[str, Any] = json.loads(line)
        assert list(told) == KEYS
        return told

    return read


def facts(lines: list[str]) -> dict[str, str]:
    """Read the lines for people."""
    pairs = [line.strip().partition("  ") for line in lines[1:] if line.startswith("  ")]
    return {name: value.strip() for name, _, value in pairs}


class TestFiles:
    """A file is asked for."""

    def test_a_renamed_copy(self, server: Server, gen: Gen, look: Look, imgcli: Cli, folder: Path) -> None:
        """A moved and renamed copy is recognised, and everything about its run is told, with the bill."""
        done = gen(server(Reply(whole_run())), "a cat", "-m", "gpt-4o-mini", "--quality", "low", "--bill")
        (folder / "elsewhere").mkdir()
        (folder / "a-cat.png").rename(folder / "elsewhere" / "b.png")
        told = look("elsewhere/b.png")
        assert ("history", str(folder / "elsewhere" / "b.png"), sha(RED), 0) == (
            told["source"],
            told["file"]["path"],
            told["file"]["sha256"],
            told["image"],
        )
        assert [{"image": 0, "path": done.lines[0], "state": "gone", "content_credentials": None}] == (
            told["saved"]
        )
        history = imgcli("history", "--json").lines
        assert [told["run"]] == [json.loads(line) for line in history]
        shown = imgcli("info", "elsewhere/b.png").lines
        lines = facts(shown)
        assert "elsewhere/b.png" == shown[0]
        assert f"{done.lines[0]} (gone)" == lines["saved as"]
        assert ("the history, found by its content", "a cat", "A red rectangle", "ok", "resp_1") == (
            lines["source"],
            lines["prompt"],
            lines["revised"],
            lines["outcome"],
            lines["response"],
        )
        assert {"quality low", "size 1024x1024"} <= set(lines["options"].split(", "))
        table = [line.strip() for line in shown[shown.index("") + 1 :]]
        assert [line.strip() for line in done.stderr.splitlines()][-len(table) :] == table

    def test_another_machine(self, look: Look, imgcli: Cli, folder: Path) -> None:
        """Where the history is empty, the recipe in the file tells how it was made."""
        recipe = replace(RECIPE, revised_prompt="A\x1b[31m cat", response_id="resp_9", parents=(sha(BLUE),))
        (folder / "a.png").write_bytes(embed(RED, recipe))
        told = look("a.png")
        assert ("recipe", None, recipe.to_json()) == (told["source"], told["run"], told["recipe"])
        assert [{"sha256": sha(BLUE), "role": None, "id": None, "name": None}] == told["parents"]
        shown = imgcli("info", "a.png")
        lines = facts(shown.lines)
        assert (
            "a cat",
            "A\ufffd[31m cat",
            "gpt-4o-mini",
            "api.openai.com",
            "resp_9",
            "imgcli 0.1.0",
        ) == tuple(lines[name] for name in ("prompt", "revised", "model", "server", "response", "made by"))
        assert lines["source"].startswith("parameters embedded in the file")
        assert sha(BLUE)[:12] in lines["made from"]

    @pytest.mark.parametrize("kind", ["png with", "jpeg without", "webp with", "gif"])
    def test_neither(self, kind: str, look: Look, imgcli: Cli, folder: Path) -> None:
        """Of an image that nobody knows, the bytes are told: format, size, hash, content credentials."""
        data, credentials = FILES[kind]
        (folder / "x").write_bytes(data)
        told = look("x")
        assert "file" == told["source"]
        assert [None, None, [], None, [], []] == [told[key] for key in KEYS[3:]]
        assert FILE_KEYS == list(told["file"])
        assert (kind.partition(" ")[0], len(data), sha(data), credentials) == tuple(
            told["file"][key] for key in ("format", "bytes", "sha256", "content_credentials")
        )
        assert "the file only" in imgcli("info", "x").stdout.decode()

    def test_the_size_in_pixels(self, look: Look, folder: Path) -> None:
        """Width and height come from the header."""
        (folder / "x.png").write_bytes(RED)
        told = look("x.png")["file"]
        assert (48, 32, "png") == (told["width"], told["height"], told["format"])

    def test_a_file_that_was_changed(self, remember: Remember, imgcli: Cli, folder: Path) -> None:
        """A file of other bytes under the name of a remembered image is told apart from it."""
        path = folder / "a.png"
        remember(entry(images=(image(sha(RED), path=path),)))
        path.write_bytes(BLUE)
        shown = imgcli("info", "a.png")
        assert (0, "the file only") == (shown.exit_code, facts(shown.lines)["source"][:13])
        assert "note: run 1 saved an image as a.png" in shown.stderr
        assert f"{path} (changed since)" == facts(imgcli("info", "1").lines)["saved as"]

    @pytest.mark.parametrize("asked", ["a.png", "link/../a.png", "/a.png"])
    def test_a_name_that_goes_up(
        self, asked: str, server: Server, gen: Gen, imgcli: Cli, folder: Path, tmp_path: Path
    ) -> None:
        """An image saved as ../a.png, or through a link, is remembered under the name that it has."""
        (folder / "deep").mkdir()
        (tmp_path / "link").symlink_to(folder / "deep")
        done = gen(server(Reply(whole_run())), "a cat", "-o", "../link/../a.png")
        assert 0 == done.exit_code, done.stderr
        (run,) = (json.loads(line) for line in imgcli("history", "--json").lines)
        assert [str(folder / "a.png")] == [image["path"] for image in run["pictures"]]
        (folder / "a.png").unlink()
        name = f"{folder}{asked}" if asked.startswith("/") else asked
        (folder / "link").symlink_to("deep")
        assert f"{name} is gone; run 1 saved an image" in imgcli("info", name).stderr

    def test_a_file_that_is_gone(self, remember: Remember, imgcli: Cli, folder: Path) -> None:
        """The name of an image that was deleted leads to its run."""
        remember(entry(images=(image(path=folder / "a.png"),)))
        shown = imgcli("info", "./a.png")
        lines = facts(shown.lines)
        assert (0, "the history, found by its name") == (shown.exit_code, lines["source"])
        assert "note: ./a.png is gone" in shown.stderr
        assert lines["saved as"].endswith("a.png (gone)")

    def test_odd_names(self, imgcli: Cli, folder: Path) -> None:
        """Names that are no text, or that a terminal would obey, work and harm nobody."""
        names = [b"\xff.png", b"a\x1b[31m.png", b"a b.png", b"-.png"]
        for name in names:
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(RED)
        shown = imgcli("info", "--", *map(os.fsdecode, names))
        assert (0, False) == (shown.exit_code, b"\x1b" in shown.stdout)
        assert 4 == shown.stdout.count(sha(RED).encode())

    def test_without_a_home(self, imgcli: Cli, folder: Path) -> None:
        """Where there is no history to be read, the file still says what it can, and you are told."""
        (folder / "a.png").write_bytes(embed(RED, RECIPE))
        env = {"HOME": "", "XDG_DATA_HOME": ""}
        shown = imgcli("info", "a.png", env=env)
        assert (0, "a cat") == (shown.exit_code, facts(shown.lines)["prompt"])
        assert "There is no folder for the history" in shown.stderr
        assert 2 == imgcli("info", "12", env=env).exit_code


class TestIds:
    """A run is asked for."""

    def test_all_its_images(self, remember: Remember, look: Look, imgcli: Cli, folder: Path) -> None:
        """Every image of a run is told of: there, gone, changed, or never saved."""
        there, changed = folder / "there.png", folder / "changed.png"
        there.write_bytes(FILES["png with"][0])
        changed.mkdir()
        images = (
            image(sha(FILES["png with"][0]), path=there),
            replace(image(path=folder / "gone.png"), image_index=1),
            replace(image(path=changed), image_index=2),
            replace(image(path=None), image_index=3),
        )
        remember(entry(images=images))
        told = look("1")
        assert ["there", "gone", "changed", "unsaved"] == [one["state"] for one in told["saved"]]
        assert ["present", None, None, None] == [one["content_credentials"] for one in told["saved"]]
        assert ("history", None, None) == (told["source"], told["file"], told["image"])
        lines = [line.split() for line in imgcli("info", "1").lines]
        assert ["saved", "as", "no", "file"] in lines
        assert ["credentials", "present", "(not", "verified)"] in lines

    def test_a_failed_run(self, server: Server, gen: Gen, look: Look, imgcli: Cli) -> None:
        """A run that failed is told with its message, and what that meant for the money."""
        gen(server(error_reply(400, code="moderation_blocked", message="No \x1b[31m cats.")), "a cat")
        told = look("1")
        assert ("refused", []) == (told["run"]["outcome"], told["saved"])
        outcome = facts(imgcli("info", "1").lines)["outcome"]
        assert outcome.startswith("refused: ")
        assert outcome.endswith("(charged: no)")
        assert "\x1b" not in outcome

    def test_relatives(self, remember: Remember, look: Look, imgcli: Cli) -> None:
        """Parents are told by role, run and name, children by their ids."""
        sent = InputImage("sea.png", "/here/sea.png", None, ImageFormat.PNG, sha(GREEN), (1, 1), 1)
        remember(
            entry(1, images=(image(sha(RED)),)),
            entry(
                2,
                request=replace(REQUEST, references=(sent,), previous_response_id="resp_0"),
                images=(image(sha(BLUE)),),
                parents=(Parent(sha(RED)), Parent(sha(GREEN), Role.REFERENCE)),
            ),
            entry(3, parents=(Parent(sha(BLUE), Role.MASK),), prompt="a dog"),
        )
        told = look("2")
        assert [
            {"sha256": sha(RED), "role": "original", "id": 1, "name": None},
            {"sha256": sha(GREEN), "role": "reference", "id": None, "name": "sea.png"},
        ] == told["parents"]
        assert [3] == told["children"]
        lines = facts(imgcli("info", "2").lines)
        assert ('1, a-cat.png, "a cat" (original)', '3, "a dog"', "/here/sea.png", "resp_0") == (
            lines["made from"],
            lines["used in"],
            lines["references"],
            lines["continues"],
        )

    def test_many_children(self, remember: Remember, imgcli: Cli) -> None:
        """Of a hundred children the first are named, and the others counted."""
        remember(
            entry(1, images=(image(sha(RED)),)),
            *(entry(number, parents=(Parent(sha(RED)),)) for number in range(2, 102)),
        )
        assert "and 80 more" in imgcli("info", "1").stdout.decode()

    def test_the_bill_of_a_cost_in_doubt(self, remember: Remember, imgcli: Cli) -> None:
        """What is unknown of a cost stays unknown, and what is known is told."""
        rows = tuple(replace(row, cost_in=None) for row in ROWS)
        remember(entry(charges=rows, endpoint="api.openai.com", charged=Charged.YES))
        shown = imgcli("info", "1").lines
        known = sum((row.known for row in rows), Decimal(0))
        assert f"${known:.4f}+" == facts(shown)["cost"]
        assert any("unknown" in line for line in shown[-3:])

    def test_file_before_id(self, remember: Remember, look: Look, imgcli: Cli, folder: Path) -> None:
        """A file of an id's name is meant, and a note tells the way to the run; a folder is not meant."""
        first, second = remember(entry(1), entry(2))
        (folder / "1").write_bytes(RED)
        (folder / "2").mkdir()
        shown = imgcli("info", "1")
        assert (f"note: 1 is the file ./1 here; for the run with that id, use {first.job}\n", sha(RED)) == (
            shown.stderr,
            facts(shown.lines)["sha256"],
        )
        assert "" == imgcli("info", "./1").stderr
        assert (first.job, second.job) == (look(first.job)["run"]["job"], look("2")["run"]["job"])

    def test_damaged_cells(self, remember: Remember, look: Look, world: dict[str, str]) -> None:
        """Damaged cells cost what was in them, and nothing else."""
        remember(entry(images=(image(),), parents=(Parent(sha(RED)),)))
        file = Path(world["XDG_DATA_HOME"]) / "imgcli" / "history.sqlite3"
        with closing(sqlite3.connect(file)) as raw, raw:
            raw.execute("UPDATE runs SET request = '{', started = x'ff', prompt = x'00'")
            raw.execute("UPDATE parents SET sha256 = x'ff'")
        assert (None, "") == (look("1")["run"]["request"], look("1")["run"]["prompt"])


class TestBadInput:
    """What cannot be shown is a sentence, and exit code 2."""

    def test_each_is_a_sentence(self, imgcli: Cli, folder: Path) -> None:
        """Nothing, a folder, a pipe, a device, what is empty, huge, looped, or no image; nobody waits."""
        (folder / "d").mkdir()
        os.mkfifo(folder / "f")
        (folder / "empty").touch()
        (folder / "notes.txt").write_text("hello")
        (folder / "loop").symlink_to("loop")
        with (folder / "huge").open("wb") as huge:
            huge.truncate(300_000_000)
        names = ["gone.png", "d", "f", "/dev/null", "empty", "notes.txt", "loop", "huge", "99", "20", ""]
        words = [
            "gone.png is neither a file",
            "d is a folder",
            "f is a pipe",
            "/dev/null is a device",
            "empty is empty",
            "notes.txt is not a PN",
            "loop cannot be read: Too many levels",
            "huge is larger than 256 MB",
            "99 is neither",
            "20 is neither",
            "The name of a file is empty",
        ]
        done = imgcli("info", *names)
        assert (2, b"") == (done.exit_code, done.stdout)
        told = [line.removeprefix("error: ") for line in done.stderr.splitlines() if "error: " in line]
        assert words == [line[: len(word)] for line, word in zip(told, words, strict=True) if line]

    def test_unreadable(self, mortal: Cli, folder: Path) -> None:
        """A file that may not be read says so."""
        (folder / "a.png").write_bytes(RED)
        (folder / "a.png").chmod(0)
        assert "a.png cannot be read: Permission denied." in mortal("info", "a.png").stderr

    @pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
    def test_one_bad_among_good(self, form: list[str], imgcli: Cli, folder: Path) -> None:
        """Each of several is shown; the gravest code comes at the end."""
        (folder / "a.png").write_bytes(RED)
        (folder / "b.png").write_bytes(BLUE)
        done = imgcli("info", "a.png", "gone.png", "b.png", *form)
        text = done.stdout.decode()
        assert (2, True, True) == (done.exit_code, sha(RED) in text, sha(BLUE) in text)
        assert 1 == done.stderr.count("gone.png")

    def test_nothing_asked(self, imgcli: Cli) -> None:
        """Without a file or id there is nothing to tell."""
        assert 2 == imgcli("info").exit_code

    def test_looking_makes_nothing(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """No history is begun by asking."""
        (folder / "a.png").write_bytes(RED)
        imgcli("info", "a.png")
        assert not Path(world["XDG_DATA_HOME"]).exists()


def test_on_a_terminal(remember: Remember, world: dict[str, str], folder: Path) -> None:
    """A long prompt is wrapped beside its name, and nothing of it is cut; the bill's rows fit as well."""
    words = [f"word{number}" for number in range(60)]
    long = replace(ROWS[0], model="gpt-image-2.6-sunburst-2026-11-17", partials=3)
    remember(entry(prompt=" ".join(words), charges=(long,)))
    with PtyRun(["info", "1"], world | {"TERM": "xterm"}, folder, columns=60, rows=40) as run:
        assert 0 == run.finish()
    shown = [line for line in run.lines if "word" in line]
    assert words == [word for line in shown for word in line.split() if word.startswith("word")]
    assert 1 == len({line.index("word") for line in shown})
    heading = next(number for number, line in enumerate(run.lines) if line.endswith("dollars"))
    row, total = run.lines[heading + 1 : heading + 3]
    assert ("3 partials" in row, "total" in total) == (True, True), run.text


@given(st.text(st.characters(categories=["L", "Zs", "P"]), max_size=200), st.integers(2, 30))
def test_wrapping(text: str, columns: int) -> None:
    """Wrapped lines fit, and hold every word."""
    text = " ".join(text.split())
    lines = wrapped(text, columns)
    assert [] == [line for line in lines if cell_width(line) > columns]
    assert "".join(text.split()) == "".join("".join(lines).split())


def test_completions(remember: Remember, world: dict[str, str], folder: Path) -> None:
    """A Tab offers images, `last` and ids, and leaves to the shell what only that can quote or open."""
    remember(entry(), entry(2))
    for name in ("a.png", "a b.png", "c.JPG", "notes.txt"):
        (folder / name).touch()
    (folder / "d").mkdir()
    code = (
        "import json, sys\nfrom imgcli.cli.completion import images_and_ids\n"
        "print(json.dumps([[one for one, _ in images_and_ids(begun)] for begun in sys.argv[1:]]))\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    begun = ["", "c", "a", "d", "n", "2", "la", "d/", "[", "~/"]
    done = subprocess.run(
        [sys.executable, "-c", code, *begun],
        env=world,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    offered = dict(zip(begun, json.loads(done.stdout), strict=True))
    assert {name: [] for name in begun} | {
        "": ["a.png", "c.JPG", "last", "2", "1"],
        "c": ["c.JPG"],
        "2": ["2"],
        "la": ["last"],
    } == offered
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert set() == loaded & {"openai", "PIL", "rich", "typer", "pydantic"}


@pytest.mark.slow
def test_light(remember: Remember, world: dict[str, str], folder: Path) -> None:
    """Info and tree load none of the heavy packages, so that they come at once."""
    remember(entry(charges=ROWS))
    for command in ("info", "tree"):
        code = (
            "import sys, os\n"
            f"sys.argv = ['imgcli', '{command}', '1']\n"
            "os._exit = lambda code: (print(*sys.modules, file=sys.stderr), sys.exit(code))\n"
            "from imgcli.cli.app import main\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=world, cwd=folder, capture_output=True, text=True, check=True
        )
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
        assert set() == loaded & {"openai", "httpx2", "PIL", "rich", "rich_pixels", "pydantic"}

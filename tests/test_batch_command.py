"""`imgcli batch` before anything is sent: the table, the estimate, the errors, and the way to a run."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import typer

from images import encoded
from imgcli.cli.completion import batch_files
from imgcli.cli.config.parent import ParentCommand
from imgcli.cli.registry import build_app
from streams import whole_run
from terminal import PtyRun
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

KEY = {"OPENAI_API_KEY": "sk-test-0123456789abcdef"}


def test_a_dry_run_shows_what_would_be_sent(world: dict[str, str], folder: Path) -> None:
    """At 80x24: a row an image, prompts shortened, what all have in common once, totals; nothing is sent."""
    rows = "prompt,size,id\n" + "".join(
        f'"a cat number {number}, and many words that have no room in a terminal",16:9,c{number}\n'
        for number in range(30)
    )
    (folder / "rows.csv").write_text(rows + "고양이,1:1,\n", encoding="utf-8")
    with PtyRun(["batch", "rows.csv", "--dry-run"], world | {"TERM": "xterm"}, folder) as run:
        assert 0 == run.finish()
        lines = [line.rstrip() for line in run.screen.display if line.strip()]
    table, totals = lines[:-3], lines[-2:]
    assert "... and 11 more" == lines[-3]
    assert all(line.endswith("new") for line in table if "cat number" in line)
    assert "a cat number 19, and many words" in table[-1]
    assert "31 images (gpt-4o-mini, medium quality): 31 to send." == totals[0]
    assert totals[1].startswith("At most $")
    assert ["rows.csv"] == [path.name for path in folder.iterdir()]


def test_a_dry_run_for_programs(imgcli: Cli, folder: Path) -> None:
    """With --jsonl each image is one JSON object; the price is a bound, and null where it is unknown."""
    (folder / "rows.jsonl").write_text(
        '{"prompt": "a\\ncat", "id": 1, "output": "x/{slug}.webp", "model": "gpt-image-2"}\n'
        '{"prompt": "b", "format": "svg"}\n'
    )
    done = imgcli("batch", "rows.jsonl", "--dry-run", "--jsonl", "-n", "2")
    assert (0, "") == (done.exit_code, done.stderr)
    lines = [json.loads(line) for line in done.lines]
    assert [1, 1, 2, 2] == [line["line"] for line in lines]
    assert 4 == len({line["task"] for line in lines})
    assert {"new"} == {line["status"] for line in lines}
    first = {name: lines[0][name] for name in ("id", "prompt", "output", "api", "model", "format", "images")}
    assert first == {
        "id": "1-1",
        "prompt": "a\ncat",
        "output": "x/{slug}.webp",
        "api": "images",
        "model": "gpt-image-2",
        "format": "webp",
        "images": [],
    }
    assert [True, True, False, False] == [line["max_cost_usd"] is not None for line in lines]


@pytest.mark.parametrize("option", ["--report=r.csv", "--jsonl", "--later"])
def test_no_key(imgcli: Cli, folder: Path, option: str) -> None:
    """Without a key a batch of any length is one error, before anything is shown or sent."""
    (folder / "p.txt").write_text("a cat\na dog\n")
    done = imgcli("batch", "p.txt", option, env={"OPENAI_API_KEY": ""})
    assert (4, 1) == (done.exit_code, done.stderr.count("OPENAI_API_KEY is not set")), done.stderr
    assert done.stderr.startswith("error:")
    assert int(option == "--jsonl") == len(done.lines)
    assert "r.csv" not in [path.name for path in folder.iterdir()]


def test_what_is_done_is_not_sent_again(imgcli: Cli, folder: Path) -> None:
    """The table knows from the state file what is saved, what may be, and what is new."""
    (folder / "p.txt").write_text("saved\nunknown\nfailed\nnew\n")
    keys = [json.loads(line)["task"] for line in imgcli("batch", "p.txt", "--dry-run", "--jsonl").lines]
    states: list[dict[str, object]] = [
        {"imgcli_batch": 1, "input": "p.txt"},
        {
            "task": keys[0],
            "status": "saved",
            "job": "j",
            "paths": ["a.png"],
            "cost_usd": 0.04,
            "seconds": 2.0,
        },
        {"task": keys[1], "status": "sent", "job": "j", "bound_usd": "0.19"},
        {"task": keys[2], "status": "failed", "job": "j", "kind": "busy", "exit_code": 6, "charged": "no"},
    ]
    (folder / "p.txt.imgcli.jsonl").write_text("".join(json.dumps(state) + "\n" for state in states))
    done = imgcli("batch", "p.txt", "--dry-run")
    assert ["done", "unknown", "new", "new"] == [line.split()[-1] for line in done.lines[1:5]]
    assert "2 to send, 1 done, 1 of unknown outcome (sent again only with --retry-unknown)." in done.lines[-2]
    again = imgcli("batch", "p.txt", "--dry-run", "--retry-unknown")
    assert again.lines[-2].endswith(": 3 to send, 1 done.")


def test_an_estimate_of_all(imgcli: Cli, folder: Path) -> None:
    """--estimate sums what all rows may cost; a limit that they may exceed is named."""
    (folder / "p.txt").write_text("a cat\na dog\n")
    args = ("batch", "p.txt", "--dry-run", "-m", "gpt-image-1-mini")
    one = imgcli("gen", "a cat", *args[2:], "--estimate").stderr
    both = imgcli(*args, "--estimate", "--max-cost", "0.001")
    assert "estimate: at least" in one or "estimate: $" in one
    assert "estimate for 2 images: " in both.stderr
    assert "--max-cost allows $0.0010: the batch may stop before its end." in both.lines


def test_errors_of_a_file(imgcli: Cli, folder: Path) -> None:
    """All wrong rows are named, with their lines; nothing is sent, and programs get one error line."""
    (folder / "p.jsonl").write_text('{"prompt": "a", "szie": 1}\n{"prompt": "b", "size": "1x"}\n{\x1b]0;x\n')
    done = imgcli("batch", "p.jsonl", env=KEY)
    assert (2, b"") == (done.exit_code, done.stdout)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Line 2 of p.jsonl: size must be WIDTHxHEIGHT")
    assert lines[1].startswith("Line 3 of p.jsonl: This is not valid JSON")
    assert "error: p.jsonl has 2 errors, the first on line 2." == lines[2]
    assert "Nothing was sent; nothing was charged." == lines[3]
    assert "\x1b" not in done.stderr
    found = json.loads(imgcli("batch", "p.jsonl", "--jsonl", env=KEY).lines[0])
    assert (True, 2, "no") == (found["error"], found["exit_code"], found["charged"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nope.csv"], "nope.csv cannot be read: No such file"),
        ([""], "FILE is empty"),
        (["."], "cannot be read: Is a directory"),
        (["-", "--rate", "fast"], "--rate "),
        (["-", "--rate", "0/min"], "--rate "),
        (["-", "--concurrency", "65"], "--concurrency must be between 1 and 64"),
        (["-", "--concurrency", "0"], "--concurrency must be between 1 and 64"),
        (["-", "--open"], "--open opens one image"),
        (["-", "-i", "last~1"], "last~1 would be another image when the batch is continued."),
        (["-", "--report", "r.txt"], "--report must be a file name that ends in .csv or .json"),
        (["-", "--bill"], "--bill prints the bill of one run"),
        (["-", "--record", "x"], "--record records one run"),
        (["-", "--var", "a"], "--var must be name=value,value"),
        (["-", "--var", "a=@nope"], "nope cannot be read"),
        (["-", "--var", "b=1,2"], "--var b is used by no prompt"),
        (["-"], "standard input is empty"),
        (["help"], "Did you mean imgcli batch --help?"),
        (["statsu"], "There is no file statsu."),
        (["colect"], "Did you mean imgcli batch collect?"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_command_lines(args: list[str], said: str, imgcli: Cli) -> None:
    """What is wrong with the command line itself is said before any row is."""
    piped = b"" if args == ["-"] else b"a cat\n"
    done = imgcli("batch", *args, env=KEY, input=piped)
    assert 2 == done.exit_code
    assert said in done.stderr


def test_rows_from_a_pipe(imgcli: Cli, server: Server, folder: Path) -> None:
    """Rows come from standard input, and each becomes a file of its own."""
    # Not `--demo`: each of its images takes seconds.
    answering = server(*[Reply(whole_run()) for _ in range(2)])
    env = KEY | {"OPENAI_BASE_URL": answering.base_url}
    done = imgcli(
        "batch", "-", "--var", "animal=cat,dog", "-o", "out/{animal}", env=env, input=b"a {animal}\n"
    )
    assert 0 == done.exit_code, done.stderr
    assert {"cat.png", "dog.png"} == {path.name for path in (folder / "out").iterdir()}
    assert ["a cat", "a dog"] == sorted(json.loads(one.body)["input"] for one in answering.requests)


def test_markup_and_detach_of_a_row(imgcli: Cli, server: Server, folder: Path) -> None:
    """A row's markup is uploaded as `edit` does; another one is another image; --later takes neither."""
    (folder / "a.png").write_bytes(encoded("PNG", "RGB"))
    for name, colour in (("b.png", (0, 0, 0, 0)), ("c.png", (0, 0, 0, 9))):
        (folder / name).write_bytes(encoded("PNG", "RGBA", colour=colour))
    marked = {"prompt": "a", "image": "a.png", "markup": "b.png", "model": "gpt-image-2.6-flare"}
    detached = {"prompt": "a", "detach": True}
    rows = [marked, {**marked, "markup": "c.png"}, detached]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    answering = server(*[Reply(whole_run()) for _ in rows])
    env = KEY | {"OPENAI_BASE_URL": answering.base_url}
    assert 0 == imgcli("batch", "rows.jsonl", "--concurrency", "1", "--dry-run", env=env).exit_code
    imgcli("batch", "rows.jsonl", "--concurrency", "1", env=env)
    first, second, last = answering.requests
    for sent, name in ((first, "b.png"), (second, "c.png")):
        assert sent.path.endswith("/images/edits")
        assert b'name="markup"' in sent.body
        assert (folder / name).read_bytes() in sent.body
    assert json.loads(last.body)["background"] is True
    alone = {"prompt": "a", "markup": "b.png", "model": "gpt-image-2.6-flare"}
    refusals = (
        (marked, "does not support --markup"),
        (detached, "does not need --detach"),
        (alone, "markup needs an image"),
    )
    for row, said in refusals:
        (folder / "later.jsonl").write_text(json.dumps(row))
        refused = imgcli("batch", "later.jsonl", "--later", env=env)
        assert (2, True) == (refused.exit_code, said in refused.stderr), refused.stderr
    assert 3 == len(answering.requests)


def test_a_configuration_for_batches(imgcli: Cli, folder: Path) -> None:
    """[batch] has defaults; those for single images are not in the way; an error names the file's line."""
    config = folder / "config.toml"
    config.write_text('open = true\ncompression = 5\n[batch]\nconcurrency = 8\nsize = "1x"\n')
    (folder / "p.txt").write_text("a cat\n")
    env = {"IMGCLI_CONFIG": str(config)}
    done = imgcli("batch", "p.txt", "--dry-run", env=env)
    assert 2 == done.exit_code
    assert "size comes from line 5 of" in done.stderr
    assert 0 == imgcli("batch", "p.txt", "--dry-run", "--size", "1:1", env=env).exit_code
    (folder / "p.jsonl").write_text('{"prompt": "a", "size": "1:1", "format": "webp"}\n')
    assert 0 == imgcli("batch", "p.jsonl", "--dry-run", env=env).exit_code


def test_completion_offers_batch_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tab after `imgcli batch` offers rows, and not the states of other batches."""
    monkeypatch.chdir(folder)
    for name in ("a.csv", "b.jsonl", "b.jsonl.imgcli.jsonl", "c.png", "d.txt"):
        (folder / name).touch()
    assert ["a.csv", "b.jsonl", "d.txt"] == [name for name, _ in batch_files("")]


def test_a_command_with_commands_below_it() -> None:
    """A word that is a command below is that command; any other is an argument of the command itself."""
    ran = list[tuple[str, Any]]()

    class Parent(ParentCommand):
        def children(self) -> dict[str, Any]:
            app = typer.Typer()
            app.command("status")(lambda: ran.append(("status", None)))
            return dict(typer.main.get_group(app).commands)

    def parent(file: str) -> None:
        ran.append(("parent", file))

    app = build_app(())
    app.command("parent", cls=Parent)(parent)
    for args in (["parent", "status"], ["parent", "./status"], ["parent", "rows"]):
        app(args, standalone_mode=False, obj=SimpleNamespace(env={}))
    assert [("status", None), ("parent", "./status"), ("parent", "rows")] == ran


def test_several_images_in_a_request(imgcli: Cli, folder: Path) -> None:
    """With --single-request the images are counted, and the cost of their request is shown once."""
    (folder / "p.txt").write_text("a cat\n")
    args = ("p.txt", "-m", "gpt-image-2", "-n", "3", "--single-request", "--demo", "-o", "out/")
    done = imgcli("batch", *args)
    assert 0 == done.exit_code
    assert "3 images in 1 request: 1 to send." in done.stderr
    assert ["saved a-cat-2.png", "saved a-cat-3.png"] == [
        line for line in done.stderr.splitlines() if line.startswith("saved a-cat-")
    ]

"""Every exit code, through the real command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zygote
from beside import PATIENCE, running, wait_for
from streams import (
    BLUE,
    RED,
    b64,
    completed,
    created,
    image_item,
    item_done,
    partial,
    stream,
    whole_run,
)
from tables import each
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]


LONG = "x" * 300
"""Longer than the name of any file."""


def test_0_ok(server: Server, gen: Gen) -> None:
    """0: every image is saved."""
    assert 0 == gen(server(Reply(whole_run())), "a cat").exit_code


def test_1_internal(imgcli: Cli, folder: Path) -> None:
    """1: a bug of ours is one sentence and a file without secrets, never a traceback."""
    (folder / "sitecustomize.py").write_text(
        "import imgcli.core.validate\n"
        "def broken(*_):\n    raise ZeroDivisionError('sk-canary-0123456789abcdef [/oops]')\n"
        "imgcli.core.validate.validate = broken\n"
        "imgcli.core.validate.resolve_size = broken\n"
    )
    env = {"PYTHONPATH": str(folder), "OPENAI_API_KEY": "sk-canary-0123456789abcdef"}
    result = imgcli("gen", "a cat", env=env)
    assert 1 == result.exit_code, result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stderr
    kept = [path.read_text() for path in (folder.parent / "home").rglob("crash-*.txt")]
    assert 1 == len(kept)
    assert "sk-canary" not in result.stderr + kept[0]
    assert "Nothing was charged." in result.stderr


@pytest.mark.slow
def test_a_bug_after_the_request(server: Server, gen: Gen, folder: Path) -> None:
    """A bug of ours that strikes when the request is out says that it may have cost something."""
    (folder / "sitecustomize.py").write_text(
        "import imgcli.store.publish.stage\n"
        "def broken(*_):\n    raise ZeroDivisionError\n"
        "imgcli.store.publish.stage.SavingStage._final = broken\n"
    )
    result = gen(server(Reply(whole_run())), "a cat", env={"PYTHONPATH": str(folder)})
    assert 1 == result.exit_code, result.stderr
    assert "You may have been charged." in result.stderr


@pytest.mark.slow  # every day the scenario X1 holds it
def test_ctrl_c_before_anything_is_sent(world: dict[str, str], folder: Path) -> None:
    """Ctrl-C while the connection is being made says that nothing was sent, and leaves no record."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = world | {"OPENAI_BASE_URL": f"https://127.0.0.1:{silent.getsockname()[1]}/v1"}
        command = [*zygote.IMGCLI, "gen", "a cat"]
        with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE) as process:
            silent.settimeout(PATIENCE)
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                stderr = process.communicate(timeout=PATIENCE)[1].decode()
    assert -signal.SIGINT == process.returncode
    assert "Nothing was sent; nothing was charged." in stderr
    assert [] == list(Path(world["HOME"]).rglob("*.sse"))


@pytest.mark.parametrize("place", ["imgcli", pytest.param("imgcli/runs", marks=pytest.mark.slow)])
def test_a_state_folder_that_cannot_be_read(
    place: str, mortal: Cli, world: dict[str, str], folder: Path
) -> None:
    """It costs a run nothing but its record, and `recover` says that it could not look."""
    shut = Path(world["XDG_STATE_HOME"], place)
    shut.mkdir(parents=True, mode=0o700)
    shut.chmod(0)
    env = {"TMPDIR": str(folder)}
    made, recovered = mortal("gen", "a cat", "--demo", "-q", env=env), mortal("recover", env=env)
    shut.chmod(0o700)
    assert (0, "") == (made.exit_code, made.stderr)
    assert 2 == recovered.exit_code
    assert (
        f"{world['XDG_STATE_HOME']}/imgcli/runs may contain run logs but cannot be read" in recovered.stderr
    )
    assert "may have been charged" not in recovered.stderr


@each(
    ("args", "told"),
    [
        (["gen"], "prompt"),
        (["gen", ""], "prompt is empty"),
        (["gen", "  "], "prompt is empty"),
        (["gen", "a cat", "--size", "100x100"], "--size"),
        (["gen", "a cat", "--size", "banana"], "--size"),
        (["gen", "a cat", "--quality", "superb"], "--quality"),
        (["gen", "a cat", "--partials", "4"], "--partials"),
        (["gen", "a cat", "--partials", "three"], "--partials"),
        (["gen", "a cat", "--compression", "50"], "--compression"),
        (["gen", "a cat", "--compression", "101", "--format", "webp"], "--compression"),
        (["gen", "a cat", "--background", "transparent", "--format", "jpeg"], "transparen"),
        (["gen", "a cat", "-o", "x.webp", "--format", "png"], "--format"),
        (["gen", "a cat", "-o", "{nonsense}.png"], "nonsense"),
        (["gen", "a cat", "-m", "gpt-image-2", "--image-model", "gpt-image-2"], "--image-model"),
        (["gen", "a cat", "-m", "gpt-image-2", "--api", "responses"], "--api"),
        (["gen", "a cat", "-m", "gpt-image-2", "--quality", "max"], "--quality"),
        (["gen", "--prompt-file", "missing.txt"], "missing.txt"),
        (["gen", "--prompt-file", "."], "prompt file"),
        (["gen", "a cat", "--prompt-file", "x.txt"], "--prompt-file"),
        (["gen", "a cat", "--base-url", "ftp://example.com"], "http"),
        (["gen", "a cat", "--base-url", "http://example.com/v1"], "http"),
        (["gen", "a cat", "--timeout", "-1"], "--timeout"),
        (["gen", "a cat", "--width", "0"], "--width"),
        (["gen", "a cat", "--no-history", "--daily-cap", "1"], "--no-history"),
        (["gen", "a cat", "-m", "\udcff"], "not valid UTF-8"),
        (["gen", "a cat", "--partials", "many"], "'--partials': it must be a whole number."),
        (["gen", "a cat", "--timeout", "soon"], "'--timeout': it must be a number."),
        (["gen", "a cat", "--format", "bmp"], "not one of png, jpeg, jpg, webp, gif, svg."),
        (["gen", "a cat", "--modle", "x"], "--model"),
        (["gen", "a cat", "--no-save", "-o", "x.png"], "--no-save"),
        (["gne", "a cat"], "gen"),
        (["demo-server", "--port", "70000"], "--port"),
    ],
)
def test_2_usage(args: list[str], told: str, imgcli: Cli, folder: Path) -> None:
    """2: a wrong option is one sentence that names it; nothing is sent and no file appears."""
    result = imgcli(*args, env={"OPENAI_API_KEY": "sk-canary"})
    assert (2, b"", []) == (result.exit_code, result.stdout, list(folder.iterdir())), result.stderr
    assert told in result.stderr
    assert "Traceback" not in result.stderr


NUMBERS = ("--timeout", "--width", "--partials", "--compression", "--max-cost", "--daily-cap", "--size")


@pytest.mark.parametrize("value", ["-1", "9" * 20, "9" * 5000, "nan", "inf", "1e10", "-1e999"])
def test_2_absurd_numbers(value: str, imgcli: Cli, folder: Path) -> None:
    """2: a number out of bounds is refused while that is free, in a short sentence with its option."""
    commands = {
        **{name: ["gen", "a cat", "--demo"] for name in NUMBERS},
        "--speed": ["view", "-"],
        "--limit": ["history"],
        "--port": ["demo-server"],
    }
    for name, command in commands.items():
        result = imgcli(*command, name, value, input=b"data: {}\n\n")
        assert (2, b"") == (result.exit_code, result.stdout), result.stderr
        assert (True, False) == (name in result.stderr, "Traceback" in result.stderr), result.stderr
        assert len(result.stderr) < 500
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize("args", [["-o", "-"], ["--format", "bmp"], ["--bogus"], ["--quiet"]], ids=" ".join)
def test_2_usage_as_a_json_line(args: list[str], imgcli: Cli) -> None:
    """2: a program that reads JSON lines reads the refusal as one, whoever found the fault."""
    result = imgcli("gen", "a cat", "--jsonl", *args)
    line = json.loads(result.stdout)
    assert (2, "usage", 2, "no") == (result.exit_code, line["kind"], line["exit_code"], line["charged"])


def test_3_partial(server: Server, gen: Gen, folder: Path) -> None:
    """3: of two images one is saved, the other was refused."""
    good = image_item(RED, item="ig_1")
    refused = {"code": "moderation_blocked", "message": "No dogs.", "type": "image_generation_user_error"}
    bad = image_item(item="ig_2", status="failed", result=None, error=refused)
    body = stream(created(), item_done(good), item_done(bad, 1), completed(good, bad))
    result = gen(server(Reply(body)), "a cat and a dog")
    assert (3, [str(folder / "a-cat-and-a-dog.png")]) == (result.exit_code, result.lines)
    assert "No dogs." in result.stderr


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            error_reply(401, "Incorrect API key provided: sk-canary-0123456789abcdef.", "invalid_api_key"),
            "key",
        ),
        (error_reply(403, "Your organization must be verified to use the model `gpt-image-2`."), "verif"),
    ],
)
def test_4_auth(reply: Reply, told: str, server: Server, gen: Gen) -> None:
    """4: a refused key or an organisation that is not verified, with the next thing to do."""
    result = gen(server(reply), "a cat")
    assert 4 == result.exit_code
    assert told in result.stderr


def test_no_empty_folder_is_left(server: Server, gen: Gen, imgcli: Cli, folder: Path) -> None:
    """A folder that was made for a run without an image is removed again; one that was there stays."""
    (folder / "mine").mkdir()
    for args in (["-o", "new/deep/"], ["-o", "mine/x.png"]):
        assert 4 == gen(server(error_reply(401, "No such key.", "invalid_api_key")), "a cat", *args).exit_code
        assert 9 == gen(server(Reply(stream(created()))), "a cat", *args).exit_code
        assert 4 == imgcli("gen", "a cat", *args).exit_code
    assert ["mine"] == [path.name for path in folder.iterdir()]
    gen(server(Reply(stream(created(), partial(0, RED)))), "a cat", "-o", "new/")
    assert ["a-cat.partial.png"] == [path.name for path in (folder / "new").iterdir()]


def test_4_auth_without_a_key(imgcli: Cli) -> None:
    """4: no key; the message shows the way that needs none."""
    result = imgcli("gen", "a cat")
    assert 4 == result.exit_code
    assert "OPENAI_API_KEY" in result.stderr
    assert "--demo" in result.stderr


def test_4_auth_with_a_broken_key(imgcli: Cli) -> None:
    """4: a key with a stray character is found before anything is sent, and not shown."""
    result = imgcli("gen", "a cat", env={"OPENAI_API_KEY": "sk-canary\u201d"})
    assert 4 == result.exit_code
    assert "canary" not in result.stderr


WORDS = {
    "type": "message",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "Sorry, I only talk."}],
}


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (error_reply(400, "Your request was rejected.", "moderation_blocked"), "moderation"),
        (error_reply(404, "The model `x` does not exist.", "model_not_found"), "--model"),
        (error_reply(400, "Hosted tool 'image_generation' is not supported with gpt-x."), "--model"),
        (Reply(stream(created(), completed(WORDS))), "Sorry, I only talk."),
        (Reply(status=307, headers=(("location", "https://elsewhere.example/v1"),)), "elsewhere.example"),
        (Reply(b"<html><title>Log in</title></html>", content_type="text/html"), "Log in"),
    ],
    ids=["moderation", "model", "tool", "words", "redirect", "html"],
)
def test_5_refused(reply: Reply, told: str, server: Server, gen: Gen, folder: Path) -> None:
    """5: refused, redirected, or answered in words; what to change is said."""
    wire = server(reply)
    result = gen(wire, "a cat")
    assert (5, 1, []) == (result.exit_code, wire.posts, list(folder.iterdir())), result.stderr
    assert told in result.stderr


@pytest.mark.parametrize(
    ("path", "args", "reply", "advice"),
    [
        ("", (), error_reply(404), "Check --base-url (OPENAI_BASE_URL): most servers need /v1 at the end."),
        ("/v1", (), error_reply(404), "Try --api images: this server seems to have no Responses API."),
        ("/v1", ("--api", "images"), error_reply(404), "Check --base-url (OPENAI_BASE_URL)."),
        (
            "/v1",
            (),
            Reply(b"<html><title>Not found</title>", status=404, content_type="text/html"),
            "Check --base-url (OPENAI_BASE_URL).",
        ),
        (
            "/v1",
            ("--image-model", "gpt-image-2"),
            error_reply(404, "The model `gpt-image-2` does not exist.", "model_not_found"),
            "Choose another --image-model than gpt-image-2; `imgcli models` lists them.",
        ),
    ],
    ids=["no path", "no Responses API", "Images API", "a web site", "image model"],
)
def test_not_found_has_one_advice(
    path: str, args: tuple[str, ...], reply: Reply, advice: str, server: Server, gen: Gen
) -> None:
    """A 404 ends in the one thing to try that fits the address and the request."""
    wire = server(reply)
    wire.path = path
    result = gen(wire, "a cat", *args)
    assert (5, advice) == (result.exit_code, result.stderr.splitlines()[-1])


def test_6_busy(server: Server, gen: Gen) -> None:
    """6: a rate limit that lasts longer than we wait."""
    wire = server(error_reply(429, "Slow down.", "rate_limit_exceeded", headers=(("retry-after", "900"),)))
    result = gen(wire, "a cat")
    assert (6, 1) == (result.exit_code, wire.posts)


def test_busy_for_a_moment_is_waited_out(server: Server, gen: Gen, folder: Path) -> None:
    """A clean 429 with a short Retry-After is waited out: nothing had begun, so nothing is paid twice."""
    busy = error_reply(429, "Slow down.", "rate_limit_exceeded", headers=(("retry-after-ms", "200"),))
    wire = server(busy, Reply(whole_run()))
    result = gen(wire, "a cat")
    assert (0, 2, RED) == (result.exit_code, wire.posts, (folder / "a-cat.png").read_bytes())


def test_7_billing(server: Server, gen: Gen) -> None:
    """7: no credit; asked once, because asking again does not help."""
    wire = server(error_reply(429, "You exceeded your quota.", "insufficient_quota", "insufficient_quota"))
    result = gen(wire, "a cat")
    assert (7, 1) == (result.exit_code, wire.posts)


def test_8_unreachable(imgcli: Cli) -> None:
    """8: nothing listens there; nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    result = imgcli("gen", "a cat", "--base-url", f"http://127.0.0.1:{port}/v1")
    assert 8 == result.exit_code
    assert str(port) in result.stderr


@pytest.mark.parametrize(
    "reply",
    [
        Reply(end=End.CLOSE),
        Reply(end=End.SILENT),
        Reply(stream(created())),
        Reply(stream(created(), partial(0))),
        Reply(whole_run()[:1500], end=End.RST),
        Reply(whole_run()[:400], end=End.FIN),
        Reply(stream(created()), end=End.STALL),
        error_reply(500, "The server had an error.", "server_error", "server_error"),
        error_reply(502, "Bad gateway."),
    ],
    ids=["close", "silent", "created", "partial", "rst", "fin", "stall", "500", "502"],
)
def test_9_unknown(reply: Reply, server: Server, gen: Gen) -> None:
    """9: sent, and no complete image came: said to be perhaps charged, and never sent again by itself."""
    wire = server(reply)
    result = gen(wire, "a cat", "--timeout", "0.5")
    assert (9, 1, []) == (result.exit_code, wire.posts, result.lines), result.stderr
    assert "may have been charged" in result.stderr


def test_9_keeps_the_last_partial(server: Server, gen: Gen, folder: Path) -> None:
    """When only partials came, the last one is kept, under a name that says so."""
    gen(server(Reply(stream(created(), partial(0, RED), partial(1, BLUE)))), "a cat")
    assert {"a-cat.partial.png": BLUE} == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_10_elsewhere(server: Server, world: dict[str, str], folder: Path) -> None:
    """10: a file took the folder's place meanwhile; the image is complete, elsewhere, and we say where."""
    target = folder / "gone"
    target.mkdir()
    body = stream(created())
    whole = body + stream(item_done(image_item()), completed(image_item()))
    wire = server(Reply(whole, holds=(len(body),)))
    with running(wire, world, folder, "-o", "gone/") as process:
        wait_for(lambda: wire.requests or process.poll() is not None)
        target.rmdir()
        target.touch()
        wire.go_on()
        stdout, stderr = (data.decode() for data in process.communicate(timeout=PATIENCE))
    assert 10 == process.returncode, stderr
    [path] = stdout.split("\n")[:-1]
    assert path in stderr
    with open(path, "rb") as saved:  # noqa: PTH123 - a name from outside, as a script would use it
        assert saved.read() == RED


@pytest.mark.parametrize(
    ("data", "name"),
    [(RED[:-12], "a-cat.damaged.png"), (RED[:60], "a-cat.damaged.png"), (b"<p>no</p>", "a-cat.damaged.bin")],
    ids=["end", "cut", "html"],
)
def test_11_damaged(data: bytes, name: str, server: Server, gen: Gen, folder: Path) -> None:
    """11: the final data is no valid image; its bytes are kept, and nothing pretends to be an image."""
    item = image_item(data)
    result = gen(server(Reply(stream(created(), item_done(item), completed(item)))), "a cat")
    assert (11, []) == (result.exit_code, result.lines), result.stderr
    assert {name: data} == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_11_damaged_beyond_base64(server: Server, gen: Gen, folder: Path, world: dict[str, str]) -> None:
    """11: what is not even base64 stays in the record of the run, as it came."""
    item = image_item(result="!!!not base64!!!")
    result = gen(server(Reply(stream(created(), item_done(item), completed(item)))), "a cat")
    assert (11, [], []) == (result.exit_code, result.lines, list(folder.iterdir())), result.stderr
    [record] = Path(world["XDG_STATE_HOME"]).glob("imgcli/runs/*.sse")
    assert b"!!!not base64!!!" in record.read_bytes()


@pytest.mark.parametrize("output", ["file/x.png", "file/"])
def test_12_unwritable(output: str, server: Server, gen: Gen, folder: Path) -> None:
    """12: the place to save to does not work; found out before anything is sent."""
    (folder / "file").write_text("in the way")
    wire = server(Reply(whole_run()))
    result = gen(wire, "a cat", "-o", output)
    assert (12, 0) == (result.exit_code, wire.posts), result.stderr


CONTRACT = ["output_index", "partial_image_b64s", "usage", "status", "final_model"]


def shown_by_a_page(lines: list[str]) -> list[object]:
    """Read lines as a page does that was written for the contract and knows of no errors."""
    shown: list[object] = []
    for line in map(json.loads, lines):
        assert CONTRACT == list(line)[:5]
        shown += line["partial_image_b64s"] or [line["status"]]
    return shown


@pytest.mark.parametrize("args", [("--size", "1x1"), ("--bogus",), ("--jsonl-images", "some")])
def test_2_usage_for_programs(args: tuple[str, ...], imgcli: Cli) -> None:
    """2: a page that was written for the contract survives a wrong option, whoever finds it."""
    result = imgcli("gen", "a cat", "--jsonl", *args)
    assert (2, ["error"]) == (result.exit_code, shown_by_a_page(result.lines))


def test_interruption_for_programs(server: Server, world: dict[str, str], folder: Path) -> None:
    """A page that was written for the contract survives Ctrl-C; the error counts on from the partial."""
    wire = server(Reply(stream(created(), partial(0, RED)), end=End.STALL))
    with running(wire, world, folder, "--jsonl") as process:
        assert process.stdout
        first = process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=PATIENCE)[0].decode()
    lines = [first, *rest.splitlines()]
    assert [b64(RED), "error"] == shown_by_a_page(lines)
    assert 1 == json.loads(rest)["output_index"]


def test_1_internal_for_programs(imgcli: Cli, folder: Path) -> None:
    """1: with --jsonl a fault of ours, too, is a line that a program can read."""
    (folder / "sitecustomize.py").write_text(
        "import imgcli.core.validate\n"
        "def broken(*_):\n    raise LookupError('oops')\n"
        "imgcli.core.validate.resolve_size = broken\n"
    )
    result = imgcli("gen", "a cat", "--demo", "--jsonl", env={"PYTHONPATH": str(folder)})
    (line,) = map(json.loads, result.lines)
    assert (1, True, "internal", 1) == (result.exit_code, line["error"], line["kind"], line["exit_code"])
    assert ["error"] == shown_by_a_page(result.lines)
    assert "imgcli itself failed: LookupError" in line["message"]
    assert "This is a bug" in result.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["gen", "a cat", "--demo", "--record", LONG], 12),
        (["gen", "a cat", "--demo", "-o", f"{LONG}.png"], 12),
        (["strip", "x.png", "-o", LONG], 12),
        (["strip", "x.png", "x.png", "-o", LONG], 2),
    ],
)
def test_a_name_that_no_file_can_have(args: list[str], code: int, imgcli: Cli, folder: Path) -> None:
    """A name of three hundred letters is refused in a sentence."""
    (folder / "x.png").write_bytes(RED)
    result = imgcli(*args)
    assert code == result.exit_code, result.stderr
    assert "bug" not in result.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_signals(signum: signal.Signals, server: Server, folder: Path, world: dict[str, str]) -> None:
    """Ctrl-C, TERM and HUP end it at once by the signal itself, with the last partial kept."""
    body = stream(created(), partial(0, BLUE))
    wire = server(Reply(body, end=End.STALL))
    with running(wire, world, folder, "--jsonl") as process:
        assert process.stdout is not None
        assert b'"partial"' in process.stdout.readline()
        process.send_signal(signum)
        stdout, stderr = (data.decode() for data in process.communicate(timeout=PATIENCE))
    assert -signum == process.returncode, stderr
    line = json.loads(stdout.splitlines()[-1])
    assert ("interrupted", 128 + signum, "maybe") == (line["kind"], line["exit_code"], line["charged"])
    assert "may have been charged" in stderr
    assert {"a-cat.partial.png": BLUE} == {path.name: path.read_bytes() for path in folder.iterdir()}

"""`imgcli gen` through the front door: what is saved, what is printed, what is sent."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

import zygote
from streams import (
    BLUE,
    RED,
    b64,
    completed,
    created,
    image_item,
    images_run,
    item_done,
    response,
    stream,
    whole_run,
)
from substitutes import NOON_OF
from terminal import PtyRun
from wire import End, Framing, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]


def names(folder: Path) -> list[str]:
    """List what is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def test_saves_the_bytes_and_prints_the_path(server: Server, gen: Gen, folder: Path) -> None:
    """The saved file is the final image byte for byte, and its absolute path alone is on stdout."""
    result = gen(server(Reply(whole_run())), "a cat", "--model", "gpt-4o-mini")
    assert (0, [str(folder / "a-cat.png")]) == (result.exit_code, result.lines)
    assert RED == (folder / "a-cat.png").read_bytes()
    assert ["a-cat.png"] == names(folder)


def test_prints_the_bill(server: Server, gen: Gen) -> None:
    """The bill has a row for the text model, one for the image model, a total and the table's date."""
    bill = gen(server(Reply(whole_run())), "a cat").stderr
    for part in ("gpt-4o-mini", "gpt-image-2.6-sunburst", "2,941", "2,060", "Total", "2026-"):
        assert part.lower() in bill.lower(), bill


def test_sends_the_tool_forced(server: Server, gen: Gen) -> None:
    """The image tool is forced, once, and nobody pays for partials that nobody watches."""
    wire = server(Reply(whole_run(partials=0)))
    gen(wire, "a", "cat", "-m", "gpt-4o-mini", "--size", "landscape", "--quality", "high")
    sent = [(request.path, request.json) for request in wire.requests]
    tool = {
        "type": "image_generation",
        "size": "1536x1024",
        "quality": "high",
        "output_format": "png",
        "partial_images": 0,
    }
    body = {
        "model": "gpt-4o-mini",
        "input": "a cat",
        "tools": [tool],
        "tool_choice": {"type": "image_generation"},
        "stream": True,
    }
    assert [("/v1/responses", body)] == sent


def test_image_models_go_to_the_images_api(server: Server, gen: Gen, folder: Path) -> None:
    """An image model is asked directly, and its image saved."""
    wire = server(Reply(images_run()))
    result = gen(wire, "a cat", "-m", "gpt-image-2", "--partials", "2")
    assert (0, "/v1/images/generations") == (result.exit_code, wire.requests[0].path)
    assert RED == (folder / "a-cat.png").read_bytes()
    assert (2, True) == (wire.requests[0].json["partial_images"], wire.requests[0].json["stream"])


def test_plain_json_servers_work(server: Server, gen: Gen, folder: Path) -> None:
    """A compatible server that knows no streaming and answers with plain JSON is good enough."""
    body = json.dumps({"created": 1, "data": [{"b64_json": b64(RED)}]}).encode()
    wire = server(Reply(body, content_type="application/json", framing=Framing.LENGTH))
    result = gen(wire, "a cat", "--api", "images", "-m", "sd-cpp-local")
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes())
    assert "b64_json" == wire.requests[0].json["response_format"]
    assert "unknown" in result.stderr


def test_a_streaming_gateway_that_answers_with_a_plain_response_works(
    server: Server, gen: Gen, folder: Path
) -> None:
    """A gateway that ignores `stream` and answers with one response object loses nothing."""
    body = json.dumps(response(output=[image_item()])).encode()
    result = gen(server(Reply(body, content_type="application/json")), "a cat")
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes())


@pytest.mark.parametrize(
    "body",
    [
        stream(created(), item_done(image_item())),
        stream(created(), completed(image_item())),
        stream(created(), item_done(image_item(status="generating")), completed()),
        stream(created(), item_done(image_item()), {"type": "error", "code": "server_error", "message": "x"}),
        whole_run() + b"data: [DONE]\n\n",
        whole_run().replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf: hello\n\n" + whole_run(),
        b"retry: 3000\n\nevent: ping\n\n: ping\n\nid: 7\n\n" + whole_run(),
        stream({"type": "keepalive", "sequence_number": 1})
        + b"data: {not json\n\ndata: \xff\xfe\n\n"
        + whole_run(),
        whole_run().rstrip(b"\n"),
    ],
    ids=[
        "done-only",
        "completed-only",
        "generating",
        "late-error",
        "DONE",
        "crlf",
        "bom",
        "pings",
        "odd",
        "cut-end",
    ],
)
def test_whatever_else_the_stream_says_the_image_is_saved(
    body: bytes, server: Server, gen: Gen, folder: Path
) -> None:
    """An image that arrived is saved, wherever in the stream it stood and whatever stood around it."""
    result = gen(server(Reply(body, chunk=997)), "a cat")
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr


@pytest.mark.parametrize("end", [End.FIN, End.RST, End.STALL], ids=lambda end: end.value)
def test_a_bad_goodbye_after_the_image_costs_nothing(
    end: End, server: Server, gen: Gen, folder: Path
) -> None:
    """However the connection ends after the final image, the image is kept and the exit code is 0."""
    body = stream(created(), item_done(image_item()))
    result = gen(server(Reply(body, end=end)), "a cat", "--timeout", "0.5")
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr


def test_several_images_of_one_response_are_all_saved(server: Server, gen: Gen, folder: Path) -> None:
    """When the model makes two images, both are saved and both paths printed."""
    items = [image_item(RED, item="ig_1"), image_item(BLUE, item="ig_2")]
    body = stream(created(), *(item_done(item) for item in items), completed(*items))
    result = gen(server(Reply(body)), "a cat")
    assert [str(folder / "a-cat.png"), str(folder / "a-cat-2.png")] == result.lines
    assert [RED, BLUE] == [(folder / name).read_bytes() for name in ("a-cat.png", "a-cat-2.png")]


def test_nothing_is_overwritten(server: Server, gen: Gen, folder: Path) -> None:
    """An existing file stays as it is; the new one gets a number, and the person is told."""
    (folder / "a-cat.png").write_bytes(b"precious")
    result = gen(server(Reply(whole_run())), "a cat")
    assert [str(folder / "a-cat-2.png")] == result.lines
    assert b"precious" == (folder / "a-cat.png").read_bytes()
    assert "a-cat-2.png" in result.stderr


def test_force_replaces(server: Server, gen: Gen, folder: Path) -> None:
    """--force puts the new image in the old one's place."""
    (folder / "x.png").write_bytes(b"old")
    result = gen(server(Reply(whole_run())), "a cat", "-o", "x.png", "--force")
    assert ([str(folder / "x.png")], RED) == (result.lines, (folder / "x.png").read_bytes())


def test_the_output_name_asks_for_its_format(server: Server, gen: Gen, folder: Path) -> None:
    """`-o x.webp` asks the API for webp; what comes decides the ending all the same."""
    wire = server(Reply(whole_run()))
    result = gen(wire, "a cat", "-o", "x.webp")
    assert "webp" == wire.requests[0].json["tools"][0]["output_format"]
    assert [str(folder / "x.png")] == result.lines
    assert "png" in result.stderr


def test_standard_output_gets_the_image_alone(server: Server, gen: Gen, folder: Path) -> None:
    """`-o -` writes the image's bytes and nothing else; no file is left."""
    result = gen(server(Reply(whole_run())), "a cat", "-o", "-")
    assert (0, RED, []) == (result.exit_code, result.stdout, names(folder))
    assert f"written to standard output, 48x32, {len(RED)} bytes" in result.stderr.splitlines()
    assert "not saved" not in result.stderr


def test_quiet_says_the_path_only(server: Server, gen: Gen, folder: Path) -> None:
    """--quiet leaves the path on stdout and nothing on stderr."""
    result = gen(server(Reply(whole_run())), "a cat", "--quiet")
    assert ([str(folder / "a-cat.png")], "") == (result.lines, result.stderr)


@pytest.mark.parametrize(
    ("args", "file", "told"),
    [
        (["-o", "x.png"], "x-2.png", "note: x.png already exists; the new image is x-2.png.\n"),
        (["-o", "{slug}.webp"], "a-cat.png", "note: The server sent png instead of webp; the file name"),
        ([], "a-cat-2.png", ""),
        (["-o", "./"], "a-cat-2.png", ""),
    ],
)
def test_quiet_names_the_file_that_is_not_the_one_asked_for(
    args: list[str], file: str, told: str, server: Server, gen: Gen, folder: Path
) -> None:
    """With --quiet I hear of a file that has another name than I gave it, and of nothing else."""
    taken = "x.png" if args == ["-o", "x.png"] else "a-cat.png"
    if file != "a-cat.png":
        (folder / taken).write_bytes(b"precious")
    result = gen(server(Reply(whole_run())), "a cat", "--quiet", *args)
    assert (0, [str(folder / file)]) == (result.exit_code, result.lines)
    assert (told, told == "") == (result.stderr[: len(told)], result.stderr == "")
    lines = gen(server(Reply(whole_run())), "a cat", "--jsonl", *args)
    assert "" == lines.stderr


def test_keep_partials(server: Server, gen: Gen, folder: Path) -> None:
    """--keep-partials saves each image on the way beside the final one."""
    gen(server(Reply(whole_run())), "a cat", "--keep-partials", "--partials", "3")
    kept = {name: (folder / name).read_bytes() for name in names(folder)}
    assert {"a-cat.png": RED} | {f"a-cat.partial-{index}.png": BLUE for index in range(3)} == kept


def jsonl(result: Result) -> list[dict[str, Any]]:
    """Read JSON lines, each alone."""
    return [json.loads(line) for line in result.lines]


def test_jsonl_is_the_five_key_contract(server: Server, gen: Gen, folder: Path) -> None:
    """--jsonl prints partial, partial, partial, completed; the five keys come first, in their order."""
    lines = jsonl(gen(server(Reply(whole_run())), "a cat", "--jsonl"))
    five = ["output_index", "partial_image_b64s", "usage", "status", "final_model"]
    assert [five] * 4 == [list(line)[:5] for line in lines]
    expected = [(0, "partial"), (1, "partial"), (2, "partial"), (3, "completed")]
    assert expected == [(line["output_index"], line["status"]) for line in lines]
    assert [[b64(BLUE)]] * 3 + [[b64(RED)]] == [line["partial_image_b64s"] for line in lines]
    last = lines[-1]
    assert (2941, "gpt-4o-mini-2024-07-18") == (last["usage"]["input_tokens"], last["final_model"])
    assert str(folder / "a-cat.png") == last["path"]
    assert hashlib.sha256(RED).hexdigest() == last["sha256"]
    assert (48, 32, "png") == (last["width"], last["height"], last["format"])


def test_jsonl_asks_for_partials_because_somebody_watches(server: Server, gen: Gen) -> None:
    """A program that reads JSON lines gets its three partials without asking."""
    wire = server(Reply(whole_run()))
    gen(wire, "a cat", "--jsonl")
    assert 3 == wire.requests[0].json["tools"][0]["partial_images"]


def test_jsonl_without_images(server: Server, gen: Gen) -> None:
    """`--jsonl-images none` leaves the lists empty and everything else in place."""
    lines = jsonl(gen(server(Reply(whole_run())), "a cat", "--jsonl", "--jsonl-images", "none"))
    assert [[]] * 4 == [line["partial_image_b64s"] for line in lines]
    assert len(RED) == lines[-1]["bytes"]


@pytest.mark.parametrize(("args", "has_images"), [((), False), (("--jsonl-images", "inline"), True)])
def test_jsonl_on_a_terminal_is_readable(
    args: tuple[str, ...], *, has_images: bool, server: Server, world: dict[str, str], folder: Path
) -> None:
    """On a terminal the lines leave the base64 out unless it is asked for; partials come as ever."""
    wire = server(Reply(whole_run()))
    env = world | {"OPENAI_BASE_URL": wire.base_url}
    with PtyRun(["gen", "a cat", "--jsonl", *args], env, folder) as run:
        assert 0 == run.finish()
    lines = [json.loads(line) for line in run.raw.splitlines()]
    assert [has_images] * 4 == [bool(line["partial_image_b64s"]) for line in lines]
    assert 3 == wire.requests[0].json["tools"][0]["partial_images"]


def test_jsonl_on_a_terminal_is_no_place_to_keep_an_image(
    server: Server, world: dict[str, str], folder: Path
) -> None:
    """--no-save with lines that leave the image out is refused, for nothing of it would stay."""
    wire = server(Reply(whole_run()))
    env = world | {"OPENAI_BASE_URL": wire.base_url}
    with PtyRun(["gen", "a cat", "--jsonl", "--no-save"], env, folder) as run:
        assert 2 == run.finish()
    assert 0 == wire.posts
    assert "Add --jsonl-images inline." in run.text


def test_jsonl_no_save(server: Server, gen: Gen, folder: Path) -> None:
    """--no-save keeps no file; the line has no path."""
    lines = jsonl(gen(server(Reply(whole_run())), "a cat", "--jsonl", "--no-save"))
    assert (None, []) == (lines[-1]["path"], names(folder))


def test_jsonl_errors_are_lines_too(server: Server, gen: Gen) -> None:
    """A refusal is one JSON line with the server's code, the money and the exit code."""
    failed = {"type": "error", "error": {"code": "moderation_blocked", "message": "No cats.", "type": "x"}}
    result = gen(server(Reply(stream(created(), failed))), "a cat", "--jsonl")
    line = jsonl(result)[-1]
    assert (True, "moderation_blocked", "refused", 5) == (
        line["error"],
        line["code"],
        line["kind"],
        line["exit_code"],
    )
    assert 5 == result.exit_code


def test_dry_run_prints_the_request(imgcli: Cli) -> None:
    """--dry-run prints the request as JSON, sends nothing and needs no key."""
    result = imgcli("gen", "a cat", "--dry-run", "--size", "16:9")
    body = json.loads(result.stdout)
    assert (0, "a cat", "1536x864") == (result.exit_code, body["input"], body["tools"][0]["size"])


def test_prompt_from_standard_input(server: Server, gen: Gen) -> None:
    """A piped prompt is read, its BOM and last line break taken off; words and a file work as well."""
    wire = server(Reply(whole_run()))
    gen(wire, input=b"\xef\xbb\xbfa cat\r\nwith a hat\n")
    gen(wire, "-", input=b"a dog\n")
    assert ["a cat\nwith a hat", "a dog"] == [request.json["input"] for request in wire.requests]


def test_prompt_from_a_file(server: Server, gen: Gen, folder: Path) -> None:
    """--prompt-file reads the prompt from a file."""
    (folder / "prompt.txt").write_text("a horse\n")
    wire = server(Reply(whole_run()))
    gen(wire, "--prompt-file", "prompt.txt")
    assert "a horse" == wire.requests[0].json["input"]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [("고양이 한 마리", "고양이-한-마리.png"), ("🐱", "image.png"), ("../../etc/passwd", "etc-passwd.png")],
)
def test_prompts_in_every_script(prompt: str, name: str, server: Server, gen: Gen, folder: Path) -> None:
    """A Korean prompt names its file in Korean; an emoji or a path cannot leave the folder."""
    wire = server(Reply(whole_run()))
    result = gen(wire, prompt)
    assert ([str(folder / name)], prompt) == (result.lines, wire.requests[0].json["input"])


def test_a_long_prompt_is_sent_whole(server: Server, gen: Gen, folder: Path) -> None:
    """30,000 characters reach the server unchanged, and the file's name stays short."""
    wire = server(Reply(whole_run()))
    prompt = "cat " * 7500
    result = gen(wire, prompt.strip())
    assert (0, prompt.strip()) == (result.exit_code, wire.requests[0].json["input"])
    assert all(len(name) < 80 for name in names(folder))


def test_plain_lines_have_no_escape_codes(server: Server, gen: Gen) -> None:
    """A stderr that is no terminal gets plain lines."""
    assert "\x1b" not in gen(server(Reply(whole_run())), "a cat").stderr


def test_server_text_reaches_the_terminal_harmless(server: Server, gen: Gen) -> None:
    """Escape codes and markup inside a server's error message are shown, never obeyed."""
    body = {"type": "error", "message": "\x1b]52;c;aGk=\x07\x1b[2J[/red] \u202eevil\x9b31m", "code": "x"}
    errors = gen(server(Reply(stream(created(), body))), "a cat").stderr
    assert "[/red]" in errors
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(errors)


@pytest.fixture
def on(folder: Path, world: dict[str, str]) -> Callable[[int], dict[str, str]]:
    """Give the environment of a process that believes it is noon of a day in January 2027."""

    def patched(day: int) -> dict[str, str]:
        if zygote.may_fork(zygote.IMGCLI, {"env": world}):
            return {NOON_OF: f"2027-01-{day}"}
        (folder.parent / "sitecustomize.py").write_text(
            "import datetime\n"
            "class Day(datetime.datetime):\n"
            "    @classmethod\n"
            f"    def now(cls, tz=None): return cls(2027, 1, {day}, 12, tzinfo=tz)\n"
            "datetime.datetime = Day\n"
        )
        return {"PYTHONPATH": str(folder.parent)}

    return patched


def test_the_last_day_of_gpt_4o_mini(server: Server, gen: Gen, on: Callable[[int], dict[str, str]]) -> None:
    """The promised command works to the last day, which a note names; it is the default to then too."""
    wire = server(Reply(whole_run()), Reply(whole_run()))
    result = gen(wire, "a cat", "--model", "gpt-4o-mini", env=on(13))
    assert 0 == result.exit_code, result.stderr
    assert "note: OpenAI shuts gpt-4o-mini down on 2027-01-14; use gpt-6-luna instead.\n" in result.stderr
    assert 0 == gen(wire, "a cat", env=on(13)).exit_code
    assert ["gpt-4o-mini", "gpt-4o-mini"] == [request.json["model"] for request in wire.requests]


@pytest.mark.parametrize("status", [400, 404])
def test_the_day_after(status: int, server: Server, gen: Gen, on: Callable[[int], dict[str, str]]) -> None:
    """The server's refusal is one sentence with the replacement; who names no model gets that already."""
    refusal = error_reply(status, "The requested model 'gpt-4o-mini' does not exist.", "model_not_found")
    wire = server(refusal, Reply(whole_run()))
    result = gen(wire, "a cat", "--model", "gpt-4o-mini", "-q", env=on(14))
    assert (5, b"") == (result.exit_code, result.stdout)
    assert (
        "error: OpenAI shut gpt-4o-mini down on 2027-01-14; use gpt-6-luna instead.\nNothing was charged.\n"
        == result.stderr
    )
    assert 0 == gen(wire, "a cat", env=on(14)).exit_code
    assert ["gpt-4o-mini", "gpt-6-luna"] == [request.json["model"] for request in wire.requests]


@pytest.mark.slow
def test_a_machine_that_cannot_look(server: Server, gen: Gen, folder: Path) -> None:
    """With too many open files an image is saved as ever, and it is said that nobody could check it."""
    (folder / "sitecustomize.py").write_text(
        "import imgcli.store.verify\n"
        "def full(*_):\n    raise OSError(24, 'Too many open files')\n"
        "imgcli.store.verify._png = full\n"
    )
    result = gen(server(Reply(whole_run())), "a cat", env={"PYTHONPATH": str(folder)})
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr
    assert "structure checked, pixels not (Too many open files)" in result.stderr

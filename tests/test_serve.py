"""`imgcli serve`: the web client's contract over HTTP, and who may use it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from beside import PATIENCE, wait_for
from conftest import CANARY_KEY
from streams import BLUE, RED, completed, created, image_item, item_done, partial, record, stream, whole_run
from webclient import GENERATE, RunningSite, path_of, serving
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Serve = Callable[..., AbstractContextManager[RunningSite]]

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def serve(world: dict[str, str], folder: Path) -> Serve:
    """Run `imgcli serve ARGS...` that asks a scripted server, with a key that must never show up anywhere."""

    def start(server: ScriptedServer, *args: str) -> AbstractContextManager[RunningSite]:
        env = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": CANARY_KEY}
        return serving(world, folder, *args, **env)

    return start


@pytest.fixture
def demo(world: dict[str, str], folder: Path) -> Iterator[RunningSite]:
    """Run `imgcli serve --demo`."""
    with serving(world, folder, "--demo", "--seed", "1") as site:
        yield site


def comparable(lines: bytes) -> list[dict[str, Any]]:
    """Return lines without what differs from run to run."""
    own = {"job": None, "elapsed_s": None, "path": None}
    return [
        {key: own.get(key, value) for key, value in json.loads(line).items()} for line in lines.splitlines()
    ]


def test_lines_are_those_of_jsonl(server: Server, serve: Serve, gen: Callable[..., Result]) -> None:
    """A web client gets the very lines of `gen --jsonl`, the same request having been sent."""
    wire = server(Reply(whole_run()))
    expected = gen(wire, "a cat", "--jsonl", "--quality", "low")
    with serve(wire) as site:
        got = site.get(path_of(quality="low"))
        posted = site.generate(quality="low")
    assert comparable(expected.stdout) == comparable(got.body) == comparable(posted.body)
    assert [list(line) for line in map(json.loads, expected.lines)] == [list(line) for line in got.lines]
    assert ["partial", "partial", "partial", "completed"] == [line["status"] for line in got.lines]
    sent = [request.json for request in wire.requests if request.method == "POST"]
    assert sent[0] == sent[1] == sent[2]
    assert "application/jsonl; charset=utf-8" == got.headers["content-type"]
    assert "nosniff" == got.headers["x-content-type-options"]
    assert "no-cache" == got.headers["cache-control"]
    assert CANARY_KEY.encode() not in got.body + posted.body


def test_lines_come_as_they_happen(server: Server, serve: Serve, folder: Path) -> None:
    """A partial image is there while the run goes on; the final one is saved, remembered and billed."""
    item = image_item()
    head = stream(created(), partial(0))
    rest = stream(partial(1), item_done(item), completed(item))
    wire = server(Reply(head + rest, pauses=((len(head), 1.0),), chunk=len(head)))
    with serve(wire, "-o", "made/") as site:
        with site.opened("GET", path_of()) as response:
            first = json.loads(response.readline())
            assert not wire.sent.is_set()
            assert (0, "partial", None) == (first["output_index"], first["status"], first["final_model"])
            last = [json.loads(line) for line in response][-1]
        assert ("completed", str(folder / "made" / "a-cat.png")) == (last["status"], last["path"])
        assert RED == (folder / "made" / "a-cat.png").read_bytes()
        (entry,) = site.get("/api/history").lines
        assert ("a cat", "ok", last["cost_usd"]) == (entry["prompt"], entry["outcome"], entry["cost_usd"])
        assert entry == site.get(f"/api/history/{entry['id']}").json
        assert 1 == site.get("/api/cost").json["runs"]


REFUSED: list[tuple[Any, str]] = [
    ({}, "Prompt is required"),
    ({"prompt": "  "}, "Prompt is required"),
    ({"prompt": None, "model": "x"}, "Prompt is required"),
    ({"prompt": ["a"]}, "prompt must be text"),
    ({"prompt": "a", "output": "x.png"}, "A request cannot set output"),
    ({"prompt": "a", "base_url": "http://evil"}, "A request cannot set base_url"),
    ({"prompt": "a", "profile": "p"}, "A request cannot set profile"),
    ({"prompt": "a", "max_cost": "off"}, "A request cannot set max_cost"),
    ({"prompt": "a", "record": "x"}, "There is no parameter record"),
    ({"prompt": "a", "qualty": "low"}, "Did you mean quality?"),
    ({"prompt": "a", "": "x"}, "A parameter has no name."),
    ({"prompt": "a", "quality": "best"}, "quality must be one of auto, low, medium"),
    ({"prompt": "a", "size": "1x1"}, "size"),
    ({"prompt": "a", "partials": 9}, "partials"),
    ({"prompt": "a", "partials": True}, "partials must be a whole number"),
    ({"prompt": "a", "images": "/etc/passwd"}, "image 1 is not base64"),
    ({"prompt": "a", "images": ["https://example.com/a.png"]}, "imgcli fetches none"),
    ({"prompt": "a", "images": ["file:///etc/passwd"]}, "imgcli fetches none"),
    ({"prompt": "a", "images": ["data:image/png;base64,aGVsbG8="]}, "not a PNG, JPEG or WebP"),
    ({"prompt": "a", "images": ["sha256:" + "0" * 64]}, "is not in the history"),
    ({"prompt": "a", "mask": "aGVsbG8="}, "mask needs an image"),
    ([1], "must be a JSON object"),
]


def test_what_is_refused(server: Server, serve: Serve) -> None:
    """A wrong request is refused with a sentence about it, and nothing is sent."""
    wire = server(Reply(whole_run()))
    with serve(wire) as site:
        assert {"error": "Prompt is required"} == site.get(GENERATE).json
        for body, told in REFUSED:
            answer = site.ask("POST", GENERATE, body=body)
            said = f"{answer.json['error']} {answer.json.get('details', '')}"
            assert (400, True, False) == (answer.status, told in said, "--" in said), (body, said)
        assert 400 == site.get(path_of() + "&prompt=b").status
        assert 405 == site.ask("HEAD", path_of()).status
        assert 415 == site.ask("POST", GENERATE, {"Content-Type": "text/plain"}, '{"prompt": "a"}').status
        assert 415 == site.ask("POST", GENERATE, body='{"prompt": "a"}').status
        assert 400 == site.ask("POST", GENERATE, JSON, '{"prompt": ').status
        assert 400 == site.ask("POST", GENERATE, JSON, "[" * 100_000).status
        for body in ('{"prompt": "a", "prompt": "b"}', '{"prompt": "a", "compression": NaN}', b"\xff"):
            assert 400 == site.ask("POST", GENERATE, JSON, body).status, body
        assert 404 == site.get("/api/other").status
        assert 405 == site.ask("DELETE", "/api/history").status
    assert [] == wire.requests


def test_failures(server: Server, serve: Serve) -> None:
    """What fails before its stream is a 500 with the reason; what fails in it is its last line."""
    broken = record({"type": "error", "code": "server_error", "message": f"It broke, {CANARY_KEY}."})
    refused = record({"type": "error", "code": "moderation_blocked", "message": "No."})
    wire = server(
        error_reply(400, f"Rejected, {CANARY_KEY}.", "moderation_blocked"),
        Reply(stream(created(), partial(0)) + broken),
        Reply(stream(created(), partial(0)) + refused),
    )
    with serve(wire) as site:
        before, inside, advised = site.generate(), site.generate(), site.generate()
    assert (500, "Failed to generate image stream") == (before.status, before.json["error"])
    assert ("refused", 5, "no") == tuple(before.json[key] for key in ("kind", "exit_code", "charged"))
    assert "Rejected, " in before.json["details"]
    assert "or try moderation low." in before.json["advice"]  # not an option, which is for the terminal
    assert before.json["advice"] == advised.lines[-1]["advice"]
    assert (200, ["partial", "error"]) == (inside.status, [line["status"] for line in inside.lines])
    assert (1, []) == tuple(inside.lines[1][key] for key in ("output_index", "partial_image_b64s"))
    assert CANARY_KEY.encode() not in before.body + inside.body


def test_images_that_are_sent(server: Server, serve: Serve, imgcli: Cli) -> None:
    """Images go out as data URLs, as base64, or by the SHA-256 of one that the history knows."""
    wire = server(Reply(whole_run()))
    url = "data:image/png;base64," + base64.b64encode(BLUE).decode()
    with serve(wire) as site:
        assert 200 == site.generate(images=[url, base64.b64encode(RED).decode()]).status
        known = hashlib.sha256(RED).hexdigest()
        assert 200 == site.generate("at night", image=f"sha256:{known}").status
        parents = site.get("/api/history").lines[0]["parents"]
    sent = [
        [part["image_url"] for part in request.json["input"][0]["content"] if "image_url" in part]
        for request in wire.requests
    ]
    red = "data:image/png;base64," + base64.b64encode(RED).decode()
    assert [[url, red], [red]] == sent
    assert [{"sha256": known, "role": "reference"}] == parents
    assert "at night" in imgcli("history").stdout.decode()


def test_a_client_that_goes_away(server: Server, serve: Serve, folder: Path) -> None:
    """A client that leaves ends its run as Ctrl-C does: the server is hung up on, the last partial kept."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with serve(wire) as site:
        with site.opened("GET", path_of()) as response:
            assert "partial" == json.loads(response.readline())["status"]
        wait_for(wire.hung_up.is_set)
        kept = folder / "a-cat.partial.png"
        wait_for(kept.exists)
        assert BLUE == kept.read_bytes()
        wait_for(lambda: site.get("/api/history").lines)
        (entry,) = site.get("/api/history").lines
        assert ("interrupted", "maybe") == (entry["outcome"], entry["charged"])
        _, told = site.stop(signal.SIGTERM)
    assert f"error: The client left. The last partial image is kept as {kept}." in told


def test_a_client_that_has_seen_enough(server: Server, serve: Serve, world: dict[str, str]) -> None:
    """A client may leave as soon as it has its image: the run ended well, and is remembered like that."""
    file = Path(world["XDG_DATA_HOME"]) / "imgcli" / "history.sqlite3"
    with serve(server(Reply(whole_run()))) as site:
        site.generate()
        with closing(sqlite3.connect(file, isolation_level=None)) as history:
            history.execute("BEGIN IMMEDIATE")
            with site.opened("GET", path_of()) as response:
                lines = [response.readline() for _ in range(4)]
                assert "completed" == json.loads(lines[-1])["status"]
            time.sleep(0.3)  # while the run waits for the history
        wait_for(lambda: len(site.get("/api/history").lines) == 2)
        assert ["ok", "ok"] == [entry["outcome"] for entry in site.get("/api/history").lines]
        _, told = site.stop(signal.SIGTERM)
    assert "The client left" not in told


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_client_of_the_contract(server: Server, serve: Serve) -> None:
    """A JavaScript client that knows the five keys works unchanged: partials, the end, an error, leaving."""
    broken = record({"type": "error", "code": "server_error", "message": "It broke."})
    wire = server(
        Reply(whole_run(), chunk=50),
        Reply(stream(created(), partial(0)) + broken),
        error_reply(400, "Rejected.", "moderation_blocked"),
        Reply(stream(created(), partial(0)), end=End.STALL),
    )
    with serve(wire) as site:

        def seen(*args: str) -> list[Any]:
            command = ["node", str(Path(__file__).with_name("contract_client.mjs")), site.url, *args]
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
            found: list[Any] = json.loads(done.stdout)
            return found

        blue, red = (len(base64.b64encode(image)) for image in (BLUE, RED))
        rough = [[index, "partial", blue, False, None] for index in range(3)]
        assert [*rough, [3, "completed", red, True, "gpt-4o-mini-2024-07-18"]] == seen()
        assert [rough[0], [1, "error", 0, False, "gpt-4o-mini-2024-07-18"]] == seen()
        assert ["Failed to generate image stream"] == seen()
        assert [rough[0], "left"] == seen("1")
        wait_for(wire.hung_up.is_set)
    assert "a cat & a dog, ünïcode" in json.dumps(wire.requests[0].json, ensure_ascii=False)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal(signum: signal.Signals, server: Server, serve: Serve, folder: Path) -> None:
    """A signal ends the server by itself, and its runs as it ends `gen`: their clients are told."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with serve(wire) as site, site.opened("GET", path_of()) as response:
        response.readline()
        code, told = site.stop(signum)
        line = json.loads(response.readline())
        assert (-signum, b"") == (code, response.read())
    assert ("error", "interrupted", 128 + signum) == (line["status"], line["kind"], line["exit_code"])
    assert "Traceback" not in told
    assert (folder / "a-cat.partial.png").exists()


def test_limits(server: Server, serve: Serve) -> None:
    """A cap holds for each request; more runs than may go on at once are refused with 429."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with serve(wire, "--concurrency", "1", "--max-cost", "0.20") as site:
        capped = site.generate(quality="high", size="3840x2160", model="gpt-image-2")
        assert (400, "no") == (capped.status, capped.json["charged"])
        assert "--max-cost allows $0.20" in capped.json["details"]
        with site.opened("GET", path_of(quality="low")) as response:
            assert 200 == response.status
            response.readline()
            busy = site.generate()
            assert (429, True) == (busy.status, int(busy.headers["retry-after"]) > 0)
        wait_for(lambda: site.generate("b", size="1x").status == 400)
    assert 1 == wire.posts


CONFIG = """\
quality = "low"
[serve]
concurrency = 2
max-cost = 0.5
preset = "oil"
[preset.oil]
prompt = "{prompt}, in oil"
size = "1536x1024"
"""


def test_configuration(server: Server, serve: Serve, world: dict[str, str]) -> None:
    """Defaults come from the configuration, and a request's own values go over them."""
    config = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG)
    wire = server(Reply(whole_run()))
    with serve(wire, "--daily-cap", "3") as site:
        about = site.get("/api/about").json
        assert 200 == site.generate().status
        assert 200 == site.generate(quality="medium", size="1024x1024").status
    facts = ("runs_at_once", "max_cost_usd", "daily_cap_usd", "shortcoming")
    assert (2, 0.5, 3, None) == tuple(about[name] for name in facts)
    assert ("1536x1024", "low") == tuple(about["defaults"][name] for name in ("size", "quality"))
    assert all("a cat, in oil" in request.body.decode() for request in wire.requests)
    tools = [request.json["tools"][0] for request in wire.requests]
    assert [("1536x1024", "low"), ("1024x1024", "medium")] == [(one["size"], one["quality"]) for one in tools]


def test_estimate(server: Server, serve: Serve, imgcli: Cli) -> None:
    """The estimate of a request is that of the command, and sends nothing."""
    wire = server(Reply(whole_run()))
    with serve(wire) as site:
        told = site.get("/api/estimate?model=gpt-image-2&quality=low&prompt=a+cat").json
        posted = site.ask("POST", "/api/estimate", body={"model": "gpt-image-2", "quality": "low"}).json
        wrong = site.get("/api/estimate?quality=best")
    env = {"OPENAI_BASE_URL": wire.base_url}
    options = ("-m", "gpt-image-2", "--quality", "low", "--partials", "3")
    line = imgcli("gen", "a cat", *options, "--estimate", "--dry-run", env=env).stderr
    assert told["most_usd"] >= posted["most_usd"] > 0
    assert (told["basis"] in line, False) == (True, told["free"]), line
    assert (400, True) == (wrong.status, wrong.json["error"].startswith("quality must be"))
    assert [] == wire.requests


def test_no_key(world: dict[str, str], folder: Path) -> None:
    """Without a key there is still the history to look at; whoever starts or opens it is told."""
    with serving(world, folder) as site:
        shown = site.get("/api/about").json["shortcoming"]
        answer = site.generate()
        assert 200 == site.get("/api/history").status
        _, told = site.stop(signal.SIGTERM)
    assert (500, "auth", "no") == (answer.status, answer.json["kind"], answer.json["charged"])
    assert f"note: no images can be generated: {shown}\n" in told
    assert "There is no API key: OPENAI_API_KEY is not set." == shown


@pytest.mark.slow
def test_many_at_once(demo: RunningSite, folder: Path) -> None:
    """Of many requests at once four are served whole, and the others are refused clearly."""
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(demo.generate().status)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert ({200, 429}, 4) == (set(answers), answers.count(200))
    assert 4 == len(list(folder.glob("a-cat*.png")))


FOREIGN: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", "/api/models", {"Host": "evil.example:{port}"}, 403),
    ("GET", "/", {"Host": "evil.example"}, 403),
    ("GET", "/", {"Host": "127.0.0.1@evil.example"}, 403),
    ("GET", "/", {"Host": "10.0.0.1"}, 403),
    ("GET", "/", {"Host": ""}, 403),
    ("GET", "/api/models", {"Host": "localhost:{port}"}, 200),
    ("GET", "/api/models", {"Host": "[::1]:{port}"}, 200),
    ("GET", GENERATE, {"Origin": "https://evil.example"}, 403),
    ("GET", GENERATE, {"Origin": "null"}, 403),
    ("GET", GENERATE, {"Origin": "http://127.0.0.1:1"}, 403),
    ("GET", GENERATE, {"Sec-Fetch-Site": "cross-site"}, 403),
    ("GET", GENERATE, {"Sec-Fetch-Site": "same-site"}, 403),
    ("GET", GENERATE, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
    ("GET", GENERATE, {"Referer": "https://evil.example/page"}, 403),
    ("GET", GENERATE, {"User-Agent": "Mozilla/5.0 (Macintosh)"}, 403),
    ("GET", GENERATE, {"User-Agent": "Mozilla/5.0", "Referer": "http://127.0.0.1:{port}/"}, 400),
    ("GET", GENERATE, {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "same-origin"}, 400),
    ("GET", "/api/models", {"User-Agent": "Mozilla/5.0"}, 200),
    ("POST", GENERATE, {**JSON, "User-Agent": "Mozilla/5.0"}, 400),
    ("GET", GENERATE, {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"}, 403),
    ("GET", GENERATE, {"Sec-Fetch-Site": "cross-site", "Origin": "https://friend.example"}, 400),
    ("GET", GENERATE, {"Sec-Fetch-Site": "cross-site", "Referer": "https://friend.example/"}, 403),
    ("GET", GENERATE, {"Sec-Fetch-Site": "none"}, 400),
    ("GET", GENERATE, {"Sec-Fetch-Site": "same-origin"}, 400),
    ("GET", GENERATE, {"Origin": "http://127.0.0.1:{port}"}, 400),
    ("POST", GENERATE, {**JSON, "Origin": "https://evil.example"}, 403),
    ("POST", GENERATE, {**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
    ("POST", GENERATE, {**JSON, "Origin": "https://friend.example"}, 400),
    ("OPTIONS", GENERATE, {"Origin": "https://evil.example"}, 403),
    ("OPTIONS", GENERATE, {"Origin": "https://friend.example"}, 204),
    ("GET", "/api/history", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("GET", "/images/" + "0" * 64, {"Sec-Fetch-Site": "cross-site"}, 403),
    ("GET", "/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
]


def test_other_pages(demo: RunningSite, world: dict[str, str], folder: Path) -> None:
    """Only its own page, a named one, or no page at all may use it; a name led to us is not ours."""
    with serving(world, folder, "--demo", "--allow-origin", "https://friend.example") as site:
        for method, path, headers, status in FOREIGN:
            sent = {name: value.replace("{port}", str(site.port)) for name, value in headers.items()}
            answer = site.ask(method, path, sent, b"{}" if method == "POST" else None)
            assert status == answer.status, (method, path, headers, answer.body)
            is_friend = headers.get("Origin") == "https://friend.example"
            allowed = answer.headers.get("access-control-allow-origin")
            assert ("https://friend.example" if is_friend else None) == allowed
            assert "Origin" in answer.headers["vary"]
        assert 403 == site.get("/", Host=f"{socket.gethostname()}.local:{site.port}").status
    assert 403 == demo.get("/api/models", Origin="https://friend.example").status


def test_token(world: dict[str, str], folder: Path) -> None:
    """With a token only who has it is served; the page exchanges it for a cookie that no script reads."""
    with serving(world, folder, "--demo", "--token") as site:
        address, token = site.url.split("#token=")
        assert (f"{site.origin}/", True) == (address, len(token) > 40)
        assert 200 == site.get("/").status
        wrong: list[dict[str, str]] = [{}, {"Authorization": "Bearer x"}, {"Authorization": token}]
        wrong.append({"Cookie": f"imgcli_{site.port}={token}"})
        for path in (path_of(), "/api/cost"):
            assert {401} == {site.ask("GET", path, one).status for one in wrong}
        assert 401 == site.ask("POST", "/api/login", body={"token": token[:-1]}).status
        assert 403 == site.ask("POST", "/api/login", {"Origin": "http://evil"}, {"token": token}).status
        login = site.ask("POST", "/api/login", body={"token": token})
        cookie, *flags = login.headers["set-cookie"].split("; ")
        assert (204, True) == (login.status, {"HttpOnly", "Path=/", "SameSite=strict"} <= set(flags))
        assert token not in cookie
        assert 200 == site.get("/api/cost", Cookie=f'other={{"of": "another server"}}; {cookie}').status
        assert 200 == site.get("/api/cost", Authorization=f"Bearer {token}").status
        assert 403 == site.get("/api/cost", Cookie=cookie, Sec_Fetch_Site="cross-site").status
        silent = {"User-Agent": "Mozilla/5.0"}  # as a browser is without TLS: any page of this host
        assert 403 == site.ask("GET", path_of(), {**silent, "Cookie": cookie}).status
        assert 400 == site.ask("GET", GENERATE, {**silent, "Authorization": f"Bearer {token}"}).status


def test_where_it_listens(imgcli: Cli, demo: RunningSite) -> None:
    """It is never open to others without a token; a port in use is a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = imgcli("serve", "--demo", "--port", str(port))
    assert (2, b"", True) == (done.exit_code, done.stdout, f"Port {port} is in use." in done.stderr)
    for host in ("0.0.0.0", "::", ""):  # noqa: S104 - that is the point
        done = imgcli("serve", "--demo", "--host", host, "--port", "0")
        assert (2, True) == (done.exit_code, "Add --token" in done.stderr), done.stderr
    for args, told in (
        (("--allow-origin", "friend.example"), "must be an origin such as https://"),
        (("-m", "gpt-image-2", "-m", "gpt-image-1"), "serve accepts only one --model."),
        (("-o", "-"), "Choose a folder with -o."),
    ):
        done = imgcli("serve", "--demo", "--port", "0", *args)
        assert (2, b"", True) == (done.exit_code, done.stdout, told in done.stderr), done.stderr
    done = imgcli("serve", "--demo", "--port", "0", "-o", "-")
    assert 2 == done.exit_code
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/", demo.url)


def test_images_by_content(demo: RunningSite, folder: Path) -> None:
    """An image is served by its SHA-256, if the history knows it and its file still holds it; no path is."""
    line = demo.generate(format="webp").lines[-1]
    (folder / "secret.png").write_bytes(RED)
    found = demo.get(f"/images/{line['sha256']}")
    assert (200, "image/webp") == (found.status, found.headers["content-type"])
    assert line["sha256"] == hashlib.sha256(found.body).hexdigest()
    assert (
        "inline; filename=\"a-cat.webp\"; filename*=UTF-8''a-cat.webp" == found.headers["content-disposition"]
    )
    assert "same-origin" == found.headers["cross-origin-resource-policy"]
    traversals = ("../here/secret.png", "%2e%2e%2fhere%2fsecret.png", "..%2f..%2fetc%2fpasswd", "/etc/passwd")
    unknown = (hashlib.sha256(RED).hexdigest(), "0" * 64, line["sha256"][:-1], "%00", line["path"])
    for path in (*traversals, *unknown):
        assert 404 == demo.get(f"/images/{path}").status, path
    for path in ("/static/app.js", "/../pyproject.toml", "/%2e%2e/app.js", "/app.js/..%2f..%2fguard.py"):
        assert 404 == demo.get(path).status, path
    (folder / "a-cat.webp").write_bytes(RED)
    assert 404 == demo.get(f"/images/{line['sha256']}").status
    assert 404 == demo.get("/api/history/999").status


CHUNKED = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
CHUNKED += b"Transfer-Encoding: chunked\r\n\r\n"
NO_REQUESTS = [
    (b"\x16\x03\x01\x02", b" 400 ", b"not an HTTP request"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b" 400 ", b"not an HTTP request"),
    (b"GET /?a=" + b"a" * 4_000_000 + b" HTTP/1.1\r\n\r\n", b" 431 ", b"Send a long prompt with POST."),
    (CHUNKED + b"zz\r\n", b" 400 ", b"not an HTTP request"),
]


def test_what_is_no_request(demo: RunningSite) -> None:
    """What is not an HTTP request is refused with a sentence, and the terminal of the server stays silent."""
    for sent, status, told in NO_REQUESTS:
        with socket.create_connection(("127.0.0.1", demo.port), timeout=PATIENCE) as client:
            client.sendall(sent)
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (True, True) == (status in head, told in body), answer
        assert isinstance(json.loads(body)["error"], str)
    assert (-signal.SIGTERM, "") == demo.stop(signal.SIGTERM)


def test_what_comes_after_a_refusal(demo: RunningSite) -> None:
    """A body that was refused is no request: the next one on its connection gets its own answer."""
    body = b"GET /api/models HTTP/1.1\r\nHost: localhost\r\n\r\n".ljust(300_000)
    with closing(HTTPConnection("127.0.0.1", demo.port, timeout=PATIENCE)) as connection:
        for headers, path, status in (
            ({"Host": "evil"}, GENERATE, 403),
            ({}, GENERATE, 415),
            ({}, "/x", 404),
        ):
            connection.request("POST", path, body, headers)
            with closing(connection.getresponse()) as response:
                assert (status, True) == (response.status, b"error" in response.read())
        connection.request("GET", "/api/models")
        with closing(connection.getresponse()) as response:
            assert (200, True) == (response.status, "models" in json.load(response))


def test_the_terminal_of_the_server(server: Server, serve: Serve) -> None:
    """What a client or OpenAI says does nothing to the terminal in which the server runs."""
    wire = server(Reply(whole_run()), error_reply(400, "\x1b[31mRejected\x07\u202e."))
    with serve(wire) as site:
        assert 200 == site.generate("\x1b]0;title\x07 \u202ea cat\r\n\x9b31m").status
        assert 500 == site.generate(model="\x1b[2J").status
        _, told = site.stop(signal.SIGTERM)
    assert ("saved ", True) == (told[:6], "Rejected" in told)
    assert all(line.isprintable() for line in told.split("\n")), repr(told)


def test_bodies_are_bounded(demo: RunningSite) -> None:
    """A body of a gigabyte is refused before it is read, or once it is too much; nothing is held of it."""
    told = demo.ask("POST", GENERATE, {**JSON, "Content-Length": str(1 << 30)}, b"")
    assert (413, True) == (told.status, "larger than 80 MB" in told.json["error"])
    assert 200 == demo.get("/api/models").status


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_crowd(demo: RunningSite, folder: Path) -> None:
    """Two hundred requests, a body of a gigabyte and 300 silent clients cost no image and little memory."""

    def memory(kind: str) -> int:
        status = Path(f"/proc/{demo.process.pid}/status").read_text()
        return int(re.search(rf"{kind}:\s+(\d+)", status)[1]) << 10  # type: ignore[index]

    before = memory("VmRSS")
    silent = [socket.create_connection(("127.0.0.1", demo.port), timeout=PATIENCE) for _ in range(300)]
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(demo.generate().status)) for _ in range(200)]
    for thread in threads:
        thread.start()
    with socket.create_connection(("127.0.0.1", demo.port), timeout=PATIENCE) as client:
        client.sendall(CHUNKED)
        piece = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
        for _ in range(1024):
            client.sendall(piece)
        client.sendall(b"0\r\n\r\n")
        assert b" 413 " in client.recv(100)
    for thread in threads:
        thread.join(PATIENCE)
    for client in silent:
        client.close()
    assert {200, 429} == set(answers)
    assert answers.count(200) == len(list(folder.glob("a-cat*.png")))
    assert memory("VmHWM") - before < 500 << 20


def test_looking_back(demo: RunningSite, imgcli: Cli) -> None:
    """The documents are those that the commands print as JSON; the history goes on after any run."""
    for prompt in ("a cat", "a dog", "a cow"):
        assert 200 == demo.generate(prompt, quality="low", partials=0).status
    assert imgcli("history", "--json").stdout == demo.get("/api/history").body
    assert imgcli("cost", "--json", "--by", "model").stdout == demo.get("/api/cost?by=model").body
    assert imgcli("models", "--json").stdout == demo.get("/api/models").body
    first = demo.get("/api/history?limit=1").lines
    others = demo.get(f"/api/history?limit=5&before={first[0]['id']}").lines
    assert (["a cow"], ["a dog", "a cat"]) == tuple([one["prompt"] for one in few] for few in (first, others))
    assert ["a dog"] == [one["prompt"] for one in demo.get("/api/history?search=DOG").lines]
    for query in ("history?limit=0", "history?limit=x", "cost?by=x", "cost?period=x"):
        assert 400 == demo.get(f"/api/{query}").status, query
    about = demo.get("/api/about").json
    assert (True, "1024x1024", "medium", 3) == (
        about["demo"],
        *(about["defaults"][name] for name in ("size", "quality", "partials")),
    )


def test_the_page_is_safe(demo: RunningSite) -> None:
    """The page has no inline code, and may talk to nobody else."""
    page = demo.get("/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    text = page.body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=\"/)|\bon[a-z]+=|style=|https?://", text)
    for path in ("/app.js", "/style.css"):
        answer = demo.get(path)
        assert (200, False) == (answer.status, b"http" in answer.body.replace(b"http://www.w3.org", b""))

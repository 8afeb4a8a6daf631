"""Servers that speak OpenAI's API in their own way: images behind links, other paths, prices of their own."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from beside import running, wait_for
from conftest import CANARY_KEY
from images import MASK
from imgcli.api.auth import Credentials
from imgcli.api.client import Clock
from imgcli.api.download import LIMIT, LinkedImages, is_public
from imgcli.api.stream.link import LinkError
from imgcli.api.transport import Timeouts
from imgcli.core.billing.bill import Part, bill
from imgcli.core.billing.rates import with_server_price
from imgcli.core.catalog import load
from imgcli.core.config import OptionType, ValueType
from imgcli.core.config_reader import read_config
from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from streams import BLUE, GREEN, RED, b64, completed, created, image_item, item_done, stream
from wire import End, Framing, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

JSON = "application/json"
PNG = Reply(RED, content_type="image/png", framing=Framing.LENGTH)


def answer(*entries: dict[str, Any], indent: int | None = None, **fields: Any) -> Reply:
    """Answer a request of the Images API in one piece."""
    return Reply(json.dumps({"data": list(entries), **fields}, indent=indent).encode(), content_type=JSON)


def at(server: ScriptedServer, host: str = "127.0.0.1", scheme: str = "http") -> str:
    """Return a link to an image at a server, by one of its names."""
    return f"{scheme}://{host}:{server.port}/generated-images/a.png?sig=x%2Fy"


def configured(world: dict[str, str], tmp_path: Path, server: ScriptedServer, *lines: str) -> dict[str, str]:
    """Write a configuration with one profile, in use, and return the environment."""
    path = tmp_path / "config.toml"
    head = ['default-profile = "other"', "[profile.other]", f'base-url = "{server.base_url}"']
    path.write_text("\n".join([*head, 'key-env = "OTHER_KEY"', *lines, ""]))
    return world | {"IMGCLI_CONFIG": str(path), "OTHER_KEY": CANARY_KEY}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_image_behind_a_link_is_saved(
    server: Server, imgcli: Cli, world: dict[str, str], tmp_path: Path, folder: Path, indent: int | None
) -> None:
    """The image is fetched once from the server itself; neither key nor headers of the profile go along."""
    other = server()
    link = at(other)
    other.replies = [answer({"url": link, "revised_prompt": "A red cat"}, indent=indent), PNG]
    env = configured(world, tmp_path, other, 'headers = { x-team = "art" }')
    done = imgcli("gen", "a cat", "--api", "images", "-m", "sd", env=env)
    assert (0, RED) == (done.exit_code, (folder / "a-cat.png").read_bytes()), done.stderr
    assert "fetching the image from 127.0.0.1" in done.stderr
    post, get = other.requests
    assert ("POST", f"Bearer {CANARY_KEY}", "art") == (
        post.method,
        post.headers["authorization"],
        post.headers["x-team"],
    )
    assert ("GET", "/generated-images/a.png?sig=x%2Fy") == (get.method, get.path)
    assert set() == {"authorization", "x-team", "cookie", "content-type"} & get.headers.keys()
    assert CANARY_KEY not in str(get)


@pytest.mark.parametrize("shape", ["images", "responses"])
def test_a_link_in_a_stream(server: Server, gen: Gen, imgcli: Cli, folder: Path, shape: str) -> None:
    """A link in the last event of either API is fetched, though the stream is cut; a recording has both."""
    other = server()
    link = at(other)
    bodies = {
        "images": stream({"type": "image_generation.completed", "url": link}),
        "responses": stream(
            created(), item_done(image_item(result=link)), completed(image_item(result=link))
        ),
    }
    other.replies = [Reply(bodies[shape] + b"data: {", end=End.FIN), PNG]
    done = gen(other, "a cat", "--stream", "--record", "run.sse")
    assert (0, RED) == (done.exit_code, (folder / "a-cat.png").read_bytes()), done.stderr
    assert 1 == other.posts
    assert 0 == imgcli("view", "run.sse", "--fast", "--save", "again/").exit_code
    (image,) = (folder / "again").glob("*.png")
    assert (RED, 2) == (image.read_bytes(), len(other.requests))


def seedream(kind: str, index: int, **fields: Any) -> dict[str, Any]:
    """Tell of one image as Seedream's stream does."""
    return {"type": f"image_generation.partial_{kind}", "image_index": index, "model": "seedream", **fields}


@pytest.mark.parametrize("failed", [False, True])
def test_finished_images_under_another_name(server: Server, gen: Gen, folder: Path, *, failed: bool) -> None:
    """Seedream's events for finished images are no previews, and its last event is none of an image."""
    other = server()
    error = {"code": "OutputImageSensitiveContentDetected", "message": "Blocked."}
    last = seedream("failed", 2, error=error) if failed else seedream("succeeded", 2, b64_json=b64(GREEN))
    images = [seedream("succeeded", 0, url=at(other)), seedream("succeeded", 1, b64_json=b64(BLUE)), last]
    end = {"type": "image_generation.completed", "usage": {"generated_images": 3, "output_tokens": 4096}}
    other.replies = [Reply(stream(*images, end) + b"data: [DONE]\n\n"), PNG]
    done = gen(other, "a cat", "--api", "images", "-m", "seedream", "--stream")
    assert (3 if failed else 0) == done.exit_code, done.stderr
    assert ("Blocked." in done.stderr) is failed
    saved = {path.read_bytes() for path in folder.glob("*.png")}
    assert ({RED, BLUE} if failed else {RED, BLUE, GREEN}) == saved


def test_several_links(server: Server, gen: Gen, folder: Path) -> None:
    """Every link is fetched; one that fails costs only its own image, and the message has it whole."""
    other = server()
    other.replies = [
        answer({"url": at(other)}, {"b64_json": b64(BLUE)}, {"url": at(other) + "&n=2"}),
        PNG,
        Reply(b"gone", status=404),
    ]
    done = gen(other, "a cat", "-m", "gpt-image-2.6-sunburst", "-n", "3", "--single-request")
    assert 3 == done.exit_code, done.stderr
    assert "2 of 3 images arrived" in done.stderr
    assert at(other) + "&n=2" in done.stderr.replace("\n", "")
    assert "HTTP 404" in done.stderr
    assert {RED, BLUE} == {path.read_bytes() for path in folder.glob("*.png")}


def test_a_data_url_is_no_link(server: Server, gen: Gen, folder: Path) -> None:
    """An image that is in its own link is decoded; nothing is fetched."""
    other = server(answer({"b64_json": None, "url": f"data:image/png;base64,{b64(RED)}"}))
    done = gen(other, "a cat")
    assert (0, RED) == (done.exit_code, (folder / "a-cat.png").read_bytes()), done.stderr
    assert 1 == len(other.requests)


BAD = {
    "redirect": (Reply(status=302, headers=(("location", "http://127.0.0.1/x.png"),)), "does not follow"),
    "web page": (Reply(b"<!doctype html><title>Login</title>", content_type="image/png"), "is not an image"),
    "empty": (Reply(b"", content_type="image/png"), "is not an image"),
    "compressed": (
        Reply(b"\x1f\x8b\x08" + bytes(64), headers=(("content-encoding", "gzip"),)),
        "not an image",
    ),
    "forbidden": (Reply(b"expired", status=403), "HTTP 403"),
    "cut": (Reply(RED, framing=Framing.CHUNKED, end=End.FIN), "broke before"),
    "hung up": (Reply(end=End.CLOSE), "broke before"),
    "silent": (Reply(end=End.SILENT), "was silent for 1 s"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_link_that_brings_no_image(server: Server, gen: Gen, folder: Path, name: str) -> None:
    """Nothing is asked for twice, and the message has the link, the reason, and what may still be done."""
    other = server()
    reply, reason = BAD[name]
    other.replies = [answer({"url": at(other)}), reply]
    done = gen(other, "a cat", "--timeout", "1")
    assert 9 == done.exit_code, done.stderr
    told = " ".join(done.stderr.split())
    assert reason in told
    assert at(other) in done.stderr.replace("\n", "")
    assert "curl -o image.png" in told
    assert "charged" in told
    assert (["POST", "GET"], []) == ([one.method for one in other.requests], list(folder.iterdir()))


def fetch(base_url: str, link: str, timeouts: Timeouts | None = None) -> bytes:
    """Fetch a link of an answer of the server at this address."""
    clock, credentials = Clock(), Credentials(CANARY_KEY, base_url)
    return LinkedImages(credentials, timeouts or Timeouts(5), clock, lambda _: None).fetch(link)


def reason(base_url: str, link: str, timeouts: Timeouts | None = None) -> str:
    """Return why a link is not fetched."""
    with pytest.raises(LinkError) as raised:
        fetch(base_url, link, timeouts)
    assert CANARY_KEY not in str(raised.value)
    return raised.value.reason


def test_an_image_without_an_end(server: Server) -> None:
    """A body is read up to a limit, and a server that drips is left after a while."""
    large = server(Reply(RED + bytes(LIMIT), framing=Framing.CLOSE, chunk=4_000_000))
    assert "larger than 59 MB" in reason(large.base_url, at(large))
    dripping = Reply(RED + bytes(600), chunk=1, pauses=tuple((at, 0.05) for at in range(1, 600)))
    slow = server(dripping)
    assert "closed the connection" in reason(slow.base_url, at(slow), Timeouts(5, progress=0.5))


@pytest.mark.parametrize(
    ("host", "scheme", "why"),
    [
        ("localhost", "http", "unencrypted"),
        ("[::1]", "http", "unencrypted"),
        ("localhost", "https", "private address"),
        ("127.1", "https", "private address"),
        ("[::ffff:127.0.0.1]", "https", "private address"),
    ],
)
def test_a_link_into_this_machine(server: Server, host: str, scheme: str, why: str) -> None:
    """A server elsewhere cannot have us ask what only we can reach: nothing is sent there."""
    inner = server(PNG)
    assert why in reason("https://gateway.example/v1", at(inner, host, scheme))
    assert [] == inner.requests


def test_a_name_that_changes_its_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked up, and private when it is dialed, gets not one byte."""
    inner = server(PNG)
    lookup, asked = socket.getaddrinfo, list[str]()

    def rebinding(host: str, *args: Any, **named: Any) -> Any:
        asked.append(host)
        return lookup("8.8.8.8" if len(asked) == 1 else "127.0.0.1", *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert "private address" in reason("https://gateway.example/v1", at(inner, "images.example", "https"))
    assert (["images.example"] * 2, []) == (asked[:2], inner.requests)


def test_a_proxy_hides_an_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server is not asked through a proxy, which may reach what we must not."""
    proxy = server(PNG)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert "proxy" in reason("https://gateway.example/v1", "https://images.example/a.png")
    assert [] == proxy.requests


@pytest.mark.parametrize(
    "link",
    [
        "http://",
        "https://[::1/a.png",
        "https://a.example:99999/",
        "http://127.0.0.1:0/",
        "http://a b/\x1b",
        "https://a..b/c",
    ],
)
def test_a_link_that_is_none(link: str) -> None:
    """What is no address is told as that."""
    assert "not a valid address" in reason("http://127.0.0.1:1/v1", link)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("ff0e::1", False),
    ],
)
def test_public_addresses(address: str, *, public: bool) -> None:
    """Addresses of private networks, of this machine and of clouds' metadata are not public."""
    assert public is is_public(address)


def test_a_fetched_image_survives_a_kill(
    server: Server, world: dict[str, str], folder: Path, imgcli: Cli, tmp_path: Path
) -> None:
    """Killed after the image of a link came, the run is finished: only the link that is left is fetched."""
    other = server()
    links = [at(other), at(other) + "&n=2"]
    other.replies = [answer({"url": links[0]}, {"url": links[1]}, indent=1), PNG, Reply(end=End.STALL)]
    blocked = tmp_path / "blocked"
    command = ("gen", "a cat", "-m", "gpt-image-2.6-sunburst", "-n", "2", "--single-request", "-q")
    with running(other, world, folder, "-o", str(blocked / "cat.png"), command=command) as process:
        wait_for(lambda: len(other.requests) == 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    for path in blocked.glob("*"):  # as if it had been killed before it was saved
        path.unlink()
    other.replies = [Reply(BLUE, content_type="image/png")]
    done = imgcli("recover")
    assert {RED, BLUE} == {path.read_bytes() for path in blocked.glob("*.png")}, done.stderr
    assert (0, 1, 4) == (done.exit_code, other.posts, len(other.requests))


def test_a_link_that_was_not_fetched_is_offered(
    server: Server, world: dict[str, str], folder: Path, imgcli: Cli
) -> None:
    """Killed before the image of a link came, the run is named by the next one, and in the list."""
    other = server()
    other.replies = [answer({"url": at(other)}), Reply(end=End.STALL), Reply(stream(created()))]
    with running(other, world, folder, command=("gen", "a cat", "--api", "images", "-m", "sd")) as process:
        wait_for(lambda: len(other.requests) == 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "a link to an image" in imgcli("recover", "--list").stdout.decode()
    done = imgcli("gen", "a dog", env={"OPENAI_BASE_URL": other.base_url})
    assert "1 unfinished run" in done.stderr


OPENROUTER = ('images-path = "/images"', 'api = "images"', 'model = "openai/gpt-image-2"')
USAGE = {"prompt_tokens": 16, "completion_tokens": 272, "total_tokens": 288, "cost": 0.0113}


def openrouter_run(**usage: Any) -> bytes:
    """Stream as OpenRouter documents it (August 2026), with the comments that it sends meanwhile."""
    final = {"b64_json": b64(RED), "media_type": "image/png", "created": 1748372400}
    events = [
        {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": b64(BLUE)},
        {"type": "image_generation.completed", **final, "usage": USAGE | usage},
    ]
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return f": OPENROUTER PROCESSING\n\n{data}data: [DONE]\n\n".encode()


def test_openrouter(server: Server, imgcli: Cli, world: dict[str, str], tmp_path: Path, folder: Path) -> None:
    """The documented profile works: its path, its previews, and its dollars in the bill and the history."""
    other = server(Reply(openrouter_run()))
    other.path = "/api/v1"
    env = configured(world, tmp_path, other, *OPENROUTER)
    done = imgcli("gen", "a cat", "--partials", "1", "--jsonl", "--bill", env=env)
    lines = [json.loads(line) for line in done.lines]
    assert (0, RED) == (done.exit_code, (folder / "a-cat.png").read_bytes()), done.stderr
    (post,) = other.requests
    assert ("/api/v1/images", f"Bearer {CANARY_KEY}", True) == (
        post.path,
        post.headers["authorization"],
        post.json["stream"],
    )
    assert ["partial", "completed"] == [line["status"] for line in lines]
    assert 0.0113 == lines[-1]["cost_usd"]
    entry = json.loads(imgcli("history", "--json", env=env).stdout)
    (charge,) = entry["charges"]
    assert (0.0113, 0.0113, 16, 272, None) == (
        entry["cost_usd"],
        charge["cost_usd"],
        charge["tokens_in"],
        charge["tokens_out"],
        entry["prices_date"],
    )
    assert 0.0113 == json.loads(imgcli("cost", "--json", env=env).stdout)["cost_usd"]
    assert "as the server says" in imgcli("info", "1", env=env).stdout.decode()


def test_one_path_for_edits(
    server: Server, imgcli: Cli, world: dict[str, str], tmp_path: Path, folder: Path
) -> None:
    """Where a server has one path, images to start from go there in JSON; a mask has no place in it."""
    (folder / "in.png").write_bytes(BLUE)
    other = server(answer({"b64_json": b64(RED)}, usage=USAGE))
    env = configured(world, tmp_path, other, *OPENROUTER)
    done = imgcli("edit", "in.png", "a hat", "-o", "out.png", env=env)
    assert (0, RED) == (done.exit_code, (folder / "out.png").read_bytes()), done.stderr
    assert ("/v1/images", JSON) == (other.requests[0].path, other.requests[0].headers["content-type"])
    (reference,) = other.requests[0].json["input_references"]
    assert {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(BLUE)}"}} == reference
    (folder / "mask.png").write_bytes(MASK)
    done = imgcli("edit", "in.png", "a hat", "--mask", "mask.png", env=env)
    assert (2, 1) == (done.exit_code, len(other.requests))
    assert "accept a mask" in done.stderr


@pytest.mark.slow
def test_paths_belong_to_one_server(
    server: Server, imgcli: Cli, world: dict[str, str], tmp_path: Path, folder: Path
) -> None:
    """Edits may have a path of their own, so may responses; another server gets the usual ones."""
    (folder / "in.png").write_bytes(BLUE)
    mine, other = server(answer({"b64_json": b64(RED)})), server(answer({"b64_json": b64(RED)}))
    own = ('images-path = "/draw"', 'edits-path = "/redraw?v=2"', 'responses-path = "/ask"')
    env = configured(world, tmp_path, mine, *own)
    for target in (env, env | {"OPENAI_BASE_URL": other.base_url}):
        assert 0 == imgcli("gen", "a cat", "--api", "images", "-m", "sd", env=target).exit_code
        assert 0 == imgcli("edit", "in.png", "a hat", "--api", "images", "-m", "sd", env=target).exit_code
        imgcli("gen", "a cat", env=target)
    assert ["/v1/draw", "/v1/redraw?v=2", "/v1/ask"] == [request.path for request in mine.requests]
    usual = ["/v1/images/generations", "/v1/images/edits", "/v1/responses"]
    assert usual == [request.path for request in other.requests]
    assert "multipart/form-data" in mine.requests[1].headers["content-type"]
    shown = imgcli("config", "show", env=env).stdout.decode()
    assert "images-path" in shown
    assert "/redraw?v=2" in shown
    told = json.loads(imgcli("config", "show", "--json", env=env).stdout)["paths"]
    assert {"images-path": "/draw", "edits-path": "/redraw?v=2", "responses-path": "/ask"} == told


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            '[profile.a]\nbase-url = "https://a.example/v1"\nimages-path = "images"',
            "must be a path below base-url",
        ),
        ('[profile.a]\nbase-url = "https://a.example/v1"\nedits-path = "//b.example/x"', "must be a path"),
        ('[profile.a]\nbase-url = "https://a.example/v1"\nresponses-path = "/a b"', "must be a path"),
        ('[profile.a]\nbase-url = "https://a.example/v1"\nresponses-path = "/a#b"', "must be a path"),
        ('[profile.a]\nbase-url = "https://a.example/v1"\nimages-path = 7', "must be a path"),
        ('[profile.a]\nimages-path = "/images"', "this profile names none"),
        ('images-path = "/images"', "belongs to one server"),
        ('[gen]\nimages-path = "/images"', "belongs to one server"),
    ],
)
def test_paths_that_are_none(lines: str, why: str) -> None:
    """A path that would lead to another server, or belongs to none, is an error with its line."""
    with pytest.raises(ImgcliError, match=why) as raised:
        read_config(lines, {"gen": {"base-url": OptionType(ValueType.TEXT)}}, "config.toml")
    assert f"Line {len(lines.splitlines())} of config.toml" in str(raised.value)


def priced(usage: dict[str, Any], api: Api = Api.IMAGES) -> Any:
    """Return the bill of a run for which the server reports this."""
    request, end = ImageRequest("a cat", "gpt-image-2", api), Completed("j", model=None, usage=usage)
    return with_server_price(bill(request, end, 1, load()), end)


@pytest.mark.parametrize("cost", [None, "0.04", True, -0.01, float("nan"), float("inf"), 1e9, {}, [0.04]])
def test_a_price_that_is_none(cost: object) -> None:
    """What cannot be an amount of dollars is no price: the bill is made as ever."""
    assert None is priced({**USAGE, "cost": cost}).total


def test_whose_key_it_was() -> None:
    """With a key of the user's own, what its provider charges is added, or said to be unknown."""
    added = priced({**USAGE, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}})
    unknown = priced({**USAGE, "is_byok": True})
    assert ("0.2113", None, "0.0113") == (str(added.total), unknown.total, str(unknown.known))
    assert "your own key" in unknown.notes[-1]


def test_one_price_for_two_models() -> None:
    """On the Responses API nobody knows how the dollars are split: they are in one row."""
    (row,) = priced(USAGE, Api.RESPONSES).rows
    assert (Part.ALL, 16, 272, "0.0113") == (row.part, row.tokens_in, row.tokens_out, str(row.cost))

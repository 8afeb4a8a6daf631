"""A web client of the contract in a real browser: React, TanStack Query, from another origin."""

from __future__ import annotations

import base64
import functools
import http.server
import itertools
import json
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beside import wait_for
from browser import CHROMIUM, Browser
from npm import npm_packages
from streams import BLUE, RED, b64, completed, created, image_item, item_done, partial, png, record, stream
from substitutes import PACE
from test_serve import JSON
from test_serve import serve as serve  # noqa: PLC0414 - a fixture
from webclient import RunningSite, serving
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Cli
    from test_serve import Serve, Server

pytestmark = pytest.mark.slow
PACKAGES = ("react@19.3.1", "react-dom@19.3.1", "@tanstack/react-query@5.108.4", "esbuild@0.28.2")
SOURCE = Path(__file__).with_name("web_client")
STATUS = "document.querySelector('output').textContent"
IDLE = "document.querySelector('output').dataset.fetch === 'idle'"
SHOWN = "document.querySelector('img')?.src.split(',')[1]"
PIXELS = "document.querySelector('img').decode().then(() => document.querySelector('img').naturalWidth)"
INDEX = "document.querySelector('output').dataset.index"
ALERT = "document.querySelector('[role=alert]')?.textContent"
WATCH = """
window.seen = [];
new MutationObserver(() => {
  const image = document.querySelector("img")?.src;
  if (image && image !== window.seen.at(-1)) window.seen.push(image);
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle the client as a web developer does."""
    folder = tmp_path_factory.mktemp("web_client")
    for file in SOURCE.iterdir():
        shutil.copy(file, folder)
    modules = npm_packages(*PACKAGES)
    (folder / "node_modules").symlink_to(modules)
    options = ("--bundle", "--jsx=automatic", "--outfile=client.js", "--log-level=warning")
    esbuild = str(modules / ".bin" / "esbuild")
    subprocess.run([esbuild, "client.jsx", *options], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def origin(bundle: Path) -> Iterator[str]:
    """Serve the client's page: another origin than the server's."""
    with _served(bundle) as address:
        yield address


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Log nothing."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all of these tests; where CI can install it, its absence is a failure."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing; .ci/run installs it")
        pytest.skip("chromium is not installed")
    flags = ("--host-resolver-rules=MAP evil.example 127.0.0.1",)
    with Browser(tmp_path_factory.mktemp("profile"), flags=flags) as one:
        yield one


def generate(browser: Browser, origin: str, site: RunningSite, prompt: str = "a cat") -> None:
    """Open the client's page, type a prompt and press Enter."""
    browser.open(f"{origin}/index.html?server={site.origin}")
    browser.evaluate(WATCH)
    browser.wait_for("document.activeElement.name === 'prompt'")
    browser.write(prompt)
    browser.press("Enter")


def test_an_image(world: dict[str, str], folder: Path, browser: Browser, origin: str) -> None:
    """The image is replaced three times; the usage and the model come at the end."""
    with serving(world | {PACE: "0.3"}, folder, "--demo", "--allow-origin", origin) as site:
        generate(browser, origin, site, "a cat & a dog, ünïcode 猫")
        browser.wait_for(f"{STATUS} === 'completed' && {IDLE}")
        assert 1024 == browser.evaluate(PIXELS)
        images = [base64.b64decode(one.partition(",")[2]) for one in browser.evaluate("window.seen")]
        usage = browser.evaluate("document.querySelector('#usage').textContent")
        entry = site.get("/api/history").lines[0]
    (saved,) = folder.glob("*.png")
    assert (4, saved.read_bytes()) == (len(set(images)), images[-1])
    assert (True, True) == (usage.startswith("gpt-4o-mini"), '"total_tokens":' in usage)
    assert "a cat & a dog, ünïcode 猫" == entry["prompt"]
    assert ([], []) == (browser.thrown, browser.console)


def test_each_image_as_it_comes(server: Server, serve: Serve, browser: Browser, origin: str) -> None:
    """A partial image is on the page before the next one is sent."""
    shades = [png(shade) for shade in (10, 90, 170)]
    pieces = [stream(created(), partial(0, shades[0]))]
    pieces += [stream(partial(number, shades[number])) for number in (1, 2)]
    item = image_item()
    ends = tuple(itertools.accumulate(map(len, pieces)))
    wire = server(Reply(b"".join(pieces) + stream(item_done(item), completed(item)), holds=ends))
    with serve(wire, "--allow-origin", origin) as site:
        generate(browser, origin, site)
        for number, shade in enumerate(shades):
            browser.wait_for(f"{SHOWN} === {json.dumps(b64(shade))}")
            assert ("partial", str(number)) == (browser.evaluate(STATUS), browser.evaluate(INDEX))
            wire.go_on()
        browser.wait_for(f"{STATUS} === 'completed' && {SHOWN} === {json.dumps(b64(RED))}")


def test_failures(server: Server, serve: Serve, browser: Browser, origin: str) -> None:
    """What fails is said on the page, before the stream and in it; the image that came stays."""
    broken = record({"type": "error", "code": "server_error", "message": "It broke."})
    wire = server(
        Reply(stream(created(), partial(0)) + broken),
        error_reply(400, "Rejected.", "moderation_blocked"),
    )
    with serve(wire, "--allow-origin", origin) as site:
        generate(browser, origin, site)
        assert "It broke." in browser.wait_for(ALERT)
        assert ("error", b64(BLUE)) == (browser.evaluate(STATUS), browser.evaluate(SHOWN))
        generate(browser, origin, site)
        assert browser.wait_for(ALERT).startswith("Failed to generate image stream: ")
        assert "Rejected." in browser.evaluate(ALERT)
    assert [] == browser.thrown


def test_cancel(
    server: Server, serve: Serve, imgcli: Cli, folder: Path, browser: Browser, origin: str
) -> None:
    """Cancelling the query ends the run as Ctrl-C does: the last partial is kept, and the record."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with serve(wire, "--allow-origin", origin) as site:
        generate(browser, origin, site)
        browser.wait_for(f"{SHOWN} === {json.dumps(b64(BLUE))}")
        browser.evaluate("document.querySelector('button').click()")
        wait_for(wire.hung_up.is_set)
        wait_for(lambda: site.get("/api/history").lines)
        (entry,) = site.get("/api/history").lines
    assert ("interrupted", "maybe", 1) == (entry["outcome"], entry["charged"], wire.posts)
    assert BLUE == (folder / "a-cat.partial.png").read_bytes()
    assert "1 partial image  a cat" in imgcli("recover", "--list").stdout.decode()


def test_a_hostile_page(server: Server, serve: Serve, folder: Path, browser: Browser, origin: str) -> None:
    """Another page cannot spend a cent or read a line, be it on this host or elsewhere, logged in or not."""
    wire = server(Reply(stream(created(), partial(0))))
    for options in ((), ("--token",)):
        with serve(wire, *options) as site:
            browser.open(f"{site.origin}/")
            if options:
                login = {
                    "method": "POST",
                    "headers": JSON,
                    "body": json.dumps({"token": site.url.partition("#token=")[2]}),
                }
                assert browser.evaluate(f"fetch('/api/login', {json.dumps(login)}).then((one) => one.ok)")
                assert browser.evaluate("fetch('/api/history').then((one) => one.ok)")
            for host in ("127.0.0.1", "evil.example"):
                page = origin.replace("127.0.0.1", host)
                browser.open(f"{page}/hostile.html?server={site.origin}")
                assert {"TypeError", "opaque", "closed"} >= set(browser.evaluate("attack()"))
            browser.open(f"http://evil.example:{site.port}/")
            assert "This address is not one of imgcli's" in browser.evaluate("document.body.innerText")
    assert ([], []) == (wire.requests, list(folder.iterdir()))

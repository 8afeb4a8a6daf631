"""The page of `imgcli serve` in a real browser, and the routes that are there for it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from beside import wait_for
from conftest import CANARY_KEY
from earlier import history, remember, sha
from imgcli.core.history import Parent, SavedImage
from imgcli.core.image import ImageFormat
from streams import RED, created, partial, record, stream, whole_run
from test_gallery import HOSTILE, png
from test_gallery_page import FOCUS, LOADED, MANY, NAMED, OPEN, text
from webclient import GENERATE, RunningSite, serving
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from browser import Browser
    from wire import ScriptedServer

    Serve = Callable[..., AbstractContextManager[RunningSite]]

READY = "document.getElementById('price').textContent && document.getElementById('count').textContent"
DONE = "document.querySelectorAll('.result .actions:not([hidden])').length === {0}"
IDLE = "document.getElementById('cancel').hidden"
RESULT = "document.getElementById('results').innerText"


@pytest.fixture
def serve(world: dict[str, str], folder: Path) -> Serve:
    """Run `imgcli serve ARGS...` that asks a scripted server."""

    @contextmanager
    def start(server: ScriptedServer, *args: str) -> Iterator[RunningSite]:
        env = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": CANARY_KEY}
        with serving(world, folder, *args, **env) as site:
            yield site

    return start


@pytest.fixture
def demo(world: dict[str, str], folder: Path) -> Iterator[RunningSite]:
    """Run `imgcli serve --demo`."""
    with serving(world, folder, "--demo", "--seed", "1") as site:
        yield site


def visit(browser: Browser, site: RunningSite, at: str = "/") -> None:
    """Open the page, and wait until it has asked the server for everything."""
    browser.resize(1280, 800)
    browser.open(site.origin + at)
    browser.wait_for(READY)


def many(world: dict[str, str], folder: Path, count: int) -> None:
    """Record as many runs, each with an image of its own."""
    first = remember(world, (png(), folder / "0.png"), prompt="run 0", model="m")
    with history(world) as book:
        for run in range(1, count):
            data, path = png((run % 256, run // 256, 0)), folder / f"{run}.png"
            path.write_bytes(data)
            image = SavedImage(0, sha(data), len(data), path)
            began = first.started + timedelta(milliseconds=run)
            fields: dict[str, Any] = {"job": f"many-{run}", "prompt": f"run {run}", "number": None}
            book.record(replace(first, images=(image,), started=began, **fields))


def generate(browser: Browser, prompt: str) -> None:
    """Type a prompt and press Enter."""
    browser.evaluate("document.getElementById('new-prompt').focus()")
    browser.write(prompt)
    browser.press("Enter")


def click(browser: Browser, selector: str) -> None:
    """Click on what a selector finds first."""
    browser.evaluate(f"document.querySelector({selector!r}).click()")


# The routes


def test_the_gallery_comes_in_pages(demo: RunningSite, world: dict[str, str], folder: Path) -> None:
    """The gallery's route gives runs newest first, a page at a time, by text, model and day."""
    many(world, folder, 102)
    two = (png((1, 1, 1)), None), (png((2, 2, 2)), folder / "b.png")
    remember(world, *two, prompt="two dogs", image_model="gpt-6-luna")
    remember(world, prompt="nothing came")
    first = demo.get("/api/gallery").json
    assert (104, {"gpt-6-luna": 2, "m": 102}, ["103-1", "103-2", "102"]) == (
        first["total"],
        first["models"],
        [one["id"] for one in first["images"][:3]],
    )
    assert ("unsaved", None) == (first["images"][0]["state"], first["images"][0]["thumbnail"])
    seen, page = list[str](), first
    while True:
        seen += [one["id"] for one in page["images"]]
        if page["next"] is None:
            break
        page = demo.get(f"/api/gallery?before={page['next']}").json
    assert (104, 104) == (len(seen), len(set(seen)))
    assert (2, 2) == tuple(
        len(demo.get(f"/api/gallery?{q}").json["images"]) for q in ("search=DOG", "search=two")
    )
    assert 102 == demo.get(f"/api/gallery?model=m&day={first['images'][0]['day']}").json["total"]
    assert 0 == demo.get("/api/gallery?day=2001-01-01").json["total"]
    for query in ("before=x", "day=today", "day=9999-12-31"):
        assert 400 == demo.get(f"/api/gallery?{query}").status
    assert 403 == demo.get("/api/gallery", Sec_Fetch_Site="cross-site").status


def test_a_family(demo: RunningSite, world: dict[str, str], folder: Path) -> None:
    """An image is found by its id, with all that it was made from and all that was made of it."""
    mother = remember(world, (png((1, 0, 0)), folder / "1.png"), prompt="a cat").images[0]
    child = remember(
        world, (png((2, 0, 0)), folder / "2.png"), parents=(Parent(mother.sha256), Parent("ab" * 32))
    )
    remember(world, (png((3, 0, 0)), folder / "3.png"), parents=(Parent(child.images[0].sha256),))
    remember(world, (png((4, 0, 0)), folder / "4.png"), prompt="a stranger")
    images = demo.get("/api/gallery/2").json["images"]
    kin = [(one["id"], one["parents"], one["children"], one["outside"]) for one in images]
    assert [("2", ["1"], ["3"], 1), ("3", ["2"], [], 0), ("1", [], ["2"], 0)] == kin
    assert "2" == demo.get(f"/api/gallery/{child.job}").json["images"][0]["id"]
    for name in ("9", "2-2", "x", "..%2F1"):
        assert 404 == demo.get(f"/api/gallery/{name}").status


def test_thumbnails(demo: RunningSite, world: dict[str, str], folder: Path) -> None:
    """A thumbnail is a small WebP file of an image that the history knows, whose file is still the same."""
    entry = remember(world, (png(size=(2000, 1000)), folder / "1.png"), (b"no image", folder / "2.png"))
    gone = remember(world, (png((1, 1, 1)), folder / "gone.png"), prompt="gone").images[0].sha256
    (folder / "gone.png").unlink()
    images = {one["id"]: one for one in demo.get("/api/gallery").json["images"]}
    answer = demo.get(images["1-1"]["thumbnail"])
    with Image.open(io.BytesIO(answer.body)) as small:
        assert ("WEBP", (480, 240)) == (small.format, small.size)
    assert ("image/webp", True) == (
        answer.headers["content-type"],
        "immutable" in answer.headers["cache-control"],
    )
    assert 404 == demo.get(images["1-2"]["thumbnail"]).status  # which cannot be decoded
    assert ("gone", None, None) == tuple(images["2"][key] for key in ("state", "thumbnail", "original"))
    (folder / "1.png").write_bytes(png((9, 9, 9)))
    assert 200 == demo.get(images["1-1"]["thumbnail"]).status  # it was made of what the history knows
    for name in (gone, "0" * 64, "1.png", "..%2F1.png"):
        assert 404 == demo.get(f"/images/{name}/thumbnail").status
    with history(world) as book:
        book.record(replace(entry, images=(replace(entry.images[0], format=ImageFormat.SVG),)))
    changed = demo.get("/api/gallery/1").json["images"][0]
    assert "changed" == changed["state"]


def test_starting_from_the_history(server: Callable[..., ScriptedServer], serve: Serve, folder: Path) -> None:
    """An edit and a repetition start from an image by its id, with its parameters; no path is one."""
    wire = server(Reply(whole_run()))
    with serve(wire) as site:
        assert 200 == site.generate("a cat", quality="low", size="1536x1024").status
        assert 200 == site.generate("make it night", edit="1").status
        assert 200 == site.generate("a cat", again="1").status
        assert 200 == site.generate("a dog", again=1, quality="high").status
        for body, told in REFUSED_STARTS:
            answer = site.ask("POST", GENERATE, body={"prompt": "x", **body})
            assert (400, True) == (answer.status, told in answer.json["details"]), (body, answer.json)
        estimate = site.ask("POST", "/api/estimate", body={"prompt": "x", "edit": "1", "size": "1024x1024"})
        assert 0 < estimate.json["most_usd"] < 1
        assert [1, 1] == [len(run["pictures"]) for run in site.get("/api/history?limit=2").lines]
        parent = site.get("/api/history/2").json["parents"]
    assert [{"sha256": hashlib.sha256(RED).hexdigest(), "role": "original"}] == parent
    sent = [request.json for request in wire.requests if request.method == "POST"]
    assert [None, "resp_1", None, None] == [one.get("previous_response_id") for one in sent]
    options = [tuple(one["tools"][0].get(key) for key in ("size", "quality", "action")) for one in sent]
    assert [
        ("1536x1024", "low", None),
        ("1536x1024", "low", "edit"),
        ("1536x1024", "low", None),
        ("1536x1024", "high", None),
    ] == options
    assert {"a-cat.png", "a-cat-edit.png", "a-cat-2.png", "a-dog.png"} == {
        path.name for path in folder.iterdir()
    }


REFUSED_STARTS: list[tuple[dict[str, Any], str]] = [
    ({"edit": "/etc/passwd"}, "The history has no image /etc/passwd."),
    ({"edit": "a-cat.png"}, "The history has no image a-cat.png."),
    ({"edit": "last"}, "The history has no image last."),
    ({"edit": "-"}, "The history has no image -."),
    ({"edit": ["1"]}, "The history has no image"),
    ({"edit": "99"}, "The history has no image 99."),
    ({"edit": "1-2"}, "The history has no image 1-2."),
    ({"again": "99"}, "The history has no image 99."),
    ({"again": "1", "edit": "1"}, "again uses the images of the earlier run"),
    ({"again": "1", "images": [base64.b64encode(RED).decode()]}, "again uses the images of the earlier run"),
]


# The page


@pytest.mark.slow
def test_from_a_prompt_to_the_gallery(browser: Browser, demo: RunningSite, folder: Path) -> None:
    """Partials replace each other, the bill stands below; an edit starts there; a reload finds both."""
    visit(browser, demo)
    browser.evaluate(
        "globalThis.seen = []; new MutationObserver((changes) => changes.forEach((one) =>"
        " one.addedNodes.forEach((node) => node.tagName === 'IMG' && node.closest('.canvas') &&"
        " seen.push([node.src, document.querySelectorAll('.canvas img').length]))))"
        ".observe(document.getElementById('results'), { childList: true, subtree: true })"
    )
    generate(browser, "a lighthouse")
    browser.wait_for(DONE.format(1))
    seen = browser.evaluate("seen")
    assert (4, 4, {1}) == (len(seen), len({address for address, _ in seen}), {count for _, count in seen})
    told = browser.evaluate(RESULT)
    assert "Saved as a-lighthouse.png" in told
    assert "not charged: demo · gpt-4o-mini · 1024x1024" in told
    assert "1 image" == text(browser, "#count")
    browser.evaluate("document.querySelector('.result .details').focus()")
    browser.press("Enter")
    browser.wait_for(OPEN)
    browser.press("Escape")
    browser.wait_for("document.activeElement.className === 'details'")
    click(browser, ".result .edit")
    assert "Editing image 1" == text(browser, "#basis-what")
    generate(browser, "make it night")
    browser.wait_for(f"({DONE.format(1)}) && ({RESULT}).includes('a-lighthouse-edit.png')")
    visit(browser, demo)
    assert ["make it night", "a lighthouse"] == browser.evaluate(
        "[...document.querySelectorAll('.tile .prompt')].map(one => one.textContent)"
    )
    browser.wait_for(f"{LOADED} === 2")
    click(browser, ".tile")
    browser.wait_for("document.querySelector('#family li li [aria-current]')?.hash === '#2'")
    assert "total" in browser.evaluate("document.getElementById('bill').innerText")
    click(browser, "#family a")
    browser.wait_for("document.getElementById('title').textContent === 'a-lighthouse.png'")
    assert 2 == len(list(folder.iterdir()))
    assert [] == browser.console + browser.thrown
    assert [] == [one for one in browser.requests if not one.startswith((demo.origin, "blob:"))]


@pytest.mark.slow
def test_again(browser: Browser, server: Callable[..., ScriptedServer], serve: Serve) -> None:
    """Making an image again puts its prompt back, and sends nothing before somebody says so."""
    wire = server(Reply(whole_run()))
    with serve(wire) as site:
        site.generate("a cat\nin a hat", quality="low")
        visit(browser, site, "/#1")
        browser.wait_for(OPEN)
        click(browser, "#again-here")
        browser.wait_for(f"({FOCUS}) === 'submit'")
        assert "a cat\nin a hat" == browser.evaluate("document.getElementById('new-prompt').value")
        assert (1, "As before") == (wire.posts, text(browser, "#new-quality option"))
        browser.press("Enter")
        browser.wait_for(DONE.format(1))
        click(browser, "#basis-clear")
        assert ("", True) == (
            browser.evaluate("document.getElementById('new-prompt').value"),
            browser.evaluate("document.getElementById('basis').hidden"),
        )
    first, second = (one.json for one in wire.requests if one.method == "POST")
    assert first == second


@pytest.mark.slow
def test_a_prompt_is_text(browser: Browser, server: Callable[..., ScriptedServer], serve: Serve) -> None:
    """A prompt of 30,000 characters, markup or marks of direction is sent as it is, and shown as text."""
    wire = server(Reply(whole_run()))
    prompts = [prompt for prompt in HOSTILE if prompt]
    with serve(wire) as site:
        visit(browser, site)
        for number, prompt in enumerate(prompts, start=1):
            generate(browser, prompt)
            browser.wait_for(
                f"({IDLE}) && document.getElementById('count').textContent === "
                f"'{number} image{'s' if number > 1 else ''}'"
            )
            browser.evaluate("document.getElementById('new-prompt').value = ''")
            assert prompt[:200] == browser.evaluate("document.querySelector('.canvas img').alt")
            click(browser, ".tile")
            browser.wait_for(OPEN)
            if browser.evaluate("!document.getElementById('whole').hidden"):
                click(browser, "#whole")
            assert prompt == text(browser, "#prompt")
            click(browser, "#edit-here")
            browser.wait_for(f"!{OPEN} && !document.getElementById('basis').hidden")
            assert prompt[:200] == text(browser, "#basis-words")
            click(browser, "#basis-clear")
        assert ("imgcli", [2, 0]) == (
            browser.evaluate("document.title"),
            browser.evaluate("['script', '[onerror]'].map(one => document.querySelectorAll(one).length)"),
        )
        assert [] == browser.console + browser.thrown
    sent = [
        json.dumps(one.json["input"], ensure_ascii=False) for one in wire.requests if one.method == "POST"
    ]
    assert [True] * len(prompts) == [
        json.dumps(prompt, ensure_ascii=False) in one for prompt, one in zip(prompts, sent, strict=True)
    ]


@pytest.mark.slow
def test_enter(browser: Browser, server: Callable[..., ScriptedServer], serve: Serve) -> None:
    """Enter sends once, not what an input method composes; Shift+Enter begins a line."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with serve(wire) as site:
        visit(browser, site)
        browser.press("Enter")  # there is nothing to send
        browser.write("a cat")
        browser.press("Shift+Enter")
        browser.compose("ねこ")
        browser.evaluate(
            "document.getElementById('new-prompt').dispatchEvent(new KeyboardEvent('keydown',"
            " { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))"
        )
        browser.evaluate(
            "document.getElementById('new-prompt').dispatchEvent(new KeyboardEvent('keydown',"
            " { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }))"
        )
        browser.write("neko")
        assert "a cat\nneko" == browser.evaluate("document.getElementById('new-prompt').value")
        assert 0 == wire.posts
        price = text(browser, "#price")
        assert price.startswith("At most $0.")
        browser.evaluate("document.getElementById('new-count').value = '4'")
        browser.evaluate(
            "document.getElementById('new-count').dispatchEvent(new Event('input', {bubbles: true}))"
        )
        browser.wait_for("document.getElementById('price').textContent.endsWith(' for 4')")
        browser.evaluate("document.getElementById('new-count').value = '1'")
        browser.press("Enter", "Enter", "Enter")  # impatience is no reason to pay twice, or to cancel
        browser.wait_for("document.querySelector('.status').textContent === 'Partial image 1'")
        assert (1, False) == (wire.posts, wire.hung_up.is_set())
        click(browser, "#cancel")
        wait_for(wire.hung_up.is_set)
        browser.wait_for(IDLE)
        told = browser.evaluate(RESULT)
    assert "Canceled.\n\nYou may have been charged.\n\nThe last partial image is kept" in told
    assert 1 == wire.posts


@pytest.mark.slow
def test_leaving_the_page(browser: Browser, server: Callable[..., ScriptedServer], serve: Serve) -> None:
    """Who leaves the page by a link ends what runs, though the browser keeps the page to go back to."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with serve(wire) as site:
        visit(browser, site)
        browser.evaluate("document.getElementById('new-prompt').value = 'a cat'")
        browser.evaluate(
            "document.getElementById('composer').requestSubmit()"
        )  # after a key Chrome would ask first
        browser.wait_for("document.querySelector('.status')?.textContent === 'Partial image 1'")
        browser.evaluate("location.href = '/icon.svg'")
        browser.wait_for("location.pathname === '/icon.svg'")
        browser.evaluate("history.back()")
        browser.wait_for(f"location.pathname === '/' && ({RESULT}).includes('Canceled.')")
        wait_for(wire.hung_up.is_set)
        assert "The client left." in site.stop(15)[1]


@pytest.mark.slow
def test_no_key(browser: Browser, world: dict[str, str], folder: Path) -> None:
    """Whoever opens the page of a server without a key reads so before typing; nobody else does."""
    notice = "document.getElementById('shortcoming').innerText"
    with serving(world, folder) as site:
        visit(browser, site)
        told = browser.evaluate(notice)
    with serving(world, folder, "--demo") as site:
        visit(browser, site)
        assert "" == browser.evaluate(notice)
    assert told.startswith("No images can be generated: There is no API key: OPENAI_API_KEY is not set.")


@pytest.mark.slow
def test_what_goes_wrong(browser: Browser, server: Callable[..., ScriptedServer], serve: Serve) -> None:
    """An error says what happened, what it means for the money, and what to do; its words are text."""
    evil = "<img src=x onerror=alert(1)> refused"
    broken = record({"type": "error", "code": "server_error", "message": evil})
    wire = server(
        error_reply(400, evil, "moderation_blocked"),
        Reply(stream(created(), partial(0)) + broken),
    )
    with serve(wire, "--max-cost", "0.20") as site:
        visit(browser, site)
        generate(browser, "a cat")
        browser.wait_for(f"({IDLE}) && !document.querySelector('.problem').hidden")
        before = browser.evaluate(RESULT)
        browser.press("Enter")  # the prompt is still there
        browser.wait_for(f"({IDLE}) && !!document.querySelector('.canvas img')")
        inside = browser.evaluate(RESULT)
        browser.evaluate("document.getElementById('new-model').value = 'gpt-image-2'")
        browser.evaluate("document.getElementById('new-quality').value = 'high'")
        browser.evaluate("document.getElementById('new-count').value = '2'")
        browser.press("Enter")
        browser.wait_for(f"({IDLE}) && document.querySelectorAll('.problem:not([hidden])').length === 2")
        limited = browser.evaluate(RESULT)
        assert 0 == browser.evaluate("document.querySelectorAll('[onerror]').length")
        site.stop(15)
        browser.press("Enter")
        browser.wait_for(f"({IDLE}) && ({RESULT}).includes('was lost')")
    assert (True, True) == (evil in before, "Nothing was charged." in before), before
    assert (True, True) == (evil in inside, "You may have been charged." in inside), inside
    assert ("--max-cost allows $0.20" in limited, "charged" in limited) == (True, False)  # nothing was sent
    assert [] == browser.thrown


@pytest.mark.slow
def test_several(browser: Browser, world: dict[str, str], folder: Path) -> None:
    """Of several images as many are made at once as the server allows, the others after them."""
    with serving(world, folder, "--demo", "--concurrency", "1") as site:
        visit(browser, site)
        browser.evaluate("document.getElementById('new-count').value = '3'")
        generate(browser, "a cat")
        browser.wait_for(DONE.format(3))
        browser.wait_for(IDLE)
        assert "3 images" == text(browser, "#count")
    assert 3 == len(list(folder.iterdir()))
    assert [] == browser.thrown


@pytest.mark.slow
def test_five_hundred_images(
    browser: Browser, demo: RunningSite, world: dict[str, str], folder: Path
) -> None:
    """Of 500 images those near the window are asked for, small, and the last ones when one comes to them."""
    many(world, folder, MANY)
    visit(browser, demo)
    browser.wait_for(f"{LOADED} > 10")
    assert (f"{MANY} images", True) == (text(browser, "#count"), browser.evaluate(LOADED) < 100)
    last = "[...document.querySelectorAll('.tile')].at(-1)"
    for _ in range(MANY):
        browser.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        if browser.evaluate("document.querySelectorAll('.tile').length") == MANY:
            break
        browser.evaluate("new Promise(done => setTimeout(done, 50))")
    browser.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    browser.wait_for(f"{last}.querySelector('img').naturalWidth > 0")
    assert "run 0" == browser.evaluate(f"{last}.querySelector('.prompt').textContent")
    images = [one for one in browser.requests if "/images/" in one]
    assert len(images) < MANY - 100
    assert all(one.endswith("/thumbnail") for one in images)
    browser.evaluate("document.getElementById('search').focus()")
    browser.write("run 49")
    browser.wait_for("document.getElementById('count').textContent === '11 of 500 images'")
    browser.evaluate(f"{last}.focus()")
    browser.press("Enter")
    browser.wait_for(OPEN)
    assert "11 of 11" == text(browser, "#position")
    browser.press("ArrowLeft", "Escape")
    browser.wait_for(f"({FOCUS}) === '9'")
    assert [] == browser.console + browser.thrown


@pytest.mark.slow
def test_everybody_can_use_it(
    browser: Browser, demo: RunningSite, world: dict[str, str], folder: Path
) -> None:
    """Every control has a name, Tab reaches each in its order, and on a phone nothing is wider than it."""
    remember(world, (png(), folder / "1.png"), prompt="a cat")
    visit(browser, demo)
    order = list[str]()
    for _ in range(9):
        order.append(browser.evaluate(FOCUS))
        browser.press("Tab")
    form = ["new-prompt", "new-model", "new-size", "new-quality", "new-count", "submit"]
    assert [*form, "search", "model", "day"] == order
    assert "0" == browser.evaluate(FOCUS)
    click(browser, ".tile")
    browser.wait_for(OPEN)
    inside = browser.named(NAMED)
    click(browser, "#edit-here")
    browser.wait_for(f"({FOCUS}) === 'new-prompt'")
    names = browser.named(NAMED | {"textbox", "form"})
    assert [] == [name for name in [*names, *inside] if name.endswith(" ")]
    controls = {"textbox Prompt", "combobox Size", "combobox Quality", "combobox Images", "button Edit"}
    assert controls | {"button Make a new image instead"} <= set(names)
    assert {"button Edit", "button Make again", "link Download", "button Close"} <= set(inside)
    browser.resize(360, 640, 2, is_phone=True)
    assert 360 >= browser.evaluate("document.documentElement.scrollWidth")


@pytest.mark.slow
def test_a_token(browser: Browser, world: dict[str, str], folder: Path) -> None:
    """The token of the address is exchanged for a cookie and leaves it; without one a form asks for it."""
    with serving(world, folder, "--demo", "--token") as site:
        browser.open(f"{site.origin}/")
        browser.wait_for("!document.getElementById('login').hidden")
        browser.write("wrong")
        browser.press("Enter")
        browser.wait_for(
            "document.getElementById('login-trouble').textContent.includes('The token is wrong')"
        )
        browser.open("about:blank")
        address, _, token = site.url.partition("#token=")
        browser.call("Page.navigate", url=site.url)
        browser.wait_for("location.pathname === '/' && document.readyState === 'complete'")
        browser.wait_for(READY)
        assert (address, "") == (browser.evaluate("location.href"), browser.evaluate("document.cookie"))
        assert token not in browser.evaluate("document.documentElement.outerHTML")
        visit(browser, site)
        assert browser.evaluate("document.getElementById('login').hidden")

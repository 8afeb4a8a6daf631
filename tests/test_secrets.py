"""What is a secret and what is none: the one is hidden everywhere, the other costs nobody an image."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgcli.api.stream.reader import read_events
from imgcli.api.wires import maskable
from imgcli.core.events import FinalImage
from imgcli.core.secrets import mask_secrets
from streams import RED, completed, created, image_item, images_run, item_done, stream, whole_run
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

DEPLOYMENT = "x-ms-oai-image-generation-deployment"
CANARY = "canary-login-0123456789"


@pytest.fixture
def runs(world: dict[str, str]) -> Path:
    """The folder of records."""
    return Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"


def told(result: Result) -> dict[str, object]:
    """Read the last JSON line."""
    line: dict[str, object] = json.loads(result.lines[-1])
    return line


@pytest.mark.parametrize(
    "value", ["image_generation", "gpt-image-2.6-sunburst", "response.completed", "eastus-2"]
)
def test_a_plain_header_hides_nothing(value: str, server: Server, gen: Gen, folder: Path) -> None:
    """A deployment's name is no secret: wherever an answer holds it, image and bill are as ever."""
    env = {"OPENAI_CUSTOM_HEADERS": f"{DEPLOYMENT}: {value}"}
    result = gen(server(Reply(whole_run())), "a cat", "--jsonl", env=env)
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr
    assert told(result)["cost_usd"]


@pytest.mark.parametrize("value", ["image_generation", "partial_image_b64", "response.output_item.done"])
def test_a_key_spelled_like_the_protocol(value: str, server: Server, gen: Gen, folder: Path) -> None:
    """Even a real key costs no image when the answer cannot be read without its letters."""
    result = gen(server(Reply(whole_run())), "a cat", env={"OPENAI_CUSTOM_HEADERS": f"x-api-key: {value}"})
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr


def test_a_plain_header_of_a_profile(imgcli: Cli, server: Server, world: dict[str, str]) -> None:
    """A header that a profile takes from the environment is a secret by its name or its looks alone."""
    peer = server(Reply(whole_run()))
    path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        f'[profile.p]\nbase-url = "{peer.base_url}"\nheaders = {{ {DEPLOYMENT} = "env:DEPLOYED" }}\n'
    )
    env = {"DEPLOYED": "gpt-image-2.6-sunburst"}
    result = imgcli("gen", "a cat", "--profile", "p", "--jsonl", env=env)
    assert "gpt-image-2.6-sunburst" == peer.requests[0].headers[DEPLOYMENT]
    assert told(result)["cost_usd"], result.stderr


@pytest.mark.parametrize("answer", [whole_run(), images_run()], ids=["responses", "images"])
def test_no_word_of_the_protocol_is_masked(answer: bytes) -> None:
    """Whichever word of an answer a key equals, the image is read."""
    for word in set(re.findall(r'"([a-z0-9_.]{16,80})"', answer.decode())):
        events = read_events(mask_secrets([answer], *maskable(word)), "j")
        assert [RED] == [event.image.data for event in events if isinstance(event, FinalImage)], word


@pytest.mark.parametrize(
    "header", [f"X-Api-Key: {CANARY}", f"X-Login: Token {CANARY}", f"X-Odd: Bearer {CANARY}"]
)
@pytest.mark.parametrize("dash", ["-", r"\u002d"], ids=["plain", "escaped"])
def test_an_echoed_login_is_nowhere(
    dash: str, header: str, server: Server, gen: Gen, world: dict[str, str]
) -> None:
    """A header that is a login stays out of the record, and out of what people and programs read."""
    item = image_item(revised_prompt=f"with {CANARY}")
    body = stream(created(), item_done(item), completed(item, error={"message": f"odd {CANARY}"}))
    body = body.replace(CANARY.encode(), CANARY.replace("-", dash).encode())
    result = gen(
        server(Reply(body[:-9], end=End.RST)),
        "a cat",
        "--jsonl",
        "--record",
        "r.sse",
        env={"OPENAI_CUSTOM_HEADERS": header},
    )
    home = Path(world["HOME"]).parent  # with the folder in which it ran
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    kept = kept.replace(rb"\u002d", b"-")
    assert (b"canary-login" in kept, "canary-login" in result.stdout.decode() + result.stderr) == (
        False,
        False,
    )
    assert b"with ****" in kept


@pytest.mark.parametrize("header", [f"X-Api-Key: {CANARY}", f"Cookie: session={CANARY}"])
def test_recover_knows_the_same_secrets(header: str, imgcli: Cli, runs: Path) -> None:
    """A login that a record holds all the same is hidden by `recover` as by the run itself."""
    runs.mkdir(parents=True)
    login = header.rpartition(" ")[2]
    item = image_item(revised_prompt=f"with {login}")
    error = {"type": "error", "code": "x", "message": f"odd {login}"}
    (runs / "20261122-150000-abcd1234.sse").write_bytes(stream(created(), item_done(item), error))
    result = imgcli("recover", env={"OPENAI_CUSTOM_HEADERS": f"{header}\n{DEPLOYMENT}: gpt-image-2"})
    assert 0 == result.exit_code, result.stderr
    assert "odd [hidden]" in result.stderr
    assert "canary" not in result.stderr + result.stdout.decode()


def test_a_plain_value_that_the_file_names_stays_readable(
    imgcli: Cli, runs: Path, world: dict[str, str]
) -> None:
    """What a profile takes from the environment for a plain header is not cut out of what `recover` says."""
    runs.mkdir(parents=True)
    path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[profile.p]\nheaders = {{ {DEPLOYMENT} = "env:DEPLOYED", x-login = "env:LOGIN" }}\n')
    error = {"type": "error", "code": "x", "message": f"no art-department for {CANARY}"}
    (runs / "20261122-150000-abcd1234.sse").write_bytes(stream(created(), error))
    result = imgcli("recover", env={"DEPLOYED": "art-department", "LOGIN": CANARY})
    assert "no art-department for [hidden]" in result.stderr

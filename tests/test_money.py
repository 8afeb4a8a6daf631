"""What people are told about their money when a run does not end well, through the real command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from streams import RED, completed, created, image_item, item_done, stream
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

CALL = {"type": "image_generation_call", "id": "ig_1", "status": "in_progress"}
CALLED = {"type": "response.output_item.added", "output_index": 0, "item": CALL}


def error(code: str) -> dict[str, object]:
    """Send an error inside a stream."""
    return {"type": "error", "error": {"code": code, "message": "Sorry."}}


@pytest.mark.parametrize(
    ("code", "exit_code"), [("rate_limit_exceeded", 9), ("insufficient_quota", 7), ("invalid_api_key", 4)]
)
def test_an_error_while_it_draws(code: str, exit_code: int, server: Server, gen: Gen) -> None:
    """Once the image call was made, nobody is told that nothing was charged."""
    result = gen(server(Reply(stream(created(), CALLED, error(code)))), "a cat")
    assert exit_code == result.exit_code, result.stderr
    assert "You may have been charged." in result.stderr


def test_an_error_before_it_draws(server: Server, gen: Gen) -> None:
    """A busy server that had not begun costs nothing."""
    result = gen(server(Reply(stream(created(), error("rate_limit_exceeded")))), "a cat")
    assert 6 == result.exit_code, result.stderr
    assert "Nothing was charged." in result.stderr


def test_a_failing_gateway_is_not_believed(server: Server, gen: Gen) -> None:
    """A gateway's prose about a quota says nothing of our account, nor that nothing was charged."""
    result = gen(server(error_reply(502, "Upstream: you exceeded your current quota")), "a cat")
    assert 9 == result.exit_code, result.stderr
    assert "You may have been charged." in result.stderr


def test_a_model_that_only_talks(server: Server, gen: Gen) -> None:
    """Words cost the text model's tokens, and are not called an image."""
    words = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "No."}]}
    result = gen(server(Reply(stream(created(), completed(words)))), "a cat")
    assert 5 == result.exit_code, result.stderr
    assert "The text model's tokens were charged." in result.stderr
    assert "for this image" not in result.stderr


def test_a_link_that_is_long(server: Server, gen: Gen) -> None:
    """A signed link can be copied from the message, whole."""
    url = f"http://example.org/a.png?sig={'aB3%2F' * 330}&end=1"  # which is not fetched: it is unencrypted
    reply = Reply(json.dumps({"data": [{"url": url}]}).encode(), content_type="application/json")
    result = gen(server(reply), "a cat")
    assert 9 == result.exit_code, result.stderr
    assert url in result.stderr.replace("\n", "")


def test_a_call_that_the_server_tried_again(server: Server, gen: Gen, folder: Path) -> None:
    """A server that makes up for its own failed call delivered what was asked for."""
    blocked = {"code": "server_error", "message": "Oops."}
    bad = image_item(item="ig_0", result=None, status="failed", error=blocked)
    good = image_item(item="ig_1")
    result = gen(server(Reply(stream(created(), item_done(bad), item_done(good, 1), completed()))), "a cat")
    assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr
    assert "another try failed" in result.stderr

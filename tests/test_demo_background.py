"""The demo's background mode, asked by OpenAI's own client."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest

from beside import wait_for
from flatpaint import painted_flat
from imgcli.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOL = {"type": "image_generation", "size": "816x816", "quality": "low", "partial_images": 1}
ASKED: dict[str, Any] = {"model": "gpt-6-luna", "input": "a fox", "background": True, "tools": [TOOL]}
PLAIN = ASKED | {"tools": [TOOL | {"partial_images": 0}]}


@contextmanager
def client_of(**settings: Any) -> Iterator[openai.OpenAI]:
    """Start a demo, and a client that never tries again."""
    with (
        painted_flat(),
        DemoServer(**settings) as demo,
        openai.OpenAI(base_url=demo.base_url, api_key="demo", max_retries=0) as client,
    ):
        yield client


def test_a_stream_is_taken_up_again() -> None:
    """A stream that was left goes on after any of its events, as often as it is asked for."""
    with client_of(pace=0) as client:
        events = iter(client.responses.create(**ASKED, stream=True))
        first: Any = next(events)
        assert ("response.created", "queued", True) == (
            first.type,
            first.response.status,
            first.response.background,
        )
        name = first.response.id
        for after in (0, 3):
            rest: list[Any] = list(client.responses.retrieve(name, stream=True, starting_after=after))
            assert list(range(after + 1, after + 1 + len(rest))) == [one.sequence_number for one in rest]
            assert ("response.completed", "completed") == (rest[-1].type, rest[-1].response.status)
        again: Any = next(iter(client.responses.retrieve(name, stream=True)))
        assert 0 == again.sequence_number


def test_every_stream_is_cut() -> None:
    """With `cut_after` a connection breaks after so many events, and the response is made all the same."""
    with client_of(pace=0, cut_after=4) as client:
        seen: list[Any] = []
        with pytest.raises(openai.APIConnectionError):
            seen.extend(client.responses.create(**ASKED, stream=True))
        name = client.responses.create(**PLAIN).id
        wait_for(lambda: client.responses.retrieve(name).status == "completed")


def test_a_response_is_polled() -> None:
    """Without streaming the answer comes at once, queued, and holds the image once it is made."""
    with client_of(pace=0) as client:
        window: Any = {"completion_window": "2h"}
        first = client.responses.create(**PLAIN, background_options=window)
        assert first.status in ("queued", "in_progress", "completed")
        assert first.background is True
        wait_for(lambda: client.responses.retrieve(first.id).status == "completed")
        done = client.responses.retrieve(first.id)
        assert "image_generation_call" in [item.type for item in done.output]
        assert done.usage is not None


def test_any_response_is_kept() -> None:
    """Any response can be had again whole; one that was not made in the background is not streamed again."""
    with client_of(pace=0) as client:
        plain = {name: value for name, value in PLAIN.items() if name != "background"}
        made = client.responses.create(**plain)
        assert made == client.responses.retrieve(made.id)
        for again in (
            lambda: client.responses.retrieve(made.id, stream=True),
            lambda: client.responses.cancel(made.id),
        ):
            with pytest.raises(openai.BadRequestError, match="'background' set to true"):
                again()
        unkept = client.responses.create(**plain, store=False)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(unkept.id)


def test_a_stream_that_was_left() -> None:
    """A response whose client left is cancelled; what was made of it is still there."""
    with client_of(pace=20) as client:
        with client.responses.create(**{**ASKED, "background": False}, stream=True) as stream:
            first: Any = next(iter(stream))
            assert "in_progress" == client.responses.retrieve(first.response.id).status
        wait_for(lambda: client.responses.retrieve(first.response.id).status == "cancelled")


def test_a_response_is_cancelled() -> None:
    """A response that was cancelled is not made; its stream ends."""
    with client_of(pace=50) as client:
        name = client.responses.create(**PLAIN).id
        assert "cancelled" == client.responses.cancel(name).status
        assert "cancelled" == client.responses.retrieve(name).status
        assert [] == [one for one in client.responses.retrieve(name, stream=True) if "completed" in one.type]


@pytest.mark.parametrize("name", ["resp_none", "..", "resp_none/cancel"])
def test_an_unknown_response(name: str) -> None:
    """A response that there is not is not found."""
    with client_of(pace=0) as client, pytest.raises(openai.APIStatusError) as refused:
        client.get(f"/responses/{name}", cast_to=object)
    assert refused.value.status_code in (404, 405)

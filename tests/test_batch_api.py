"""OpenAI's Batch API: half price, answers within a day."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from beside import wait_for
from flatpaint import painted_flat
from imgcli.demo.batches_api import BatchSettings
from imgcli.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDED = ("completed", "failed", "expired", "cancelled")
QUICK = BatchSettings(seconds=0.0, unsafe="forbidden")
SMALL = {"model": "gpt-image-2", "size": "816x816", "quality": "low"}


@pytest.fixture
def demo() -> Iterator[Callable[..., DemoServer]]:
    """Start demo servers with batches of the given settings; they stop with the test."""
    running: list[DemoServer] = []

    def start(settings: BatchSettings = QUICK) -> DemoServer:
        running.append(DemoServer(pace=0, seed=7, batches=settings))
        running[-1].start()
        return running[-1]

    with painted_flat():
        yield start
        for one in running:
            one.close()


def client_of(server: DemoServer) -> openai.OpenAI:
    """OpenAI's own client."""
    return openai.OpenAI(base_url=server.base_url, api_key="demo", max_retries=0)


def row(name: str, url: str = "/v1/images/generations", **body: Any) -> str:
    """One line of an input file."""
    told = {**SMALL, "prompt": "a cat", **body}
    return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": told}) + "\n"


def submitted(client: openai.OpenAI, text: str) -> Any:
    """A batch that OpenAI's client has created and seen to its end."""
    file = client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/images/generations",
        completion_window="24h",
        metadata={"who": "a test"},
    )
    wait_for(lambda: client.batches.retrieve(batch.id).status in ENDED)
    return client.batches.retrieve(batch.id)


def test_openais_client_runs_a_batch(demo: Callable[..., DemoServer]) -> None:
    """OpenAI's own client can create, list and read a batch at the demo server, failed rows included."""
    client = client_of(demo())
    batch = submitted(client, row("one") + row("two", prompt="a forbidden cat") + row("three"))
    assert ("completed", {"who": "a test"}) == (batch.status, batch.metadata)
    counts = batch.request_counts
    assert (3, 2, 1) == (counts.total, counts.completed, counts.failed)
    good = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert ["three", "one"] == [line["custom_id"] for line in good]
    assert [200, 200] == [line["response"]["status_code"] for line in good]
    assert all(line["response"]["body"]["data"][0]["b64_json"] for line in good)
    (bad,) = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert ("two", 400) == (bad["custom_id"], bad["response"]["status_code"])
    assert "moderation_blocked" == bad["response"]["body"]["error"]["code"]
    assert [batch.id] == [one.id for one in client.batches.list()]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_file"),
        ("[1]\n", "invalid_json_line"),
        (row("one") + row("one"), "duplicate_custom_id"),
        (row("one", url="/v1/responses"), "invalid_url"),
        (row("one").replace("POST", "GET"), "invalid_method"),
        (row("one") + row("two", model="gpt-image-1.5"), "mismatched_model"),
        (row("one", stream=True), "invalid_request"),
    ],
)
def test_a_bad_input_file_fails_the_batch(demo: Callable[..., DemoServer], text: str, code: str) -> None:
    """The demo server checks a batch's input as OpenAI does, and runs nothing of a bad one."""
    batch = submitted(client_of(demo()), text)
    assert ("failed", None) == (batch.status, batch.output_file_id)
    assert code in [fault.code for fault in batch.errors.data]

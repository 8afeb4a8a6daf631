"""JSON lines: the contract with other programs."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.billing.bill import Bill
from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.core.image import EncodedImage
from imgcli.core.params import InlineImages
from imgcli.output.json import to_json
from imgcli.output.sinks.jsonl import JsonLinesSink, error_line
from showing import (
    BETTER,
    BILL,
    FINE,
    HOSTILE,
    JOB,
    ROUGH,
    WHOLE_RUN,
    FakeClock,
    completed,
    failed,
    feed,
    final,
    notice,
    partial,
    price,
    saved,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event

IMAGE_KEYS = ["output_index", "partial_image_b64s", "usage", "status", "final_model"]
IMAGE_KEYS += ["job", "image", "format", "bytes", "sha256", "elapsed_s"]
FINAL_KEYS = ["path", "width", "height", "revised_prompt", "response_id", "tool_usage", "cost_usd"]
ERROR_KEYS = [
    *IMAGE_KEYS[:5],
    "error",
    "message",
    "code",
    "param",
    "job",
    "kind",
    "exit_code",
    "charged",
    "advice",
]


def b64(image: EncodedImage) -> str:
    """Spell an image as the API does."""
    return base64.b64encode(image.data).decode()


def text_of(
    events: Iterable[Event], images: InlineImages = InlineImages.INLINE, pricing: Price = price
) -> str:
    """Write a run, 1.23456 seconds between its events."""
    stream, clock = io.StringIO(), FakeClock()
    sink = JsonLinesSink(stream, images, pricing, clock)
    for event in events:
        sink.handle(event)
        clock.now += 1.23456
    sink.close()
    return stream.getvalue()


def lines_of(events: Iterable[Event], images: InlineImages = InlineImages.INLINE) -> list[dict[str, Any]]:
    """Write a run and read it again, line by line."""
    return [json.loads(line) for line in text_of(events, images).splitlines()]


def test_status_of_every_line() -> None:
    """`jq -r .status` prints partial, partial, completed."""
    assert ["partial", "partial", "completed"] == [line["status"] for line in lines_of(WHOLE_RUN)]


def test_partial_line() -> None:
    """A partial's line has its keys in order: the web client's five, then ours."""
    line = lines_of(WHOLE_RUN)[0]
    expected = {
        "output_index": 0,
        "partial_image_b64s": [b64(ROUGH)],
        "usage": None,
        "status": "partial",
        "final_model": None,
        "job": JOB,
        "image": 0,
        "format": "png",
        "bytes": len(ROUGH.data),
        "sha256": ROUGH.sha256,
        "elapsed_s": 1.235,
    }
    assert list(expected.items()) == list(line.items())


def test_completed_line() -> None:
    """The final line has the same keys in the same places, and then what only the end knows."""
    line = lines_of(WHOLE_RUN)[-1]
    expected = {
        "output_index": 2,
        "partial_image_b64s": [b64(FINE)],
        "usage": {"input_tokens": 9},
        "status": "completed",
        "final_model": "gpt-4o-mini-2024-07-18",
        "job": JOB,
        "image": 0,
        "format": "png",
        "bytes": len(FINE.data),
        "sha256": FINE.sha256,
        "elapsed_s": 6.173,
        "path": "/pictures/a-cat.png",
        "width": 64,
        "height": 64,
        "revised_prompt": "A cat, sitting",
        "response_id": "resp_1",
        "tool_usage": {"image_gen": {"output_tokens": 5}},
        "cost_usd": 0.0625,
    }
    assert list(expected.items()) == list(line.items())


def test_error_line() -> None:
    """A failure's line has its keys in order, the server's own code where it gave one."""
    line = lines_of((started(), failed(code="server_error", param="model")))[-1]
    expected = {
        "output_index": 0,
        "partial_image_b64s": [],
        "usage": None,
        "status": "error",
        "final_model": None,
        "error": True,
        "message": "The stream ended with no image.",
        "code": "server_error",
        "param": "model",
        "job": JOB,
        "kind": "unknown",
        "exit_code": 9,
        "charged": "maybe",
        "advice": "Look at your usage page.",
    }
    assert list(expected.items()) == list(line.items())


def test_error_without_a_code_has_its_kind() -> None:
    """`code` is never null."""
    assert "unknown" == lines_of((started(), failed()))[0]["code"]
    assert "usage" == error_line(Problem(ExitCode.USAGE, "No such size."), None)["code"]


def test_a_client_of_five_keys() -> None:
    """The web client's reader, which knows five keys and `error`, reads a run unchanged."""
    shown, usage = [], None
    for text in text_of(WHOLE_RUN).splitlines():
        line = json.loads(text)
        if line.get("error"):
            raise AssertionError(line["message"])
        shown.append((line["output_index"], base64.b64decode(line["partial_image_b64s"][0])))
        if line["status"] == "completed":
            usage = line["usage"], line["final_model"]
    assert [(0, ROUGH.data), (1, BETTER.data), (2, FINE.data)] == shown
    assert ({"input_tokens": 9}, "gpt-4o-mini-2024-07-18") == usage


def test_an_error_line_has_what_came_before_it() -> None:
    """A failure counts on from the partials, and has the server's usage where no image has it."""
    bad = replace(failed(), ended=completed())
    told = lines_of((started(), partial(0), partial(1), bad))[-1]
    assert (2, {"input_tokens": 9}, "gpt-4o-mini-2024-07-18") == (
        told["output_index"],
        told["usage"],
        told["final_model"],
    )
    lines = lines_of((started(), final(), saved(), bad))
    assert [{"input_tokens": 9}, None] == [line["usage"] for line in lines]


def test_without_images() -> None:
    """`--jsonl-images none` empties the lists and keeps everything else."""
    lines = lines_of(WHOLE_RUN, InlineImages.NONE)
    assert [[], [], []] == [line["partial_image_b64s"] for line in lines]
    assert FINE.sha256 == lines[-1]["sha256"]


def test_no_partials() -> None:
    """Without partials the final image is number 0."""
    assert 0 == lines_of((started(), final(), saved(), completed()))[0]["output_index"]


def test_not_saved() -> None:
    """With --no-save the path is null."""
    assert lines_of((started(), final(), completed()))[0]["path"] is None


def test_several_images() -> None:
    """Every image has its own line and its own count; the last one's carries the usage of all."""
    one = (started(), partial(0, ROUGH, 0), final(BETTER, 0), saved("a.png", 0))
    two = (partial(0, ROUGH, 1), partial(1, ROUGH, 1), final(FINE, 1), saved("b.png", 1), completed())
    first, second = lines_of((*one, *two))[-2:]
    assert ("/pictures/a.png", 1, None, None, None) == tuple(
        first[key] for key in ("path", "output_index", "usage", "tool_usage", "cost_usd")
    )
    assert ("/pictures/b.png", 2, {"input_tokens": 9}, 0.0625) == tuple(
        second[key] for key in ("path", "output_index", "usage", "cost_usd")
    )


def test_elsewhere_has_both() -> None:
    """An image that is complete but elsewhere has an error line and its own."""
    problem = Problem(ExitCode.ELSEWHERE, "The disk is full.", Charged.YES)
    lines = lines_of((started(), final(), saved(problem=problem), completed()))
    assert [("elsewhere", "error"), (None, "completed")] == [(x.get("kind"), x.get("status")) for x in lines]


def test_damaged_has_only_the_error() -> None:
    """A damaged image is never reported as completed."""
    problem = Problem(ExitCode.DAMAGED, "The data is no image.", Charged.YES)
    lines = lines_of((started(), final(), saved(problem=problem), completed()))
    assert ["damaged"] == [line.get("kind") for line in lines]


def test_saved_then_failed() -> None:
    """Images that came before a failure are told of, saved or not: a line may hold the only copy."""
    events = (started(), final(BETTER, 0), saved("a.png", 0), final(FINE, 1), failed())
    lines = lines_of(events)
    assert ["completed", "completed", "error"] == [line.get("status") for line in lines]
    assert ["/pictures/a.png", None] == [line["path"] for line in lines[:2]]
    assert [None, None] == [line["usage"] for line in lines[:2]]


def test_saved_then_interrupted() -> None:
    """An image that was saved before Ctrl-C is told of."""
    lines = lines_of((started(), final(), saved()))
    assert ["completed"] == [line["status"] for line in lines]


def test_unknown_cost_is_null() -> None:
    """A cost that is not known is null, not zero."""
    unknown = Bill((replace(BILL.rows[0], cost_in=None),), None)
    text = text_of(WHOLE_RUN, pricing=lambda *_: unknown)
    assert json.loads(text.splitlines()[-1])["cost_usd"] is None


def test_notices_write_nothing() -> None:
    """Lines are for images and errors alone."""
    assert [] == lines_of((started(), notice("odd")))


def test_each_line_at_once() -> None:
    """A line is written and flushed when its event happens."""
    data = io.BytesIO()
    sink = JsonLinesSink(io.TextIOWrapper(data), InlineImages.NONE, price, FakeClock())
    sink.handle(started())
    sink.handle(partial())
    assert b'"partial"' in data.getvalue()
    assert data.getvalue().endswith(b"}\n")
    sink.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_nan(value: float) -> None:
    """What JSON cannot say is null, however deep."""
    odd = completed(usage={"a": [value, {"b": value}]}, tool_usage={"c": value})
    line = lines_of((started(), final(), odd))[-1]
    assert ({"a": [None, {"b": None}]}, {"c": None}) == (line["usage"], line["tool_usage"])


def test_foreign_text_is_escaped() -> None:
    """Whatever the server says, a line is printable ASCII, and says exactly that."""
    text = text_of((started(), final(prompt=HOSTILE), failed(HOSTILE), completed(model=HOSTILE)))
    assert [] == [line for line in text.splitlines() if not (line.isascii() and line.isprintable())]
    assert HOSTILE == json.loads(text.splitlines()[1])["message"]


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp"])))
def test_any_text_survives(text: str) -> None:
    """Any string, lone surrogates and separators included, is one line that reads back the same."""
    line = to_json(error_line(Problem(ExitCode.REFUSED, text), JOB))
    assert 1 == len(line.splitlines())
    # JSON knows UTF-16: two surrogates that make a pair come back as the character they mean.
    read = json.loads(line)["message"]
    assert text.encode("utf-16", "surrogatepass") == read.encode("utf-16", "surrogatepass")


def test_unknown_header() -> None:
    """An image whose header tells nothing has no width and no height, and still a line."""
    line = lines_of((started(), final(EncodedImage.of(b"<svg/>")), completed()))[0]
    assert ("svg", None, None) == (line["format"], line["width"], line["height"])


def test_other_formats_are_measured() -> None:
    """Width and height of a JPEG or WebP come from its header."""
    from PIL import Image

    for name in ("JPEG", "WEBP"):
        data = io.BytesIO()
        Image.new("RGB", (30, 20)).save(data, name)
        line = lines_of((started(), final(EncodedImage.of(data.getvalue())), completed()))[0]
        assert (30, 20) == (line["width"], line["height"])


def test_keys() -> None:
    """The keys are these, in this order, and no others."""
    lines = lines_of((*WHOLE_RUN, failed()))
    assert [IMAGE_KEYS, IMAGE_KEYS, IMAGE_KEYS + FINAL_KEYS, ERROR_KEYS] == [list(line) for line in lines]


def test_reader_gone() -> None:
    """A reader that has gone away is reported to the session, once."""

    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    sink = JsonLinesSink(Gone(), InlineImages.NONE, price, FakeClock())
    for event in (started(), final(), saved()):
        sink.handle(event)
    with pytest.raises(BrokenPipeError):
        sink.handle(completed())
    feed(sink, ())

"""What the reader of server-sent events promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.api.stream.sse import SseRecord, records
from imgcli.core.errors import ImgcliError
from imgcli.core.problem import Charged, ExitCode, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

TWO = [SseRecord("a", "1"), SseRecord("", "2")]
LINES = [b"event: a", b"data: 1", b"", b"data: 2", b""]


def read(*chunks: bytes) -> list[SseRecord]:
    """Read chunks to the end."""
    return list(records(chunks))


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_ending_is_understood(end: bytes) -> None:
    """Servers may end lines with LF, CR or CRLF."""
    assert read(end.join([*LINES, b""])) == TWO


def test_line_endings_may_be_mixed() -> None:
    """A proxy that rewrites some line endings does no harm."""
    assert read(b"event: a\r\ndata: 1\r\rdata: 2\n\r\n") == TWO


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_stream_may_come_byte_by_byte(end: bytes) -> None:
    """How the network cuts a stream changes nothing."""
    stream = end.join([*LINES, b""])
    assert read(*(stream[index : index + 1] for index in range(len(stream)))) == TWO


ANY_LINE = st.one_of(
    st.sampled_from(
        [b"", b"data: x", b"data", b"event: e", b": c", b"id: 7", b"retry: 9", b"\xef\xbb\xbfdata: b"]
    ),
    st.binary(max_size=12),
)


@given(
    st.lists(st.tuples(ANY_LINE, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=20),
    st.lists(st.integers(0, 200), max_size=20),
)
def test_any_chunking_gives_the_same_records(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """Whatever the bytes are, cutting them elsewhere gives the same records."""
    stream = b"".join(line + end for line, end in lines)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:stop] for start, stop in zip(places, [*places[1:], len(stream)], strict=True)]
    assert read(stream) == read(*chunks)


@pytest.mark.parametrize(
    "noise",
    [
        b": ping\n\n",
        b":\n",
        b"retry: 3000\n\n",
        b"id: 1\n\n",
        b"event: ping\n\n",
        b"id: 1\n\n: ping\n\n",
        b"unknown: x\n\n",
        b"no colon at all\n\n",
        b"\n\n\n",
        b"",
    ],
)
def test_what_holds_no_data_yields_nothing(noise: bytes) -> None:
    """Keep-alives of every legal form are skipped, and the stream goes on."""
    assert read(noise + b"data: 1\n\n") == [SseRecord("", "1")]


def test_a_leading_byte_order_mark_costs_no_event() -> None:
    """The first event survives a byte order mark, also one that comes in pieces."""
    assert read(b"\xef", b"\xbb", b"\xbfdata: 1\n\n") == [SseRecord("", "1")]


def test_a_byte_order_mark_in_the_middle_is_a_field_name() -> None:
    """Only the stream's very beginning may hold a byte order mark."""
    assert read(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [SseRecord("", "1")]


@pytest.mark.parametrize(
    ("lines", "data"),
    [
        (b"data:x\n\n", "x"),
        (b"data:  x\n\n", " x"),
        (b"data: a\ndata: b\n\n", "a\nb"),
        (b"data\n\n", ""),
        (b"data: a:b\n\n", "a:b"),
        (b"data: \n\n", ""),
    ],
)
def test_data_is_taken_as_the_standard_says(lines: bytes, data: str) -> None:
    """One space after the colon goes, several lines are joined."""
    assert read(lines) == [SseRecord("", data)]


def test_an_events_name_is_forgotten_with_its_record() -> None:
    """A name counts for one record only, and the last one wins."""
    assert read(b"event: a\nevent: b\ndata: 1\n\ndata: 2\n\n") == [SseRecord("b", "1"), SseRecord("", "2")]


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r"])
def test_a_last_record_without_its_blank_line_is_given(tail: bytes) -> None:
    """An image in the last event is not lost because a server forgot two line breaks."""
    assert read(b"data: 1" + tail) == [SseRecord("", "1", whole=False)]


def test_bad_utf8_stays_within_its_record() -> None:
    """One bad byte costs one character, not the stream."""
    assert read(b": \xff\n\nevent: \xfe\ndata: a\xffb\n\ndata: c\n\n") == [
        SseRecord("\ufffd", "a\ufffdb"),
        SseRecord("", "c"),
    ]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 200, b": " + b"x" * 200, b"data: 12345678\n" * 20])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_piece_without_end_is_refused(stream: bytes, size: int) -> None:
    """An endless line or record ends the run as unknown, instead of filling the memory."""
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    with pytest.raises(ImgcliError) as caught:
        list(records(chunks, limit=100))
    assert (caught.value.problem.exit_code, caught.value.problem.charged) == (ExitCode.UNKNOWN, Charged.MAYBE)


def test_the_limit_counts_for_each_record_alone() -> None:
    """A long stream of ordinary records is no endless record."""
    assert len(list(records([b"data: 12345678\n\n" * 100], limit=100))) == 100


def test_records_come_as_soon_as_they_are_whole() -> None:
    """Nothing waits for bytes that it does not need."""

    def chunks() -> Iterator[bytes]:
        yield b"data: 1\r\n\r"
        pytest.fail("the record was complete")

    assert next(records(chunks())) == SseRecord("", "1")


def test_what_came_before_a_broken_connection_is_given_first() -> None:
    """A connection that breaks behind the last byte of an image does not take it along."""
    fault = ImgcliError(Problem(ExitCode.UNKNOWN, "cut"))

    def chunks() -> Iterator[bytes]:
        yield b"data: 1"
        raise fault

    reader = records(chunks())
    assert next(reader) == SseRecord("", "1", whole=False)
    with pytest.raises(ImgcliError) as caught:
        next(reader)
    assert caught.value is fault

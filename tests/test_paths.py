"""Paths on standard output: what `f=$(imgcli gen "a cat")` captures."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from imgcli.core.events import Saved
from imgcli.output.sinks.lines import PathsSink
from showing import JOB, WHOLE_RUN, completed, failed, final, saved, started


def stdout() -> io.TextIOWrapper:
    """Make a standard output that only takes ASCII."""
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")


def written(stream: io.TextIOWrapper) -> bytes:
    """Read what has arrived, without flushing anything."""
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


def test_nothing_before_the_end() -> None:
    """While the image may still be on the same terminal, nothing is printed; then the path, flushed."""
    stream = stdout()
    sink = PathsSink(stream)
    for event in WHOLE_RUN[:-1]:
        sink.handle(event)
    assert b"" == written(stream)
    sink.handle(completed())
    assert b"/pictures/a-cat.png\n" == written(stream)
    sink.close()
    assert b"/pictures/a-cat.png\n" == written(stream)


def test_one_a_line() -> None:
    """Several images have a line each, in the order in which they were saved."""
    stream = stdout()
    sink = PathsSink(stream)
    for event in (started(), final(), saved("b.png"), saved("a.png", 1), failed()):
        sink.handle(event)
    assert b"/pictures/b.png\n/pictures/a.png\n" == written(stream)


def test_interrupted() -> None:
    """An image that was saved before Ctrl-C is still told of."""
    stream = stdout()
    sink = PathsSink(stream)
    sink.handle(saved())
    sink.close()
    assert b"/pictures/a-cat.png\n" == written(stream)


@pytest.mark.parametrize("name", [b"\xea\xb3\xa0.png", b"\xff\xfe.png", b"two\nlines.png"])
def test_names_are_bytes(name: bytes) -> None:
    """A name comes out byte by byte as it is on disk, whatever stdout's encoding is."""
    stream = stdout()
    sink = PathsSink(stream)
    sink.handle(Saved(JOB, 0, Path("/pictures") / os.fsdecode(name)))
    sink.handle(completed())
    assert b"/pictures/" + name + b"\n" == written(stream)


def test_absolute() -> None:
    """A relative path is made absolute, so that it means the same anywhere."""
    stream = stdout()
    sink = PathsSink(stream)
    sink.handle(Saved(JOB, 0, Path("a-cat.png")))
    sink.handle(completed())
    assert os.fsencode(Path.cwd() / "a-cat.png") + b"\n" == written(stream)


def test_nobody_reads() -> None:
    """A reader that has gone away is reported to the session, which retires the sink."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    sink = PathsSink(stream)
    sink.handle(saved())
    with pytest.raises(BrokenPipeError):
        sink.handle(completed())
    sink.close()
    with pytest.raises(BrokenPipeError):
        stream.close()

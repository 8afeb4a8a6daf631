"""Every way to cut a stream, in every framing, read without a process: tens of thousands of bad inputs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from faults.bodies import ORDINARY, Script, script
from imgcli.api.stream.reader import read_events
from imgcli.core.events import Completed, Failed, FinalImage
from imgcli.core.pipeline import enforce_grammar

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWLINES = ("\n", "\r", "\r\n")
CHUNKS = (1, 7, 700, 65_536)


def cuts(newline: str, step: int = 1) -> Iterator[tuple[Script, bytes]]:
    """Give an ordinary answer, cut after every byte."""
    whole = script(ORDINARY, "RED", "BLUE", newline)
    assert isinstance(whole.body, bytes)
    for end in range(0, len(whole.body) + 1, step):
        yield whole, whole.body[:end]


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Give an ordinary answer with bytes flipped, taken out, doubled."""
    dice = random.Random(seed)
    whole = script(ORDINARY, "RED", "BLUE")
    assert isinstance(whole.body, bytes)
    for _ in range(count):
        body = bytearray(whole.body)
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(body))
            match dice.randrange(3):
                case 0:
                    body[at] ^= 1 << dice.randrange(8)
                case 1:
                    del body[at : at + dice.randint(1, 40)]
                case _:
                    body[at:at] = body[at : at + dice.randint(1, 40)]
        yield bytes(body)


def refuted(whole: Script, body: bytes, chunk: int) -> Iterator[str]:
    """Say what is wrong about how a cut answer was read."""
    came, ends = read(body, chunk)
    due = any(end <= len(body) for end, _ in whole.images)
    if came != ([whole.images[0][1]] if due else []):
        yield f"cut at {len(body)}, in chunks of {chunk}: {len(came)} images came"
    if ends != [Completed if due else Failed]:
        yield f"cut at {len(body)}, in chunks of {chunk}: it ended with {ends}"


def read(body: bytes, chunk: int) -> tuple[list[bytes], list[type]]:
    """Read an answer in chunks: the images and the ends that came of it."""
    chunks = (body[start : start + chunk] for start in range(0, len(body), chunk))
    events = list(enforce_grammar("job", read_events(chunks, "job")))
    came = [event.image.data for event in events if isinstance(event, FinalImage)]
    return came, [type(event) for event in events if isinstance(event, Completed | Failed)]

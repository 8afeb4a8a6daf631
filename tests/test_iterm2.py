from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from imgcli.core.image import EncodedImage
from imgcli.output.images.decode import Undecodable
from imgcli.output.images.iterm2 import ITerm2Renderer, Transfer
from imgcli.output.images.protocol import Box, Frame, Graphic

CELL = (10, 20)
BOX = Box(40, 12)
LIMIT = 1_048_576  # iTerm2's and tmux's, for a whole sequence
_SEQUENCE = re.compile(r"\x1b\]1337;([A-Za-z]+)(?:=([^\x07\x1b]*))?\x07")


def encoded(size: tuple[int, int] = (300, 200), kind: str = "PNG") -> bytes:
    """An image that does not compress."""
    buffer = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def received(frame: Frame) -> tuple[bytes, dict[str, str]]:
    """The file that iTerm2 gets, and its arguments, as its documentation reads either form of transfer."""
    text = "".join(graphic.text for graphic in frame.graphics)
    assert "\x1b]" not in _SEQUENCE.sub("", text), "a sequence without its end"
    commands = _SEQUENCE.findall(text)
    arguments, _, payload = commands[0][1].partition(":")
    if commands[0][0] == "MultipartFile":
        assert all(len(found[0]) <= LIMIT for found in _SEQUENCE.finditer(text))
        assert ("FileEnd", "") == commands[-1]
        assert {"FilePart"} == {name for name, _ in commands[1:-1]}
        payload = "".join(part for _, part in commands[1:-1])
    else:
        assert ["File"] == [name for name, _ in commands]
    return base64.b64decode(payload, validate=True), dict(one.split("=") for one in arguments.split(";"))


def unwrapped(frame: Frame) -> Frame:
    """What tmux sends on."""
    envelope = re.compile(r"\x1bPtmux;([^\x1b]*(?:\x1b\x1b[^\x1b]*)*)\x1b\\")
    texts = (
        envelope.sub(lambda found: found[1].replace("\x1b\x1b", "\x1b"), graphic.text)
        for graphic in frame.graphics
    )
    return Frame(frame.lines, frame.columns, tuple(map(Graphic, texts)))


@pytest.mark.parametrize("transfer", Transfer)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_terminal_gets_the_very_bytes(kind: str, transfer: Transfer) -> None:
    """PNG and JPEG reach iTerm2 as they were received, in whatever pieces."""
    data = encoded((400, 300), kind)
    frame = ITerm2Renderer(CELL, transfer).render(EncodedImage.of(data), BOX)
    assert data == received(unwrapped(frame))[0]


def test_the_image_is_inline_in_its_own_shape_and_the_cursor_stays() -> None:
    """The image takes the cells it was given, in its own shape, and is not offered as a download."""
    data = encoded((300, 300))
    frame = ITerm2Renderer(CELL).render(EncodedImage.of(data), BOX)
    expected = {
        "inline": "1",
        "size": str(len(data)),
        "width": "24",
        "height": "12",
        "preserveAspectRatio": "1",
        "doNotMoveCursor": "1",
    }
    assert expected == received(frame)[1]
    assert (24, 12) == (frame.columns, frame.rows)


def test_a_large_image_travels_in_parts() -> None:
    """An image above iTerm2's limit of a mebibyte for one sequence is shown all the same."""
    data = encoded((1200, 1100))
    assert len(data) > LIMIT
    frame = ITerm2Renderer(CELL, Transfer.MULTIPART).render(EncodedImage.of(data), Box(100, 40))
    assert data == received(frame)[0]


def test_webp_becomes_what_every_such_terminal_reads() -> None:
    """A WebP image is seen also where the terminal does not know the format."""
    data, _ = received(ITerm2Renderer(CELL).render(EncodedImage.of(encoded(kind="WEBP")), BOX))
    assert "PNG" == Image.open(io.BytesIO(data)).format


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_half_a_image_is_not_shown(kind: str) -> None:
    """Bytes that are no whole image are refused here; the terminal would draw a broken one."""
    data = encoded(kind=kind)
    with pytest.raises(Undecodable):
        ITerm2Renderer(CELL).render(EncodedImage.of(data[: len(data) // 2]), BOX)

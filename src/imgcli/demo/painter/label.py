"""Overlays on a scene: the caption, the badge, and the input images of an edit."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from imgcli.demo.painter import drawing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imgcli.demo.painter.drawing import Colour


Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""

_LONGEST = 400  # characters of a prompt that are looked at: more never fits
_SMALL, _BADGE, _LARGE = 0.82, 0.9, 1.12  # heights of letters, in units of the label
_BRIGHT = 330  # sum of red, green and blue above which dark ink reads better


@dataclass(frozen=True, slots=True)
class Caption:
    """What is written on an image: the word in the badge, a small line beside it, the prompt under both."""

    badge: str
    facts: str
    prompt: str


def wrap(text: str, width: float, lines: int, measure: Callable[[str], float]) -> list[str]:
    """Wrap text into at most `lines` lines of `width` by `measure`; an ellipsis marks what was left out."""
    wrapped: list[str] = []
    rest = text
    while rest and len(wrapped) < lines:
        line = _first_line(rest, width, measure)
        wrapped.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    if rest and wrapped:
        last = wrapped[-1]
        while last and measure(last + "…") > width:
            last = last[:-1]
        wrapped[-1] = last.rstrip() + "…"
    return wrapped


def _first_line(text: str, width: float, measure: Callable[[str], float]) -> str:
    """Return the longest beginning that fits, cut between words where possible; at least one character."""
    end = len(text)
    while end > 1 and measure(text[:end]) > width:
        space = text.rfind(" ", 1, end)
        end = space if space > 0 else end - 1
    return text[:end]


def printable(text: str) -> str:
    """Reduce text to what Pillow's own font can draw: accents go, and what is not Latin becomes a box."""
    letters = unicodedata.normalize("NFKD", text[:_LONGEST]).encode("utf-8", "replace").decode()
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter for letter in " ".join(plain.split()) if letter.isprintable())


class Label:
    """A caption laid out along the lower edge of `area`; its letters grow with the area."""

    def __init__(self, caption: Caption, area: Box) -> None:
        left, top, right, bottom = area
        self._unit = max(9.0, min(right - left, bottom - top) / 38)
        self._fonts = {part: ImageFont.load_default(self._unit * part) for part in (_SMALL, _BADGE, _LARGE)}
        self._left, width = left + self._unit, right - left - 2 * self._unit
        large = self._fonts[_LARGE]
        self._prompt = wrap(printable(caption.prompt), width, 2, large.getlength)
        self._top = bottom - self._unit * (1.1 + 1.5 * len(self._prompt))
        self._badge = caption.badge
        self._badge_size = (
            round(self._fonts[_BADGE].getlength(self._badge) + self._unit * 1.1),
            round(self._unit * 1.35),
        )
        self._indent = self._badge_size[0] + self._unit * 0.5
        self._facts = "".join(wrap(caption.facts, width - self._indent, 1, self._fonts[_SMALL].getlength))

    def write(self, image: Image.Image, *, opaque: bool = False) -> None:
        """Write facts and prompt on darkened ground; `opaque` hides what may be written there already."""
        ground = (0, max(0, round(self._top - self._unit * 4)), image.width, image.height)
        _darken(image, ground, opaque=opaque)
        pen, start = ImageDraw.Draw(image), (self._left + self._indent, self._top - self._unit * 1.22)
        pen.text(start, self._facts, fill=(235, 235, 235), font=self._fonts[_SMALL])
        for number, line in enumerate(self._prompt):
            place = (self._left, self._top + self._unit * (0.2 + 1.5 * number))
            pen.text(place, line, fill=(255, 255, 255), font=self._fonts[_LARGE])

    def stamp(self, image: Image.Image, colour: Colour) -> None:
        """Draw the badge: sharp even on a rough image, so that it is not taken for a model's work."""
        wide, high = self._badge_size
        badge = Image.new("RGB", (wide, high), colour)
        ink = (16, 16, 20) if sum(colour) > _BRIGHT else (255, 255, 255)
        place = (wide / 2, high * 0.47)
        ImageDraw.Draw(badge).text(place, self._badge, fill=ink, font=self._fonts[_BADGE], anchor="mm")
        edge = drawing.shape(
            (wide, high), lambda pen, k: pen.rounded_rectangle((0, 0, wide * k, high * k), high, fill=255)
        )
        image.paste(badge, (round(self._left), round(self._top - self._unit * 1.5)), edge)


def _darken(image: Image.Image, box: Box, *, opaque: bool) -> None:
    ramp = Image.linear_gradient("L").point([min(255, level * (6 if opaque else 1)) for level in range(256)])
    ramp = ramp.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR)
    image.paste(drawing.shade(image.crop(box), ramp, 0.97 if opaque else 0.72), box[:2])


_SHOWN = 3
_PAPER = (252, 251, 248)


def add_inputs(scene: Image.Image, inputs: Sequence[bytes], mask: bytes | None) -> Image.Image:
    """Paint the masked area of the first image anew, or lay the images as prints on the scene."""
    if mask is not None:
        return _inpaint(scene, inputs[0], mask)
    tilts = (-3.0, 7.0, -11.0)
    for number in reversed(range(min(_SHOWN, len(inputs)))):
        scene = _place_print(scene, _print(inputs[number], scene.size), tilts[number], number)
    return scene


def _inpaint(scene: Image.Image, input_image: bytes, mask: bytes) -> Image.Image:
    kept = ImageOps.fit(_open(mask).getchannel("A"), scene.size, Image.Resampling.BILINEAR)
    image = scene.copy()
    image.paste(ImageOps.fit(_flat(input_image), scene.size), mask=kept)
    return image


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGBA")


def _flat(data: bytes) -> Image.Image:
    """Put an image on white paper, so that nothing of it is transparent."""
    image = _open(data)
    ground = Image.new("RGB", image.size, _PAPER)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _print(input_image: bytes, size: drawing.Size) -> Image.Image:
    """Make a print with a white border that fits a scene of `size`."""
    room = (round(size[0] * 0.6), round(size[1] * 0.6))
    image = ImageOps.contain(_flat(input_image), room)
    return ImageOps.expand(image, round(min(size) * 0.018), _PAPER)


def _place_print(scene: Image.Image, sheet: Image.Image, tilt: float, number: int) -> Image.Image:
    """Lay a sheet on the scene, turned by `tilt` degrees, with a shadow."""
    turned = sheet.convert("RGBA").rotate(tilt, Image.Resampling.BICUBIC, expand=True)
    away = (0, -0.13, 0.13)[number]
    corner = (
        round((scene.width - turned.width) / 2 + away * scene.width),
        round((scene.height - turned.height) / 2 - (0.04 + abs(away) * 0.35) * scene.height),
    )
    outline = Image.new("L", scene.size)
    outline.paste(turned.getchannel("A"), corner)
    far = min(scene.size) * 0.012
    soft = outline.reduce(4).filter(ImageFilter.GaussianBlur(far / 2))
    scene = drawing.shade(scene, drawing.enlarge(drawing.shift(soft, far / 6, far / 3), scene.size), 0.5)
    scene.paste(turned, corner, turned.getchannel("A"))
    return scene

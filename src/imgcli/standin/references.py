"""Pictures that came with a request: what may be sent, and how they show in the painting."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter, ImageOps

from imgcli.standin import texture as tx

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 3
_PAPER = (252, 251, 248)


def arrange(scene: Image.Image, references: Sequence[bytes], mask: bytes | None) -> Image.Image:
    """The first reference with its masked places painted anew, or all as prints lying on the scene."""
    if mask is not None:
        return _inpaint(scene, references[0], mask)
    tilts = (-3.0, 7.0, -11.0)
    for number in reversed(range(min(_SHOWN, len(references)))):
        scene = _lay(scene, _print(references[number], scene.size), tilts[number], number)
    return scene


def _inpaint(scene: Image.Image, reference: bytes, mask: bytes) -> Image.Image:
    kept = ImageOps.fit(_open(mask).getchannel("A"), scene.size, Image.Resampling.BILINEAR)
    picture = scene.copy()
    picture.paste(ImageOps.fit(_flat(reference), scene.size), mask=kept)
    return picture


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGBA")


def _flat(data: bytes) -> Image.Image:
    """The picture without transparency, on paper white."""
    picture = _open(data)
    ground = Image.new("RGB", picture.size, _PAPER)
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _print(reference: bytes, size: tx.Size) -> Image.Image:
    """The reference as a print with a white border, fit for a scene of `size`."""
    room = (round(size[0] * 0.6), round(size[1] * 0.6))
    picture = ImageOps.contain(_flat(reference), room)
    return ImageOps.expand(picture, round(min(size) * 0.018), _PAPER)


def _lay(scene: Image.Image, sheet: Image.Image, tilt: float, number: int) -> Image.Image:
    """The scene with the sheet on it, turned by `tilt` degrees, with a shadow."""
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
    scene = tx.shade(scene, tx.enlarge(tx.shift(soft, far / 6, far / 3), scene.size), 0.5)
    scene.paste(turned, corner, turned.getchannel("A"))
    return scene

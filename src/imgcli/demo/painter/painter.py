"""The painter: an image from a prompt and a seed; the same job gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from imgcli.demo.painter import drawing, scenes
from imgcli.demo.painter.label import Box, Caption, Label, add_inputs
from imgcli.demo.provenance import mark

if TYPE_CHECKING:
    from imgcli.demo.validation import Encoding


_SCENES = (scenes.hills, scenes.paper_cutout, scenes.mosaic)
_DETAIL = {"low": 0, "medium": 2, "high": 3, "xhigh": 4, "max": 5}
_GRAIN = {"low": 2, "medium": 3, "high": 4, "xhigh": 5, "max": 6}
_BORDER = (250, 250, 248)


@dataclass(frozen=True, slots=True)
class PaintJob:
    """What to paint."""

    prompt: str
    size: drawing.Size = (1024, 1024)
    quality: str = "medium"
    transparent: bool = False
    inputs: tuple[bytes, ...] = ()
    """Encoded images to work from; the first is the one that is edited."""
    mask: bytes | None = None
    """Encoded image whose transparent areas are to be painted anew."""
    turn: int = 1
    """Number of this image in its conversation, from 1."""
    first_prompt: str = ""
    """The first prompt of the conversation: it keeps the scene while later prompts change the colours."""
    number: int = 0
    """Which of several images of one request, from 0."""
    seed: int = 0
    first_seed: int | None = None
    """The seed of the conversation's first image, which keeps the scene; None where this is the first."""


class PaintedImage:
    """One image, painted when it is first asked for, and its partials."""

    def __init__(self, job: PaintJob) -> None:
        self.job = job
        self._palette = drawing.choose(_random_for(job, "palette", job.prompt))
        self._caption = Caption("demo", _facts(job), job.prompt)
        self._label = Label(self._caption, _inside(job, 0.085 if job.transparent else 0))

    def final(self, encoding: Encoding) -> bytes:
        """Return the finished image, encoded, with the mark by which the demo recognizes it.

        A gif of several frames ends with it.
        """
        if encoding.format == "svg":
            return self._drawn()
        if encoding.frames > 1:
            return mark(self._animated(encoding))
        return mark(self._encode(self._image.copy(), encoding))

    def _drawn(self) -> bytes:
        job = self.job
        rng = _random_for(job, "drawing", job.first_prompt or job.prompt)
        ridges = 3 + _DETAIL[job.quality]
        return scenes.svg_drawing(
            rng, job.size, self._palette, self._caption, ridges, is_bare=job.transparent
        )

    def _animated(self, encoding: Encoding) -> bytes:
        rng = _random_for(self.job, "frames", str(encoding.frames))
        count = encoding.frames - 1
        rough = [
            _blend_with_noise(rng, self._image, (number + 1) / encoding.frames) for number in range(count)
        ]
        frames = [frame.quantize(method=Image.Quantize.FASTOCTREE) for frame in (*rough, self._image)]
        buffer = io.BytesIO()
        frames[0].save(
            buffer, "GIF", save_all=True, append_images=frames[1:], duration=encoding.duration, loop=0
        )
        return buffer.getvalue()

    def partial(self, index: int, count: int, encoding: Encoding) -> bytes:
        """Return a complete but rougher version, encoded: number `index`, from 0, of `count`."""
        done = (index + 1) / (count + 1)
        rng = _random_for(self.job, "partial", f"{index}/{count}")
        return self._encode(_blend_with_noise(rng, self._image, done), encoding)

    @cached_property
    def _image(self) -> Image.Image:
        job = self.job
        seed = job.seed if job.first_seed is None else job.first_seed
        rng = _random_for(replace(job, seed=seed), "scene", job.first_prompt or job.prompt)
        scene = rng.choice(_SCENES)(rng, job.size, self._palette, _DETAIL[job.quality])
        if job.inputs:
            scene = add_inputs(scene, job.inputs, job.mask)
        scene = drawing.grain(_random_for(job, "grain", job.prompt), scene, _GRAIN[job.quality])
        self._label.write(scene, opaque=job.mask is not None)
        return scene

    def _encode(self, image: Image.Image, encoding: Encoding) -> bytes:
        self._label.stamp(image, self._palette.accent)
        if self.job.transparent:
            image = _cut_out(image, _inside(self.job, 0.05))
        return encode(image, encoding)


def encode(image: Image.Image, encoding: Encoding) -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    if encoding.format == "png":
        image.save(buffer, "PNG", compress_level=1)
    else:
        quality = max(1, min(95, encoding.compression))
        image.save(buffer, encoding.format, quality=quality, method=1)
    return buffer.getvalue()


def _random_for(job: PaintJob, purpose: str, text: str) -> random.Random:
    """Return a generator for one purpose: changing one part of an image leaves the others alone."""
    seed = "\0".join((purpose, str(job.seed), str(job.number), text))
    return random.Random(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest())


def _facts(job: PaintJob) -> str:
    count = len(job.inputs)
    facts = [
        f"turn {job.turn}" if job.turn > 1 else "",
        f"{count} input image{'s' if count > 1 else ''}" if count else "",
        "mask" if job.mask else "",
        "painted offline, not by a model",
        f"seed {job.seed}",
    ]
    return " · ".join(fact for fact in facts if fact)


def _inside(job: PaintJob, part: float) -> Box:
    """Return the box inside a margin of `part` of the shorter edge."""
    width, height = job.size
    margin = round(min(width, height) * part)
    return margin, margin, width - margin, height - margin


def _blend_with_noise(rng: random.Random, image: Image.Image, done: float) -> Image.Image:
    """Return the image as it is `done` (0 to 1) of the way out of the noise."""
    width, height = image.size
    shrink = 8 * 48**done / min(width, height)
    tiny = (max(2, round(width * shrink)), max(2, round(height * shrink)))
    soft = image.resize(tiny, Image.Resampling.BOX, reducing_gap=1.0)
    specks = (max(2, width // 12), max(2, height // 12))
    haze = Image.frombytes("RGB", specks, rng.randbytes(specks[0] * specks[1] * 3))
    small = soft.resize(specks, Image.Resampling.BICUBIC) if tiny < specks else soft.resize(specks)
    noisy = Image.blend(small, haze, 0.5 * (1 - done) ** 1.6)
    if tiny < specks:
        return noisy.resize(image.size, Image.Resampling.BICUBIC)
    return Image.blend(soft.resize(image.size, Image.Resampling.BICUBIC), noisy.resize(image.size), 0.4)


def _cut_out(image: Image.Image, area: Box) -> Image.Image:
    """Cut the image out as a sticker: white border, rounded corners, nothing around it."""
    unit = min(image.size)
    outer, inner = (_rounded(image.size, area, unit * wide, unit * 0.1) for wide in (0.0, 0.018))
    sticker = Image.new("RGB", image.size, _BORDER)
    sticker.paste(image, mask=inner)
    bare = ImageChops.multiply(sticker, Image.merge("RGB", (outer.point([0] + [255] * 255),) * 3))
    bare.putalpha(outer)
    return bare


def _rounded(size: drawing.Size, area: Box, inset: float, radius: float) -> Image.Image:
    left, top, right, bottom = area
    box = (left + inset, top + inset, right - inset, bottom - inset)
    return drawing.shape(
        size,
        lambda pen, k: pen.rounded_rectangle([value * k for value in box], (radius - inset) * k, fill=255),
    )

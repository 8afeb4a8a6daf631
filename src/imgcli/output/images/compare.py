"""Before and after: side by side as one image, and how much has changed."""

from __future__ import annotations

from functools import reduce
from io import BytesIO
from typing import TYPE_CHECKING

from imgcli.core.events import FinalImage, Notice, Saved
from imgcli.core.image import EncodedImage, ImageFormat, header_size
from imgcli.dataclass import cached_property, dataclass
from imgcli.output.images.decode import Undecodable, decode, flatten
from imgcli.output.images.protocol import DividedRenderer, StoredRenderer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.Image import Image

    from imgcli.core.events import Event
    from imgcli.output.images.protocol import Box, Frame, Renderer, RendererProvider


@dataclass
class ComparingProvider:
    """Lends another provider's renderer, which then paints comparisons: partial images are compared too."""

    provider: RendererProvider
    comparison: Comparison

    @property
    def widest(self) -> int | None:
        """See `RendererProvider`."""
        return self.provider.widest

    @property
    def note(self) -> str:
        """See `RendererProvider`."""
        return self.provider.note

    @property
    def cell(self) -> tuple[int, int] | None:
        """See `RendererProvider`."""
        return self.provider.cell

    def renderer(self) -> Renderer:
        """See `RendererProvider`."""
        return self._renderer

    def close(self) -> None:
        """See `RendererProvider`."""
        self.provider.close()

    @cached_property
    def _renderer(self) -> Renderer:
        renderer = self.provider.renderer()
        if isinstance(renderer, StoredRenderer):
            return _StoredComparingRenderer(renderer, self.comparison, renderer)
        return _ComparingRenderer(renderer, self.comparison)


@dataclass(frozen=True)
class _ComparingRenderer:
    """Paints before and after in an image's place; the image alone where the two cannot be compared."""

    inner: Renderer
    comparison: Comparison

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """See `Renderer`."""
        return self.inner.render(self.comparison.after(encoded).encoded or encoded, box)


@dataclass(frozen=True)
class _StoredComparingRenderer(_ComparingRenderer):
    """The same for a renderer whose images live in the terminal's memory."""

    memory: StoredRenderer

    def keep(self) -> None:
        """See `StoredRenderer`."""
        self.memory.keep()

    def clear(self) -> str:
        """See `StoredRenderer`."""
        return self.memory.clear()

    def abort(self) -> str:
        """See `StoredRenderer`."""
        return self.memory.abort()

    def sibling(self) -> Renderer:
        """See `DividedRenderer`."""
        inner = self.inner.sibling() if isinstance(self.inner, DividedRenderer) else self.inner
        memory = inner if isinstance(inner, StoredRenderer) else self.memory
        return _StoredComparingRenderer(inner, self.comparison, memory)


THRESHOLD = 16
"""By how much of 255 a channel must differ for its pixel to count as changed: a model that paints an image
again leaves no pixel quite as it was, and nobody sees less than that."""

_TALLEST, _WIDEST = 1024, 4096  # pixels of one side of the comparison: more than any terminal shows
_GAPS = 64  # the gap's part of the height
_LARGE = 8_300_000  # pixels: more than the API sells, so that only an image from elsewhere is larger
_ENOUGH, _ENOUGH_OF_JPEG = (1024, 1024), (2048, 2048)  # `decode` keeps twice as much, of a JPEG just this
"""The detail that is left of those: two at 32 megapixels would fill a modest machine."""
_GREY = (128, 128, 128)
_PER_CENT = 100


@dataclass(frozen=True)
class Compared:
    """`image` shows both side by side; `share` is the part of the pixels that changed, from 0 to 1.

    Where one of the two cannot be decoded both are None. `text` says in a clause what came of it.
    """

    encoded: EncodedImage | None
    share: float | None
    text: str


class Comparison:
    """Compares images with one that was before them. Decodes nothing until it has to."""

    def __init__(self, before: bytes) -> None:
        self._data = before
        self._last: tuple[bytes, Compared] | None = None

    def after(self, encoded: EncodedImage) -> Compared:
        """Compare one image with the one before. Never raises, whatever the bytes are.

        A pixel counts as changed when any of its channels differs by more than `THRESHOLD`, after the image
        before was brought to this one's size. Channels are taken times their opacity, which counts as one:
        what is hidden under a transparent pixel is no change.
        """
        if self._last and self._last[0] is encoded.data:
            return self._last[1]
        compared = self._compared(encoded.data)
        self._last = encoded.data, compared
        return compared

    def notices(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield events, and after each final image a notice of how much it differs: a pipeline stage.

        That is worked out once the image is told to be saved: who interrupts it still knows where it is.
        """
        new: FinalImage | None = None
        for event in events:
            if new and not isinstance(event, Saved):
                yield self._notice(new)
                new = None
            yield event
            if new:
                yield self._notice(new)
            new = event if isinstance(event, FinalImage) else None

    def _notice(self, final: FinalImage) -> Notice:
        return Notice(final.job, self.after(final.image).text)

    def _compared(self, data: bytes) -> Compared:
        try:
            before = self._before
        except Exception as error:  # noqa: BLE001 - decoders raise anything, and a comparison is only a show
            return _failed("the previous image", error)
        try:
            after = _decoded(data)
            share = _changed(before, after)
            return Compared(_side_by_side(before, after), share, changed_share(share))
        except Exception as error:  # noqa: BLE001 - see above
            return _failed("the new image", error)

    @cached_property
    def _before(self) -> Image:
        return _decoded(self._data)


def _decoded(data: bytes) -> Image:
    """Decode an image; a very large one as small as it does no harm to the comparison."""
    encoded = EncodedImage.of(data)
    width, height = header_size(encoded) or (0, 0)
    enough = _ENOUGH_OF_JPEG if encoded.format is ImageFormat.JPEG else _ENOUGH
    return decode(data, enough if width * height > _LARGE else None)


def changed_share(share: float) -> str:
    """Format which part of the pixels changed: `12% of the pixels changed`; a little is not none."""
    if share <= 0:
        return "no pixels changed"
    per_cent = _PER_CENT * share
    if per_cent < 1:
        return "less than 1% of the pixels changed"
    if _PER_CENT - 1 < per_cent < _PER_CENT:
        return "more than 99% of the pixels changed"
    return f"{round(per_cent)}% of the pixels changed"


def _failed(which: str, error: Exception) -> Compared:
    why = error.reason if isinstance(error, Undecodable) else f"not comparable ({type(error).__name__})"
    return Compared(None, None, f"no comparison: {which} is {why}")


def _changed(before: Image, after: Image) -> float:
    """Return the part of the pixels that differ by more than the threshold."""
    from PIL import Image, ImageChops

    mode = "RGB" if before.mode == after.mode == "RGB" else "RGBa"
    earlier, later = _in_mode(before, mode), _in_mode(after, mode)
    if earlier.size != later.size:
        earlier = earlier.resize(later.size, Image.Resampling.BOX)  # the others sharpen, which is a change
    strongest = reduce(ImageChops.lighter, ImageChops.difference(earlier, later).split())
    return sum(strongest.histogram()[THRESHOLD + 1 :]) / (later.width * later.height)


def _in_mode(image: Image, mode: str) -> Image:
    """Return an image in RGB, or with its channels times their opacity."""
    if mode == "RGBa" and image.mode == "RGB":
        image = image.convert("RGBA")
    return image if image.mode == mode else image.convert(mode)


def _side_by_side(before: Image, after: Image) -> EncodedImage:
    """Put two images next to each other, equally tall, in a file that every renderer takes."""
    from PIL import Image

    height = min(after.height, _TALLEST)
    gap = max(1, height // _GAPS)
    left, right = _fitted(before, height), _fitted(after, height)
    both = Image.new("RGB", (left.width + gap + right.width, height), _GREY)
    both.paste(left, (0, (height - left.height) // 2))
    both.paste(right, (left.width + gap, (height - right.height) // 2))
    file = BytesIO()
    both.save(file, "PNG", compress_level=1)
    return EncodedImage(file.getvalue(), ImageFormat.PNG)


def _fitted(image: Image, height: int) -> Image:
    """Scale an image to a height, or less where it would become too wide."""
    scale = min(height / image.height, _WIDEST / image.width)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    opaque = flatten(image)
    return opaque if opaque.size == size else opaque.resize(size, reducing_gap=2.0)

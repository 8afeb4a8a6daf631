"""Images encoded as sixels: VT330/VT340 Programmer Reference Manual, volume 2, chapter 14."""

from __future__ import annotations

from itertools import chain
from math import dist, inf
from operator import itemgetter
from typing import TYPE_CHECKING

from imgcli.output.images.color_runs import lengthened
from imgcli.output.images.decode import decode, fit, flatten
from imgcli.output.images.protocol import Box, overlay_frame
from imgcli.regex import regex

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from PIL.Image import Image

    from imgcli.core.image import EncodedImage
    from imgcli.output.images.protocol import Frame


RGB = tuple[int, int, int]
Size = tuple[int, int]

_BOUNDLESS = (1 << 16, 1 << 16)

_BAND = 6  # rows of pixels that a row of sixels has
_MOST = 255  # colours; one number less than a byte has, for:
_CLEAR = 255  # a pixel that is not drawn
_SAMPLES = 4096  # pixels are enough to choose a palette from: four times as many take four times as long
_COLORS, _MORE = 56, 180  # of an image with nothing smooth in it, and how many more of one that is smooth
_MENDED = 20  # of these colours are for places that look wrong in the others
_PLACE, _WRONG = 8, 6  # pixels of such a place, and by how much of a level it is wrong
_STEP = 1  # levels between neighbours, at most, where an image is smooth
_ROUGH = 12  # steps by which a colour may be farther from the image to save bytes, where it is not smooth
_HARDLY = 0.02  # of an image, which need not be mixed
_SHARE = 0.5  # of an error that goes to the neighbours: more is noise, and bytes; none is bands in a sky
_OPAQUE_FROM = 128
_TINT = 16  # levels by which the palette may miss a colour that fills a large part of an image
_ALL = 255
# From four on, a repeat such as `!4~` is no longer than the run. Only blank and full sixels have many; and
# two patterns that begin with a literal are faster than one that begins with a choice.
_COLOR = regex(rb"#[0-9]+")
_BLANKS, _FULL = regex(rb"(\?{4,})"), regex(rb"(~{4,})")


class SixelRenderer:
    """Paints with up to `registers` colours in cells of `cell` pixels, width and height.

    Transparent parts show `background`, or a checkerboard: the image before must not show through. Images
    are at most `largest` pixels wide and high, where the terminal has such a limit: xterm's is 1000 by 1000.
    A pixel of the image takes at most `zoom` of the terminal's. In tmux it `fills_cells`, as far as whole
    bands go: tmux sends whole cells on, and what is left of the last ones is black in foot.
    """

    def __init__(
        self,
        cell: Size,
        registers: int = 256,
        background: RGB | None = None,
        largest: Size | None = None,
        zoom: float = inf,
        *,
        fills_cells: bool = False,
    ) -> None:
        self._zoom = zoom
        self._fills_cells = fills_cells
        self._cell = cell
        self._registers = registers
        self._background = background
        self._largest = largest or _BOUNDLESS

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """Show an image over the one before; raises `decode.Undecodable`."""
        room = pixels_in(box, self._cell, self._largest)
        decoded = decode(encoded.data, room)
        image = flatten(decoded, self._background)
        shown = image.resize(_whole_bands(image.size, room, self._zoom), reducing_gap=2.0)
        width, height = self._cell
        cells = Box(-(-shown.width // width), -(-shown.height // height))
        is_see_through = decoded.has_transparency_data
        if self._background and self._fills_cells:
            shown = _on(self._background, shown, pixels_in(cells, self._cell, _BOUNDLESS))
            is_see_through = True
        return overlay_frame(
            cells, encode(shown, self._registers, self._background, is_see_through=is_see_through)
        )


def _on(background: RGB, image: Image, size: Size) -> Image:
    """Put an image into the top left corner of a background."""
    from PIL import Image as Pillow

    whole = Pillow.new("RGB", size, background)
    whole.paste(image)
    return whole


def _whole_bands(size: Size, room: Size, zoom: float) -> Size:
    """Fit an image into a room, a little smaller where its last band would not be full.

    Konsole paints the rest of such a band white.
    """
    width, height = fit(size, *room, (1, 1), zoom)
    return fit(size, width, max(height - height % _BAND, 1), (1, 1))


def pixels_in(box: Box, cell: Size, largest: Size) -> Size:
    """Return the pixels, width and height, of a box for sixels: whole bands, so that nothing scrolls."""
    width, height = min(box.columns * cell[0], largest[0]), min(box.rows * cell[1], largest[1])
    return width, max(height - height % _BAND, 1)


def encode(
    image: Image, registers: int = 256, background: RGB | None = None, *, is_see_through: bool = False
) -> str:
    """Turn an image of mode RGB, or RGBA whose clear parts are left out, into one escape sequence.

    The cursor's cell is its top left corner. There are at most 255 colours, at least 2. The first register is
    that of the background, where it is known: tmux 3.4 has the rest of the last cells filled with it.
    Where the image `is_see_through`, parts of it are the background, and have its very colour.
    """
    behind = [background] if background else []
    indexed = _indexed(image.convert("RGB"), max(2, min(registers, _MOST) - len(behind)))
    if image.mode == "RGBA":
        clear = image.getchannel("A").point(lambda alpha: 0 if alpha >= _OPAQUE_FROM else 255)
        indexed.paste(_CLEAR, mask=clear)
    counts = indexed.histogram()[
        :_CLEAR
    ]  # the most frequent first: a register of one digit costs fewer bytes
    used = sorted((number for number in range(_CLEAR) if counts[number]), key=lambda number: -counts[number])
    levels = indexed.getpalette() or []
    colors = list(zip(levels[0::3], levels[1::3], levels[2::3], strict=True))
    if background and is_see_through:
        nearest = min(used, key=lambda number: dist(colors[number], background))
        if dist(colors[nearest], background) < _TINT:
            colors[nearest] = background
    percent = [_percent(color) for color in behind + [colors[number] for number in used]]
    registers_of = {color: number for number, color in enumerate(dict.fromkeys(percent))}
    numbers = [registers_of[color] for color in percent[len(behind) :]]
    bands = b"-".join(_bands(_renumbered(indexed.tobytes(), used, numbers), indexed.width))
    body = _shortened(_FULL, _shortened(_BLANKS, bands)).decode()
    # P2=1: pixels that are not drawn keep their colour; 1;1: pixels are square, whatever P1 says.
    palette = "".join("#{};2;{};{};{}".format(number, *color) for color, number in registers_of.items())
    return f'\x1bP0;1q"1;1;{image.width};{image.height}{palette}{body}\x1b\\'


def _indexed(image: Image, most: int) -> Image:
    """Return the image in at most so many colours: more of them where it is smooth, and mixed only there.

    Where it is not, few are enough: nobody sees the difference, and each costs bytes in every band.
    """
    from PIL import Image as Pillow

    if image.getcolors(2 * most):  # all but exact: looking up a palette, Pillow takes four greys for one
        return image.quantize(most, Pillow.Quantize.MEDIANCUT, kmeans=1)
    smooth = _smooth(image)
    share = smooth.histogram()[_ALL] / (image.width * image.height)
    count = min(most, _COLORS + int(_MORE * share))
    indexed, palette = _nearest(image, count)
    if share >= _HARDLY:
        rough = indexed.convert("RGB")
        mixed = Pillow.composite(Pillow.blend(rough, image, _SHARE), rough, smooth)
        indexed = mixed.quantize(palette=palette, dither=Pillow.Dither.FLOYDSTEINBERG)
    return lengthened(indexed, image, smooth.point([_ROUGH] * _ALL + [0]))


def _smooth(image: Image) -> Image:
    """Return a mask of the pixels nearly as those before and above: only there does one see bands."""
    from PIL import ImageChops

    grey = image.convert("L")
    across, down = (ImageChops.difference(grey, ImageChops.offset(grey, *one)) for one in ((1, 0), (0, 1)))
    steps = ImageChops.lighter(across, down)
    return steps.point([_ALL] * (_STEP + 1) + [0] * (_ALL - _STEP))


def _nearest(image: Image, count: int) -> tuple[Image, Image]:
    """Return an image in its best few colours, none of them mixed, and an image with their palette.

    Median cut would come closer to the frequent colours and lose a small bright moon. Maximum coverage finds
    it, and k-means then moves what it found to the middle of what is near. Some colours are kept for places
    that look wrong then.
    """
    from PIL import Image as Pillow

    first = count - min(_MENDED, count // 4)
    palette = _sample(image, first).quantize(first, Pillow.Quantize.MAXCOVERAGE, kmeans=1)
    nearest = image.quantize(palette=palette, dither=Pillow.Dither.NONE)
    missing = _missing(nearest.convert("RGB").reduce(_PLACE), image.reduce(_PLACE), count - first)
    if not missing:
        return nearest, palette
    palette.putpalette((palette.getpalette() or [])[: 3 * first] + list(chain.from_iterable(missing)))
    return image.quantize(palette=palette, dither=Pillow.Dither.NONE), palette


def _missing(found: Image, image: Image, most: int) -> list[tuple[int, ...]]:
    """Return the colours of those places that differ most, no two of them alike."""
    from PIL import ImageChops

    red, green, blue = ImageChops.difference(found, image).split()
    errors = ImageChops.lighter(ImageChops.lighter(red, green), blue).tobytes()
    colors = list(zip(*[iter(image.tobytes())] * 3, strict=True))
    chosen: dict[tuple[int, ...], tuple[int, ...]] = {}
    wrong = (place for place, error in enumerate(errors) if error >= _WRONG)
    for place in sorted(wrong, key=errors.__getitem__, reverse=True):
        if len(chosen) >= most:
            break
        chosen.setdefault(tuple(level >> 4 for level in colors[place]), colors[place])
    return list(chosen.values())


def _sample(image: Image, colors: int) -> Image:
    """Return enough pixels to choose a palette from, and with them what an octree finds in all of them.

    Between two pixels of the sample there is room for something small of a colour that nothing else has.
    """
    from PIL import Image as Pillow

    shrink = max(1, (image.width * image.height / _SAMPLES) ** 0.5)
    width, height = max(1, int(image.width / shrink)), max(1, int(image.height / shrink))
    few = image.resize((width, height), Pillow.Resampling.NEAREST).tobytes()
    octree = bytes(image.quantize(colors, Pillow.Quantize.FASTOCTREE).getpalette() or [])
    rows = height - (-len(octree) // (3 * width))
    return Pillow.frombytes("RGB", (width, rows), (few + octree + few)[: 3 * width * rows])


def _renumbered(data: bytes, used: list[int], numbers: list[int]) -> bytes:
    """Return the pixels with the numbers of their registers, which have no gaps.

    tmux sends all registers up to the highest on to its terminal. One that was never set is then a colour
    command that no terminal reads, and xterm shows none of the image.
    """
    return data.translate(bytes.maketrans(bytes(used), bytes(numbers)))


def _percent(color: RGB) -> RGB:
    """Return a colour as the VT340 expects it, in per cent: of 256 greys, 101 are left."""
    red, green, blue = (round(level / 2.55) for level in color)
    return red, green, blue


def _bands(data: bytes, width: int) -> Iterator[bytes]:
    """Return the image's rows of sixels, six rows of pixels each, without repeats."""
    size = _BAND * width
    for start in range(0, len(data), size):
        band = data[start : start + size].ljust(size, bytes([_CLEAR]))
        layers = _layers(band, width)
        if _CLEAR not in band:  # whatever is drawn first may be drawn everywhere
            number = max(range(len(layers)), key=lambda n: len(layers[n]) - layers[n].count(b"?"))
            color = _COLOR.match(layers.pop(number))
            layers.insert(0, (color[0] if color else b"") + b"~" * width)
        yield b"$".join(layers)


def _layers(band: bytes, width: int) -> list[bytes]:
    """Return for each colour of a band its sixels, from left to right; blanks at the end are left out."""
    blank, used = bytearray(b"?" * width), set(band)
    layers = [blank[:] if color in used else blank for color in range(_CLEAR + 1)]
    targets = itemgetter(*band)(layers)  # for each pixel the layer of its colour
    rows = (targets[at : at + width] for at in range(0, len(targets), width))
    x = 0
    for a, b, c, d, e, f in zip(*rows, strict=True):  # the inner loop: every detour here costs milliseconds
        a[x] += 1
        b[x] += 2
        c[x] += 4
        d[x] += 8
        e[x] += 16
        f[x] += 32
        x += 1  # noqa: SIM113 - enumerate is slower
    return [_layer(color, layers[color]) for color in used - {_CLEAR}]


def _layer(color: int, sixels: bytearray) -> bytes:
    """Return one colour's sixels, without the blanks at both ends."""
    drawn = sixels.lstrip(b"?")
    blanks = len(sixels) - len(drawn)
    if blanks:
        return b"#%d!%d?" % (color, blanks) + drawn.rstrip(b"?")
    return b"#%d" % color + drawn.rstrip(b"?")


class _Repeats(dict[bytes, bytes]):
    """Runs of one sixel as the repeats that say the same."""

    def __missing__(self, run: bytes) -> bytes:
        self[run] = shorter = b"!%d%b" % (len(run), run[:1])
        return shorter


def _shortened(runs: re.Pattern[bytes], sixels: bytes) -> bytes:
    """Put repeats for runs. Splitting leaves the loop over them to C, unlike a function called for each."""
    pieces = runs.split(sixels)
    pieces[1::2] = map(_Repeats().__getitem__, pieces[1::2])
    return b"".join(pieces)

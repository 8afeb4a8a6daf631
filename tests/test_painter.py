from __future__ import annotations

import io
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFont, ImageStat

from imgcli.demo.painter import drawing, scenes
from imgcli.demo.painter.label import Caption, Label, printable, wrap
from imgcli.demo.painter.painter import PaintedImage, PaintJob
from imgcli.demo.validation import Encoding

PNG = Encoding()
SMALL = (320, 240)
SCENES = [scenes.hills, scenes.paper_cutout, scenes.mosaic]


def opened(data: bytes) -> Image.Image:
    """The image, wholly decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def reference(colour: tuple[int, ...] = (255, 0, 0), size: tuple[int, int] = (60, 40)) -> bytes:
    """An image of one colour, encoded."""
    buffer = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def distance(first: Image.Image, second: Image.Image) -> float:
    """Mean difference of two images' pixels, 0 to 255."""
    means = ImageStat.Stat(ImageChops.difference(first.convert("RGB"), second.convert("RGB"))).mean
    return sum(means) / 3


def test_same_job_same_bytes() -> None:
    """The same job gives the same bytes, partials included."""
    first, again = (PaintedImage(PaintJob("a fox", SMALL)) for _ in range(2))
    assert first.final(PNG) == again.final(PNG)
    assert first.partial(1, 3, PNG) == again.partial(1, 3, PNG)


@pytest.mark.parametrize(
    "other",
    [
        PaintJob("an owl", SMALL),
        PaintJob("a fox", (240, 320)),
        PaintJob("a fox", SMALL, "high"),
        PaintJob("a fox", SMALL, transparent=True),
        PaintJob("a fox", SMALL, number=1),
        PaintJob("a fox", SMALL, seed=1),
        PaintJob("a fox", SMALL, turn=2),
        PaintJob("a fox", SMALL, inputs=(reference(),)),
    ],
)
def test_another_job_another_image(other: PaintJob) -> None:
    """Whatever changes in the job shows in the image."""
    assert PaintedImage(PaintJob("a fox", SMALL)).final(PNG) != PaintedImage(other).final(PNG)


def test_partials_come_closer_to_the_final() -> None:
    """Each partial is a complete image of full size, nearer to the final than the one before."""
    painting = PaintedImage(PaintJob("a lighthouse in a storm"))
    final = opened(painting.final(PNG))
    partials = [opened(painting.partial(index, 3, PNG)) for index in range(3)]
    assert [final.size] * 3 == [image.size for image in partials]
    distances = [distance(image, final) for image in partials]
    assert sorted(distances, reverse=True) == distances
    assert distances[0] > 2 * distances[2] > 1


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("size", [(64, 48), (96, 288), (288, 96)], ids=str)
def test_every_scene_fills_every_size(scene: object, size: tuple[int, int]) -> None:
    """Every scene can be painted in every size and quality, and is no blank sheet."""
    assert callable(scene)
    for detail in (0, 5):
        rng = random.Random(7)
        image = scene(rng, size, drawing.choose(rng), detail)
        assert (size, "RGB") == (image.size, image.mode)
        assert max(ImageStat.Stat(image).stddev) > 8


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        (Encoding("png"), "PNG"),
        (Encoding("jpeg", 80), "JPEG"),
        (Encoding("webp", 0), "WEBP"),
        (Encoding("gif"), "GIF"),
    ],
)
def test_encodings(encoding: Encoding, name: str) -> None:
    """Final and partial are both written in the encoding that was asked for."""
    painting = PaintedImage(PaintJob("a fox", SMALL))
    assert [name] * 2 == [
        opened(data).format for data in (painting.final(encoding), painting.partial(0, 1, encoding))
    ]


def test_compression_makes_smaller_files() -> None:
    """A lower compression level gives fewer bytes."""
    painting = PaintedImage(PaintJob("a fox", SMALL))
    low, high = (len(painting.final(Encoding("jpeg", level))) for level in (10, 100))
    assert low < high / 2


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_transparent_images(kind: str) -> None:
    """A transparent image has nothing at its corners and is opaque inside, in partials too."""
    painting = PaintedImage(PaintJob("a fox", SMALL, transparent=True))
    for data in (painting.final(Encoding(kind)), painting.partial(0, 2, Encoding(kind))):
        alpha = opened(data).getchannel("A")
        assert (0, 0, 255) == (alpha.getpixel((0, 0)), alpha.getpixel((319, 239)), alpha.getpixel((160, 120)))


def test_natural_weight() -> None:
    """A square PNG weighs about what a real one does."""
    size = len(PaintedImage(PaintJob("a fox")).final(PNG))
    assert 500_000 < size < 2_500_000


def test_references_are_seen() -> None:
    """A reference takes up a good part of the image, and more of them show more."""
    one, two = (
        opened(PaintedImage(PaintJob("hat", SMALL, inputs=refs)).final(PNG))
        for refs in ((reference(),), (reference(), reference((0, 0, 255))))
    )
    for image, colours in ((one, {(255, 0, 0)}), (two, {(255, 0, 0), (0, 0, 255)})):
        counts = {colour: count for count, colour in image.getcolors(1 << 20) or []}
        near = {c: sum(n for other, n in counts.items() if _near(other, c)) for c in colours}
        assert min(near.values()) > 500


def _near(first: object, second: tuple[int, ...]) -> bool:
    assert isinstance(first, tuple)
    return all(abs(a - b) < 12 for a, b in zip(first, second, strict=True))


def test_mask_keeps_what_is_opaque() -> None:
    """Where the mask is opaque the reference stays; where it is transparent it does not."""
    masks = [reference((0, 0, 0, alpha)) for alpha in (255, 0)]
    images = [
        opened(PaintedImage(PaintJob("sky", SMALL, inputs=(reference(),), mask=mask)).final(PNG))
        for mask in masks
    ]
    kept, painted = (image.getpixel((160, 40)) for image in images)
    assert (True, False) == (_near(kept, (255, 0, 0)), _near(painted, (255, 0, 0)))


def test_demo_is_written_sharp_on_every_image() -> None:
    """The badge is on the final and on the roughest partial alike, so neither passes for a model's work."""
    painting = PaintedImage(PaintJob("a fox"))
    stamped = Image.new("RGB", (1024, 1024))
    Label(Caption("demo", "", "a fox"), (0, 0, 1024, 1024)).stamp(stamped, (250, 250, 250))
    box = stamped.getbbox()
    assert box
    assert box[2] - box[0] > 60
    inner = (box[0] + 12, box[1] + 4, box[2] - 12, box[3] - 4)
    final, rough = (opened(data).crop(inner) for data in (painting.final(PNG), painting.partial(0, 3, PNG)))
    assert distance(final, rough) < 1


def test_later_turns_keep_the_scene() -> None:
    """A later turn of a conversation keeps its scene and changes its colours."""
    first = PaintJob("a fox", SMALL, first_prompt="a fox")
    second = PaintJob("bluer", SMALL, first_prompt="a fox", turn=2)
    other = PaintJob("bluer", SMALL, turn=2)
    assert 3 == len({PaintedImage(job).final(PNG) for job in (first, second, other)})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  fox\n\tsleeps", "a fox sleeps"),
        ("bell\x07", "bell"),
        ("\ud800", "?"),
        ("漢字 café", "漢字 cafe"),
    ],
)
def test_only_printable_text_is_drawn(text: str, shown: str) -> None:
    """White space is folded, accents and control characters are dropped, other scripts are left alone."""
    assert shown == printable(text)


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("one two three", 2, ["one two", "three"]),
        ("one two three four five", 2, ["one two", "three…"]),
        ("unbreakable", 2, ["unbreaka", "ble"]),
        ("unbreakable and more", 1, ["unbreak…"]),
        ("", 2, []),
        ("x", 0, []),
    ],
)
def test_wrapping(text: str, lines: int, expected: list[str]) -> None:
    """Text is cut between words where it can be, and an ellipsis tells when some is missing."""
    assert expected == wrap(text, 8, lines, len)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_no_prompt_breaks_the_painter(prompt: str) -> None:
    """Any text at all, lone surrogates and control characters included, can be a prompt."""
    label = Label(Caption("demo", "", prompt), (0, 0, 160, 120))
    label.write(Image.new("RGB", (160, 120)))
    assert (64, 48) == opened(PaintedImage(PaintJob(prompt, (64, 48), "low")).final(PNG)).size


@given(st.text(max_size=80), st.integers(1, 30), st.integers(1, 4))
def test_wrapped_lines_fit(text: str, width: int, lines: int) -> None:
    """No line is wider than allowed, unless it is a single character."""
    for line in wrap(text, width, lines, len):
        assert len(line) <= max(1, width)


def test_labels_fit_small_images() -> None:
    """A long prompt on a tiny image is shortened, not drawn over the edge."""
    font = ImageFont.load_default(9)
    lines = wrap("word " * 50, 100, 2, font.getlength)
    assert max(font.getlength(line) for line in lines) <= 100

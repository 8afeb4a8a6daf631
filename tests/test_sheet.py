"""Contact sheets, through the front door."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli

SHAPES = {
    "a.png": ((200, 20, 20), (64, 64)),
    "b.jpg": ((20, 160, 20), (128, 32)),
    "c.webp": ((20, 20, 200), (20, 90)),
}


@pytest.fixture
def images(folder: Path) -> list[str]:
    """Three images: a red square, a green one that is wide, a blue one that is tall."""
    for name, (color, size) in SHAPES.items():
        Image.new("RGB", size, color).save(folder / name, quality=95)
    return list(SHAPES)


def color_at(sheet: Image.Image, x: int, y: int) -> str:
    """Name the channel that dominates a pixel, or tell that it is paper."""
    pixel = sheet.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return "paper" if min(pixel) > 200 else "RGB"[pixel.index(max(pixel))]


def test_every_image_has_its_place(imgcli: Cli, images: list[str], folder: Path) -> None:
    """Images stand in rows, in order, each in the middle of its square, its aspect kept."""
    done = imgcli("sheet", *images, "--columns", "2", "--tile", "64", "--no-captions")
    assert (0, [str(folder / "sheet.png")], "") == (done.exit_code, done.lines, done.stderr)
    with Image.open(folder / "sheet.png") as sheet:
        assert (16 + 2 * 80, 16 + 2 * 80) == sheet.size
        assert ["R", "G", "B", "paper"] == [color_at(sheet, x, y) for y in (48, 128) for x in (48, 128)]
        assert "paper" == color_at(sheet, 128, 20)  # above the wide one
        assert "paper" == color_at(sheet, 20, 128)  # beside the tall one


def test_captions_name_the_files(imgcli: Cli, images: list[str], folder: Path) -> None:
    """Something is written under each image, within its tile, however long its name is."""
    long = folder / f"{'w' * 200}.png"
    (folder / images[0]).rename(long)
    assert 0 == imgcli("sheet", long.name, "--tile", "64").exit_code
    with Image.open(folder / "sheet.png") as sheet:
        ink = sheet.convert("L").point(lambda value: 255 * (value < 250))
        left, top, right, bottom = ink.getbbox() or (0, 0, 0, 0)
        assert 16 + 64 < bottom
        assert 16 <= left < right <= 16 + 64
        assert 16 == top


def test_what_a_run_cost(imgcli: Cli, folder: Path) -> None:
    """An id stands for the image of that run, and its caption has a second line, for the cost."""
    assert 0 == imgcli("gen", "a cat", "--demo", "-q").exit_code
    assert 0 == imgcli("sheet", "last", "--tile", "64").exit_code
    (folder / "copy.png").write_bytes((folder / "a-cat.png").read_bytes() + b" ")
    assert 0 == imgcli("sheet", "copy.png", "--tile", "64", "-o", "unknown.png").exit_code
    with Image.open(folder / "sheet.png") as known, Image.open(folder / "unknown.png") as unknown:
        assert 15 == known.height - unknown.height


def test_one_bad_image_costs_only_itself(imgcli: Cli, images: list[str], folder: Path) -> None:
    """What cannot be read is named, the rest is on the sheet, and the exit code tells."""
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:60])
    done = imgcli("sheet", "torn.png", "gone.png", *images, "--tile", "32", "--no-captions")
    assert (2, [str(folder / "sheet.png")]) == (done.exit_code, done.lines)
    assert ["torn.png", "gone.png"] == [name for name in ("torn.png", "gone.png") if name in done.stderr]
    with Image.open(folder / "sheet.png") as sheet:
        assert (16 + 2 * 48, 16 + 2 * 48) == sheet.size


def test_no_image_no_sheet(imgcli: Cli, folder: Path) -> None:
    """Where no image can be read there is no sheet."""
    done = imgcli("sheet", "gone.png")
    assert (2, [], []) == (done.exit_code, done.lines, list(folder.iterdir()))


def test_nothing_is_overwritten(imgcli: Cli, images: list[str], folder: Path) -> None:
    """A name that is taken gets a number, unless --force says otherwise."""
    (folder / "sheet.png").write_bytes(b"mine")
    done = imgcli("sheet", *images)
    assert [str(folder / "sheet-2.png")] == done.lines
    assert "sheet.png already exists; the sheet is saved as sheet-2.png" in done.stderr
    assert b"mine" == (folder / "sheet.png").read_bytes()
    assert [str(folder / "sheet.png")] == imgcli("sheet", *images, "--force").lines
    assert b"mine" != (folder / "sheet.png").read_bytes()


@pytest.mark.parametrize(("name", "kind"), [("s.png", "PNG"), ("s.jpg", "JPEG"), ("new/s.webp", "WEBP")])
def test_formats(imgcli: Cli, images: list[str], folder: Path, name: str, kind: str) -> None:
    """The ending chooses the format, and a folder is made."""
    assert 0 == imgcli("sheet", *images, "-o", name).exit_code
    with Image.open(folder / name) as sheet:
        assert kind == sheet.format


def test_standard_output(imgcli: Cli, images: list[str], folder: Path) -> None:
    """`-o -` writes the bytes, and no file."""
    done = imgcli("sheet", *images, "-o", "-")
    with Image.open(io.BytesIO(done.stdout)) as sheet:
        assert "PNG" == sheet.format
    assert sorted(images) == sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "s.gif"], "A sheet cannot be saved as gif."),
        (["-o", "sheets/"], "-o needs the name of a file."),
        (["-o", ""], "-o needs the name of a file."),
        (["--tile", "31"], "--tile"),
        (["--columns", "0"], "--columns"),
        (["--tile", "2048", "--columns", "3", *["a.png"] * 30], "pixels is too large."),
    ],
)
def test_refused(imgcli: Cli, images: list[str], folder: Path, options: list[str], sentence: str) -> None:
    """A wrong option is refused in a sentence, with no file and no word about money."""
    done = imgcli("sheet", *images, *options)
    assert (2, []) == (done.exit_code, done.lines)
    assert sentence in done.stderr
    assert "charged" not in done.stderr
    assert sorted(images) == sorted(path.name for path in folder.iterdir())

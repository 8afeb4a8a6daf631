"""What --size promises."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.catalog import Model, ModelKind, load
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.sizes import SizeChoice, resolve_size
from tables import each

CATALOG = load()
FLEXIBLE = CATALOG.find("gpt-image-2.6-sunburst")
FIXED = CATALOG.find("gpt-image-1.5")
ALL = (FLEXIBLE, FIXED, None)
"""A model that takes any size, one that takes a few, and one that is not known."""


def _complaint(text: str, model: Model | None) -> str:
    with pytest.raises(ImgcliError) as caught:
        resolve_size(text, model)
    assert ExitCode.USAGE == caught.value.problem.exit_code
    return caught.value.problem.what


def _proposal(complaint: str) -> str:
    found = re.search(r"; try --size (\S+)\.$", complaint)
    assert found, complaint
    return found[1]


def _edges(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)


def _is_legal(size: str) -> bool:
    """Say the rule for flexible models again, in other words than the code's."""
    width, height = _edges(size)
    return (
        (width % 16, height % 16) == (0, 0)
        and max(width, height) <= 3840
        and max(width, height) <= 3 * min(width, height)
        and 655_360 <= width * height <= 8_294_400
    )


@each("model", ALL)
@each(
    ("written", "size"),
    [
        ("auto", "auto"),
        ("square", "1024x1024"),
        ("portrait", "1024x1536"),
        ("landscape", "1536x1024"),
        ("1024x1024", "1024x1024"),
        ("1:1", "1024x1024"),
        ("3:2", "1536x1024"),
        ("2:3", "1024x1536"),
        ("1.5:1", "1536x1024"),
        ("Landscape", "1536x1024"),
        (" 1024X1536 ", "1024x1536"),
        ("1024 x 1536", "1024x1536"),
        ("1024\N{MULTIPLICATION SIGN}1536", "1024x1536"),
        ("\N{FULLWIDTH DIGIT TWO}\N{FULLWIDTH COLON}3", "1024x1536"),
        ("01024x1024", "1024x1024"),
    ],
)
def test_understands(written: str, size: str, model: Model | None) -> None:
    """Words, sizes and ratios in any usual spelling mean the same for every model, without a remark."""
    assert SizeChoice(size) == resolve_size(written, model)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("16:9", "1536x864"),
        ("9:16", "864x1536"),
        ("4:3", "1408x1056"),
        ("21:9", "1904x816"),
        ("4:5", "1088x1360"),
        ("3:1", "2160x720"),
        ("1:3", "720x2160"),
    ],
)
def test_ratio_on_flexible_model(ratio: str, size: str) -> None:
    """A ratio becomes the largest exact size that costs no more pixels than landscape."""
    assert SizeChoice(size) == resolve_size(ratio, FLEXIBLE)


def test_ratio_without_exact_size() -> None:
    """A ratio that no legal size has becomes the nearest one, and says so."""
    notice = "The model supports no size of exactly 2.39:1; using 1568x656."
    assert SizeChoice("1568x656", notice) == resolve_size("2.39:1", FLEXIBLE)


@pytest.mark.parametrize(
    ("ratio", "size"), [("16:9", "1536x1024"), ("9:16", "1024x1536"), ("6:5", "1024x1024")]
)
def test_ratio_on_fixed_model(ratio: str, size: str) -> None:
    """On a model with three sizes a ratio becomes the nearest of them, and says so."""
    notice = f"The model supports no size of exactly {ratio}; using {size}."
    assert SizeChoice(size, notice) == resolve_size(ratio, FIXED)


@each("model", ALL)
@each(
    "written",
    [
        "",
        " ",
        "x",
        "1024",
        "1024x",
        "x1024",
        "-1x4",
        "0x0",
        "0x1024",
        "0:1",
        "1:0",
        "0.0:1",
        "16:9:4",
        "1e3x1e3",
        "123456x1024",
        "9" * 5000,
        "99999:1",
        "1024x1024x1024",
        "big",
        "\x1b[31m",
        "\ud800",
        "nan:1",
        "16/9",
    ],
)
def test_rejects_helpfully(written: str, model: Model | None) -> None:
    """What is no size at all is a usage error that names --size and a value that works."""
    complaint = _complaint(written, model)
    assert complaint.startswith("--size ")
    assert "1024x1024" == _proposal(complaint)
    assert "\x1b" not in complaint
    assert len(complaint) < 200


@pytest.mark.parametrize(
    ("written", "proposal", "reason"),
    [
        ("512x512", "816x816", "655,360"),
        ("1000x1000", "1008x1008", "multiples of 16"),
        ("1920x1080", "1920x1088", "multiples of 16"),
        ("4096x2048", "3840x1920", "3840"),
        ("3200x800", "3216x1072", "3 times"),
        ("3840x3840", "2880x2880", "8,294,400"),
        ("16x9", "16:9", "colon"),
        ("16x90", "16:9", "colon"),
    ],
)
def test_rejects_illegal_size(written: str, proposal: str, reason: str) -> None:
    """An illegal size is a usage error that says why and names a legal one nearby."""
    complaint = _complaint(written, FLEXIBLE)
    assert complaint.startswith(f"--size {written} ")
    assert reason in complaint
    assert proposal == _proposal(complaint)


@pytest.mark.parametrize(
    ("written", "proposal"), [("800x600", "1536x1024"), ("16x9", "16:9"), ("2048x2048", "1024x1024")]
)
def test_rejects_other_sizes_on_fixed_model(written: str, proposal: str) -> None:
    """A model with three sizes takes no other, and the complaint names the nearest."""
    assert proposal == _proposal(_complaint(written, FIXED))


@pytest.mark.parametrize(("ratio", "proposal"), [("10:1", "3:1"), ("1:3.01", "1:3")])
def test_rejects_extreme_ratio(ratio: str, proposal: str) -> None:
    """A ratio that the model cannot make is refused, with the most that it can."""
    assert proposal == _proposal(_complaint(ratio, FLEXIBLE))


@pytest.mark.parametrize("size", ["16x9", "512x512", "1000x1000", "7680x4320"])
def test_lets_unknown_models_decide(size: str) -> None:
    """A model that the catalog does not know gets the size as it was written."""
    assert SizeChoice(size) == resolve_size(size, None)
    assert SizeChoice(size) == resolve_size(size, Model("new", ModelKind.IMAGE))


def test_ratio_on_unknown_model() -> None:
    """A ratio works for a model that the catalog does not know, also an extreme one."""
    assert SizeChoice("1536x864") == resolve_size("16:9", None)
    assert SizeChoice("3456x432") == resolve_size("8:1", None)
    assert "16:1" == _proposal(_complaint("17:1", None))


def test_experimental_size() -> None:
    """A size that OpenAI calls experimental is taken, with a remark."""
    notice = "OpenAI calls sizes as large as 3840x2160 experimental."
    assert SizeChoice("2560x1440") == resolve_size("2560x1440", FLEXIBLE)
    assert SizeChoice("3840x2160", notice) == resolve_size("3840x2160", FLEXIBLE)


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_every_ratio_is_legal(width: int, height: int) -> None:
    """Any ratio from 1:3 to 3:1 gives a legal size near to it, with no more pixels than landscape."""
    shape = Fraction(width, height)
    if not Fraction(1, 3) <= shape <= 3:
        assert _proposal(_complaint(f"{width}:{height}", FLEXIBLE)) in ("1:3", "3:1")
        return
    size = resolve_size(f"{width}:{height}", FLEXIBLE).size
    wide, high = _edges(size)
    assert _is_legal(size)
    assert abs(Fraction(wide, high) / shape - 1) < Fraction(1, 50)
    assert wide * high <= 1536 * 1024


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_ratio_turns_with_the_image(width: int, height: int) -> None:
    """A ratio turned on its side gives the size turned on its side."""
    if Fraction(1, 3) <= Fraction(width, height) <= 3:
        upright = _edges(resolve_size(f"{height}:{width}", FLEXIBLE).size)
        assert upright[::-1] == _edges(resolve_size(f"{width}:{height}", FLEXIBLE).size)


@given(st.integers(1, 99_999), st.integers(1, 99_999))
def test_every_size_is_legal_or_refused(width: int, height: int) -> None:
    """Any size is either sent as it is, and legal, or refused with a proposal that works."""
    written = f"{width}x{height}"
    if _is_legal(written):
        assert written == resolve_size(written, FLEXIBLE).size
    else:
        proposal = _proposal(_complaint(written, FLEXIBLE))
        assert _is_legal(resolve_size(proposal, FLEXIBLE).size)


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """Whatever is written after --size is a size or a usage error."""
    for model in (FLEXIBLE, FIXED, None):
        try:
            answer = resolve_size(text, model).size
        except ImgcliError as error:
            answer = error.problem.what
        assert re.fullmatch(r"auto|[1-9][0-9]*x[1-9][0-9]*|--size .*; try --size \S+\.", answer)

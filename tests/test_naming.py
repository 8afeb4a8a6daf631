from __future__ import annotations

import os
import unicodedata
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.image import ImageFormat
from imgcli.store.publish.atomic import NAME_MAX
from imgcli.store.publish.naming import NameFields, OutputTarget, format_of_name

BASE = Path("/pictures")
NOW = datetime(2027, 1, 14, 15, 30, 12)  # noqa: DTZ001 - names carry local time
CAT = NameFields("A cat, on a roof", "gpt-4o-mini", "job-7", NOW)
PNG, JPEG, WEBP = ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP


def names(
    target: OutputTarget, encoding: ImageFormat | None = PNG, image: int = 0, mark: str = ""
) -> list[str]:
    """List the first three names of a target."""
    return list(islice(target.names(encoding, image, mark), 3))


def first(output: str | None, encoding: ImageFormat | None = PNG) -> Path:
    """Give the best path for an image."""
    target = OutputTarget.of(output, CAT, BASE)
    return target.folder / next(target.names(encoding))


def test_default_name() -> None:
    """Without -o the image is in the current folder, named after the prompt."""
    assert BASE / "a-cat-on-a-roof.png" == first(None)


@pytest.mark.parametrize("output", ["{folder}", "{folder}/", "{folder}/.", "{folder}/missing/"])
def test_folder(tmp_path: Path, output: str) -> None:
    """A folder as -o takes the default name in it, whether it already exists or only looks like one."""
    given_folder = output.replace("{folder}", str(tmp_path))
    assert Path(given_folder) / "a-cat-on-a-roof.png" == first(given_folder)


@pytest.mark.parametrize(
    ("output", "encoding", "expected"),
    [
        ("x.png", PNG, "x.png"),
        ("x.PNG", PNG, "x.PNG"),
        ("x", PNG, "x.png"),
        ("v1.2", PNG, "v1.2.png"),
        ("x.png", WEBP, "x.webp"),
        ("x.jpg", JPEG, "x.jpg"),
        ("x.jpeg", JPEG, "x.jpeg"),
        ("x.webp", JPEG, "x.jpg"),
        ("x.png", None, "x.bin"),
        (".png", PNG, ".png.png"),
        ("a/b/../x.png", PNG, "a/b/../x.png"),
    ],
)
def test_extension_tells_the_truth(output: str, encoding: ImageFormat | None, expected: str) -> None:
    """The extension is what the bytes are, in my own spelling when that says the same."""
    assert BASE / expected == first(output, encoding)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("{slug}-{n}.png", "a-cat-on-a-roof-1.png"),
        ("{date}_{time}.png", "2027-01-14_153012.png"),
        ("{model}/{id}", "gpt-4o-mini/job-7.png"),
        ("{{slug}}", "{a-cat-on-a-roof}.png"),
        ("a{b", "a{b.png"),
        ("%s-{n}", "%s-1.png"),
    ],
)
def test_template(output: str, expected: str) -> None:
    """A template's fields are filled, and nothing else in it means anything."""
    assert BASE / expected == first(output)


@pytest.mark.parametrize("output", ["{foo}.png", "{}", "{slug.__class__}", "{n!r}"])
def test_unknown_field(output: str) -> None:
    """An unknown field stops the run before it costs anything, and the known ones are named."""
    with pytest.raises(ImgcliError) as caught:
        OutputTarget.of(output, CAT, BASE)
    assert ExitCode.USAGE == caught.value.problem.exit_code
    assert "Fields: {slug} {n} {model} {date} {time} {id}." == caught.value.problem.advice


@pytest.mark.parametrize("output", ["", "a\nb.png", "a\0b", "\x1b[2J", "\ud800.png", "{n}/x.png"])
def test_impossible_names(output: str) -> None:
    """A name that would break a list of names, or be none, stops the run before it costs anything."""
    with pytest.raises(ImgcliError) as caught:
        OutputTarget.of(output, CAT, BASE)
    assert ExitCode.USAGE == caught.value.problem.exit_code


@pytest.mark.parametrize("output", ["--force", "-q", "{slug.png", "a/{n_{slug}.png", "{date"])
def test_slips(output: str) -> None:
    """An option in the place of a name, and a field that is not closed, are refused for free."""
    with pytest.raises(ImgcliError) as caught:
        OutputTarget.of(output, CAT, BASE)
    assert ExitCode.USAGE == caught.value.problem.exit_code


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("cat.bmp", "No model makes bmp files."),
        ("a/cat.TIFF", "No model makes TIFF files."),
        ("cat.pgn", "did you mean .png?"),
        ("cat.wepb", "did you mean .webp?"),
        ("cat.jpgg", "did you mean .jpg?"),
        ("cat.JEPG", "did you mean .jpeg?"),
    ],
)
def test_another_ending(output: str, said: str) -> None:
    """The ending of a format that no model gives, or a misspelt one: no script would find that file."""
    with pytest.raises(ImgcliError) as caught:
        OutputTarget.of(output, CAT, BASE)
    assert said in caught.value.problem.what
    assert "Supported: .png, .jpeg, .webp, .gif, .svg." == caught.value.problem.advice


@pytest.mark.parametrize(
    "output", ["v1.2", "mr. fox", "a.b.c", "draft.final", "{slug}.{n}", "set{1", "50%.off"]
)
def test_a_dot_in_a_name(output: str) -> None:
    """Any other text behind a dot is a part of the name."""
    assert OutputTarget.of(output, CAT, BASE).preferred_name(PNG).endswith(".png")


@pytest.mark.parametrize("title", ["photo.tiff", "cat.pgn"])
def test_a_title_is_not_checked(title: str) -> None:
    """What a viewed run or an edited image happens to be called is refused nowhere."""
    subject = NameFields("a cat", "m", "j", NOW, title)
    assert f"{title}.png" == OutputTarget.of(None, subject, BASE).preferred_name(PNG)
    assert f"{title}.png" == OutputTarget.of("./", subject, BASE).preferred_name(PNG)


def test_numbers_on_a_clash() -> None:
    """A name that is taken gets -2, then -3."""
    target = OutputTarget.of("x.png", CAT, BASE)
    assert ["x.png", "x-2.png", "x-3.png"] == names(target)


def test_several_images_of_a_job() -> None:
    """The first image of a job has the name, the next ones count on; {n} counts by itself."""
    assert ["x-2.png", "x-3.png", "x-4.png"] == names(OutputTarget.of("x", CAT, BASE), image=1)
    assert ["x_2.png", "x_2-2.png", "x_2-3.png"] == names(OutputTarget.of("x_{n}", CAT, BASE), image=1)


def test_marks() -> None:
    """Previews and damaged bytes carry a mark before the ending, lest somebody take them for the image."""
    target = OutputTarget.of("x.png", CAT, BASE)
    assert "x.partial-0.png" == names(target, mark=".partial-0")[0]
    assert ["x.damaged.bin", "x-2.damaged.bin"] == names(target, None, mark=".damaged")[:2]


@pytest.mark.parametrize(
    ("output", "expected"),
    [("x.webp", WEBP), ("x.JPG", JPEG), ("{slug}.png", PNG), ("x", None), ("-", None), (None, None)],
)
def test_format_follows_the_name(output: str | None, expected: ImageFormat | None) -> None:
    """`-o x.webp` asks for webp; a name without a known ending asks for nothing."""
    assert expected == format_of_name(output)


def test_format_does_not_follow_a_folder(tmp_path: Path) -> None:
    """A folder that is named like an image asks for no format."""
    folder = tmp_path / "x.webp"
    folder.mkdir()
    assert [None, None] == [format_of_name(str(folder)), format_of_name(f"{folder}/")]


FOREIGN = st.text(max_size=300) | st.sampled_from(["../../x", "~root", "CON", "aux.png", "{n}", "-rf", ".."])
ENCODINGS = st.sampled_from([None, *ImageFormat])
TEMPLATES = st.lists(
    st.sampled_from(["{slug}", "{n}", "{model}", "{date}", "{time}", "{id}", "x", "-", "é"]), min_size=1
)


@given(FOREIGN, FOREIGN, TEMPLATES, ENCODINGS, st.integers(0, 9))
def test_foreign_text_stays_in_its_folder(
    prompt: str, model: str, template: list[str], encoding: ImageFormat | None, image: int
) -> None:
    """Whatever a prompt or a model's name holds, the file is one plain name in the folder I chose."""
    target = OutputTarget.of("./" + "".join(template), NameFields(prompt, model, prompt, NOW), BASE)
    for name in names(target, encoding, image, ".damaged"):
        assert BASE == Path(os.path.normpath(target.folder / name)).parent
        assert not {"/", "\\", "\0", ":"} & set(name)
        assert not [c for c in name if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
        assert len(os.fsencode(name)) <= NAME_MAX


@given(st.text(st.characters(exclude_characters="/{}", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_own_names_fit(output: str) -> None:
    """However long my own name is, every name made of it fits the file system, and the numbers survive."""
    try:
        target = OutputTarget.of(f"./{output * 9}", CAT, BASE)
    except ImgcliError:  # an ending such as `.HEIF`
        reject()
    made = names(target, PNG, 0, ".partial-0")
    assert [3, True] == [len(set(made)), all(len(os.fsencode(name)) <= NAME_MAX for name in made)]


@given(FOREIGN, ENCODINGS.filter(bool))
def test_naming_is_idempotent(prompt: str, encoding: ImageFormat) -> None:
    """A name that imgcli made can be given back to it and stays what it is."""
    name = next(OutputTarget.of(None, NameFields(prompt, "m", "j", NOW), BASE).names(encoding))
    assert name == next(OutputTarget.of(name, CAT, BASE).names(encoding))

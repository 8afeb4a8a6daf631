"""FILE or ID: `last`, `last~1` and ids of the history, wherever a command takes a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from earlier import remember, sha
from images import MASK
from imgcli.core.embedded import EmbeddedParameters, embed
from streams import BLUE, GREEN, RED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli

    Asked = Callable[..., dict[str, Any]]
    Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def past(world: dict[str, str], folder: Path) -> None:
    """Begin with three runs: a cat, then one without an image, then a dog."""
    remember(world, (RED, folder / "a-cat.png"))
    remember(world, outcome="refused")
    remember(world, (BLUE, folder / "a-dog.png"))


NAMES = [("last", 3), ("last~0", 3), ("last~1", 1), ("last~", 1), ("3", 3), ("1", 1)]


@pytest.mark.parametrize(("name", "number"), NAMES)
def test_every_command_finds_the_run(name: str, number: int, imgcli: Cli, asked: Asked, folder: Path) -> None:
    """`last` is the newest run with an image, `last~1` the one before, for every command."""
    file = folder / {1: "a-cat.png", 3: "a-dog.png"}[number]
    viewed, told, drawn = (imgcli(*args) for args in (["view", name], ["info", name], ["tree", name]))
    assert f"{file}, png" in viewed.stdout.decode()
    assert f"run {number}" in told.stdout.decode()
    assert drawn.stdout.decode().startswith(f"{number} ")
    assert f"resp_{number}" == asked("edit", name, "at night")["previous_response_id"]
    assert "a cat" == asked("again", name)["input"]


@pytest.mark.parametrize(("name", "number"), NAMES)
def test_what_is_sent_along(name: str, number: int, asked: Asked) -> None:
    """--image takes a run's image, and says which it is where only `last` named it."""
    file = {1: "a-cat.png", 3: "a-dog.png"}[number]
    request = asked("gen", "a hat", "-i", name, "-i", "a-cat.png")
    sent = [part["image_url"] for part in request["input"][0]["content"] if part["type"] == "input_image"]
    assert [True, True] == [one in label for one, label in zip([file, "a-cat.png"], sent, strict=True)]
    note = f"note: {name} is run {number} ({file})\n"
    assert (note if name.startswith("last") else "") == request["told"]


def test_a_mask(asked: Asked, world: dict[str, str], folder: Path) -> None:
    """--mask takes a run's image, too."""
    remember(world, (MASK, folder / "hole.png"))
    request = asked("gen", "a hat", "-i", "a-cat.png", "--mask", "last")
    assert "input_image_mask" in request["tools"][0]


def test_strip(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """Strip takes the recipe out of every image of a run."""
    held = [embed(data, EmbeddedParameters("a cat", "m")) for data in (RED, GREEN)]
    remember(world, (held[0], folder / "x.png"), (held[1], folder / "y.png"))
    done = imgcli("strip", "last")
    assert (0, RED, GREEN) == (
        done.exit_code,
        (folder / "x.png").read_bytes(),
        (folder / "y.png").read_bytes(),
    )


def test_a_run_with_several_images(imgcli: Cli, asked: Asked, world: dict[str, str], folder: Path) -> None:
    """View shows them all; where one is needed the first is taken, and that is said."""
    remember(world, (GREEN, folder / "x.png"), (RED, folder / "y.png"))
    names = [line.partition(",")[0] for line in imgcli("view", "4").lines]
    assert [str(folder / "x.png"), str(folder / "y.png")] == names
    assert "note: 4 has 2 images; using x.png\n" == asked("gen", "a hat", "-i", "4")["told"]
    (folder / "x.png").unlink()
    done = imgcli("view", "4")
    assert (0, f"note: image 1 of run 4 is gone from {folder}/x.png\n") == (done.exit_code, done.stderr)
    assert [str(folder / "y.png")] == [line.partition(",")[0] for line in done.lines]


def test_a_file_of_that_name(imgcli: Cli, folder: Path) -> None:
    """A file named `last` is ./last, which is said; a file named like an id goes before the id."""
    for name in ("last", "1"):
        (folder / name).write_bytes(GREEN)
    done = imgcli("view", "last", "./last", "1")
    assert [str(folder / "a-dog.png"), "./last", "1"] == [line.partition(",")[0] for line in done.lines]
    assert "note: the file of that name is ./last\n" in done.stderr
    assert f'"sha256": "{sha(GREEN)}"' in imgcli("info", "./last", "--json").stdout.decode()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("last~2", "There is no last~2: the history has no image that far back."),
        ("last~999999999", "There is no last~999999999"),
        ("2", "Run 2 produced no image (refused)."),
        ("9", "9 is neither a file, nor the id of a run,"),
        ("lasting", "lasting cannot be read: No such file or directory."),
        ("last~x", "last~x cannot be read: No such file or directory."),
    ],
)
def test_nothing_is_there(name: str, told: str, imgcli: Cli, refused: Refused) -> None:
    """A run that is not there, or that brought nothing, is one sentence in each command."""
    assert told in refused("gen", "a hat", "-i", name)
    for command in ("view", "strip", "open"):
        done = imgcli(command, name)
        assert (2, True) == (done.exit_code, told in done.stderr), done.stderr


@pytest.mark.parametrize("command", ["view", "strip", "open"])
def test_a_file_that_is_not_the_image_any_more(command: str, imgcli: Cli, folder: Path) -> None:
    """What has taken the place of a run's image is never taken for it."""
    file = folder / "a-dog.png"
    for change, told in (
        (
            lambda: file.write_bytes(GREEN),
            f"The image of run 3 is no longer in {file}, which was changed or replaced.",
        ),
        (file.unlink, f"The image of run 3 is gone from {file}."),
    ):
        change()
        done = imgcli(command, "last")
        assert (2, True) == (done.exit_code, told in done.stderr), done.stderr


def test_a_run_that_saved_nothing(imgcli: Cli, world: dict[str, str]) -> None:
    """An image that was never saved cannot be viewed, and that is said."""
    remember(world, (GREEN, None))
    done = imgcli("view", "last")
    assert (2, True) == (done.exit_code, "The image of run 4 was not saved." in done.stderr)


def test_without_a_history(imgcli: Cli) -> None:
    """With no history `last` is nobody; with one that cannot be read, that is said, and files do."""
    for data_home, told in (
        ("/proc/self/none", "There is no last"),
        ("", "There is no folder for the history"),
    ):
        env = {"XDG_DATA_HOME": data_home, "HOME": ""}
        done = imgcli("view", "last", "a-cat.png", env=env)
        assert (2, True) == (done.exit_code, told in done.stderr), done.stderr
        assert done.lines[0].startswith("a-cat.png, png")

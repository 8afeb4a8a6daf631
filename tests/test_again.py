"""`imgcli again`: the same recipe once more, whoever knows it, or a sentence on why nobody does."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from earlier import REQUEST, remember, runs, sha
from images import encoded
from imgcli.core.embedded import EmbeddedParameters, embed, read
from imgcli.core.history import Parent, Role
from imgcli.core.params import Action, Api
from imgcli.store.input_images import read_reference
from streams import BLUE, GREEN, RED, images_run, whole_run
from terminal import PtyRun
from test_edit import at, sent_images
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli
    from imgcli.core.request import InputImage
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Asked = Callable[..., dict[str, Any]]
    Refused = Callable[..., str]


def edited(*references: InputImage, **fields: Any) -> dict[str, Any]:
    """Describe a run that changed images: its request and its parents."""
    parents = tuple(Parent(one.sha256 or "", Role.REFERENCE) for one in references[1:])
    first = (Parent(references[0].sha256 or ""),) if references else ()
    request = replace(REQUEST, prompt="at night", references=references, action=Action.EDIT)
    return {"request": replace(request, **fields), "parents": first + parents}


def saved(path: Path, data: bytes) -> InputImage:
    """Put an image somewhere, as a run reads it."""
    path.write_bytes(data)
    return read_reference(str(path), None)  # type: ignore[arg-type]  # standard input is not asked


class TestRecipe:
    """What is asked for again."""

    def test_changed_options_and_words(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """Everything is as it was but for what is typed; other words take the place of the recipe's."""
        remember(world, (RED, folder / "a.png"))
        (folder / "a.png").rename(folder / "moved.png")
        same = asked("again", "moved.png", "--quality", "high")
        assert ("a cat", "gpt-6-luna", "1536x1024", "high") == (
            same["input"],
            same["model"],
            same["tools"][0]["size"],
            same["tools"][0]["quality"],
        )
        assert "previous_response_id" not in same
        other = asked("again", "1", "a", "dog", "-m", "gpt-image-2")
        assert ("a dog", "gpt-image-2", "low") == (other["prompt"], other["model"], other["quality"])

    def test_an_empty_prompt_is_no_prompt(
        self, refused: Refused, world: dict[str, str], folder: Path
    ) -> None:
        """Words that are empty, of an unset shell variable perhaps, are a mistake and not the old words."""
        remember(world, (RED, folder / "a.png"))
        assert "The prompt is empty." in refused("again", "1", "")

    def test_a_run_that_failed(self, server: Server, imgcli: Cli, folder: Path) -> None:
        """What was refused for a passing reason is asked for again by its id."""
        wire = server(error_reply(429, "Quota.", "insufficient_quota"), Reply(images_run()))
        failed = imgcli("gen", "a cat", "-m", "gpt-image-2", "--size", "1536x1024", env=at(wire))
        done = imgcli("again", "1", env=at(wire))
        assert (7, 0, [str(folder / "a-cat.png")]) == (failed.exit_code, done.exit_code, done.lines), (
            done.stderr
        )
        first, second = (request.json for request in wire.requests)
        assert first == second

    def test_images_that_the_api_does_not_take(
        self, asked: Asked, world: dict[str, str], folder: Path
    ) -> None:
        """A gif cannot be sent, and has a recipe all the same."""
        remember(world, (encoded("GIF"), folder / "a.gif"))
        assert "a cat" == asked("again", "a.gif")["input"]

    def test_an_embedded_recipe(self, asked: Asked, refused: Refused, folder: Path) -> None:
        """On another machine a trusted file tells itself; one made from others cannot be told whole."""
        recipe = EmbeddedParameters(
            "a cat", "gpt-6-luna", "responses", options={"size": "1024x1536", "quality": "low"}
        )
        (folder / "a.png").write_bytes(embed(RED, recipe))
        request = asked("again", "a.png", "--trust")
        assert ("a cat", "1024x1536", "low") == (
            request["input"],
            request["tools"][0]["size"],
            request["tools"][0]["quality"],
        )
        assert "note: using the parameters in the file (gpt-6-luna, 1024x1536, low)\n" in request["told"]
        (folder / "b.png").write_bytes(embed(RED, replace(recipe, parents=(sha(BLUE),))))
        told = refused("again", "b.png", "--trust")
        assert "The image was made from others, and its parameters hold only their fingerprints." in told
        (folder / "c.png").write_bytes(GREEN)
        assert (
            "It is unknown how c.png was made: it is not in the history, and holds no parameters."
            in refused("again", "c.png")
        )

    def test_a_recipe_of_the_demo(self, imgcli: Cli, folder: Path) -> None:
        """What the demo painted is asked of the demo again, by the history and by the file alone."""
        made = imgcli("gen", "a cat", "--demo", "-m", "gpt-5.4", "--embed", "--partials", "0")
        assert 0 == made.exit_code, made.stderr
        now = (folder / "a-cat.png").read_bytes()
        once = embed(now, replace(read(now) or EmbeddedParameters(""), host="imgcli's demo"))
        elsewhere = {"IMGCLI_MODEL": "gpt-5.2", "XDG_DATA_HOME": str(folder / "elsewhere")}
        asked = ("again", "renamed.png", "--demo", "--dry-run")
        known = {"IMGCLI_MODEL": "gpt-5.2"}
        for data, env, trust in (
            (now, known, []),
            (now, elsewhere, ["--trust"]),
            (once, elsewhere, ["--trust"]),
        ):
            (folder / "renamed.png").write_bytes(data)
            assert "gpt-5.4" == json.loads(imgcli(*asked, *trust, env=env).stdout)["model"]

    def test_a_request_of_another_imgcli(
        self, asked: Asked, refused: Refused, world: dict[str, str], folder: Path
    ) -> None:
        """What a newer one wrote is not guessed at: the file's recipe is used, or a sentence says so."""
        remember(world, (RED, folder / "a.png"))
        remember(
            world, (embed(BLUE, EmbeddedParameters("a dog", "gpt-6-luna", "responses")), folder / "b.png")
        )
        with (
            closing(sqlite3.connect(Path(world["XDG_DATA_HOME"]) / "imgcli" / "history.sqlite3")) as file,
            file,
        ):
            file.execute("""UPDATE runs SET request = '{"prompt": "a cat", "from_the_future": 1}'""")
        told = refused("again", "a.png")
        assert "Run 1 was recorded by another version of imgcli, whose request this one cannot read." in told
        assert "a dog" == asked("again", "b.png")["input"]


class TestUnknownOrigin:
    """A file that the history does not know: anybody may have written the recipe in it."""

    RECIPE = EmbeddedParameters(
        "a \x1b]0;cat\x07 \x1b[31min oil",
        "gpt-6-astra",
        "responses",
        options={"size": "1024x1536", "quality": "high"},
        response_id="resp_theirs",
        host="127.0.0.1:1",
    )

    def test_without_a_terminal(self, server: Server, imgcli: Cli, folder: Path) -> None:
        """Nothing is sent without a yes, also with --quiet, and no configuration says it; --trust does."""
        wire = server(Reply(whole_run()))
        (folder / "a.png").write_bytes(embed(BLUE, self.RECIPE))
        for args in (["again", "a.png"], ["again", "a.png", "-q"], ["again", "a.png", "a dog", "--dry-run"]):
            done = imgcli(*args, env=at(wire))
            assert (2, b"") == (done.exit_code, done.stdout)
            assert "The history does not know a.png; anybody may have written" in done.stderr
            assert "add --trust" in done.stderr
        (folder / "c.toml").write_text("[again]\ntrust = true\n")
        assert 2 == imgcli("again", "a.png", env=at(wire) | {"IMGCLI_CONFIG": "c.toml"}).exit_code
        assert [] == wire.requests
        done = imgcli("again", "a.png", "--trust", env=at(wire))
        assert 0 == done.exit_code, done.stderr
        [sent] = [request.json for request in wire.requests]
        assert ("gpt-6-astra", None) == (sent["model"], sent.get("previous_response_id"))
        assert "resp_theirs" not in json.dumps(sent)

    @pytest.mark.parametrize(("key", "ended"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2), (b"\x04", 2)])
    def test_on_a_terminal(
        self, key: bytes, ended: int, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """It shows what stands in the file, cleaned, and asks: only a yes sends it, to the user's server."""
        wire = server(Reply(whole_run()))
        (folder / "a.png").write_bytes(embed(BLUE, self.RECIPE))
        with PtyRun(["again", "a.png", "-q"], world | at(wire), folder) as run:
            run.wait_for(lambda run: "[y/N]" in run.text)
            for told in ("in oil", "gpt-6-astra", "size 1024x1536, quality high", "resp_theirs"):
                assert told in run.text
            assert [] == wire.requests
            run.type(key)
            assert ended == run.finish(), run.text
        assert b"\x1b]0;" not in run.raw
        assert (1 if ended == 0 else 0) == len(wire.requests)

    def test_what_the_history_knows(self, server: Server, imgcli: Cli, folder: Path) -> None:
        """An image saved with --embed is known by its bytes, under any name: nothing is asked."""
        wire = server(Reply(whole_run()))
        done = imgcli("gen", "a cat", "--embed", "-m", "gpt-5.4", "-o", "a.png", env=at(wire))
        assert 0 == done.exit_code, done.stderr
        (folder / "a.png").rename(folder / "b.png")
        again, edit = (
            json.loads(imgcli(*args, "--dry-run", env=at(wire)).stdout)
            for args in (["again", "b.png"], ["edit", "b.png", "x"])
        )
        assert ("gpt-5.4", "gpt-5.4", "resp_1") == (
            again["model"],
            edit["model"],
            edit["previous_response_id"],
        )


class TestImages:
    """What was sent along is sent along again."""

    def test_files(self, asked: Asked, refused: Refused, world: dict[str, str], folder: Path) -> None:
        """They are read again and must be the same."""
        references = saved(folder / "cat.png", RED), saved(folder / "style.png", BLUE)
        remember(world, (GREEN, folder / "out.png"), **edited(*references))
        request = asked("again", "out.png")
        assert ["cat.png", "style.png"] == [url.split("<")[1].split(",")[0] for url in sent_images(request)]
        assert "edit" == request["tools"][0]["action"]
        (folder / "style.png").write_bytes(GREEN)
        assert "style.png is no longer the same image." in refused("again", "1")

    def test_name_and_parents(self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """An edit that is made again is an edit, by name and by parents."""
        wire = server(Reply(images_run(BLUE).replace(b"image_generation.", b"image_edit.")))
        painted = {"model": "gpt-image-2", "api": Api.IMAGES, "action": None}
        run = edited(saved(folder / "cat.png", RED), saved(folder / "style.png", BLUE), **painted)
        remember(world, (GREEN, folder / "out.png"), **run)
        done = imgcli("again", "out.png", "--compare", env=at(wire))
        assert [str(folder / "cat-edit.png")] == done.lines, done.stderr
        assert run["parents"] == runs(world)[0].parents
        assert "note: 100% of the pixels changed\n" in done.stderr

    def test_standard_input(self, refused: Refused, world: dict[str, str], folder: Path) -> None:
        """What was piped in is gone, and that is told."""
        piped = replace(saved(folder / "cat.png", RED), path=None, name="Standard input")
        remember(world, (GREEN, folder / "out.png"), **edited(piped))
        told = refused("again", "out.png")
        assert "Standard input was not a file and cannot be read again." in told

    def test_a_conversation(
        self, asked: Asked, refused: Refused, world: dict[str, str], folder: Path
    ) -> None:
        """It goes on from where the run had, though nobody knows the image any more; not elsewhere."""
        run = edited(previous_response_id="resp_9") | {"parents": (Parent(sha(RED)),)}
        remember(world, (GREEN, folder / "out.png"), **run)
        request = asked("again", "out.png")
        assert ("at night", "resp_9") == (request["input"], request["previous_response_id"])
        told = refused("again", "out.png", "--base-url", "http://127.0.0.1:8/v1")
        assert "Run 1 continued from an image that the history does not know" in told


class TestCompare:
    """`--compare` on a terminal, and without an image."""

    def test_side_by_side(self, server: Server, world: dict[str, str], folder: Path) -> None:
        """On a terminal both images are painted, and the share of what changed stands under them."""
        wire = server(Reply(whole_run(BLUE)))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        env = world | at(wire) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        with PtyRun(["again", "a.png", "--compare"], env, folder) as run:
            assert 0 == run.finish(), run.text
        assert "note: 100% of the pixels changed" in run.text
        for colour in (b"8;2;200;40;40m", b"8;2;40;40;200m"):
            assert colour in run.raw

    def test_nothing_to_compare_with(self, refused: Refused) -> None:
        """Without an earlier image it is refused."""
        assert "--compare needs an earlier image on this machine" in refused("gen", "a cat", "--compare")


def test_help_tells_whose_default(imgcli: Cli) -> None:
    """Its help says that the earlier image's options hold, not those of gen."""
    page = " ".join(imgcli("again", "--help").stdout.decode().split())
    assert "1024x1024" not in page
    assert "such as 16:9. [default: as before]" in page
    assert "low, medium or high. [default: as before]" in page
    assert "number of frames. [default: as before]" in page

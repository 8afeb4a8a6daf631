"""`imgcli edit` and `gen --continue`: by the conversation or by the file, and what the result remembers."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from beside import PATIENCE, running, wait_for
from earlier import PLACE, remember, runs, sha
from flatpaint import painted_flat
from images import JPEG, MASK, encoded, form_fields
from imgcli.app.inputs import PromptSource, check_original
from imgcli.core.embedded import read
from imgcli.core.errors import ImgcliError
from imgcli.core.history import Parent, Role
from imgcli.core.params import DEMO, Action, Api, Moderation
from imgcli.core.request import ImageRequest
from imgcli.demo.server import DemoServer
from imgcli.store.runlog.writer import RunLogHeader
from streams import BLUE, GREEN, RED, created, image_item, images_run, item_done, partial, stream, whole_run
from test_input_images import data_url
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Asked = Callable[..., dict[str, Any]]
    Refused = Callable[..., str]

FORGOTTEN = error_reply(400, "Previous response with id 'resp_1' not found.", "previous_response_not_found")
EDITED = images_run(GREEN).replace(b"image_generation.", b"image_edit.")


def at(server: ScriptedServer) -> dict[str, str]:
    """Ask this server."""
    return {"OPENAI_BASE_URL": server.base_url}


def sent_images(request: dict[str, Any]) -> list[str]:
    """List the images in a request of the Responses API that is shown to people."""
    if isinstance(request["input"], str):
        return []
    return [part["image_url"] for part in request["input"][0]["content"] if part["type"] == "input_image"]


class TestStory:
    """Days of work with one image."""

    def test_generate_edit_edit_again_cost(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """An image is drafted, changed twice from its file alone, drawn anew; all of it is in the bill."""
        with painted_flat(), DemoServer(pace=0, marked=False) as server:
            env = {"OPENAI_BASE_URL": server.base_url}
            first = imgcli("gen", "a cat", "--quality", "low", "--size", "816x816", env=env)
            second = imgcli("edit", "a-cat.png", "make it night", env=env)
            third = imgcli("edit", "a-cat-edit.png", "add a moon", env=env)
            fourth = imgcli("again", "a-cat-edit.png", "--quality", "high", "--compare", env=env)
        results = (first, second, third, fourth)
        assert [0] * 4 == [one.exit_code for one in results], [one.stderr for one in results]
        names = ["a-cat.png", "a-cat-edit.png", "a-cat-edit-2.png", "a-cat-edit-3.png"]
        assert [[str(folder / name)] for name in names] == [one.lines for one in results]
        saved, remark = (fourth.stderr.index(text) for text in ("saved ", "% of the pixels changed"))
        assert saved < remark
        rows = runs(world)[::-1]
        cat, night = (Parent(row.images[0].sha256) for row in rows[:2])
        assert [(), (cat,), (night,), (cat,)] == [row.parents for row in rows]
        requests = [row.request for row in rows if row.request]
        assert ["low", "low", "low", "high"] == [request.quality for request in requests]
        assert {"816x816"} == {request.size for request in requests}
        said = [None, rows[0].response_id, rows[1].response_id, rows[0].response_id]
        assert said == [request.previous_response_id for request in requests]
        bill = json.loads(imgcli("cost", "--json").stdout)
        assert float(sum(row.cost or 0 for row in rows)) == bill["cost_usd"]


class TestConversation:
    """Where a server knows the image's conversation, that goes on."""

    def test_on_the_wire(self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """However the file is called by now, only words and -i are sent, and the result is named after it."""
        wire = server(Reply(whole_run(GREEN)))
        place = f"127.0.0.1:{wire.port}"
        remember(world, (RED, folder / "before.png"), endpoint=place)
        (folder / "before.png").rename(folder / "a-cat-edit-7.png")
        (folder / "b.png").write_bytes(BLUE)
        args = ("-i", "b.png", "-o", "{slug}-{model}.png", "--quiet")
        done = imgcli("edit", "a-cat-edit-7.png", "at night", *args, env=at(wire))
        assert [str(folder / "a-cat-edit-gpt-6-luna.png")] == done.lines, done.stderr
        (request,) = wire.requests
        assert "resp_1" == request.json["previous_response_id"]
        assert [data_url(BLUE)] == sent_images(request.json)
        assert "edit" == request.json["tools"][0]["action"]
        assert (Parent(sha(RED)), Parent(sha(BLUE), Role.REFERENCE)) == runs(world)[0].parents

    def test_a_server_that_has_forgotten(
        self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path, asked: Asked
    ) -> None:
        """Then the file is sent instead, which is said; the run can be asked for again like any other."""
        wire = server(FORGOTTEN, Reply(whole_run(GREEN)))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        done = imgcli("edit", "a.png", "at night", env=at(wire))
        assert (0, GREEN) == (done.exit_code, (folder / "a-edit.png").read_bytes()), done.stderr
        assert "the server cannot continue the conversation; sending the image itself instead" in done.stderr
        first, second = (request.json for request in wire.requests)
        assert ("resp_1", []) == (first["previous_response_id"], sent_images(first))
        assert (None, [data_url(RED)]) == (second.get("previous_response_id"), sent_images(second))
        assert (Parent(sha(RED)),) == runs(world)[0].parents
        self.check_sent_anew(runs(world)[0].request)
        again = asked("again", "a-edit.png")
        assert ("at night", "edit") == (again["input"][0]["content"][0]["text"], again["tools"][0]["action"])

    @pytest.mark.parametrize("ending", ["recover", "view"])
    def test_a_server_that_has_forgotten_and_a_death(
        self, ending: str, server: Server, imgcli: Cli, world: dict[str, str], folder: Path
    ) -> None:
        """Killed over the second answer, it leaves the record of the request that was answered."""
        wire = server(FORGOTTEN, Reply(stream(created(), item_done(image_item(GREEN))), end=End.STALL))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        command = ("edit", "a.png", "at night", "--record", "run.sse", "-q")
        with running(wire, world, folder, command=command) as process:
            wait_for((folder / "a-edit.png").exists)
            process.kill()
        states = Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
        (record,) = states.glob("*.sse") if ending == "recover" else [folder / "run.sse"]
        header = RunLogHeader.parse(record.read_bytes().partition(b"\n")[0])
        self.check_sent_anew(header.request if header else None)
        assert 0 == imgcli(ending, *(["--fast", str(record)] if ending == "view" else [])).exit_code
        if ending == "recover":
            self.check_sent_anew(runs(world)[0].request)

    @staticmethod
    def check_sent_anew(request: ImageRequest | None) -> None:
        """Expect the request that sends the image itself."""
        assert request is not None
        assert (None, [sha(RED)]) == (
            request.previous_response_id,
            [reference.sha256 for reference in request.references],
        )

    def test_a_server_that_broke(
        self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path
    ) -> None:
        """Where money may have been spent nothing else is sent, whatever name the server gives the fault."""
        wire = server(error_reply(500, "Something broke.", "previous_response_not_found"))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        done = imgcli("edit", "a.png", "at night", "--jsonl", env=at(wire))
        (error,) = map(json.loads, done.lines)
        assert (1, "maybe") == (wire.posts, error["charged"]), done.stderr

    def test_a_server_that_has_forgotten_what_is_gone(
        self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path
    ) -> None:
        """A run whose file is gone is continued by its id; where that is forgotten, nothing else is tried."""
        wire = server(FORGOTTEN)
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        (folder / "a.png").unlink()
        done = imgcli("edit", "1", "at night", "--jsonl", env=at(wire))
        (error,) = map(json.loads, done.lines)
        assert (5, 1, "no") == (done.exit_code, wire.posts, error["charged"])
        assert "resp_1" == wire.requests[0].json["previous_response_id"]

    def test_who_is_asked_without_it(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """Another server, the demo's image and one of several of a response are sent as files."""
        remember(world, (RED, folder / "other.png"), endpoint="api.example")
        remember(world, (GREEN, folder / "demo.png"), endpoint=DEMO)
        remember(world, (BLUE, folder / "one.png"), (encoded("PNG", "L"), folder / "two.png"))
        request: dict[str, Any] = {}
        for named, name in (("other.png", "other.png"), ("demo.png", "demo.png"), ("3", "one.png")):
            request = asked("edit", named, "x")
            assert "previous_response_id" not in request
            assert name in sent_images(request)[0]
            assert ("gpt-6-luna", "1536x1024") == (request["model"], request["tools"][0]["size"])
        assert "note: run 3 produced 2 images; using one.png\n" == request["told"]

    def test_a_mask_and_a_moderation(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """A mask belongs to a file, so that this is sent, before -i; what was filtered little stays so."""
        request = ImageRequest("a cat", "gpt-6-luna", Api.RESPONSES, moderation=Moderation.LOW)
        remember(world, (RED, folder / "a.png"), request=request)
        (folder / "m.png").write_bytes(MASK)
        (folder / "b.jpg").write_bytes(JPEG)
        for start in (("edit", "a.png"), ("gen", "-c")):
            sent = asked(*start, "x", "-i", "b.jpg", "--mask", "m.png")
            assert ["a.png", "b.jpg"] == [url.split("<")[1].split(",")[0] for url in sent_images(sent)]
            assert "m.png" in sent["tools"][0]["input_image_mask"]["image_url"]
            assert "low" == sent["tools"][0]["moderation"]

    def test_what_cannot_be_sent_can_be_talked_about(
        self, asked: Asked, refused: Refused, world: dict[str, str], folder: Path
    ) -> None:
        """A gif, which the API takes from nobody, is edited by its conversation; without it, refused."""
        gif = encoded("GIF")
        remember(world, (gif, folder / "a.gif"))
        assert "resp_1" == asked("edit", "a.gif", "x")["previous_response_id"]
        assert "a.gif is gif; the API accepts png, jpeg and webp." in refused(
            "edit", "a.gif", "x", "-m", "gpt-image-2"
        )


class TestFile:
    """Where there is no conversation, the file is sent."""

    def test_an_image_model(self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """An image model gets the file in a form, with the recipe's options; what is embedded has parents."""
        wire = server(Reply(EDITED))
        request = ImageRequest(
            "a cat", "gpt-image-2", Api.IMAGES, size="1536x1024", moderation=Moderation.LOW
        )
        remember(world, (RED, folder / "a.png"), request=request, endpoint=f"127.0.0.1:{wire.port}")
        done = imgcli("edit", "a.png", "at night", "--embed", env=at(wire))
        assert 0 == done.exit_code, done.stderr
        fields = form_fields(wire.requests[0].headers["content-type"], wire.requests[0].body)
        told = {field.name: field.data for field in fields}
        assert (b"gpt-image-2", b"1536x1024", RED) == (told["model"], told["size"], told["image"])
        assert {"action", "moderation"}.isdisjoint(told)
        recipe = read((folder / "a-edit.png").read_bytes())
        assert recipe is not None
        assert (sha(RED),) == recipe.parents

    def test_standard_input(self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """`edit -` takes what is piped in, names it after the words, and leaves no trace if told so."""
        wire = server(Reply(whole_run(GREEN)))
        done = imgcli("edit", "-", "at night", "--no-history", env=at(wire), input=RED)
        assert (0, [str(folder / "at-night.png")]) == (done.exit_code, done.lines), done.stderr
        assert [data_url(RED)] == sent_images(wire.requests[0].json)
        assert [] == runs(world)

    def test_a_history_that_cannot_be_read(self, asked: Asked, refused: Refused, folder: Path) -> None:
        """It is a note for who names a file, and an error for who names an id."""
        (folder / "a.png").write_bytes(RED)
        request = asked("edit", "a.png", "x", XDG_DATA_HOME="/dev/null")
        assert 1 == len(sent_images(request))
        why = "The history in /dev/null/imgcli cannot be used: Not a directory"
        assert f"note: {why}; only the file itself is used\n" == request["told"]
        assert f"error: {why}.\n" in refused("edit", "1", "x", XDG_DATA_HOME="/dev/null")

    def test_a_damaged_history(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """It is set aside, which is told, and the file is sent."""
        remember(world, (RED, folder / "a.png"))
        (folder.parent / "home/data/imgcli/history.sqlite3").write_bytes(b"no database at all" * 99)
        request = asked("edit", "a.png", "x")
        assert 1 == len(sent_images(request))
        assert "a new one is started" in request["told"]

    def test_a_file_that_is_not_there_any_more(
        self, asked: Asked, refused: Refused, world: dict[str, str], folder: Path
    ) -> None:
        """An id does with the conversation when its file is gone or changed; else it says what is wrong."""
        remember(world, (RED, folder / "a.png"))
        (folder / "a.png").write_bytes(BLUE)
        assert "resp_1" == asked("edit", "1", "x")["previous_response_id"]
        told = refused("edit", "1", "x", "-m", "gpt-image-2")
        assert "a.png is no longer the image of run 1." in told
        assert "Name the file where it is now." in told

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (
                ("nope.png",),
                "nope.png is neither a file, nor the id of a run, nor the name of an image in the history.",
            ),
            (("a.png", "--mask", "m.png"), "The mask is 8x8 pixels, but a.png is 48x32."),
        ],
        ids=str,
    )
    def test_what_is_refused(self, args: tuple[str, ...], told: str, refused: Refused, folder: Path) -> None:
        """Whatever is no image that could be changed is told in a sentence, before anything is sent."""
        (folder / "a.png").write_bytes(RED)
        (folder / "m.png").write_bytes(encoded("PNG", "RGBA", (8, 8)))
        assert refused("edit", args[0], "x", *args[1:]).startswith(f"error: {told}\nNothing was sent")


class TestMeaning:
    """What is meant by FILE or ID is for edit and again what it is for info."""

    @pytest.mark.parametrize("command", ["edit", "again"])
    @pytest.mark.parametrize("prompt", ["make it night", "make it night " * 30], ids=["short", "long"])
    def test_arguments_the_wrong_way_round(
        self, command: str, prompt: str, refused: Refused, folder: Path
    ) -> None:
        """Who writes the words before the file is told so; nothing was sent."""
        (folder / "cat.png").write_bytes(RED)
        told = refused(command, prompt, "cat.png")
        assert " is neither a file, nor the id of a run, nor the name of an image" in told
        assert "The file goes first, then the prompt: cat.png PROMPT" in told

    @pytest.mark.parametrize("command", ["edit", "again"])
    def test_a_image_that_was_deleted(
        self, command: str, asked: Asked, world: dict[str, str], folder: Path
    ) -> None:
        """The name of a deleted image leads to its run, which is told."""
        remember(world, (RED, folder / "a.png"))
        (folder / "a.png").unlink()
        request = asked(command, "a.png", "x")
        assert ("x", "gpt-6-luna") == (request["input"], request["model"])
        assert "note: a.png is gone; run 1 saved an image under this name\n" == request["told"]

    def test_one_of_several_that_was_deleted(
        self, imgcli: Cli, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """The name of a run's second image means that one, and not the first."""
        wire = server(Reply(whole_run(GREEN)))
        images = (RED, folder / "a.png"), (BLUE, folder / "a-2.png")
        remember(world, *images, endpoint=f"127.0.0.1:{wire.port}")
        (folder / "a-2.png").unlink()
        done = imgcli("edit", "a-2.png", "x", env=at(wire))
        assert (2, 0) == (done.exit_code, wire.posts)
        assert "a-2.png cannot be read: No such file" in done.stderr

    @pytest.mark.parametrize("command", ["edit", "again"])
    def test_a_file_with_the_name_of_an_id(
        self, command: str, asked: Asked, world: dict[str, str], folder: Path
    ) -> None:
        """The file is meant, and a note tells the way to the run."""
        remember(world, (GREEN, folder / "a.png"))
        remember(world, (RED, folder / "1"))
        request = asked(command, "1", "x")
        assert "note: 1 is the file ./1 here; for the run with that id, use job-0\n" == request["told"]

    def test_a_run_that_brought_no_image(self, asked: Asked, refused: Refused, world: dict[str, str]) -> None:
        """It can be asked for again, and there is nothing to edit."""
        remember(world, outcome="busy", response_id=None)
        assert "a cat" == asked("again", "1")["input"]
        assert "Run 1 produced no image (busy)." in refused("edit", "1", "x")

    def test_a_link_whose_target_has_an_impossible_name(self, refused: Refused, folder: Path) -> None:
        """Whatever stands under the name, it is a sentence and no crash."""
        (folder / "a.png").symlink_to("x" * 300)
        assert "a.png cannot be read: File name too long" in refused("edit", "a.png", "x")


@pytest.mark.parametrize(
    ("original", "images", "prompt", "told"),
    [
        ("", [], PromptSource.HERE, "FILE is empty."),
        ("-", ["-"], PromptSource.HERE, "Standard input can hold only one image, but - is given twice."),
        ("-", [], PromptSource.STDIN, "Standard input cannot be both the image and the prompt."),
    ],
)
def test_what_cannot_work(original: str, images: list[str], prompt: PromptSource, told: str) -> None:
    """That is found out before anything is read."""
    with pytest.raises(ImgcliError) as caught:
        check_original(original, images, prompt)
    assert told == caught.value.problem.what


class TestOptions:
    """Whose word counts."""

    def test_line_recipe_configuration(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """The line goes before the recipe, that before environment and file, which hold for others."""
        config = folder.parent / "config.toml"
        config.write_text('size = "1024x1536"\nquality = "medium"\nbackground = "opaque"\n', encoding="utf-8")
        env = {"IMGCLI_CONFIG": str(config), "IMGCLI_MODEL": "gpt-6-astra"}
        remember(world, (RED, folder / "a.png"))
        known = asked("edit", "a.png", "x", "--quality", "high", **env)
        tool = known["tools"][0]
        assert ("gpt-6-luna", "1536x1024", "high", None) == (
            known["model"],
            tool["size"],
            tool["quality"],
            tool.get("background"),
        )
        (folder / "b.png").write_bytes(BLUE)
        other = asked("edit", "b.png", "x", **env)
        assert ("gpt-6-astra", "1024x1536") == (other["model"], other["tools"][0]["size"])

    def test_a_model_that_is_gone(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """An image of a model that OpenAI has shut down is changed by the default one, and that is told."""
        request = ImageRequest("a cat", "gpt-image-1", Api.IMAGES, size="1536x1024")
        remember(world, (RED, folder / "a.png"), request=request, response_id=None)
        sent = asked("edit", "a.png", "x")
        assert ("1536x1024", 1) == (sent["tools"][0]["size"], len(sent_images(sent)))
        assert sent["told"].startswith("note: gpt-image-1, which made the earlier image, was shut down on ")

    def test_a_refused_option_is_traced_to_the_recipe(
        self, refused: Refused, world: dict[str, str], folder: Path
    ) -> None:
        """Who is told of an option that they did not give is told where it comes from."""
        request = ImageRequest("a cat", "gpt-image-2.6-flare", Api.IMAGES, quality="max")  # type: ignore[arg-type]
        remember(world, (RED, folder / "a.png"), request=request)
        told = refused("edit", "a.png", "x", "-m", "gpt-image-1-mini")
        assert "gpt-image-1-mini does not support --quality max." in told
        assert "quality comes from the earlier image's parameters." in told


class TestContinue:
    """`gen -c` goes on from the last image."""

    def test_the_last_one_of_this_server(self, asked: Asked, world: dict[str, str], folder: Path) -> None:
        """The newest image of this server counts, also one that was not saved; which one it is, is told."""
        remember(world, (RED, folder / "a.png"))
        remember(world, (GREEN, folder / "b.png"), endpoint="api.example")
        request = asked("gen", "-c", "at night")
        assert "resp_1" == request["previous_response_id"]
        assert "note: continuing from a.png (run 1)\n" == request["told"]
        assert "action" not in request["tools"][0]
        remember(world, (BLUE, None))
        request = asked("gen", "-c", "at night")
        assert "resp_3" == request["previous_response_id"]
        assert "note: continuing from an image that was not saved (run 3)\n" == request["told"]

    def test_nothing_to_go_on_from(self, refused: Refused, world: dict[str, str]) -> None:
        """Without an earlier image, or with one that is nowhere, that is told and nothing is sent."""
        assert f"The history has no earlier image of {PLACE} to continue." in refused("gen", "-c", "x")
        remember(world, (RED, None), response_id=None)
        assert "The image of run 1 was not saved" in refused("gen", "-c", "x")


class TestBrokenOff:
    """What remains of an edit that something stopped."""

    def test_kill_and_recover(self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """Recovered, it has the name, the parents and the embedded recipe that it would have had."""
        body = stream(created(), partial(0), item_done(image_item(GREEN)))
        wire = server(Reply(body, end=End.STALL))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        asked = ("edit", "a.png", "at night", "--embed")
        with running(wire, world, folder, command=asked):
            wait_for((folder / "a-edit.png").exists)
        live = (folder / "a-edit.png").read_bytes()
        (folder / "a-edit.png").unlink()
        done = imgcli("recover")
        assert [str(folder / "a-edit.png")] == done.lines, done.stderr
        assert live == (folder / "a-edit.png").read_bytes()
        recipe, run = read(live), runs(world)[0]
        assert recipe is not None
        assert ((sha(RED),), (Parent(sha(RED)),)) == (recipe.parents, run.parents)
        assert run.request is not None
        assert ("resp_1", Action.EDIT) == (run.request.previous_response_id, run.request.action)

    def test_an_interrupt(self, server: Server, world: dict[str, str], folder: Path) -> None:
        """Broken off by Ctrl-C it dies by that, and the history knows what it had started from."""
        wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        with running(wire, world, folder, command=("edit", "a.png", "at night")) as process:
            wait_for(wire.sent.is_set)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
        run = runs(world)[0]
        assert (-signal.SIGINT, (Parent(sha(RED)),)) == (process.returncode, run.parents)

    def test_a_replay(self, server: Server, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """A recorded edit can be viewed by others, and tells them nothing of this machine's folders."""
        wire = server(FORGOTTEN, Reply(whole_run(GREEN)))
        remember(world, (RED, folder / "a.png"), endpoint=f"127.0.0.1:{wire.port}")
        (folder / "out").mkdir()
        imgcli("edit", "a.png", "at night", "--record", "run.sse", env=at(wire))
        assert str(folder).encode() not in (folder / "run.sse").read_bytes()
        done = imgcli("view", "--fast", "--save", "out", "run.sse")
        assert (0, GREEN) == (done.exit_code, (folder / "out" / "at-night.png").read_bytes()), done.stderr

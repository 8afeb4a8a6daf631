"""`imgcli gen --embed` and `imgcli strip`: the recipe travels with the image, and leaves it again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from beside import running, wait_for
from imgcli.core.embedded import EmbeddedParameters, embed, read, strip
from imgcli.core.image import EncodedImage
from imgcli.store.runlog.writer import RunLog, RunLogHeader
from streams import BLUE, RED, created, image_item, images_run, item_done, stream, whole_run
from terminal import PtyRun
from test_content_credentials import FILES
from test_embedded import RECIPE, REQUEST
from test_recover import files
from test_view import encoded
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

WEBP = encoded(Image.new("RGB", (48, 32)), "WEBP")
OWN = replace(
    RECIPE, revised_prompt="A red rectangle", response_id="resp_1", sha256=EncodedImage.of(RED).sha256
)
EMBEDDED = embed(RED, EmbeddedParameters("a cat"))


def recipe_of(data: bytes) -> EmbeddedParameters:
    """Read a recipe that must be there."""
    recipe = read(data)
    assert recipe is not None
    return recipe


class TestEmbedding:
    """What `--embed` does to the image, and to what is told of it."""

    def test_the_file_says_how_it_was_made(self, server: Server, gen: Gen, folder: Path) -> None:
        """The saved PNG holds prompt, options, server and response id; less the recipe it is what came."""
        wire = server(Reply(whole_run()))
        done = gen(wire, "a cat", "--embed", "-m", "gpt-4o-mini", "--quality", "low", "--format", "png")
        data = (folder / "a-cat.png").read_bytes()
        recipe = recipe_of(data)
        assert (0, RED) == (done.exit_code, strip(data))
        assert ("a cat", "A red rectangle", "resp_1") == (
            recipe.prompt,
            recipe.revised_prompt,
            recipe.response_id,
        )
        assert ("gpt-4o-mini", "responses", "1024x1024", "low", "png", f"127.0.0.1:{wire.port}") == (
            recipe.model,
            recipe.api,
            recipe.options["size"],
            recipe.options["quality"],
            recipe.options["format"],
            recipe.host,
        )
        assert "not embedded" not in done.stderr

    def test_json_lines_tell_of_the_saved_bytes(self, server: Server, gen: Gen, folder: Path) -> None:
        """Size and SHA-256 in JSON lines are those of the file, recipe and all; partials are as they came."""
        done = gen(server(Reply(whole_run())), "a cat", "--embed", "--jsonl", "--jsonl-images", "none")
        data = (folder / "a-cat.png").read_bytes()
        *partials, last = map(json.loads, done.lines)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (last["bytes"], last["sha256"])
        assert {hashlib.sha256(BLUE).hexdigest()} == {line["sha256"] for line in partials}

    def test_down_a_pipe(self, server: Server, gen: Gen, folder: Path) -> None:
        """With `-o -` the bytes on standard output hold the recipe."""
        done = gen(server(Reply(images_run())), "a cat", "--embed", "-m", "gpt-image-2", "-o", "-")
        assert (RED, []) == (strip(done.stdout), list(folder.iterdir()))
        assert ("images", None) == (recipe_of(done.stdout).api, recipe_of(done.stdout).response_id)

    def test_the_record_of_the_run_stays_as_it_came(self, server: Server, gen: Gen, folder: Path) -> None:
        """What `--record` keeps are the server's bytes; the recipe is in the image alone."""
        gen(server(Reply(whole_run())), "a cat", "--embed", "--record", "run.sse", "-o", "x.png")
        assert b"imgcli recipe" not in (folder / "run.sse").read_bytes()
        assert RED != (folder / "x.png").read_bytes()

    def test_without_it_the_bytes_are_the_servers(self, server: Server, gen: Gen, folder: Path) -> None:
        """Nobody gets a changed file without asking for it."""
        gen(server(Reply(whole_run())), "a cat")
        assert RED == (folder / "a-cat.png").read_bytes()

    @pytest.mark.parametrize(
        ("data", "saved", "told"),
        [
            (WEBP, (0, "a-cat.webp"), "the image is not a PNG"),
            (RED[:-9], (11, "a-cat.damaged.png"), "the PNG is damaged"),
        ],
        ids=["webp", "damaged"],
    )
    def test_what_takes_no_recipe_is_saved_as_it_came(
        self, data: bytes, saved: tuple[int, str], told: str, server: Server, gen: Gen, folder: Path
    ) -> None:
        """An image in another format than asked for, or a damaged one, is kept, and a note says why."""
        done = gen(server(Reply(whole_run(data))), "a cat", "--embed")
        assert (*saved, data) == (done.exit_code, *files(folder).keys(), *files(folder).values())
        assert f"note: parameters not embedded: {told}; the image is saved unchanged\n" in done.stderr

    @pytest.mark.parametrize("args", [["-o", "x.webp"], ["--format", "jpeg"], ["-o", "x.svg", "--dry-run"]])
    def test_other_formats_are_refused_beforehand(
        self, args: list[str], server: Server, gen: Gen, folder: Path
    ) -> None:
        """A name or --format of another kind contradicts --embed: nothing is sent."""
        wire = server(Reply(whole_run()))
        done = gen(wire, "a cat", "--embed", *args)
        assert (2, 0, []) == (done.exit_code, wire.posts, list(folder.iterdir()))
        assert "--embed needs a PNG file, but the format is" in done.stderr

    def test_the_help_says_what_it_costs(self, imgcli: Cli) -> None:
        """The help says plainly that content credentials no longer verify."""
        page = " ".join(imgcli("gen", "--help").stdout.decode().split())
        assert "content credentials no longer verify" in page

    def test_killed_after_publishing(
        self, server: Server, world: dict[str, str], folder: Path, imgcli: Cli
    ) -> None:
        """A run that was killed with its image on disk is recovered as that very file."""
        wire = server(Reply(stream(created(), item_done(image_item())), end=End.STALL))
        with running(wire, world, folder, "--embed") as process:
            wait_for((folder / "a-cat.png").exists)
            process.kill()
            process.wait()
        before = files(folder)
        done = imgcli("recover")
        assert (0, [str(folder / "a-cat.png")]) == (done.exit_code, done.lines)
        image = before["a-cat.png"]  # its temporary name may have been there too
        assert ({"a-cat.png": image}, RED) == (files(folder), strip(image))
        assert f"127.0.0.1:{wire.port}" == recipe_of(before["a-cat.png"]).host

    @pytest.mark.parametrize(
        ("extra", "saved"),
        [({"recipe": RECIPE.to_json()}, embed(RED, OWN)), ({"recipe": [7]}, RED), ({}, RED)],
    )
    def test_killed_before_publishing(
        self, extra: dict[str, Any], saved: bytes, world: dict[str, str], folder: Path, imgcli: Cli
    ) -> None:
        """A recovered image has the recipe that was ordered with it, and none where none was."""
        runs = Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
        header = RunLogHeader("j", "2026-11-22T15:00:00+00:00", REQUEST, str(folder), extra=extra)
        spool = RunLog.begin(runs, header)
        list(spool.tee([whole_run()]))
        spool.close()
        assert 0 == imgcli("recover").exit_code
        assert {"a-cat.png": saved} == files(folder)


class TestStripping:
    """Taking the recipe out again."""

    def test_in_place(self, imgcli: Cli, folder: Path) -> None:
        """The file has the bytes that the server sent, and its permissions; a second time changes nothing."""
        path = folder / "cat.png"
        path.write_bytes(EMBEDDED + b"trailing")
        path.chmod(0o640)
        (folder / "link.png").symlink_to("cat.png")
        first = imgcli("strip", "link.png")
        info = path.stat()
        second = imgcli("strip", "cat.png")
        assert (0, b"", RED + b"trailing") == (first.exit_code, first.stdout, path.read_bytes())
        assert f"note: link.png: parameters removed ({len(EMBEDDED) - len(RED)} bytes)\n" == first.stderr
        assert (0, "note: cat.png has no embedded parameters; it is unchanged\n") == (
            second.exit_code,
            second.stderr,
        )
        assert (0o640, True) == (stat.S_IMODE(info.st_mode), (folder / "link.png").is_symlink())
        assert (info.st_ino, info.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)
        assert {"cat.png", "link.png"} == set(files(folder))

    def test_copies(self, imgcli: Cli, folder: Path) -> None:
        """With -o the original stays, nothing is overwritten, and the copies' paths are on stdout."""
        (folder / "a.png").write_bytes(EMBEDDED)
        (folder / "b.png").write_bytes(BLUE)
        (folder / "out").mkdir()
        (folder / "out" / "a.png").write_bytes(b"mine")
        done = imgcli("strip", "a.png", "b.png", "-o", "out")
        out = folder / "out"
        assert (0, [str(out / "a-2.png"), str(out / "b.png")]) == (done.exit_code, done.lines)
        assert {"a.png": b"mine", "a-2.png": RED, "b.png": BLUE} == files(out)
        assert "note: a.png already exists; the copy is a-2.png\n" == done.stderr
        assert EMBEDDED == (folder / "a.png").read_bytes()

    def test_down_a_pipe(self, imgcli: Cli, folder: Path) -> None:
        """`-o -` pours the clean bytes, and nothing else, into another program."""
        (folder / "a.png").write_bytes(EMBEDDED)
        done = imgcli("strip", "a.png", "-o", "-")
        assert (0, RED, "") == (done.exit_code, done.stdout, done.stderr)

    def test_never_over_a_terminal(self, world: dict[str, str], folder: Path) -> None:
        """Bytes of an image are not written to a terminal."""
        (folder / "a.png").write_bytes(EMBEDDED)
        with PtyRun(["strip", "a.png", "-o", "-"], world, folder) as run:
            assert 2 == run.finish()
        assert b"PNG" not in run.raw

    def test_what_cannot_be_stripped_is_explained(self, imgcli: Cli, folder: Path) -> None:
        """Folders, pipes, devices, other formats: a sentence each; the others are stripped all the same."""
        (folder / "folder").mkdir()
        os.mkfifo(folder / "pipe")
        (folder / "loop").symlink_to("loop")
        (folder / "empty.png").write_bytes(b"")
        (folder / "photo.png").write_bytes(FILES["jpeg without"][0])
        (folder / "text\x1b[2J").write_bytes(b"a cat")
        (folder / "good.png").write_bytes(EMBEDDED)
        told = {
            "folder": "folder is a folder.",
            "pipe": "pipe is a pipe.",
            "/dev/zero": "/dev/zero is a device, not a file.",
            "loop": "loop cannot be read:",
            "missing.png": "missing.png cannot be read: No such file or directory.",
            "empty.png": "empty.png is empty.",
            "photo.png": "photo.png is not a PNG file.",
            "text\x1b[2J": "text\ufffd[2J is not a PNG file.",
            "": "The name of a file is empty.",
        }
        done = imgcli("strip", *told, "good.png")
        assert (2, RED) == (done.exit_code, (folder / "good.png").read_bytes())
        sentences = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(told) == len(sentences)
        for meant, said in zip(told.values(), sentences, strict=True):
            assert said.startswith(f"error: {meant}")

    def test_wrong_orders(self, imgcli: Cli, folder: Path) -> None:
        """No file, two files for one name, an empty name: refused, and nothing is changed."""
        for name in ("a.png", "b.png"):
            (folder / name).write_bytes(EMBEDDED)
        for args in (
            [],
            ["a.png", "b.png", "-o", "c.png"],
            ["a.png", "b.png", "-o", "-"],
            ["a.png", "-o", ""],
        ):
            assert 2 == imgcli("strip", *args).exit_code
        assert {"a.png": EMBEDDED, "b.png": EMBEDDED} == files(folder)

    def test_where_nothing_can_be_written(self, imgcli: Cli, folder: Path) -> None:
        """A place that cannot be written to is exit code 12; the file is as it was."""
        (folder / "a.png").write_bytes(EMBEDDED)
        done = imgcli("strip", "a.png", "-o", "a.png/b.png")
        assert (12, {"a.png": EMBEDDED}) == (done.exit_code, files(folder))
        assert "a.png/b.png cannot be written (Not a directory)." in done.stderr

    @pytest.mark.parametrize("place", ["new/deep/", "new/deep/a.png"])
    def test_a_folder_that_is_not_there_is_made(self, place: str, imgcli: Cli, folder: Path) -> None:
        """A copy's folder is made; a name with a slash at its end is a folder."""
        (folder / "a.png").write_bytes(EMBEDDED)
        done = imgcli("strip", "a.png", "-o", place)
        assert (0, RED) == (done.exit_code, (folder / "new/deep/a.png").read_bytes())

    def test_a_read_only_file(self, mortal: Cli, folder: Path) -> None:
        """A file that its owner protects is not replaced behind their back."""
        path = folder / "a.png"
        path.write_bytes(EMBEDDED)
        path.chmod(0o444)
        done = mortal("strip", "a.png")
        assert (12, EMBEDDED) == (done.exit_code, path.read_bytes())

    def test_a_full_disk(self, imgcli: Cli, folder: Path) -> None:
        """When the disk takes no more, the file is whole and as it was, and nothing is left lying about."""
        (folder / "a.png").write_bytes(embed(RED + bytes(100_000), EmbeddedParameters("a cat")))
        before = files(folder)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

        done = imgcli("strip", "a.png", preexec_fn=limit)
        assert (12, before) == (done.exit_code, files(folder))
        assert "a.png cannot be written (File too large)." in done.stderr


def test_a_recipe_of_unknown_origin(imgcli: Cli, folder: Path) -> None:
    """A stranger's file is sent itself, and nothing is taken from it: no conversation, option or server."""
    recipe = replace(
        OWN, model="gpt-6-astra", options={"size": "1536x1024", "quality": "high"}, host="api.openai.com"
    )
    (folder / "bare.png").write_bytes(RED)
    (folder / "stranger.png").write_bytes(embed(RED, recipe))
    bare, done = (imgcli("edit", name, "x", "--dry-run") for name in ("bare.png", "stranger.png"))
    assert re.sub(rb"<bare.*?>", b"", bare.stdout) == re.sub(rb"<stranger.*?>", b"", done.stdout)
    assert b"<stranger.png, " in done.stdout
    assert "note: this file is not in the history; its embedded parameters are not used\n" in done.stderr
    piped = imgcli("edit", "-", "x", "--dry-run", input=embed(RED, recipe))
    assert "previous_response_id" not in json.loads(piped.stdout)
    assert "gpt-6-astra" not in piped.stdout.decode()

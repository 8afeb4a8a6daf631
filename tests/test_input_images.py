"""Images that go out with a prompt, through the front door: what is refused, what is sent, what is kept."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import socket
from typing import TYPE_CHECKING

import pytest

from flatpaint import painted_flat
from images import JPEG, MASK, WEBP, Field, encoded, form_fields, noise
from imgcli.app.inputs import PromptSource, read_input_images
from imgcli.core.errors import Charged, ExitCode, ImgcliError
from imgcli.core.request import InputImage
from imgcli.demo.server import DemoServer
from imgcli.store.input_images import read_again, read_reference
from memory import peak
from streams import BLUE, GREEN, RED, images_run, whole_run
from wire import Framing, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]


def edited() -> bytes:
    """Answer as /images/edits does."""
    return images_run().replace(b"image_generation.", b"image_edit.")


def data_url(data: bytes, form: str = "png") -> str:
    """Spell an image as JSON carries it."""
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"


def text(name: str, value: str) -> Field:
    """Expect a field that is no file."""
    return Field(name, None, None, value.encode())


@pytest.fixture
def files(folder: Path) -> Path:
    """Put images into the folder in which commands run."""
    for name, data in (("a.png", BLUE), ("b.jpg", JPEG), ("c.webp", WEBP), ("m.png", MASK)):
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.usefixtures("files")
class TestOnTheWire:
    """What the server gets, byte for byte."""

    def test_responses(self, server: Server, gen: Gen) -> None:
        """A text model gets prompt and images as one message, the mask in the tool."""
        wire = server(Reply(whole_run()))
        args = ("-i", "a.png", "--image", "b.jpg", "-i", "c.webp", "--mask", "m.png")
        assert 0 == gen(wire, "a cat", *args).exit_code
        (request,) = wire.requests
        parts = [
            {"type": "input_text", "text": "a cat"},
            {"type": "input_image", "image_url": data_url(BLUE)},
            {"type": "input_image", "image_url": data_url(JPEG, "jpeg")},
            {"type": "input_image", "image_url": data_url(WEBP, "webp")},
        ]
        assert "/v1/responses" == request.path
        assert [{"role": "user", "content": parts}] == request.json["input"]
        assert {"image_url": data_url(MASK)} == request.json["tools"][0]["input_image_mask"]

    def test_images(self, server: Server, gen: Gen, folder: Path) -> None:
        """An image model gets a form with the files as they are, and its `image_edit` events are read."""
        wire = server(Reply(edited()))
        result = gen(
            wire, "a\r\ncat 고양이", "-m", "gpt-image-2", "-i", "a.png", "-i", "b.jpg", "--partials", "1"
        )
        assert (0, RED) == (result.exit_code, (folder / "a-cat-고양이.png").read_bytes()), result.stderr
        (request,) = wire.requests
        assert "/v1/images/edits" == request.path
        expected = [
            text("model", "gpt-image-2"),
            text("prompt", "a\r\ncat 고양이"),
            text("n", "1"),
            Field("image[]", "3.png", "image/png", BLUE),
            Field("image[]", "4.jpeg", "image/jpeg", JPEG),
            text("size", "1024x1024"),
            text("quality", "medium"),
            text("output_format", "png"),
            text("stream", "true"),
            text("partial_images", "1"),
        ]
        got = form_fields(request.headers["content-type"], request.body)
        assert [(f.name, f.mime, f.data) for f in expected] == [(f.name, f.mime, f.data) for f in got]
        assert all(field.filename is None or "a.png" not in field.filename for field in got)

    def test_one_image_and_its_mask(self, server: Server, gen: Gen) -> None:
        """One image is the field `image`, the mask is a file, and fidelity an option."""
        wire = server(Reply(edited()))
        gen(wire, "x", "-m", "gpt-image-1.5", "-i", "a.png", "--mask", "m.png", "--input-fidelity", "high")
        got = form_fields(wire.requests[0].headers["content-type"], wire.requests[0].body)
        told = {field.name: field.data for field in got}
        assert (BLUE, MASK, b"high") == (told["image"], told["mask"], told["input_fidelity"])

    def test_addresses(self, server: Server, gen: Gen) -> None:
        """An https address goes to the server as it stands; on the Images API the JSON form carries it."""
        wire = server(Reply(whole_run()), Reply(edited()))
        url = "https://pictures.example/a.png?x=1"
        gen(wire, "a cat", "-i", url)
        gen(wire, "a cat", "-m", "gpt-image-2", "-i", "a.png", "-i", url, "--mask", "m.png")
        responses, images = (request.json for request in wire.requests)
        assert {"type": "input_image", "image_url": url} == responses["input"][0]["content"][1]
        assert [{"image_url": data_url(BLUE)}, {"image_url": url}] == images["images"]
        assert {"image_url": data_url(MASK)} == images["mask"]
        assert "/v1/images/edits" == wire.requests[1].path

    def test_compatible_servers(self, server: Server, gen: Gen, folder: Path) -> None:
        """A server that answers a form with plain JSON is good enough."""
        body = json.dumps({"data": [{"b64_json": base64.b64encode(RED).decode()}]}).encode()
        wire = server(Reply(body, content_type="application/json", framing=Framing.LENGTH))
        result = gen(wire, "a cat", "--api", "images", "-m", "sd-cpp-local", "-i", "a.png")
        assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr
        told = {
            f.name: f.data
            for f in form_fields(wire.requests[0].headers["content-type"], wire.requests[0].body)
        }
        assert (b"b64_json", BLUE) == (told["response_format"], told["image"])
        assert "stream" not in told

    def test_standard_input(self, server: Server, gen: Gen) -> None:
        """`-i -` sends what is piped in."""
        wire = server(Reply(whole_run()))
        assert 0 == gen(wire, "a cat", "-i", "-", input=GREEN).exit_code
        assert data_url(GREEN) == wire.requests[0].json["input"][0]["content"][1]["image_url"]


class TestKept:
    """What is written down of images: enough to find them, none of their bytes."""

    def test_the_record_of_a_run(self, server: Server, gen: Gen, files: Path) -> None:
        """The record names the file, and holds neither its bytes nor its base64."""
        wire = server(Reply(b"data: {}\n\n"))
        assert 9 == gen(wire, "a cat", "-i", "b.jpg", "--mask", "m.png", "-o", "x.png").exit_code
        (record,) = (files.parent / "home").rglob("*.sse")
        head = record.read_bytes().split(b"\n")[0]
        request = json.loads(head.removeprefix(b": imgcli "))["request"]
        (kept,) = request["references"]
        assert (str(files / "b.jpg"), "jpeg", [48, 32], len(JPEG)) == tuple(
            kept[key] for key in ("path", "format", "size", "length")
        )
        assert "m.png" == request["mask"]["name"]
        assert len(head) < 2000

    @pytest.mark.usefixtures("files")
    def test_a_recording_for_others(self, server: Server, gen: Gen, folder: Path) -> None:
        """--record names no folder of this machine, and no signature of an address."""
        url = "https://pictures.example/a.png?signature=secret"
        gen(server(Reply(whole_run())), "a cat", "-i", "a.png", "-i", url, "--record", "run.sse")
        head = (folder / "run.sse").read_bytes().split(b"\n")[0]
        kept = json.loads(head.removeprefix(b": imgcli "))["request"]["references"]
        assert [("a.png", None), ("a.png", "https://pictures.example/a.png")] == [
            (one["name"], one["url"]) for one in kept
        ]
        assert str(folder).encode() not in head


class TestShown:
    """What people see."""

    @pytest.mark.usefixtures("files")
    def test_dry_run(self, imgcli: Cli) -> None:
        """--dry-run abbreviates images, and stays valid JSON."""
        result = imgcli("gen", "a cat", "-i", "a.png", "--mask", "m.png", "--dry-run")
        body = json.loads(result.stdout)
        shown = f"data:image/png;base64,<a.png, {len(BLUE)} bytes>"
        assert (0, shown) == (result.exit_code, body["input"][0]["content"][1]["image_url"])
        assert body["tools"][0]["input_image_mask"]["image_url"].startswith("data:image/png;base64,<m.png, ")

    @pytest.mark.usefixtures("files")
    def test_dry_run_of_a_form(self, imgcli: Cli) -> None:
        """What will be a form is shown as its fields, and said to be one."""
        result = imgcli("gen", "a cat", "-m", "gpt-image-2", "-i", "a.png", "-i", "b.jpg", "--dry-run")
        expected = [f"<a.png, {len(BLUE)} bytes>", f"<b.jpg, {len(JPEG)} bytes>"]
        assert expected == json.loads(result.stdout)["image[]"]
        assert "multipart/form-data" in result.stderr

    def test_a_name_that_a_terminal_would_obey(self, imgcli: Cli, folder: Path) -> None:
        """Escape codes in a file's name are shown, never obeyed."""
        (folder / "\x1b]0;evil\x07.png").write_bytes(BLUE)
        good = imgcli("gen", "a cat", "-i", "\x1b]0;evil\x07.png", "--dry-run")
        bad = imgcli("gen", "a cat", "-i", "\x1b]0;gone\x07.png")
        assert (0, 2) == (good.exit_code, bad.exit_code)
        assert not {"\x1b", "\x07"} & set(good.stdout.decode() + good.stderr + bad.stderr)

    @pytest.mark.usefixtures("files")
    def test_a_mask_of_another_format(self, imgcli: Cli) -> None:
        """OpenAI wants mask and image in the same format: said, not forbidden."""
        result = imgcli("gen", "a cat", "-i", "b.jpg", "--mask", "m.png", "--dry-run")
        assert (0, True) == (result.exit_code, "same format" in result.stderr)


def bad_files(folder: Path) -> None:
    """Make everything that is no image to send."""
    (folder / "a.png").write_bytes(BLUE)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not an image")
    (folder / "a.gif").write_bytes(encoded("GIF"))
    (folder / "cut.png").write_bytes(BLUE[:-20])
    (folder / "bad.webp").write_bytes(WEBP[:20] + bytes(len(WEBP) - 20))
    (folder / "dangling.png").symlink_to("nowhere.png")
    with (folder / "huge.png").open("wb") as file:
        file.write(BLUE)
        file.truncate(50 * 1024 * 1024 + 1)
    (folder / "small.png").write_bytes(encoded("PNG", "RGBA", (16, 16)))
    (folder / "opaque.png").write_bytes(encoded("PNG", "RGB"))
    (folder / "mask.jpg").write_bytes(JPEG)


REFUSED = [
    (["-i", "missing.png"], "missing.png cannot be read: No such file or directory."),
    (["-i", "dangling.png"], "dangling.png cannot be read: No such file or directory."),
    (["-i", "folder"], "folder is a folder."),
    (["-i", "pipe"], "pipe is a pipe."),
    (["-i", "/dev/zero"], "/dev/zero is a device, not a file."),
    (["-i", "empty.png"], "empty.png is empty."),
    (["-i", "text.png"], "text.png is not a PNG, JPEG or WebP image; the API accepts png, jpeg and webp."),
    (["-i", "a.gif"], "a.gif is gif; the API accepts png, jpeg and webp."),
    (["-i", "cut.png"], "cut.png is damaged: the png data is cut short or altered."),
    (["-i", "bad.webp"], "bad.webp is damaged: "),
    (["-i", "huge.png"], "huge.png is larger than 50 MB."),
    (["-i", ""], "--image names no file."),
    (["-i", "a.png"] * 17, "17 images are more than the 16 that can be sent."),
    (["-i", "-", "-i", "-"], "Standard input can hold only one image, but --image - is given twice."),
    (["-i", "-"], "Standard input is empty."),
    (["-i", "http://example.org/a.png"], "http://example.org/a.png is not an https URL."),
    (["-i", "file:///etc/passwd"], "file:///etc/passwd is not an https URL."),
    (["-i", "https://me:secret@example.org/a.png"], "The image URL at example.org contains a login"),
    (["-i", "https://"], "https:// names no server."),
    (["-i", "https://[::1"], "https://[::1 is not a valid URL."),
    (["-i", "https://a b/"], "https://a b/ is not a valid URL."),
    (["--mask", "small.png"], "--mask needs an image."),
    (["-i", "a.png", "--mask", "opaque.png"], "The mask opaque.png has no alpha channel"),
    (["-i", "a.png", "--mask", "mask.jpg"], "The mask mask.jpg is jpeg; it must be png."),
    (["-i", "a.png", "--mask", "-"], "--mask must be a file."),
    (["-i", "a.png", "--mask", "pipe"], "pipe is a pipe."),
]


@pytest.mark.parametrize(("args", "told"), REFUSED, ids=lambda value: " ".join(value)[:30])
def test_what_is_refused(args: list[str], told: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bad image or mask is told as what it is, without its secrets, as a wrong use."""
    bad_files(folder)
    monkeypatch.chdir(folder)
    names = [value for option, value in zip(args[::2], args[1::2], strict=True) if option == "-i"]
    mask = dict(zip(args[::2], args[1::2], strict=True)).get("--mask")
    with pytest.raises(ImgcliError) as caught:
        read_input_images(names, mask, PromptSource.HERE, io.BytesIO())
    problem = caught.value.problem
    assert (ExitCode.USAGE, Charged.NO) == (problem.exit_code, problem.charged)
    assert problem.what.startswith(told), problem.what
    assert "secret" not in repr(problem)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-image-2"])
def test_refused_before_anything_is_sent(model: str, server: Server, gen: Gen, folder: Path) -> None:
    """A bad image or mask ends as exit code 2, at once, and the server hears nothing."""
    bad_files(folder)
    wire = server(Reply(whole_run()))
    cases = [["-i", "pipe"], ["-i", "cut.png"], ["-i", "a.png", "--mask", "small.png"]]
    for args in cases:
        result = gen(wire, "a cat", "-m", model, *args)
        assert (2, []) == (result.exit_code, wire.requests), (args, result.stderr)
        assert "Nothing was sent; nothing was charged." in result.stderr


def test_the_prompt_cannot_come_from_the_same_pipe(imgcli: Cli) -> None:
    """Standard input is either the image or the prompt."""
    for args in (["-i", "-"], ["-", "-i", "-"]):
        result = imgcli("gen", *args, input=BLUE)
        assert (2, True) == (result.exit_code, "both the image" in result.stderr), result.stderr


def test_a_image_and_a_prompt_file(server: Server, gen: Gen, folder: Path) -> None:
    """An image from the pipe and a prompt from a file go together."""
    (folder / "prompt.txt").write_text("a horse\n")
    wire = server(Reply(whole_run()))
    assert 0 == gen(wire, "--prompt-file", "prompt.txt", "-i", "-", input=BLUE).exit_code
    assert "a horse" == wire.requests[0].json["input"][0]["content"][0]["text"]


def test_a_terminal_is_no_image(imgcli: Cli) -> None:
    """`-i -` on a terminal is told, instead of waiting for ever."""
    ours, theirs = pty.openpty()
    try:
        result = imgcli("gen", "a cat", "-i", "-", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (2, True) == (result.exit_code, "standard input, which is a terminal" in result.stderr)


def test_a_socket_is_no_image(imgcli: Cli, folder: Path) -> None:
    """A socket is told as what cannot be read."""
    with socket.socket(socket.AF_UNIX) as one:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(folder)  # a socket's path must be short
            one.bind("s")
        finally:
            os.chdir(here)
            os.close(here)
        result = imgcli("gen", "a cat", "-i", "s")
    assert (2, True) == (result.exit_code, "s cannot be read" in result.stderr)


@pytest.mark.usefixtures("files")
class TestTheServerRefuses:
    """What a server says against images, with what to do next."""

    @pytest.mark.parametrize(
        ("code", "param", "told"),
        [
            ("invalid_image_file", "image", "--image"),
            ("failed_to_download_image", "input[0].content[1].image_url", "--image"),
            ("invalid_mask_image_format", "mask", "the same size as the first --image"),
            ("invalid_value", "tools[0].input_image_mask.image_url", "Choose another --mask."),
            ("invalid_input_fidelity_model", "input_fidelity", "Choose another --input-fidelity."),
        ],
    )
    def test_and_why(self, code: str, param: str, told: str, server: Server, gen: Gen) -> None:
        """The advice names the option that is to be changed; nothing was charged."""
        error = {
            "error": {"message": "No.", "type": "image_generation_user_error", "param": param, "code": code}
        }
        reply = Reply(
            json.dumps(error).encode(), 400, content_type="application/json", framing=Framing.LENGTH
        )
        result = gen(server(reply), "a cat", "-i", "a.png")
        assert (5, True) == (result.exit_code, told in result.stderr), result.stderr
        assert "Nothing was charged." in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-image-2"])
def test_a_large_image_needs_little_memory(
    model: str, server: Server, world: dict[str, str], folder: Path
) -> None:
    """Sending 20 MB along takes no more than three times as much above a plain run."""
    data = noise(2580)
    (folder / "a.png").write_bytes(data)
    wire = server(Reply(whole_run()))
    env = world | {"OPENAI_BASE_URL": wire.base_url}
    plain = peak(folder, env, "gen", "a cat", "-m", model)
    more = peak(folder, env, "gen", "a cat", "-m", model, "-i", "a.png") - plain
    assert len(wire.requests[1].body) > len(data)
    assert more < 3 * len(data)


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """Run the demo for this module."""
    with painted_flat(), DemoServer(pace=0) as server:
        yield server.base_url


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-image-2", "gpt-image-1.5"])
@pytest.mark.usefixtures("files")
def test_the_stand_in_takes_them(model: str, demo: str, imgcli: Cli, folder: Path) -> None:
    """The offline server, which checks as OpenAI does, takes images and mask, and the bill prices them."""
    args = [
        "-i",
        "a.png",
        "-i",
        "b.jpg",
        "-i",
        "c.webp",
        "--mask",
        "m.png",
        "-o",
        "x.png",
        "--quality",
        "low",
    ]
    result = imgcli("gen", "a cat", "-m", model, *args, env={"OPENAI_BASE_URL": demo})
    assert 0 == result.exit_code, result.stderr
    assert (folder / "x.png").exists()
    assert "unknown" not in result.stderr.split("total")[1].splitlines()[0].split()[-1]


def test_the_demo_takes_them(imgcli: Cli, files: Path) -> None:
    """`--demo` works with an image too, from standard input even."""
    result = imgcli("gen", "a cat", "-i", "-", "--demo", "--quality", "low", "-q", input=JPEG)
    assert (0, [str(files / "a-cat.png")]) == (result.exit_code, result.lines)


class TestReadAgain:
    """A recorded image is sent again only as what it was."""

    def test_the_same(self, files: Path) -> None:
        """The file is read again, with its bytes."""
        first = read_reference(str(files / "a.png"), io.BytesIO())
        again = read_again(InputImage.from_json(first.to_json()))
        assert (first, BLUE) == (again, again.data)

    def test_an_address(self) -> None:
        """An address stays what it is."""
        first = read_reference("https://pictures.example/a.png", io.BytesIO())
        assert first == read_again(InputImage.from_json(first.to_json()))

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda path: path.unlink(), "cannot be read"),
            (lambda path: path.write_bytes(RED), "is no longer the same image"),
            (lambda path: path.write_bytes(b""), "is empty"),
        ],
    )
    def test_another(self, change: Callable[[Path], None], told: str, files: Path) -> None:
        """A file that has gone or changed is told, and not sent."""
        first = read_reference(str(files / "a.png"), io.BytesIO())
        change(files / "a.png")
        with pytest.raises(ImgcliError) as caught:
            read_again(InputImage.from_json(first.to_json()))
        assert (ExitCode.USAGE, True) == (caught.value.problem.exit_code, told in caught.value.problem.what)

    def test_what_was_piped_in(self) -> None:
        """Standard input cannot be read again."""
        first = read_reference("-", io.BytesIO(BLUE))
        with pytest.raises(ImgcliError) as caught:
            read_again(InputImage.from_json(first.to_json()))
        assert "was not a file and cannot be read again" in caught.value.problem.what

"""Several images of one command: `--count`, several models, one limit, one exit code; the real command."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE, running, wait_for
from earlier import runs
from streams import completed, created, image_item, item_done, partial, png, stream
from tables import each
from terminal import PtyRun
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]


def whole(shade: int) -> Reply:
    """Build a complete answer with an image of its own."""
    item = image_item(png(shade))
    return Reply(stream(created(), item_done(item), completed(item)))


FOUR = tuple(map(whole, (10, 60, 110, 160)))
REFUSED = error_reply(400, "Rejected.", code="moderation_blocked", kind="image_generation_user_error")


def lines(result: Result) -> list[dict[str, object]]:
    """Parse standard output as JSON lines."""
    return [json.loads(line) for line in result.lines]


def test_each_image_has_its_own_file(gen: Gen, server: Server, folder: Path, world: dict[str, str]) -> None:
    """Four images are four requests, four files with numbers, and four runs in the history."""
    wire = server(*FOUR)
    done = gen(wire, "a cat", "-n", "4")
    names = {"a-cat.png", "a-cat-2.png", "a-cat-3.png", "a-cat-4.png"}
    assert (0, 4) == (done.exit_code, wire.posts)
    assert names == {path.name for path in folder.iterdir()}
    assert {str(folder / name) for name in names} == set(done.lines)
    assert names == {run.images[0].path.name for run in runs(world) if run.images[0].path}
    assert "already exists" not in done.stderr


def test_a_notice_is_said_once(gen: Gen, server: Server) -> None:
    """What is to be known of all requests alike is said once."""
    done = gen(server(*FOUR), "a cat", "-n", "4", "-m", "gpt-unheard-of")
    assert 1 == done.stderr.count("imgcli does not know the model gpt-unheard-of")


def test_numbers_follow_the_order(gen: Gen, server: Server) -> None:
    """Files have the numbers of their requests, whichever is ready first, and go on after earlier files."""
    waits = zip(FOUR, (0.4, 0.2, 0.0, 0.0), strict=True)
    slow = [Reply(one.body, pauses=((len(one.body) // 2, seconds),)) for one, seconds in waits]
    for names in (("a-cat.png", "a-cat-2.png", "a-cat-3.png"), ("a-cat-4.png", "a-cat-5.png", "a-cat-6.png")):
        done = gen(server(*slow), "a cat", "-n", "3")
        saved = sorted(line.split(",")[0] for line in done.stderr.splitlines() if "] saved" in line)
        assert [f"[{number}/3]" for number in (1, 2, 3)] == [line.split()[0] for line in saved]
        assert names == tuple(line.rpartition("/")[2] for line in saved)


def test_a_number_in_the_name(gen: Gen, server: Server, folder: Path) -> None:
    """{n} in -o is the number of the image in the command, so that --force may be given."""
    names = {f"cat-{number}.png" for number in (1, 2, 3)}
    for _ in range(2):
        assert 0 == gen(server(*FOUR), "a cat", "-n3", "-o", "cat-{n}.png", "--force").exit_code
    assert names == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(("replies", "code", "saved"), [([*FOUR[:1], REFUSED], 3, 1), ([REFUSED], 5, 0)])
def test_some_fail(
    gen: Gen, server: Server, folder: Path, replies: list[Reply], code: int, saved: int
) -> None:
    """Where some images fail, the others are saved and the exit code is 3; where all fail, it says why."""
    wire = server(*replies)
    done = gen(wire, "a cat", "-n", "3")
    assert (code, 3, saved) == (done.exit_code, wire.posts, len([*folder.iterdir()]))
    assert saved == len(done.lines)


def test_several_models(gen: Gen, server: Server, folder: Path) -> None:
    """Each model that is named gets the same prompt, at its own endpoint; one named twice is asked once."""
    image = json.dumps({"data": [{"b64_json": image_item(png(9))["result"]}]}).encode()
    wire = server(Reply(image, content_type="application/json"))
    options = ("-m", "gpt-image-2", "-m", "gpt-image-2.5-flare", "-m", "gpt-image-2", "--partials=0")
    done = gen(wire, "a cat", *options, "-o", "{model}.png")
    assert 0 == done.exit_code, done.stderr
    sent = {(request.json["model"], request.json["prompt"]) for request in wire.requests}
    assert {("gpt-image-2", "a cat"), ("gpt-image-2.5-flare", "a cat")} == sent
    assert {"gpt-image-2.png", "gpt-image-2-5-flare.png"} == {path.name for path in folder.iterdir()}


def test_models_in_the_configuration(asked: Callable[..., dict[str, object]], world: dict[str, str]) -> None:
    """One model may be set as text, as ever; options on the command line replace it."""
    from pathlib import Path

    config = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('model = "gpt-image-2"\n')
    assert "gpt-image-2" == asked("gen", "a cat")["model"]
    assert "gpt-6-luna" == asked("gen", "a cat", "-m", "gpt-6-luna")["model"]


def test_json_lines_of_several_jobs(gen: Gen, server: Server) -> None:
    """Every job ends with exactly one completed or error line, told apart by its job key."""
    done = gen(server(*FOUR[:2], REFUSED), "a cat", "-n", "3", "--jsonl", "--partials", "0")
    ends = [(line["job"], line["status"]) for line in lines(done)]
    assert (3, 3) == (done.exit_code, len({job for job, _ in ends}))
    assert ["completed", "completed", "error"] == sorted(str(status) for _, status in ends)


def test_one_at_a_time(server: Server, world: dict[str, str], folder: Path) -> None:
    """With --concurrency 1 a request waits for the end of the last answer, not only for its image."""
    item = image_item(png(10))
    body = stream(created()) + stream(item_done(item))
    wire = server(*[Reply(body + stream(completed(item)), holds=(len(body),)) for _ in range(2)])
    args = ("-n", "2", "--concurrency", "1")
    with running(wire, world, folder, *args) as process:
        wait_for((folder / "a-cat.png").exists)
        assert 1 == wire.posts
        wire.go_on()
        wait_for((folder / "a-cat-2.png").exists)
        assert 2 == wire.posts
        wire.go_on()
        assert 0 == process.wait(PATIENCE)


def test_one_limit_for_all(gen: Gen, server: Server) -> None:
    """--max-cost holds for the whole command: room for one image is not room for three."""
    wire = server(*FOUR)
    args = ("a cat", "-m", "gpt-image-2", "--max-cost", "0.10")
    assert 0 == gen(wire, *args, "--dry-run").exit_code
    done = gen(wire, *args, "-n", "3")
    assert (2, 0) == (done.exit_code, wire.posts)
    assert "These 3 images may cost up to $0.1617; --max-cost allows $0.1000." in done.stderr
    assert "Ask for fewer images." in done.stderr


@each(
    ("options", "words"),
    [
        (("-n", "0"), "must be between 1 and 100"),
        (("-n", "101"), "must be between 1 and 100"),
        (("-n", "60", "-m", "gpt-image-2", "-m", "gpt-6-luna"), "at most 100"),
        (("-n", "2", "--concurrency", "0"), "must be between 1 and 64"),
        (("-n", "2", "-o", "-"), "can write only one image"),
        (("-n", "2", "--record", "r.sse"), "can record only one run"),
        (("-n", "2", "--force"), "would replace one another"),
        (("-n", "2", "--force", "-o", "{model}.png"), "would replace one another"),
    ],
)
def test_what_several_images_cannot_share(
    refused: Callable[..., str], options: tuple[str, ...], words: str
) -> None:
    """What only one image can have is refused before anything is sent."""
    assert words in refused("gen", "a cat", *options)


def test_a_dry_run_of_several(imgcli: Cli) -> None:
    """Equal requests are printed once, with how often they would be sent."""
    done = imgcli("gen", "a cat", "-n", "4", "-m", "gpt-image-2", "--dry-run", "--estimate")
    assert (0, "a cat") == (done.exit_code, json.loads(done.stdout)["prompt"])
    assert "this request would be sent 4 times" in done.stderr
    assert "estimate for 4 images: unknown, at most $0.2156" in done.stderr


def test_ctrl_c_ends_all(server: Server, folder: Path, world: dict[str, str]) -> None:
    """Ctrl-C ends every request at once; what had come of each is kept, and each says what that may cost."""
    stalled = [Reply(stream(created(), partial(0, png(shade))), end=End.STALL) for shade in (10, 60, 110)]
    args = ("-n", "3", "--jsonl", "--keep-partials")
    with running(server(*stalled), world, folder, *args) as process:
        wait_for(lambda: len([*folder.glob("*.png")]) == 3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    ends = [json.loads(line) for line in out.splitlines() if b'"status": "error"' in line]
    assert -signal.SIGINT == process.returncode, err
    assert 3 == len({end["job"] for end in ends}) == len(ends)
    assert {("interrupted", 130, "maybe")} == {
        (end["kind"], end["exit_code"], end["charged"]) for end in ends
    }
    assert 3 == len([*folder.glob("*.png")])


def test_a_single_request(gen: Gen, server: Server, folder: Path, world: dict[str, str]) -> None:
    """With --single-request one request brings all images, each saved in a file of its own."""
    images = [{"b64_json": image_item(png(shade))["result"]} for shade in (10, 60, 110)]
    wire = server(Reply(json.dumps({"data": images}).encode(), content_type="application/json"))
    done = gen(wire, "a cat", "-m", "gpt-image-2", "-n", "3", "--single-request")
    assert (0, 1, 3) == (done.exit_code, wire.posts, wire.requests[0].json["n"])
    assert {"a-cat.png", "a-cat-2.png", "a-cat-3.png"} == {path.name for path in folder.iterdir()}
    assert [3] == [len(run.images) for run in runs(world)]


@each(
    ("options", "words"),
    [
        ((), "a text model makes one image per request"),
        (("-m", "gpt-image-2", "--partials", "2"), "cannot be combined with --partials"),
        (("-m", "gpt-image-2", "--stream"), "cannot be combined with --stream"),
        (("-m", "gpt-image-2", "-n", "11"), "--count must be between 1 and 10"),
        (("-m", "gpt-image-2", "-o", "-"), "-o - can write only one image"),
    ],
)
def test_what_a_single_request_cannot_do(
    refused: Callable[..., str], options: tuple[str, ...], words: str
) -> None:
    """What one request cannot bring several images of is refused before anything is sent."""
    assert words in refused("gen", "a cat", "-n", "3", "--single-request", *options)


def test_variables(gen: Gen, server: Server, folder: Path) -> None:
    """Each combination of the variables' values is an image, in the prompt and in the file's name."""
    wire = server(*FOUR)
    options = (
        "--var",
        "animal=cat,dog",
        "--var",
        "light=noon,night",
        "-o",
        "{animal}-{light}.png",
        "--force",
    )
    done = gen(wire, "a {animal} at {light}", *options)
    names = {"cat-noon.png", "cat-night.png", "dog-noon.png", "dog-night.png"}
    assert (0, names) == (done.exit_code, {path.name for path in folder.iterdir()})
    prompts = {request.json["input"] for request in wire.requests}
    assert {"a cat at noon", "a cat at night", "a dog at noon", "a dog at night"} == prompts


def test_a_choice_for_each_image(gen: Gen, server: Server) -> None:
    """{NAME|choice} picks a value for each image, and the same ones with the same --seed."""
    args = ("a {animal|choice}", "--var", "animal=a,b,c,d,e,f,g,h", "-n", "6", "--seed", "7")
    picked = []
    for _ in range(2):
        wire = server(*FOUR)
        assert 0 == gen(wire, *args).exit_code
        picked.append(sorted(request.json["input"] for request in wire.requests))
    assert picked[0] == picked[1]
    assert 1 < len(set(picked[0]))


@pytest.mark.parametrize(
    ("prompt", "var", "words"),
    [
        ("a cat", "animal=cat", "is used by no prompt"),
        ("a {anmal}", "animal=cat", "Did you mean {animal}?"),
        ("a {animal}", "animal=", "has no values"),
        ("a {slug}", "slug=cat", "the name of a field of -o"),
    ],
)
def test_wrong_variables(refused: Callable[..., str], prompt: str, var: str, words: str) -> None:
    """A variable that fills nothing, and a placeholder that nothing fills, are refused."""
    assert words in refused("gen", prompt, "--var", var)


@pytest.mark.parametrize("option", ["--preview=auto", "--plain"])
@pytest.mark.parametrize("failure", [REFUSED, error_reply(500, "Oh.")])
def test_what_the_bill_lacks(
    server: Server, world: dict[str, str], folder: Path, failure: Reply, option: str
) -> None:
    """Below one bill for all is how many requests may cost something that it does not know of."""
    told = {"OPENAI_BASE_URL": server(FOUR[0], failure).base_url, "OPENAI_API_KEY": "sk-test"}
    with PtyRun(
        ["gen", "a cat", "-n", "3", option], world | told | {"TERM": "xterm-256color"}, folder
    ) as run:
        assert 3 == run.finish()
    is_told = "The bill lacks 2 requests that may have been charged." in run.lines
    assert is_told == (failure is not REFUSED)


@pytest.mark.parametrize("preview", ["auto", "off"])
def test_on_a_terminal(server: Server, world: dict[str, str], folder: Path, preview: str) -> None:
    """On a terminal four images stand side by side; under them one bill, and the paths in their order."""
    names = ["a-cat.png", "a-cat-2.png", "a-cat-3.png", "a-cat-4.png"]
    waits = zip(FOUR, (0.6, 0.4, 0.2, 0.0), strict=True)
    slow = [Reply(one.body, pauses=((len(one.body) // 2, seconds),)) for one, seconds in waits]
    told = {"OPENAI_BASE_URL": server(*slow).base_url, "OPENAI_API_KEY": "sk-test"}
    env = world | told | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with PtyRun(["gen", "a cat", "-n", "4", "--preview", preview], env, folder, columns=160) as run:
        assert 0 == run.finish()
    assert set(names) == {word for line in run.lines for word in line.split() if word in names}
    assert 1 == sum(line.startswith("total") for line in run.lines)
    paths = [str(folder / name) for name in names]
    assert paths == [line for line in run.lines if line in paths]
    assert run.cursor_visible

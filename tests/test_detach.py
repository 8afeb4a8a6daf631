"""`--detach` and `--completion-window`: the server goes on without us, and its image is fetched, once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from beside import running, wait_for
from conftest import CANARY_KEY
from imgcli.api.stream.reader import StreamPosition, read_events
from imgcli.api.stream.sse import RESUMPTION
from imgcli.core.events import Completed, FinalImage, PartialImage
from imgcli.demo.server import DemoServer
from streams import BLUE, GREEN, RED, completed, created, image_item, item_done, partial, response, stream
from tables import each
from wire import End, Framing, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

ADDRESS = "/v1/responses/resp_1"
EVENTS = [
    {**event, "sequence_number": number}
    for number, event in enumerate(
        [
            created(),
            partial(0, GREEN),
            partial(1, BLUE),
            item_done(image_item()),
            completed(image_item()),
        ]
    )
]


def cut(events: list[dict[str, Any]], start: int, whole: int, end: End = End.FIN) -> Reply:
    """Answer with some events from a number on, and half of the next."""
    torn = stream(events[start + whole])
    return Reply(stream(*events[start : start + whole]) + torn[: len(torn) // 2], end=end)


def plain(status: str, *items: dict[str, Any]) -> Reply:
    """Answer with the response as it stands now, in several lines."""
    body = json.dumps(response(status=status, background=True, output=list(items)), indent=1).encode()
    return Reply(body, content_type="application/json", framing=Framing.LENGTH)


@pytest.fixture
def runs(world: dict[str, str]) -> Callable[[], list[Path]]:
    """List the run logs."""
    return lambda: list((Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs").glob("*.sse"))


@pytest.fixture
def recover(imgcli: Cli) -> Callable[..., Result]:
    """Run `imgcli recover ARGS...` with a server in use."""

    def run(server: ScriptedServer | DemoServer, *args: str) -> Result:
        return imgcli("recover", *args, env={"OPENAI_BASE_URL": server.base_url})

    return run


def paths(server: ScriptedServer) -> list[str]:
    """List what was asked of a server."""
    return [f"{request.method} {request.path}" for request in server.requests]


def images(folder: Path) -> dict[str, bytes]:
    """List what is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_three_cuts(
    server: Server, gen: Gen, folder: Path, imgcli: Cli, runs: Callable[[], list[Path]]
) -> None:
    """A connection that is cut three times: one POST, one image, one bill, and each partial once."""
    wire = server(
        cut(EVENTS, 0, 1), cut(EVENTS, 1, 1, End.RST), Reply(stream(EVENTS[2])), Reply(stream(*EVENTS[3:]))
    )
    done = gen(wire, "a cat", "--detach", "--partials", "2")
    asked = [f"GET {ADDRESS}?stream=true&starting_after={number}" for number in range(3)]
    assert ["POST /v1/responses", *asked] == paths(wire), done.stderr
    assert (0, {"a-cat.png": RED}) == (done.exit_code, images(folder)), done.stderr
    assert (1, 1, 1) == tuple(map(done.stderr.count, ("partial 1 of", "partial 2 of", "total, prices")))
    assert 1 == done.stderr.count("the connection broke")
    sent = wire.requests[0].json
    assert (True, True, True) == (sent["background"], sent["stream"], sent["store"])
    assert 1 == imgcli("history").stdout.decode().count("a-cat.png")
    assert [] == runs()


@pytest.mark.parametrize("whole", [False, True], ids=["rest", "all again"])
def test_every_cut_reads_as_one_run(whole: bool) -> None:  # noqa: FBT001
    """Wherever a stream is cut, and whether the rest comes or all of it again: there is one image."""
    body = stream(*EVENTS)
    ends = [0]
    for event in EVENTS:
        ends.append(ends[-1] + len(stream(event)))
    for start, end in pairwise(ends[1:]):
        places = {start, start + 1, start + 20, (start + end) // 2, end - 2, end - 1}
        for place in places:
            again = body if whole else body[start:]
            position = StreamPosition()
            chunks = [body[:place], RESUMPTION, again]
            events = list(read_events(chunks, "job", position=position))
            finals = [event.image.data for event in events if isinstance(event, FinalImage)]
            assert [RED] == finals
            assert 2 == sum(isinstance(event, PartialImage) for event in events)
            assert (1, True) == (sum(isinstance(event, Completed) for event in events), position.is_over)


def test_the_stream_does_not_come_back(server: Server, gen: Gen, folder: Path) -> None:
    """A server that does not stream again is asked until the response is complete."""
    missing = error_reply(404, "Streaming is not available for this response.")
    wire = server(cut(EVENTS, 0, 2), missing, plain("in_progress"), plain("completed", image_item()))
    done = gen(wire, "a cat", "--detach")
    assert (0, {"a-cat.png": RED}, 1) == (done.exit_code, images(folder), wire.posts), done.stderr
    assert [f"GET {ADDRESS}"] * 2 == paths(wire)[2:]
    assert "total, prices" in done.stderr


def test_silence_is_a_cut(server: Server, gen: Gen, folder: Path) -> None:
    """A connection that is silent for too long is given up for another one, not the image."""
    wire = server(Reply(stream(*EVENTS[:2]), end=End.STALL), Reply(stream(*EVENTS[2:])))
    done = gen(wire, "a cat", "--detach", "--timeout", "1")
    assert (0, {"a-cat.png": RED}, 1) == (done.exit_code, images(folder), wire.posts), done.stderr


def test_nothing_came_before_the_cut(server: Server, gen: Gen) -> None:
    """Without the name of a response nothing can be taken up, and nothing is sent twice."""
    wire = server(cut(EVENTS, 0, 0))
    done = gen(wire, "a cat", "--detach")
    assert (9, ["POST /v1/responses"]) == (done.exit_code, paths(wire)), done.stderr


def test_a_server_that_refuses_to_tell(
    server: Server, gen: Gen, recover: Gen, folder: Path, runs: Callable[[], list[Path]]
) -> None:
    """Where the response cannot be fetched now, the run log stays, and recover fetches it another day."""
    refused = error_reply(404, "Response with id 'resp_1' not found.")
    wire = server(cut(EVENTS, 0, 2), *[refused] * 3, plain("completed", image_item()))
    done = gen(wire, "a cat", "--detach")
    assert (9, 1) == (done.exit_code, len(runs())), done.stderr
    assert "may still be making the image" in done.stderr
    assert "`imgcli recover` fetches the image" in done.stderr
    found = recover(wire)
    assert (0, RED, [], 1) == (found.exit_code, images(folder)["a-cat.png"], runs(), wire.posts)


def test_killed(
    server: Server,
    world: dict[str, str],
    folder: Path,
    recover: Gen,
    imgcli: Cli,
    runs: Callable[[], list[Path]],
) -> None:
    """Kill -9 a detached run: recover asks the server, and there is one image, one POST, one bill."""
    wire = server(
        Reply(stream(*EVENTS[:2]) + b"event: torn", end=End.STALL),
        plain("in_progress"),
        plain("completed", image_item()),
    )
    with running(wire, world, folder, "--detach") as process:
        wait_for(lambda: any(b"torn" in path.read_bytes() for path in runs()))
        process.kill()
    listed = recover(wire, "--list")
    assert (0, 1) == (listed.exit_code, len(wire.requests))
    assert f"in the background at 127.0.0.1:{wire.port}" in listed.stdout.decode()
    early = recover(wire)
    assert (6, {}, 1) == (early.exit_code, images(folder), len(runs())), early.stderr
    assert f"asking 127.0.0.1:{wire.port} whether the image “a cat”" in early.stderr
    assert "still making" in early.stderr
    found, nothing = recover(wire), recover(wire)
    assert (0, {"a-cat.png": RED}, []) == (found.exit_code, images(folder), runs()), found.stderr
    assert [f"GET {ADDRESS}"] * 2 == paths(wire)[1:], nothing.stderr
    assert 1 == found.stderr.count("total, prices")
    assert 1 == len(re.findall("a-cat.png", imgcli("history").stdout.decode()))


def test_no_other_server_is_asked(
    server: Server,
    world: dict[str, str],
    folder: Path,
    imgcli: Cli,
    runs: Callable[[], list[Path]],
) -> None:
    """The key goes to the server that was asked for the image, to no other; the run log stays."""
    wire, other = server(Reply(stream(*EVENTS[:2]), end=End.STALL)), server(plain("completed", image_item()))
    with running(wire, world, folder, "--detach") as process:
        wait_for(lambda: any(b"partial_image_index" in path.read_bytes() for path in runs()))
        process.kill()
    for url in (
        other.base_url,
        other.base_url.replace("127.0.0.1", "localhost"),
        "https://api.openai.com/v1",
    ):
        done = imgcli("recover", "--base-url", url, env={"OPENAI_API_KEY": CANARY_KEY})
        assert (9, [], 1) == (done.exit_code, other.requests, len(runs())), done.stderr
        assert f"is made by 127.0.0.1:{wire.port}, which is not the server in use" in done.stderr
        assert "Name the server with --profile or --base-url." in done.stderr


def test_the_profile_in_use(
    server: Server, gen: Gen, world: dict[str, str], imgcli: Cli, folder: Path
) -> None:
    """The server and the key of a profile are what recover asks with."""
    wire = server(plain("queued"), plain("completed", image_item()))
    gen(wire, "a cat", "--completion-window", "2h")
    file = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[profile.mine]\nbase-url = "{wire.base_url}"\nkey-env = "MY_KEY"\n')
    done = imgcli("recover", "--profile", "mine", env={"MY_KEY": CANARY_KEY})
    assert (0, {"a-cat.png": RED}) == (done.exit_code, images(folder)), done.stderr
    assert f"Bearer {CANARY_KEY}" == wire.requests[1].headers["authorization"]
    assert CANARY_KEY not in done.stderr


def test_an_unreachable_server_costs_no_image(
    server: Server, world: dict[str, str], folder: Path, recover: Gen, runs: Callable[[], list[Path]]
) -> None:
    """An image that had arrived before the kill is saved, whatever the server says now."""
    body = stream(*EVENTS[:4])
    wire = server(Reply(body, end=End.STALL), error_reply(500, "Down."))
    with running(wire, world, folder, "--detach", "--no-history") as process:
        wait_for(lambda: any(path.read_bytes().endswith(body) for path in runs()))
        process.kill()
    found = recover(wire)
    assert (0, [RED]) == (found.exit_code, list(images(folder).values())), found.stderr


def test_interrupted(server: Server, world: dict[str, str], folder: Path, recover: Gen) -> None:
    """Ctrl-C ends imgcli alone: it says that the server goes on, and how its image is fetched."""
    wire = server(Reply(stream(*EVENTS[:2]), end=End.STALL), plain("completed", image_item()))
    with running(wire, world, folder, "--detach") as process:
        assert process.stderr
        next(line for line in process.stderr if b"partial" in line)  # it was read, and the id before it
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1].decode()
    assert (-signal.SIGINT, {}) == (process.returncode, images(folder)), told
    assert "The server goes on in the background." in told
    assert "`imgcli recover` fetches the image" in told
    assert 0 == recover(wire, "--wait").exit_code
    assert {"a-cat.png": RED} == images(folder)


@pytest.mark.parametrize(
    ("message", "param", "is_about_it"),
    [
        ("Background mode is not supported for this model.", None, True),
        ("Unsupported parameter: 'background'.", "background", True),
        ("The image_generation tool cannot be used in background responses.", "tools", True),
        ("Background mode requires 'store' to be true.", "store", True),
        ("Transparent background is not supported for this model.", "tools[0].background", False),
    ],
)
def test_background_is_refused(
    server: Server,
    gen: Gen,
    message: str,
    param: str | None,
    is_about_it: bool,  # noqa: FBT001
) -> None:
    """A server that does not work in the background is told apart, and we say what to leave out."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}
    wire = server(
        Reply(json.dumps(body).encode(), 400, content_type="application/json", framing=Framing.LENGTH)
    )
    done = gen(wire, "a cat", "--detach")
    assert (5, 1, is_about_it) == (done.exit_code, wire.posts, "Leave out --detach." in done.stderr)
    assert "Nothing was charged" in done.stderr
    assert message in done.stderr


@each(
    ("args", "why"),
    [
        (("--detach", "-m", "gpt-image-2"), "--detach needs the Responses API"),
        (("--detach", "--no-stream"), "--detach needs streaming"),
        (("--completion-window", "2h", "--api", "images"), "--completion-window needs the Responses API"),
        (("--completion-window", "2h", "--stream"), "--completion-window cannot be combined with --stream"),
        (("--completion-window", "8h", "--partials", "1"), "cannot be combined with --partials"),
        (("--completion-window", "8h", "--demo"), "cannot be combined with --demo"),
        (("--completion-window", "8h", "--no-save"), "cannot be combined with --no-save"),
        (("--completion-window", "8h", "--open"), "cannot be combined with --open"),
        (("--completion-window", "2h", "--service-tier", "flex"), "needs the default --service-tier"),
        (("--completion-window", "3h"), "3h"),
    ],
)
def test_what_cannot_be_combined(imgcli: Cli, args: tuple[str, ...], why: str) -> None:
    """What cannot run in the background is refused before anything is sent."""
    done = imgcli("gen", "a cat", *args)
    assert (2, b"") == (done.exit_code, done.stdout)
    assert why in done.stderr


def test_a_configured_detach_gives_way(imgcli: Cli, world: dict[str, str]) -> None:
    """`detach = true` in the configuration is no error for an image model on the command line."""
    file = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("detach = true\n")
    plain_model, image_model = (
        json.loads(imgcli("gen", "a cat", "--dry-run", *args).stdout) for args in ((), ("-m", "gpt-image-2"))
    )
    assert (True, None) == (plain_model.get("background"), image_model.get("background"))


def test_completion_window(server: Server, gen: Gen, recover: Gen, folder: Path, imgcli: Cli) -> None:
    """A request for a completion window is submitted and left; recover fetches its image and its bill."""
    wire = server(plain("queued"), plain("queued"), plain("completed", image_item()))
    done = gen(wire, "a cat", "--completion-window", "2h")
    assert (0, b"") == (done.exit_code, done.stdout), done.stderr
    assert "submitted as resp_1; the image will be ready within 2h" in done.stderr
    sent = wire.requests[0].json
    assert ({"completion_window": "2h"}, True, None) == (
        sent["background_options"],
        sent["background"],
        sent.get("stream"),
    )
    assert 6 == recover(wire).exit_code
    found = recover(wire)
    assert (0, {"a-cat.png": RED}, 1) == (found.exit_code, images(folder), wire.posts), found.stderr
    assert re.search("total.*unknown\n", found.stderr), found.stderr
    assert "does not know the discount" in found.stderr
    assert "the connection broke" not in found.stderr
    assert "a-cat.png" in imgcli("history").stdout.decode()


def test_completion_window_for_programs(server: Server, gen: Gen, runs: Callable[[], list[Path]]) -> None:
    """Programs get a line with the response's name; a refusal is one as ever, and leaves no run log."""
    wire = server(plain("queued"), error_reply(400, "Unknown parameter.", "unknown_parameter"))
    done = gen(wire, "a cat", "--completion-window", "8h", "--jsonl")
    (line,) = map(json.loads, done.lines)
    assert ("queued", "resp_1", "8h", 0) == (
        line["status"],
        line["response_id"],
        line["completion_window"],
        done.exit_code,
    )
    assert 1 == len(runs())
    done = gen(wire, "a cat", "--completion-window", "8h", "--jsonl")
    (line,) = map(json.loads, done.lines)
    assert ("error", "no", 5, 1) == (line["status"], line["charged"], done.exit_code, len(runs()))


def test_rows_of_a_batch(imgcli: Cli, folder: Path) -> None:
    """Each row of a detached batch takes up its own response, on a server that cuts every stream."""
    (folder / "rows.txt").write_text("a cat\na dog\na cow\n")
    log: list[str] = []
    with DemoServer(pace=0, cut_after=5, log=log.append) as demo:
        told = {"OPENAI_BASE_URL": demo.base_url}
        done = imgcli("batch", "rows.txt", "--detach", "-q", env=told)
    assert (0, 3) == (done.exit_code, len(done.lines)), done.stderr
    assert 3 == len(list(folder.glob("*.png")))
    assert len([line for line in log if "stream=true" in line]) >= 3, log


def test_a_killed_batch_does_not_pay_twice(
    server: Server, world: dict[str, str], folder: Path, imgcli: Cli, runs: Callable[[], list[Path]]
) -> None:
    """A row whose response was still being made when the batch was killed is fetched, not sent again."""
    (folder / "rows.txt").write_text("a cat\n")
    wire = server(
        Reply(stream(*EVENTS[:2]), end=End.STALL), plain("in_progress"), plain("completed", image_item())
    )
    command = ("batch", "rows.txt", "--detach")
    with running(wire, world, folder, command=command) as process:
        wait_for(lambda: any(b"partial_image_index" in path.read_bytes() for path in runs()))
        process.kill()
    told = {"OPENAI_BASE_URL": wire.base_url}
    first, second = (imgcli(*command, env=told) for _ in range(2))
    assert (1, 0) == (wire.posts, second.exit_code), first.stderr + second.stderr
    assert [RED] == [path.read_bytes() for path in folder.glob("*.png")]


def test_edits(asked: Callable[..., dict[str, Any]], folder: Path) -> None:
    """An edit takes both options as well; a batch, which has --later, takes the first."""
    (folder / "cat.png").write_bytes(RED)
    assert True is asked("edit", "cat.png", "in oil", "--detach")["background"]
    window = asked("edit", "cat.png", "in oil", "--completion-window", "8h")["background_options"]
    assert {"completion_window": "8h"} == window


def test_a_batch_has_no_window(refused: Callable[..., str], folder: Path) -> None:
    """A batch refuses a completion window, and names what it has instead."""
    (folder / "rows.txt").write_text("a cat\n")
    assert "use --later" in refused("batch", "rows.txt", "--completion-window", "2h")


def test_a_name_that_leads_elsewhere(server: Server, gen: Gen) -> None:
    """What the server calls a response is asked for as a name, never as another address."""
    first = {**EVENTS[0], "response": response(id="../models?x=1", status="in_progress", usage=None)}
    wire = server(Reply(stream(first), end=End.FIN), Reply(stream(*EVENTS[1:])))
    done = gen(wire, "a cat", "--detach")
    asked = "GET /v1/responses/..%2Fmodels%3Fx%3D1?stream=true&starting_after=0"
    assert (0, asked) == (done.exit_code, paths(wire)[1]), done.stderr


def test_a_recording_replays(server: Server, gen: Gen, imgcli: Cli, folder: Path) -> None:
    """A recorded run whose connection broke shows its images once in view, as the run did."""
    wire = server(cut(EVENTS, 0, 2), Reply(stream(*EVENTS)))
    gen(wire, "a cat", "--detach", "--record", "run.sse")
    seen = imgcli("view", "run.sse", "--plain", "--save", "out")
    kinds = re.findall("partial [0-9]|out/[a-z.-]+", seen.stderr)
    assert (0, [RED]) == (seen.exit_code, list(images(folder / "out").values())), seen.stderr
    assert ["partial 1", "partial 2"] == kinds[:2], seen.stderr
    assert 2 == seen.stderr.count("partial "), seen.stderr


def test_a_stopped_batch_does_not_pay_twice(
    server: Server, world: dict[str, str], folder: Path, imgcli: Cli
) -> None:
    """Two Ctrl-C end a batch that is taking a row's response up again; the row is fetched, not sent again."""
    (folder / "rows.txt").write_text("a cat\n")
    wire = server(cut(EVENTS, 0, 2), error_reply(500, "Down."))
    command = ("batch", "rows.txt", "--detach")
    with running(wire, world, folder, command=command) as process:
        wait_for(lambda: len(wire.requests) > 3)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate()
    wire.replies = [plain("completed", image_item())]
    again = imgcli(*command, env={"OPENAI_BASE_URL": wire.base_url})
    assert (0, 1, RED) == (again.exit_code, wire.posts, images(folder).get("a-cat.png")), again.stderr


def test_an_answer_that_is_not_streamed(server: Server, gen: Gen, folder: Path) -> None:
    """A server that streams nothing at first, and answers with a queued response, is asked for the rest."""
    wire = server(plain("queued"), Reply(stream(*EVENTS)))
    done = gen(wire, "a cat", "--detach")
    assert (0, {"a-cat.png": RED}, 1) == (done.exit_code, images(folder), wire.posts), done.stderr


def test_an_end_that_is_none(server: Server, gen: Gen) -> None:
    """A server that calls a response complete and shows nothing of it is not asked for ever."""
    odd = Reply(b'{"status": "completed"}', content_type="application/json", framing=Framing.LENGTH)
    wire = server(cut(EVENTS, 0, 2), odd)
    done = gen(wire, "a cat", "--detach")
    assert (9, True, 1) == (done.exit_code, len(wire.requests) < 8, wire.posts), done.stderr
    assert "may still be making the image" in done.stderr


def test_cancelled(server: Server, gen: Gen, recover: Gen, runs: Callable[[], list[Path]]) -> None:
    """A response is cancelled by its run's id alone; then there is nothing left to fetch."""
    wire = server(plain("queued"), plain("cancelled"))
    gen(wire, "a cat", "--completion-window", "8h")
    assert (2, 1) == (recover(wire, "--cancel").exit_code, len(wire.requests))
    (log,) = runs()
    done = recover(wire, "--cancel", log.stem.rpartition("-")[2])
    assert [f"POST {ADDRESS}/cancel"] == paths(wire)[1:], done.stderr
    assert (9, []) == (done.exit_code, runs()), done.stderr
    assert "The response ended as cancelled." in done.stderr


def test_the_next_run_reminds(server: Server, gen: Gen) -> None:
    """An image that the server is still making is not forgotten: the next run says so."""
    wire = server(plain("queued"), Reply(stream(*EVENTS)))
    gen(wire, "a cat", "--completion-window", "8h")
    assert "1 unfinished run; run `imgcli recover`" in gen(wire, "a dog").stderr


@pytest.mark.slow
def test_the_patience_ends(server: Server, gen: Gen, runs: Callable[[], list[Path]]) -> None:
    """A server that does not come back is given up after ten times --timeout; the run log stays."""
    wire = server(cut(EVENTS, 0, 2), error_reply(500, "Down."))
    began = time.monotonic()
    done = gen(wire, "a cat", "--detach", "--timeout", "1")
    assert (9, 1, 1) == (done.exit_code, wire.posts, len(runs())), done.stderr
    assert "`imgcli recover` fetches the image" in done.stderr
    assert time.monotonic() - began > 8


@pytest.mark.slow
@pytest.mark.parametrize("step", range(25))
def test_killed_at_any_moment(
    step: int, world: dict[str, str], folder: Path, imgcli: Cli, runs: Callable[[], list[Path]]
) -> None:
    """Kill -9 at any moment, on a server that cuts every stream: never a second POST, and at most one image.

    There is one wherever the name of the response had arrived.
    """
    log: list[str] = []
    with DemoServer(pace=0.3, cut_after=3, log=log.append) as demo:
        told: Any = demo  # which has a base URL as well
        with running(told, world, folder, "-q", "--detach", "--partials", "2") as process:
            time.sleep(0.1 * step)
            process.kill()
            process.wait()
        is_known = any(b"resp_" in path.read_bytes() for path in runs()) or list(folder.glob("*.png"))
        env = {"OPENAI_BASE_URL": demo.base_url}
        found, again = (imgcli("recover", "--wait", env=env) for _ in range(2))
    names = [path.name for path in folder.iterdir()]
    assert (["a-cat.png"] if is_known else [], []) == (names, runs()), found.stderr
    assert len([line for line in log if line.startswith("POST")]) <= 1, log
    assert (0, b"") == (again.exit_code, again.stdout)

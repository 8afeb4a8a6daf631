"""Nothing paid for is lost in an answer that is odd, torn, or goes on after its end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from imgcli.core.text import file_size
from imgcli.store.runlog.writer import RunLog, RunLogHeader
from streams import (
    BLUE,
    GREEN,
    RED,
    b64,
    completed,
    created,
    image_item,
    item_done,
    partial,
    record,
    response,
    stream,
    whole_run,
)
from substitutes import waits
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]
    Places = tuple[Path, Path]

FIRST, SECOND = item_done(image_item(item="ig_1")), item_done(image_item(GREEN, item="ig_2"), 1)
NEW_SHAPE = {"type": "response.image.ready", "image": {"id": "ig_2", "content": [{"data": b64(GREEN)}]}}
SORTED = json.dumps({"b64_json": b64(BLUE), "type": "image_generation.partial_image"}).encode()


@pytest.fixture
def runs(world: dict[str, str]) -> Path:
    """The folder of records."""
    return Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"


@pytest.fixture
def places(folder: Path, runs: Path) -> Places:
    """The folder of images, and the one of records."""
    return folder, runs


def files(folder: Path) -> dict[str, bytes]:
    """List what is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def records(runs: Path) -> list[Path]:
    """List the records."""
    return sorted(runs.glob("*")) if runs.exists() else []


def with_extra(text: str, base: dict[str, Any] = FIRST) -> bytes:
    """Write an event with one more field, whose value is written as given."""
    return b"data: " + json.dumps(base).encode()[:-1] + f', "extra": {text}}}\n\n'.encode()


def json_lines(*events: dict[str, Any]) -> bytes:
    """Write an event a line."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def images_completed(data: bytes, **fields: Any) -> dict[str, Any]:
    """End an image of the Images API."""
    return {"type": "image_generation.completed", "b64_json": b64(data), **fields}


def with_raw(character: bytes) -> bytes:
    """Put a raw control character into the revised prompt."""
    return record(item_done(image_item(revised_prompt="a@cat"))).replace(b"@", character)


READ = {
    "NaN": with_extra("NaN"),
    "-Infinity": with_extra("-Infinity"),
    "1e999": with_extra("1e999"),
    "5,000 digits": with_extra("9" * 5000),
    "raw tab": with_raw(b"\t"),
    "raw line break": with_raw(b"\n"),
    "completed first": stream(created(), completed(), FIRST),
    "error first": stream(created(), {"type": "error", "error": {"code": "server_error"}}, FIRST),
    "array of events": json.dumps([created(), partial(0), FIRST, completed(image_item())]).encode(),
    "array of images": json.dumps([{"b64_json": b64(RED)}]).encode(),
    "an array as an event": b"data: " + json.dumps([created(), FIRST]).encode() + b"\n\n",
    "JSON lines": json_lines(created(), partial(0), FIRST, completed(image_item())),
    "lines with an odd one": b"odd\n".join([json_lines(created()), json_lines(FIRST, completed())]),
    "no blank lines": json_lines(created(), FIRST, completed())
    .replace(b"{", b"data: {", 1)
    .replace(b"\n{", b"\ndata: {"),
    "indented": json.dumps(response(output=[image_item()]), indent=1).encode(),
}


@pytest.mark.parametrize("body", READ.values(), ids=READ)
def test_an_odd_answer_is_read(body: bytes, server: Server, gen: Gen, folder: Path, runs: Path) -> None:
    """What servers really send gives its image at once, under its own name."""
    result = gen(server(Reply(body)), "a cat", "-q")
    assert (0, {"a-cat.png": RED}, []) == (result.exit_code, files(folder), records(runs)), result.stderr


def cut_json(data: bytes = RED) -> bytes:
    """Write an image's event that is no JSON."""
    return b"data: " + json.dumps(item_done(image_item(data))).encode()[:-2] + b",,\n\n"


UNREAD = {
    "a new shape": stream(created(), NEW_SHAPE, completed()),
    "no JSON": stream(created()) + cut_json(GREEN) + stream(completed()),
    "a page around it": f'<html><img src="data:image/png;base64,{b64(GREEN)}"></html>'.encode(),
    "escaped slashes": b'data: {"result": "' + b64(GREEN).replace("/", "\\/").encode() + b'" oops\n\n',
    "line breaks": f'{{"result": oops "{b64(GREEN)[:76]}\n{b64(GREEN)[76:]}"'.encode(),
    "the image itself": GREEN,
    "the image itself in a form": b"--b\r\nContent-Type: image/png\r\n\r\n" + GREEN,
    "after an error that refuses": stream(
        {"type": "error", "error": {"code": "moderation_blocked", "message": "No."}}, NEW_SHAPE
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", UNREAD.values(), ids=UNREAD)
def test_an_image_that_cannot_be_read_is_salvaged(
    body: bytes, server: Server, gen: Gen, folder: Path, runs: Path, imgcli: Cli
) -> None:
    """An image in an answer that nobody understands stays in the record, and recover saves it, once."""
    result = gen(server(Reply(body)), "a cat", "-q")
    code = 5 if b"<html>" in body else 9
    assert (code, {}, 1) == (result.exit_code, files(folder), len(records(runs))), result.stderr
    assert "`imgcli recover` saves what arrived" in result.stderr
    first, second = imgcli("recover"), imgcli("recover")
    name = "a-cat.recovered.png"
    assert (0, [str(folder / name)], 0, []) == (first.exit_code, first.lines, second.exit_code, second.lines)
    assert ({name: GREEN}, []) == (files(folder), records(runs))


@pytest.mark.parametrize("end", [End.FIN, End.RST, End.WELL], ids=lambda end: end.value)
@pytest.mark.parametrize("where", ["id", "result", "5 letters", "half", "quote"])
def test_the_connection_breaks_inside_the_second_image(
    where: str, end: End, server: Server, gen: Gen, places: Places, imgcli: Cli
) -> None:
    """3, said with -q too; the record is kept, and recover keeps what came of it, exactly once."""
    before, event = stream(created(), FIRST), record(SECOND)
    start = event.index(b64(GREEN).encode())
    cuts = {"id": event.index(b"ig_2") + 5, "result": start, "5 letters": start + 5}
    cuts |= {"half": start + 60, "quote": start + len(b64(GREEN))}
    cut = event[: cuts[where]]
    folder, runs = places
    result = gen(server(Reply(before + cut, end=end)), "a cat", "-q")
    assert (3, {"a-cat.png": RED}, 1) == (result.exit_code, files(folder), len(records(runs))), result.stderr
    assert "1 of 2 images arrived" in result.stderr
    assert "`imgcli recover` saves what arrived" in result.stderr
    first = imgcli("recover")
    kept = (files(folder), records(runs))
    imgcli("recover")
    assert kept == (files(folder), records(runs)), first.stderr
    held = {"half": ("a-cat-2.torn.png", GREEN[:45], 11), "quote": ("a-cat-2.recovered.png", GREEN, 0)}
    if where in held:
        name, data, code = held[where]
        assert ({"a-cat.png": RED, name: data}, code) == (files(folder), first.exit_code)
        assert bool(records(runs)) is (code == 11)


TWO = {
    "a new shape": stream(created(), FIRST, NEW_SHAPE, completed(image_item())),
    "no JSON": stream(created(), FIRST) + cut_json(GREEN) + stream(completed(image_item())),
    "the third": stream(
        created(), FIRST, item_done(image_item(BLUE, item="ig_3"), 2), NEW_SHAPE, completed()
    ),
    "after an error": stream(FIRST, {"type": "error", "error": {"code": "server_error"}}, NEW_SHAPE),
}


@pytest.mark.parametrize("body", TWO.values(), ids=TWO)
def test_the_second_image_is_odd(
    body: bytes, server: Server, gen: Gen, folder: Path, runs: Path, imgcli: Cli
) -> None:
    """An image beside a saved one that nobody understands: 3, the record stays, and recover saves it."""
    result = gen(server(Reply(body)), "a cat", "-q")
    assert (3, 1) == (result.exit_code, len(records(runs))), result.stderr
    assert GREEN not in files(folder).values()
    first, second = imgcli("recover"), imgcli("recover")
    assert (0, 0, []) == (first.exit_code, second.exit_code, records(runs)), first.stderr
    (name,) = (name for name, data in files(folder).items() if data == GREEN)
    assert name.endswith(".recovered.png")


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        record(partial(0, GREEN, item="ig_2") | {"output_index": 1}),
        stream(item_done(image_item(item="ig_2", result=None, status="in_progress"), 1)),
    ],
    ids=["nothing", "a preview", "added"],
)  # fmt: skip
def test_an_image_that_had_begun_and_never_came(
    tail: bytes, server: Server, gen: Gen, runs: Path, imgcli: Cli
) -> None:
    """A second image of which only the beginning was told is missed; without one nothing is."""
    for body in (stream(created(), FIRST) + tail, stream(created(), FIRST) + tail + stream(completed())):
        result = gen(server(Reply(body)), "a cat", "-q")
        assert (3 if tail else 0, bool(tail)) == (result.exit_code, bool(records(runs))), result.stderr
        imgcli("recover")
        assert [] == records(runs)


def test_an_image_that_was_refused_beside_a_saved_one(
    server: Server, gen: Gen, folder: Path, runs: Path
) -> None:
    """Nothing of it came, so that nothing of it is kept: 3, and no record."""
    bad = image_item(item="ig_2", result=None, status="failed", error={"code": "moderation_blocked"})
    result = gen(server(Reply(stream(FIRST, item_done(bad, 1), completed()))), "a cat")
    assert (3, {"a-cat.png": RED}, []) == (result.exit_code, files(folder), records(runs)), result.stderr


def test_two_images_of_the_images_api(server: Server, gen: Gen, folder: Path, runs: Path) -> None:
    """Each completed event is an image; one that comes twice is one."""
    body = stream(*map(images_completed, (RED, GREEN, GREEN)))
    result = gen(server(Reply(body)), "a cat", "-m", "gpt-image-2")
    assert (0, []) == (result.exit_code, records(runs)), result.stderr
    assert {"a-cat.png": RED, "a-cat-2.png": GREEN} == files(folder)


def test_the_second_image_of_the_images_api_never_comes(
    server: Server, gen: Gen, folder: Path, runs: Path
) -> None:
    """A preview after a completed image is of the next one, which is waited for and missed."""
    second = {"type": "image_generation.partial_image", "b64_json": b64(BLUE), "partial_image_index": 0}
    body = stream(images_completed(RED), second)
    result = gen(server(Reply(body)), "a cat", "-m", "gpt-image-2")
    assert (3, 1) == (result.exit_code, len(records(runs))), result.stderr
    assert {"a-cat.png": RED, "a-cat-2.partial.png": BLUE} == files(folder)


@pytest.mark.parametrize("place", [60, 160])
def test_a_repetition_that_is_cut_loses_nothing(
    place: int, server: Server, gen: Gen, folder: Path, runs: Path
) -> None:
    """The image comes twice as a rule: a connection that breaks in the second copy costs nothing."""
    whole = whole_run()
    cut = whole.rindex(b64(RED).encode()) + place
    result = gen(server(Reply(whole[:cut], end=End.RST)), "a cat")
    assert (0, {"a-cat.png": RED}, []) == (result.exit_code, files(folder), records(runs)), result.stderr


@pytest.mark.parametrize("place", [120, 150, 190])
def test_words_that_are_cut_are_no_image(place: int, server: Server, gen: Gen, runs: Path) -> None:
    """A connection that breaks in the message behind the image costs nothing."""
    words = {"id": "msg_1", "type": "message", "content": [{"type": "output_text", "text": "x" * 60}]}
    body = stream(created(), FIRST) + record(item_done(words, 1))[:place]
    result = gen(server(Reply(body, end=End.RST)), "a cat")
    assert (0, []) == (result.exit_code, records(runs)), result.stderr


def test_the_second_image_breaks_off_in_the_goodbye(server: Server, gen: Gen, runs: Path) -> None:
    """Also where its beginning looks like the first image's: its name tells that it is another."""
    whole = stream(created(), FIRST, completed(image_item(), image_item(GREEN, item="ig_2")))
    for cut in (whole.rindex(b"ig_2") + 5, whole.rindex(b64(GREEN).encode()) + 30):
        result = gen(server(Reply(whole[:cut], end=End.RST)), "a cat", "-q")
        assert (3, True) == (result.exit_code, bool(records(runs))), result.stderr


def test_previews_and_inputs_are_no_images(server: Server, gen: Gen, folder: Path, runs: Path) -> None:
    """A preview of a kind that nobody knows, and an input that the server repeats, are not missed."""
    preview = {"type": "response.image_generation_call.preview", "image": {"data": b64(BLUE)}}
    mask = {"image_url": "data:image/png;base64," + b64(GREEN)}
    told = response(status="in_progress", tools=[{"type": "image_generation", "input_image_mask": mask}])
    body = stream({"type": "response.created", "response": told}, preview, FIRST, completed())
    result = gen(server(Reply(body)), "a cat")
    assert (0, {"a-cat.png": RED}, []) == (result.exit_code, files(folder), records(runs)), result.stderr


def test_a_stream_that_stays_open_does_not_hold_us(server: Server, gen: Gen, folder: Path) -> None:
    """What follows the end is read; a connection that nobody closes is hung up after a moment."""
    wire = server(Reply(stream(created(), completed(), FIRST), end=End.STALL))
    result = gen(wire, "a cat", "--timeout", "60", env=waits(**{"api.transport._QUIET_SECONDS": 0.3}))
    assert (0, {"a-cat.png": RED}) == (result.exit_code, files(folder)), result.stderr
    assert wire.hung_up.wait(10)


@pytest.mark.parametrize("length", [100, 4_100_000])
def test_torn(length: int, runs: Path, folder: Path, imgcli: Cli) -> None:
    """What came of an image is kept as it came: 11, the record stays, and a second time nothing is new."""
    runs.mkdir(parents=True)
    header = b": imgcli " + b"x" * length + b"\n\n"
    (runs / "x.sse").write_bytes(header + stream(created()) + record(FIRST)[:-90])
    first = imgcli("recover")
    kept = files(folder)
    second = imgcli("recover")
    assert (11, 11, [], kept) == (first.exit_code, second.exit_code, second.lines, files(folder)), (
        first.stderr
    )
    assert {"recovered-image.torn.png"} == set(kept)
    (data,) = kept.values()
    assert RED.startswith(data)
    assert len(data) > 60
    assert ["x.sse"] == [path.name for path in records(runs)]
    assert "imgcli recover --discard x" in first.stderr


def test_a_header_of_megabytes(runs: Path, folder: Path, imgcli: Cli) -> None:
    """A record whose first line is enormous gives its image like any other."""
    runs.mkdir(parents=True)
    header = b": imgcli " + json.dumps({"version": 1, "x": "y" * 5_000_000}).encode()
    (runs / "x.sse").write_bytes(header + b"\n\n" + whole_run())
    assert 0 == imgcli("recover").exit_code
    assert ({"recovered-image.png": RED}, []) == (files(folder), records(runs))


def test_a_record_without_header_and_line_breaks(runs: Path, folder: Path, imgcli: Cli) -> None:
    """A plain answer that lost its header is no run that was never sent."""
    runs.mkdir(parents=True)
    (runs / "x.sse").write_bytes(json.dumps({"data": [{"b64_json": b64(RED)}]}).encode())
    assert 0 == imgcli("recover").exit_code
    assert ({"recovered-image.png": RED}, []) == (files(folder), records(runs))


@pytest.fixture
def kept(runs: Path) -> Path:
    """Leave the records of two torn runs, one of them older than 90 days, and of a whole one."""
    began = {"old": datetime.now(UTC) - timedelta(days=97), "new": datetime.now(UTC) - timedelta(hours=5)}
    for name, time in began.items():
        request = ImageRequest(name, "gpt-4o-mini", Api.RESPONSES)
        spool = RunLog.begin(runs, RunLogHeader(f"job-{name}", time.isoformat(), request, str(runs.parent)))
        list(spool.tee([record(FIRST)[:-90]]))
        spool.close()
    return runs


def test_the_list_names_what_is_kept(kept: Path, imgcli: Cli) -> None:
    """--list tells name, age and size of each record, and how to be rid of the old ones."""
    before = records(kept)
    result = imgcli("recover", "--list")
    cells = [line.split("  ") for line in result.lines]
    expected = [(path.stem[-6:], file_size(path.stat().st_size), "an unread image") for path in before]
    assert sorted(expected) == sorted((cell[0], *cell[3:5]) for cell in cells)
    assert {"old": "97 d", "new": "5 h"} == {cell[5]: cell[2] for cell in cells}
    assert "1 run log is older than 90 days: `imgcli recover --discard --older 90d`" in result.stderr
    assert before == records(kept)


def test_discarding_what_is_old(kept: Path, imgcli: Cli) -> None:
    """--discard --older throws away what is old and nothing else, and says what it was."""
    result = imgcli("recover", "--discard", "--older", "90d")
    assert (0, b"") == (result.exit_code, result.stdout)
    assert ["job-new"] == [path.stem.split("-00-00-")[1][:-7] for path in records(kept)]
    assert "discarded" in result.stderr
    assert "97 d" in result.stderr


def test_discarding_by_name(kept: Path, imgcli: Cli) -> None:
    """--discard ID throws one record away; its job's name is a name too."""
    result = imgcli("recover", "--discard", records(kept)[0].stem[-6:])
    assert (0, 1) == (result.exit_code, len(records(kept)))
    assert (0, []) == (imgcli("recover", "--discard", "job-").exit_code, records(kept))
    assert "there is nothing to discard" in imgcli("recover", "--discard").stderr


def test_recovering_by_name(kept: Path, imgcli: Cli) -> None:
    """Recover ID finishes that run alone."""
    assert 11 == imgcli("recover", "job-new").exit_code
    assert {"new.torn.png"} == {path.name for path in kept.parent.glob("*.png")}


@pytest.mark.parametrize(
    "args", [("nobody",), ("--discard", "nobody"), ("--older", "90"), ("--older", "-1d"), ("--list", "x")]
)
def test_a_name_or_an_age_that_is_none(args: tuple[str, ...], kept: Path, imgcli: Cli) -> None:
    """What is misspelt is refused, and nothing is saved or thrown away."""
    result = imgcli("recover", *args)
    assert (2, 2, b"") == (result.exit_code, len(records(kept)), result.stdout)


def test_an_embedded_recipe_is_no_other_image(server: Server, gen: Gen, folder: Path, runs: Path) -> None:
    """With --embed the saved bytes differ from those that came: the record is not kept for that."""
    bad = image_item(item="ig_2", result=None, status="failed", error={"code": "moderation_blocked"})
    result = gen(server(Reply(stream(FIRST, item_done(bad, 1), completed()))), "a cat", "--embed")
    assert (3, ["a-cat.png"], []) == (result.exit_code, list(files(folder)), records(runs))


def test_an_input_that_the_server_repeats(server: Server, gen: Gen, folder: Path, runs: Path) -> None:
    """The image that was sent is not taken for one that came, wherever the server repeats it."""
    (folder / "old.png").write_bytes(GREEN)
    told = {"type": "response.echo", "sent": [{"data": b64(GREEN)}]}
    body = stream(told, {"type": "error", "error": {"code": "moderation_blocked"}})
    result = gen(server(Reply(body)), "a cat", "-i", "old.png")
    assert (5, []) == (result.exit_code, records(runs)), result.stderr

"""Estimates that follow from what this user's own runs cost, and limits, through the real command."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from earlier import REQUEST, remember
from imgcli.core.image import ImageFormat
from imgcli.core.params import Action
from streams import (
    BLUE,
    RED,
    ROUND_TOOL_USAGE,
    ROUND_USAGE,
    completed,
    created,
    image_item,
    item_done,
    partial,
    stream,
)
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

FORGOTTEN = error_reply(400, "Previous response with id 'resp_1' not found.", "previous_response_not_found")
# 1000 x 0.15 + 500 x 0.60 for the text model, 100 x 5 + 1000 x 30 for the image model, per million.
COST = "$0.0310"


def place(server: ScriptedServer) -> str:
    """Name a server as the history does."""
    return f"127.0.0.1:{server.port}"


def run() -> Reply:
    """One ordinary run whose cost is known."""
    return Reply(
        stream(
            created(),
            item_done(image_item()),
            completed(image_item(), usage=ROUND_USAGE, tool_usage=ROUND_TOOL_USAGE),
        )
    )


def test_what_it_cost_before_is_what_it_may_cost(server: Server, gen: Gen) -> None:
    """Where OpenAI publishes nothing, the estimate comes from the user's own runs alike, and says so."""
    wire = server(run())
    before = gen(wire, "a cat", "--estimate", "--dry-run")
    assert "estimate: unknown" in before.stderr
    assert 0 == gen(wire, "a cat", "-q").exit_code
    after = gen(wire, "a dog", "--estimate", "--dry-run")
    assert f"estimate: {COST}, from your 1 earlier run like this" in after.stderr
    other = gen(wire, "a dog", "--quality", "high", "--estimate", "--dry-run")
    assert "estimate: unknown" in other.stderr
    assert 1 == wire.posts


def test_the_same_again_costs_no_more_than_was_told(server: Server, gen: Gen) -> None:
    """Where the server sent partials that nobody wanted, their price is in the next estimate."""
    partials = [partial(index) for index in range(3)]
    end = completed(image_item(), usage=ROUND_USAGE, tool_usage=ROUND_TOOL_USAGE)
    wire = server(Reply(stream(created(), *partials, item_done(image_item()), end)))
    args = ("a cat", "--partials", "0")
    assert 0 == gen(wire, *args, "-q").exit_code
    assert f"estimate: {COST}, from" in gen(wire, *args, "--estimate", "--dry-run").stderr


def test_a_daily_cap_counts_what_was_spent(server: Server, gen: Gen, folder: Path) -> None:
    """With today's spending at the cap nothing more is sent, until the user lifts it."""
    wire = server(run(), run())
    assert 0 == gen(wire, "a cat", "-q").exit_code
    refused = gen(wire, "a cat", "-q", env={"IMGCLI_DAILY_CAP": "0.05"})
    assert (2, 1) == (refused.exit_code, wire.posts)
    assert f"Today's cost is {COST} so far" in refused.stderr
    lifted = gen(wire, "a cat", "-q", "--daily-cap", "off", env={"IMGCLI_DAILY_CAP": "0.05"})
    assert (0, 2) == (lifted.exit_code, wire.posts)
    assert ["a-cat-2.png", "a-cat.png"] == sorted(path.name for path in folder.iterdir())


def test_another_servers_runs_tell_nothing(
    server: Server, gen: Gen, world: dict[str, str], folder: Path
) -> None:
    """What a free server charged for the same request says nothing of what this one will charge."""
    wire, request = server(run()), replace(REQUEST, format=ImageFormat.PNG)
    remember(world, (RED, folder / "before.png"), request=request, cost=Decimal(0), endpoint="free.example")
    dry = ("a cat", "-m", REQUEST.model, "--quality", "low", "--size", "1536x1024", "--estimate", "--dry-run")
    assert "estimate: unknown" in gen(wire, *dry).stderr
    remember(world, (BLUE, folder / "own.png"), request=request, cost=Decimal(1), endpoint=place(wire))
    assert "estimate: $1.00, from your 1 earlier run like this" in gen(wire, *dry).stderr


@pytest.mark.parametrize("paid", ["0.001", "9"])
def test_what_was_paid_before_changes_no_limit(
    paid: str, server: Server, gen: Gen, world: dict[str, str], folder: Path
) -> None:
    """A limit compares with the dated bound, which is the same after a cheap run, a dear one or none."""
    wire, request = server(run(), run()), replace(REQUEST, format=ImageFormat.PNG)
    asked = ("a cat", "-m", REQUEST.model, "--quality", "low", "--size", "1536x1024", "--partials", "0", "-q")
    limited = [(*asked, "--max-cost", cap) for cap in ("0.0546", "0.0547")]
    assert [2, 0] == [gen(wire, *args).exit_code for args in limited]
    own = {"endpoint": place(wire), "cost": Decimal(paid), "request": request}
    remember(world, (BLUE, folder / "own.png"), **own)
    assert [2, 0] == [gen(wire, *args).exit_code for args in limited]


@pytest.mark.parametrize(
    ("args", "exit_code"),
    [(["--estimate"], 0), (["--max-cost", "5"], 0), (["--daily-cap", "5"], 12)],
    ids=["estimate", "max-cost", "daily-cap"],
)
def test_a_history_that_cannot_be_read(args: list[str], exit_code: int, imgcli: Cli, tmp_path: Path) -> None:
    """It is in the way of a day's limit, which nobody could keep to, and of nothing else."""
    data = tmp_path / "no-folder"
    data.write_text("")
    env = {"XDG_DATA_HOME": str(data), "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    result = imgcli("gen", "a cat", "--dry-run", *args, env=env)
    assert exit_code == result.exit_code, result.stderr


CONTINUED = replace(REQUEST, format=ImageFormat.PNG, previous_response_id="resp_0", action=Action.EDIT)
DAYS_AGO = datetime.now(UTC) - timedelta(days=3)
AT_NIGHT = ("edit", "a.png", "at night", "--jsonl", "--partials", "0")


class TestAConversation:
    """An edit by the conversation is one thing, one by the file another: each must be within the limit."""

    @pytest.fixture
    def wire(self, server: Server, world: dict[str, str], folder: Path) -> ScriptedServer:
        """Serve one that forgets, and that was asked to go on with a conversation before."""
        wire = server(FORGOTTEN, run())
        self.remember(world, wire, (RED, folder / "a.png"), request=CONTINUED, response_id="resp_1")
        return wire

    @pytest.mark.parametrize("limit", ["--max-cost=0.9", "--max-cost=off", "--daily-cap=0.9"])
    def test_the_image_is_within_the_limit(self, limit: str, wire: ScriptedServer, imgcli: Cli) -> None:
        """Then it is sent instead."""
        done = imgcli(*AT_NIGHT, limit, env={"OPENAI_BASE_URL": wire.base_url})
        assert (0, 2) == (done.exit_code, wire.posts), done.stderr

    @pytest.mark.parametrize(
        ("limit", "told"),
        [
            (
                "--max-cost=0.1",
                "This may cost up to $0.1289; --max-cost allows $0.1000. The upper bound is based on",
            ),
            ("--daily-cap=0.1", "Today's cost is $0.00 so far, and this may cost up to $0.1289"),
        ],
    )
    def test_the_image_is_beyond_the_limit(
        self, limit: str, told: str, wire: ScriptedServer, imgcli: Cli, world: dict[str, str]
    ) -> None:
        """Then nothing is sent instead, nor charged, and that is said."""
        self.remember(world, wire, request=CONTINUED, response_id="resp_1")  # the newest: it has no image
        done = imgcli(*AT_NIGHT, limit, env={"OPENAI_BASE_URL": wire.base_url})
        (line,) = map(json.loads, done.lines)
        assert (5, "no", 1) == (done.exit_code, line["charged"], wire.posts), done.stderr
        assert "The image itself was not sent instead, because of a limit." in line["message"]
        assert told in line["message"]

    def test_its_length_counts(self, wire: ScriptedServer, imgcli: Cli, world: dict[str, str]) -> None:
        """What was said and shown before is sent again with every turn, and the limit counts it."""
        usage = {"input_tokens": 900_000, "output_tokens": 100_000}
        env = {"OPENAI_BASE_URL": wire.base_url}
        cap = (*AT_NIGHT, "--max-cost=0.2", "--dry-run")
        assert 0 == imgcli(*cap, env=env).exit_code
        self.remember(world, wire, (RED, None), request=CONTINUED, response_id="resp_1", usage=usage)
        long = imgcli(*cap, env=env)
        assert 2 == long.exit_code
        assert "This may cost up to $0.3" in long.stdout.decode()

    @staticmethod
    def remember(
        world: dict[str, str], wire: ScriptedServer, *images: tuple[bytes, Path | None], **fields: Any
    ) -> None:
        """Remember a run of some days ago at this server."""
        remember(world, *images, endpoint=place(wire), started=DAYS_AGO, ended=DAYS_AGO, **fields)

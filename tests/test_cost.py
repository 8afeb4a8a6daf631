"""`imgcli cost`: sums that are what the API counted, to the last digit, and no guess among them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlier import runs as remembered_runs
from imgcli.api.stream.reader import read_events
from imgcli.app.reporting import pricing
from imgcli.core import catalog, pipeline
from imgcli.core.billing.spending import UNKNOWN_MODEL, GroupBy, Period, spending
from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.core.events import Failed, Started
from imgcli.core.history import ModelCost, RunCost
from imgcli.core.params import DEMO, Api
from imgcli.core.request import ImageRequest
from imgcli.store.history.recorder import HistorySink, RunContext
from imgcli.store.history.repository import History
from streams import RED, TOOL_USAGE, USAGE, b64, completed, created, image_item, item_done, stream
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from imgcli.core.events import Event
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

MODELS = catalog.load()
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ITEM = image_item()
IMAGE_USAGE = cast("dict[str, Any]", TOOL_USAGE["image_gen"])


def responses(**fields: Any) -> tuple[ImageRequest, bytes]:
    """Build a run of the Responses API that ends with these usages."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
    return request, stream(created(), item_done(ITEM), completed(ITEM, **fields))


def images(**fields: Any) -> tuple[ImageRequest, bytes]:
    """Build a run of the Images API that ends with this usage."""
    request = ImageRequest("a cat", "gpt-image-2", Api.IMAGES)
    return request, stream({"type": "image_generation.completed", "b64_json": b64(RED), **fields})


def without(usage: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Leave something out of what the API counted."""
    return {key: value for key, value in usage.items() if key not in keys}


def dollars(*shares: tuple[int, str, str]) -> Decimal:
    """Price tokens by the catalog's rates, by hand."""
    total = Decimal(0)
    for tokens, model, rate in shares:
        found = MODELS.find(model)
        assert found is not None
        total += tokens * getattr(found.prices, rate) / Decimal(1_000_000)
    return total


TEXT = dollars((2941, "gpt-4o-mini", "text_in"), (249, "gpt-4o-mini", "text_out"))
SUNBURST = dollars((40, "gpt-image-2.6-sunburst", "text_in"), (2060, "gpt-image-2.6-sunburst", "image_out"))
TWO = dollars((40, "gpt-image-2", "text_in"), (2060, "gpt-image-2", "image_out"))
IMAGE_OUT = dollars((2060, "gpt-image-2.6-sunburst", "image_out"))
IMAGE_IN = dollars((40, "gpt-image-2.6-sunburst", "text_in"))

RUNS = [
    (responses(), TEXT + SUNBURST, True),
    (responses(tool_usage={"image_gen": IMAGE_USAGE | {"cached_tokens": 0}}), TEXT + SUNBURST, True),
    (responses(tool_usage=None), TEXT, False),
    (responses(tool_usage={}), TEXT, False),
    (responses(tool_usage={"image_gen": None}), TEXT, False),
    (responses(tool_usage={"image_gen": without(IMAGE_USAGE, "output_tokens")}), TEXT + IMAGE_IN, False),
    (responses(tool_usage={"image_gen": without(IMAGE_USAGE, "input_tokens")}), TEXT + IMAGE_OUT, False),
    (responses(tool_usage={"image_gen": IMAGE_USAGE | {"output_tokens": "many"}}), TEXT + IMAGE_IN, False),
    (responses(usage=None), SUNBURST, False),
    (responses(usage=None, tool_usage=None), Decimal(0), False),
    (responses(usage=without(USAGE, "output_tokens_details", "input_tokens_details")), TEXT + SUNBURST, True),
    (images(usage=IMAGE_USAGE), TWO, True),
    (images(usage=without(IMAGE_USAGE, "output_tokens_details", "input_tokens_details")), TWO, True),
    (images(usage=None), Decimal(0), False),
    (images(), Decimal(0), False),
]


def remember(
    folder: Path,
    number: int,
    request: ImageRequest,
    body: bytes,
    *,
    endpoint: str = "host",
    began: datetime | None = None,
) -> None:
    """Let one run's events go through the sink that writes the history."""
    job = f"job-{number}"
    sink = HistorySink(lambda: folder, RunContext(job, endpoint, began=began), pricing(MODELS), lambda: NOW)
    events = pipeline.enforce_grammar(job, read_events([body], job))
    pipeline.run([Started(job, request), *events], [sink])
    sink.close()
    assert [] == sink.trouble


def test_the_sum_of_recorded_usages(tmp_path: Path) -> None:
    """The sum is exactly what the API counted, by both APIs, whatever of its counts is missing or null."""
    for number, ((request, body), _, _) in enumerate(RUNS):
        remember(tmp_path, number, request, body)
    with History(tmp_path) as history:
        known = [(one.known, one.cost is not None) for one in history.charges()]
        spent = spending(history.charges(), None, datetime.date)
    assert [(amount, is_known) for _, amount, is_known in RUNS] == known
    assert (sum(amount for _, amount, _ in RUNS), len(RUNS), 10) == (
        spent.total.known,
        spent.total.runs,
        spent.total.unknown,
    )


@pytest.mark.parametrize(
    ("charged", "cost"), [(Charged.NO, Decimal(0)), (Charged.MAYBE, None), (Charged.YES, None)]
)
def test_a_run_that_failed(charged: Charged, cost: Decimal | None, tmp_path: Path) -> None:
    """A failure costs nothing where we know that, and is unknown where we do not."""
    request = ImageRequest("a cat", "gpt-image-2", Api.IMAGES)
    sink = HistorySink(lambda: tmp_path, RunContext("job", None), pricing(MODELS), lambda: NOW)
    events: list[Event] = [
        Started("job", request),
        Failed("job", Problem(ExitCode.UNKNOWN, "It broke.", charged)),
    ]
    pipeline.run(events, [sink])
    with History(tmp_path) as history:
        assert [cost] == [one.cost for one in history.charges()]


@pytest.mark.parametrize(("tokens", "cost"), [(0, Decimal("0.00059055")), (None, None)])
def test_words_instead_of_a_image(tokens: int | None, cost: Decimal | None, tmp_path: Path) -> None:
    """A tool that was not used is counted as zeros: such a run costs what the words cost, and is known."""
    unused = {"input_tokens": tokens, "output_tokens": tokens, "total_tokens": tokens}
    words = {"type": "message", "content": [{"type": "output_text", "text": "I would rather not."}]}
    body = stream(created(), completed(words, tool_usage={"image_gen": unused}))
    remember(tmp_path, 1, ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES), body)
    with History(tmp_path) as history:
        assert [cost] == [one.cost for one in history.charges()]


def test_a_server_called_demo(imgcli: Cli, world: dict[str, str]) -> None:
    """A host of that name is a server like any: what it charges is not taken for the demo's."""
    env = {"OPENAI_API_KEY": "sk-canary", "IMGCLI_INSECURE_HTTP": "1", "HTTP_PROXY": "http://127.0.0.1:9"}
    result = imgcli("gen", "a cat", "--base-url", "http://demo/v1", env=env)
    assert 8 == result.exit_code, result.stderr
    assert ["demo:80"] == [entry.endpoint for entry in remembered_runs(world)]
    assert "demo" not in imgcli("cost").stdout.decode()


def test_a_sink_that_fails_is_silent(tmp_path: Path) -> None:
    """Whatever goes wrong while a run is remembered is a sentence, never an exception."""

    def gone() -> Path:
        raise RuntimeError("no folder today")

    sink = HistorySink(gone, RunContext("job", None), pricing(MODELS), lambda: NOW)
    request, body = responses()
    outcome = pipeline.run([Started("job", request), *read_events([body], "job")], [sink])
    sink.close()
    assert ([], 1) == (outcome.broken, len(sink.trouble))
    assert "no folder today" in sink.trouble[0]
    assert [] == list(tmp_path.iterdir())


AMOUNTS = st.decimals(0, 100, places=9, allow_nan=False)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS | st.none(), st.booleans(), st.integers(0, 400)), max_size=20))
def test_parts_add_up(runs: list[tuple[Decimal, Decimal | None, bool, int]]) -> None:
    """The groups' sums are the total, by model and by day; demo runs are in none of them."""
    expenses = [
        RunCost(number, NOW - timedelta(days=days), is_free, None if two is None else one + two, (
            ModelCost("t", one, one), ModelCost("i", two, two or Decimal(0)),
        ))
        for number, (one, two, is_free, days) in enumerate(runs)
    ]  # fmt: skip
    paid = [one + (two or 0) for one, two, is_free, _ in runs if not is_free]
    for by in GroupBy:
        spent = spending(expenses, by, datetime.date)
        assert sum(paid, Decimal(0)) == spent.total.known == sum(group.known for group in spent.groups)
        assert (len(paid), len(runs) - len(paid)) == (spent.total.runs, spent.demo.runs)
        assert (spent.total.unknown == 0) == (spent.total.cost is not None)


def test_groups() -> None:
    """Days come in their order, models the dearest first; a run without a bill has no model."""
    rows = (ModelCost("cheap", Decimal(1), Decimal(1)), ModelCost("dear", Decimal(2), Decimal(2)))
    expenses = [
        RunCost(1, NOW, is_free=False, cost=Decimal(3), shares=rows, prices_date=date(2026, 9, 8)),
        RunCost(2, NOW - timedelta(days=1), is_free=False, cost=None, prices_date=date(2026, 8, 21)),
        RunCost(3, NOW, is_free=True, cost=None, prices_date=date(2020, 1, 1)),
        RunCost(4, NOW, is_free=False, cost=Decimal(0)),
    ]
    by_model, by_day = (spending(expenses, by, datetime.date) for by in (GroupBy.MODEL, GroupBy.DAY))
    assert ["dear", "cheap", UNKNOWN_MODEL] == [group.name for group in by_model.groups]
    assert [("2026-11-21", None, 1), ("2026-11-22", Decimal(3), 2)] == [
        (group.name, group.cost, group.runs) for group in by_day.groups
    ]
    assert date(2026, 8, 21) == by_day.prices_date


@pytest.mark.parametrize(
    ("period", "begins"),
    [
        (Period.TODAY, date(2026, 11, 22)),
        (Period.WEEK, date(2026, 11, 16)),
        (Period.MONTH, date(2026, 11, 1)),
        (Period.ALL, None),
    ],
)
def test_periods(period: Period, begins: date | None) -> None:
    """A week begins on Monday, a month on its first."""
    assert begins == period.begin(date(2026, 11, 22))


def test_through_the_front_door(server: Server, gen: Gen, imgcli: Cli, world: dict[str, str]) -> None:
    """`imgcli cost` sums what the bills said; the unknown is counted, the demo's runs stand apart."""
    wire = server(
        Reply(responses()[1]), Reply(images(usage=IMAGE_USAGE)[1]), Reply(responses(tool_usage=None)[1])
    )
    billed = [
        json.loads(gen(wire, "a cat", "--jsonl", "--jsonl-images", "none", *args).lines[-1])["cost_usd"]
        for args in ((), ("-m", "gpt-image-2"), ())
    ]
    folder = Path(world["XDG_DATA_HOME"]) / "imgcli"
    remember(folder, 4, *responses(), endpoint=DEMO)
    remember(folder, 5, *responses(), began=NOW - timedelta(days=400))
    told = json.loads(imgcli("cost", "--json", "--by", "model", "--today").stdout)
    assert [float(TEXT + SUNBURST), float(TWO), None] == billed
    assert (3, None, float(TEXT * 2 + SUNBURST + TWO), 1) == tuple(
        told[key] for key in ("runs", "cost_usd", "known_usd", "unknown_runs")
    )
    assert "gpt-image-2" in {group["name"] for group in told["groups"]}
    shown = imgcli("cost", "--by", "day").stdout.decode()
    assert ["at least", "the cost of 1 run is unknown", "1 free run, not charged"] == [
        words
        for words in ("at least", "the cost of 1 run is unknown", "1 free run, not charged")
        if words in shown
    ]


def test_a_sum_is_that_of_its_runs(tmp_path: Path) -> None:
    """The total does not depend on how it is read, whatever somebody wrote into the history."""
    for number in range(4):
        remember(tmp_path, number, *responses(), endpoint=DEMO if number == 3 else "host")
    with closing(sqlite3.connect(tmp_path / "history.sqlite3")) as raw:
        raw.execute("UPDATE runs SET prices_date = '2026-01-02', billed = 0 WHERE id = 3")
        for cost in ("0.25", "NaN", "-1", "1e5", "1.2.3", "", "0.5 0.5", "9" * 12, b"\xff", 7, None):
            raw.execute("UPDATE runs SET cost = ? WHERE id = 2", [cost])
            raw.commit()
            with History(tmp_path) as history:
                one_by_one, together = (
                    spending(history.charges(each=is_each), None, datetime.date) for is_each in (True, False)
                )
            assert one_by_one == together, cost


def test_wrong_options(imgcli: Cli) -> None:
    """Two periods at once are refused."""
    assert 2 == imgcli("cost", "--today", "--week").exit_code

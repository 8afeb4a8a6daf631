"""What a run may cost, told before it is sent, and the limits that are kept to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core import catalog
from imgcli.core.billing.bound import Bound
from imgcli.core.billing.budget import (
    Cap,
    Estimate,
    PastRun,
    Spent,
    check_day,
    check_run,
    estimate,
    estimate_line,
    parse_cap,
    total_line,
)
from imgcli.core.catalog import ModelKind
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Quality
from imgcli.core.request import ImageRequest, InputImage
from streams import images_run
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Gen = Callable[..., Result]
    Server = Callable[..., ScriptedServer]

CATALOG = catalog.load()
MINI = ImageRequest(
    "a cat", "gpt-image-1-mini", Api.IMAGES, size="1024x1024", quality=Quality.MEDIUM, format=ImageFormat.PNG
)
NEW = replace(MINI, model="gpt-image-2.6-sunburst")
TOOL = replace(MINI, model="gpt-4o-mini", api=Api.RESPONSES, image_model="gpt-image-1-mini")
TABLE = "from OpenAI's token table, prices of 2026-08-21"


def dollars(text: str) -> Decimal:
    """Spell an amount."""
    return Decimal(text)


@pytest.mark.parametrize(
    ("request_", "low", "high"),
    [
        (MINI, "0.008448", "0.008458"),  # 1,056 tokens at $8 a million; 5 bytes of prompt at $2
        (replace(MINI, partials=3), "0.008448", "0.010858"),  # and 300 tokens at most
        (replace(MINI, size="1536x1024", quality=Quality.HIGH), "0.049664", "0.049674"),
        (replace(MINI, quality=Quality.AUTO), "0.002176", "0.033290"),
        (replace(MINI, size="auto", quality=Quality.LOW), "0.002176", "0.003274"),
        (replace(MINI, prompt="ü" * 100), "0.008448", "0.008848"),
        (replace(MINI, model="gpt-image-1.5"), "0.033792", "0.033817"),
    ],
)
def test_from_the_published_table(request_: ImageRequest, low: str, high: str) -> None:
    """Where OpenAI publishes tokens, the range is the image's, any number of partials, and the prompt."""
    assert Estimate(dollars(low), dollars(high), TABLE) == estimate(request_, CATALOG, ())


def test_a_text_model_adds_what_nobody_publishes() -> None:
    """With a text model the table tells the least; the most is unknown."""
    basis = f"{TABLE}; what gpt-4o-mini adds is unknown"
    assert Estimate(dollars("0.008448"), None, basis) == (found := estimate(TOOL, CATALOG, ()))
    assert f"estimate: at least $0.0084, {basis}" == estimate_line(found)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (NEW, "OpenAI publishes no token counts for gpt-image-2.6-sunburst"),
        (replace(TOOL, image_model=None), "OpenAI publishes no token counts for gpt-image-2.6-sunburst"),
        (replace(MINI, model="sd-cpp-local"), "imgcli has no price for sd-cpp-local"),
        (replace(MINI, model="dall-e-3"), "imgcli has no price for dall-e-3"),
        (replace(MINI, format=ImageFormat.GIF), "OpenAI publishes no token counts for gif"),
        (
            replace(MINI, size="2048x2048"),
            "OpenAI publishes no token counts for gpt-image-1-mini at 2048x2048, medium",
        ),
    ],
)
def test_unknown_stays_unknown(request_: ImageRequest, why: str) -> None:
    """Where nothing is published and nothing was bought before, nothing is guessed."""
    found = estimate(request_, CATALOG, ())
    assert Estimate(None, None, f"{why}, and you have no earlier run like this") == found
    assert estimate_line(found).startswith(f"estimate: unknown: {why}")


def test_what_a_reference_adds_is_not_known() -> None:
    """Tokens of reference images are not published: an edit has a minimum, and no maximum is made up."""
    found = estimate(replace(MINI, references=(InputImage("a.png"),)), CATALOG, ())
    assert found.low is not None
    assert (None, True) == (found.high, found.basis.endswith("for the reference images is unknown"))


def test_a_sum_without_an_end() -> None:
    """Several images of which one has no maximum have none together, unless limits give one to each."""
    known, open_end = Estimate(Decimal(1), Decimal(2), ""), Estimate(Decimal(1), None, "")
    bound = Bound(Decimal(3), "", date(2026, 11, 1))
    assert "at most" not in total_line([known, open_end], [bound, None])
    assert total_line([known, open_end], [bound, bound]).endswith(", at most $6.00")


def test_from_earlier_runs() -> None:
    """The range is from the cheapest to the dearest earlier run, with the partials that are asked for now."""
    past = [PastRun(dollars("0.0618"), 3, 3), PastRun(dollars("0.0528"), 0), PastRun(None, 3, 3)]
    found = estimate(replace(NEW, partials=2), CATALOG, past)
    assert Estimate(dollars("0.0528"), dollars("0.0588"), "from your 2 earlier runs like this") == found
    one = estimate(TOOL, CATALOG, past[1:2])
    assert "estimate: $0.0528, from your 1 earlier run like this" == estimate_line(one)


def test_the_table_goes_before_earlier_runs() -> None:
    """A whole price from OpenAI's table is better than what was paid by chance, unless that was more."""
    assert TABLE == estimate(MINI, CATALOG, [PastRun(dollars("0.001"))]).basis
    basis = f"{TABLE}, and from your 1 earlier run like this"
    found = estimate(MINI, CATALOG, [PastRun(dollars("0.0109"), 0, 3)])
    assert Estimate(dollars("0.008448"), dollars("0.0109"), basis) == found


def test_partials_that_nobody_asked_for() -> None:
    """What a server sends and charges without being asked, it will charge again."""
    found = estimate(NEW, CATALOG, [PastRun(dollars("0.0618"), 0, 3)])
    assert (dollars("0.0618"), dollars("0.0618")) == (found.low, found.high)


@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 6))
@pytest.mark.parametrize("request_", [NEW, MINI, TOOL, replace(MINI, model="mine")])
def test_the_same_again(request_: ImageRequest, cents: int, asked: int, arrived: int) -> None:
    """The most that a run may cost is never below what the very same run has cost before."""
    cost = Decimal(cents) / 100
    found = estimate(replace(request_, partials=asked), CATALOG, [PastRun(cost, asked, arrived)])
    assert found.high is not None
    assert cost <= found.high


def test_without_a_price_for_partials_they_must_be_as_many() -> None:
    """A server whose prices nobody knows: only runs with as many partials tell anything."""
    request = replace(MINI, model="mine", partials=1)
    past = [PastRun(Decimal(1), 1, 1), PastRun(Decimal(2), 1, 3), PastRun(Decimal(9), 3, 3)]
    assert (Decimal(1), Decimal(2)) == ((found := estimate(request, CATALOG, past)).low, found.high)
    assert estimate(request, CATALOG, past[2:]).high is None


def test_earlier_runs_with_references_are_another_matter() -> None:
    """Reference images cost something that is unknown, until a run with as many was paid for."""
    past = [PastRun(Decimal(1), references=0), PastRun(Decimal(3), references=2)]
    assert 3 == estimate(NEW, CATALOG, past, references=2).high
    assert estimate(NEW, CATALOG, past, references=1).high is None


def test_earlier_runs_of_unknown_cost_tell_nothing() -> None:
    """Runs whose cost is unknown do not make the next one known."""
    found = estimate(NEW, CATALOG, [PastRun(None)])
    assert found.high is None
    assert found.basis.endswith("you have no earlier run like this whose cost is known")


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 6))), st.integers(0, 3))
def test_a_range_is_one(past: list[tuple[int, int, int]], partials: int) -> None:
    """Whatever was paid before, the low end is no more than the high one, and neither is below nothing."""
    runs = [PastRun(Decimal(cents) / 100, asked, seen) for cents, asked, seen in past]
    found = estimate(replace(NEW, partials=partials), CATALOG, runs)
    if found.low is None or found.high is None:
        assert not runs
    else:
        assert 0 <= found.low <= found.high


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0.50", "0.50"), ("$2", "2"), (" .05 ", ".05"), ("0", "0"), ("1.", "1"), ("off", None), ("Off", None)],
)
def test_amounts(text: str, amount: str | None) -> None:
    """A limit is an amount in dollars, or off."""
    expected = Cap("max-cost", Decimal(amount)) if amount else None
    assert expected == parse_cap("max-cost", text)


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "-0.5",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "ten",
        "1,5",
        "1e3",
        "0x1",
        "1_000",
        "",
        " ",
        "$",
        "1 2",
        "\u0661",
    ],
)
def test_amounts_that_are_none(text: str) -> None:
    """What is no amount of dollars is refused, and what fits is told."""
    with pytest.raises(ImgcliError) as caught:
        parse_cap("max-cost", text)
    assert ExitCode.USAGE is caught.value.problem.exit_code
    assert "--max-cost must be an amount in dollars such as 0.50, or off" in caught.value.problem.what


KNOWN = Bound(dollars("0.06"), "OpenAI's prices per image", date(2026, 9, 8))


@pytest.mark.parametrize(
    ("spent", "amount", "told"),
    [
        (Spent(dollars("0.94")), "1", None),
        (Spent(dollars("0.95")), "1", "Today's cost is $0.9500 so far, and this may cost up to $0.0600"),
        (Spent(dollars("0.5"), dollars("0.44"), 2), "1", None),
        (Spent(dollars("0.5"), dollars("0.45"), 2), "1", "so far, up to $0.4500 more is reserved for 2 runs"),
        (Spent(unknown_runs=1), "1", "1 run today may have had an unknown cost"),
        (Spent(unknown_runs=2), "1", "2 runs today may have had an unknown cost"),
    ],
)
def test_the_day(spent: Spent, amount: str, told: str | None) -> None:
    """A day's limit counts what was spent; a run of unknown cost makes the day's sum unknown."""
    cap = Cap("daily-cap", dollars(amount))
    if told is None:
        check_day(KNOWN, spent, cap)
        return
    with pytest.raises(ImgcliError) as caught:
        check_day(KNOWN, spent, cap)
    assert told in caught.value.problem.what
    assert "--daily-cap allows $1.00 a day" in caught.value.problem.what


def test_a_limit_itself_is_allowed() -> None:
    """What costs exactly the limit may be sent."""
    check_run([KNOWN], Cap("max-cost", dollars("0.06")))
    with pytest.raises(ImgcliError):
        check_run([KNOWN], Cap("max-cost", dollars("0.0599")))


ASK = ("a cat", "-m", "gpt-image-1-mini")


@pytest.mark.parametrize(
    ("args", "env", "told"),
    [
        ((*ASK, "--max-cost", "0.001"), {}, "This may cost up to $0.0086; --max-cost allows $0.0010."),
        (("a cat", "--max-cost", "0.09"), {}, "a measurement by laozhang.ai (times two) and one token"),
        (("a cat", "--max-cost", "0.09"), {}, "as of 2026-08-21; OpenAI's bill is authoritative."),
        (("x" * 100_000, "--max-cost", "0.40"), {}, "This may cost up to $0.6"),
        (("a cat", "-m", "mine", "--max-cost", "0.10"), {}, "as it has no figures for mine"),
        (("a cat", "--format", "svg", "--max-cost", "5"), {}, "The maximum cost of an SVG is unknown"),
        ((*ASK, "--max-cost", "0"), {}, "--max-cost allows $0.00"),
        (ASK, {"IMGCLI_DAILY_CAP": "0.001"}, "Today's cost is $0.00 so far"),
        (("a cat",), {"IMGCLI_DAILY_CAP": "0.09"}, "and this may cost up to $0.0964; --daily-cap allows"),
        ((*ASK, "--max-cost", "0.001", "--dry-run"), {}, "This may cost"),
        ((*ASK, "--max-cost", "nan"), {}, "--max-cost must be an amount"),
        ((*ASK, "--max-cost", "-1"), {}, "--max-cost must be an amount"),
        ((*ASK, "--demo", "--max-cost", "ten"), {}, "--max-cost must be an amount"),
        (ASK, {"IMGCLI_DAILY_CAP": "inf"}, "--daily-cap must be an amount"),
    ],
)
def test_refused(args: tuple[str, ...], env: dict[str, str], told: str, server: Server, gen: Gen) -> None:
    """2: what may cost more than is allowed is not sent; the sentence says how that is known."""
    peer = server(Reply(images_run()))
    result = gen(peer, *args, env=env)
    assert (2, b"", 0) == (result.exit_code, result.stdout, peer.posts), result.stderr
    assert told in " ".join(result.stderr.split())
    assert "Nothing was sent; nothing was charged." in result.stderr


@pytest.mark.parametrize(
    ("args", "env"),
    [
        ((*ASK, "--max-cost", "$0.01", "--estimate"), {"IMGCLI_DAILY_CAP": "1"}),
        ((*ASK, "--max-cost", "off", "--daily-cap", "off", "--estimate"), {"IMGCLI_DAILY_CAP": "0"}),
    ],
    ids=["within", "off"],
)
def test_allowed(args: tuple[str, ...], env: dict[str, str], server: Server, gen: Gen) -> None:
    """What is within the limits is told and sent; off lifts a limit."""
    peer = server(Reply(images_run()))
    result = gen(peer, *args, "--jsonl", "--partials", "0", env=env)
    assert (0, 1) == (result.exit_code, peer.posts), result.stderr
    assert [f"estimate: $0.0084 to $0.0085, {TABLE}"] == result.stderr.splitlines()


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--quality", "max"),
        ("-m", "gpt-6-luna"),
        *(("-m", name) for name in CATALOG.names(ModelKind.IMAGE, date(2026, 12, 1))),
        *(("--image-model", name) for name in CATALOG.names(ModelKind.IMAGE, date(2026, 12, 1))),
    ],
    ids=" ".join,
)
def test_a_newcomer_may_set_a_limit(args: tuple[str, ...], imgcli: Cli) -> None:
    """On a machine that knows no earlier run, an image of every living model is within 40 cents."""
    for limit in ("--max-cost", "--daily-cap"):
        result = imgcli("gen", "a cat", *args, "--partials", "3", limit, "0.40", "--dry-run")
        assert 0 == result.exit_code, result.stderr


def test_a_demo_is_free(imgcli: Cli) -> None:
    """A demo costs nothing: its estimate is told, and no limit refuses it."""
    result = imgcli(
        "gen", *ASK, "--demo", "--estimate", "--max-cost", "0", "-q", env={"IMGCLI_DAILY_CAP": "0"}
    )
    assert 0 == result.exit_code, result.stderr
    assert [f"estimate: $0.0084 to $0.0085, {TABLE}; a demo is free"] == result.stderr.splitlines()


def test_a_demo_that_is_not_remembered(imgcli: Cli) -> None:
    """A demo is in no sum: a daily cap has nothing against forgetting it, but a cap that is none is told."""
    args = ("gen", *ASK, "--demo", "--no-history", "-q")
    allowed, unread = (imgcli(*args, env={"IMGCLI_DAILY_CAP": cap}) for cap in ("1", "lots"))
    assert (0, 2) == (allowed.exit_code, unread.exit_code), allowed.stderr


def test_an_estimate_of_what_is_not_sent(imgcli: Cli) -> None:
    """--dry-run --estimate says what it would cost, without a key."""
    result = imgcli("gen", "a cat", "-m", "gpt-image-2", "--dry-run", "--estimate")
    assert 0 == result.exit_code
    why = "OpenAI publishes no token counts for gpt-image-2, and you have no earlier run like this"
    assert [f"estimate: unknown, at most $0.0539 as of 2026-08-21: {why}"] == result.stderr.splitlines()

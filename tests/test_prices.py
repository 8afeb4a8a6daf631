"""Prices that are read after imgcli was made: tables from files and URLs, their ends, and what uses them."""

from __future__ import annotations

import json
import re
import stat
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CANARY_KEY
from imgcli.core.billing.bill import Bill, Part, Row
from imgcli.core.billing.bound import upper_bound
from imgcli.core.billing.price_table import current, write_table
from imgcli.core.billing.price_table_reader import PriceTableError, read_table
from imgcli.core.billing.prices import LongContext
from imgcli.core.catalog import load
from imgcli.core.params import Api, Quality
from imgcli.core.request import ImageRequest
from imgcli.output.tables.bill import compact_lines
from streams import ROUND_TOOL_USAGE, ROUND_USAGE, completed, created, image_item, item_done, stream
from tables import each
from terminal import PtyRun
from wire import Framing, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

CATALOG = load()
TODAY = date(2026, 11, 29)
NOW = datetime.now(UTC).date()
IMAGE, TEXT = "gpt-image-2.6-sunburst", "gpt-4o-mini"
BEFORE, DOUBLED = "$0.0310", "$0.0614"
"""1000 tokens in and 500 out of the text model; 100 and 1000 of the image model, at 30.00 and then 60.00."""
TOML = f"""
checked = {NOW}
[image."{IMAGE}"]
prices = [5.00, 1.25, 8.00, 2.00, 60.00]
[text.{TEXT}]
prices = [0.30, 0.15, 1.20]
"""
LITELLM = {
    "sample_spec": {"mode": "one of: chat", "litellm_provider": "one of", "input_cost_per_token": 0.0},
    IMAGE: {
        "litellm_provider": "openai",
        "mode": "image_generation",
        "cache_read_input_image_token_cost": 2e-06,
        "cache_read_input_token_cost": 1.25e-06,
        "input_cost_per_image_token": 8e-06,
        "input_cost_per_token": 5e-06,
        "output_cost_per_image_token": 6e-05,
    },
    f"low/1024-x-1024/{IMAGE}": {
        "litellm_provider": "openai",
        "mode": "image_generation",
        "output_cost_per_image": 0.0191,
    },
    TEXT: {
        "litellm_provider": "openai",
        "mode": "chat",
        "cache_read_input_token_cost": 1.5e-07,
        "input_cost_per_token": 3e-07,
        "output_cost_per_token": 1.2e-06,
    },
    "gpt-7-nova": {
        "litellm_provider": "openai",
        "mode": "responses",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": -1,
    },
    "azure/gpt-4o-mini": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": -9},
}
SQUARE = LITELLM[f"low/1024-x-1024/{IMAGE}"]
FORMS = {"prices.toml": TOML, "litellm.json": json.dumps(LITELLM)}


def run() -> Reply:
    """Answer with one image, and counts that make round dollars."""
    end = completed(image_item(), usage=ROUND_USAGE, tool_usage=ROUND_TOOL_USAGE)
    return Reply(stream(created(), item_done(image_item()), end))


def moved(target: str) -> Reply:
    """Redirect to another address."""
    return Reply(status=302, headers=(("Location", target),))


def stored(world: dict[str, str]) -> Path:
    """Return where a table is kept."""
    return Path(world["XDG_DATA_HOME"]) / "imgcli" / "prices.json"


def read(text: str, today: date = TODAY) -> Any:
    """Read a table and return the catalog with its prices."""
    return current(CATALOG, read_table(text.encode(), "prices.toml", today, CATALOG), today)


def built_in(today: date) -> Any:
    """Return the catalog with the built-in prices of a day."""
    return current(CATALOG, None, today)


@pytest.mark.parametrize("name", FORMS)
def test_a_table_changes_the_bill(
    name: str, imgcli: Cli, server: Server, gen: Gen, folder: Path, world: dict[str, str]
) -> None:
    """From the next run on the bill has the new prices and says where they are from; a reset goes back."""
    wire = server(run())
    assert BEFORE in gen(wire, "a cat").stderr
    (folder / name).write_text(FORMS[name])
    done = imgcli("models", "--update", name)
    assert (0, "") == (done.exit_code, done.stderr)
    assert f"  {IMAGE}: image out 30.00, now 60.00" in done.lines
    assert 0o600 == stat.S_IMODE(stored(world).stat().st_mode)

    after = gen(wire, "a cat").stderr
    assert DOUBLED in after
    assert f"as of {NOW}, from {name}" in after
    told = imgcli("info", "last").stdout.decode()
    assert f"prices as of {NOW}, from {name}" in told
    assert name == json.loads(imgcli("info", "last", "--json").stdout)["run"]["prices_from"]

    assert f"prices again, as of {CATALOG.prices_date}" in imgcli("models", "--update", "--reset").lines[0]
    assert "already" in imgcli("models", "--reset").lines[0]
    assert [False, BEFORE in gen(wire, "a cat").stderr] == [stored(world).exists(), True]
    assert DOUBLED in imgcli("info", "last~1").stdout.decode()


def test_the_models_page_has_it(imgcli: Cli, folder: Path) -> None:
    """The page and its JSON show the prices, their table and day, and what an image costs."""
    (folder / "litellm.json").write_text(FORMS["litellm.json"])
    done = imgcli("models", "--update", "litellm.json", "--json")
    found = json.loads(done.stdout)
    (model,) = (one for one in found["models"] if one["name"] == IMAGE)
    assert ("litellm.json", NOW.isoformat()) == (found["prices_from"], found["prices_date"])
    assert (60.0, "litellm.json", None) == (
        model["prices"]["image_out"],
        model["prices"]["table"],
        model["prices"]["until"],
    )
    assert {"low": 0.0191, "medium": None, "high": None} == model["image_dollars"]
    lines = imgcli("models").lines
    assert [] == [line for line in lines if len(line) > 80]
    assert any(
        line.startswith(f"Standard tier prices as of {NOW}, from litellm.json (2 of ") for line in lines
    )
    assert [f"{IMAGE} * 5.00 8.00 60.00 0.019 - -"] == [
        " ".join(line.split()) for line in lines if line.startswith(IMAGE)
    ]


def test_limits_and_estimates_use_it(imgcli: Cli, server: Server, gen: Gen, folder: Path) -> None:
    """A limit that was enough is not when prices have doubled, and the message names the table."""
    wire = server(run())
    asked = (
        "a cat",
        "--quality",
        "low",
        "--size",
        "1536x1024",
        "--partials",
        "0",
        "-q",
        "--max-cost",
        "0.06",
    )
    assert 0 == gen(wire, *asked).exit_code
    (folder / "prices.toml").write_text(TOML)
    imgcli("models", "--update", "prices.toml")
    refused = gen(wire, *asked)
    assert (2, 1) == (refused.exit_code, wire.posts)
    assert re.search(r"as of 2026-\d\d-\d\d, from prices\.toml; OpenAI's bill", refused.stderr)
    shown = gen(wire, "a cat", "--estimate", "--dry-run").stderr
    assert ", from prices.toml" in shown


HOSTILE = {
    "empty": ("", "is empty"),
    "words": ("nothing", "is neither JSON nor valid TOML"),
    "bytes": ("\udcff\udcfe", "is not UTF-8 text"),
    "cut": (FORMS["litellm.json"][:-9], "is not valid JSON"),
    "deep": ("{" + '"a": {' * 9_000, "is not valid JSON"),
    "undated": (TOML.replace("checked", "check"), "does not say when its prices were checked"),
    "future": (TOML.replace(str(NOW), "2999-01-01"), "is in the future"),
    "negative": (TOML.replace("60.00", "-60.00"), f"has a negative price: image_out of {IMAGE}"),
    "nan": (TOML.replace("60.00", "nan"), "has something other than a number: image_out"),
    "infinite": (TOML.replace("60.00", "inf"), "has something other than a number: image_out"),
    "factor": (
        json.dumps({**LITELLM, TEXT: {**LITELLM[TEXT], "cache_creation_input_token_cost": 1.0}}),
        "has an impossible factor: a factor of",
    ),
    "zero": (TOML.replace("60.00", "0.0"), "has an impossible price: image_out"),
    "per token": (TOML.replace("60.00", "0.00006"), "dollars per million tokens"),
    "huge": (TOML.replace("60.00", "1e999999999"), "has an impossible price"),
    "words for a price": (TOML.replace("60.00", '"much"'), "has something other than a number"),
    "yes": (TOML.replace("60.00", "true"), "has something other than a number"),
    "too many": (TOML.replace("60.00", "60.00, 1, 1, 1"), "must list at most 6 prices"),
    "wrong kind": (TOML.replace(f"[text.{TEXT}]", f"[image.{TEXT}]"), "it is a model for text"),
    "no source": (TOML + 'source = "page"', "has no [sources.page]"),
    "no models": (f"checked = {NOW}", "has no price of any model that imgcli knows"),
    "strangers": (f"checked = {NOW}\n[text.other]\nprices = [1.0]", "has no price of any model"),
    "json nan": (FORMS["litellm.json"].replace("6e-05", "NaN"), "holds NaN, which is not a price"),
    "json minus": (FORMS["litellm.json"].replace("6e-05", "-6e-05"), "has a negative price"),
    "json huge": (FORMS["litellm.json"].replace("6e-05", "1e9999999"), "holds an invalid number"),
    "json list": ("[]", "is neither JSON nor valid TOML"),
    "large": ("# large\n" * 40_000, "is too large, or its lines are"),
    "long key": ("a." * 100_000 + "b = 1", "is too large, or its lines are"),
    "hexadecimal": (TOML.replace("60.00", "0x" + "f" * 400), "has an impossible price"),
    "stored on no day": ('{"imgcli_prices": 1, "date": "soon", "models": {}}', "has an invalid date"),
    "image of no price": (
        json.dumps(LITELLM | {f"low/1024-x-1024/{IMAGE}": SQUARE | {"output_cost_per_image": 1e6}}),
        "has an impossible price of an image",
    ),
    "escape": (TOML + '[text."gpt-4o"]\nprices = "\\u001b[31m"', "must list at most 3 prices for gpt-4o"),
}


@pytest.mark.parametrize("what", ["negative", "json nan", "words", "empty", "bytes"])
def test_what_is_no_table(what: str, imgcli: Cli, folder: Path, world: dict[str, str]) -> None:
    """A table that cannot be right is refused with the reason, and the one before stays."""
    (folder / "good.toml").write_text(TOML)
    imgcli("models", "--update", "good.toml")
    before = stored(world).read_bytes()
    text, told = HOSTILE[what]
    (folder / "bad").write_bytes(text.encode(errors="surrogateescape"))
    done = imgcli("models", "--update", "bad")
    assert (2, b"", before) == (done.exit_code, done.stdout, stored(world).read_bytes())
    assert f"bad {told}" in done.stderr or told in done.stderr
    assert "The prices are as before." in done.stderr


@each("what", [name for name in HOSTILE if name != "empty"])
def test_each_wrong_table_has_its_reason(what: str) -> None:
    """What is wrong with a table is said in words that a terminal can show."""
    text, told = HOSTILE[what]
    with pytest.raises(PriceTableError) as caught:
        read_table(text.encode(errors="surrogateescape"), "bad", NOW, CATALOG)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_no_file(imgcli: Cli, folder: Path) -> None:
    """A name that leads nowhere, a folder, and two wishes at once are refused."""
    (folder / "prices").mkdir()
    for args, told in (
        (("--update", "missing.toml"), "missing.toml cannot be read"),
        (("--update", "prices"), "prices is a folder"),
        (("--update", ""), "cannot be read"),
        (("--update", "a.toml", "--reset"), "exclude each other"),
    ):
        done = imgcli("models", *args)
        assert (2, b"", True) == (done.exit_code, done.stdout, told in done.stderr), done.stderr


@pytest.mark.parametrize("text", ['{"imgcli_prices": 2}', "{", '{"imgcli_prices": 1}', "\0", "[" * 9_999])
def test_a_broken_stored_table(
    text: str, imgcli: Cli, server: Server, gen: Gen, world: dict[str, str]
) -> None:
    """What became of the file in the data folder costs a note, and the prices are the built-in ones."""
    stored(world).parent.mkdir(parents=True, mode=0o700)
    stored(world).write_text(text)
    done = gen(server(run()), "a cat")
    assert (0, True) == (done.exit_code, BEFORE in done.stderr)
    assert 1 == done.stderr.count("The stored price table")
    assert "`imgcli models --reset` removes it" in done.stderr
    assert 0 == imgcli("models", "--reset").exit_code
    assert "" == imgcli("models").stderr


class TestFromAUrl:
    """What is fetched, and from whom."""

    def test_once_and_without_a_key(self, imgcli: Cli, server: Server) -> None:
        """It is one GET, also through a redirect within the host, and nothing of the user's goes along."""
        wire = server(moved("/there.toml?secret=1"), Reply(TOML.encode(), content_type="image/png"))
        env = {"OPENAI_API_KEY": CANARY_KEY, "OPENAI_CUSTOM_HEADERS": "X-Mine: 1"}
        done = imgcli("models", "--update", f"http://127.0.0.1:{wire.port}/prices.toml?token=1", env=env)
        assert (0, "") == (done.exit_code, done.stderr)
        assert "from prices.toml" in done.lines[0]
        assert [("GET", "/prices.toml?token=1"), ("GET", "/there.toml?secret=1")] == [
            (request.method, request.path) for request in wire.requests
        ]
        for request in wire.requests:
            assert {"authorization", "cookie", "x-mine"}.isdisjoint(request.headers)
            assert "identity" == request.headers["accept-encoding"]
            assert b"" == request.body

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("http://example.com/p.toml", "could be changed on the way"),
            ("https://me:secret@example.com/p.toml", "must not hold a login"),
            ("https:///p.toml", "is not a valid URL"),
            ("https://[::1/p.toml", "is not a valid URL"),
            ("https://example.com:0/p", "is not a valid URL"),
        ],
    )
    def test_addresses(self, url: str, told: str, imgcli: Cli) -> None:
        """An address that is none, unencrypted, or with a login in it is not asked."""
        done = imgcli("models", "--update", url)
        assert (2, b"", True, False) == (
            done.exit_code,
            done.stdout,
            told in done.stderr,
            "secret" in done.stderr,
        ), done.stderr

    @pytest.mark.parametrize(
        ("replies", "code", "told"),
        [
            ([Reply(status=404)], 5, "answered with status 404"),
            (
                [Reply(status=302, headers=(("Location", "http://localhost/p"),))],
                5,
                "another host, localhost",
            ),
            ([Reply(status=302, headers=(("Location", "http://example.com/p"),))], 2, "changed on the way"),
            ([Reply(status=302, headers=(("Location", "file:///etc/passwd"),))], 2, "not a valid URL"),
            ([Reply(status=302, headers=(("Location", "/again"),))], 5, "redirects more than 5 times"),
            ([Reply(b"<html>Sign in</html>")], 2, "is neither JSON nor valid TOML"),
            ([Reply(b"#" * (17 << 20))], 5, "sent more than 16 MB"),
            ([Reply(TOML.encode()[:-9], framing=Framing.LENGTH, status=200)], 2, "valid TOML"),
        ],
        ids=["missing", "elsewhere", "plain", "file", "loop", "page", "large", "cut"],
    )
    def test_failures(
        self, replies: list[Reply], code: int, told: str, imgcli: Cli, server: Server, world: dict[str, str]
    ) -> None:
        """What is no table, too large, or on another host is refused, and is no matter of money."""
        wire = server(*replies)
        done = imgcli("models", "--update", f"http://127.0.0.1:{wire.port}/p.toml")
        assert (code, b"", False) == (done.exit_code, done.stdout, stored(world).exists()), done.stderr
        assert told in done.stderr
        assert "harged" not in done.stderr

    def test_nobody_there(self, imgcli: Cli) -> None:
        """A server that is not there is said to be."""
        done = imgcli("models", "--update", "http://127.0.0.1:1/p.toml")
        assert (8, True) == (done.exit_code, "Cannot connect to 127.0.0.1:1" in done.stderr)


class TestEnds:
    """Prices that hold until a day."""

    PROMOTION = f"""
        checked = 2026-11-01
        [text.{TEXT}]
        prices = [0.10, 0.05, 0.40]
        until = 2026-11-29
    """

    def test_the_next_price(self) -> None:
        """Through its last day a price is used, from the next on what follows it, in a kept table too."""
        text = f"{self.PROMOTION}\nthen = [0.20, 0.10, 0.80]"
        kept = write_table(read_table(text.encode(), "p", TODAY, CATALOG))
        for source in (text, kept):
            found = [read(source, TODAY + timedelta(days)).find(TEXT).prices.text_in for days in (0, 1, 99)]
            assert [Decimal("0.10"), Decimal("0.20"), Decimal("0.20")] == found

    def test_no_next_price(self) -> None:
        """Without one it is unknown, whatever the built-in table says, and the reason is there."""
        prices = read(self.PROMOTION, TODAY + timedelta(1)).find(TEXT).prices
        assert (None, False) == (prices.text_in, prices.is_known)
        assert "unknown since a promotion ended on 2026-11-29" == prices.caveat

    def test_built_in(self, server: Server, gen: Gen) -> None:
        """The built-in promotion has ended: its run has no dollars, and the bill says why."""
        assert Decimal(4) == built_in(date(2026, 11, 21)).find("gpt-5.6-sol").prices.text_in
        end = completed(image_item(), usage=ROUND_USAGE, tool_usage=ROUND_TOOL_USAGE, model="gpt-5.6-sol")
        wire = server(Reply(stream(created(), item_done(image_item()), end)))
        told = gen(wire, "a cat", "-m", "gpt-5.6-sol", "--bill").stderr
        assert "The price of gpt-5.6-sol is unknown since a promotion ended on 2026-11-21" in told
        assert "at least $0.0305" in told

    def test_a_bound_does_not_rely_on_it(self) -> None:
        """A model whose price has ended counts as the most expensive one, never as free."""
        request = ImageRequest("a cat", "gpt-5.6-sol", Api.RESPONSES, size="1024x1024", quality=Quality.LOW)
        during, after = (built_in(day) for day in (date(2026, 11, 21), date(2026, 11, 22)))
        assert upper_bound(request, during).dollars < upper_bound(request, after).dollars
        ended = f'checked = 2026-11-01\n[image."{IMAGE}"]\nprices = [5, 1, 8, 2, 30]\nuntil = 2026-11-02'
        assert upper_bound(request, after).dollars <= upper_bound(request, read(ended)).dollars


def test_a_bound_follows_the_price_of_tokens() -> None:
    """OpenAI's own price of an image grows with the price of image tokens, and so does its bound."""
    request = ImageRequest("a cat", "gpt-image-2", Api.IMAGES, size="1024x1024", quality=Quality.HIGH)
    dear = read("checked = 2026-11-29\n[image.gpt-image-2]\nprices = [10.0, 2.5, 16.0, 4.0, 60.0]")
    usual, doubled = upper_bound(request, built_in(TODAY)), upper_bound(request, dear)
    assert abs(2 * usual.dollars - doubled.dollars) <= Decimal("0.0002")
    assert (("imgcli",), ("prices.toml",)) == (usual.tables, doubled.tables)
    assert [Decimal("0.422"), Decimal("0.211")] == [
        models.find("gpt-image-2").square_dollars("high") for models in (dear, built_in(TODAY))
    ]


def test_what_a_table_leaves_out() -> None:
    """It stays as it was, and the prices are then as old as the oldest of them."""
    found = read('checked = 2026-11-29\n[image.gpt-image-2]\nprices = ["unknown", "unknown", 9.0]')
    prices = found.find("gpt-image-2").prices
    assert (Decimal("5.00"), Decimal("9.00"), date(2026, 8, 21)) == (
        prices.text_in,
        prices.image_in,
        prices.date,
    )
    assert prices.source.startswith("prices.toml; text_in, text_cached, image_cached, image_out: OpenAI's")


def test_our_own_table_can_be_read() -> None:
    """The table of another version of imgcli is a price table as it is."""
    text = (Path(load.__wrapped__.__code__.co_filename).parent / "catalog.toml").read_text()
    table = read_table(text.encode(), "catalog.toml", TODAY, CATALOG)
    ours = {model.name for model in CATALOG.models if model.prices}
    assert ours == set(table.prices)
    found: Any = current(CATALOG, table, TODAY)
    for model in built_in(TODAY).models:
        fresh = found.find(model.name).prices
        assert (model.prices and model.prices.text_in) == (fresh and fresh.text_in), model.name


def test_what_long_inputs_cost_by_litellm() -> None:
    """A text model's dearer long inputs and cache writes are taken over, as factors; half of them are not."""
    long = {"input_cost_per_token_above_200k_tokens": 6e-07, "cache_creation_input_token_cost": 4.5e-07}
    whole = {"output_cost_per_token_above_200k_tokens": 1.8e-06}
    for more, expected in ((long | whole, LongContext(200_000, Decimal(2), Decimal("1.5"))), (long, None)):
        document = json.dumps(LITELLM | {TEXT: LITELLM[TEXT] | more})
        prices = read_table(document.encode(), "litellm.json", NOW, CATALOG).prices[TEXT]
        assert (expected, Decimal("1.5")) == (prices.long_context, prices.cache_write)


def test_what_an_image_model_writes_by_litellm() -> None:
    """Words of an image model have their own price where it differs, and a dated name adds no model."""
    words = LITELLM[IMAGE] | {"output_cost_per_token": 1e-05}
    document = json.dumps(LITELLM | {IMAGE: words, f"{TEXT}-2024-07-18": LITELLM[TEXT]})
    table = read_table(document.encode(), "litellm.json", NOW, CATALOG)
    assert (Decimal(10), Decimal(60)) == (table.prices[IMAGE].text_out, table.prices[IMAGE].image_out)
    assert [TEXT] == [name for name in table.prices if name.startswith(TEXT)]


def test_models_that_imgcli_does_not_know(imgcli: Cli, server: Server, gen: Gen, folder: Path) -> None:
    """Their prices are kept aside: a run with one has its bill, and the list stays as it was."""
    (folder / "p.toml").write_text(f"{TOML}[text.gpt-7-nova]\nprices = [2.0, 1.0, 4.0]")
    told = imgcli("models", "--update", "p.toml").lines
    assert "Kept aside for bills: prices of 1 model that imgcli does not know." in told
    end = completed(image_item(), usage=ROUND_USAGE, tool_usage=ROUND_TOOL_USAGE, model="gpt-7-nova")
    done = gen(server(Reply(stream(created(), item_done(image_item()), end))), "a cat", "-m", "gpt-7-nova")
    assert "$0.0645" in done.stderr  # 0.0040 for the text
    assert [] == [line for line in imgcli("models").lines if "nova" in line]


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), st.text(max_size=20))
def test_anything(value: Any, name: str) -> None:
    """No table makes it raise anything but what is wrong with it."""
    entry = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": value, name: value}
    kept = {"text_in": value, "long_context": value, "then": entry}
    forms = (
        {TEXT: entry, name: entry},
        {"imgcli_prices": 1, "date": "2026-11-29", "models": {TEXT: kept}},
        {"imgcli_prices": 1, "date": value, "models": {TEXT: {"text_in": 1}}},
        {"imgcli_prices": 1, "date": "2026-11-29", "models": {TEXT: value}},
    )
    for document in forms:
        with suppress(PriceTableError):
            read_table(json.dumps(document).encode(), name, TODAY, CATALOG)


def test_where_a_terminal_is_narrow() -> None:
    """A bill of 80 columns names the beginning of a long table's name; in few columns the date is left."""
    label = "model_prices_and_context_window.json"
    made = Bill((Row(Part.IMAGE, IMAGE, 1_000, 0, 1_000, cost_in=Decimal(1), cost_out=Decimal(1)),), TODAY)
    told = replace(made, tables=(label,))
    totals = {columns: compact_lines(told, columns)[-1] for columns in (120, 80, 40)}
    assert totals[120].startswith(f"total, prices as of 2026-11-29, from {label} ")
    assert totals[80].startswith("total as of 2026-11-29, from model_pri")
    assert totals[40].startswith("total, prices as of 2026-11-29 ")
    assert [] == [line for line in totals.values() if len(line) > 120]


def test_on_a_small_screen(world: dict[str, str], folder: Path) -> None:
    """In 80 columns and 24 rows the image models, their prices and the notes are what remains in view."""
    env = world | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with PtyRun(["models"], env, folder, columns=80, rows=24) as run_:
        assert 0 == run_.finish()
    shown = [line.split() for line in run_.lines]
    assert ["gpt-image-2", "5.00", "8.00", "30.00", "0.006", "0.053", "0.211"] in shown
    assert any(words[:2] == ["Image", "models"] for words in shown)
    assert any("--sources" in words for words in shown)

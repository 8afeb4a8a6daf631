"""The bill at other rates than the standard ones: what is not published for certain is unknown."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from earlier import runs
from imgcli.core.billing.bill import Bill, Part, Row
from imgcli.core.billing.rates import apply_rates
from streams import completed, created, image_item, item_done, stream
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

EU = "eu.api.openai.com"
SUNBURST = "gpt-image-2.6-sunburst"
DATED = "gpt-4o-mini-2024-07-18"


def costs(
    tier: str | None, place: str | None, text: str = DATED, image: str = SUNBURST
) -> list[Decimal | None]:
    """Give what a text model's dollar and an image model's dollar become."""
    one, none = Decimal(1), Decimal(0)
    rows = (
        Row(Part.TEXT, text, cost_in=one, cost_out=none),
        Row(Part.IMAGE, image, cost_in=none, cost_out=one),
    )
    return [row.cost for row in apply_rates(Bill(rows, None), tier, place).rows]


@pytest.mark.parametrize(
    ("tier", "place", "expected"),
    [
        *((tier, None, [1, 1]) for tier in (None, "", "auto", "default", "standard")),
        *((None, place, [1, 1]) for place in ("api.openai.com", "gateway.example", f"{EU}.example")),
        ("flex", None, ["0.5", None]),
        ("batch", None, ["0.5", "0.5"]),
        ("batch", EU, ["0.5", "0.55"]),
        ("fast", None, [2, None]),
        ("priority", None, [2, None]),  # how a server reports fast mode
        ("scale", None, [None, None]),
        ("odd\x1b[31m", None, [None, None]),
        (None, EU, [1, "1.1"]),
        ("default", "EU.api.openai.com:443", [1, "1.1"]),
        ("flex", EU, ["0.5", None]),
    ],
)
def test_each_rate(tier: str | None, place: str | None, expected: list[object]) -> None:
    """A published rate is used, and what has none is unknown; the standard ones stay as they are."""
    assert [None if one is None else Decimal(str(one)) for one in expected] == costs(tier, place)


def test_a_model_of_unknown_age_in_a_region() -> None:
    """Whether the surcharge holds for it nobody knows, so its cost is unknown."""
    assert [None, None] == costs(None, EU, "gpt-5.4", "gpt-image-2")


def test_nothing_costs_nothing_at_any_rate() -> None:
    """Zero is known whatever it is multiplied by."""
    row = Row(Part.IMAGE, SUNBURST, cost_in=Decimal(0), cost_out=Decimal(0))
    assert Decimal(0) == apply_rates(Bill((row,), None), "priority", EU).total


@pytest.mark.parametrize(("tier", "is_known"), [("priority", False), ("flex", False), ("default", True)])
def test_the_tier_of_a_run(
    tier: str,
    is_known: bool,  # noqa: FBT001 - what is expected
    server: Server,
    gen: Gen,
    world: dict[str, str],
) -> None:
    """What the server says of its tier reaches the bill, the history and the JSON lines alike."""
    item = image_item()
    body = stream(created(), item_done(item), completed(item, service_tier=tier))
    peer = server(Reply(body))
    shown = gen(peer, "a cat")
    assert (f"service tier {tier}" in shown.stderr) is not is_known
    line = json.loads(gen(peer, "a cat", "--jsonl").lines[-1])
    assert [is_known] * 3 == [line["cost_usd"] is not None, *(run.cost is not None for run in runs(world))]

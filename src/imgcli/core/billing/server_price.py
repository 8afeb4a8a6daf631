"""The price that a server states for a run: `usage.cost` in dollars, as OpenRouter sends it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import Part, Row, count, or_none
from imgcli.core.json_fields import as_object

if TYPE_CHECKING:
    from imgcli.core.billing.bill import Bill
    from imgcli.core.events import Completed, Json


_MOST_DOLLARS = 10_000
"""Far more than any run costs; a larger number is an error."""
_STATED = "The dollars are as the server says (usage.cost)."
_OWN_KEY = "The provider charges your own key besides; the server does not say how much."


def server_price(usage: Json | None) -> Decimal | None:
    """Return the price that is stated, None for none and for what cannot be one."""
    return _dollars(as_object(usage).get("cost"))


def price_notes(usage: Json | None) -> tuple[str, ...]:
    """Return what is to be known of a stated price, nothing where there is none."""
    if server_price(usage) is None:
        return ()
    return (_STATED,) if _upstream(as_object(usage)) is not None else (_STATED, _OWN_KEY)


def with_server_price(made: Bill, completed: Completed) -> Bill:
    """Return the bill with the dollars that the server states, and in one row, for it does not split them.

    Our prices are of no use then. Tokens are under the names of either of OpenAI's APIs.
    """
    usage = as_object(completed.usage)
    price, upstream = server_price(usage), _upstream(usage)
    if price is None:
        return made
    *_, image = [row for row in made.rows if row.part is Part.IMAGE] or made.rows
    row = Row(Part.ALL, image.model, partials=image.partials) if len(made.rows) > 1 else image
    stated = replace(
        row,
        tokens_in=_tokens(usage, "prompt_tokens") if row.tokens_in is None else row.tokens_in,
        tokens_out=_tokens(usage, "completion_tokens") if row.tokens_out is None else row.tokens_out,
        cost_in=upstream,
        cost_out=price,
    )
    return replace(made, rows=(stated,), prices_date=None, notes=price_notes(usage))


def _upstream(usage: Json) -> Decimal | None:
    """Return what a provider charges to the user's own key besides, None where that is unknown."""
    if usage.get("is_byok") is not True:
        return Decimal(0)
    return _dollars(as_object(usage.get("cost_details")).get("upstream_inference_cost"))


def _dollars(value: object) -> Decimal | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_DOLLARS:
        return Decimal(str(value))
    return None


def _tokens(usage: Json, key: str) -> int | None:
    return or_none(lambda: count(usage, key))

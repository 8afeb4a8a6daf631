"""Replacing the built-in price table, and going back to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.catalog import load
from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.store.price_file import remove_prices, write_prices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from imgcli.app.context import Context
    from imgcli.core.billing.price_table import PriceTable
    from imgcli.core.catalog import Catalog


_SECONDS = 15.0
"""Of silence, after which a server is given up; four times that for the whole table."""
_LONGEST_NAME = 200
_MOST_LINES = 15
_FORMS = "A price table is imgcli's TOML or LiteLLM's JSON; see docs/cost.md. The prices are as before."
_NAMES = {
    "text_in": "text in",
    "text_cached": "cached text",
    "text_out": "text out",
    "image_in": "image in",
    "image_cached": "cached image",
    "image_out": "image out",
}


def update_prices(context: Context, source: str) -> list[str]:
    """Read a price table from a file or a URL, keep it, and return lines on what it changes.

    Raises `ImgcliError`; the prices are then as before.
    """
    from imgcli.core.billing.price_table import current, write_table
    from imgcli.core.billing.price_table_reader import PriceTableError, read_table

    today, before = context.now().date(), context.models
    data, origin = _read(context, source)
    try:
        table = read_table(data, origin, today, load())
    except PriceTableError as error:
        what = f"{shorten(origin, _LONGEST_NAME)} {error}."
        raise usage_error(what, _FORMS, about=("update",)) from None
    try:
        path = write_prices(context.env, write_table(table))
    except OSError as error:
        raise _unwritable(error) from None
    if table.date < load().prices_date:
        context.warn([f"this table is older than the one built into imgcli ({load().prices_date})"])
    after = current(load(), table, today)
    return [*_report(table, before, after), f"Kept as {path}; `imgcli models {option('reset')}` goes back."]


def reset_prices(context: Context) -> list[str]:
    """Go back to the prices that are built in, and return lines on that. Raises `ImgcliError`."""
    try:
        was_there = remove_prices(context.env)
    except OSError as error:
        raise _unwritable(error) from None
    begin = (
        "imgcli uses its built-in prices again" if was_there else "imgcli uses its built-in prices already"
    )
    return [f"{begin}, as of {load().prices_date}."]


def _read(context: Context, source: str) -> tuple[bytes, str]:
    """Return a table's bytes, and where they are from: a URL without its query, which may hold a secret."""
    from imgcli.api.download import download, is_url
    from imgcli.core.billing.price_table_reader import LARGEST_TABLE
    from imgcli.store.files import read_named

    if is_url(source):
        data = download(source, LARGEST_TABLE, _SECONDS, context.monotonic)
        return data, source.partition("?")[0].partition("#")[0]
    data, _ = read_named(source, LARGEST_TABLE, _FORMS)
    return data, str(Path(source).absolute())


def _report(table: PriceTable, before: Catalog, after: Catalog) -> Iterator[str]:
    from imgcli.core.billing.price_table import changes

    ours = sum(1 for model in after.models if model.prices and model.prices.table)
    models = f"{ours} of {len(after.models)} models"
    yield f"Prices as of {table.date}, from {table.label}, are used for {models} from now on."
    found = list(changes(before, after))
    for name, column, old, new in found[:_MOST_LINES]:
        yield f"  {name}: {_NAMES[column]} {_price(old)}, now {_price(new)}"
    if len(found) > _MOST_LINES:
        yield f"  and {len(found) - _MOST_LINES} more"
    if not found:
        yield "  no price of these has changed"
    if after.other_prices:
        names = "model" if len(after.other_prices) == 1 else "models"
        yield f"Kept aside for bills: prices of {len(after.other_prices)} {names} that imgcli does not know."


def _price(price: Decimal | None) -> str:
    return "unknown" if price is None else f"{price:f}"


def _unwritable(error: OSError) -> ImgcliError:
    what = f"The price table cannot be changed: {error.strerror or error}."
    return ImgcliError(Problem(ExitCode.UNWRITABLE, what))

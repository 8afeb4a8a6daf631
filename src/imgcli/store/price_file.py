"""The price table that replaces the built-in one, stored beside the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.store.files import read_regular
from imgcli.store.paths import data_folder, private_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_NAME = "prices.json"
_LARGEST = 4 << 20
"""Bytes; some hundred models take 100,000."""


def price_file(environ: Mapping[str, str]) -> Path:
    """Return where the table is, whether or not there is one; raises `OSError` without a home."""
    return data_folder(environ) / _NAME


def read_prices(environ: Mapping[str, str]) -> bytes | None:
    """Read the table, None where there is none; raises `OSError` or `UnfitFileError`."""
    try:
        return read_regular(price_file(environ), _LARGEST)[0]
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_prices(environ: Mapping[str, str], text: str) -> Path:
    """Replace the table in one step, readable by its owner alone; raises `OSError`."""
    from imgcli.store.publish.atomic import replace_file

    path = price_file(environ)
    private_folder(path.parent)
    replace_file(path, text.encode())
    return path


def remove_prices(environ: Mapping[str, str]) -> bool:
    """Remove the table; False where there was none. Raises `OSError`."""
    try:
        price_file(environ).unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True

"""Tables of cheap cases in one test: pytest takes longer over a test of its own than such a case does."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def each(
    names: str | tuple[str, ...], rows: Iterable[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Play a test for each row, as `parametrize` does, in one go; every row that fails is told."""
    given = names.replace(" ", "").split(",") if isinstance(names, str) else list(names)
    table = [dict(zip(given, row if len(given) > 1 else (row,), strict=True)) for row in rows]
    assert table, "a table without rows tests nothing"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def whole(*own: object, **others: object) -> None:
            failures: list[BaseException] = []
            for row in table:
                try:
                    test(*own, **others, **row)
                except pytest.skip.Exception as skipped:
                    raise AssertionError(f"a row alone cannot be skipped: {row!r}") from skipped
                except (Exception, pytest.fail.Exception) as failure:  # noqa: BLE001 - whatever it is
                    failure.add_note(f"in the row {row!r}")
                    failures.append(failure)
            if failures:
                several = BaseExceptionGroup(f"{len(failures)} of {len(table)} rows", failures)
                raise several if len(failures) > 1 else failures[0]

        signature = inspect.signature(test)
        asked = [one for name, one in signature.parameters.items() if name not in given]
        whole.__signature__ = signature.replace(parameters=asked)  # type: ignore[attr-defined]
        return whole

    return decorate

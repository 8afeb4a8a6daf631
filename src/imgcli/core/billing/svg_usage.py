"""The tokens of the model that writes an SVG, which the API counts apart from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.core.json_fields import as_text, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imgcli.core.events import Json


_COUNTS = ("input_tokens", "output_tokens", "reasoning_tokens", "total_tokens")


def summed(usages: Iterable[Mapping[str, Any]]) -> tuple[str | None, dict[str, Any] | None]:
    """Return the model and the counts of all SVGs of a response, None for none.

    Where several models wrote them, none is named: their prices differ. A count that one lacks is left out.
    """
    found = list(usages)
    if not found:
        return None, None
    models = {as_text(usage.get("model")) for usage in found}
    counts = {name: [count(usage.get(name)) for usage in found] for name in _COUNTS}
    known = {name: values for name, values in counts.items() if None not in values}
    return models.pop() if len(models) == 1 else None, {
        name: sum(value or 0 for value in values) for name, values in known.items()
    }


def as_text_usage(usage: Json | None) -> Json:
    """Return the counts as those of a text model, whose output includes its reasoning.

    The specification (SDK 3.57.0) does not say whether it does here; the total does.
    """
    tokens_in, tokens_out, reasoning, total = (count((usage or {}).get(name)) for name in _COUNTS)
    if (
        tokens_in is not None
        and tokens_out is not None
        and total == tokens_in + tokens_out + (reasoning or 0)
    ):
        tokens_out += reasoning or 0
    return {"input_tokens": tokens_in, "output_tokens": tokens_out}

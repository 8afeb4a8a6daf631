"""The spelling of an option in a sentence.

Below `cli` only this file knows: elsewhere an option has its long name (`max-cost`), so that a file or a page
can spell it otherwise.
"""

from __future__ import annotations

_SHORT = {"output": "-o", "model": "-m", "image": "-i"}


def option(name: str, value: object = None, *, short: bool = False) -> str:
    """Return an option as it is typed: `--size`, `--size auto`, `-m gpt-5.6`.

    The output is `-o` wherever it is named.
    """
    spelled = _SHORT[name] if short or name == "output" else f"--{name}"
    return spelled if value is None else f"{spelled} {value}"

"""Variables and their values, and the images that a prompt with variables expands to."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from typing import TYPE_CHECKING

from imgcli.core.config import PLACEHOLDER
from imgcli.core.errors import usage_error
from imgcli.core.option import option
from imgcli.core.template import ImageTemplate, Picker, Template, Variable, expand, parse_variable
from imgcli.core.text import shorten, slug
from imgcli.store.files import read_named
from imgcli.store.publish.naming import FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.core.config import Preset
    from imgcli.core.template import Expansion


_LARGEST = 16 << 20
_NAME_LENGTH = 60


def parse_variables(texts: Sequence[str]) -> tuple[Variable, ...]:
    """Parse the values of the option, files of values included. Raises `ImgcliError` (usage)."""
    found = tuple(parse_variable(text, _read_lines) for text in texts)
    for name, count in Counter(one.name for one in found).items():
        if count > 1:
            once = option("var", f"{name}=a,b")
            raise usage_error(
                f"{option('var', name)} is given twice.", f"Write all its values at once: {once}"
            )
        if name in FIELDS:
            fields = f"a field of {option('output')}: {', '.join(FIELDS)}"
            what = f"{option('var', name)} has the name of {fields}."
            raise usage_error(what, "Give the variable another name.")
    return found


def _read_lines(name: str) -> list[str]:
    data, _ = read_named(
        name, _LARGEST, f"Name a text file with one value a line: {option('var', 'animal=@animals.txt')}"
    )
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        shown = shorten(name, _NAME_LENGTH)
        raise usage_error(f"Line {line} of {shown}: This is not UTF-8 text.", "Save it as UTF-8.") from None


def check_used(variables: Sequence[Variable], used: set[str]) -> None:
    """Raise `ImgcliError` (usage) for a variable that nothing uses: its name has a typo."""
    for one in variables:
        if one.name not in used:
            shown = option("var", shorten(one.name, _NAME_LENGTH))
            what = f"{shown} is used by no prompt and no output name."
            raise usage_error(what, f"Write {{{one.name}}} where its values are to be.")


def expand_prompt(
    prompt: str, output: str | None, variables: Sequence[Variable], seed: str, frame: str = PLACEHOLDER
) -> list[Expansion]:
    """Return the images that one prompt and one output name stand for, in the order of the values.

    `seed` decides what `{name|choice}` picks. `frame` is what presets put around the prompt. Raises
    `ImgcliError` (usage).
    """
    names = frozenset(one.name for one in variables)
    typed = Template.parse(prompt, names)
    name = Template.parse(output, names, FIELDS) if output else None
    image = ImageTemplate.framed(typed, name, frame, names)
    check_used(variables, {*image.products, *image.choices})
    counts = Counter[str]()

    def position(alike: str) -> int:
        counts[alike] += 1
        return counts[alike]

    values = {one.name: one.values for one in variables}
    return list(expand(image, values, Picker(seed), position, slug))


def frame_of(presets: Sequence[Preset]) -> str:
    """Return what presets together put around a prompt, the first one innermost."""
    return reduce(lambda frame, preset: preset.apply(frame), presets, PLACEHOLDER)

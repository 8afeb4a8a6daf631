"""Templates: `{name}` and `{name|choice}` in a prompt or an output name, and the values that fill them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from hashlib import sha256
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple, Self

from imgcli.core.config import PLACEHOLDER
from imgcli.core.errors import usage_error
from imgcli.core.option import option
from imgcli.core.text import shorten, similar_names
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence


MOST_EXPANSIONS = 1_000_000
"""The most images that one template may stand for; more is a mistake."""

_TOKEN = regex(r"\{\{([^{}]*)\}\}|\{\{|\{([^{}\n]+)\}")
_WORD = regex(r"[^\W\d][\w -]{0,59}")
_CHOICE = "choice"
_FRAME = 1 << 20
"""Added to the places of a frame's placeholders: more than a prompt has."""
_NAME_LENGTH = 60


class Placeholder(NamedTuple):
    """A name in a template; with `is_choice` one of its values is picked for each image.

    `place` tells the choices of one text apart.
    """

    name: str
    is_choice: bool = False
    place: int = 0


class Template(NamedTuple):
    """A text in which declared names are filled; `raw` is the text as it was written.

    Every value of a name in `products` makes an image of its own; of one in `choices` a value is picked.
    """

    raw: str
    parts: tuple[str | Placeholder, ...]
    products: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, names: Collection[str], reserved: Collection[str] = ()) -> Template:
        """Parse a text in which only `names` are placeholders; everything else stays as it is.

        `{{` is a brace, but only where names are declared at all: a prompt may hold JSON. `reserved` names
        are the fields of an output name, which are filled later, and have no `{{`. Raises `ImgcliError`
        (usage) for what is probably a typo of a declared name.
        """
        if not names or "{" not in text:
            return cls(text, (text,) if text else ())
        parts, start = list[str | Placeholder](), 0
        for found in _TOKEN.finditer(text):
            part = _part(found, names, reserved)
            parts += [text[start : found.start()], part]
            start = found.end()
        found_names = [part for part in parts if isinstance(part, Placeholder)]
        products = dict.fromkeys(one.name for one in found_names if not one.is_choice)
        choices = dict.fromkeys(one.name for one in found_names if one.is_choice)
        parts = [part for part in (*parts, text[start:]) if part]
        placed = (
            part if isinstance(part, str) else part._replace(place=place) for place, part in enumerate(parts)
        )
        return cls(text, tuple(placed), tuple(products), tuple(choices))

    def framed_by(self, frame: str, place: str, names: Collection[str]) -> Template:
        """Return a template that has `place`, with this one wherever it does, as presets frame a prompt.

        The same choices are picked for this one inside as alone. Raises `ImgcliError` (usage).
        """
        around = [Template.parse(piece, names) for piece in frame.split(place)]
        parts = list(around[0].renumbered(_FRAME).parts)
        for number, piece in enumerate(around[1:], 2):
            parts += [*self.parts, *piece.renumbered(number * _FRAME).parts]
        products = dict.fromkeys(name for one in (self, *around) for name in one.products)
        choices = dict.fromkeys(name for one in (self, *around) for name in one.choices)
        raw = frame.replace(place, self.raw)
        return Template(raw, tuple(parts), tuple(products), tuple(choices))

    def renumbered(self, places: int) -> Template:
        """Return this with other numbers for its placeholders."""
        parts = (
            part if isinstance(part, str) else part._replace(place=part.place + places) for part in self.parts
        )
        return self._replace(parts=tuple(parts))

    def fill(self, values: Mapping[str, str], pick: Callable[[str, int], str]) -> str:
        """Return the text with its values; `pick` chooses for a name and the number of the place."""
        return "".join(
            [
                part
                if isinstance(part, str)
                else pick(part.name, part.place)
                if part.is_choice
                else values[part.name]
                for part in self.parts
            ]
        )


def _part(found: re.Match[str], names: Collection[str], reserved: Collection[str]) -> str | Placeholder:
    """Return what stands for one pair of braces."""
    whole, inside = found[0], found[2]
    if inside is None:
        if reserved:
            return whole
        return "{" if found[1] is None else f"{{{found[1]}}}"
    name, bar, how = inside.partition("|")
    name = normal_name(name)
    if name in reserved and not bar:
        return whole
    if name in names:
        if not bar or how.strip() == _CHOICE:
            return Placeholder(name, is_choice=bool(bar))
        what = f"{shorten(whole, _NAME_LENGTH)} is not known: after the name there can only be |{_CHOICE}."
        raise usage_error(what, f"Write {{{name}|{_CHOICE}}} to pick one value for each image.")
    if _WORD.fullmatch(name) and (meant := similar_names(name, names)):
        escape = "" if reserved else f" For the text itself, write {{{shorten(whole, _NAME_LENGTH)}."
        raise usage_error(
            f"Nothing declares {shorten(whole, _NAME_LENGTH)}.",
            f"Did you mean {' or '.join(f'{{{one}}}' for one in meant)}?{escape}",
        )
    return whole


def normal_name(name: str) -> str:
    """Return a name as it is compared: without spaces around it, composed as keyboards type it."""
    name = name.strip()
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class Variable(NamedTuple):
    """A name with its values."""

    name: str
    values: tuple[str, ...]


def parse_variable(text: str, read_lines: Callable[[str], list[str]]) -> Variable:
    r"""Parse `name=a,b,c` (a comma in a value is `\,`) or `name=@file`, whose values are a line each.

    `read_lines` returns a file's lines. Raises `ImgcliError` (usage).
    """
    name, equals, rest = text.partition("=")
    name, shown = normal_name(name), shorten(text, _NAME_LENGTH)
    if not equals or not name:
        raise usage_error(
            f"{option('var')} must be name=value,value, not {shown or 'nothing'}.", "Try animal=cat,dog."
        )
    if not _WORD.fullmatch(name):
        raise usage_error(
            f"{option('var', shown)} has no valid name: a letter, then letters, digits, - or _."
        )
    if rest.startswith("@"):
        values = [line for line in map(str.strip, read_lines(rest[1:])) if line]
    else:
        values = [value.replace("\\,", ",").strip() for value in re.split(r"(?<!\\),", rest)]
    if not values or "" in values:
        what = "has no values" if not any(values) else "has an empty value"
        raise usage_error(
            f"{option('var', shown)} {what}.",
            rf"Write {option('var', 'animal=cat,dog')}; a comma in a value is \,",
        )
    if len(set(values)) < len(values):
        repeated = next(value for value, count in Counter(values).items() if count > 1)
        raise usage_error(f"{option('var', name)} has the value {shorten(repeated, _NAME_LENGTH)} twice.")
    return Variable(name, tuple(values))


class Picker(NamedTuple):
    """Picks a value by chance, and the same one whenever it is asked again with the same seed."""

    seed: str

    def pick(self, values: Sequence[str], *position: object) -> str:
        """Pick the value for one image's place in a template."""
        # Not `random`: what a seed means must stay the same in every version of Python.
        text = "\0".join(map(str, (self.seed, *position)))
        return values[int.from_bytes(sha256(text.encode("utf-8", "replace")).digest()[:8]) % len(values)]


class Expansion(NamedTuple):
    """One image that a template stands for: its prompt and its output name.

    `typed` is the prompt without the presets that frame it, None where there are none.
    """

    prompt: str
    output: str | None = None
    typed: str | None = None


class ImageTemplate(NamedTuple):
    """What images are made of: the prompt and the output name; `typed` is the prompt without presets."""

    prompt: Template
    output: Template | None = None
    typed: Template | None = None

    @classmethod
    def framed(cls, typed: Template, output: Template | None, frame: str, names: Collection[str]) -> Self:
        """Return a prompt that was typed within the frame of presets. Raises `ImgcliError` (usage)."""
        if frame == PLACEHOLDER:
            return cls(typed, output)
        return cls(typed.framed_by(frame, PLACEHOLDER, names), output, typed)

    @property
    def products(self) -> tuple[str, ...]:
        """The names whose every value makes an image of its own."""
        others = self.output.products if self.output else ()
        return tuple(dict.fromkeys((*self.prompt.products, *others))) if others else self.prompt.products

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of which a value is picked."""
        return (*self.prompt.choices, *self.output.choices) if self.output else self.prompt.choices


def expand(
    image: ImageTemplate,
    variables: Mapping[str, Sequence[str]],
    picker: Picker,
    position: Callable[[str], int],
    safe: Callable[[str], str] = str,
) -> Iterator[Expansion]:
    """Yield an image for every combination of the values that prompt and output name use.

    The first variable changes slowest. A `|choice` depends on the seed, on the image's other values, and on
    `position`, which counts the images that are alike but for their choices; so a row that is added before
    it changes nothing. `safe` makes a value fit for a file name. Raises `ImgcliError` (usage) for too many.
    """
    names = image.products
    if prod(len(variables[name]) for name in names) > MOST_EXPANSIONS:
        raise usage_error(f"The variables make more than {MOST_EXPANSIONS:,} images of one prompt.")
    has_choices = bool(image.choices)
    for combination in product(*(variables[name] for name in names)):
        values = dict(zip(names, combination, strict=True))
        alike, number = "", 0
        if has_choices:
            alike = "\0".join((image.prompt.raw, image.output.raw if image.output else "", *combination))
            number = position(alike)

        def pick(name: str, place: int, alike: str = alike, number: int = number) -> str:
            return picker.pick(variables[name], alike, number, name, place)

        def pick_safe(name: str, place: int, pick: Callable[[str, int], str] = pick) -> str:
            return safe(pick(name, place))

        output = None
        if image.output is not None:
            output = image.output.fill({name: safe(value) for name, value in values.items()}, pick_safe)
        typed = image.typed and image.typed.fill(values, pick)
        yield Expansion(image.prompt.fill(values, pick), output, typed)

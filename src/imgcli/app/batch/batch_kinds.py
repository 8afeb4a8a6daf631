"""The distinct sets of options in a batch: each is converted, checked and hashed once."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from imgcli.app.inputs import InputImages, InputNames, read_inputs
from imgcli.app.lookup import is_last
from imgcli.app.plan import RequestPlan
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.image import ImageFormat
from imgcli.core.inherit import OptionSources
from imgcli.core.option import option
from imgcli.core.params import MODEL_FIELDS, PARAMETERS, UNSET
from imgcli.core.text import is_encodable
from imgcli.core.validate import validate
from imgcli.regex import regex
from imgcli.store.input_images import STDIN
from imgcli.store.publish.naming import STDOUT, NameFields, OutputTarget, current_folder, format_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.app.batch.batch_input import BatchInput
    from imgcli.app.batch.batch_plan import RowOptions
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.request import DraftRequest, ImageRequest


LONG_PROMPT = 32_000
"""Characters; a prompt of more is checked in full."""

_LARGEST_PROMPT = 256 * 1024  # bytes, as of a prompt in a file
_IMAGE, _MASK, _MARKUP = "image", "mask", "markup"
_NO_SOURCES = OptionSources(frozenset(), frozenset())
_PLAIN_NAME = regex(r"[^{}~-][^{}]*\.(?:png|jpe?g|webp|gif|svg)")
"""Output names in which nothing can be wrong."""


class CommonError(ImgcliError):
    """An error in what the command line says about all rows."""


class BatchKinds:
    """The distinct sets of options, each converted, checked and hashed once."""

    def __init__(self, context: Context, given: BatchInput, rows: RowOptions) -> None:
        self._context, self._given, self._rows = context, given, rows
        self._models, self._today, self._folder = context.models, context.now().date(), current_folder()
        self._made: list[GenerateOptions] = []
        self._requests: list[ImageRequest] = []
        self.digests: list[str] = []
        self._numbers: dict[object, int | ImgcliError] = {}
        self._paths: dict[str, str | ImgcliError] = {}
        self._plans: dict[object, RequestPlan] = {}

    @property
    def options(self) -> tuple[GenerateOptions, ...]:
        """The options of each kind."""
        return tuple(self._made)

    @property
    def requests(self) -> tuple[ImageRequest, ...]:
        """What validation made of each."""
        return tuple(self._requests)

    def number(self, cells: dict[str, Any], output: str | None) -> int:
        """Return the number of a row's kind. Raises `ImgcliError` (usage)."""
        key = _hashable(cells), output and format_of_name(output)
        found = self._numbers.get(key)
        if found is None:
            try:
                found = self._make(cells, output)
            except ImgcliError as error:
                found = self._fault(error, cells, output)
            self._numbers[key] = found
        if isinstance(found, ImgcliError):
            raise found
        return found

    def path(self, output: str) -> str:
        """Return an output name with `~` expanded. Raises `ImgcliError` (usage) for what cannot be a name."""
        if _PLAIN_NAME.fullmatch(output) and output.isprintable():
            return output
        found = self._paths.get(output)
        if found is None:
            found = os.path.expanduser(output)  # noqa: PTH111 - a slash at the end counts
            try:
                if output == STDOUT:
                    folder = option("output", "images/")
                    raise usage_error(
                        "A batch cannot write to standard output.", f"Choose a folder: {folder}"
                    )
                fields = NameFields("a", "a", "a", self._context.now())
                OutputTarget.of(found, fields, self._folder)
            except ImgcliError as error:
                found = self._fault(error, {}, output)
            self._paths[output] = found
        if isinstance(found, ImgcliError):
            raise found
        return found

    def _fault(self, error: ImgcliError, cells: Mapping[str, Any], output: str | None) -> ImgcliError:
        """Return an error of a row. Raises `CommonError` where no row is to blame, but the command line."""
        if not cells and output == self._given.output:
            raise CommonError(error.problem)
        names = {*cells, *([] if output == self._given.output else ["output"])}
        return ImgcliError(self._rows.explained(error.problem, names))

    def check_prompt(self, prompt: str, kind: int) -> None:
        """Check a prompt that is not plain. Raises `ImgcliError` (usage)."""
        if "\0" in prompt:
            raise usage_error("The prompt holds a NUL character.")
        if not is_encodable(prompt):
            raise usage_error("The prompt holds half a character (a lone surrogate).", "Write it as UTF-8.")
        if len(prompt) > LONG_PROMPT or not prompt.strip():
            validate(replace(self._made[kind].draft, prompt=prompt), self._models, self._today)
        if len(prompt.encode()) > _LARGEST_PROMPT:
            raise usage_error(f"The prompt is longer than {_LARGEST_PROMPT // 1024} kB.", "Shorten it.")

    def _make(self, cells: Mapping[str, Any], output: str | None) -> int:
        """Make a kind and return its number. Raises `ImgcliError` (usage)."""
        values: dict[str, Any] = {name: self._rows.convert(name, value) for name, value in cells.items()}
        usual = {_IMAGE: self._given.images, _MASK: self._given.mask, _MARKUP: self._given.markup}
        images, mask, markup = (values.pop(name, default) for name, default in usual.items())
        options = self._rows.options(values, None if output == STDOUT else output)
        plan = self._inputs((*images,), mask, markup)
        draft = plan.inherit(options.draft, _NO_SOURCES, self._today).draft
        if draft.partials is None:
            draft = replace(draft, partials=0)  # nobody watches each of a thousand images arrive
        valid = validate(draft, self._models, self._today)
        presets = tuple(preset.name for preset in self._given.presets)
        draft = replace(draft, prompt="", presets=presets)
        self._made.append(
            replace(options, draft=draft, parents=plan.parents, notices=(*options.notices, *plan.notices))
        )
        self._requests.append(replace(valid.request, presets=presets))
        server = options.server
        self.digests.append(_digest(draft, server.name(self._context.env), server.seed))
        return len(self._made) - 1

    def _inputs(self, images: tuple[str, ...], mask: str | None, markup: str | None) -> RequestPlan:
        """Read the input images, and forget their bytes: a batch may have thousands of them."""
        names = images, mask, markup
        if names not in self._plans:
            if STDIN in images:
                raise usage_error("A batch cannot read an image from standard input.", "Name a file.")
            if moving := next((name for name in (*images, mask, markup) if name and is_last(name)), None):
                # The batch makes images itself: continued, all of its rows would be others, and paid again.
                what = f"{moving} would be another image when the batch is continued."
                raise usage_error(what, "Name the file, or the id of its run, which `imgcli history` shows.")
            given = InputNames(["a"], None, [*images] or None, mask, markup)
            found, notes = read_inputs(self._context, given)[1:]
            references = tuple(replace(one, data=None) for one in found.references)
            overlays = (one and replace(one, data=None) for one in (found.mask, found.markup))
            self._plans[names] = RequestPlan("a", InputImages(references, *overlays), notices=notes)
        return self._plans[names]


def _hashable(cells: Mapping[str, Any]) -> object:
    """Return a row's options as a key; rows of a file mostly have theirs in the same order."""
    if not cells:
        return ()
    # True and 1 are equal, and mean different things to an option.
    return tuple((name, repr(value) if type(value) is not str else value) for name, value in cells.items())


_IDENTIFYING = (
    *("count", *MODEL_FIELDS),
    *(one.name for one in PARAMETERS if one.changes_image and one.name != "format"),
)


def _digest(draft: DraftRequest, server: str | None, seed: int | None) -> str:
    """Return the hash of all that makes an image another one, but for the prompt.

    What was asked counts, not what it is filled up to: a default that changes with the calendar, or with
    another version, must not send a finished batch again. Partial images and streaming do not change the
    image. What is not set is left out, so that a later parameter changes no earlier hash.
    """
    asked: dict[str, object] = {name: getattr(draft, name) for name in _IDENTIFYING}
    images = [one.sha256 or one.url for one in draft.references]
    image_format = draft.format or draft.name_format
    # An output name that ends in .png asks for what comes anyway.
    asked |= {"format": None if image_format is ImageFormat.PNG else image_format}
    asked |= {"server": server, "seed": seed}
    overlays = {"mask": draft.mask, "markup": draft.markup}
    asked |= {"images": images or None, **{name: one and one.sha256 for name, one in overlays.items()}}
    known = {name: value for name, value in asked.items() if value not in UNSET}
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

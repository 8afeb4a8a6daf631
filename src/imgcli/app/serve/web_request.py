"""Parses a web client's request into the options of a run, on top of the server's own."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgcli.app.generate import prepare_one
from imgcli.app.inputs import InputImages
from imgcli.app.lookup import open_history
from imgcli.app.options import DisplayOptions, OutputFormat
from imgcli.app.plan import RequestPlan, again_of, edit_of
from imgcli.app.preview_options import PreviewMode, PreviewOptions
from imgcli.app.serve.web_gallery import find_image
from imgcli.app.source_image import source_of
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.history import FileStatus
from imgcli.core.inherit import OptionSources
from imgcli.core.option import option
from imgcli.core.params import EXTRA, MODEL_FIELDS, PARAMETERS, UNSET, InlineImages, PreviewProtocol
from imgcli.core.text import did_you_mean, shorten, similar_names
from imgcli.core.validate import MAX_REFERENCES
from imgcli.store.image_facts import saved_image_status
from imgcli.store.input_images import LARGEST, read_reference, uploaded_image, uploaded_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcli.app.batch.batch_plan import RowOptions
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.app.source_image import SourceImage
    from imgcli.core.config import Preset
    from imgcli.core.errors import Problem
    from imgcli.core.request import ImageRequest, InputImage


SETTABLE = (
    *("model", "image-model"),
    *(parameter.flag for parameter in PARAMETERS if parameter.name != EXTRA),
    *("partials", "api"),
)
"""The options that a request may set: none that names a file, a server, a record or a limit, and no fields of
the API that we do not know."""
_PROMPT, _IMAGES, _MASK, _EDIT, _AGAIN = "prompt", "images", "mask", "edit", "again"
_FIELDS = {parameter.flag: parameter.name for parameter in PARAMETERS} | {"image-model": "image_model"}
"""Options whose names a draft spells otherwise."""
_API_NAMES = {
    **{
        parameter.api_name.replace("_", "-"): parameter.flag for parameter in PARAMETERS if parameter.api_name
    },
    "partial-images": "partials",
    "image": _IMAGES,
}
"""Names that OpenAI's API has for the same."""
_LONGEST_NAME = 60
_DATA, _BASE64, _HISTORY = "data:", ";base64,", "sha256:"
_SENT = "Send it as a data URL (data:image/png;base64,...) or as base64."


class WebRequests:
    """Turns requests into options.

    `rows` converts values as the command line does; `output` is where its images are saved, None for the
    current folder.
    """

    def __init__(
        self, context: Context, rows: RowOptions, output: str | None, presets: Sequence[Preset] = ()
    ) -> None:
        self._context = context
        self._rows = rows
        self._output = output
        self._presets = presets

    def defaults(self) -> GenerateOptions:
        """Return the options of a request that sets nothing. Raises `ImgcliError` (usage)."""
        return replace(self._rows.options({}, self._output), display=_DISPLAY)

    def options(self, given: Mapping[str, Any]) -> GenerateOptions:
        """Return the options of a run. Raises `ImgcliError` (usage)."""
        values = self._named(given)
        begun = {name: values.pop(name, None) for name in (_PROMPT, _IMAGES, _MASK, _EDIT, _AGAIN)}
        own = {name: self._rows.convert(name, value) for name, value in values.items()}
        options = self._rows.options(own, self._output)
        server = options.server.name(self._context.env)
        plan = self._plan(begun, server).with_presets(self._presets, are_typed=False)
        typed = frozenset(_FIELDS.get(name, name) for name in own)
        usual = frozenset(name for name in MODEL_FIELDS if getattr(options.draft, name) not in UNSET)
        sources = OptionSources(typed, usual - typed)
        inherited = plan.inherit(options.draft, sources, self._context.now().date())
        return replace(
            options,
            draft=inherited.draft,
            output=replace(options.output, title=plan.title),
            display=_DISPLAY,
            notices=(*options.notices, *plan.notices, *inherited.notices),
            parents=plan.parents,
        )

    def request(self, given: Mapping[str, Any]) -> ImageRequest:
        """Return what would be sent; without a prompt a short one stands for it. Raises `ImgcliError`."""
        given = {**given, _PROMPT: given.get(_PROMPT) or "a"}
        try:
            options = replace(self.options(given), dry_run=True)
            return prepare_one(self._context, options, "").valid.request
        except ImgcliError as error:
            raise ImgcliError(self.explained(error.problem, given)) from None

    def explained(self, problem: Problem, given: Mapping[str, Any]) -> Problem:
        """Return a problem of a request in words that fit it: its parameters have no dashes."""
        problem = self._rows.explained(problem, [_own_name(told) for told in given])
        return replace(problem, what=_without_dashes(problem.what), advice=_without_dashes(problem.advice))

    def _named(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values by our names. Raises `ImgcliError` (usage) for what a request cannot set."""
        values: dict[str, Any] = {}
        known = (_PROMPT, _IMAGES, _MASK, _EDIT, _AGAIN, *SETTABLE)
        for told, value in given.items():
            name = _own_name(told)
            shown = shorten(told, _LONGEST_NAME)
            if name not in known:
                raise self._unknown(name, shown, known)
            if name in values:
                raise usage_error(f"{shown} is given twice.")
            values[name] = value
        return values

    def _unknown(self, name: str, shown: str, known: Sequence[str]) -> ImgcliError:
        if not name:
            return usage_error("A parameter has no name.")
        if name in self._rows.names or self._rows.refusal(name):
            return usage_error(f"A request cannot set {shown}: it holds for the whole server.")
        advice = did_you_mean(similar_names(name, known)[:1]) or f"There are {', '.join(known)}."
        return usage_error(f"There is no parameter {shown}.", advice)

    def _plan(self, begun: Mapping[str, Any], server: str | None) -> RequestPlan:
        """Return what is asked for: a new image, or one of the history changed or made again.

        Raises `ImgcliError` (usage).
        """
        prompt, edited, repeated = (begun[name] for name in (_PROMPT, _EDIT, _AGAIN))
        if not isinstance(prompt, str) or not prompt.strip():
            raise usage_error("prompt must be text.")
        if repeated is None:
            images = self._images(begun[_IMAGES], begun[_MASK], is_edit=edited is not None)
            if edited is None:
                return RequestPlan(prompt, images)
            return edit_of(self._source(edited), server, prompt, images)
        if any(begun[name] is not None for name in (_IMAGES, _MASK, _EDIT)):
            raise usage_error("again uses the images of the earlier run; leave image out.")
        plan = again_of(self._context, self._source(repeated), server, f"run {repeated}")
        # A text field has line breaks of its own.
        is_same = prompt.replace("\r\n", "\n") == plan.prompt.replace("\r\n", "\n")
        return plan if is_same else plan.with_prompt(prompt)

    def _source(self, name: object) -> SourceImage:
        """Return an image of the history by its id in the gallery, never by a path. Raises `ImgcliError`."""
        with open_history(self._context) as history:
            found = find_image(history, str(name)[:_LONGEST_NAME])
        if found is None:
            raise usage_error(f"The history has no image {shorten(str(name), _LONGEST_NAME)}.")
        entry, image = found
        return source_of(self._context, entry, image.sha256)

    def _images(self, images: object, mask: object, *, is_edit: bool) -> InputImages:
        """Return the images that go out beside the prompt. Raises `ImgcliError` (usage)."""
        given = images if isinstance(images, list) else [] if images is None else [images]
        if len(given) > MAX_REFERENCES:
            raise usage_error(f"{len(given)} images are more than the {MAX_REFERENCES} that can be sent.")
        if mask is not None and not given and not is_edit:
            raise usage_error("mask needs an image.", "Add it as the first of images.")
        references = tuple(self._image(f"image {number}", one) for number, one in enumerate(given, 1))
        return InputImages(
            references, None if mask is None else uploaded_mask("mask", _decoded("mask", mask))
        )

    def _image(self, name: str, value: object) -> InputImage:
        """Return an image that was sent, or one of the history by its SHA-256. Raises `ImgcliError`."""
        if isinstance(value, str) and value.startswith(_HISTORY):
            return self._earlier(name, value.removeprefix(_HISTORY))
        return uploaded_image(name, _decoded(name, value))

    def _earlier(self, name: str, sha256: str) -> InputImage:
        """Return an image of the history, read from its file. Raises `ImgcliError` (usage)."""
        with open_history(self._context) as history:
            entry = history.find_sha256(sha256)
        for image in entry.images if entry else ():
            if image.sha256 == sha256 and saved_image_status(image).state is FileStatus.THERE:
                return read_reference(str(image.path), self._context.stdin.buffer)
        raise usage_error(f"{name} is not in the history, or its file is gone or was changed.", _SENT)


def _decoded(name: str, value: object) -> bytes:
    """Return the bytes of an image that was sent. Raises `ImgcliError` (usage)."""
    if not isinstance(value, str):
        raise usage_error(f"{name} must be text.", _SENT)
    text = value
    if value[: len(_DATA)].lower() == _DATA:
        head, comma, text = value.partition(",")
        if not comma or not f"{head.lower()},".endswith(_BASE64):
            raise usage_error(f"{name} is a data URL without base64.", _SENT)
    elif "://" in value[:_LONGEST_NAME]:
        raise usage_error(f"{name} is an address, and imgcli fetches none.", _SENT)
    if len(text) > LARGEST * 4 // 3 + 4:
        raise usage_error(f"{name} is larger than {LARGEST >> 20} MB.", "Make the image smaller.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise usage_error(f"{name} is not base64.", _SENT) from None


def _without_dashes(text: str) -> str:
    """Return a text about options with those that are parameters of a request named like that.

    A command line that is advised becomes the parameter that it is about.
    """
    for name in (*SETTABLE, "image", _MASK):
        spelled = "|".join({option(name), option(name, short=name in {"model", "image"})})
        text = re.sub(
            rf"(?:imgcli gen (?:\.\.\. )?)?(?<![\w-])(?:{spelled})(?![\w-])(?: FILE \.\.\.)?", name, text
        )
    return text


def _own_name(told: str) -> str:
    name = told.replace("_", "-")
    return _API_NAMES.get(name, name)


_DISPLAY = DisplayOptions(
    OutputFormat.JSON_LINES,
    InlineImages.INLINE,
    PreviewOptions(PreviewProtocol.OFF, PreviewMode.PLAIN),
)
"""How a run is shown as JSON lines to a program: with its images, and so with partial ones."""

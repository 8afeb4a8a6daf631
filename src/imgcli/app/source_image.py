"""The image that a new one starts from: its file, and how it was made."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app.lookup import Lookup, open_history
from imgcli.core.embedded import read as read_parameters
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.image import EncodedImage
from imgcli.core.inherit import PreviousOptions
from imgcli.core.params import DEMO
from imgcli.core.text import clean, shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex
from imgcli.store.input_images import STDIN, read_bytes, read_reference, reference_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.core.embedded import EmbeddedParameters
    from imgcli.core.history import HistoryEntry, SavedImage
    from imgcli.core.request import InputImage


_EDITED = regex(r"-edit(-[0-9]+)?$")
_LONGEST_STEM = 200
"""Bytes of a file's name that its edits keep, so that there is room for what is added."""
_SHOWN = 60
_WHERE = "Name the file where it is now."


@dataclass(frozen=True)
class SourceImage:
    """An earlier image: its file, and what the history knows of it by its bytes.

    `reference` is None where the file cannot be sent, and `unsendable` says why. `sha256` is None where there
    is no image to name; `path` is where it is or was. `parameters` are what the file adds to a run whose
    request cannot be read. `foreign_parameters` stand in a file that the history does not know: anybody may
    have written them, so nothing is taken over unasked. `continued` is a run that went on from the image,
    where the run that brought it is not known.
    """

    reference: InputImage | None
    sha256: str | None
    entry: HistoryEntry | None = None
    parameters: EmbeddedParameters | None = None
    foreign_parameters: EmbeddedParameters | None = None
    continued: HistoryEntry | None = None
    path: str | None = None
    unsendable: ImgcliError | None = None
    notices: tuple[str, ...] = ()

    def conversation(self, server: str | None) -> str | None:
        """Return the id of the response that brought it, where the server at `server` may still know it.

        Only the history tells it. None for what the demo painted, which forgets everything when it ends,
        and where a response brought several images: nobody could say which of them is meant.
        """
        if server is None or server == DEMO:
            return None
        if self.entry:
            is_single = len(self.entry.images) == 1
            return self.entry.response_id if is_single and self.entry.endpoint == server else None
        if self.continued and self.continued.request and self.continued.endpoint == server:
            return self.continued.request.previous_response_id
        return None

    @property
    def previous_options(self) -> PreviousOptions:
        """How it was made; nothing is known of most images."""
        if self.entry and self.entry.request:
            return PreviousOptions.of_request(self.entry.request, self.entry.endpoint)
        return PreviousOptions.of_embedded(self.parameters) if self.parameters else PreviousOptions()

    @property
    def edited_name(self) -> str | None:
        """Name the result after the file: `a-cat-edit`, also when that was an edit; None for no file."""
        if self.path is None:
            return None
        stem = _EDITED.sub("", clean(Path(self.path).stem))
        return stem.encode()[:_LONGEST_STEM].decode(errors="ignore") + "-edit"


def find_source(context: Context, name: str, words: Sequence[str] = ()) -> SourceImage:
    """Find an image, or a run, by its file, its id or its former name. Raises `ImgcliError` (usage).

    A file is enough: a history that cannot be read is a notice then. `words` are what was typed after it.
    """
    if name == STDIN:
        return _from_stdin(context)
    try:
        with ExitStack() as stack:
            match = Lookup.opened(context, stack).find(name)
    except ImgcliError as error:
        raise _hint_order(error, name, words) from None
    if match.entry and not match.file:
        return _with_notices(match.notes, source_of(context, match.entry, match.sha256))
    data = read_bytes(name, context.stdin.buffer)
    if EncodedImage.of(data).sha256 != match.sha256:
        raise usage_error(f"{shorten(name, _SHOWN)} changed while it was being read.", "Run it again.")
    return _of_bytes(name, data, SourceImage(None, match.sha256, match.entry, notices=match.notes))


def _hint_order(error: ImgcliError, name: str, words: Sequence[str]) -> ImgcliError:
    """Add what comes first, for who wrote the prompt before the file."""
    last = words[-1] if words else ""
    if os.path.lexists(name) or not os.path.isfile(last):  # noqa: PTH113 - Path.is_file raises where this is False
        return error
    shown = shorten(last, _SHOWN)
    return usage_error(error.problem.what, f"The file goes first, then the prompt: {shown} PROMPT")


def _from_stdin(context: Context) -> SourceImage:
    data = read_bytes(STDIN, context.stdin.buffer)
    sha256 = EncodedImage.of(data).sha256
    with ExitStack() as stack:
        lookup = Lookup.opened(context, stack)
        entry = lookup.producer(sha256)
    return _of_bytes(STDIN, data, SourceImage(None, sha256, entry, notices=lookup.notes))


def last_source(context: Context, server: str | None) -> SourceImage:
    """Find the last image that this user was sent from a server. Raises `ImgcliError` (usage)."""
    with open_history(context) as history:
        entry = history.latest(server)
    if entry is None:
        raise usage_error(
            f"The history has no earlier image of {server or 'this server'} to continue.",
            "Name an image instead: imgcli edit FILE PROMPT",
        )
    source = source_of(context, entry)
    name = shorten(Path(source.path).name, _SHOWN) if source.path else "an image that was not saved"
    return _with_notices((f"continuing from {name} (run {entry.number})",), source)


def source_of(context: Context, entry: HistoryEntry, sha256: str | None = None) -> SourceImage:
    """Return a run's image with these bytes, or its first, with its file where that still holds it."""
    chosen = [one for one in entry.images if one.sha256 == sha256]
    image = next(iter([*chosen, *entry.saved, *entry.images]), None)
    if image is None:
        what = f"Run {entry.number} produced no image ({entry.outcome})."
        return SourceImage(None, None, entry, unsendable=usage_error(what, "Choose another: imgcli history"))
    path = str(image.path) if image.path else None
    source = SourceImage(None, image.sha256, entry, path=path)
    if path and not chosen and len(entry.images) > 1:
        notice = f"run {entry.number} produced {len(entry.images)} images; using {Path(path).name}"
        source = replace(source, notices=(notice,))
    try:
        return replace(source, reference=_read(context, entry, image))
    except ImgcliError as error:  # the conversation may do without it
        return replace(source, unsendable=error)


def _read(context: Context, entry: HistoryEntry, image: SavedImage) -> InputImage:
    """Read a run's image again. Raises `ImgcliError` (usage) where it is not there any more."""
    if image.path is None:
        raise usage_error(
            f"The image of run {entry.number} was not saved, and there is no conversation to continue."
        )
    try:
        reference = read_reference(str(image.path), context.stdin.buffer)
    except ImgcliError as error:
        raise usage_error(error.problem.what, error.problem.advice or _WHERE) from None
    if reference.sha256 != image.sha256:
        shown = shorten(str(image.path), _SHOWN * 3)
        raise usage_error(f"{shown} is no longer the image of run {entry.number}.", _WHERE)
    return reference


def _with_notices(notes: tuple[str, ...], source: SourceImage) -> SourceImage:
    return replace(source, notices=(*notes, *source.notices))


def _of_bytes(name: str, data: bytes, source: SourceImage) -> SourceImage:
    """Add what these bytes are: an image to be sent, and, where the history has no request, parameters."""
    if source.entry is None:
        source = replace(source, foreign_parameters=read_parameters(data))
    elif source.entry.request is None:
        source = with_parameters(source, read_parameters(data))
    try:
        reference = reference_of(name, data)
    except ImgcliError as error:
        return replace(source, path=None if name == STDIN else name, unsendable=error)
    return replace(source, reference=reference, path=reference.path)


def with_parameters(source: SourceImage, parameters: EmbeddedParameters | None) -> SourceImage:
    """Use embedded parameters, with a notice: they decide what will be paid for."""
    if parameters is None:
        return source
    options = (parameters.options.get(name) for name in ("size", "quality"))
    words = (parameters.model, parameters.image_model, *options)
    chosen = ", ".join(shorten(word, _SHOWN) for word in words if word)
    notice = f"using the parameters in the file ({chosen})"
    return replace(source, parameters=parameters, foreign_parameters=None, notices=(*source.notices, notice))

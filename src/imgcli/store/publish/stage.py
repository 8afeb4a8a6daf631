"""The saving stage: no image is shown before it is safe."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from enum import Enum, auto
from typing import TYPE_CHECKING

from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.regex import regex
from imgcli.store.publish.publisher import partial_problem
from imgcli.store.verify import examine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from imgcli.core.errors import Problem
    from imgcli.core.image import EncodedImage
    from imgcli.core.request import ImageRequest
    from imgcli.store.publish.publisher import Publisher, PublishResult, Shield


_PIXELS = regex(r"([0-9]+)x([0-9]+)")


class KeepPartials(Enum):
    """Which previews stay on disk. The last one of a run that produced no image stays in any case."""

    NONE = auto()
    ALL = auto()


class SavingStage:
    """A stage: publishes images as they come, and adds what it did to the events of one job.

    Publishing runs under `shield`, so that a signal waits until the image is safe. Never raises for a disk
    that fails: that becomes `Saved.problem`, or `Failed` where no place took the image.
    """

    def __init__(
        self,
        publisher: Publisher,
        shield: Shield = nullcontext,
        keep: KeepPartials = KeepPartials.NONE,
        *,
        is_series: bool = False,
    ) -> None:
        self._publisher = publisher
        self._shield = shield
        self._keep = keep
        self._is_series = is_series
        self._request: ImageRequest | None = None
        self._last: PartialImage | None = None
        self._kept: Path | None = None
        self._loss: Problem | None = None

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and with each final image what became of it."""
        for event in events:
            match event:
                case PartialImage():
                    yield from self._preview(event)
                case FinalImage():
                    yield from self._final(event)
                case Completed() | Failed():
                    yield from self._end(event)
                case Started(request=request):
                    self._request = request
                    yield event
                case _:
                    yield event

    def keep_last_partial(self) -> Path | None:
        """Keep the last preview of an image that never came, and return its path; None if there is none.

        For the end of a run that failed or was interrupted. Calling it again does nothing new. Never raises
        for a disk that fails.
        """
        last = self._last
        if last and not self._kept:
            with suppress(ImgcliError):
                self._kept = self._publisher.keep(last.image, last.image_index, ".partial", self._shield)
        return self._kept

    def _preview(self, event: PartialImage) -> Iterator[Event]:
        self._last, self._kept = event, None
        yield event
        if self._keep is KeepPartials.ALL:
            mark = f".partial-{event.index}"
            try:
                self._kept = self._publisher.keep(event.image, event.image_index, mark, self._shield)
            except ImgcliError as error:
                yield Notice(event.job, f"The preview could not be kept: {error}")

    def _final(self, event: FinalImage) -> Iterator[Event]:
        """Publish first; only then is the image shown."""
        if event.is_salvaged:
            yield from self._salvaged(event)
            return
        try:
            result = self._publisher.publish(event.image, event.image_index, self._shield)
        except ImgcliError as error:
            self._loss = self._loss or error.problem
            yield event
            return
        if self._last and self._last.image_index == event.image_index:
            self._last = self._kept = None
        yield event
        if result.path:
            yield Saved(event.job, event.image_index, result.path, result.problem)
        for text in _name_notices(self._request, event.image, result, is_series=self._is_series):
            yield Notice(event.job, text, is_about_name=result.is_named)
        for text in differences(self._request, result):
            yield Notice(event.job, text)

    def _salvaged(self, event: FinalImage) -> Iterator[Event]:
        """Keep an image that nothing confirms under a name that says so, whole or not."""
        damage = examine(event.image).damage
        mark = ".torn" if damage else ".recovered"
        try:
            path = self._publisher.keep(event.image, event.image_index, mark, self._shield)
        except ImgcliError as error:
            self._loss = self._loss or error.problem
            yield event
            return
        if self._last and self._last.image_index == event.image_index and not damage:
            self._last = self._kept = None
        yield event
        yield Saved(event.job, event.image_index, path, partial_problem(damage, path) if damage else None)

    def _end(self, event: Completed | Failed) -> Iterator[Event]:
        """End as the source did, unless an image that was paid for is lost."""
        if self._loss:
            ended = event if isinstance(event, Completed) else event.ended
            event = Failed(event.job, self._loss, ended)
        if isinstance(event, Failed):
            kept = self.keep_last_partial()
            if kept:
                yield Notice(event.job, f"The last preview, a rougher image, is kept as {kept}.")
        yield event


def differences(request: ImageRequest | None, result: PublishResult) -> Iterator[str]:
    """Yield messages about how an image differs from what was requested."""
    if result.unchecked:
        yield f"Partly verified: {result.unchecked}."
    pixels = _PIXELS.fullmatch((request.size if request else None) or "")
    if pixels and result.size and result.size != (int(pixels[1]), int(pixels[2])):
        width, height = result.size
        yield f"The image is {width}x{height} pixels; {pixels[0]} was requested."


def _name_notices(
    request: ImageRequest | None, image: EncodedImage, result: PublishResult, *, is_series: bool
) -> Iterator[str]:
    """Yield messages about why the file has another name than was requested; a series has numbers."""
    is_taken = (
        not is_series and result.path and result.preferred_name and result.path.name != result.preferred_name
    )
    if result.problem is None and result.path and is_taken:
        yield f"{result.preferred_name} already exists; the new image is {result.path.name}."
    requested = (request.format if request else None) or result.requested_format
    if requested and image.format and image.format is not requested:
        yield f"The server sent {image.format} instead of {requested}; the file name says so."

"""The pictures of one answer: which is which, which came twice, and which never came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgcli.api import base64text
from imgcli.api.fields import as_index, as_text
from imgcli.api.problems import link
from imgcli.api.receipt import Receipt
from imgcli.api.rules import Progress
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Event, FinalImage, Notice, PartialImage, Picture
from imgcli.core.wording import RAW_RUN_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator

_INDEX_LIMIT = 1000
_DAMAGED = "The picture arrived damaged: its base64 cannot be decoded."


@dataclass
class _Given:
    """A final picture that was given, with its base64: comparing is cheaper than decoding again."""

    text: str
    picture: Picture

    def is_same(self, text: str, picture: Picture) -> bool:
        return text == self.text or picture.data == self.picture.data


@dataclass
class Album:
    """Numbers pictures in the order of their first appearance, and gives each final one once.

    `receipt` is what the server tells besides; `has_begun` is set when it says that it works on a picture.
    """

    job: str
    receipt: Receipt = field(init=False)
    has_begun: bool = False
    partials: int = 0
    _count: int = 0
    _by_id: dict[str, int] = field(default_factory=dict)
    _named: set[int] = field(default_factory=set)
    _by_position: dict[int | None, int] = field(default_factory=dict)
    _previews: dict[int, int] = field(default_factory=dict)
    _given: dict[int, list[_Given]] = field(default_factory=dict)
    _failed: dict[int, Problem] = field(default_factory=dict)
    _vacant: list[int] = field(default_factory=list)
    _retried: list[tuple[int, Problem]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receipt = Receipt(self.job)

    @property
    def finals(self) -> int:
        """How many pictures have a final image."""
        return len(self._given)

    @property
    def progress(self) -> Progress:
        """How far the server visibly got."""
        works = self.has_begun or self.partials or self._given or self.receipt.has_usage
        return Progress.DRAWING if works else Progress.ANSWERING

    def number(self, item: object, position: object = None) -> int:
        """Find the number of the picture that the server calls `item`, or puts at `position`."""
        name, place = as_text(item), as_index(position, _INDEX_LIMIT)
        known = self._by_position.get(place) if name is None else self._known(name, place)
        number = self._next() if known is None else known
        if name is not None:
            self._by_id[name] = number
            self._named.add(number)
        self._by_position.setdefault(place, number)
        return number

    def _known(self, name: str, place: int | None) -> int | None:
        """Find a picture by its name, or by its place when it had no name until now."""
        at_place = self._by_position.get(place)
        return self._by_id.get(name, None if at_place in self._named else at_place)

    def _next(self) -> int:
        """Number a call that was not known: the server's second try for a picture takes over its number."""
        while self._vacant:
            number = self._vacant.pop(0)
            if number not in self._given:
                self._retried.append((number, self._failed.pop(number)))
                return number
        return self._new()

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def partial(self, image: int, index: object, text: object) -> Iterator[Event]:
        """Give a preview; one that comes after its final picture is late and left out."""
        if image in self._given:
            return
        self.partials += 1
        expected = self._previews.get(image, 0)
        self._previews[image] = expected + 1
        data = base64text.decode(text) if isinstance(text, str) else None
        if data is None:
            yield Notice(self.job, "a preview could not be decoded and is left out")
            return
        known = as_index(index, _INDEX_LIMIT)
        yield PartialImage(self.job, image, expected if known is None else known, Picture.of(data))

    def final(self, image: int, content: object, revised_prompt: object) -> Iterator[Event]:
        """Give a finished picture, unless it was given; content that is no picture is kept as a failure."""
        if any(given.text == content for given in self._given.get(image, ())):
            return
        if (problem := _not_base64(content)) is not None:
            self.lose(image, problem)
            return
        text = str(content)
        data = base64text.decode(text)
        if data is None:
            self.lose(image, _damaged())
            return
        yield from self._give(image, _Given(text, Picture.of(data)), as_text(revised_prompt))

    def _give(self, image: int, new: _Given, revised_prompt: str | None) -> Iterator[Event]:
        """Give a decoded picture. Other bytes under a name that was given already are another picture."""
        earlier = self._given.setdefault(image, [])
        if any(given.is_same(new.text, new.picture) for given in earlier):
            return
        number = self._new() if earlier else image
        if earlier:
            yield Notice(self.job, "the server sent one picture twice, with different bytes: both are kept")
        earlier.append(new)
        yield FinalImage(self.job, number, new.picture, revised_prompt, self.receipt.response_id)

    def lose(self, image: int, problem: Problem) -> None:
        """Remember why a picture did not come; it still may."""
        self._failed.setdefault(image, problem)

    def fail(self, image: int, problem: Problem) -> None:
        """Remember why a call for a picture failed. The next call may be the server's second try."""
        if image not in self._failed:
            self._failed[image] = problem
            self._vacant.append(image)

    def verdict(self) -> Problem | None:
        """Say what is missing: None when every picture that failed came after all."""
        failures = dict(self._retried) | self._failed
        missing = [problem for image, problem in failures.items() if image not in self._given]
        if not missing or not self._given:
            return missing[0] if missing else None
        what = f"{self.finals} of {self.finals + len(missing)} pictures came. {missing[0].what}"
        return Problem(
            ExitCode.PARTIAL, what, Charged.YES, missing[0].advice, missing[0].code, missing[0].param
        )

    def settle(self) -> Iterator[Event]:
        """Tell of the tries that failed before their picture came, then raise what `verdict` says."""
        for image, failure in self._retried:
            if image in self._given:
                yield Notice(self.job, f"before the picture came, another try failed: {failure.what}")
        if (problem := self.verdict()) is not None:
            raise ImgcliError(problem)


def _not_base64(content: object) -> Problem | None:
    """Recognise what some servers send in a picture's place."""
    if not isinstance(content, str):
        return _damaged()
    if content[:8].lower().startswith(("http://", "https://")):
        what = f"The server answered with a link instead of the picture: {link(content)}"
        advice = (
            "Download it soon, for it may expire: curl -o picture.png '(the link)'. "
            "imgcli needs a server that answers with b64_json."
        )
        return Problem(ExitCode.UNKNOWN, what, Charged.YES, advice)
    return None


def _damaged() -> Problem:
    return Problem(ExitCode.DAMAGED, _DAMAGED, Charged.YES, RAW_RUN_KEPT)

"""What a command asks for beside the options it shares with others: prompt, pictures, what went before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imgcli.cli.pictures import Pictures
from imgcli.core.catalog import load
from imgcli.core.entry import Parent, Role
from imgcli.core.inheriting import Here, Inherited, inherit
from imgcli.core.request import Api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from imgcli.cli.origin import Origin
    from imgcli.core.inheriting import Earlier, Said
    from imgcli.core.reference import Reference
    from imgcli.core.request import Action
    from imgcli.core.wish import Wish


@dataclass(frozen=True)
class Theme:
    """What one command asks for.

    `pictures` are sent along. `origin` is the picture that a new one is made of, `place` the server that may
    remember it. `earlier` is how a picture was made whose options are taken over. `name` is what the file is
    named after, None for the prompt. `action` is what the image tool is told to do, None for its own choice.
    `rival` is what the new picture is compared with, None for what it is made of. `notices` are for people.
    """

    prompt: str
    pictures: Pictures = field(default_factory=Pictures)
    origin: Origin | None = None
    place: str | None = None
    earlier: Earlier | None = None
    name: str | None = None
    action: Action | None = None
    rival: bytes | None = None
    notices: tuple[str, ...] = ()

    @property
    def before(self) -> bytes | None:
        """The picture to compare the new one with: what is edited, else the first that is sent along."""
        sources = [self.origin.reference if self.origin else None, *self.pictures.references]
        return self.rival or next((source.data for source in sources if source and source.data), None)

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What goes into the picture, by their bytes."""
        return tuple(self._parents())

    def _parents(self) -> Iterator[Parent]:
        if self.origin and self.origin.sha256:
            yield Parent(self.origin.sha256, Role.ORIGINAL)
        for reference in self.pictures.references:
            if reference.sha256:
                yield Parent(reference.sha256, Role.REFERENCE)
        if self.pictures.mask and self.pictures.mask.sha256:
            yield Parent(self.pictures.mask.sha256, Role.MASK)

    def wish(self, options: Wish, said: Said, today: date) -> Inherited:
        """Make the whole wish of the `options` that were given, and of what is taken over.

        Raises `ImgcliError` (usage) where the picture to start from can neither be sent nor be talked about.
        """
        here = Here(self.place, load(), today)
        found = inherit(options, said, self.earlier, here) if self.earlier else Inherited(options)
        asked = replace(found.wish, prompt=self.prompt, mask=self.pictures.mask)
        return replace(found, wish=self._started(self._permitted(asked, said)))

    def _permitted(self, wish: Wish, said: Said) -> Wish:
        """Leave out a moderation that nobody typed where OpenAI's edits take none."""
        is_edit = self.origin and wish.model and load().is_image_model(wish.model)
        return replace(wish, moderation=None) if is_edit and "moderation" not in said.typed else wish

    def _started(self, wish: Wish) -> Wish:
        """Say what it starts from: the conversation, with the file in its place, or the file alone."""
        own = self.origin.reference if self.origin else None
        sent = replace(wish, references=self._sent(own), action=self._action(wish))
        talks = self._conversation(wish)
        if talks is None:
            self._check_file()
            return sent
        asked = replace(
            wish, references=self.pictures.references, previous_response_id=talks, action=self.action
        )
        return replace(asked, otherwise=sent if own else None)

    def _check_file(self) -> None:
        """Refuse to edit what cannot be sent."""
        if self.origin and self.origin.unsendable:
            raise self.origin.unsendable

    def _sent(self, own: Reference | None) -> tuple[Reference, ...]:
        return ((own,) if own else ()) + self.pictures.references

    def _action(self, wish: Wish) -> Action | None:
        """Tell the image tool what to do; an image model has no tool."""
        return None if self.action is None or _is_painter(wish) else self.action

    def _conversation(self, wish: Wish) -> str | None:
        """Choose the response to go on from; a mask belongs to a picture that is sent."""
        if self.origin is None or self.pictures.mask or _is_painter(wish):
            return None
        return self.origin.conversation(self.place)


def _is_painter(wish: Wish) -> bool:
    """Whether the wish goes to an image model itself, which has no conversations."""
    return wish.api is Api.IMAGES or (wish.model is not None and load().is_image_model(wish.model))

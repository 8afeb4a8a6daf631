"""How a picture was made, as a value that can travel inside its file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.entry import DEMO

if TYPE_CHECKING:
    from imgcli.core.request import ImageRequest

FORM = 1
"""The version of the JSON form. A newer one may say more; what it says under these names is still read."""
_DEMO_ONCE = "imgcli's demo"
"""What recipes called the demo before they used the history's word."""


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to tell how a picture came to be, and to ask for it again. Never holds a key.

    The options are spelled as the API spells them, None where none was sent: a newer imgcli, or another
    server, may know others than we do. `place` is the server's host and port, or `DEMO`; `time` (ISO 8601)
    is when the run began, `parents` are the SHA-256 of the pictures that it was made from, `version` is
    imgcli's. Read from a file, all of it is foreign text.
    """

    prompt: str
    model: str | None = None
    api: str | None = None
    revised_prompt: str | None = None
    image_model: str | None = None
    size: str | None = None
    quality: str | None = None
    format: str | None = None
    compression: int | None = None
    background: str | None = None
    moderation: str | None = None
    fidelity: str | None = None
    response_id: str | None = None
    place: str | None = None
    time: str | None = None
    parents: tuple[str, ...] = ()
    version: str | None = None
    sha256: str | None = None
    """Of the file without the recipe: what was changed since is another picture, whatever its texts say."""

    @classmethod
    def of(cls, request: ImageRequest, place: str | None, time: str, version: str) -> Self:
        """Begin the recipe of a run; each of its pictures adds what is its own."""
        return cls(
            prompt=request.prompt,
            model=request.model,
            api=_plain(request.api),
            image_model=request.image_model,
            size=request.size,
            quality=_plain(request.quality),
            format=_plain(request.format),
            compression=request.compression,
            background=_plain(request.background),
            moderation=_plain(request.moderation),
            fidelity=_plain(request.fidelity),
            place=place,
            time=time,
            version=version,
        )

    def to_json(self) -> dict[str, Any]:
        """Write it down, without what is not known."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        told = {name: value for name, value in known.items() if value not in (None, ())}
        return {"recipe": FORM, **told} | ({"parents": list(self.parents)} if self.parents else {})

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Read what `to_json` wrote, or a newer imgcli: what is unknown or of another type is passed over.

        None for what is no recipe at all: there must be a form and a prompt.
        """
        if not isinstance(value, dict) or not _is_count(value.get("recipe")):
            return None
        texts = {name: value[name] for name in _TEXTS if isinstance(value.get(name), str)}
        texts = {name: text for name, text in texts.items() if name not in _NAMES or _is_sound(text)}
        if "prompt" not in texts:
            return None
        if texts.get("place") == _DEMO_ONCE:
            texts["place"] = DEMO
        compression, parents = value.get("compression"), value.get("parents")
        return cls(
            **texts,
            compression=compression if _is_count(compression) else None,
            parents=tuple(filter(_is_text, parents)) if isinstance(parents, list) else (),
        )


_NAMES = frozenset({"model", "image_model", "response_id"})
"""What goes to a server as it stands; a prompt is looked at before it does."""
_TEXTS = tuple(field.name for field in fields(Recipe) if field.name not in {"compression", "parents"})


def _plain(choice: str | None) -> str | None:
    """Take a choice as a plain word."""
    return None if choice is None else str(choice)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_sound(name: str) -> bool:
    """Whether a name can be sent: half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

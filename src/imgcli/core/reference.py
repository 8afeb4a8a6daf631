"""A picture that is sent along with a prompt, as a value; its bytes stay out of every record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from imgcli.core.events import ImageFormat
from imgcli.core.fields import choice, count, name, size, text
from imgcli.core.wording import file_size

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Reference:
    """A checked picture, or an address from which the server fetches one.

    `name` is what people call it. `path` is where it was read from, absolute; None for standard input and for
    an address. `size` is in pixels, `length` in bytes; what is not known of an address is None. `data` is
    there when the picture can be sent, and not in what was read back from a record.
    """

    name: str
    path: str | None = None
    url: str | None = None
    format: ImageFormat | None = None
    sha256: str | None = None
    size: tuple[int, int] | None = None
    length: int | None = None
    data: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def mime(self) -> str:
        """What HTTP calls its format."""
        return f"image/{self.format or ImageFormat.PNG}"

    @property
    def linked(self) -> str | DataUrl:
        """What stands as `image_url` in JSON."""
        return self.url or DataUrl(self)

    @property
    def label(self) -> str:
        """Stand for the file where a form is shown to people."""
        return f"<{self.name}, {file_size(self.length or 0)}>"

    def nameless(self) -> Reference:
        """Leave out what tells of this machine or lets others in: the path, and an address's query."""
        return replace(self, path=None, url=self.url and self.url.partition("?")[0])

    def to_json(self) -> dict[str, Any]:
        """Write it down without its bytes."""
        return {
            "name": self.name,
            "path": self.path,
            "url": self.url,
            "format": self.format,
            "sha256": self.sha256,
            "size": list(self.size) if self.size else None,
            "length": self.length,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Reference:
        """Read it from a record, field by field: what is odd is not known."""
        return cls(
            name=text(fields.get("name")) or "",
            path=name(fields.get("path")),
            url=text(fields.get("url")),
            sha256=text(fields.get("sha256")),
            format=choice(ImageFormat, fields.get("format")),
            size=size(fields.get("size")),
            length=count(fields.get("length")),
        )


@dataclass(frozen=True)
class DataUrl:
    """A picture's place in JSON, where its bytes will stand as base64."""

    reference: Reference

    @property
    def head(self) -> str:
        """Begin the URL; the base64 follows."""
        return f"data:{self.reference.mime};base64,"

    @property
    def label(self) -> str:
        """Stand for the URL where a request is shown to people."""
        return f"{self.head}{self.reference.label}"


def abbreviated(body: Any) -> Any:  # noqa: ANN401 - JSON
    """Put a label in every picture's place, so that a request can be shown."""
    match body:
        case Reference() | DataUrl():
            return body.label
        case dict():
            return {key: abbreviated(value) for key, value in body.items()}
        case list() | tuple():
            return [abbreviated(value) for value in body]
        case _:
            return body

"""The interface between the routes and the rest of imgcli: runs, and the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.core.image import ImageFormat
    from imgcli.web.line_stream import LineStream


@dataclass(frozen=True)
class ServedImage:
    """An image file that was opened and is known to hold the image that was asked for; `size` in bytes."""

    file: BinaryIO
    format: ImageFormat
    size: int
    name: str


class CancelableRun(Protocol):
    """A run that goes on in a thread of its own."""

    def cancel(self) -> None:
        """End it as Ctrl-C would; does nothing once it has ended."""


class WebService(Protocol):
    """What the routes call, each in a thread where it may block.

    `ImgcliError` is raised for what a client can be told in a sentence.
    """

    def start(self, parameters: Mapping[str, Any], output: LineStream) -> CancelableRun | None:
        """Start a run that writes its JSON lines to `output`; None when as many run as may."""

    def estimate(self, parameters: Mapping[str, Any]) -> str:
        """Return what a run with these parameters may cost, as JSON."""

    def history(self, limit: int, search: str, before: str) -> Iterator[str]:
        """Return runs, newest first, a JSON object each; `before` is the id of the run to go on after."""

    def entry(self, name: str) -> str | None:
        """Return a run as JSON by its number or its job's name; None for none."""

    def image(self, sha256: str) -> ServedImage | None:
        """Open an image of the history; None where its file is gone or holds something else."""

    def thumbnail(self, sha256: str) -> bytes | None:
        """Return a small WebP file of an image of the history; None where there is none."""

    def gallery(self, query: Mapping[str, str]) -> str:
        """Return a page of the gallery as JSON: `search`, `model` and `day` choose, `before` is a run."""

    def gallery_image(self, name: str) -> str | None:
        """Return an image of the gallery, first of its family, as JSON; None for none."""

    def models(self) -> str:
        """Return the models as JSON."""

    def cost(self, period: str, by: str) -> str:
        """Return what was spent as JSON; empty texts mean everything, ungrouped."""

    def about(self) -> str:
        """Return what runs here, and with which defaults, as JSON."""

    def failed(self, error: Exception) -> str:
        """Keep an unexpected exception, and return the sentence for the client."""

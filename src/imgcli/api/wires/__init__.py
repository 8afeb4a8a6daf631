"""One module per API, with one entry in `WIRES`: where a request goes, its body, its events, its usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from imgcli.api.wires import images, responses
from imgcli.core.config import OPENAI_PATHS, ApiPaths
from imgcli.core.params import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.stream.assembler import ImageAssembler
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest


class Wire(Protocol):
    """One API's format: each of the modules here is one."""

    def path(self, request: ImageRequest, paths: ApiPaths = OPENAI_PATHS) -> str:
        """Return where a request goes, below the server's base URL."""

    def body(self, request: ImageRequest) -> dict[str, Any]:
        """Build a request's body, with a `DataUrl` (JSON) or an `InputImage` (form) for each image."""

    def is_event(self, kind: str, event: dict[str, Any]) -> bool:
        """Return whether an event, or a whole answer, is one of this API's; `kind` is its type."""

    def read(self, kind: str, event: dict[str, Any], assembler: ImageAssembler) -> Iterator[Event]:
        """Yield what an event, or a whole answer, means."""

    def usage(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return `usage` and `tool_usage` of an answer, in the terms of `core.billing.bill`."""


WIRES: dict[Api, Wire] = {Api.RESPONSES: responses, Api.IMAGES: images}

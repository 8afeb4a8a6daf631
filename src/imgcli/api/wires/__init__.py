"""One module per API, with one entry in `WIRES`: where a request goes, its body, its events."""

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


WIRES: dict[Api, Wire] = {Api.RESPONSES: responses, Api.IMAGES: images}

_WORDS = (
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.partial_image",
    "response.image_generation_call.completed",
    "response.output_item.added",
    "response.output_item.done",
    "response.in_progress",
    "response.incomplete",
    "response.cancelled",
    "response.completed",
    "image_generation.partial_image",
    "image_generation.completed",
    "image_edit.partial_image",
    "image_edit.completed",
    "partial_image_index",
    "partial_image_b64",
    "incomplete_details",
    "max_output_tokens",
    "input_tokens_details",
    "output_tokens_details",
    "cached_tokens_details",
    "cached_image_tokens",
    "cached_text_tokens",
    "cache_write_tokens_details",
)
"""The words without which an answer cannot be read, as far as they are long enough to be masked as secrets.

A masked code of an error costs a hint, and no image.
"""


def maskable(*secrets: str) -> tuple[str, ...]:
    """Leave out the secrets without whose text the answer, and the image in it, could not be read."""
    return tuple(secret for secret in secrets if not any(secret in word for word in _WORDS))

"""The events of a run.

Grammar of a job: `Started (Waiting | PartialImage | FinalImage | Saved | Notice)* (Completed | Failed)`,
and `Completed` needs at least one `FinalImage`. `pipeline` enforces it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.core.errors import Problem
    from imgcli.core.image import EncodedImage
    from imgcli.core.request import ImageRequest


Json: TypeAlias = "Mapping[str, Any]"
"""A JSON object as the API sent it."""


@dataclass(frozen=True)
class Started:
    """The request goes out."""

    job: str
    request: ImageRequest


@dataclass(frozen=True)
class Waiting:
    """The server could not start; the same request is sent again after `seconds`."""

    job: str
    seconds: float
    reason: str


@dataclass(frozen=True)
class PartialImage:
    """A complete, rougher version of an image on its way.

    `image_index` numbers the images of a job from 0; `index` numbers an image's partials as the server does.
    """

    job: str
    image_index: int
    index: int
    image: EncodedImage


@dataclass(frozen=True)
class FinalImage:
    """A final image.

    `revised_prompt` is the text model's rewording, if any; `response_id` is the id of the response, where it
    was known by then. `is_salvaged` means that it was found in a record that is otherwise unreadable: it may
    be cut.
    """

    job: str
    image_index: int
    image: EncodedImage
    revised_prompt: str | None = None
    response_id: str | None = None
    is_salvaged: bool = False


@dataclass(frozen=True)
class Saved:
    """The image is on disk at this path, verified and flushed.

    `problem` is set when that is not what was requested: another folder, or bytes that are not a valid image.
    """

    job: str
    image_index: int
    path: Path
    problem: Problem | None = None


@dataclass(frozen=True)
class Notice:
    """A warning: one sentence for people.

    `instead` is the request sent from now on, where the first one was refused. `is_about_name` means that a
    file has another name than requested, which is reported in quiet mode too.
    """

    job: str
    text: str
    instead: ImageRequest | None = None
    is_about_name: bool = False


@dataclass(frozen=True)
class Completed:
    """The successful end.

    `usage` and `tool_usage` are the API's objects, unchanged: on the Responses API `usage` counts the
    text model alone and `tool_usage["image_gen"]` the images; on the Images API `usage` counts the images.
    `image_model` is the tool's model as reported by the server; `service_tier` determines the prices.
    `svg_usage` are the counts of the model that wrote an SVG, `svg_model`.
    """

    job: str
    model: str | None
    usage: Json | None = None
    tool_usage: Json | None = None
    response_id: str | None = None
    image_model: str | None = None
    service_tier: str | None = None
    svg_model: str | None = None
    svg_usage: Json | None = None


@dataclass(frozen=True)
class Failed:
    """The failed end. `ended` is what the server still reported: usage, the response's id."""

    job: str
    problem: Problem
    ended: Completed | None = None


Event: TypeAlias = Started | Waiting | PartialImage | FinalImage | Saved | Notice | Completed | Failed

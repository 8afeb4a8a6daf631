"""The closed vocabulary of a run: everything that happens is one of these values.

Grammar of a job: `Started (Waiting | PartialImage | FinalImage | Saved | Notice)* (Completed | Failed)`,
and `Completed` needs at least one `FinalImage`. `session` enforces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.core.image import EncodedImage
    from imgcli.core.problem import Problem
    from imgcli.core.request import ImageRequest


Json: TypeAlias = "Mapping[str, Any]"
"""A JSON object as the API sent it."""


@dataclass(frozen=True)
class Started:
    """We asked for this."""

    job: str
    request: ImageRequest


@dataclass(frozen=True)
class Waiting:
    """The server could not begin; the same request goes out again after `seconds`."""

    job: str
    seconds: float
    reason: str


@dataclass(frozen=True)
class PartialImage:
    """A complete, rougher image on the way to the final one.

    `image` numbers the images of a job from 0; `index` numbers the partials of an image, as the server
    counts them.
    """

    job: str
    image_index: int
    index: int
    image: EncodedImage


@dataclass(frozen=True)
class FinalImage:
    """The image that was paid for.

    `revised_prompt` is the text model's rewording, where it told; `response_id` names the answer that the
    image is part of, where the server had named it by then. `is_salvaged` is set where it was found in a
    record that could not be read otherwise: it may be torn.
    """

    job: str
    image_index: int
    image: EncodedImage
    revised_prompt: str | None = None
    response_id: str | None = None
    is_salvaged: bool = False


@dataclass(frozen=True)
class Saved:
    """The image is on disk under this name, verified and flushed.

    `problem` is set when that is not quite what was asked for: another folder, or bytes that are no valid
    image and were kept beside.
    """

    job: str
    image_index: int
    path: Path
    problem: Problem | None = None


@dataclass(frozen=True)
class Notice:
    """Odd, not fatal: one sentence for people.

    `instead` is the request that is sent from now on, where the one that began the run was refused.
    `is_about_name` says that a file has another name than its user gave, which scripts must hear of too.
    """

    job: str
    text: str
    instead: ImageRequest | None = None
    is_about_name: bool = False


@dataclass(frozen=True)
class Completed:
    """The good end.

    `usage` and `tool_usage` are the API's own objects, untouched: on the Responses API `usage` counts the
    text model alone and `tool_usage["image_gen"]` the images; on the Images API `usage` counts the images.
    `image_model` is the tool's model as the server echoed it, `service_tier` what decides on the prices.
    """

    job: str
    model: str | None
    usage: Json | None = None
    tool_usage: Json | None = None
    response_id: str | None = None
    image_model: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True)
class Failed:
    """The bad end. `ended` is what the server told of the run all the same: its usage, the response's id."""

    job: str
    problem: Problem
    ended: Completed | None = None


Event: TypeAlias = Started | Waiting | PartialImage | FinalImage | Saved | Notice | Completed | Failed

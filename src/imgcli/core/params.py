"""One remembered run, as a value: what was asked for, what came of it, what it cost."""

from __future__ import annotations

from enum import StrEnum

DEMO = "demo"
"""The endpoint of runs that nobody was paid for."""


class Api(StrEnum):
    """The two wires of OpenAI that make images."""

    RESPONSES = "responses"
    IMAGES = "images"


class Quality(StrEnum):
    """How much work goes into the image; older models stop at high."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Background(StrEnum):
    """What is behind the subject; transparent needs png or webp."""

    AUTO = "auto"
    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class Moderation(StrEnum):
    """How strictly OpenAI filters the request."""

    AUTO = "auto"
    LOW = "low"


class Fidelity(StrEnum):
    """How closely the image keeps to those that were sent, faces above all."""

    LOW = "low"
    HIGH = "high"


class Action(StrEnum):
    """What the image tool of the Responses API does; `edit` needs an image in the conversation."""

    AUTO = "auto"
    GENERATE = "generate"
    EDIT = "edit"

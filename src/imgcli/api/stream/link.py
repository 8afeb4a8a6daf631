"""Links in place of images: how to recognize them, and what to report if one is not fetched."""

from __future__ import annotations

from typing import Protocol, TypeGuard

from imgcli.api.errors.server import link
from imgcli.core.errors import Cause, Charged, ExitCode, Problem

_ADVICE = "Download it soon, before it expires: curl -o image.png '(the link)'."


class LinkError(Exception):
    """An image that was not fetched; `reason` is a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LinkSource(Protocol):
    """A way to the images that an answer links to."""

    def fetch(self, link: str) -> bytes:
        """Fetch an image. Raises `LinkError`."""

    def record(self, part: bytes) -> None:
        """Keep an image, as a part of the answer, before anybody sees it."""


def is_link(content: object) -> TypeGuard[str]:
    """Return whether a server sent this instead of an image; a data URL holds one."""
    return isinstance(content, str) and content[:8].lower().startswith(("http://", "https://"))


def linked_problem(url: str, reason: str = "") -> Problem:
    """Return the problem with a link, and why its image was not fetched."""
    lead = "The server sent a link instead of the image"
    lead = f"{lead}. {reason} The link" if reason else lead
    what = f"{lead}: {link(url)}"
    return Problem(ExitCode.UNKNOWN, what, Charged.YES, _ADVICE, cause=Cause.UNREADABLE_IMAGE)

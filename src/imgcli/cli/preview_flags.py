"""Converts the flags for the display to the values that `app` takes: all that `view` needs of its flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.app.preview_options import PreviewMode, PreviewOptions
from imgcli.core.errors import check_between, usage_error
from imgcli.core.params import PreviewProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping


_WIDEST = 10_000
"""Columns: more than any terminal has."""
_PREVIEW_VARIABLE = "IMGCLI_PREVIEW"


def preview_options(flags: Mapping[str, Any], env: Mapping[str, str]) -> PreviewOptions:
    """Check how images are to be shown; the environment has the default. Raises `ImgcliError` (usage)."""
    preview, width = flags["preview"], flags["width"]
    check_between("width", width, 1, _WIDEST)
    if flags["plain"]:
        if preview not in {None, PreviewProtocol.OFF}:
            what = f"--plain shows no image, and --preview {preview} asks for one."
            raise usage_error(what, about=("plain", "preview"))
        return PreviewOptions(PreviewProtocol.OFF, PreviewMode.PLAIN)
    if preview:
        return PreviewOptions(preview, PreviewMode.EXPLICIT, width)
    default = env.get(_PREVIEW_VARIABLE, "").strip().lower() or PreviewProtocol.AUTO
    try:
        return PreviewOptions(PreviewProtocol(default), PreviewMode.DEFAULT, width)
    except ValueError:
        choices = ", ".join(PreviewProtocol)
        raise usage_error(f"{_PREVIEW_VARIABLE} must be one of {choices}, not {default}.") from None

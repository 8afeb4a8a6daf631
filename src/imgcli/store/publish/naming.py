"""Chooses the folder and the file name of an image."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from itertools import count, takewhile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.image import ImageFormat
from imgcli.core.option import option
from imgcli.core.text import slug
from imgcli.dataclass import dataclass
from imgcli.regex import regex
from imgcli.store.publish.atomic import NAME_MAX, make_folder, probe, reason, remove_folders

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping
    from datetime import datetime


STDOUT = "-"
"""The output name that means standard output."""


_OUTPUT = option("output")
_DEFAULT = "{slug}"
_FIELD = regex(r"\{([^{}]*)\}")
FIELDS = ("slug", "n", "model", "date", "time", "id")
"""The fields that a template of an output name may have."""
_UNCLOSED = regex(r"\{(?:slug|n|model|date|time|id)(?![^{]*\})")
_FOREIGN = frozenset(
    {".avif", ".bmp", ".heic", ".heif", ".ico", ".jxl", ".pdf", ".psd", ".tga", ".tif", ".tiff"}
)
_ENDINGS = {
    ".png": ImageFormat.PNG,
    ".jpg": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
    ".webp": ImageFormat.WEBP,
    ".gif": ImageFormat.GIF,
    ".svg": ImageFormat.SVG,
}


@dataclass(frozen=True)
class NameFields:
    """The values that names are made of. `now` is the local time at which the run began.

    `title` goes in the prompt's place; it is a file's name already. `number` is that of the run's first
    image among those of one name, from 1.
    """

    prompt: str
    model: str
    job: str
    now: datetime
    title: str | None = None
    number: int = 1

    def values(self) -> dict[str, str]:
        """Return a template's fields, all but `{n}`; every value is safe inside a name."""
        return {
            "slug": self.title or slug(self.prompt),
            "model": slug(self.model),
            "date": f"{self.now:%Y-%m-%d}",
            "time": f"{self.now:%H%M%S}",
            "id": slug(self.job),
        }


@dataclass(frozen=True)
class OutputTarget:
    """A folder, and the names that images of one run may take in it, best first."""

    folder: Path
    pattern: str
    """A name without its ending; `{n}` stands for the image's number in the job, from 1."""
    ending: str = ""
    """The ending as the user spelled it, empty when none was asked for."""
    is_named: bool = False
    """Whether the user gave the name, not the folder alone."""
    first: int = 1
    """The number of the first image among those of this name."""

    @classmethod
    def of(cls, output: str | None, fields: NameFields, base: Path) -> OutputTarget:
        """Parse the output option, from the folder `base`. Raises a usage error for what cannot be a name.

        None is the default name in `base`; `DIR/` and an existing folder take the default name too. Anything
        else is a file, in which the known fields in braces are filled.
        """
        table = fields.values()
        folder, name = _split(_filled(_checked(output), table), base)
        if "{n}" in folder:
            raise _wrong(f"{{n}} in {_OUTPUT} is allowed in the file name only, not in a folder name.")
        _check_ending(PurePath(name).suffix)
        is_named = bool(name)
        name = name or _filled(_DEFAULT, table)
        ending = PurePath(name).suffix
        if ending.lower() not in _ENDINGS:
            ending = ""
        return cls(base / folder, name.removesuffix(ending), ending, is_named, fields.number)

    @property
    def requested_format(self) -> ImageFormat | None:
        """The format that the user's ending stands for."""
        return _ENDINGS.get(self.ending.lower())

    def preferred_name(self, encoding: ImageFormat | None, image_index: int = 0) -> str:
        """Return the name that image number `image_index` (from 0) takes when nothing is in its way."""
        number = 1 if "{n}" in self.pattern else image_index + self.first
        return self._stem(image_index) + _tail(number) + self._ending(encoding)

    def names(self, encoding: ImageFormat | None, image_index: int = 0, mark: str = "") -> Iterator[str]:
        """Yield the names for image number `image_index` (from 0) endlessly, best first, within `NAME_MAX`.

        `mark` goes before the ending, for what is not the image itself: `.partial`, `.damaged_problem`.
        """
        first = 1 if "{n}" in self.pattern else image_index + self.first
        for number in count(first):
            rest = _tail(number) + mark + self._ending(encoding)
            yield _cut(self._stem(image_index), NAME_MAX - len(os.fsencode(rest))) + rest

    def free_number(self, encoding: ImageFormat | None) -> int:
        """Return the first number from which on a name is free at this moment."""
        names = self.names(encoding)
        taken = takewhile(lambda name: os.path.lexists(self.folder / name), names)
        return self.first + sum(1 for _ in taken)

    def _stem(self, image_index: int) -> str:
        return self.pattern.replace("{n}", str(image_index + 1))

    def _ending(self, encoding: ImageFormat | None) -> str:
        """Return the ending for the bytes, in the user's own spelling when it means the same."""
        if encoding is None:
            return ".bin"
        return self.ending if self.requested_format is encoding else encoding.suffix


def format_of_name(output: str | None) -> ImageFormat | None:
    """Return the format that the output option asks for by its ending; None when it asks for none."""
    if output is None or names_folder(output):
        return None
    return _ENDINGS.get(PurePath(output).suffix.lower())


def _check_ending(ending: str) -> None:
    """Raise a usage error for an ending of another format or with a typo; any other is part of the name."""
    if ending.lower() in _ENDINGS:
        return
    ours = ", ".join(known for known in _ENDINGS if known != ".jpg")
    if ending.lower() in _FOREIGN:
        raise _wrong(f"No model makes {ending[1:]} files.", f"Supported: {ours}.")
    for known in _ENDINGS:
        if sorted(known) == sorted(ending.lower()) or known[1:] + known[-1] == ending.lower()[1:]:
            raise _wrong(
                f"{_OUTPUT} ends with {ending}, which is not an image format; did you mean {known}?",
                f"Supported: {ours}.",
            )


def _checked(output: str | None) -> str:
    """Raise a usage error for what would break a line of output or cannot be a name at all."""
    if output is None:
        return ""
    if not output:
        raise _wrong(f"{_OUTPUT} is empty.", "Name a file or a folder, or leave it out.")
    if any(unicodedata.category(character) == "Cc" for character in output):
        raise _wrong(f"{_OUTPUT} contains a control character, which would break lists of file names.")
    if output.startswith("-"):
        advice = f"For a file of that name, use {option('output', f'./{output}')}"
        raise _wrong(f"{option('output', output)} looks like an option.", advice)
    if _UNCLOSED.search(output):
        raise _wrong(f"{_OUTPUT} opens a field with {{ and does not close it.", "Write {slug}, for example.")
    try:
        os.fsencode(output)
    except UnicodeEncodeError:
        raise _wrong(f"{_OUTPUT} contains a character that no file name can contain.") from None
    return output


def _filled(template: str, table: Mapping[str, str]) -> str:
    """Fill the fields that the table has; `{n}` waits for its image. Raises a usage error."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in FIELDS:
            known = " ".join(f"{{{field}}}" for field in FIELDS)
            raise _wrong(f"{_OUTPUT} has an unknown field {found[0]}.", f"Fields: {known}.")
        return table.get(name, found[0])

    return _FIELD.sub(value, template)


def _split(path: str, base: Path) -> tuple[str, str]:
    """Split into folder and name; the name is empty where only a folder was given."""
    folder, name = os.path.split(path)
    if name in {".", ".."} or is_folder(base / path):
        return path, ""
    return folder, name


def names_folder(output: str) -> bool:
    """Return whether a user's path means a folder: there is one, or it ends with a slash."""
    return not os.path.basename(output) or is_folder(output)  # noqa: PTH119 - Path drops the slash


def is_folder(path: str | Path) -> bool:
    """Return whether there is a folder under a user's path, which may be anything, even too long."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where this is False


def _tail(number: int) -> str:
    return "" if number == 1 else f"-{number}"


def _cut(stem: str, room: int) -> str:
    """Shorten to `room` bytes at a character."""
    stem = stem[:room]
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem


_STANDARD_STREAMS = ("/dev/fd/", "/dev/std", "/proc/")


def current_folder() -> Path:
    """Return the folder that relative names start from; raises UNWRITABLE when it has been deleted."""
    try:
        return Path.cwd()
    except OSError as error:
        raise _unwritable(
            f"The current folder cannot be used ({reason(error)})", "Change to another folder."
        ) from None


def check_writable(target: OutputTarget) -> list[Path]:
    """Check that an image can be saved, and make its folder; raises UNWRITABLE, and nothing was sent.

    Returns the folders that were made, as `make_folder` does.
    """
    folder, made = target.folder, _make_target_folder(target.folder)
    try:
        probe(folder, len(os.fsencode(target.preferred_name(target.requested_format))))
    except OSError as error:
        remove_folders(made)
        if error.errno == errno.ENAMETOOLONG:
            raise _unwritable(
                f"The name is too long for {folder}", f"Choose a shorter one with {_OUTPUT}."
            ) from None
        raise _unwritable(f"Cannot write to {folder} ({reason(error)})") from None
    return made


def _make_target_folder(folder: Path) -> list[Path]:
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise _unwritable(f"{folder} is a file, not a folder")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unwritable(f"Cannot reach {folder} ({reason(error)})") from None
    try:
        return make_folder(folder)
    except OSError as error:
        raise _unwritable(f"Cannot create the folder {folder} ({reason(error)})") from None


def find_device(output: str | None, base: Path) -> tuple[Path, os.stat_result] | None:
    """Return the device or pipe that the output names, which is written to as a stream; else None.

    With what it is now, by which it is recognized later. Raises a usage error for what would overwrite a
    disk or a redirected file.
    """
    if output is None:
        return None
    path = base / output
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    mode = info.st_mode
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise _wrong(f"An image cannot be written to {path}.", f"Name a file or a folder with {_OUTPUT}.")
    if stat.S_ISREG(mode) and str(path).startswith(_STANDARD_STREAMS):
        use = f"Use `{option('output', STDOUT)}` for standard output."
        raise _wrong(f"{path} leads to a file that is already open.", use)
    return (path, info) if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) else None


def _wrong(what: str, advice: str = "") -> ImgcliError:
    return usage_error(what, advice, about=("output",))


def _unwritable(what: str, advice: str = f"Choose another place with {_OUTPUT}.") -> ImgcliError:
    return ImgcliError(Problem(ExitCode.UNWRITABLE, f"{what}.", advice=advice, parameters=("output",)))

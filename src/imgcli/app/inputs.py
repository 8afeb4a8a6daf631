"""Where a prompt comes from: words, a file, or standard input."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.core.errors import usage_error
from imgcli.core.text import shorten
from imgcli.core.validate import MAX_REFERENCES
from imgcli.store.input_images import STDIN, read_mask, read_reference

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, TextIO

    from imgcli.app.context import Context
    from imgcli.core.request import InputImage


_LARGEST = 256 * 1024  # bytes; a longer "prompt" is a mistake, perhaps /dev/zero
_NAME_LENGTH = 200


class PromptSource(Enum):
    """Where the prompt is: standard input can be read once only."""

    HERE = "here"  # in the words or in a file
    STDIN = "standard input"


def prompt_source(words: list[str] | None, file: Path | None) -> PromptSource:
    """Return whether the prompt comes from standard input."""
    return PromptSource.STDIN if file is None and words in (None, [], ["-"]) else PromptSource.HERE


def read_prompt(words: list[str] | None, file: Path | None, stdin: TextIO) -> str:
    """Join the words, or read the file or standard input. Raises `ImgcliError` (usage).

    `-` alone, or no words at all while something is piped in, means standard input.
    """
    if file is not None and words:
        raise usage_error("The prompt is given twice: as words and with --prompt-file.", "Choose one.")
    if file is not None:
        return _from_file(file)
    if words and words != ["-"]:
        _refuse_file_name(words)
        return " ".join(words)
    if not words and _is_terminal(stdin):
        raise usage_error("There is no prompt.", 'Give it as words, such as "a cat".')
    return _decoded(_read(stdin.buffer, "standard input"), "standard input")


def _refuse_file_name(words: list[str]) -> None:
    """Refuse `@FILE`, which is how other programs are told to read a file."""
    name = words[0].removeprefix("@")
    if len(words) == 1 and name != words[0] and os.path.isfile(name):  # noqa: PTH113 - any text may come here
        raise usage_error(
            f"There is a file {shorten(name, _NAME_LENGTH)}; did you mean --prompt-file?",
            f'To send the text itself, put a space before it: " {shorten(words[0], _NAME_LENGTH)}".',
        )


def _from_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return _decoded(_read(stream, str(file)), str(file))
    except OSError as error:
        raise usage_error(f"The prompt file {file} cannot be read: {error.strerror}.") from None


def _read(stream: BinaryIO, name: str) -> bytes:
    data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise usage_error(f"The prompt in {name} is longer than {_LARGEST // 1024} kB.", "Shorten it.")
    return data


def _decoded(data: bytes, name: str) -> str:
    """Read UTF-8 text as editors write it: with or without BOM, any line ends, a last line break."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise usage_error(
            f"The prompt in {name} is not UTF-8 text: byte {error.start} is the first odd one.",
            "Save it as UTF-8.",
        ) from None
    if "\0" in text:
        raise usage_error(f"The prompt in {name} holds a NUL character; is it a text file?")
    return text.replace("\r\n", "\n").removesuffix("\n")


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return True


@dataclass(frozen=True)
class InputImages:
    """What goes out beside the prompt."""

    references: tuple[InputImage, ...] = ()
    mask: InputImage | None = None


def find_files(
    world: Context, names: list[str] | None, mask: str | None
) -> tuple[list[str], str | None, tuple[str, ...]]:
    """Return the files that --image and --mask name, and notes about them: a run stands for an image of its.

    Raises `ImgcliError` (usage).
    """
    if not names and mask is None:
        return [], None, ()
    from imgcli.app.lookup import Located, locate_one  # the history, which most runs do without

    found = [Located((name,)) if name == STDIN else locate_one(world, name) for name in names or ()]
    masks = [] if mask is None else [locate_one(world, mask)]
    notes = tuple(note for one in [*found, *masks] for note in one.notes)
    return [one.paths[0] for one in found], masks[0].paths[0] if masks else None, notes


def read_input_images(
    names: list[str] | None, mask: str | None, prompt: PromptSource, stdin: BinaryIO
) -> InputImages:
    """Read what --image and --mask name. Raises `ImgcliError` (usage), before anything is sent."""
    names = names or []
    _check_names(names, prompt)
    if mask is not None and not names:
        raise usage_error("--mask needs an image.", "Add the image with --image.")
    references = tuple(read_reference(name, stdin) for name in names)
    return InputImages(references, None if mask is None else read_mask(mask))


def check_original(original: str, names: list[str] | None, prompt: PromptSource) -> None:
    """Find out whether an image cannot be edited before it is read. Raises `ImgcliError` (usage)."""
    if not original:
        raise usage_error("FILE is empty.", "Is a shell variable empty?")
    if original == STDIN and prompt is PromptSource.STDIN:
        raise usage_error(
            "Standard input cannot be both the image and the prompt.",
            'Give the prompt as words: imgcli edit - "make it night"',
        )
    if original == STDIN and STDIN in (names or []):
        raise usage_error("Standard input holds one image, and - stands there twice.")


def read_beside(
    names: list[str] | None, mask: str | None, prompt: PromptSource, stdin: BinaryIO
) -> InputImages:
    """Read what goes out beside an image that is changed; a mask is that image's."""
    names = names or []
    _check_names(names, prompt)
    references = tuple(read_reference(name, stdin) for name in names)
    return InputImages(references, None if mask is None else read_mask(mask))


def _check_names(names: list[str], prompt: PromptSource) -> None:
    """Find out what cannot work before anything large is read."""
    if len(names) > MAX_REFERENCES:
        raise usage_error(
            f"{len(names)} images are more than the {MAX_REFERENCES} that can be sent.",
            "Leave some --image out.",
        )
    if "" in names:
        raise usage_error("--image names no file.", "Is a shell variable empty?")
    if names.count(STDIN) > 1:
        raise usage_error("Standard input holds one image, and --image - stands there twice.")
    if STDIN in names and prompt is PromptSource.STDIN:
        raise usage_error(
            "Standard input cannot be both the image (--image -) and the prompt.",
            'Give the prompt as words: imgcli gen "a cat" --image -',
        )

"""Where a prompt comes from: words, a file, or standard input."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.core.errors import usage_error
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, TextIO

_LARGEST = 256 * 1024  # bytes; a longer "prompt" is a mistake, perhaps /dev/zero
_NAME_LENGTH = 200


class Source(Enum):
    """Where the prompt is: standard input can be read once only."""

    HERE = "here"  # in the words or in a file
    STDIN = "standard input"


def prompt_source(words: list[str] | None, file: Path | None) -> Source:
    """Tell whether the prompt comes from standard input."""
    return Source.STDIN if file is None and words in (None, [], ["-"]) else Source.HERE


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

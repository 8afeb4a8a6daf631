"""The prompt and the input images, read from arguments, files and standard input."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.core.errors import usage_error
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.core.validate import MAX_REFERENCES
from imgcli.dataclass import dataclass
from imgcli.store.input_images import STDIN, read_markup, read_mask, read_reference

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


def read_prompt(words: list[str] | None, file: Path | None, stdin: TextIO) -> str:
    """Join the words, or read the file or standard input. Raises `ImgcliError` (usage).

    `-` alone, or no words at all while something is piped in, means standard input.
    """
    if file is not None and words:
        what = f"The prompt is given twice: as words and with {option('prompt-file')}."
        raise usage_error(what, "Choose one.", about=("prompt-file",))
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
            f"There is a file {shorten(name, _NAME_LENGTH)}; did you mean {option('prompt-file')}?",
            f'To send the text itself, put a space before it: " {shorten(words[0], _NAME_LENGTH)}".',
        )


def _from_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return _decoded(_read(stream, str(file)), str(file))
    except OSError as error:
        what = f"The prompt file {file} cannot be read: {error.strerror}."
        raise usage_error(what, about=("prompt-file",)) from None


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
            f"The prompt in {name} is not UTF-8 text: byte {error.start} is the first invalid one.",
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
    markup: InputImage | None = None


@dataclass(frozen=True)
class InputNames:
    """What a command line names: the prompt, as words or as a file, and images."""

    words: list[str] | None
    prompt_file: Path | None = None
    images: list[str] | None = None
    mask: str | None = None
    markup: str | None = None

    @property
    def prompt_source(self) -> PromptSource:
        """Where the prompt comes from: without any words, from standard input."""
        is_stdin = self.prompt_file is None and self.words in (None, [], ["-"])
        return PromptSource.STDIN if is_stdin else PromptSource.HERE


def read_inputs(
    context: Context, names: InputNames, *, is_edit: bool = False
) -> tuple[str, InputImages, tuple[str, ...]]:
    """Return the prompt, the images that go out beside it, and notes about them.

    In an edit mask and markup are those of the image that is edited. Raises `ImgcliError` (usage).
    """
    images, mask, notes = _find_files(context, names)
    source = names.prompt_source
    input_images = read_input_images(images, mask, source, context.stdin.buffer, is_edit=is_edit)
    if names.markup is not None:
        input_images = replace(input_images, markup=read_markup(names.markup))
    return read_prompt(names.words, names.prompt_file, context.stdin), input_images, notes


def _find_files(context: Context, names: InputNames) -> tuple[list[str], str | None, tuple[str, ...]]:
    """Return the files of the images and the mask, a run standing for its image, and notes about them."""
    if not names.images and names.mask is None:
        return [], None, ()
    from imgcli.app.lookup import Located, locate_one  # the history, which most runs do without

    images = [Located((name,)) if name == STDIN else locate_one(context, name) for name in names.images or ()]
    masks = [] if names.mask is None else [locate_one(context, names.mask)]
    notes = tuple(note for located in [*images, *masks] for note in located.notes)
    return [located.paths[0] for located in images], masks[0].paths[0] if masks else None, notes


def read_input_images(
    names: list[str] | None,
    mask: str | None,
    prompt: PromptSource,
    stdin: BinaryIO,
    *,
    is_edit: bool = False,
) -> InputImages:
    """Read the images and the mask. Raises `ImgcliError` (usage), before anything is sent."""
    names = names or []
    _check_names(names, prompt)
    if mask is not None and not names and not is_edit:
        advice = f"Add the image with {option('image')}."
        raise usage_error(f"{option('mask')} needs an image.", advice, about=("mask",))
    references = tuple(read_reference(name, stdin) for name in names)
    return InputImages(references, None if mask is None else read_mask(mask))


def check_original(original: str, names: list[str] | None, prompt: PromptSource) -> None:
    """Raise `ImgcliError` (usage) for an image that cannot be edited, before it is read."""
    if not original:
        raise usage_error("FILE is empty.", "Is a shell variable empty?")
    if original == STDIN and prompt is PromptSource.STDIN:
        raise usage_error(
            "Standard input cannot be both the image and the prompt.",
            'Give the prompt as words: imgcli edit - "make it night"',
        )
    if original == STDIN and STDIN in (names or []):
        raise usage_error("Standard input can hold only one image, but - is given twice.")


def _check_names(names: list[str], prompt: PromptSource) -> None:
    """Find out what cannot work before anything large is read."""
    if len(names) > MAX_REFERENCES:
        raise usage_error(
            f"{len(names)} images are more than the {MAX_REFERENCES} that can be sent.",
            f"Leave some {option('image')} out.",
            about=("image",),
        )
    if "" in names:
        raise usage_error(f"{option('image')} names no file.", "Is a shell variable empty?", about=("image",))
    if names.count(STDIN) > 1:
        what = f"Standard input can hold only one image, but {option('image', STDIN)} is given twice."
        raise usage_error(what, about=("image",))
    if STDIN in names and prompt is PromptSource.STDIN:
        raise usage_error(
            f"Standard input cannot be both the image ({option('image', STDIN)}) and the prompt.",
            f'Give the prompt as words: imgcli gen "a cat" {option("image", STDIN)}',
            about=("image",),
        )

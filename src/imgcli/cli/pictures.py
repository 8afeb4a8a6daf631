"""The pictures that a person sends along: named on the command line, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.cli.prompt import Source
from imgcli.core.editing import MOST_REFERENCES
from imgcli.core.errors import usage_error
from imgcli.store.references import STDIN, read_mask, read_reference

if TYPE_CHECKING:
    from typing import BinaryIO

    from imgcli.cli.world import World
    from imgcli.core.reference import Reference


@dataclass(frozen=True)
class Pictures:
    """What goes out beside the prompt."""

    references: tuple[Reference, ...] = ()
    mask: Reference | None = None


def find_files(
    world: World, names: list[str] | None, mask: str | None
) -> tuple[list[str], str | None, tuple[str, ...]]:
    """Return the files that --image and --mask name, and notes about them: a run stands for an image of its.

    Raises `ImgcliError` (usage).
    """
    if not names and mask is None:
        return [], None, ()
    from imgcli.cli.finding import Located, locate_one  # the history, which most runs do without

    found = [Located((name,)) if name == STDIN else locate_one(world, name) for name in names or ()]
    masks = [] if mask is None else [locate_one(world, mask)]
    notes = tuple(note for one in [*found, *masks] for note in one.notes)
    return [one.paths[0] for one in found], masks[0].paths[0] if masks else None, notes


def read_pictures(names: list[str] | None, mask: str | None, prompt: Source, stdin: BinaryIO) -> Pictures:
    """Read what --image and --mask name. Raises `ImgcliError` (usage), before anything is sent."""
    names = names or []
    _check_names(names, prompt)
    if mask is not None and not names:
        raise usage_error("--mask needs the picture that it belongs to.", "Name that with --image.")
    references = tuple(read_reference(name, stdin) for name in names)
    return Pictures(references, None if mask is None else read_mask(mask))


def check_original(original: str, names: list[str] | None, prompt: Source) -> None:
    """Find out whether a picture cannot be edited before it is read. Raises `ImgcliError` (usage)."""
    if not original:
        raise usage_error("FILE is empty.", "Is a shell variable empty?")
    if original == STDIN and prompt is Source.STDIN:
        raise usage_error(
            "Standard input cannot be both the picture and the prompt.",
            'Give the prompt as words: imgcli edit - "make it night"',
        )
    if original == STDIN and STDIN in (names or []):
        raise usage_error("Standard input holds one picture, and - stands there twice.")


def read_beside(names: list[str] | None, mask: str | None, prompt: Source, stdin: BinaryIO) -> Pictures:
    """Read what goes out beside a picture that is changed; a mask is that picture's."""
    names = names or []
    _check_names(names, prompt)
    references = tuple(read_reference(name, stdin) for name in names)
    return Pictures(references, None if mask is None else read_mask(mask))


def _check_names(names: list[str], prompt: Source) -> None:
    """Find out what cannot work before anything large is read."""
    if len(names) > MOST_REFERENCES:
        raise usage_error(
            f"{len(names)} pictures are more than the {MOST_REFERENCES} that can be sent.",
            "Leave some --image out.",
        )
    if "" in names:
        raise usage_error("--image names no file.", "Is a shell variable empty?")
    if names.count(STDIN) > 1:
        raise usage_error("Standard input holds one picture, and --image - stands there twice.")
    if STDIN in names and prompt is Source.STDIN:
        raise usage_error(
            "Standard input cannot be both the picture (--image -) and the prompt.",
            'Give the prompt as words: imgcli gen "a cat" --image -',
        )

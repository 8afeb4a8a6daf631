"""A picture's family, found and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.cli import lookup, notes
from imgcli.cli.finding import Seeker
from imgcli.cli.world import size_of
from imgcli.core.errors import ExitCode
from imgcli.show.family_tree import DRAWN, TYPED, family_json, tree_lines
from imgcli.show.output import Output
from imgcli.show.terminal import speaks_unicode

if TYPE_CHECKING:
    from imgcli.cli.world import World
    from imgcli.core.family import Family

_CHUNK = 200
"""Lines that are written together."""


def show(world: World, name: str) -> ExitCode:
    """Draw the family. Raises `ImgcliError` (usage)."""
    family = _family(world, name)
    columns = size_of(world.stdout).columns if world.stdout.isatty() else None
    out, waiting = Output(world.stdout), list[str]()
    for line in tree_lines(family, columns, DRAWN if speaks_unicode(world.stdout) else TYPED):
        waiting.append(line)
        if len(waiting) >= _CHUNK:
            out.lines(waiting)
            waiting.clear()
    out.lines(waiting)
    if len(family.members) == 1:
        notes.tell(world, ["the history knows of nothing that it was made from, or that was made from it"])
    return ExitCode.OK


def show_json(world: World, name: str) -> ExitCode:
    """Write the family for a program, a line a member. Raises `ImgcliError` (usage)."""
    from imgcli.show.jsonl import to_json

    out = Output(world.stdout)
    for told in family_json(_family(world, name)):
        out.lines([to_json(told)])
    return ExitCode.OK


def _family(world: World, name: str) -> Family:
    with lookup.opened(world) as history:
        found = Seeker(world, history).find_told(name)
        notes.tell(world, found.notes)
        return history.family(found.origin)

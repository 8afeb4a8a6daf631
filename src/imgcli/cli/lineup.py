"""The models, from the catalog and perhaps from a server, to whoever reads standard output."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from imgcli.cli.world import size_of
from imgcli.core import catalog
from imgcli.core.lineup import Span, lineup
from imgcli.show.output import Output
from imgcli.show.terminal import ColorDepth, look

if TYPE_CHECKING:
    from imgcli.cli.order import Endpoint
    from imgcli.cli.world import World
    from imgcli.core.lineup import Lineup, Listed


class Form(Enum):
    """Who reads it: people, or a program."""

    TABLE = "table"
    JSON = "json"


def show(world: World, span: Span, form: Form, endpoint: Endpoint | None) -> None:
    """Write the models on standard output; a server is asked where there is one. Raises `ImgcliError`."""
    listing = _listing(world, endpoint) if endpoint else None
    found = lineup(catalog.load(), world.now().date(), span, listing)
    Output(world.stdout).lines(_lines(world, found, form))


def _listing(world: World, endpoint: Endpoint) -> tuple[Listed, ...]:
    from imgcli.api.account import account

    peer = account(world.env, endpoint.base_url, endpoint.server)
    from imgcli.api.client import Clock
    from imgcli.api.listing import ask
    from imgcli.api.patience import Limits

    clock = Clock(monotonic=world.monotonic, sleep=world.sleep)
    return ask(peer, Limits.scaled(endpoint.timeout), clock)


def _lines(world: World, found: Lineup, form: Form) -> list[str]:
    if form is Form.JSON:
        from imgcli.show.models_json import document

        return [document(found)]
    from imgcli.show.models_table import plain_lines, rich_lines

    terminal = look(world.env, world.stdout, lambda: size_of(world.stdout))
    if terminal.depth is ColorDepth.NONE:
        return plain_lines(found)
    return rich_lines(found, terminal, terminal.size().columns)

"""What a configuration does to a command: whose server it asks, with whose key, and what it has to say.

A profile's key and headers are for the profile's own server, and for no other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from imgcli.core.config import BASE_URL, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imgcli.cli.settings import Settings
    from imgcli.core.errors import Problem

_KEPT = "imgcli.configured"
_PARAMETER = "base_url"
_VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True)
class Applied:
    """What the configuration did to one command: the server it speaks for, and what its user should know.

    `places` says for each option's long name where its value stands, if that is in the file.
    """

    server: Server = field(default_factory=Server)
    notices: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    def below(self, taken: Iterable[str]) -> Applied:
        """Let the recipe of an earlier picture go before the file, for the options that it filled."""
        recipe = dict.fromkeys(taken, "the earlier picture's recipe")
        return replace(self, places={**self.places, **recipe})

    def explained(self, problem: Problem) -> Problem:
        """Add to a refusal where the values come from that it complains of."""
        named = dict.fromkeys(re.findall(r"--([a-z][a-z-]*)", problem.what))
        told = [f"{name} stands in {self.places[name]}." for name in named if name in self.places]
        return replace(problem, advice=" ".join([*filter(None, [problem.advice]), *told]))


def applied(ctx: Any) -> Applied:  # noqa: ANN401 - Typer keeps these types private
    """Give what the configuration did to the command that runs now."""
    found: Applied = ctx.meta.get(_KEPT) or Applied()
    return found


def keep(ctx: Any, settings: Settings, places: Mapping[str, str]) -> None:  # noqa: ANN401 - see above
    """Keep what the configuration did for the command, which runs later."""
    server, notices = _speaking_for(ctx, settings)
    ctx.meta[_KEPT] = Applied(server, notices, places)


def _speaking_for(ctx: Any, settings: Settings) -> tuple[Server, tuple[str, ...]]:  # noqa: ANN401 - see above
    """Find out what of the profile goes to the server that is asked, and say what does not.

    The environment goes before the profile, as everywhere; that it did is said, because who names a profile
    may not remember the variable.
    """
    server = settings.config.server(ctx.info_name, settings.profile)
    if settings.profile is None or _PARAMETER not in ctx.params or ctx.params.get("demo"):
        return Server(), ()
    from imgcli.api.account import is_at, is_on_this_machine

    asked = ctx.params[_PARAMETER] or ""
    if server.base_url is None:
        is_for_it = not is_on_this_machine(asked)
        return (server, ()) if is_for_it else (Server(), _nameless(server))
    is_for_it = is_at(asked, server.base_url)
    return (server if is_for_it else Server()), _overridden(ctx, settings, server, is_for_it=is_for_it)


def _nameless(server: Server) -> tuple[str, ...]:
    if not server.has_secrets:
        return ()
    what = f"profile {server.profile} has no base-url"
    return (f"{what}, so its key and headers are not for a server on this machine",)


def _overridden(ctx: Any, settings: Settings, server: Server, *, is_for_it: bool) -> tuple[str, ...]:  # noqa: ANN401 - see above
    """Say that another address goes before the profile's, and what that means."""
    source = ctx.get_parameter_source(_PARAMETER)
    by = _VARIABLE if source and source.name == "ENVIRONMENT" else f"--{BASE_URL}"
    kept = server.has_secrets and not is_for_it
    is_same = ctx.params[_PARAMETER].rstrip("/") == (server.base_url or "").rstrip("/")
    if is_same or (by != _VARIABLE and not kept):
        return ()
    told = settings.config.chosen(ctx.info_name, settings.profile)[BASE_URL]
    what = f"{by} goes before the base-url of profile {server.profile} ({settings.place(told)})"
    return (what + ("; its key and headers are not sent to that other server" if kept else ""),)

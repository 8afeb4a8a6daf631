"""Whose server a run asks: a profile's key and headers are for the profile's own, and for no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.core.config import BASE_URL, Server

if TYPE_CHECKING:
    from imgcli.cli.settings import Settings

_PARAMETER = "base_url"
_VARIABLE = "OPENAI_BASE_URL"


def speaking_for(ctx: Any, settings: Settings) -> tuple[Server, tuple[str, ...]]:  # noqa: ANN401 - Typer's is private
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

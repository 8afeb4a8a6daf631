"""Checks of the server: its address, the key, the proxy, the certificates, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.api.auth import LOCAL_KEY, OPENAI_URL, credentials, server_host
from imgcli.api.key_store import permission_warning
from imgcli.core.catalog import list_models
from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.option import option
from imgcli.core.text import duration, shorten
from imgcli.output.diagnosis import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.auth import Credentials
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.catalog import ServerModel


KEY, SERVER, PROXY, CERTIFICATES = "key", "server", "proxy", "certificates"

_USUAL = "OPENAI_API_KEY"
_OPENAI = "api.openai.com"
_OPENAI_KEYS, _ADMIN_KEYS = "sk-", "sk-admin-"
_LENGTH = 100


def server_checks(context: Context, options: ServerOptions, *, is_offline: bool) -> Iterator[Check]:
    """Check all that a request needs, and, unless offline, ask the server for its models, which is free."""
    found: Credentials | ImgcliError
    try:
        found = credentials(context.env, options.base_url, options.settings, context.keys)
    except ImgcliError as error:
        found = error
    yield _key(context, options, found)
    url = (options.base_url or "").strip() or context.env.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL
    is_no_address = isinstance(found, ImgcliError) and found.problem.exit_code is ExitCode.USAGE
    if not is_no_address:
        yield _proxy(context, url)
        yield _certificates(context, url)
    yield _server(context, options, found, is_offline=is_offline)


def _key(context: Context, options: ServerOptions, found: Credentials | ImgcliError) -> Check:
    """Check the key, and never show it."""
    variable = options.settings.key_env or _USUAL
    origin = None if isinstance(found, ImgcliError) else found.origin or None
    facts: dict[str, object] = {
        "variable": variable,
        "is_set": bool(context.env.get(variable, "").strip()),
        "origin": origin,
    }
    if isinstance(found, ImgcliError):
        if found.problem.exit_code is ExitCode.AUTH:
            return Check.problem(KEY, found.problem, facts)
        return Check.note(KEY, "not checked: the server's address is not valid", facts=facts)
    if found.key in {LOCAL_KEY, ""}:
        login = f"a header of profile {shorten(options.settings.profile, _LENGTH)} is the login"
        return Check.ok(KEY, login if not found.key else "not needed for a server on this machine", facts)
    is_variable = origin == variable
    is_set = f"{origin} is set" if is_variable else f"it is from {origin}"
    if found.host == _OPENAI and (fault := _fault(found.key)):
        advice = "Copy the key again, with nothing around it: https://platform.openai.com/api-keys"
        return Check.note(KEY, f"{is_set}, but {fault}", advice, facts)
    if options.settings.key_file and (fault := permission_warning(options.settings.key_file)):
        return Check.note(KEY, f"{is_set}, but {fault}", facts=facts)
    return Check.ok(KEY, f"{is_set} and well-formed" if is_variable else f"well-formed, from {origin}", facts)


def _fault(key: str) -> str:
    """Return what is odd about a key for OpenAI's own server; empty for nothing."""
    if key.startswith(_ADMIN_KEYS):
        return "it is an admin key, which cannot generate images"
    return "" if key.startswith(_OPENAI_KEYS) else f"OpenAI's keys begin with {_OPENAI_KEYS}"


def _proxy(context: Context, url: str) -> Check:
    from imgcli.api.connection_facts import proxy_facts

    proxy = proxy_facts(context.env, url)
    facts: dict[str, object] = {
        "proxy": proxy.host,
        "setting": proxy.setting or None,
        "is_used": proxy.host is not None and not proxy.is_bypassed,
    }
    if proxy.host is None:
        return Check.ok(PROXY, "none", facts)
    if proxy.is_bypassed:
        return Check.ok(PROXY, f"not used for this server ({proxy.setting} is set)", facts)
    if not proxy.host:
        what = f"{proxy.setting} is not a valid URL."
        advice = "It should look like http://proxy.example:3128."
        return Check.problem(PROXY, Problem(ExitCode.UNREACHABLE, what, advice=advice), facts)
    return Check.ok(PROXY, f"{shorten(proxy.host, _LENGTH)} ({proxy.setting})", facts)


def _certificates(context: Context, url: str) -> Check:
    if url.startswith("http:"):
        return Check.ok(CERTIFICATES, "not needed: the connection is not encrypted", {"is_needed": False})
    from imgcli.api.connection_facts import certificate_facts

    trusted = certificate_facts(context.env)
    facts: dict[str, object] = {"is_needed": True, "source": trusted.source, "loaded": trusted.loaded}
    if trusted.problem:
        return Check.problem(CERTIFICATES, trusted.problem, facts)
    count = f"{trusted.loaded}, " if trusted.loaded else ""
    return Check.ok(CERTIFICATES, f"{count}{trusted.source}", facts)


def _server(
    context: Context, options: ServerOptions, found: Credentials | ImgcliError, *, is_offline: bool
) -> Check:
    host = server_host(context.env, options.base_url)
    facts: dict[str, object] = {"host": host, "asked": False, "seconds": None, "models": None}
    if isinstance(found, ImgcliError):
        if found.problem.exit_code is ExitCode.USAGE:
            return Check.problem(SERVER, found.problem, facts)
        return Check.note(SERVER, f"{_name(host)}, not asked: there is no key to ask with", facts=facts)
    if is_offline:
        return Check.ok(SERVER, f"{_name(host)}, not asked ({option('offline')})", facts)
    from imgcli.api.client import Clock
    from imgcli.api.models import ask
    from imgcli.api.transport import Timeouts

    facts["asked"], began = True, context.monotonic()
    clock = Clock(monotonic=context.monotonic, sleep=context.sleep)
    try:
        models = ask(found, Timeouts.scaled(options.timeout), clock)
    except ImgcliError as error:
        if error.problem.exit_code is ExitCode.REFUSED:  # it was reached; some servers have no list
            return Check.note(SERVER, f"{_name(host)}: {error.problem.what}", error.problem.advice, facts)
        return Check.problem(SERVER, error.problem, facts)
    seconds = context.monotonic() - began
    facts |= {"seconds": round(seconds, 3), "models": len(models)}
    return _with_models(context, f"{_name(host)} answered in {duration(seconds)}", models, facts)


def _with_models(
    context: Context, answered: str, models: tuple[ServerModel, ...], facts: dict[str, object]
) -> Check:
    """Compare the server's models with the defaults of a run."""
    listed = list_models(context.models, context.now().date(), listing=models)
    missing = [entry.model.name for entry in listed.entries if entry.is_default and entry.is_usable is False]
    facts["missing_defaults"] = missing
    text = f"{answered}, {len(models)} model{'s' * (len(models) != 1)}"
    if not missing:
        return Check.ok(SERVER, text, facts)
    what = f"{text}; it does not list imgcli's default {' and '.join(missing)}"
    advice = f"Name another with {option('model', short=True)}; `imgcli models {option('live')}` lists them."
    return Check.note(SERVER, what, advice, facts)


def _name(host: str | None) -> str:
    return shorten(host or "", _LENGTH)

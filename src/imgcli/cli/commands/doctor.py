"""`imgcli doctor`: check terminal, configuration, key, server and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.params import generation, lookup, server  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.doctor.setup_checks import ConfigurationFacts
    from imgcli.cli.config.settings import Settings


EPILOG = """\
Exit codes: 0 no problem; else the most severe code that a run would have: 2 configuration or history,
4 key missing or rejected, 8 server not reachable, 12 folder not writable; others as in imgcli gen.
"""
_GEN = "gen"

Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the server.", rich_help_panel="Server")]
TestCard = Annotated[
    bool,
    typer.Option(
        "--test-card",
        help="Also show a test card in every renderer that this terminal supports.",
        rich_help_panel="Display",
    ),
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="Idle timeout.", rich_help_panel="Server"),
]


def doctor(  # noqa: PLR0913 - see `gen`
    ctx: typer.Context,
    *,
    test_card: TestCard = False,
    as_json: lookup.JsonObject = False,
    offline: Offline = False,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,
    timeout: Timeout = 10.0,
) -> None:
    """Check terminal, configuration, key, server and files.

    Each line is ok, a note or a problem; problems say what to do. The server is asked for its list of
    models, which is free. The key is never shown, and nothing is changed.

    \b
    Examples:
      imgcli doctor
      imgcli doctor --offline            send nothing
      imgcli doctor --test-card          for a bug report: one screenshot
      imgcli doctor --profile azure      with the server of that profile
      imgcli doctor --json | jq '.checks[] | {check, status, message}'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.app.doctor.examination import DoctorOptions, examine
    from imgcli.cli.flags import server_options
    from imgcli.core.errors import usage_error

    if test_card and as_json:
        raise usage_error("--json and --test-card exclude each other.", about=("json", "test-card"))
    context: Context = ctx.obj
    source = ctx.get_parameter_source("profile")
    settings, found = _read(context, profile if source and source.name == "COMMANDLINE" else None)
    defaults = settings.config.defaults(_GEN, settings.profile)
    if base_url is None and "base-url" in defaults:
        base_url = str(defaults["base-url"].value)
    preview = context.env.get("IMGCLI_PREVIEW", "").strip()
    if not preview:
        preview = str(defaults["preview"].value) if "preview" in defaults else "auto"
    asked = server_options(
        {"base_url": base_url, "timeout": timeout}, settings.server_at(_GEN, base_url or "")
    )
    raise typer.Exit(examine(context, DoctorOptions(asked, found, preview, offline, as_json, test_card)))


def _read(context: Context, profile: str | None) -> tuple[Settings, ConfigurationFacts]:
    """Read the configuration; a broken one is a finding, and leaves the built-in defaults."""
    from imgcli.app.doctor.setup_checks import ConfigurationFacts
    from imgcli.cli.config.command import configured_commands, schema
    from imgcli.cli.config.settings import Settings, read_settings
    from imgcli.core.config import Config
    from imgcli.core.errors import ImgcliError
    from imgcli.core.text import shorten
    from imgcli.store.config_file import config_path

    path = config_path(context.env)
    exists = path is not None and os.path.lexists(path)
    try:
        settings = read_settings(context.env, schema(configured_commands()), profile)
    except ImgcliError as error:
        file = shorten(str(path), 200)
        return Settings(file, Config()), ConfigurationFacts(file, exists, problem=error.problem)
    named = settings.profile.name if settings.profile else None
    return settings, ConfigurationFacts(settings.file, exists, named, settings.named_by)

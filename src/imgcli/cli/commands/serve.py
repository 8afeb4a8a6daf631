"""`imgcli serve`: a web page and an HTTP API that generate images."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import typer

from imgcli.cli.commands._generation import shared_options
from imgcli.cli.params import generation, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.params import serve_options as params  # noqa: TC001 - see above
from imgcli.cli.params.generation import ApiChoice, parameter_options
from imgcli.cli.typer_ext import adding_options, taking_options_of
from imgcli.core.errors import ImgcliError, check_between, usage_error

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
Addresses:
  /                   a page for people
  /api/gen/txttoimg   GET ?prompt=...&model=..., or POST with JSON; the answer
                      is that of imgcli gen --jsonl
  /api/history        as imgcli history --json; /api/history/ID for one run
  /images/SHA256      an image of the history
  /api/estimate, /api/models, /api/cost, /api/about

A request can set prompt, images, mask, edit and again (the id of an image), model, image_model, partials,
api, and every parameter of the image (size, quality, ...). Everything else is set here, for all requests.

Exit codes: 2 wrong option, or the port is in use; a signal (Ctrl-C, TERM) ends the server, and images
under way as it ends imgcli gen.
"""

_LAST_PORT = 65_535
_MOST_AT_ONCE = 64


@adding_options(parameter_options(), after={"Input": "preset", "Image": "image_model", "Server": "timeout"})
def _run_options(  # noqa: PLR0913 - a signature declares options
    *,
    preset: generation.Preset = None,
    model: params.Model = None,
    image_model: generation.ImageModel = None,
    partials: generation.Partials = None,
    output: params.Output = None,
    embed: generation.Embed = False,
    keep_partials: generation.KeepPartials = False,
    api: generation.ApiOption = ApiChoice.AUTO,
    profile: server.Profile = None,
    base_url: generation.BaseUrl = None,
    stream: generation.Stream = None,
    timeout: generation.Timeout = 300.0,
    demo: generation.Demo = False,
    seed: params.Seed = None,
    max_cost: params.EachCost = None,
    daily_cap: server.DailyCap = None,
) -> None:
    """Declare the options of `gen` that hold for every request, or are its defaults."""


def _is_typed(ctx: typer.Context, name: str) -> bool:
    """Return whether an option was typed: what the configuration says is for other commands too."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@taking_options_of(_run_options, partials="3")
def serve(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    *,
    host: params.Host = "127.0.0.1",
    port: params.Port = 8787,
    token: params.Token = False,
    allow_origin: params.AllowOrigin = None,
    open_page: params.OpenPage = False,
    concurrency: params.AtOnce = 4,
    **flags: Any,  # noqa: ANN401 - what `_run_options` declares
) -> None:
    """Serve a web page and an HTTP API that generate images.

    Streams the JSON lines of imgcli gen --jsonl to web clients. Every image is saved, remembered in the
    history, billed and limited as in the terminal.

    \b
    Examples:
      imgcli serve --demo                      try it: no key, no cost, no network
      imgcli serve -o images/ --daily-cap 5    save there, spend at most $5 a day
      imgcli serve --host 0.0.0.0 --token      for other machines too
      curl -N 'http://127.0.0.1:8787/api/gen/txttoimg?prompt=a+cat'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    # Imported here, so that help and completions do without them.
    from imgcli.app.reporting import refuse
    from imgcli.app.serve.web_app import ServeOptions
    from imgcli.app.serve.web_app import serve as run_server
    from imgcli.app.serve.web_request import WebRequests
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.rows import CommandRowOptions

    context: Context = ctx.obj
    profile = applied_profile(ctx)
    try:
        check_between("port", port, 0, _LAST_PORT)
        check_between("concurrency", concurrency, 1, _MOST_AT_ONCE)
        if flags["output"] == "-":
            raise usage_error("serve cannot save to standard output (-o -).", "Choose a folder with -o.")
        if len(flags["model"] or ()) > 1 and _is_typed(ctx, "model"):
            raise usage_error(
                "serve accepts only one --model.", "It is the default; a request can name another."
            )
        # An option of `gen` that a server does not have is as if nobody had given it.
        absent = {one.name: one.default for one in signature(shared_options).parameters.values()}
        rows = CommandRowOptions(ctx, {**absent, **flags, "jsonl": True, "plain": True}, profile)
        requests = WebRequests(context, rows, flags["output"], profile.presets)
        options = ServeOptions(host, port, token, tuple(allow_origin or ()), concurrency, open_page)
        run_server(context, requests, options)
    except ImgcliError as error:
        raise typer.Exit(refuse(context, profile.explained(error.problem))) from None

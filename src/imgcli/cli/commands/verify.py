"""`imgcli verify`: where images come from, and whether they changed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app.context import size_of
from imgcli.app.lookup import Lookup
from imgcli.cli.params import generation, lookup, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.errors import ExitCode, ImgcliError, most_severe, usage_error
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.app.provenance import OnlineVerifier, Verifier


EPILOG = """\
Three sources are asked: the file's bytes (a C2PA manifest, embedded parameters), the history of this
machine (by the file's SHA-256), and with --online a server. Manifests are checked here if c2pa-python
is installed: pip install 'imgcli[provenance]'. It asks nobody, and trusts the signers of --trust-list.

A file is unchanged if a run in the history saved exactly these bytes, or if a trusted signature fits
them. It is altered if a signature does not fit, if it carries embedded parameters (gen --embed;
imgcli strip removes them), if it is damaged, or if a run saved something else under its name. That no
mark is detected proves nothing.

Keys of --json: asked; verdict (unchanged, altered, no_evidence); exit_code; file, as in imgcli info;
damage; embedded; manifest (state: trusted, valid, invalid, not_present, unchecked, unreadable, unknown;
issuer, generator, generated_at, faults); history (state: unchanged, received, embedded, changed,
unknown, unavailable; id, job, started); server (host; c2pa and synthid: detected, validation_state,
issuer, model, generated_at; skipped; error), null without --online. Unknown values are null.

Exit codes (the most severe of all files): 0 unchanged; 2 no such file, or not an image; 13 altered;
14 nobody can tell; with --online also those of imgcli gen: 4 key missing or rejected, 5 refused,
6 rate limited, 8 not reachable, 9 no complete response.
"""
_SERVER = "Server"

Online = Annotated[
    bool,
    typer.Option(
        "--online",
        help="Upload the files to the server (OpenAI's by default) and ask what C2PA and SynthID say.",
        rich_help_panel=_SERVER,
    ),
]
TrustList = Annotated[
    str | None,
    typer.Option(
        "--trust-list",
        metavar="FILE",
        help="Trust the signers in this PEM file, such as the C2PA trust list.  [default: nobody]",
    ),
]
ShortTimeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="Idle timeout.", rich_help_panel=_SERVER),
]


def verify(  # noqa: PLR0913 - see `gen`
    ctx: typer.Context,
    names: lookup.Images,
    *,
    online: Online = False,
    trust_list: TrustList = None,
    as_json: lookup.JsonLines = False,
    base_url: generation.BaseUrl = None,
    demo: generation.Demo = False,
    profile: server.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    timeout: ShortTimeout = 30.0,
) -> None:
    """Verify where images come from, and whether they changed.

    Nothing is sent unless you say --online, which uploads the files. imgcli knows of no charge for that.

    \b
    Examples:
      imgcli verify a-cat.png                 the file's bytes and the history
      imgcli verify a-cat.png --online        also ask OpenAI
      imgcli verify *.png --json | jq -r 'select(.verdict == "altered") | .asked'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.app.provenance import Verifier
    from imgcli.cli.config.settings import applied_profile, expand_home
    from imgcli.cli.flags import server_options
    from imgcli.store.manifest import read_trust_list

    context: Context = ctx.obj
    flags = {"base_url": base_url, "timeout": timeout, "demo": demo}
    options = server_options(flags, applied_profile(ctx).server)
    if demo and not online:
        raise usage_error("--demo is a server to ask.", "Add --online.", about=("demo", "online"))
    trusted = read_trust_list(expand_home(trust_list)) if trust_list is not None else None
    with ExitStack() as stack:
        asked = _open_server(context, options, stack) if online else None
        images = Lookup.opened(context, stack)
        printer = _VerdictPrinter(context, Verifier(images, asked, trusted), as_json=as_json)
        code = most_severe(printer.print_all(names))
        context.warn(images.notes)
    raise typer.Exit(code)


def _open_server(context: Context, options: ServerOptions, stack: ExitStack) -> OnlineVerifier:
    from imgcli.app.provenance import online

    return stack.enter_context(online(context, options))


class _VerdictPrinter:
    """Prints what is found out, for people with an empty line between two files."""

    def __init__(self, context: Context, verifier: Verifier, *, as_json: bool) -> None:
        self._context = context
        self._verifier = verifier
        self._out = SafeWriter(context.stdout)
        self._columns = size_of(context.stdout).columns if context.stdout.isatty() else None
        self._as_json = as_json
        self._has_begun = False
        self._lacks_signs = False

    def print_all(self, names: Iterable[str]) -> list[ExitCode]:
        """Print every file; one that cannot be verified does not keep the others from it."""
        codes = [code for name in names for code in self._print(name)]
        if self._lacks_signs and not self._as_json:
            from imgcli.output.tables.provenance import closing_lines

            self._out.lines(["", *closing_lines(self._columns)])
        return codes

    def _print(self, name: str) -> Iterator[ExitCode]:
        try:
            paths = self._verifier.paths(name)
        except ImgcliError as error:
            yield self._refuse(error)
            return
        for path in paths:
            try:
                yield self._print_file(path)
            except ImgcliError as error:
                yield self._refuse(error)

    def _print_file(self, path: str) -> ExitCode:
        if self._has_begun and not self._as_json:
            self._has_begun = False
            self._out.lines([""])  # before the notes of the next file, which may come first
        found = self._verifier.verify(path)
        self._lacks_signs |= found.has_missing_marks
        if self._as_json:
            from imgcli.output.json import to_json, verification_json

            self._out.lines([to_json(verification_json(found))])
        else:
            from imgcli.output.tables.provenance import verification_lines

            self._out.lines(verification_lines(found, self._columns))
        self._has_begun = True
        return found.exit_code

    def _refuse(self, error: ImgcliError) -> ExitCode:
        from imgcli.app.reporting import refuse

        return refuse(self._context, error.problem)

"""What a person ordered, as values: flags do not travel below this."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.api.auth import server_host
from imgcli.core.billing.budget import Budget
from imgcli.core.config import ServerSettings
from imgcli.core.errors import check_between, usage_error
from imgcli.core.params import DEMO
from imgcli.output.terminal.database import PreviewProtocol
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import STDOUT
from imgcli.store.publish.stage import KeepPartials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.app.context import Context
    from imgcli.app.plan import RequestPlan
    from imgcli.core.history import Parent
    from imgcli.core.request import DraftRequest
    from imgcli.output.sinks.jsonl import InlineImages


_WIDEST = 10_000
"""Columns: more than any terminal has."""
_SECONDS = 0.1, 86_400
"""What --timeout may be. Ten times as long, the most that an answer may take, is still a time for clocks."""
_HABIT = "IMGCLI_PREVIEW"


class OutputFormat(Enum):
    """Who reads what we write: a person, a program, or a script that wants the path alone."""

    PEOPLE = "people"
    JSON_LINES = "json lines"
    PATHS = "paths"


class Keeping(Enum):
    """Whether images are kept at all: with --no-save they are shown or streamed, and gone."""

    SAVE = "save"
    NOTHING = "nothing"


class Recipes(Enum):
    """Where an image's recipe is written: nowhere near the image, or into its own file (--embed)."""

    APART = "apart"
    EMBEDDED = "embedded"


class Remembering(Enum):
    """Whether a run becomes part of the history."""

    HISTORY = "history"
    NOTHING = "nothing"


class Desktop(Enum):
    """What the desktop is to do with an image: show it, or have it on the clipboard."""

    OPEN = "open"
    COPY = "copy"


class PreviewMode(Enum):
    """How much somebody wants to see an image: ORDERED on the command line, or as USUAL, or PLAIN words."""

    ORDERED = "ordered"
    USUAL = "usual"
    PLAIN = "plain"


@dataclass(frozen=True)
class PreviewOptions:
    """How images are shown; `width` is in columns, None for as many as there are."""

    rung: PreviewProtocol = PreviewProtocol.AUTO
    wanted: PreviewMode = PreviewMode.USUAL
    width: int | None = None


@dataclass(frozen=True)
class DisplayOptions:
    """What is shown, and to whom; `before` is an image that the new one is to be compared with.

    `inline` is None where nobody said it: then JSON lines carry the images, unless they go to a terminal.
    `has_long_bill` tells that the bill is wanted in full.
    """

    style: OutputFormat
    inline: InlineImages | None
    sight: PreviewOptions
    before: bytes | None = None
    has_long_bill: bool = False


@dataclass(frozen=True)
class OutputOptions:
    """What is kept, and where; `name` is the user's `-o`, None for the default.

    `record` is the file in which the run itself is kept for replay; `title` is what the file is named after,
    None for the prompt. `desktop` is what happens to the file when it is saved.
    """

    keeping: Keeping
    name: str | None = None
    clash: OnExists = OnExists.NUMBER
    partials: KeepPartials = KeepPartials.NONE
    record: Path | None = None
    recipes: Recipes = Recipes.APART
    title: str | None = None
    desktop: tuple[Desktop, ...] = ()


@dataclass(frozen=True)
class ServerOptions:
    """Who is asked, how long silence is borne (seconds), and whether it is the demo (`demo`).

    `seed` is the demo's, None for a random one; it is no part of a request.
    `server` is what a profile says of the server at this very address.
    """

    base_url: str | None
    timeout: float
    demo: bool = False
    server: ServerSettings = field(default_factory=ServerSettings)
    seed: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is paid for: in a demo, and where a profile says so of its server."""
        return self.demo or not self.server.billed


@dataclass(frozen=True)
class GenerateOptions:
    """Everything that one `imgcli gen` was told; `notices` are what the configuration has to say to it."""

    wish: DraftRequest
    output: OutputOptions
    report: DisplayOptions
    endpoint: ServerOptions
    budget: Budget = field(default_factory=Budget)
    notices: tuple[str, ...] = ()
    remembering: Remembering = Remembering.HISTORY
    parents: tuple[Parent, ...] = ()


def output_format(*, jsonl: bool, quiet: bool) -> OutputFormat:
    """Choose who we write for. Raises `ImgcliError` (usage)."""
    if jsonl and quiet:
        raise usage_error("--jsonl and --quiet contradict each other: both speak for standard output.")
    return OutputFormat.JSON_LINES if jsonl else OutputFormat.PATHS if quiet else OutputFormat.PEOPLE


def preview_options(
    preview: PreviewProtocol | None, width: int | None, env: Mapping[str, str], *, plain: bool
) -> PreviewOptions:
    """Check how images are to be shown; the environment has the habit. Raises `ImgcliError` (usage)."""
    check_between("--width", width, 1, _WIDEST)
    if plain and preview not in {None, PreviewProtocol.OFF}:
        raise usage_error(f"--plain shows no image, and --preview {preview} asks for one.")
    if plain:
        return PreviewOptions(PreviewProtocol.OFF, PreviewMode.PLAIN)
    return PreviewOptions(
        preview or _habit(env), PreviewMode.ORDERED if preview else PreviewMode.USUAL, width
    )


def _habit(env: Mapping[str, str]) -> PreviewProtocol:
    """Read what somebody always wants."""
    told = env.get(_HABIT, "").strip().lower() or PreviewProtocol.AUTO
    try:
        return PreviewProtocol(told)
    except ValueError:
        raise usage_error(f"{_HABIT} is none of {', '.join(PreviewProtocol)}: {told}.") from None


def output_options(
    name: str | None, style_: OutputFormat, *, save: bool, force: bool, keep_partials: bool
) -> OutputOptions:
    """Check where the image is to go. Raises `ImgcliError` (usage)."""
    if name == STDOUT and style_ is OutputFormat.JSON_LINES:
        raise usage_error("-o - and --jsonl both want standard output.", "Choose a file with -o.")
    if not save and (name is not None or force or keep_partials):
        raise usage_error("--no-save keeps no file, and -o, --force or --keep-partials ask for one.")
    return OutputOptions(
        Keeping.SAVE if save else Keeping.NOTHING,
        name,
        OnExists.REPLACE if force else OnExists.NUMBER,
        KeepPartials.ALL if keep_partials else KeepPartials.NONE,
    )


def desktop(output_: OutputOptions, *, opens: bool, copies: bool) -> tuple[Desktop, ...]:
    """Check what the desktop is to do. Raises `ImgcliError` (usage) where it would have no file."""
    asked = [(Desktop.OPEN, opens), (Desktop.COPY, copies)]
    chosen = tuple(one for one, is_asked in asked if is_asked)
    if chosen and (output_.keeping is Keeping.NOTHING or output_.name == STDOUT):
        kept = "-o -" if output_.name == STDOUT else "--no-save"
        raise usage_error(f"--{chosen[0].value} needs a file, and {kept} keeps none.")
    return chosen


def compared_image(theme: RequestPlan, *, compare: bool) -> bytes | None:
    """Choose what the new image is compared with. Raises `ImgcliError` (usage)."""
    if not compare:
        return None
    if theme.before is None:
        raise usage_error(
            "--compare needs an earlier image on this machine, and there is none.",
            "Leave it out, or start from a file.",
        )
    return theme.before


def server_options(
    base_url: str | None, timeout: float, server: ServerSettings, *, demo: bool, seed: int | None = None
) -> ServerOptions:
    """Check whom to ask. Raises `ImgcliError` (usage)."""
    check_between("--timeout", timeout, *_SECONDS)
    if seed is not None and not demo:
        raise usage_error(
            "The models take no seed; --seed is for the images of --demo.", "Leave it out, or add --demo."
        )
    return ServerOptions(None if demo else base_url, timeout, demo, server, seed)


def place_of(world: Context, endpoint: ServerOptions) -> str | None:
    """Name a server as the history does; None for what is no address."""
    return DEMO if endpoint.demo else server_host(world.env, endpoint.base_url)

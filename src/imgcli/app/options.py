"""The options of one `gen`, `edit` or `again`, as values: nothing below knows a flag."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.api.auth import server_host
from imgcli.core.billing.budget import Budget
from imgcli.core.config import ServerSettings
from imgcli.core.params import DEMO, KeepPartials
from imgcli.dataclass import dataclass
from imgcli.store.publish.atomic import OnExists

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.app.preview_options import PreviewOptions
    from imgcli.core.history import Parent
    from imgcli.core.params import InlineImages
    from imgcli.core.request import DraftRequest


class OutputFormat(Enum):
    """Who reads what we write: a person, a program, or a script that wants the path alone."""

    PEOPLE = "people"
    JSON_LINES = "json lines"
    PATHS = "paths"


class Desktop(Enum):
    """What the desktop does with an image: show it, or put it on the clipboard."""

    OPEN = "open"
    COPY = "copy"


@dataclass(frozen=True)
class DisplayOptions:
    """What is shown, and to whom; `before` is an image to compare the new one with.

    `inline` is None for the default: JSON lines carry the images, unless they go to a terminal. `notifies`
    tells the end to whoever looks elsewhere by then. An animated image is played, unless `is_still`.
    """

    format: OutputFormat
    inline: InlineImages | None
    preview: PreviewOptions
    before: bytes | None = None
    has_long_bill: bool = False
    notifies: bool = False
    is_still: bool = False


@dataclass(frozen=True)
class OutputOptions:
    """What is saved, and where; `name` is the output option, None for the default.

    `record` is the file that the run itself is recorded in; `title` is what the image's file is named after,
    None for the prompt. `embed` writes the parameters into it. In a series several runs share a name, and
    each file but the first gets a number; `number` is this run's.
    """

    name: str | None = None
    save: bool = True
    on_exists: OnExists = OnExists.NUMBER
    partials: KeepPartials = KeepPartials.NONE
    record: Path | None = None
    embed: bool = False
    title: str | None = None
    desktop: tuple[Desktop, ...] = ()
    is_series: bool = False
    number: int = 1


@dataclass(frozen=True)
class ServerOptions:
    """Which server, the idle timeout in seconds, and whether it is the built-in demo.

    `settings` are the profile's for this very address; `seed` is the demo's, None for a random one.
    """

    base_url: str | None
    timeout: float
    demo: bool = False
    settings: ServerSettings = field(default_factory=ServerSettings)
    seed: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is paid for: in a demo, and where a profile says so of its server."""
        return self.demo or not self.settings.billed

    def host(self, env: Mapping[str, str]) -> str | None:
        """Return the server's host and port; None for what is no address."""
        return server_host(env, self.base_url)

    def name(self, env: Mapping[str, str]) -> str | None:
        """Return the server's name in the history: its host, or that of the demo."""
        return DEMO if self.demo else self.host(env)


@dataclass(frozen=True)
class GenerateOptions:
    """Everything that one run was asked for; `notices` come from the configuration and the plan."""

    draft: DraftRequest
    output: OutputOptions
    display: DisplayOptions
    server: ServerOptions
    budget: Budget = field(default_factory=Budget)
    notices: tuple[str, ...] = ()
    parents: tuple[Parent, ...] = ()
    record_history: bool = True
    dry_run: bool = False

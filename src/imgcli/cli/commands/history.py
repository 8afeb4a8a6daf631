"""`imgcli history`: what was asked for, what came of it, what it cost."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app import context, lookup
from imgcli.app.context import size_of
from imgcli.core.billing.spending import GroupBy
from imgcli.core.errors import ExitCode, ImgcliError, check_between, usage_error
from imgcli.output.tables.history import Places, entry_json, history_lines
from imgcli.output.terminal.database import PreviewProtocol
from imgcli.output.text import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.app.context import Context
    from imgcli.core.history import HistoryEntry, SavedImage
    from imgcli.core.image import EncodedImage
    from imgcli.output.terminal.canvas import StillViewer
    from imgcli.store.history.repository import History


_WHICH = "Which runs"
_SHOW = "What you see"
_FORGET = "Forgetting"

Search = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="TEXT",
        help="Runs with TEXT in the prompt, in the revised prompt or in the path.",
        rich_help_panel=_WHICH,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", metavar="N", help="At most N, the newest.  [default: 20]", rich_help_panel=_WHICH
    ),
]
Thumbnails = Annotated[
    PreviewProtocol | None,
    typer.Option(
        "--preview",
        metavar="HOW",
        help="Thumbnails: auto (the best that this terminal can), kitty, iterm2, sixel, octants, sextants, "
        "blocks, half, ascii or off.",
        rich_help_panel=_SHOW,
    ),
]
JsonObjects = Annotated[
    bool, typer.Option("--json", help="Write one JSON object a line, in ASCII.", rich_help_panel=_SHOW)
]
Forget = Annotated[
    bool,
    typer.Option(
        "--forget",
        help="Forget the runs that --search and --limit name, all of them without; their images stay.",
        rich_help_panel=_FORGET,
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Forget them without asking.", rich_help_panel=_FORGET)
]
Today = Annotated[bool, typer.Option("--today", help="Since midnight.", rich_help_panel=_WHICH)]
Week = Annotated[bool, typer.Option("--week", help="Since Monday.", rich_help_panel=_WHICH)]
Month = Annotated[bool, typer.Option("--month", help="Since the first of the month.", rich_help_panel=_WHICH)]
ByOption = Annotated[
    GroupBy | None,
    typer.Option("--by", metavar="WHAT", help="Break it down by model or day.", rich_help_panel=_SHOW),
]
JsonObject = Annotated[bool, typer.Option("--json", help="Write one JSON object.", rich_help_panel=_SHOW)]

EPILOG = """\
Exit codes: 0 done, also where nothing was found; 2 a wrong option, or a history that cannot be
read just now.
"""


def history(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    *,
    search: Search = None,
    limit: Limit = None,
    json_lines: JsonObjects = False,
    preview: Thumbnails = None,
    forget: Forget = False,
    yes: Yes = False,
) -> None:
    """List past runs, newest first.

    A line a run: its id, when it was, what it cost ("+": at least that), how it ended where not well, the
    prompt, and where the image was saved.

    \b
    Examples:
      imgcli history                           the last 20
      imgcli history --search cat --limit 5    the last five about cats
      imgcli history --preview auto            with thumbnails
      imgcli history --json | jq -r .prompt    one JSON object per line
      imgcli history --forget --search secret  as if it had never been; asks first
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: Context = ctx.obj

    asked = selection(search, limit)
    if forget:
        refuse_beside_forget(shows=json_lines or preview is not None)
        raise typer.Exit(forget_runs(world, asked, Consent.GIVEN if yes else Consent.ASK))
    refuse_yes_alone(yes=yes)
    if json_lines:
        raise typer.Exit(print_history_json(world, asked, preview))
    raise typer.Exit(print_history(world, asked, preview))


_USUAL_LIMIT = 20
_MOST = 1_000_000_000
_THUMBNAIL = 28  # columns


class Consent(Enum):
    """Whether somebody has agreed already."""

    GIVEN = "given"
    ASK = "ask"


@dataclass(frozen=True)
class Selection:
    """Which runs are meant; `limit` is None where nobody named one."""

    search: str = ""
    limit: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no run is left out."""
        return not self.search and self.limit is None


def selection(search: str | None, limit: int | None) -> Selection:
    """Check what was asked for. Raises `ImgcliError` (usage)."""
    if search is not None and not search.strip():
        raise usage_error("--search takes a text, and this one is empty.")
    check_between("--limit", limit, 1, _MOST)
    return Selection(search or "", limit)


def refuse_beside_forget(*, shows: bool) -> None:
    """Keep what only shows apart from what removes. Raises `ImgcliError` (usage)."""
    if shows:
        raise usage_error("--forget shows nothing, and --json or --preview ask for it.")


def refuse_yes_alone(*, yes: bool) -> None:
    """Raise `ImgcliError` (usage) for a --yes that nothing was asked for."""
    if yes:
        raise usage_error("--yes belongs to --forget.")


def print_history(world: Context, asked: Selection, preview: PreviewProtocol | None) -> ExitCode:
    """List the runs, with thumbnails where somebody wants them and sees them."""
    with lookup.open_history(world) as history:
        entries = list(history.entries(asked.limit or _USUAL_LIMIT, asked.search))
    columns = size_of(world.stdout).columns if world.stdout.isatty() else None
    lines = history_lines(entries, places_of(world), columns)
    gallery = _Thumbnails.opened(world, preview)
    if gallery:
        gallery.show(entries, lines)
    else:
        SafeWriter(world.stdout).lines(lines)
    if not entries:
        _tell_of_none(world, asked)
    return ExitCode.OK


def print_history_json(world: Context, asked: Selection, preview: PreviewProtocol | None) -> ExitCode:
    """Write the runs for a program, each as soon as it is read."""
    from imgcli.output.sinks.jsonl import to_json

    if preview is not None:
        raise usage_error("--json and --preview contradict each other: both speak on standard output.")
    out = SafeWriter(world.stdout)
    with lookup.open_history(world) as history:
        for entry in history.entries(asked.limit or _USUAL_LIMIT, asked.search):
            out.lines([to_json(entry_json(entry))])
    return ExitCode.OK


def forget_runs(world: Context, asked: Selection, consent: Consent) -> ExitCode:
    """Remove runs for good, once somebody has agreed."""
    with lookup.open_history(world) as history:
        numbers = history.numbers(asked.limit, asked.search)
        left = list(_left(world, history, asked, frozenset(numbers)))
        if not numbers and not history.aside:
            _tell_of_none(world, asked)
        elif consent is Consent.GIVEN or _is_agreed(world, _many(len(numbers))):
            _forget(world, history, asked, numbers)
        else:
            return ExitCode.OK
    context.warn(world, map(_of_record, left))
    return ExitCode.OK


def _left(world: Context, history: History, asked: Selection, numbers: frozenset[int]) -> Iterator[Path]:
    """Find the records of runs that did not end well, as far as these are to be forgotten.

    They stay: a record may hold the only copy of an image that is paid for.
    """
    from imgcli.store.paths import state_folders
    from imgcli.store.runlog.reader import RUNS, unfinished

    for run in (run for folder in state_folders(world.env) for run in unfinished(folder / RUNS)):
        entry = history.find_id(run.header.job) if run.header else None
        prompt = run.header.request.prompt if run.header else ""
        is_found = bool(asked.search) and asked.search.casefold() in prompt.casefold()
        if asked.is_everything or is_found or (entry and entry.number in numbers):
            yield run.path


def _of_record(path: Path) -> str:
    return (
        f"{path} still holds a run's prompt, and perhaps an image that is paid for: finish it with "
        "`imgcli recover` and forget it again, or delete it"
    )


def _forget(world: Context, history: History, asked: Selection, numbers: list[int]) -> None:
    count = history.forget(numbers)
    sentences = [f"{_many(count)} forgotten; the images are where they were"]
    if asked.is_everything:
        history.discard_aside()
    else:
        sentences += [f"{path} was set aside earlier and is not searched" for path in history.aside]
    context.warn(world, sentences)


def _is_agreed(world: Context, what: str) -> bool:
    """Ask. Raises `ImgcliError` (usage) where nobody can be asked."""
    is_agreed = context.confirm(world, f"Forget {what} for good, prompts and costs? The images stay.")
    if is_agreed is None:
        raise usage_error(
            f"--forget would remove {what} for good, and nobody is here to be asked.", "Add --yes."
        )
    return is_agreed


def _many(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


def _tell_of_none(world: Context, asked: Selection) -> None:
    if asked.search:
        context.warn(world, [f"no run has “{asked.search}” in its prompt or path"])
    else:
        context.warn(world, ['nothing is remembered yet; `imgcli gen "a cat" --demo` makes a beginning'])


def places_of(world: Context) -> Places:
    """Find out from where this user looks at paths."""
    from imgcli.store.publish.naming import current_folder

    home = world.env.get("HOME", "")
    with suppress(ImgcliError):
        return Places(current_folder(), Path(home) if home.startswith("/") else None)
    return Places(None, None)


@dataclass(frozen=True)
class _Thumbnails:
    """Small images on the terminal, each with its run's line under it."""

    world: Context
    gallery: StillViewer

    @classmethod
    def opened(cls, world: Context, preview: PreviewProtocol | None) -> _Thumbnails | None:
        """Find out what this terminal shows; None where nobody wants thumbnails, or sees them."""
        if preview is None:
            return None
        from imgcli.output.terminal.capabilities import Display, choose_display, look

        terminal = look(world.env, world.stdout, lambda: size_of(world.stdout), preview)
        if choose_display(preview, terminal) is not Display.IMAGE:
            return None
        from imgcli.output.images.select import RendererSelector
        from imgcli.output.terminal.canvas import StillViewer

        easel = RendererSelector(world.env, world.stdout, terminal, preview, _THUMBNAIL)
        return cls(world, StillViewer(world.stdout, terminal, easel))

    def show(self, entries: Sequence[HistoryEntry], lines: Sequence[str]) -> None:
        for entry, line in zip(entries, lines, strict=True):
            image = next(filter(None, map(_unchanged, entry.saved)), None)
            try:
                if image:
                    self.gallery.show(image, line)
                    continue
            except ValueError:  # it does not decode
                pass
            SafeWriter(self.world.stdout).lines([line])


def _unchanged(kept: SavedImage) -> EncodedImage | None:
    """Read an image back, None where its file has gone or is another image by now."""
    from imgcli.core.image import EncodedImage

    with suppress(OSError, ValueError):
        info = kept.path.stat() if kept.path else None
        if kept.path and info and stat.S_ISREG(info.st_mode) and info.st_size == kept.length:
            image = EncodedImage.of(kept.path.read_bytes())
            return image if image.sha256 == kept.sha256 else None
    return None

"""`imgcli history`: past runs with their results and costs."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from imgcli.app.context import size_of
from imgcli.app.lookup import open_history
from imgcli.cli.params import lookup
from imgcli.core.errors import ImgcliError, check_between, usage_error
from imgcli.core.params import PreviewProtocol
from imgcli.output.tables.history import PathFormatter, cost_words, history_lines
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.app.context import Context
    from imgcli.core.history import HistoryEntry, SavedImage
    from imgcli.core.image import EncodedImage
    from imgcli.store.history.repository import History


_FORGET = "Forget"
_USUAL_LIMIT = 20
_MOST = 1_000_000_000
_THUMBNAIL = 24  # columns

Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        metavar="N",
        help="Only the newest N runs.  [default: 20; all with --forget]",
        rich_help_panel=lookup.FILTER,
    ),
]
Thumbnails = Annotated[
    PreviewProtocol | None,
    typer.Option(
        "--preview",
        metavar="HOW",
        help="Show thumbnails: auto (the best this terminal supports), kitty, iterm2, sixel, octants, "
        "sextants, blocks, half, ascii or off.",
        rich_help_panel="Display",
    ),
]
Forget = Annotated[
    bool,
    typer.Option(
        "--forget",
        help="Remove all runs from the history, or those selected by --search and --limit. Image files are "
        "kept.",
        rich_help_panel=_FORGET,
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.", rich_help_panel=_FORGET)
]

EPILOG = """\
Exit codes: 0 done, even if nothing was found; 2 wrong option, or the history cannot be read.
"""


def history(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    *,
    search: lookup.Search = None,
    limit: Limit = None,
    json_lines: lookup.JsonLines = False,
    preview: Thumbnails = None,
    forget: Forget = False,
    yes: Yes = False,
) -> None:
    """List past runs, newest first.

    One line per run: id, time, cost ("+" means at least), outcome if it failed, prompt, image path.

    \b
    Examples:
      imgcli history                           the last 20 runs
      imgcli history --search cat --limit 5    the last five about cats
      imgcli history --preview auto            with thumbnails above
      imgcli history --json | jq -r .prompt    one JSON object per line
      imgcli history --forget --search secret  remove them for good; asks first
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    if search is not None and not search.strip():
        raise usage_error("--search must not be empty.")
    check_between("limit", limit, 1, _MOST)
    if forget and (json_lines or preview is not None):
        raise usage_error("--forget cannot be combined with --json or --preview.")
    if yes and not forget:
        raise usage_error("--yes needs --forget.")
    if json_lines and preview is not None:
        raise usage_error("--json and --preview cannot be combined: both write to standard output.")
    context: Context = ctx.obj
    selection = Selection(search or "", limit)
    if forget:
        forget_runs(context, selection, yes=yes)
    elif json_lines:
        print_history_json(context, selection)
    else:
        print_history(context, selection, preview)


class Selection(NamedTuple):
    """The runs that are meant; `limit` is None if it was not given."""

    search: str
    limit: int | None

    @property
    def is_everything(self) -> bool:
        """Whether no run is left out."""
        return not self.search and self.limit is None


def print_history(context: Context, selection: Selection, preview: PreviewProtocol | None) -> None:
    """Print a line for each run, and above them all their images if they are wanted and can be shown."""
    with open_history(context) as history:
        entries = list(history.entries(selection.limit or _USUAL_LIMIT, selection.search))
    columns = size_of(context.stdout).columns if context.stdout.isatty() else None
    lines = history_lines(entries, _path_formatter(context), columns, context.links)
    _show_thumbnails(context, preview, entries)
    SafeWriter(context.stdout).lines(lines)
    if not entries:
        _warn_of_none(context, selection)


def print_history_json(context: Context, selection: Selection) -> None:
    """Print a JSON object for each run, as soon as it is read."""
    from imgcli.output.json import entry_json, to_json

    out = SafeWriter(context.stdout)
    with open_history(context) as history:
        for entry in history.entries(selection.limit or _USUAL_LIMIT, selection.search):
            out.lines([to_json(entry_json(entry))])


def forget_runs(context: Context, selection: Selection, *, yes: bool) -> None:
    """Remove runs from the history, after confirmation. Raises `ImgcliError` where nobody can give it."""
    with open_history(context) as history:
        numbers = history.numbers(selection.limit, selection.search)
        logs = list(_unfinished_logs(context, history, selection, frozenset(numbers)))
        if not numbers and not history.aside:
            _warn_of_none(context, selection)
        elif yes or _is_confirmed(context, _runs(len(numbers))):
            _forget(context, history, selection, numbers)
        else:
            return
    context.warn(
        (
            f"{path} still has the prompt of an unfinished run, and possibly its image: run `imgcli recover` "
            "and forget it again, or delete the file"
            for path in logs
        ),
    )


def _unfinished_logs(
    context: Context, history: History, selection: Selection, numbers: frozenset[int]
) -> Iterator[Path]:
    """Yield the logs of unfinished runs that match the selection.

    They are kept: a log may be the only copy of an image that was paid for.
    """
    from imgcli.store.paths import state_folders
    from imgcli.store.runlog.reader import RUNS, unfinished

    for run in (run for folder in state_folders(context.env) for run in unfinished(folder / RUNS)):
        entry = history.find_id(run.header.job) if run.header else None
        prompt = run.header.request.prompt if run.header else ""
        is_match = bool(selection.search) and selection.search.casefold() in prompt.casefold()
        if selection.is_everything or is_match or (entry and entry.number in numbers):
            yield run.path


def _forget(context: Context, history: History, selection: Selection, numbers: list[int]) -> None:
    sentences = [f"{_runs(history.forget(numbers))} removed from the history; image files are kept"]
    if selection.is_everything:
        history.discard_aside()
    else:
        sentences += [f"{path} was set aside earlier and is not searched" for path in history.aside]
    context.warn(sentences)


def _is_confirmed(context: Context, runs: str) -> bool:
    is_confirmed = context.confirm(
        f"Remove {runs} from the history for good, with prompts and costs? Image files are kept."
    )
    if is_confirmed is None:
        raise usage_error(
            f"--forget would remove {runs} for good, and there is no terminal to confirm it.", "Add --yes."
        )
    return is_confirmed


def _runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


def _warn_of_none(context: Context, selection: Selection) -> None:
    if selection.search:
        context.warn([f"no run has “{selection.search}” in its prompt or path"])
    else:
        context.warn(['no history yet; try `imgcli gen "a cat" --demo`'])


def _path_formatter(context: Context) -> PathFormatter:
    """Return the folders that paths are shortened against."""
    from imgcli.store.publish.naming import current_folder

    home = context.env.get("HOME", "")
    with suppress(ImgcliError):
        return PathFormatter(current_folder(), Path(home) if home.startswith("/") else None)
    return PathFormatter(None, None)


def _show_thumbnails(
    context: Context, preview: PreviewProtocol | None, entries: Sequence[HistoryEntry]
) -> None:
    """Show the images that are still there, if they are wanted and can be shown."""
    if preview is None:
        return
    from imgcli.output.terminal.capabilities import Display, choose_display, detect_terminal

    terminal = detect_terminal(context.env, context.stdout, lambda: size_of(context.stdout), preview)
    if choose_display(preview, terminal) is not Display.IMAGE:
        return
    from imgcli.app.image_pages import ImagePages
    from imgcli.output.images.select import RendererSelector

    provider = RendererSelector(context.env, context.stdout, terminal, preview, _THUMBNAIL)
    pages = ImagePages(context.stdout, terminal, provider, sum(len(entry.saved) for entry in entries))
    try:
        for entry in entries:
            for saved in entry.saved:
                if image := _unchanged(saved):
                    with suppress(ValueError):  # it cannot be decoded
                        name = saved.path.name if saved.path else ""
                        pages.add(image, name, (cost_words(entry),), str(entry.number))
        pages.flush()
    finally:
        provider.close()


def _unchanged(saved: SavedImage) -> EncodedImage | None:
    """Read an image back; None if its file is gone or is no longer that image."""
    from imgcli.core.image import EncodedImage

    with suppress(OSError, ValueError):
        info = saved.path.stat() if saved.path else None
        if saved.path and info and stat.S_ISREG(info.st_mode) and info.st_size == saved.length:
            image = EncodedImage.of(saved.path.read_bytes())
            return image if image.sha256 == saved.sha256 else None
    return None

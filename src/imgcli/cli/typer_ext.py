"""Help pages with examples first, short by -h and long by --help, and completions that come at once.

Typer's rich help costs as much again as importing Typer, and so does checking the values of a line that is
still being typed; plain help and unchecked completions keep both fast.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import defaultdict
from copy import copy
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


C = TypeVar("C", bound="Callable[..., Any]")


_DEFAULT = "  [default: "


def taking_options_of(declares: Callable[..., Any], **defaults: str) -> Callable[[C], C]:
    """Let a command's `**chosen` stand for the keyword options of `declares`, after the command's own.

    `defaults` says in words what holds in this command where nobody says anything, for its help.
    """

    def decorate(command: C) -> C:
        own = [one for one in _parameters(command) if one.kind is not inspect.Parameter.VAR_KEYWORD]
        names = {one.name for one in own}
        others = [one for one in _parameters(declares) if _is_option(one) and one.name not in names]
        shared = [_retold(one, defaults[one.name]) if one.name in defaults else one for one in others]
        together = [*own, *shared]
        command.__annotations__ = {one.name: one.annotation for one in together}
        command.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]  # read by Typer
        return command

    return decorate


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.KEYWORD_ONLY


def _retold(parameter: inspect.Parameter, default: str) -> inspect.Parameter:
    """Say another default in an option's help."""
    kind, declared = get_args(parameter.annotation)
    told = copy(declared)
    told.help = f"{declared.help.partition(_DEFAULT)[0]}{_DEFAULT}{default}]"
    told.show_default = False
    return parameter.replace(annotation=Annotated[kind, told])


@dataclass(frozen=True)
class Unchecked:
    """Stands in for Typer's own check of one parameter, until a value comes that needs it."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - Typer keeps these types private
        """Return a value as Typer would: it raises what Typer raises for one that is wrong."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if _is_right_already(value, param.type_descriptor.annotation):
            return value
        param._runtime_param = None  # noqa: SLF001 - its own is made when it is asked for
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def spare_checks(params: Iterable[Any]) -> None:
    """Put off the checks of parameters that have not been checked yet."""
    for param in params:
        if getattr(param, "_runtime_param", False) is None:
            param._runtime_param = Unchecked()  # noqa: SLF001 - Typer has no other way in


def _is_right_already(value: object, annotation: Any) -> bool:  # noqa: ANN401 - any annotation
    """Return whether a value is text where text is wanted, or texts, or a default of the very type."""
    wanted = get_args(annotation) or (annotation,)
    if isinstance(value, list | tuple):
        return wanted == (str,) and all(type(one) is str and _is_sound(one) for one in value)
    if type(value) is str:
        return str in wanted and _is_sound(value)
    return isinstance(value, Enum | bool | int | float) and type(value) in wanted


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, from a command line in another encoding
        return False
    return True


OTHER = "Other options"
_SCREEN = 22  # rows of a terminal of 24, between the command line and the next prompt
_EXAMPLES = 3
_ESSENTIAL = (
    *("image", "output", "model", "size", "quality", "continue", "demo", "max-cost"),
    *("compare", "dry-run", "mask", "preview", "save", "speed"),
)
"""Options that a short page names where there is no room for all, those that people need most first."""
_NO_BRACES = str.maketrans("", "", "{}")
_TYPE = re.compile(r" <[a-z\[\]]+>$")
"""Typer's word for an argument's type, which says nothing to people."""
_SENTENCE_END = re.compile(r"(?<=\.)\s|\s{2}\[")
_CLAUSE_END = re.compile(r"[:;] | \(")
_GIST = 56  # characters that fit beside an option in 80 columns


class _Paged:
    """What commands and groups share: `-h` for a page of one screen, `--help` for everything."""

    name: str | None
    help: str | None
    _brief: Any = None

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - Typer keeps these types private
        """Add `-h` before `--help`."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command beside it
        if self._brief is None and params and "--help" in params[-1].opts:
            self._brief = copy(params[-1])
            self._brief.name, self._brief.opts = "brief", ["-h"]
            self._brief.help = "Show the most important options and examples, and exit."
            self._brief.callback = _show_brief
            params[-1].help = "Show this page and exit."
        return params if self._brief is None else [*params[:-1], self._brief, params[-1]]

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - a list of commands wraps lines
        """Return the first line of the help whole, however narrow the terminal is."""
        return (self.help or "").partition("\n")[0]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - see above
        """Write the epilog flush left: it is a section of its own. Blocks with indented lines are tables."""
        for block in (getattr(self, "epilog", None) or "").strip("\n").split("\n\n"):
            if block:
                is_table = "\n " in block
                formatter.write_paragraph()
                formatter.write(f"{block if is_table else textwrap.fill(block, formatter.width)}\n")

    def write_brief(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - see above
        """Write the page of one screen: what it does, examples, what matters most."""
        command: Any = self
        about, _, rest = (self.help or "").partition("\n")
        command.format_usage(ctx, formatter)
        filled = textwrap.fill(about, formatter.width, initial_indent="  ", subsequent_indent="  ")
        formatter.write(f"\n{filled}\n")
        if examples := _examples(rest, formatter.width):
            formatter.write("\n".join(["", "Examples:", *examples, ""]))
        room = _SCREEN - formatter.getvalue().count("\n") - 3  # two blank lines and the last one
        command.write_essentials(ctx, formatter, room)
        formatter.write(f"\nMore: {ctx.command_path} --help\n")


def _show_brief(ctx: Any, _param: Any, value: bool) -> None:  # noqa: ANN401, FBT001 - Typer calls it with the flag
    if value and not ctx.resilient_parsing:
        show_brief(ctx)
        ctx.exit()


def show_brief(ctx: Any) -> None:  # noqa: ANN401 - see above
    """Print the short page of a context's command."""
    import typer

    formatter = ctx.make_formatter()
    ctx.command.write_brief(ctx, formatter)
    typer.echo(formatter.getvalue().rstrip("\n"))


class GroupedCommand(_Paged, TyperCommand):
    """A command whose help lists its options under the headings of their `rich_help_panel`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - see above
        """Leave values unchecked where nothing can be wrong with them: checking them loads pydantic."""
        if ctx.resilient_parsing:
            return _taken_apart(self, ctx, args)
        self._refuse_help(ctx, args)
        spare_checks(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - see above
        """Write arguments as manuals do: `FILE` for one that must be there, `[PROMPT]...` for any number."""
        return [piece.translate(_NO_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - see above
        """Write one section a heading, in the order in which the options are declared."""
        for heading, rows in _sections(self, ctx):
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=26)

    def write_essentials(self, ctx: Any, formatter: Any, room: int) -> None:  # noqa: ANN401 - see above
        """Write the rows of arguments and options that fit: all of them, else the essential ones."""
        params = [one for one in self.get_params(ctx) if one.get_help_record(ctx)][:-2]
        ranked = sorted((one for one in params if _rank(one) < len(_ESSENTIAL)), key=_rank)
        fewer = ([one for one in params if one in chosen] for chosen in _shrinking(ranked))

        def written(chosen: Sequence[Any]) -> str:
            page = ctx.make_formatter()
            with page.section("Options"):
                page.write_dl([_short_row(one, ctx) for one in chosen], col_max=26)
            return str(page.getvalue())

        if params:
            formatter.write("\n" + _fitting((params, *fewer), written, room))

    def _refuse_help(self, ctx: Any, args: list[str]) -> None:  # noqa: ANN401 - see above
        """Take the word `help` alone for a question: as a prompt it would cost money."""
        if "help" not in args or "--" in args or ctx.info_name == "help":
            return
        values, rest, _ = self.make_parser(ctx).parse_args(args=list(args))
        named = [values.get(one.name) for one in self.params if one.param_type_name == "argument"]
        words = [word for one in named if one for word in ([one] if isinstance(one, str) else one)]
        if [*words, *rest] == ["help"]:
            from imgcli.cli.usage_errors import asks_for_help

            raise asks_for_help(ctx.command_path)


class OrderedGroup(_Paged, TyperGroup):
    """A group: commands in the order in which they were added, and a flush-left epilog."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - see above
        """Find the command of a line that is being completed, and check nothing."""
        if not ctx.resilient_parsing:
            spare_checks(self.get_params(ctx))
            return super().parse_args(ctx, args)
        rest = _taken_apart(self, ctx, args)
        ctx._protected_args, ctx.args = rest[:1], rest[1:]  # noqa: SLF001 - as Typer's own `parse_args` does
        return rest[1:]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - see above
        """Find a command; where there is none, say what was probably meant."""
        if not ctx.resilient_parsing and args[0] not in self.commands:
            from imgcli.cli.usage_errors import no_command

            raise no_command(args, self, ctx.command_path)
        return super().resolve_command(ctx, args)

    def write_essentials(self, ctx: Any, formatter: Any, room: int) -> None:  # noqa: ANN401 - see above
        """Write the first commands with their lines, and the names of those for which there is no room."""
        rows = [(name, one.get_short_help_str()) for name, one in self.commands.items()]

        def written(shown: Sequence[tuple[str, str]]) -> str:
            page = ctx.make_formatter()
            with page.section("Commands"):
                page.write_dl(shown)
            more = f"Also: {', '.join(name for name, _ in rows[len(shown) :])}"
            fill = textwrap.fill(more, page.width, subsequent_indent="  ")
            return str(page.getvalue()) + (f"{fill}\n" if len(shown) < len(rows) else "")

        formatter.write("\n" + _fitting(_shrinking(rows), written, room))


def _examples(text: str, width: int) -> list[str]:
    """Return the first example lines of a help text, without their remarks where these have no room."""
    lines = text.partition("Examples:\n")[2].partition("\n\n")[0].split("\n")[:_EXAMPLES]
    fit = all(len(line.strip()) + 2 <= width for line in lines)
    return [f"  {line.strip() if fit else line.strip().partition('  ')[0]}" for line in lines]


def _shrinking(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[:length] for length in range(len(rows), 0, -1))


def _fitting(choices: Any, written: Callable[[Sequence[Any]], str], room: int) -> str:  # noqa: ANN401 - of rows
    """Return the first text that has room, else the last."""
    text = ""
    for rows in choices:
        text = written(rows)
        if text.count("\n") <= room:
            break
    return text


def _rank(parameter: Any) -> int:  # noqa: ANN401 - see above
    """Return a parameter's place among those that people need, the length of their list for any other."""
    if parameter.param_type_name == "argument":
        return -1
    names = (name.lstrip("-") for name in parameter.opts)
    return next((_ESSENTIAL.index(name) for name in names if name in _ESSENTIAL), len(_ESSENTIAL))


def _short_row(parameter: Any, ctx: Any) -> tuple[str, str]:  # noqa: ANN401 - see above
    """Return an option and the beginning of its help: the first sentence, of a long one its main clause."""
    label, _ = parameter.get_help_record(ctx)
    sentence = _SENTENCE_END.split(parameter.help or "", maxsplit=1)[0]
    if len(sentence) > _GIST:
        sentence = _CLAUSE_END.split(sentence, maxsplit=1)[0]
    return _TYPE.sub("", label), sentence.rstrip(".") + "."


def _taken_apart(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
    """Tell options and arguments apart as Typer's own `parse_args` does, and no more."""
    parser = command.make_parser(ctx)
    values, rest, _ = parser.parse_args(args=args)
    ctx.params.update(values)
    ctx.args = rest
    ctx._opt_prefixes.update(parser._opt_prefixes)  # noqa: SLF001 - completion asks for them
    return rest


def _sections(command: TyperCommand, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:  # noqa: ANN401
    """Collect the help rows of a command's parameters under their headings."""
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for parameter in command.get_params(ctx):
        row = parameter.get_help_record(ctx)
        if row is not None:
            label, told = row
            heading = getattr(parameter, "rich_help_panel", None) or OTHER
            rows[heading].append((_TYPE.sub("", label), told))
    yield from sorted(rows.items(), key=lambda section: section[0] == OTHER)

"""Extensions of Typer: help with examples first, short -h and long --help, fast completion.

Typer's rich help costs as much again as importing Typer, and so does checking the values of a line that is
still being typed; plain help and unchecked completions keep both fast.
"""

from __future__ import annotations

import inspect
import textwrap
from copy import copy
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from typer.core import TyperCommand, TyperGroup

from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


C = TypeVar("C", bound="Callable[..., Any]")

_ARGUMENTS = "Arguments"
OTHER = "Other options"
_DEFAULT = "  [default: "
_SCREEN = 22  # rows of a terminal of 24, between the command line and the next prompt
_EXAMPLES = 3
_ESSENTIAL = (
    *("image", "output", "model", "size", "quality", "count", "demo", "max-cost", "continue"),
    *("port", "host", "token", "daily-cap"),
    *("compare", "dry-run", "mask", "preview", "save", "speed"),
)
"""Options of a short page that has no room for all of them, the most important first."""
_NO_BRACES = str.maketrans("", "", "{}")
_TYPE = regex(r" <[a-z\[\]]+>$")
"""Typer's word for an argument's type, which says nothing to people."""
_SENTENCE_END = regex(r"(?<=\.)\s|\s{2}\[")
_CLAUSE_END = regex(r"[:;] | \(")
_GIST = 56  # characters that fit beside an option in 80 columns


def taking_options_of(declares: Callable[..., Any], **defaults: str) -> Callable[[C], C]:
    """Return a decorator that replaces a command's `**flags` by the keyword options of `declares`.

    `defaults` describes the defaults that differ in this command, for its help.
    """

    def decorate(command: C) -> C:
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = {one.name: one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD}
        for one in inspect.signature(declares, eval_str=True).parameters.values():
            if one.kind is inspect.Parameter.KEYWORD_ONLY and one.name not in parameters:
                parameters[one.name] = _with_default(one, defaults.get(one.name))
        command.__annotations__ = {one.name: one.annotation for one in parameters.values()}
        signature = inspect.Signature(list(parameters.values()))
        command.__signature__ = signature  # type: ignore[attr-defined]  # read by Typer
        return command

    return decorate


def adding_options(options: Iterable[inspect.Parameter], after: Mapping[str, str]) -> Callable[[C], C]:
    """Return a decorator that adds options to a signature, `after` the option named for their heading."""

    def decorate(declares: C) -> C:
        parameters = list(inspect.signature(declares, eval_str=True).parameters.values())
        for option in reversed(list(options)):
            before = after[get_args(option.annotation)[1].rich_help_panel]
            names = [one.name for one in parameters]
            parameters.insert(names.index(before) + 1, option)
        declares.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # see above
        return declares

    return decorate


def _with_default(parameter: inspect.Parameter, default: str | None) -> inspect.Parameter:
    """Describe another default in an option's help."""
    if default is None:
        return parameter
    kind, declared = get_args(parameter.annotation)
    option = copy(declared)
    option.help = f"{declared.help.partition(_DEFAULT)[0]}{_DEFAULT}{default}]"
    option.show_default = False
    return parameter.replace(annotation=Annotated[kind, option])


class Unchecked:
    """Takes the place of Typer's own check of one parameter, until a value comes that needs it."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - Typer keeps these types private
        """Return a value as Typer would; raises what Typer raises for one that is wrong."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        annotation = param.type_descriptor.annotation
        if _is_right_already(value, annotation):
            return value
        if (member := _member(value, annotation)) is not None:
            return member
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
        return wanted == (str,) and all(type(one) is str and _is_encodable(one) for one in value)
    if type(value) is str:
        return str in wanted and _is_encodable(value)
    return isinstance(value, Enum | bool | int | float) and type(value) in wanted


def _member(value: object, annotation: Any) -> Enum | None:  # noqa: ANN401 - any annotation
    """Return the choice that a text spells exactly; to find it, Typer would import pydantic."""
    wanted = get_args(annotation) or (annotation,)
    choices = [kind for kind in wanted if isinstance(kind, type) and issubclass(kind, Enum)]
    found = (member for kind in choices for member in kind if type(value) is str and member.value == value)
    return next(found, None)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, from a command line in another encoding
        return False
    return True


class _Paged:
    """Mixin of commands and groups: `-h` for a page of one screen, `--help` for everything."""

    name: str | None
    help: str | None
    _brief: Any = None

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - Typer keeps these types private
        """Add `-h` before `--help`."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command beside it
        if self._brief is None and params and "--help" in params[-1].opts:
            self._brief = copy(params[-1])
            self._brief.name, self._brief.opts = "brief", ["-h"]
            self._brief.help = "Show a short help page."
            self._brief.callback = _show_brief
            params[-1].help = "Show this page."
        return params if self._brief is None else [*params[:-1], self._brief, params[-1]]

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - a list of commands wraps lines
        """Return the first line of the help whole, however narrow the terminal is."""
        return (self.help or "").partition("\n")[0]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - see above
        """Write the epilog flush left, as a section of its own. Blocks with indented lines are tables."""
        for block in (getattr(self, "epilog", None) or "").strip("\n").split("\n\n"):
            if block:
                is_table = "\n " in block
                filled = textwrap.fill(block, formatter.width, break_on_hyphens=False)
                formatter.write_paragraph()
                formatter.write(f"{block if is_table else filled}\n")

    def write_brief(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - see above
        """Write the page of one screen: description, examples, essential options."""
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
        """Parse, without checking values that cannot be wrong: checking them loads pydantic."""
        if ctx.resilient_parsing:
            return _parse_unchecked(self, ctx, args)
        self._refuse_help(ctx, args)
        spare_checks(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - see above
        """Return arguments as manuals write them: `FILE` if required, `[PROMPT]...` for any number."""
        return [piece.translate(_NO_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - see above
        """Write one section per heading, in the order in which the options are declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                row = (_TYPE.sub("", record[0]), record[1])
                sections.setdefault(heading_of(parameter), []).append(row)
        for heading, rows in sorted(sections.items(), key=lambda section: section[0] == OTHER):
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=26)

    def write_essentials(self, ctx: Any, formatter: Any, room: int) -> None:  # noqa: ANN401 - see above
        """Write the rows of arguments and options that fit: all of them, else the essential ones."""
        params = [one for one in self.get_params(ctx) if one.get_help_record(ctx)][:-2]
        ranked = sorted((one for one in params if _rank(one) < len(_ESSENTIAL)), key=_rank)

        def page(chosen: Sequence[Any]) -> Any:  # noqa: ANN401 - see above
            inner = ctx.make_formatter()
            with inner.section("Options"):
                inner.write_dl([_short_row(one, ctx) for one in params if one in chosen], col_max=26)
            return inner

        if params:
            choices = (params, *(ranked[:length] for length in range(len(ranked), 0, -1)))
            _write_fitting(formatter, room, map(page, choices))

    def _refuse_help(self, ctx: Any, args: list[str]) -> None:  # noqa: ANN401 - see above
        """Raise `ImgcliError` (usage) for the word `help` alone: as a prompt it would cost money."""
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
        """Parse; find the command of a line that is being completed without checking anything."""
        if not ctx.resilient_parsing:
            spare_checks(self.get_params(ctx))
            return super().parse_args(ctx, args)
        rest = _parse_unchecked(self, ctx, args)
        ctx._protected_args, ctx.args = rest[:1], rest[1:]  # noqa: SLF001 - as Typer's own `parse_args` does
        return rest[1:]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - see above
        """Find a command. Raises `ImgcliError` (usage), which says what was probably meant."""
        if not ctx.resilient_parsing and args[0] not in self.commands:
            from imgcli.cli.usage_errors import no_command

            raise no_command(args, self, ctx.command_path)
        return super().resolve_command(ctx, args)

    def write_essentials(self, ctx: Any, formatter: Any, room: int) -> None:  # noqa: ANN401 - see above
        """Write the first commands with their lines, and the names of the others where there is no room."""
        rows = [(name, one.get_short_help_str()) for name, one in self.commands.items()]

        def page(length: int) -> Any:  # noqa: ANN401 - see above
            inner = ctx.make_formatter()
            with inner.section("Commands"):
                inner.write_dl(rows[:length])
            if others := ", ".join(name for name, _ in rows[length:]):
                inner.write(textwrap.fill(f"Also: {others}", inner.width, subsequent_indent="  ") + "\n")
            return inner

        _write_fitting(formatter, room, map(page, range(len(rows), 0, -1)))


def _write_fitting(formatter: Any, room: int, pages: Iterable[Any]) -> None:  # noqa: ANN401 - see above
    """Write the first page that has room, else the last."""
    text = ""
    for page in pages:
        text = page.getvalue()
        if text.count("\n") <= room:
            break
    formatter.write(f"\n{text}")


def _examples(text: str, width: int) -> list[str]:
    """Return the first example lines of a help text, without their comments where these have no room."""
    lines = text.partition("Examples:\n")[2].partition("\n\n")[0].split("\n")[:_EXAMPLES]
    lines = [line.strip() for line in lines if line]
    fit = all(len(line) + 2 <= width for line in lines)
    return [f"  {line if fit else line.partition('  ')[0]}" for line in lines]


def heading_of(parameter: Any) -> str:  # noqa: ANN401 - see above
    """Return the heading that a parameter is listed under."""
    usual = _ARGUMENTS if parameter.param_type_name == "argument" else OTHER
    return getattr(parameter, "rich_help_panel", None) or usual


def _rank(parameter: Any) -> int:  # noqa: ANN401 - see above
    """Return a parameter's place among the essential ones, the number of these for any other."""
    if parameter.param_type_name == "argument":
        return -1
    names = (name.lstrip("-") for name in parameter.opts)
    return next((_ESSENTIAL.index(name) for name in names if name in _ESSENTIAL), len(_ESSENTIAL))


def _short_row(parameter: Any, ctx: Any) -> tuple[str, str]:  # noqa: ANN401 - see above
    """Return an option and the first sentence of its help, of a long one its main clause."""
    label, _ = parameter.get_help_record(ctx)
    sentence = _SENTENCE_END.split(parameter.help or "", maxsplit=1)[0]
    if len(sentence) > _GIST:
        sentence = _CLAUSE_END.split(sentence, maxsplit=1)[0]
    return _TYPE.sub("", label), sentence.rstrip(".") + "."


def _parse_unchecked(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
    """Separate options and arguments as Typer's own `parse_args` does, and no more."""
    parser = command.make_parser(ctx)
    values, rest, _ = parser.parse_args(args=args)
    ctx.params.update(values)
    ctx.args = rest
    ctx._opt_prefixes.update(parser._opt_prefixes)  # noqa: SLF001 - completion asks for them
    return rest

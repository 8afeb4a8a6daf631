"""`imgcli again`: repeat a run, with changed options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.commands._generation import generate_command, shared_options
from imgcli.cli.completion import images_and_ids
from imgcli.cli.params.generation import inherited_defaults
from imgcli.cli.typer_ext import taking_options_of

if TYPE_CHECKING:
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


EPILOG = """\
The parameters come from the history, found by the file's content or the run's id. They override the
configuration and the environment; options and presets on the command line override them. The prompt is
repeated as it was sent; a preset on the command line starts from what you typed. If the file is not in the
history, its embedded parameters (--embed) are shown, and used if you confirm or with --trust; its server
and its conversation never are.
Input images are read again and must not have changed. The models take no seed: the same parameters give
a different image, which --compare shows beside FILE. The exit codes are those of imgcli gen.
"""

Earlier = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        rich_help_panel="Input",
        help="An image made by imgcli, a history id, or last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
NewWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="A new prompt.  [default: the same prompt]",
        rich_help_panel="Input",
        show_default=False,
    ),
]

Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Use the parameters embedded in a file that is not in the history, without asking.",
        rich_help_panel="Input",
    ),
]


@taking_options_of(
    shared_options,
    model="as before",
    image_model="as before",
    size="as before",
    **inherited_defaults("as before") | {"format": "from the file name in -o, else as before"},
)
def again(
    ctx: typer.Context,
    earlier: Earlier,
    words: NewWords = None,
    *,
    trust: Trust = False,
    **flags: Any,  # noqa: ANN401 - what `shared_options` declares
) -> None:
    """Generate an image again with the same parameters.

    \b
    Examples:
      imgcli again a-cat.png --quality high     a better version of a draft
      imgcli again 12 --size 16:9 -m gpt-image-2
      imgcli again 12 "a dog"                   with a new prompt
    """  # noqa: D301 - \b tells Typer to leave the lines alone

    def make_plan(server: ServerOptions) -> RequestPlan:
        from imgcli.app.plan import plan_again  # here, so that help and completions do without it

        return plan_again(ctx.obj, server.name(ctx.obj.env), earlier, words, is_trusted=trust)

    generate_command(ctx, flags, make_plan)

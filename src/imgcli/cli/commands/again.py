"""`imgcli again`: the same recipe once more, with other options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.commands._generation import generate_command, shared_options
from imgcli.cli.completion import images_and_ids
from imgcli.cli.typer_ext import taking_options_of

if TYPE_CHECKING:
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


EPILOG = """\
The recipe comes from the history, by the file's content or the run's id, and goes before the
configuration and the environment; options on the line go before it. Where the history does not know the
file, the recipe in it (--embed) is shown, and used if you say so or with --trust; its server and its
conversation never are.
Images that were sent along are read again, and must be the same. The models take no seed: the same
recipe gives another image, which --compare shows beside FILE. Exit codes are those of imgcli gen.
"""

Earlier = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        rich_help_panel="The prompt",
        help="An image that imgcli made, an id of imgcli history, or last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
NewWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="Other words; the recipe's own without any.",
        rich_help_panel="The prompt",
        show_default=False,
    ),
]

Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Use the recipe in a file that the history does not know, without asking.",
        rich_help_panel="The prompt",
    ),
]


@taking_options_of(
    shared_options,
    model="the recipe's",
    image_model="the recipe's",
    size="the recipe's",
    quality="the recipe's",
    image_format="what -o's name asks for, else the recipe's",
)
def again(
    ctx: typer.Context,
    earlier: Earlier,
    words: NewWords = None,
    *,
    trust: Trust = False,
    **flags: Any,  # noqa: ANN401 - what `shared_options` declares
) -> None:
    """Make an image again, with the same parameters.

    \b
    Examples:
      imgcli again a-cat.png --quality high     a better version of a draft
      imgcli again 12 --size 16:9 -m gpt-image-2
      imgcli again 12 "a dog"                   other words, everything else alike
    """  # noqa: D301 - \b tells Typer to leave the lines alone

    def make_plan(server: ServerOptions) -> RequestPlan:
        from imgcli.app.plan import plan_again  # here, so that help and completions do without it

        return plan_again(ctx.obj, server.name(ctx.obj.env), earlier, words, is_trusted=trust)

    generate_command(ctx, flags, make_plan)

"""`imgcli edit`: edit an image with a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.commands._generation import generate_command, shared_options
from imgcli.cli.completion import images_and_ids
from imgcli.cli.params import generation
from imgcli.cli.typer_ext import taking_options_of

if TYPE_CHECKING:
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


EPILOG = """\
What is sent: if a text model made the image and the server still has the response, its conversation
continues (previous_response_id) and nothing is uploaded. Otherwise, and with --mask or an image model,
the file itself is sent. A note says so if the server no longer has the response.

If the image is in the history, its parameters (models, size, quality, format) are used again. They
override the configuration and the environment; options and presets on the command line override them. A
file that is not in the history is sent as it is, without its embedded parameters (--embed). A model
that OpenAI has shut down is not used again, nor another server's model if you have configured your own.
A mask applies to FILE. The result is named after FILE, in the current folder: a-cat.png becomes
a-cat-edit.png. The exit codes are those of imgcli gen.
"""

Original = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        rich_help_panel="Input",
        help="Image to edit: a PNG, JPEG or WebP file, '-' for standard input, a history id, or last, "
        "last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Change = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        rich_help_panel="Input",
        help="What to change, in words. Read from standard input if it is '-' or if input is piped.",
        show_default=False,
    ),
]


@taking_options_of(
    shared_options,
    model="the one that made FILE, else as in imgcli gen",
    image_model="FILE's, else the server's",
    size="FILE's, else auto",
    **generation.inherited_defaults("FILE's", ", else ")
    | {"format": "from the file name in -o, else FILE's, else png"},
    output="FILE's name with -edit, in the current folder",
)
def edit(  # noqa: PLR0913 - a signature declares options
    ctx: typer.Context,
    original: Original,
    words: Change = None,
    *,
    prompt_file: generation.PromptFile = None,
    images: generation.Images = None,
    mask: generation.Mask = None,
    markup: generation.Markup = None,
    **flags: Any,  # noqa: ANN401 - what `shared_options` declares
) -> None:
    """Edit an image with a prompt.

    \b
    Examples:
      imgcli edit a-cat.png "make it night"              writes a-cat-edit.png
      imgcli edit a-cat-edit.png "add a moon" --compare  before and after
      imgcli edit photo.jpg "a boat" --mask mask.png     only in the mask's area
      imgcli edit 12 "in oil" -i style.jpg               by id, with style.jpg
      imgcli edit cat.png "a hat" --markup arrow.png -m gpt-image-2.6-flare
    """  # noqa: D301 - \b tells Typer to leave the lines alone

    def make_plan(server: ServerOptions) -> RequestPlan:
        # Imported here, so that help and completions do without them.
        from imgcli.app.inputs import InputNames
        from imgcli.app.plan import plan_edit

        names = InputNames(words, prompt_file, images, mask, markup)
        return plan_edit(ctx.obj, server.name(ctx.obj.env), original, names)

    generate_command(ctx, flags, make_plan)

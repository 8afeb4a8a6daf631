"""`imgcli edit`: an image, changed as its words say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.commands._generation import generate_command, shared_options
from imgcli.cli.completion import images_and_ids
from imgcli.cli.params import generation  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.typer_ext import taking_options_of

if TYPE_CHECKING:
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


EPILOG = """\
What is sent: where the image came from a text model and the server still knows that response, its
conversation goes on (previous_response_id) and nothing is uploaded. Else, and with --mask or an image
model, the file itself is sent. You are told when a server has forgotten.

Models, size, quality, format and the like are those of the image's own recipe, where the history knows
the file: it goes before the configuration and the environment, and options on the line before it. A file
that the history does not know is sent as it is, and nothing that stands in it (--embed) is taken over. A
model that OpenAI has shut down is not taken over, nor another server's where yours is configured. A mask
belongs to FILE. The result is named after it, in the current folder: a-cat.png becomes a-cat-edit.png.
Exit codes are those of imgcli gen.
"""

Original = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        rich_help_panel="The prompt",
        help="The image: a png, jpeg or webp file, '-' for standard input, an id of imgcli history, or "
        "last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Change = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        rich_help_panel="The prompt",
        help="What to change. '-' or a piped standard input: read from there.",
        show_default=False,
    ),
]


@taking_options_of(
    shared_options,
    model="the one that made FILE; else as in imgcli gen",
    image_model="FILE's, else the server's",
    size="FILE's, else auto",
    quality="FILE's, else medium",
    image_format="what -o's name asks for, else FILE's, else png",
    output="FILE's name and -edit, in this folder",
)
def edit(
    ctx: typer.Context,
    original: Original,
    words: Change = None,
    *,
    prompt_file: generation.PromptFile = None,
    images: generation.Images = None,
    mask: generation.Mask = None,
    **flags: Any,  # noqa: ANN401 - what `shared_options` declares
) -> None:
    """Change an image, in its conversation or from its file.

    \b
    Examples:
      imgcli edit a-cat.png "make it night"              writes a-cat-edit.png
      imgcli edit a-cat-edit.png "add a moon" --compare  before and after
      imgcli edit photo.jpg "a boat" --mask hole.png     only in the mask's hole
      imgcli edit 12 "in oil" -i style.jpg               by id, beside style.jpg
    """  # noqa: D301 - \b tells Typer to leave the lines alone

    def make_plan(server: ServerOptions) -> RequestPlan:
        # Imported here, so that help and completions do without them.
        from imgcli.app.inputs import InputNames
        from imgcli.app.plan import plan_edit

        names = InputNames(words, prompt_file, images, mask)
        return plan_edit(ctx.obj, server.name(ctx.obj.env), original, names)

    generate_command(ctx, flags, make_plan)

"""`imgcli edit`: an image, changed as its words say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.commands._generation import generate_command
from imgcli.cli.completion import images_and_ids
from imgcli.cli.params import generation  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.typer_ext import taking_options_of

if TYPE_CHECKING:
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


EPILOG = """\
What is sent: if a text model made the image and the server still has the response, its conversation
continues (previous_response_id) and nothing is uploaded. Otherwise, and with --mask or an image model,
the file itself is sent. A note says so if the server no longer has the response.

If the image is in the history, its parameters (models, size, quality, format) are used again. They
override the configuration and the environment; options on the command line override them. A file that
is not in the history is sent as it is, without its embedded parameters (--embed). A model that OpenAI
has shut down is not used again, nor another server's model if you have configured your own. A mask
applies to FILE. The result is named after FILE, in the current folder: a-cat.png becomes
a-cat-edit.png. The exit codes are those of imgcli gen.
"""

_UNUSED = "this file is not in the history; its embedded parameters are not used"

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
    generate_command,
    model="the one that made FILE, else as in imgcli gen",
    image_model="FILE's, else the server's",
    size="FILE's, else auto",
    quality="FILE's, else medium",
    image_format="from the file name in -o, else FILE's, else png",
    output="FILE's name with -edit, in the current folder",
)
def edit(
    ctx: typer.Context,
    original: Original,
    words: Change = None,
    *,
    prompt_file: generation.PromptFile = None,
    images: generation.Images = None,
    mask: generation.Mask = None,
    **chosen: Any,  # noqa: ANN401 - what `deliver` declares
) -> None:
    """Edit an image with a prompt.

    \b
    Examples:
      imgcli edit a-cat.png "make it night"              writes a-cat-edit.png
      imgcli edit a-cat-edit.png "add a moon" --compare  before and after
      imgcli edit photo.jpg "a boat" --mask mask.png     only in the mask's area
      imgcli edit 12 "in oil" -i style.jpg               by id, with style.jpg
    """  # noqa: D301 - \b tells Typer to leave the lines alone

    def theme(endpoint: ServerOptions) -> RequestPlan:
        # Imported here, so that help and completions do without them.
        from imgcli.app.inputs import check_original, find_files, prompt_source, read_beside, read_prompt
        from imgcli.app.options import place_of
        from imgcli.app.plan import RequestPlan
        from imgcli.app.source_image import find_source
        from imgcli.core.params import Action

        world = ctx.obj
        source = prompt_source(words, prompt_file)
        check_original(original, images, source)
        files, hole, notices = find_files(world, images, mask)
        input_images = read_beside(files, hole, source, world.stdin.buffer)
        origin = find_source(world, original, words or ())
        prompt = read_prompt(words, prompt_file, world.stdin)
        theme = RequestPlan(prompt, input_images, origin, place_of(world, endpoint), origin.earlier)
        unused = (_UNUSED,) if origin.foreign_recipe else ()
        told = (*origin.notices, *notices, *unused)
        return replace(theme, name=origin.edited_name, action=Action.EDIT, notices=told)

    generate_command(ctx, theme, **chosen)

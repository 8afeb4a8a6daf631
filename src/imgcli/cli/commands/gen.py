"""`imgcli gen`: generate an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer  # noqa: TC002 - Typer reads the annotations at run time

from imgcli.cli.commands._generation import generate_command, shared_options
from imgcli.cli.params import generation  # noqa: TC001 - see above
from imgcli.cli.typer_ext import taking_options_of

if TYPE_CHECKING:
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


EPILOG = """\
Exit codes:
   0  every image saved and verified
   1  bug in imgcli                         7  no credit, quota or spend limit
   2  wrong option or prompt; nothing sent  8  request did not reach the server
   3  several images: only some were saved  9  sent, but no complete image came
   4  key missing or rejected              10  complete, but saved elsewhere
   5  rejected, moderated, wrong endpoint  11  data is not a valid image; kept
   6  rate limited before any work         12  cannot write there; nothing sent
  A signal (Ctrl-C, TERM, HUP) ends imgcli with that signal.

You pay for text model tokens and image tokens; each partial image costs 100 image tokens.
A request is only sent again if the server cannot have started on it (no connection, a clean 429
or 503, a 400 about response_format). Every error says whether money may have been spent.
"""


@taking_options_of(shared_options)
def gen(
    ctx: typer.Context,
    words: generation.Words = None,
    *,
    prompt_file: generation.PromptFile = None,
    images: generation.Images = None,
    mask: generation.Mask = None,
    continue_: generation.Continue = False,
    **flags: Any,  # noqa: ANN401 - what `shared_options` declares
) -> None:
    """Generate an image, watch it arrive, and save it.

    \b
    Examples:
      imgcli gen "a cat" --demo                     no key, no cost, no network
      imgcli gen "a cat" --size 16:9 --quality low  wide and cheaper
      imgcli gen "a cat" -n 4                       four variants, side by side
      imgcli gen -c "now at night"                  continue from the last image
      imgcli gen "a cat" -m gpt-6-luna              choose a text model
      imgcli gen "a cat" -m gpt-image-2 -o cat.webp an image model, saved as WebP
      imgcli gen "the cat in this style" -i cat.png -i style.jpg
      echo "a cat" | imgcli gen -o images/          prompt from a pipe
      f=$(imgcli gen "a cat")                       shown here, path in $f
      imgcli gen "a cat" -o - > cat.png             image data to standard output
      imgcli gen "a cat" --jsonl | jq -r .status    one JSON object per event
    """  # noqa: D301 - \b tells Typer to leave the lines alone

    def make_plan(server: ServerOptions) -> RequestPlan:
        # Imported here, so that help and completions do without them.
        from imgcli.app.inputs import InputNames
        from imgcli.app.plan import plan_generation

        names = InputNames(words, prompt_file, images, mask)
        return plan_generation(ctx.obj, server.name(ctx.obj.env), names, continue_=continue_)

    generate_command(ctx, flags, make_plan)

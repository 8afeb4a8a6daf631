"""`imgcli gen`: flags become one order, once, at the door."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from imgcli.cli import account_options, options, show_options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.options import ApiChoice
from imgcli.show.jsonl import InlineImages

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
Exit codes:
   0  every image is saved, verified, flushed
   1  a bug in imgcli                        7  no credit, quota or spend limit
   2  wrong option or prompt; nothing sent   8  the request did not get there
   3  several images: some saved, some not   9  sent, and no complete image came
   4  key missing or refused                10  complete, but not where you asked
   5  refused, moderated, wrong endpoint    11  the data is no valid image; kept
   6  rate limit before any work            12  cannot write there; nothing sent
  A signal (Ctrl-C, TERM, HUP) ends imgcli by that signal.

What you pay: text model tokens and image tokens; each partial costs 100 image tokens.
A request is sent once; again only where the server cannot have begun (no connection, a clean 429
or 503). Every error says whether money may have been spent.
"""


def gen(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    words: options.Words = None,
    *,
    prompt_file: options.PromptFile = None,
    images: options.Images = None,
    mask: options.Mask = None,
    fidelity: options.FidelityOption = None,
    model: options.Model = None,
    image_model: options.ImageModel = None,
    size: options.Size = "1024x1024",
    quality: options.QualityOption = None,
    image_format: options.Format = None,
    compression: options.Compression = None,
    background: options.BackgroundOption = None,
    moderation: options.ModerationOption = None,
    partials: options.Partials = None,
    output: options.Output = None,
    force: options.Force = False,
    embed: options.Embed = False,
    record: options.Record = None,
    no_save: options.NoSave = False,
    no_history: options.NoHistory = False,
    keep_partials: options.KeepPartials = False,
    preview: show_options.Preview = None,
    width: show_options.Width = None,
    plain: show_options.Plain = False,
    jsonl: show_options.JsonLines = False,
    jsonl_images: show_options.JsonLinesImages = InlineImages.INLINE,
    quiet: show_options.Quiet = False,
    api: options.ApiOption = ApiChoice.AUTO,
    profile: account_options.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    base_url: options.BaseUrl = None,
    timeout: options.Timeout = 300.0,
    dry_run: options.DryRun = False,
    demo: options.Demo = False,
    estimate: account_options.Estimate = False,
    max_cost: account_options.MaxCost = None,
    daily_cap: account_options.DailyCap = None,
) -> None:
    """Generate an image, watch it arrive, find it saved.

    \b
    Examples:
      imgcli gen "a cat" --demo                     no key, no money, no network
      imgcli gen "a cat" -m gpt-4o-mini             a text model runs the image tool
      imgcli gen "a cat" -m gpt-image-2 -o cat.webp an image model; the name's ending chooses the format
      imgcli gen "the cat in this style" -i cat.png -i style.jpg
      imgcli gen "a cat" --size 16:9 --quality low  cheaper, and wide
      echo "a cat" | imgcli gen -o pictures/        the prompt from a pipe, the file into a folder
      f=$(imgcli gen "a cat")                       the picture on the terminal, the path in $f
      imgcli gen "a cat" -o - > cat.png             the bytes, for another program
      imgcli gen "a cat" --jsonl | jq -r .status    one JSON object an event
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: World = ctx.obj
    # Imported here, so that help and completions do without them.
    from imgcli.cli import money, order, run
    from imgcli.cli.pictures import read_pictures
    from imgcli.cli.prompt import prompt_source, read_prompt
    from imgcli.cli.serving import applied
    from imgcli.core.wish import Wish
    from imgcli.store.naming import format_wish

    reports_to, configured = order.style(jsonl=jsonl, quiet=quiet), applied(ctx)
    with run.refusals(world, reports_to, configured.explained):
        pictures = read_pictures(images, mask, prompt_source(words, prompt_file), world.stdin.buffer)
        wish = Wish(
            prompt=read_prompt(words, prompt_file, world.stdin),
            model=model or None,
            image_model=image_model or None,
            size=size,
            quality=quality,
            format=image_format,
            name_format=format_wish(output),
            compression=compression,
            background=background,
            moderation=moderation,
            partials=partials,
            api=api.wire,
            references=pictures.references,
            mask=pictures.mask,
            fidelity=fidelity,
        )
        ordered = order.Order(
            wish,
            replace(
                order.output(output, reports_to, save=not no_save, force=force, keep_partials=keep_partials),
                record=record,
                recipes=order.Recipes.EMBEDDED if embed else order.Recipes.APART,
            ),
            order.Report(reports_to, jsonl_images, order.sight(preview, width, world.env, plain=plain)),
            order.endpoint(base_url, timeout, configured.server, demo=demo),
            money.budget(max_cost, daily_cap, estimate=estimate),
            configured.notices,
            order.Remembering.NOTHING if no_history else order.Remembering.HISTORY,
        )
        raise typer.Exit(run.show_request(world, ordered) if dry_run else run.perform(world, ordered))

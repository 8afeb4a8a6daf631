"""Every option, declared once: name, help, environment variable, completion."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.completion import formats, image_models, images_and_ids, models, runs_and_ids, sizes
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Background, Fidelity, Moderation, Quality

_PROMPT = "The prompt"
_IMAGE = "The image"
_FILE = "The file"
_WIRE = "The server"


class ApiChoice(StrEnum):
    """Which wire; AUTO follows the model's name."""

    AUTO = "auto"
    RESPONSES = "responses"
    IMAGES = "images"

    @property
    def wire(self) -> Api | None:
        """The wire that was named, None for AUTO."""
        return None if self is ApiChoice.AUTO else Api(self.value)


def _image_format(text: str) -> ImageFormat:
    """Read a format by its name, or by the ending that files of it have."""
    by_name = {name: choice for choice in ImageFormat for name in (choice.value, choice.suffix[1:])}
    if text.lower() in by_name:
        return by_name[text.lower()]
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(by_name)}.")


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="What to generate, in words. Read from standard input if it is '-' or piped.",
        rich_help_panel=_PROMPT,
        show_default=False,
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option("--prompt-file", metavar="FILE", help="Read the prompt from FILE.", rich_help_panel=_PROMPT),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        "-i",
        metavar="FILE",
        help="An image to start from: a PNG, JPEG or WebP file, '-' for standard input, an id of imgcli "
        "history or last, or an https address. Up to 16 times.",
        rich_help_panel=_PROMPT,
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="PNG mask, as large as the image that is changed (the first --image): its transparent areas are "
        "regenerated.",
        rich_help_panel=_PROMPT,
        autocompletion=images_and_ids,
    ),
]
Continue = Annotated[
    bool,
    typer.Option(
        "--continue",
        "-c",
        help="Continue from your last image, with its options: in its conversation while the server "
        "remembers it, else from its file.",
        rich_help_panel=_PROMPT,
    ),
]
FidelityOption = Annotated[
    Fidelity | None,
    typer.Option(
        "--input-fidelity",
        metavar="LEVEL",
        help="How closely to follow --image: low or high.  [default: the model's]",
        rich_help_panel=_PROMPT,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        envvar="IMGCLI_MODEL",
        help="A text or image model: a text model runs the image tool (Responses API); an image model is "
        "one such as gpt-image-2 (Images API).  [default: gpt-4o-mini; from 2027-01-14 gpt-6-luna]",
        rich_help_panel=_IMAGE,
        autocompletion=models,
    ),
]
ImageModel = Annotated[
    str | None,
    typer.Option(
        "--image-model",
        metavar="NAME",
        help="The image model that the text model's tool uses.  [default: the server's]",
        rich_help_panel=_IMAGE,
        autocompletion=image_models,
    ),
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        "-s",
        metavar="SIZE",
        help="WIDTHxHEIGHT, auto, square, portrait, landscape, or a ratio such as 16:9.",
        rich_help_panel=_IMAGE,
        autocompletion=sizes,
    ),
]
QualityOption = Annotated[
    Quality | None,
    typer.Option(
        "--quality",
        metavar="LEVEL",
        help="auto, low, medium, high, xhigh or max.  [default: medium]",
        rich_help_panel=_IMAGE,
    ),
]
Format = Annotated[
    ImageFormat | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="png, jpeg (or jpg), webp, gif or svg.  [default: what -o's name asks for, else png]",
        rich_help_panel=_IMAGE,
        parser=_image_format,
        autocompletion=formats,
    ),
]
Compression = Annotated[
    int | None,
    typer.Option(
        "--compression", metavar="0-100", help="For jpeg and webp: 100 is the best.", rich_help_panel=_IMAGE
    ),
]
BackgroundOption = Annotated[
    Background | None,
    typer.Option("--background", metavar="KIND", help="auto, opaque or transparent.", rich_help_panel=_IMAGE),
]
ModerationOption = Annotated[
    Moderation | None,
    typer.Option("--moderation", metavar="KIND", help="auto or low.", rich_help_panel=_IMAGE),
]
Partials = Annotated[
    int | None,
    typer.Option(
        "--partials",
        metavar="0-3",
        help="How many partial images to ask for; each costs 100 image tokens.  "
        "[default: 3 in a terminal or with --jsonl, else 0]",
        rich_help_panel=_IMAGE,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Where to save it: a file, a folder, '-' for standard output, or a template of {slug} {n} "
        "{model} {date} {time} {id}; folders are made.  [default: the prompt's first words, in this folder]",
        rich_help_panel=_FILE,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace an existing file instead of numbering the new one.", rich_help_panel=_FILE
    ),
]
NoSave = Annotated[
    bool, typer.Option("--no-save", help="Save no file (with --jsonl or a preview).", rich_help_panel=_FILE)
]
NoHistory = Annotated[
    bool, typer.Option("--no-history", help="Leave this run out of the history.", rich_help_panel=_FILE)
]
KeepPartials = Annotated[
    bool, typer.Option("--keep-partials", help="Save the partial images too.", rich_help_panel=_FILE)
]
Embed = Annotated[
    bool,
    typer.Option(
        "--embed",
        help="Write the parameters (prompt, options, server, response id) into the PNG file. This changes "
        "the file, so its content credentials no longer verify; imgcli strip removes them again.",
        rich_help_panel=_FILE,
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE",
        help="Record the run in FILE, for imgcli view to replay.",
        rich_help_panel=_FILE,
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|ID",
        help="Images or recorded runs, ids of imgcli history, last, last~1. A stream on standard input if it "
        "is '-' or piped.",
        show_default=False,
        autocompletion=runs_and_ids,
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        metavar="DIR",
        help="Save the finished images in DIR, which is made; existing files stay.",
        rich_help_panel=_FILE,
    ),
]
ApiOption = Annotated[
    ApiChoice,
    typer.Option(
        "--api",
        metavar="WIRE",
        help="auto (the model's name decides), responses or images.",
        rich_help_panel=_WIRE,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        envvar="OPENAI_BASE_URL",
        help="Another server with OpenAI's API.",
        rich_help_panel=_WIRE,
    ),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Whether the answer is streamed; partial images need it.  [default: on; off for the Images API "
        "without partial images, unless the server is OpenAI's or Azure's]",
        rich_help_panel=_WIRE,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Idle timeout. Also gives up after 2.5 times as long without progress of the image, or 10 times "
        "as long in total.",
        rich_help_panel=_WIRE,
    ),
]


DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the request as JSON and send nothing; needs no key.",
        rich_help_panel=_WIRE,
    ),
]
Demo = Annotated[
    bool,
    typer.Option(
        "--demo",
        help="Use the built-in demo server: no key, no money, no network.",
        rich_help_panel=_WIRE,
    ),
]

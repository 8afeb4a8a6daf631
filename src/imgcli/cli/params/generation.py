"""Options of an image, each declared once: name, help, environment variable, completion."""

from __future__ import annotations

from enum import StrEnum
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from imgcli.cli.completion import (
    formats,
    image_models,
    images_and_ids,
    models,
    presets,
    runs_and_ids,
    sizes,
    tiers,
)
from imgcli.core.image import ImageFormat
from imgcli.core.params import PARAMETERS, Api, CompletionWindow

_PROMPT = "Input"
_IMAGE = "Image"
_FILE = "Output"
_SERVER = "Server"


class ApiChoice(StrEnum):
    """An API by its name; AUTO follows the model's name."""

    AUTO = "auto"
    RESPONSES = "responses"
    IMAGES = "images"

    @property
    def wire(self) -> Api | None:
        """The API that was named, None for AUTO."""
        return None if self is ApiChoice.AUTO else Api(self.value)


def _image_format(text: str) -> ImageFormat:
    """Parse a format: its name, or the extension of its files."""
    by_name = {name: choice for choice in ImageFormat for name in (choice.value, choice.suffix[1:])}
    if text.lower() in by_name:
        return by_name[text.lower()]
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(by_name)}.")


_SHORT = {"size": ("-s",)}
_BESIDE: dict[str, dict[str, Any]] = {
    "size": {"autocompletion": sizes},
    "format": {"parser": _image_format, "autocompletion": formats},
    "svg_model": {"autocompletion": models},
    "service_tier": {"autocompletion": tiers},
}
"""What Typer needs to know of a generation parameter beside its row."""


def parameter_options() -> list[Parameter]:
    """Return the options of the generation parameters, as a signature declares them."""
    return [
        Parameter(
            one.name,
            Parameter.KEYWORD_ONLY,
            default=one.default,
            annotation=Annotated[
                one.type if one.default else (list[str] if one.type is tuple else one.type) | None,
                typer.Option(
                    f"--{one.flag}",
                    *_SHORT.get(one.name, ()),
                    metavar=one.metavar,
                    help=one.help,
                    rich_help_panel=one.panel,
                    **_BESIDE.get(one.name, {}),
                ),
            ],
        )
        for one in PARAMETERS
    ]


def inherited_defaults(source: str, otherwise: str = "") -> dict[str, str]:
    """Return where a command that inherits options has the default of each from, by its name."""
    shown = {
        one.name: one.help.partition("[default: ")[2].rstrip("]") for one in PARAMETERS if one.is_inherited
    }
    return {name: f"{source}{otherwise and otherwise + shown[name]}" for name in shown if shown[name]}


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="What to generate, in words. Read from standard input if it is '-' or if input is piped.",
        rich_help_panel=_PROMPT,
        show_default=False,
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option("--prompt-file", metavar="FILE", help="Read the prompt from FILE.", rich_help_panel=_PROMPT),
]
Preset = Annotated[
    list[str] | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Apply a preset from the configuration file: its prompt template and its options. Can be "
        "repeated.",
        rich_help_panel=_PROMPT,
        show_default=False,
        autocompletion=presets,
    ),
]
Var = Annotated[
    list[str] | None,
    typer.Option(
        "--var",
        metavar="NAME=A,B",
        help="Values for {NAME} in the prompt and in -o; each combination is an image. {NAME|choice} picks "
        r"one at random. NAME=@FILE reads one value per line. Can be repeated; a comma in a value is \,",
        rich_help_panel=_PROMPT,
        show_default=False,
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        "-i",
        metavar="FILE",
        help="Input image: a PNG, JPEG or WebP file, '-' for standard input, a history id, last, or an "
        "https URL. Can be given up to 16 times.",
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
        help="PNG mask of the same size as the image to edit (the first --image): its transparent areas are "
        "regenerated.",
        rich_help_panel=_PROMPT,
        autocompletion=images_and_ids,
    ),
]
Markup = Annotated[
    str | None,
    typer.Option(
        "--markup",
        metavar="FILE",
        help="Transparent PNG of the same size as the image to edit, with marks that guide the edit, such as "
        "an arrow; for image models, not with --mask.",
        rich_help_panel=_PROMPT,
        autocompletion=images_and_ids,
    ),
]
Continue = Annotated[
    bool,
    typer.Option(
        "--continue",
        "-c",
        help="Continue from your last image, with its options: in its conversation if the server still has "
        "it, otherwise from its file.",
        rich_help_panel=_PROMPT,
    ),
]
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        envvar="IMGCLI_MODEL",
        help="Text or image model: a text model calls the image tool (Responses API); an image model, such "
        "as gpt-image-2, is called directly (Images API). Repeat it to ask several.  "
        "[default: gpt-4o-mini; from 2027-01-14 gpt-6-luna]",
        rich_help_panel=_IMAGE,
        autocompletion=models,
    ),
]
Count = Annotated[
    int,
    typer.Option(
        "--count",
        "-n",
        metavar="N",
        help="Generate N images, one request each; --max-cost and --daily-cap apply to all of them together.",
        rich_help_panel=_IMAGE,
    ),
]
SingleRequest = Annotated[
    bool,
    typer.Option(
        "--single-request",
        help="Request all --count images (up to 10) from an image model at once, without partial images.",
        rich_help_panel=_IMAGE,
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        help="With several images, the maximum number of requests at the same time.",
        rich_help_panel=_SERVER,
    ),
]
ImageModel = Annotated[
    str | None,
    typer.Option(
        "--image-model",
        metavar="NAME",
        help="Image model for a text model's image tool.  [default: the server's]",
        rich_help_panel=_IMAGE,
        autocompletion=image_models,
    ),
]
Partials = Annotated[
    int | None,
    typer.Option(
        "--partials",
        metavar="0-3",
        help="Number of partial images; each costs 100 image tokens.  "
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
        help="Where to save: a file, a folder, '-' for standard output, or a template with {slug} {n} "
        "{model} {date} {time} {id}; missing folders are created.  [default: named after the prompt, "
        "in the current folder]",
        rich_help_panel=_FILE,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Overwrite an existing file instead of adding a number to the name.",
        rich_help_panel=_FILE,
    ),
]
NoSave = Annotated[
    bool,
    typer.Option("--no-save", help="Do not save a file (with --jsonl or a preview).", rich_help_panel=_FILE),
]
NoHistory = Annotated[
    bool, typer.Option("--no-history", help="Do not record this run in the history.", rich_help_panel=_FILE)
]
KeepPartials = Annotated[
    bool, typer.Option("--keep-partials", help="Save the partial images as well.", rich_help_panel=_FILE)
]
Embed = Annotated[
    bool,
    typer.Option(
        "--embed",
        help="Embed the parameters (prompt, options, server, response id) in the PNG file. Its content "
        "credentials no longer verify until imgcli strip removes the parameters.",
        rich_help_panel=_FILE,
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE",
        help="Record the run in FILE, for replay with imgcli view.",
        rich_help_panel=_FILE,
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|ID",
        help="Images, recorded runs, history ids, or last, last~1. A stream is read from standard input if "
        "it is '-' or if input is piped.",
        show_default=False,
        autocompletion=runs_and_ids,
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        metavar="DIR",
        help="Save the final images in DIR, which is created if missing; existing files are kept.",
        rich_help_panel=_FILE,
    ),
]
ApiOption = Annotated[
    ApiChoice,
    typer.Option(
        "--api",
        metavar="API",
        help="auto (by model name), responses or images.",
        rich_help_panel=_SERVER,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        envvar="OPENAI_BASE_URL",
        help="Base URL of an OpenAI-compatible server.",
        rich_help_panel=_SERVER,
    ),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Whether to stream the response; partial images need it.  [default: on; off for the Images API "
        "without partial images, except on OpenAI and Azure]",
        rich_help_panel=_SERVER,
    ),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Run in the background on the server: a dropped connection resumes without a second request, "
        "and imgcli recover fetches the image if imgcli is killed. Text models only.",
        rich_help_panel=_SERVER,
    ),
]
Window = Annotated[
    CompletionWindow | None,
    typer.Option(
        "--completion-window",
        metavar="TIME",
        help="2h or 8h: submit the request at OpenAI's discount for background work, then exit. The image is "
        "ready within that time; imgcli recover fetches it. Text models only.",
        rich_help_panel=_SERVER,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Idle timeout. Also gives up after 2.5x this without image progress, or 10x in total.",
        rich_help_panel=_SERVER,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the request as JSON without sending it; needs no key.",
        rich_help_panel=_SERVER,
    ),
]
Demo = Annotated[
    bool,
    typer.Option(
        "--demo",
        help="Use the built-in offline demo: no key, no cost, no network.",
        rich_help_panel=_SERVER,
    ),
]

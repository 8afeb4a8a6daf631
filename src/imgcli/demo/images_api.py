"""The Images API: generations and edits, streamed or as one JSON body."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.demo import usage
from imgcli.demo.exchange import (
    JsonAnswer,
    Request,
    ServerEvent,
    Stream,
    in_base64,
    invalid,
    missing,
    pause_before_image,
    unsupported_here,
)
from imgcli.demo.forms import (
    UploadedImage,
    check_markup,
    check_mask,
    linked_image,
    read_form,
    read_json,
    uploaded_image,
)
from imgcli.demo.validation import (
    IMAGE_PARAMETERS,
    Fields,
    Options,
    check_safety_identifier,
    read_options,
    read_prompt,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.demo.painter.painter import PaintedImage


MOST_INPUTS = 16
"""Images that one edit may start from, by OpenAI's reference."""

_BOTH = IMAGE_PARAMETERS | {"prompt", "n", "stream", "user", "safety_identifier"}
_GENERATE = _BOTH | {"moderation"}
_EDIT = _BOTH | {"input_fidelity"}
_EDIT_JSON = _EDIT | {"images", "mask"}


@dataclass(frozen=True, slots=True)
class _ImagesRequest:
    """A valid request: what to paint, how, and from what."""

    action: str
    prompt: str
    options: Options
    seed: int
    inputs: tuple[UploadedImage, ...] = ()
    mask: UploadedImage | None = None

    def paint(self, number: int) -> PaintedImage:
        from imgcli.demo.painter.painter import PaintedImage, PaintJob

        options = self.options
        return PaintedImage(
            PaintJob(
                self.prompt,
                (options.width, options.height),
                options.quality,
                transparent=options.transparent,
                inputs=tuple(image.data for image in self.inputs),
                mask=self.mask.data if self.mask else None,
                number=number,
                seed=self.seed,
            )
        )

    @property
    def tokens(self) -> usage.Tokens:
        area = sum(image.width * image.height for image in self.inputs)
        return usage.count(self.options, self.prompt, area)


def generate(request: Request) -> JsonAnswer | Stream:
    """Answer `POST /v1/images/generations`."""
    fields = Fields(read_json(request))
    fields.only(_GENERATE)
    return _answer(fields, "image_generation", request.seed)


def edit(request: Request) -> JsonAnswer | Stream:
    """Answer `POST /v1/images/edits`, as the form that OpenAI's client sends or as JSON."""
    is_form = request.content_type.lower().startswith("multipart/form-data")
    fields, inputs, mask = (_read_form if is_form else _read_edit_json)(request)
    return _answer(fields, "image_edit", request.seed, inputs, mask)


def _answer(
    fields: Fields,
    action: str,
    seed: int,
    inputs: list[UploadedImage] | None = None,
    mask: UploadedImage | None = None,
) -> JsonAnswer | Stream:
    """Check a request and paint; `inputs` are None where the endpoint takes no images."""
    prompt, stream = read_prompt(fields), fields.flag("stream", default=False)
    if not fields.sent("model"):
        raise missing("model")
    check_safety_identifier(fields)
    svg = fields.values.get("svg")
    if inputs is None and isinstance(svg, dict) and svg.get("model") is None:
        raise missing("svg.model")
    options = read_options(fields, stream=stream, images=True)
    if inputs is not None:
        _check_inputs(inputs, mask, options)
    job = _ImagesRequest(action, prompt, options, seed, tuple(inputs or ()), mask)
    return Stream(_events(job)) if stream else JsonAnswer(_body(job), pause_before_image(0))


def _check_inputs(inputs: list[UploadedImage], mask: UploadedImage | None, options: Options) -> None:
    if not inputs:
        raise missing("image")
    if len(inputs) > MOST_INPUTS:
        message = f"Invalid 'image': array too long. Expected at most {MOST_INPUTS} images."
        raise invalid("array_above_max_length", message, "image")
    if mask is not None:
        if options.output_format == "gif":
            raise invalid("invalid_value", "GIF output does not support a mask.", "mask")
        check_mask(mask, inputs[0], "mask")


def _read_form(request: Request) -> tuple[Fields, list[UploadedImage], UploadedImage | None]:
    form = read_form(request)
    fields = Fields(form.values)
    fields.only(_EDIT)
    inputs, masks = (
        [uploaded_image(file, name) for file in form.files.get(name, ())] for name in ("image", "mask")
    )
    for file in form.files.get("markup", ()):
        check_markup(file, inputs, has_mask=bool(masks))
    for name in form.files.keys() - {"image", "mask", "markup"}:
        raise unsupported_here(name, f"the file field '{name}'")
    return fields, inputs, masks[0] if masks else None


def _read_edit_json(request: Request) -> tuple[Fields, list[UploadedImage], UploadedImage | None]:
    fields = Fields(read_json(request))
    fields.only(_EDIT_JSON)
    listed = fields.values.get("images")
    if not isinstance(listed, list) or not listed:
        raise missing("images")
    inputs = [linked_image(holder, f"images[{number}]") for number, holder in enumerate(listed)]
    mask = fields.values.get("mask")
    return fields, inputs, None if mask is None else linked_image(mask, "mask")


def _body(job: _ImagesRequest) -> Mapping[str, object]:
    options = job.options
    images = [job.paint(number).final(options.encoding) for number in range(options.n)]
    data = [{"b64_json": in_base64(image)} for image in images]
    body = {"created": int(time.time()), **options.echo, "data": data}
    if options.author:
        body["svg_usage"] = usage.svg_author(options.author, options, job.prompt, images[0])
    return body | {"usage": (job.tokens * options.n).report(details=True)}


def _events(job: _ImagesRequest) -> Iterator[ServerEvent]:
    """Yield a stream's events, image after image; nothing in them says which image a partial is of."""
    options = job.options
    count, pause = options.partial_images, pause_before_image(options.partial_images)
    for number in range(options.n):
        image = job.paint(number)
        for index in range(count):
            event = _event(job, "partial_image", image.partial(index, count, options.encoding))
            yield ServerEvent(event | {"partial_image_index": index}, pause)
        final = _event(job, "completed", image.final(options.encoding))
        yield ServerEvent(final | {"usage": job.tokens.report(details=False)}, pause)


def _event(job: _ImagesRequest, stage: str, image: bytes) -> dict[str, object]:
    return {
        "type": f"{job.action}.{stage}",
        "b64_json": in_base64(image),
        "created_at": int(time.time()),
        **job.options.echo,
    }

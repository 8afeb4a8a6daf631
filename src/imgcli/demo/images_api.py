"""The Images API: generations and edits, streamed or as one JSON body."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.demo import usage
from imgcli.demo.errors import invalid, missing, unsupported_here
from imgcli.demo.exchange import JsonAnswer, Request, ServerEvent, Stream, beat, in_base64
from imgcli.demo.forms import UploadedImage, check_mask, pointed, read_form, read_json, uploaded
from imgcli.demo.validation import IMAGE_PARAMETERS, Fields, Options, read_options, read_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.demo.painter.painter import PaintedImage


MOST_REFERENCES = 16
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
    references: tuple[UploadedImage, ...] = ()
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
                references=tuple(image.data for image in self.references),
                mask=self.mask.data if self.mask else None,
                number=number,
                seed=self.seed,
            )
        )

    @property
    def tokens(self) -> usage.Tokens:
        area = sum(image.width * image.height for image in self.references)
        return usage.count(self.options, self.prompt, area)


def generate(request: Request) -> JsonAnswer | Stream:
    """`POST /v1/images/generations`."""
    fields = Fields(read_json(request))
    fields.only(_GENERATE)
    prompt, stream = read_prompt(fields), fields.flag("stream", default=False)
    _require_model(fields)
    options = read_options(fields, stream=stream, images=True)
    return _deliver(_ImagesRequest("image_generation", prompt, options, request.seed), stream=stream)


def edit(request: Request) -> JsonAnswer | Stream:
    """`POST /v1/images/edits`, as the form that OpenAI's client sends or as JSON."""
    if request.content_type.lower().startswith("multipart/form-data"):
        fields, references, mask = _read_form(request)
    else:
        fields, references, mask = _read_edit_json(request)
    prompt, stream = read_prompt(fields), fields.flag("stream", default=False)
    _require_model(fields)
    options = read_options(fields, stream=stream, images=True)
    if not references:
        raise missing("image")
    if len(references) > MOST_REFERENCES:
        message = f"Invalid 'image': array too long. Expected at most {MOST_REFERENCES} images."
        raise invalid("array_above_max_length", message, "image")
    if mask is not None:
        _check_masked(mask, references[0], options)
    order = _ImagesRequest("image_edit", prompt, options, request.seed, tuple(references), mask)
    return _deliver(order, stream=stream)


def _read_form(request: Request) -> tuple[Fields, list[UploadedImage], UploadedImage | None]:
    form = read_form(request)
    fields = Fields(form.values)
    fields.only(_EDIT)
    references = [uploaded(part) for name in ("image", "image[]") for part in form.files.get(name, ())]
    masks = [uploaded(part) for part in form.files.get("mask", ())]
    for name in form.files.keys() - {"image", "image[]", "mask"}:
        raise unsupported_here(name, f"the file field '{name}'")
    return fields, references, masks[0] if masks else None


def _read_edit_json(request: Request) -> tuple[Fields, list[UploadedImage], UploadedImage | None]:
    fields = Fields(read_json(request))
    fields.only(_EDIT_JSON)
    listed = fields.values.get("images")
    if not isinstance(listed, list) or not listed:
        raise missing("images")
    references = [_pointed(holder, f"images[{number}]") for number, holder in enumerate(listed)]
    mask = fields.values.get("mask")
    return fields, references, None if mask is None else _pointed(mask, "mask")


def _pointed(holder: object, param: str) -> UploadedImage:
    if not isinstance(holder, dict):
        raise invalid("invalid_type", f"Invalid type for '{param}': expected an object.", param)
    return pointed(holder, param)


def _check_masked(mask: UploadedImage, first: UploadedImage, options: Options) -> None:
    if options.output_format == "gif":
        raise invalid("invalid_value", "GIF output does not support a mask.", "mask")
    check_mask(mask, first, "mask")


def _require_model(fields: Fields) -> None:
    if not fields.sent("model"):
        raise missing("model")


def _deliver(order: _ImagesRequest, *, stream: bool) -> JsonAnswer | Stream:
    return Stream(_frames(order)) if stream else JsonAnswer(_body(order), beat(0))


def _body(order: _ImagesRequest) -> Mapping[str, object]:
    options, tokens, data = order.options, usage.NOTHING, []
    for number in range(options.n):
        data.append({"b64_json": in_base64(order.paint(number).final(options.encoding))})
        tokens += order.tokens
    return {"created": int(time.time()), **options.echo, "data": data, "usage": tokens.report(details=True)}


def _frames(order: _ImagesRequest) -> Iterator[ServerEvent]:
    """Events of a stream; several images follow one after the other, and nothing tells whose a partial is."""
    options = order.options
    for number in range(options.n):
        painting, count = order.paint(number), options.partial_images
        for index in range(count):
            drawn = painting.partial(index, count, options.encoding)
            event = _event(order, "partial_image", drawn) | {"partial_image_index": index}
            yield ServerEvent(event, beat(count))
        final = _event(order, "completed", painting.final(options.encoding))
        yield ServerEvent(final | {"usage": order.tokens.report(details=False)}, beat(count))


def _event(order: _ImagesRequest, stage: str, drawn: bytes) -> dict[str, object]:
    return {
        "type": f"{order.action}.{stage}",
        "b64_json": in_base64(drawn),
        "created_at": int(time.time()),
        **order.options.echo,
    }

"""The most that a run costs, as far as anybody knows on a day: what limits compare with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import as_object, count, or_none
from imgcli.core.billing.rates import highest_surcharge
from imgcli.core.catalog import ModelKind
from imgcli.core.errors import usage_error
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Quality
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date
    from typing import Any

    from imgcli.core.catalog import Catalog, Model
    from imgcli.core.history import HistoryEntry
    from imgcli.core.request import ImageRequest


def painter(request: ImageRequest, catalog: Catalog) -> str:
    """Name the image model that will paint, as far as we can know."""
    return request.model if request.api is Api.IMAGES else request.image_model or catalog.default_image_model


_MILLION = 1_000_000
_NOTHING = Decimal(0)
_CENT, _TOLD = Decimal("0.01"), Decimal("0.0001")
_AUTO = "auto"
_QUALITIES = (Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.XHIGH, Quality.MAX)
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Bound:
    """The most a run costs in US dollars, what that is from, and the day of its oldest price or table."""

    dollars: Decimal
    basis: str
    as_of: date


@dataclass(frozen=True)
class Conversation:
    """What is known of the conversation that a request continues.

    `tokens` are the text model's as it was billed, `prompt_bytes` those of all `turns`; `images` were sent or
    made in it.
    """

    tokens: int = 0
    prompt_bytes: int = 0
    turns: int = 0
    images: int = 0


def upper_bound(
    request: ImageRequest,
    models: Catalog,
    conversation: Conversation | None = None,
    place: str | None = None,
) -> Bound:
    """Return the most that a request costs: one image of one model, at the server at `place`.

    It is monotone: a lower quality, fewer pixels, fewer partials, fewer references or a shorter prompt never
    raise it. A model without figures counts as the dearest that has some. Raises `ImgcliError` (usage) where
    nothing is known: an SVG, whose author nobody names, and a conversation that the history does not know.
    """
    if request.format is ImageFormat.SVG:
        raise usage_error(
            "What an SVG costs at most is unknown: OpenAI does not publish which model writes it.",
            "Choose another --format, or lift the limit.",
        )
    if request.previous_response_id and conversation is None:
        raise usage_error(
            "What this costs at most is unknown: the history does not know the conversation it continues.",
            "Send the image itself with --image, or lift the limit.",
        )
    load = _Load(request, models.limits, conversation or Conversation())
    shares = [_dearest(_painters(request, models), load.image_dollars)]
    if request.api is Api.RESPONSES:
        shares.append(_dearest(_writers(request, models), load.text_dollars))
    total = sum((share for _, share in shares), _NOTHING) * highest_surcharge(place)
    basis = _basis(request, models, shares[0][0])
    return Bound(_rounded_up(total), basis, min(_dates(model for model, _ in shares)))


def conversation_before(
    request: ImageRequest, find: Callable[[str], HistoryEntry | None]
) -> Conversation | None:
    """Return what the history knows of a request's conversation; None where it knows nothing.

    `find` finds the run of a response's id.
    """
    turns: list[HistoryEntry] = []
    seen: set[str] = set()
    wanted = request.previous_response_id
    while wanted and wanted not in seen and (entry := find(wanted)):
        seen.add(wanted)
        turns.append(entry)
        wanted = entry.request.previous_response_id if entry.request else None
    if not turns:
        return None
    return Conversation(
        tokens=max(_billed_tokens(entry) for entry in turns),
        prompt_bytes=sum(len(entry.prompt.encode()) for entry in turns),
        turns=len(turns),
        images=sum(len(entry.images) + _sent_images(entry.request) for entry in turns),
    )


@dataclass(frozen=True)
class _Load:
    """What a request asks of its models, in tokens."""

    request: ImageRequest
    limits: Mapping[str, Any]
    before: Conversation

    def image_dollars(self, model: Model) -> Decimal:
        """Price what the image model reads and makes."""
        prices = model.prices
        if prices is None:
            return _NOTHING
        text, images = self.prompt_bytes + self.limits["image_text"], self.images
        if self.request.api is Api.RESPONSES:
            text += self.limits["text_out"]  # the text model says in its own words what to paint
        frames = self.limits["frames"] if self.request.format is ImageFormat.GIF else 1
        rate = (prices.image_out or _NOTHING) / _MILLION
        cost = text * ((prices.text_in or _NOTHING) + (prices.text_out or _NOTHING)) / _MILLION
        cost += images * self.limits["image_image"] * (prices.image_in or _NOTHING) / _MILLION
        cost += frames * _image(model.most, rate, self.request, self.limits[_AUTO])
        cost += self.request.partials * self.limits["partial"] * rate
        return Decimal(cost) * prices.most

    def text_dollars(self, model: Model) -> Decimal:
        """Price what the text model reads and writes."""
        prices = model.prices
        if prices is None or prices.text_in is None or prices.text_out is None:
            return _NOTHING
        turn_in, turn_out = self.limits["text_in"], self.limits["text_out"]
        before = self.before.turns * (turn_in + turn_out) + self.before.prompt_bytes
        seen = self.images * (model.image or self.limits["text_image"])
        tokens_in = turn_in + self.prompt_bytes + max(before, self.before.tokens) + seen
        cost_in = tokens_in * prices.text_in * max(1, prices.cache_write or 1) / _MILLION
        cost_out = (turn_out + self.prompt_bytes) * prices.text_out / _MILLION
        terms = prices.long_context
        if terms and tokens_in > terms.after:
            cost_in, cost_out = cost_in * terms.input, cost_out * terms.output
        return Decimal(cost_in + cost_out) * prices.most

    @property
    def prompt_bytes(self) -> int:
        """Count the bytes of all prompts: the most tokens that they can be."""
        return len(self.request.prompt.encode()) + self.before.prompt_bytes

    @property
    def images(self) -> int:
        """Count the images that the models look at."""
        return _sent_images(self.request) + self.before.images


def _image(most: Mapping[str, Any], rate: Decimal, request: ImageRequest, auto: str) -> Decimal:
    """Price one image: the dearest of the qualities up to the one that is asked for."""
    pixels = _pixels(auto if request.size in (None, _AUTO) else request.size or auto)
    figures = most.get("dollars") or most["tokens"]
    unit = Decimal(1) if "dollars" in most else rate * most.get("times", 1)
    listed = [quality for quality in _QUALITIES if quality in figures]
    if request.quality in _QUALITIES:
        above = [q for q in listed if _QUALITIES.index(q) >= _QUALITIES.index(request.quality)]
        listed = [q for q in listed if q not in above[1:]]
    rounding = most.get("rounding", 0)
    return max(_scaled(figures[quality], pixels, rounding) for quality in listed) * unit


def _scaled(figures: Mapping[str, Decimal | int], pixels: int, rounding: Decimal | int) -> Decimal:
    """Return the most of the smaller sizes, each grown with the pixels; the smallest counts in any case."""
    sizes = sorted((_pixels(size), figure) for size, figure in figures.items())
    smaller = [(known, figure) for known, figure in sizes if known <= pixels] or sizes[:1]
    return max(Decimal(figure + rounding) * max(pixels, known) / known for known, figure in smaller)


def _painters(request: ImageRequest, models: Catalog) -> list[Model]:
    """List the image models that count: the one that is named, or all where that has no figures."""
    found = models.find(painter(request, models))
    priced = [model for model in models.models if model.most]
    return [found] if found in priced else priced


def _writers(request: ImageRequest, models: Catalog) -> list[Model]:
    """List the text models likewise."""
    found = models.find(request.model)
    priced = [model for model in models.models if model.kind is ModelKind.TEXT and model.prices]
    return [found] if found in priced else priced


def _dearest(candidates: Iterable[Model], dollars: Callable[[Model], Decimal]) -> tuple[Model, Decimal]:
    return max(((model, dollars(model)) for model in candidates), key=lambda share: share[1])


def _basis(request: ImageRequest, models: Catalog, dearest: Model) -> str:
    names = [painter(request, models), *([request.model] if request.api is Api.RESPONSES else [])]
    unknown = [shorten(name, _LONGEST_NAME) for name in names if not _has_figures(name, models)]
    basis = f"{dearest.most['what']} and a token for each byte of text"
    if not unknown:
        return basis
    return f"the dearest models that imgcli knows, as it has no figures for {' and '.join(unknown)}: {basis}"


def _rounded_up(amount: Decimal) -> Decimal:
    """Round as far as people are told, so that a limit of what they are told is enough."""
    return amount.quantize(_CENT if amount > 1 else _TOLD, ROUND_UP)


def _has_figures(name: str, models: Catalog) -> bool:
    found = models.find(name)
    return found is not None and bool(found.most if found.kind is ModelKind.IMAGE else found.prices)


def _dates(counted: Iterable[Model]) -> Iterator[date]:
    for model in counted:
        if model.prices:
            yield model.prices.date
        if model.most:
            yield model.most["date"]


def _pixels(size: str) -> int:
    width, height = size.split("x")
    return int(width) * int(height)


def _sent_images(request: ImageRequest | None) -> int:
    return len(request.references) + (request.mask is not None) if request else 0


def _billed_tokens(entry: HistoryEntry) -> int:
    """Count what the text model read and wrote in a run, as far as the API told it."""
    usage = as_object(entry.usage)
    read = or_none(lambda: count(usage, "input_tokens"))
    written = or_none(lambda: count(usage, "output_tokens"))
    return (read or 0) + (written or 0)

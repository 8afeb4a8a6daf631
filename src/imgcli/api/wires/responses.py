"""The Responses API: its stream's events, and its plain answer, as ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgcli.api.errors.server import from_code, quoted
from imgcli.api.errors.table import TEXT_MODEL
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem
from imgcli.core.json_fields import as_list, as_object, as_text, first_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.stream.assembler import ImageAssembler
    from imgcli.core.events import Event


_MANY_WORDS = 2000


@dataclass
class ResponsesReader:
    """Reads one response. The final image comes twice as a rule; whichever comes first is taken."""

    album: ImageAssembler
    _words: list[str] = field(default_factory=list)
    _refused: bool = False

    def read(self, kind: str, event: dict[str, Any]) -> Iterator[Event]:
        """Return what one event means."""
        step = kind.removeprefix("response.")
        if step.startswith("image_generation_call."):
            self.album.has_begun = True
            self.album.begin(event.get("item_id"), event.get("output_index"))
        match step:
            case "image_generation_call.partial_image":
                yield from self._partial(event)
            case "image_generation_call.completed":
                yield from self._call(event, event.get("item_id"), event.get("output_index"))
            case "output_item.added" | "output_item.done":
                yield from self._item(event.get("item"), event.get("output_index"))
            case "created" | "in_progress" | "queued":
                self.album.receipt.note(as_object(event.get("response")))
            case "completed" | "done" | "incomplete" | "failed" | "cancelled":
                yield from self.finish(as_object(event.get("response")) or event)
            case "error":
                self.album.end(from_code(event, self.album.progress))
            case _:
                pass

    def _partial(self, event: dict[str, Any]) -> Iterator[Event]:
        """Return a preview. LiteLLM names its base64 as the Images API does."""
        number = self.album.number(event.get("item_id"), event.get("output_index"))
        text = event.get("partial_image_b64") or event.get("b64_json")
        yield from self.album.partial(number, event.get("partial_image_index"), text)

    def _item(self, value: object, position: object) -> Iterator[Event]:
        """Look into one item of the output."""
        item = as_object(value)
        kind = as_text(item.get("type")) or ""
        if "image_generation" in kind or (not kind and item.get("result")):
            self.album.has_begun = True
            yield from self._call(item, item.get("id"), position)
        elif kind == "message":
            self._listen(item)

    def _call(self, item: dict[str, Any], name: object, position: object) -> Iterator[Event]:
        """Take a call's image, whatever its status says: only the image counts."""
        result = item.get("result") or item.get("b64_json")
        error = as_object(item.get("error"))
        if result:
            number = self.album.number(name, position)
            yield from self.album.final(number, result, item.get("revised_prompt"))
        elif error or item.get("status") == "failed":
            self.album.fail(self.album.number(name, position), from_code(error, self.album.progress))
        else:
            self.album.begin(name, position)

    def _listen(self, item: dict[str, Any]) -> None:
        """Keep the model's words, in case that they are all there is."""
        for part in map(as_object, as_list(item.get("content"))):
            words = first_text(part, "text", "refusal")
            self._refused |= part.get("type") == "refusal"
            if words and words not in self._words and len(self._words) < _MANY_WORDS:
                self._words.append(words[:_MANY_WORDS])

    def finish(self, response: dict[str, Any]) -> Iterator[Event]:
        """Take the response object of an end: its images, its bill, and what it says against the run."""
        self.album.receipt.note(response)
        for position, item in enumerate(as_list(response.get("output"))):
            yield from self._item(item, position)
        self.album.end(self._trouble(response))

    def _trouble(self, response: dict[str, Any]) -> Problem | None:
        """Find what the server itself says against this response."""
        if error := response.get("error"):
            return from_code(error, self.album.progress)
        reason = as_text(as_object(response.get("incomplete_details")).get("reason"))
        if reason:
            return _incomplete(reason, self)
        status = as_text(response.get("status"))
        if status in ("failed", "incomplete", "cancelled", "queued", "in_progress"):
            return Problem(ExitCode.UNKNOWN, f"The response ended as {status}.", Charged.MAYBE, CHECK_USAGE)
        return None

    def reason(self) -> Problem | None:
        """Explain why no image came; None where neither the images nor the server's words say it."""
        told = _reason(self.album.verdict(), self.album.trouble)
        return told or (self._no_image() if self.album.has_ended or self._words else None)

    def _no_image(self) -> Problem:
        """Explain a good end without an image: the model may have answered in words."""
        receipt = self.album.receipt
        if not self._words:
            what = "The response was completed without an image."
            charged = Charged.YES if receipt.has_image_tokens else Charged.MAYBE
            return Problem(ExitCode.UNKNOWN, what, charged, f"{CHECK_USAGE} Another --model may do better.")
        lead = "The model declined" if self._refused else "The model answered in words instead of an image"
        what = f"{lead}: {quoted(' '.join(self._words))}"
        advice = f"Say it differently, or choose another model: imgcli gen ... --model {TEXT_MODEL}"
        return Problem(ExitCode.REFUSED, what, Charged.YES if receipt.has_usage else Charged.MAYBE, advice)


def _reason(image: Problem | None, response: Problem | None) -> Problem | None:
    """Choose the one that says more: what an image says of its failing, or what the response says."""
    says_nothing = (
        image is not None
        and image.exit_code is ExitCode.UNKNOWN
        and image.code is None
        and image.cause is None
    )
    return response or image if says_nothing else image or response


def _incomplete(reason: str, reader: ResponsesReader) -> Problem:
    """Tell why the server stopped early."""
    if reason == "content_filter":
        return from_code({"code": reason}, reader.album.progress)
    what = f"The server stopped before the end: {quoted(reason)}"
    return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE, quoted(reason))

"""JSON lines: the contract with other programs, such as web clients that read the five leading keys."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, assert_never

from imgcli.core.errors import ExitCode
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started, Waiting
from imgcli.core.params import InlineImages
from imgcli.output.images.decode import pixels
from imgcli.output.json import to_json
from imgcli.output.sinks.summary import RunSummary

if TYPE_CHECKING:
    from imgcli.core.billing.rates import Price
    from imgcli.core.errors import Problem
    from imgcli.core.events import Event
    from imgcli.core.image import EncodedImage
    from imgcli.output.sinks.summary import Clock


Line: TypeAlias = dict[str, Any]


class LineWriter(Protocol):
    """The part of a text stream that lines need."""

    def write(self, text: str, /) -> object:
        """Write text."""

    def flush(self) -> object:
        """Send what was written."""


class JsonLinesSink:
    """Writes one line per event as it happens; an image's own line waits for the usage, which comes last.

    Every line ends with what is in `row`: which row of a batch it is about.
    """

    def __init__(
        self, stdout: LineWriter, images: InlineImages, price: Price, clock: Clock, row: Line | None = None
    ) -> None:
        self._stdout = stdout
        self._row = row or {}
        self._images = images
        self._price = price
        self._summary = RunSummary(clock)
        self._waiting: dict[int, FinalImage] = {}
        self.next_index = 0
        """The number after the last partial, of whichever image."""

    def handle(self, event: Event) -> None:
        """Write the lines that this event completes; raises `OSError` when nobody reads them."""
        self._summary.note(event)
        match event:
            case PartialImage():
                self.next_index = event.index + 1
                self._write(self._image_line(event, event.index, "partial"))
            case FinalImage(image_index=image_index):
                self._waiting[image_index] = event
            case Saved(problem=problem):
                self._write_problem(event, problem)
            case Completed():
                self._write_images(event)
            case Failed(job=job, problem=problem, ended=ended):
                usage = None if self._waiting else ended  # an image's line has the usage, which stands once
                self._write_images(ended or Completed(job, model=None))
                self._write(error_line(problem, job, self.next_index, usage))
            case Started() | Waiting() | Notice():
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        """Write the images that came before an interruption, though their usage never did."""
        for final in self._take():
            self._write(self._final_line(final, Completed(final.job, model=None)))

    def _write_problem(self, saved: Saved, problem: Problem | None) -> None:
        """Write a line about an image that is elsewhere or damaged; a damaged one is no image."""
        if problem is None:
            return
        self._write(error_line(problem, saved.job, self._summary.next_index(saved.image_index)))
        if problem.exit_code is ExitCode.DAMAGED:
            self._waiting.pop(saved.image_index, None)

    def _write_images(self, completed: Completed) -> None:
        """Write every image that waited; the last one's line carries the usage of all."""
        finals = self._take()
        for final in finals:
            costs = self._costs(completed) if final is finals[-1] else {}
            self._write(self._final_line(final, completed) | costs)

    def _take(self) -> list[FinalImage]:
        """Take the images that waited, so that none is written twice."""
        finals, self._waiting = list(self._waiting.values()), {}
        return finals

    def _image_line(self, event: PartialImage | FinalImage, output_index: int, status: str) -> Line:
        """Return the keys of every image line, the web client's five first."""
        image = event.image
        return {
            "output_index": output_index,
            "partial_image_b64s": self._inline(image),
            "usage": None,
            "status": status,
            "final_model": None,
            "job": event.job,
            "image": event.image_index,
            "format": image.format,
            "bytes": len(image.data),
            "sha256": image.sha256,
            "elapsed_s": round(self._summary.elapsed, 3),
        }

    def _final_line(self, final: FinalImage, completed: Completed) -> Line:
        """Return the same keys in the same places, and those that only the end knows."""
        saved = self._summary.saved.get(final.image_index)
        width, height = pixels(final.image) or (None, None)
        return self._image_line(final, self._summary.next_index(final.image_index), "completed") | {
            "final_model": completed.model,
            "path": str(saved.path.absolute()) if saved else None,
            "width": width,
            "height": height,
            "revised_prompt": final.revised_prompt,
            "response_id": completed.response_id,
            "tool_usage": None,
            "cost_usd": None,
        }

    def _inline(self, image: EncodedImage) -> list[str]:
        if self._images is InlineImages.NONE:
            return []
        return [b64encode(image.data).decode("ascii")]

    def _costs(self, completed: Completed) -> Line:
        from imgcli.core.billing.bill import cost_usd

        bill = self._summary.bill(completed, self._price)
        cost = cost_usd(bill) if bill else None
        return {"usage": completed.usage, "tool_usage": completed.tool_usage, "cost_usd": cost}

    def _write(self, line: Line) -> None:
        self._stdout.write(to_json(line | self._row) + "\n")
        self._stdout.flush()


def error_line(problem: Problem, job: str | None, index: int = 0, ended: Completed | None = None) -> Line:
    """Describe a problem to a program, the web client's five keys first, as in every line.

    `job` is None when there was none yet; `index` is the number after the last partial; `ended` is what the
    server had told of the run.
    """
    return {
        "output_index": index,
        "partial_image_b64s": [],
        "usage": ended.usage if ended else None,
        "status": "error",
        "final_model": ended.model if ended else None,
        "error": True,
        "message": problem.what,
        "code": problem.code or problem.kind,
        "param": problem.param,
        "job": job,
        "kind": problem.kind,
        "exit_code": problem.status,
        "charged": problem.charged,
        "advice": problem.advice,
    }

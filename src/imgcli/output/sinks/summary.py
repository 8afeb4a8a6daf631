"""A summary of a run: request, time, partial images, final images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.messages import unsaved_line
from imgcli.core.request import ImageRequest
from imgcli.output.images.decode import facts

if TYPE_CHECKING:
    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event


Clock: TypeAlias = Callable[[], float]
"""A monotonic clock, in seconds."""


class RunSummary:
    """Counts as the events of one job go by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock()
        self.request: ImageRequest | None = None
        self.finals: dict[int, FinalImage] = {}
        self.saved: dict[int, Saved] = {}
        self._partials: Counter[int] = Counter()
        self._next_index: dict[int, int] = {}
        self._has_failed = False

    def note(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Started(request=request):
                self.request, self._began = request, self._clock()
            case Notice(instead=ImageRequest() as request):
                self.request = request
            case PartialImage(image_index=image_index, index=index):
                self._partials[image_index] += 1
                self._next_index[image_index] = index + 1
            case FinalImage(image_index=image_index):
                self.finals[image_index] = event
            case Saved(image_index=image_index):
                self.saved[image_index] = event
            case Failed():
                self._has_failed = True
            case _:
                pass

    @property
    def elapsed(self) -> float:
        """Seconds since the job started."""
        return self._clock() - self._began

    @property
    def partials(self) -> int:
        """How many partials came, of all images."""
        return self._partials.total()

    def partials_of(self, image_index: int) -> int:
        """Count the partials of one image."""
        return self._partials[image_index]

    @property
    def fraction(self) -> float | None:
        """How much has come of all images, partials included; None before anything has."""
        if not self.request or not (self.finals or self._partials):
            return None
        steps = self.request.partials + 1
        rough = sum(min(seen, steps - 1) for at, seen in self._partials.items() if at not in self.finals)
        return (len(self.finals) * steps + rough) / (steps * max(self.request.count or 1, 1))

    def unsaved_lines(self, separator: str, remark: str) -> list[str]:
        """Describe the images that arrived and were not saved, nor kept elsewhere."""
        unsaved = [final for image_index, final in self.finals.items() if image_index not in self.saved]
        return [unsaved_line(facts(final.image), separator, remark) for final in unsaved]

    def next_index(self, image_index: int) -> int:
        """Return the number after an image's last partial, 0 when none came."""
        return self._next_index.get(image_index, 0)

    def bill(self, completed: Completed | None, price: Price) -> Bill | None:
        """Return what it cost; None for a job that never started, or failed before the server counted."""
        if self.request is None or completed is None:
            return None
        counted = completed.usage or completed.tool_usage or not self._has_failed
        return price(self.request, completed, self.partials, len(self.finals)) if counted else None

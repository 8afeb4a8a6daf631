"""Routes the events of several jobs to one sink each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.events import Completed, Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.core.events import Event
    from imgcli.core.pipeline import Sink


class PerJobSink:
    """Hands each event to the sink of its job, which is made when the job begins and closed when it ends.

    `inner` is the sink that was called last: what it raised is what this one raises.
    """

    def __init__(self, make: Callable[[str], Sink]) -> None:
        self._make = make
        self._open: dict[str, Sink] = {}
        self.inner: Sink | None = None

    def handle(self, event: Event) -> None:
        """Pass an event on. Raises what the job's sink raises."""
        self.inner = sink = self._open.get(event.job) or self._make(event.job)
        self._open[event.job] = sink
        sink.handle(event)
        if isinstance(event, Completed | Failed):
            del self._open[event.job]
            sink.close()

    def close(self) -> None:
        """Close the sinks of jobs that have not ended."""
        for sink in self._open.values():
            sink.close()

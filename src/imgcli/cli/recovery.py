"""Finishing runs that did not end well: a recorded run is a source like any other."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from imgcli.api.reading import read_events
from imgcli.api.salvage import salvaged
from imgcli.cli import embedding, lookup, memory, notes, signals
from imgcli.cli.ending import exit_code
from imgcli.cli.records import offer
from imgcli.cli.report import pricing, refuse
from imgcli.cli.secrets import all_secrets
from imgcli.core import catalog, session
from imgcli.core.demo import uncharged_events
from imgcli.core.errors import Cause, Charged, ExitCode, gravest
from imgcli.core.events import Failed, Started
from imgcli.core.redaction import redacted_events
from imgcli.core.wording import recovering_line
from imgcli.show.paths import PathsSink
from imgcli.show.plain import PlainSink
from imgcli.show.queued import QueuedSink
from imgcli.store.found import FindingPublisher
from imgcli.store.leftovers import leftovers, sweep
from imgcli.store.saving import Saving
from imgcli.store.state import Rescue, state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from imgcli.api.salvage import Record as Content
    from imgcli.cli.record import Record
    from imgcli.cli.world import World
    from imgcli.core.events import Event


def perform(world: World, records: Sequence[Record]) -> ExitCode:
    """Finish these unfinished runs, and end with the gravest exit code."""
    lookup.add_pending(world)
    folders: list[Path] = []
    codes = [_finish_one(world, record, folders) for record in records]
    if not records:
        notes.tell(world, ["there is nothing to recover"])
    unexplained = "is a temporary file that no run explains; look at it before you delete it"
    notes.tell(world, [f"{path} {unexplained}" for path in leftovers(folders)])
    offer(world, records)
    return gravest(codes)


def _finish_one(world: World, record: Record, folders: list[Path]) -> ExitCode:
    """Finish one run, unless another process has it; a fault of ours must not cost the runs after it."""
    from imgcli.cli.crash import report_crash

    with record.run.claim() as is_ours:
        if not is_ours:
            return ExitCode.OK
        try:
            recovery = _Recovery(world, record)
            folders.extend(recovery.folders)
            return recovery.finish()
        except Exception as error:  # noqa: BLE001 - as in `main`: one sentence, never a traceback
            return refuse(world, report_crash(error, world, Charged.MAYBE))


@dataclass
class _Recovery:
    """One run that is being finished. `is_kept` is set when its record may be worth another look."""

    world: World
    record: Record
    is_kept: bool = False

    def __post_init__(self) -> None:
        state = state_folder(self.world.env)
        rescue = Rescue(state, self.world.env, self._keep)
        self._publisher = FindingPublisher(self.record.target(state), rescue)
        self._saving = Saving(self._publisher, signals.shielded)

    @property
    def folders(self) -> list[Path]:
        """The folders in which this run may have left something."""
        return self._publisher.folders

    def finish(self) -> ExitCode:
        """Publish what the record holds, and remove it when nothing more can come of it."""
        if not self.record.has_begun:
            memory.give_up(self.world, self.record.job)
            self._discard()
            return ExitCode.OK
        outcome = self._run()
        self._saving.keep_last_partial()  # of a second picture that never came
        self.is_kept |= _may_hold_more(outcome)
        self._settle()
        return exit_code(self.world, outcome, self.record.job, is_free=self._is_free)

    def _run(self) -> session.Outcome:
        with self.record.mapped() as content:
            return self._run_with(content)

    def _run_with(self, content: Content) -> session.Outcome:
        job = self.record.job
        found = salvaged(read_events(self.record.chunks(), job, inputs=content.inputs), content, job)
        source = chain(self._started(), redacted_events(found, *all_secrets(self.world.env)))
        embedded = embedding.stage(embedding.of_record(self.record.run.header))
        events = self._saving(self._explained(embedded(session.conducted(job, source))))
        events = uncharged_events(events) if self._is_free else events
        models = catalog.load()
        clock = self.world.monotonic
        price = pricing(models, memory.recorded_place(self.record))
        lines = PlainSink(self.world.stderr, price, clock, lambda _: self._opening)
        remembered = memory.recovered(self.world, self.record, models)
        with (
            remembered as history,
            closing(QueuedSink(lines)) as show,
            closing(PathsSink(self.world.stdout)) as paths,
        ):
            return session.run(events, [show, paths, *history])

    @property
    def _is_free(self) -> bool:
        return memory.is_free(self.record)

    @property
    def _opening(self) -> str:
        return recovering_line(self.record.when, self.record.prompt)

    def _started(self) -> Iterator[Event]:
        if self.record.run.header:
            yield Started(self.record.job, self.record.run.header.request)

    def _explained(self, events: Iterator[Event]) -> Iterator[Event]:
        """Name the request in a bad end, so that its owner, and OpenAI, can find it."""
        for event in events:
            if isinstance(event, Failed):
                what = f"{event.problem.what} {self.record.name}"
                yield replace(event, problem=replace(event.problem, what=what))
            else:
                yield event

    def _keep(self) -> Path:
        self.is_kept = True
        return self.record.run.path

    def _settle(self) -> None:
        """Tidy up after dead processes first: without the record nobody would know where."""
        sweep(self.folders, self._publisher.places)
        if self.is_kept:
            run = self.record.run
            stays = f"the raw run stays as {run.path}; `imgcli recover --discard {run.id}` removes it"
            notes.tell(self.world, [stays])
        else:
            self._discard()

    def _discard(self) -> None:
        try:
            self.record.run.discard()
        except OSError as error:
            notes.tell(self.world, [f"{self.record.run.path} could not be removed ({error.strerror})"])


def _may_hold_more(outcome: session.Outcome) -> bool:
    """Tell whether somebody may find more in a record: data that we cannot read, paid for all the same."""
    if any(problem.cause is Cause.UNREAD for problem in outcome.problems):
        return True
    problems = [problem for problem in outcome.problems if problem.charged is Charged.YES]
    codes = {problem.exit_code for problem in problems}
    return ExitCode.DAMAGED in codes or (ExitCode.UNKNOWN in codes and not outcome.saved)

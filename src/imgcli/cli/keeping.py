"""Keeping the pictures that pass by: finished ones only, never over what is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.cli import notes, signals
from imgcli.cli.report import refuse
from imgcli.core.demo import uncharged_events
from imgcli.core.errors import ExitCode
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved
from imgcli.store.naming import Subject
from imgcli.store.preflight import current_folder
from imgcli.store.publishers import Destination, open_publisher
from imgcli.store.saving import Saving
from imgcli.store.state import Rescue, state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from imgcli.cli.material import Material
    from imgcli.cli.world import World
    from imgcli.core.events import Event, Picture
    from imgcli.store.publishers import Publisher

_UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True)
class Keeper:
    """Saves what is viewed into one folder, which is made where there is none."""

    world: World
    job: str
    publisher: Publisher
    saving: Saving

    @classmethod
    def of(cls, world: World, folder: Path, material: Material) -> Keeper:
        """Make sure that saving will work; raises `ImgcliError` when it will not."""
        header = material.header
        prompt, model = (header.request.prompt, header.request.model) if header else (None, None)
        job, now = header.job if header else world.token(), world.now()
        subject = Subject(prompt or material.title, model or _UNKNOWN_MODEL, job, now)
        destination = Destination(os.path.join(folder, ""), current_folder())  # noqa: PTH118 - with its slash
        rescue = Rescue(state_folder(world.env), world.env)
        publisher = open_publisher(destination, subject, rescue, world.stdout.buffer)
        return cls(world, job, publisher, Saving(publisher, signals.shielded))

    def finals(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and save the finished pictures among them."""
        try:
            for event in events:
                if isinstance(event, PartialImage):
                    yield event
                else:
                    yield from self.saving([event])
        finally:
            self.publisher.tidy()

    def keep(self, picture: Picture) -> ExitCode:
        """Save one picture and tell where, its path on standard output."""
        from imgcli.show.paths import PathsSink

        code, paths = ExitCode.OK, PathsSink(self.world.stdout)
        for event in uncharged_events(
            self.saving([FinalImage(self.job, 0, picture), Completed(self.job, None)])
        ):
            match event:
                case Notice(text=text):
                    notes.tell(self.world, [text])
                case Saved(problem=problem) if problem:
                    code = refuse(self.world, problem)
                case Failed(problem=problem):
                    code = refuse(self.world, problem)
                case _:
                    pass
            paths.handle(event)
        self.publisher.tidy()
        return code

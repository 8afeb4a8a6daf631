"""Images of `view` that are kept in a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.reporting import refuse
from imgcli.core.errors import ExitCode
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved
from imgcli.core.pipeline import mark_uncharged
from imgcli.dataclass import dataclass
from imgcli.store.paths import FallbackFolders, state_folder
from imgcli.store.publish.naming import NameFields, current_folder
from imgcli.store.publish.publisher import Destination, open_publisher
from imgcli.store.publish.stage import SavingStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from imgcli.app.context import Context
    from imgcli.app.view.view_input import ViewInput
    from imgcli.core.events import Event
    from imgcli.core.image import EncodedImage
    from imgcli.store.publish.publisher import Publisher


_UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True)
class ImageKeeper:
    """Saves what is viewed into one folder, which is made where there is none."""

    context: Context
    job: str
    publisher: Publisher
    saving: SavingStage

    @classmethod
    def of(cls, context: Context, folder: Path, source: ViewInput) -> ImageKeeper:
        """Make sure that saving will work; raises `ImgcliError` when it will not."""
        header = source.header
        prompt, model = (header.request.subject, header.request.model) if header else (None, None)
        job, now = header.job if header else context.token(), context.now()
        subject = NameFields(prompt or source.title, model or _UNKNOWN_MODEL, job, now)
        destination = Destination(os.path.join(folder, ""), current_folder())  # noqa: PTH118 - with its slash
        rescue = FallbackFolders(state_folder(context.env), context.env)
        publisher = open_publisher(destination, subject, rescue, context.stdout.buffer)
        return cls(context, job, publisher, SavingStage(publisher, process.shielded))

    def finals(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and save the finished images among them."""
        try:
            for event in events:
                if isinstance(event, PartialImage):
                    yield event
                else:
                    yield from self.saving([event])
        finally:
            self.publisher.remove_empty_folders()

    def keep(self, image: EncodedImage) -> ExitCode:
        """Save one image and tell where, its path on standard output."""
        from imgcli.output.sinks.lines import PathsSink

        code, paths = ExitCode.OK, PathsSink(self.context.stdout, links=self.context.links)
        for event in mark_uncharged(self.saving([FinalImage(self.job, 0, image), Completed(self.job, None)])):
            match event:
                case Notice(text=text):
                    self.context.warn([text])
                case Saved(problem=problem) if problem:
                    code = refuse(self.context, problem)
                case Failed(problem=problem):
                    code = refuse(self.context, problem)
                case _:
                    pass
            paths.handle(event)
        self.publisher.remove_empty_folders()
        return code

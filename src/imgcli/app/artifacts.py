"""Files that a run leaves: run log, recording, and images with embedded parameters."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli import __version__
from imgcli.app import process
from imgcli.core.embedded import EmbeddedParameters, EmbeddingStage
from imgcli.core.errors import AFTER_SENDING, CHECK_USAGE, Cause, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import Failed, FinalImage, Saved, Waiting
from imgcli.core.image import ImageFormat
from imgcli.core.messages import RUN_LOG_KEPT
from imgcli.core.option import option
from imgcli.regex import regex
from imgcli.store.paths import FallbackFolders, state_folder
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import (
    STDOUT,
    NameFields,
    OutputTarget,
    current_folder,
    find_device,
    is_folder,
)
from imgcli.store.publish.publisher import Destination, open_publisher
from imgcli.store.publish.stage import SavingStage
from imgcli.store.runlog.reader import PROCESS, RUNS, RunLogFile, answer_starts, process_identity
from imgcli.store.runlog.writer import BILLED, TITLE, RunLog, RunLogHeader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from datetime import datetime

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions, OutputOptions
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Outcome, Stage
    from imgcli.core.request import ImageRequest
    from imgcli.store.publish.publisher import Publisher


_WORTH_KEEPING = frozenset({ExitCode.UNKNOWN, ExitCode.DAMAGED, ExitCode.INTERNAL})
"""Ends after which a run log may hold more than what was saved."""
_CAUSES_TO_KEEP = frozenset({Cause.UNREADABLE_IMAGE, Cause.TRUNCATED_IMAGE})
"""Causes likewise, whatever the end."""
_IN_BACKGROUND = regex(rb'"background"\s*:\s*true')
_RECOVER = "`imgcli recover` saves what arrived"


class RunArtifacts:
    """One run's files, or none for a run that saves nothing.

    `has_asked` is set when a server that costs money is asked, and `has_sent` when a whole request may have
    reached it; `saved` lists the images that are on disk, `whole` those of them that are not damaged.
    `is_free` tells that nobody is charged for the run, as far as that is known by now. `workers` publish the
    images of one job among many while its answer is read.
    """

    def __init__(self, job: str, *, is_free: bool = False) -> None:
        self.job = job
        self.is_free = is_free
        self.has_asked = self.has_sent = False
        self.saved: list[Path] = []
        self.whole: list[Path] = []
        self.embed: Stage = iter
        self.workers: Executor | None = None
        self._unfinished: list[str] = []
        self._received: set[str] = set()
        self._inputs: frozenset[str] = frozenset()
        self._run_log: RunLog | None = None
        self._recording: RunLog | None = None
        self._publisher: Publisher | None = None
        self._saving: SavingStage | None = None

    def prepare(
        self, context: Context, output: OutputOptions, request: ImageRequest, extra: Mapping[str, Any]
    ) -> None:
        """Find the place for the image, then begin the run log: there is none of a run that cannot be.

        Raises `ImgcliError`.
        """
        _check_standard_output(context, output)
        self._inputs = request.inputs
        now, folder, state = context.now(), current_folder(), state_folder(context.env)
        fallback = FallbackFolders(
            state, context.env, lambda: self._run_log.keep() if self._run_log else None
        )
        destination = Destination(output.name, folder, output.on_exists)
        fields = NameFields(request.subject, request.model, self.job, now, output.title, output.number)
        self._publisher = open_publisher(destination, fields, fallback, context.stdout.buffer)
        self._saving = SavingStage(
            *(self._publisher, process.shielded, output.partials),
            is_series=output.is_series,
            workers=self.workers,
        )
        self._unfinished = [] if output.is_series else unfinished_notices(context)  # one for all of them
        header = _header(self.job, now, request, output, {**extra, PROCESS: process_identity()})
        with process.shielded():  # a run log that is not known here would stay, and speak of money
            self._run_log = RunLog.begin(state / RUNS, header)

    def record(self, context: Context, file: Path, request: ImageRequest) -> None:
        """Begin the recording that the user wants; others may see it, so it names no folder."""
        header = RunLogHeader(self.job, context.now().isoformat(), request.anonymized(), "")
        with process.shielded():
            self._recording = RunLog.record(file, header, context.monotonic)

    @property
    def notices(self) -> Iterator[str]:
        """What is to be known before a run begins."""
        if self._recording and self._recording.remark:
            yield self._recording.remark
        yield from self._unfinished

    def sent(self) -> None:
        """Note that the server may have begun, unless it is the demo's, which costs nothing."""
        self.has_sent = self.has_asked

    def recorded(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Write every chunk to the run log before anybody reads it."""
        chunks = self._run_log.tee(chunks) if self._run_log else chunks
        return self._recording.tee(chunks) if self._recording else chunks

    def add(self, chunk: bytes) -> None:
        """Write what belongs to the answer, but came another way."""
        for _ in self.recorded([chunk]):
            pass

    def report_lost_log(self, events: Iterable[Event]) -> Iterator[Event]:
        """Add a notice, once, when the run log or the recording can no longer be written."""
        events = self._run_log.reporting(self.job, events) if self._run_log else events
        return iter(self._recording.reporting(self.job, events) if self._recording else events)

    def note_received(self, events: Iterable[Event]) -> Iterator[Event]:
        """Note which images came, as they came; a server that makes us wait has not begun."""
        for event in events:
            match event:
                case FinalImage(image=image):
                    self._received.add(image.sha256)
                case Waiting():
                    self.has_sent = False
                case _:
                    pass
            yield event

    def save(self, events: Iterable[Event]) -> Iterator[Event]:
        """Save images as they come, and note where."""
        for event in self._saving(events) if self._saving else events:
            if isinstance(event, Saved):
                self.saved.append(event.path)
                is_damaged = event.problem and event.problem.exit_code is ExitCode.DAMAGED
                self.whole.extend([] if is_damaged else [event.path])
            yield self._with_advice(event) if isinstance(event, Failed) else event

    def _with_advice(self, event: Failed) -> Failed:
        """Add the way to what came of an image that is not saved; nobody needs the usage page for that."""
        problem = event.problem
        if not (
            self._run_log and self.has_asked and problem.cause in _CAUSES_TO_KEEP and self._run_log.keep()
        ):
            return event
        own = "" if problem.advice in (CHECK_USAGE, RUN_LOG_KEPT) else f"{problem.advice} "
        return replace(event, problem=replace(problem, advice=f"{own}The run log is kept; {_RECOVER}."))

    def note_demo(self) -> None:
        """Note that our own demo answers, before anything of its answer is recorded."""
        self.is_free = True
        if self._run_log:
            self._run_log.note(**{BILLED: False})

    def keep_last_partial(self) -> Path | None:
        """Keep the last partial of an image that never came, and return where."""
        return self._saving.keep_last_partial() if self._saving else None

    def settle(self, outcome: Outcome) -> list[str]:
        """Remove the run log of a run that needs no recovery; otherwise it stays when this is closed.

        Returns what is to be said of a run log that nobody would expect.
        """
        causes = {problem.cause for problem in outcome.problems}
        if not self._run_log or outcome.exit_code in _WORTH_KEEPING or causes & _CAUSES_TO_KEEP:
            return []
        if outcome.exit_code is not ExitCode.OK and self._holds_more():
            return [f"the run log is kept; {_RECOVER}"]
        self._run_log.discard()
        return []

    def _holds_more(self) -> bool:
        """Look for images in the log of a run that ended badly: what was not read as one may be one."""
        if not (self._run_log and self._run_log.path and self.has_asked):
            return False
        with RunLogFile(self._run_log.path, None).mapped() as content:
            from imgcli.api.stream.salvage import RecordContent, holds_more

            return holds_more(RecordContent(*content, self._inputs), self._received)

    def close(self) -> None:
        """Leave what is not settled to `imgcli recover`; a request that was never sent leaves nothing."""
        if self._publisher:
            self._publisher.remove_empty_folders()
        if self._recording:
            self._recording.discard()
        if self._run_log and self.has_sent:
            self._run_log.close()
        elif self._run_log:
            self._run_log.discard()


@contextmanager
def open_artifacts(
    context: Context,
    options: GenerateOptions,
    request: ImageRequest,
    artifacts: RunArtifacts,
    extra: Mapping[str, Any],
) -> Iterator[None]:
    """Make sure that saving will work, and begin the run log. Raises `ImgcliError` when it will not work.

    `extra` goes into the run log, for whoever finishes the run.
    """
    output, parameters = options.output, _parameters(context, options, request)
    try:
        if output.save:
            artifacts.prepare(context, output, request, {**extra, **_for_run_log(parameters)})
        if output.record:
            artifacts.record(context, output.record, request)
        artifacts.embed = embedding(parameters)
        yield
    except Exception as error:
        if artifacts.has_sent:
            error.add_note(AFTER_SENDING)
        raise
    finally:
        artifacts.close()


def _header(
    job: str, now: datetime, request: ImageRequest, output: OutputOptions, extra: Mapping[str, Any]
) -> RunLogHeader:
    folder, name = current_folder(), output.name
    if name and is_folder(folder / name):  # once it has gone, nothing else says that it was no file
        name = str(Path(name) / "_")[:-1]
    extra = {**extra, **({TITLE: output.title} if output.title else {})}
    return RunLogHeader(job, now.isoformat(), request, str(folder), name, output.on_exists, extra)


def header_for_later(
    context: Context, options: GenerateOptions, request: ImageRequest, job: str, extra: Mapping[str, Any]
) -> RunLogHeader:
    """Return the header of a run whose answer comes on another day; `extra` is as in `open_artifacts`.

    Raises `ImgcliError` (usage) for an output that cannot be.
    """
    output, now = options.output, context.now()
    fields = NameFields(request.prompt, request.model, job, now, output.title)
    target = OutputTarget.of(output.name, fields, current_folder())
    if output.name == STDOUT or find_device(output.name, target.folder):
        what = "An image of the Batch API is saved later, so it needs a file."
        raise usage_error(what, f"Name one with {option('output')}.", about=("output",))
    if not output.save:
        raise usage_error("The image would be paid for, and nothing of it kept.", about=("no-save", "later"))
    parameters = _for_run_log(_parameters(context, options, request))
    return _header(job, now, request, output, {**extra, **parameters})


def unfinished_notices(context: Context) -> list[str]:
    """Return a notice of the unfinished runs that hold an image, if there are any."""
    count = _count_salvageable(state_folder(context.env) / RUNS)
    if count == 1:
        return ["1 unfinished run; run `imgcli recover` to salvage it"]
    return [f"{count} unfinished runs; run `imgcli recover` to salvage them"] if count else []


def _count_salvageable(folder: Path) -> int:
    """Count the run logs in a folder from which an image can be saved, by their beginnings.

    Also those whose image the server may still be making.
    """
    count = 0
    for answer, is_whole in answer_starts(folder):
        from imgcli.api.stream.salvage import may_hold_image, may_hold_link

        may_hold = may_hold_image(answer, is_whole=is_whole) or may_hold_link(answer)
        count += may_hold or bool(_IN_BACKGROUND.search(answer))
    return count


def _check_standard_output(context: Context, output: OutputOptions) -> None:
    """Raise `ImgcliError` where an image's bytes would go to a terminal, or nowhere."""
    if output.name == STDOUT and 1 in context.closed:
        what = f"Standard output is closed, so {option('output', STDOUT)} would lose the image."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, parameters=("output",)))
    if output.name == STDOUT and output.on_exists is OnExists.NUMBER and context.stdout.isatty():
        raise usage_error(
            f"{option('output', STDOUT)} would write image data to the terminal.",
            f"Redirect standard output (> cat.png), or add {option('force')}.",
            about=("output",),
        )


_PARAMETERS = "recipe"
"""The key in a run log; it has this name for ever."""


def check_embedding(output: OutputOptions, request: ImageRequest) -> None:
    """Raise `ImgcliError` (usage) where parameters cannot be embedded because no PNG is asked for."""
    if output.embed and request.format not in {None, ImageFormat.PNG}:
        raise usage_error(
            f"{option('embed')} needs a PNG file, but the format is {request.format}.",
            f"Leave {option('embed')} out, or use {option('format', 'png')}.",
            about=("embed", "format"),
        )


def _parameters(
    context: Context, options: GenerateOptions, request: ImageRequest
) -> EmbeddedParameters | None:
    """Return the parameters to embed in a run's images, None where none are."""
    if not options.output.embed:
        return None
    started = context.now().isoformat(timespec="seconds")
    parameters = EmbeddedParameters.of(request, options.server.name(context.env), started, __version__)
    return replace(parameters, parents=tuple(parent.sha256 for parent in options.parents))


def _for_run_log(parameters: EmbeddedParameters | None) -> dict[str, Any]:
    """Return the entry for the run log: whoever finishes the run has to make the very same file."""
    return {_PARAMETERS: parameters.to_json()} if parameters else {}


def logged_parameters(header: RunLogHeader | None) -> EmbeddedParameters | None:
    """Read the parameters to embed out of a run log, None where none were to be embedded."""
    fields = header.extra if header and isinstance(header.extra, dict) else {}
    return EmbeddedParameters.from_json(fields.get(_PARAMETERS))


def embedding(parameters: EmbeddedParameters | None) -> Stage:
    """Return the stage that embeds parameters, or passes images on as they came."""
    return EmbeddingStage(parameters) if parameters else iter

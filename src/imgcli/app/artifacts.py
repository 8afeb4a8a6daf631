"""What a run does on disk, put together: the record, the publisher, the saving stage."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli import __version__
from imgcli.app import process
from imgcli.app.options import Keeping, Recipes, place_of
from imgcli.app.unfinished_run import BILLED
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.events import Failed, FinalImage, Saved, Waiting
from imgcli.core.image import ImageFormat
from imgcli.core.messages import RAW_RUN_KEPT
from imgcli.core.problem import AFTER_SENDING, CHECK_USAGE, Cause, ExitCode, Problem
from imgcli.core.recipe import Embedding, Recipe
from imgcli.store.paths import FallbackFolders, state_folder
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import STDOUT, NameFields, current_folder, is_folder
from imgcli.store.publish.publisher import Destination, open_publisher
from imgcli.store.publish.stage import SavingStage
from imgcli.store.runlog.reader import PROCESS, RUNS, RunLogFile, beginnings, mark
from imgcli.store.runlog.writer import TITLE, RunLog, RunLogHeader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions, OutputOptions
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Outcome, Stage
    from imgcli.core.request import ImageRequest
    from imgcli.store.publish.publisher import Publisher


_WORTH_KEEPING = frozenset({ExitCode.UNKNOWN, ExitCode.DAMAGED, ExitCode.INTERNAL})
"""Ends after which a record may hold more than what was saved."""
_CAUSES_TO_KEEP = frozenset({Cause.UNREAD, Cause.CUT})
"""Causes likewise, whatever the end."""
_RECOVER = "`imgcli recover` saves what came of it"


class RunArtifacts:
    """One run's files, or none for a run that keeps nothing.

    `has_asked` is set when a server that costs money is asked, and `has_sent` when a whole request may have
    reached it; `saved` lists the images that are on disk, `whole` those of them that are not damaged.
    `is_free` tells that nobody is charged for the run, as far as that is known by now.
    """

    def __init__(self, job: str, *, is_free: bool = False) -> None:
        self.job = job
        self.is_free = is_free
        self._earlier = 0
        self.has_asked = self.has_sent = False
        self.saved: list[Path] = []
        self.whole: list[Path] = []
        self._given: set[str] = set()
        self._inputs: frozenset[str] = frozenset()
        self._spool: RunLog | None = None
        self._publisher: Publisher | None = None
        self._saving: SavingStage | None = None
        self.recording: RunLog | None = None
        self.embedding: Stage = iter

    def furnish(
        self, world: Context, output: OutputOptions, request: ImageRequest, extra: Mapping[str, Any]
    ) -> None:
        """Find the place for the image, then begin the record: nothing is recorded of a run that cannot be.

        Raises `ImgcliError`.
        """
        _check_standard_output(world, output)
        self._inputs = request.inputs
        now, folder, state = world.now(), current_folder(), state_folder(world.env)
        rescue = FallbackFolders(state, world.env, lambda: self._spool.keep() if self._spool else None)
        destination = Destination(output.name, folder, output.clash)
        subject = NameFields(request.prompt, request.model, self.job, now, output.title)
        self._publisher = open_publisher(destination, subject, rescue, world.stdout.buffer)
        self._saving = SavingStage(self._publisher, process.shielded, output.partials)
        self._earlier = _count_salvageable(state / RUNS)
        place = _place(output.name, folder)
        told = {**extra, PROCESS: mark(), **({TITLE: output.title} if output.title else {})}
        header = RunLogHeader(self.job, now.isoformat(), request, str(folder), place, output.clash, told)
        with process.shielded():  # a record that is not known here would stay, and speak of money
            self._spool = RunLog.begin(state / RUNS, header)

    @property
    def notices(self) -> list[str]:
        """What is to be known before a run begins."""
        return [*self._about_recording(), *self._about_earlier()]

    def _about_recording(self) -> list[str]:
        return [self.recording.remark] if self.recording and self.recording.remark else []

    def _about_earlier(self) -> list[str]:
        if not self._earlier:
            return []
        is_one = self._earlier == 1
        runs, them = ("1 unfinished run", "it") if is_one else (f"{self._earlier} unfinished runs", "them")
        return [f"{runs}; run `imgcli recover` to salvage {them}"]

    def sent(self) -> None:
        """Note that the server may have begun, unless it is the demo's, which costs nothing."""
        self.has_sent = self.has_asked

    def recorded(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Write every chunk to the record before anybody reads it."""
        chunks = self._spool.tee(chunks) if self._spool else chunks
        return self.recording.tee(chunks) if self.recording else chunks

    def reporting(self, events: Iterable[Event]) -> Iterable[Event]:
        """Tell once when there is no record."""
        events = self._spool.reporting(self.job, events) if self._spool else events
        return self.recording.reporting(self.job, events) if self.recording else events

    def saving(self, events: Iterable[Event]) -> Iterable[Event]:
        """Save images as they come, with their recipe where that is wanted, and remember where."""
        events = self.embedding(self._noted(events))
        for event in self._saving(events) if self._saving else events:
            if isinstance(event, Saved):
                self.saved.append(event.path)
                is_damaged = event.problem and event.problem.exit_code is ExitCode.DAMAGED
                self.whole.extend([] if is_damaged else [event.path])
            yield self._advised(event) if isinstance(event, Failed) else event

    def _noted(self, events: Iterable[Event]) -> Iterator[Event]:
        """Remember which images came, as they came; a server that makes us wait has not begun."""
        for event in events:
            match event:
                case FinalImage(image=image):
                    self._given.add(image.sha256)
                case Waiting():
                    self.has_sent = False
                case _:
                    pass
            yield event

    def _advised(self, event: Failed) -> Failed:
        """Name the way to what came of an image that is not saved."""
        if self._spool and self.has_asked and event.problem.cause in _CAUSES_TO_KEEP and self._spool.keep():
            return replace(event, problem=replace(event.problem, advice=_advice(event.problem)))
        return event

    def note_demo(self) -> None:
        """Note that our own demo answers, before anything of its answer is recorded."""
        self.is_free = True
        if self._spool:
            self._spool.note(**{BILLED: False})

    def keep_last_partial(self) -> Path | None:
        """Keep the last partial of an image that never came, and tell where."""
        return self._saving.keep_last_partial() if self._saving else None

    def settle(self, outcome: Outcome) -> list[str]:
        """Remove the record of a run that needs no recovery; otherwise it stays when the desk is closed.

        Returns what is to be said of a record that nobody would expect.
        """
        causes = {problem.cause for problem in outcome.problems}
        if not self._spool or outcome.exit_code in _WORTH_KEEPING or causes & _CAUSES_TO_KEEP:
            return []
        if outcome.exit_code is not ExitCode.OK and self._holds_more():
            return [f"the raw run is kept; {_RECOVER}"]
        self._spool.discard()
        return []

    def _holds_more(self) -> bool:
        """Look for images in the record of a run that ended badly: what was not read as one may be one."""
        if not (self._spool and self._spool.path and self.has_asked):
            return False
        with RunLogFile(self._spool.path, None).mapped() as content:
            from imgcli.api.stream.salvage import RecordContent, holds_more

            return holds_more(RecordContent(*content, self._inputs), self._given)

    def close(self) -> None:
        """Leave what is not settled to `imgcli recover`; a request that was never sent leaves nothing."""
        if self._publisher:
            self._publisher.tidy()
        if self.recording:
            self.recording.discard()
        if self._spool and self.has_sent:
            self._spool.close()
        elif self._spool:
            self._spool.discard()


@contextmanager
def prepare_artifacts(
    world: Context,
    output: OutputOptions,
    request: ImageRequest,
    desk: RunArtifacts,
    extra: Mapping[str, Any] | None = None,
) -> Iterator[RunArtifacts]:
    """Make sure that saving will work, and begin the record. Raises `ImgcliError` when it will not work.

    `extra` goes into the record, for whoever finishes the run.
    """
    try:
        if output.keeping is not Keeping.NOTHING:
            desk.furnish(world, output, request, extra or {})
        with process.shielded():
            desk.recording = _recording(world, output, request, desk.job)
        yield desk
    except Exception as error:
        if desk.has_sent:
            error.add_note(AFTER_SENDING)
        raise
    finally:
        desk.close()


def _count_salvageable(folder: Path) -> int:
    """Count the records in a folder from which an image can be saved, by their beginnings."""
    count = 0
    for answer, is_whole in beginnings(folder):
        from imgcli.api.stream.salvage import may_hold_image

        count += may_hold_image(answer, is_whole=is_whole)
    return count


def _advice(problem: Problem) -> str:
    """Add to what is worth doing that the record holds more; nobody needs the usage page for that."""
    own = "" if problem.advice in (CHECK_USAGE, RAW_RUN_KEPT) else f"{problem.advice} "
    return f"{own}The raw run is kept; {_RECOVER}."


def _recording(world: Context, output: OutputOptions, request: ImageRequest, job: str) -> RunLog | None:
    """Begin what the user wants to keep of the run; it may be shown to others, so it names no folder."""
    if not output.record:
        return None
    header = RunLogHeader(job, world.now().isoformat(), request.nameless(), "")
    return RunLog.record(output.record, header, world.monotonic)


def _place(output: str | None, folder: Path) -> str | None:
    """Format a folder as one: when it has gone, nothing else says that it was no file."""
    return str(Path(output) / "_")[:-1] if output and is_folder(folder / output) else output


def _check_standard_output(world: Context, output: OutputOptions) -> None:
    """Refuse to pour an image's bytes over somebody's terminal, or into nothing."""
    if output.name == STDOUT and 1 in world.closed:
        raise ImgcliError(
            Problem(ExitCode.UNWRITABLE, "Standard output is closed, and -o - would lose the image there.")
        )
    if output.name == STDOUT and output.clash is OnExists.NUMBER and world.stdout.isatty():
        raise usage_error(
            "-o - would write the image's bytes to this terminal.",
            "Redirect standard output (> cat.png), or add --force.",
        )


_RECIPE = "recipe"


def check(output: OutputOptions, request: ImageRequest) -> None:
    """Refuse to embed where no PNG is asked for. Raises `ImgcliError` (usage)."""
    asked = request.format
    if output.recipes is Recipes.EMBEDDED and asked not in {None, ImageFormat.PNG}:
        raise usage_error(
            f"--embed writes into PNG files, and {asked} is asked for.",
            "Leave --embed out, or ask for png (--format, or the ending of -o's name).",
        )


def recipe(world: Context, order: GenerateOptions, request: ImageRequest) -> Recipe | None:
    """Begin the recipe that goes into a run's images, None where none does."""
    if order.output.recipes is Recipes.APART:
        return None
    begun = Recipe.of(
        request, place_of(world, order.endpoint), world.now().isoformat(timespec="seconds"), __version__
    )
    return replace(begun, parents=tuple(parent.sha256 for parent in order.parents))


def for_record(recipe: Recipe | None) -> dict[str, Any]:
    """Format it for the run's record: whoever finishes the run has to make the very same file."""
    return {_RECIPE: recipe.to_json()} if recipe else {}


def of_record(header: RunLogHeader | None) -> Recipe | None:
    """Read it out of a run's record, None where none was to be embedded."""
    fields = header.extra if header and isinstance(header.extra, dict) else {}
    return Recipe.from_json(fields.get(_RECIPE))


def stage(recipe: Recipe | None) -> Stage:
    """Return the stage that embeds a recipe, or lets images pass as they came."""
    return Embedding(recipe) if recipe else iter

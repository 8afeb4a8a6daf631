"""The plan of a batch as values: its tasks, and the distinct sets of options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from imgcli.app.options import OutputFormat
from imgcli.dataclass import dataclass
from imgcli.store.input_images import read_again

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from imgcli.app.batch.pacer import Rate
    from imgcli.app.options import GenerateOptions
    from imgcli.core.errors import ImgcliError, Problem
    from imgcli.core.request import ImageRequest


class RowOptions(Protocol):
    """The command line's part: which options a row may set, and what they are as options of a run."""

    @property
    def names(self) -> Collection[str]:
        """The long names, without dashes, of the options that a row may set."""
        ...

    def refusal(self, name: str) -> ImgcliError | None:
        """Return the error for an option that a row must not set, None for what is no option."""
        ...

    def convert(self, name: str, value: object) -> object:
        """Return a row's value as the option takes it. Raises `ImgcliError` (usage)."""
        ...

    def options(self, values: Mapping[str, object], output: str | None) -> GenerateOptions:
        """Return the options of a run with a row's values over the command line's.

        Raises `ImgcliError` (usage).
        """
        ...

    def explained(self, problem: Problem, names: Collection[str]) -> Problem:
        """Return a problem of a row that sets the options of these names, in words that fit a file."""
        ...


class BatchOptions(NamedTuple):
    """How a batch runs: how many requests at once, how often one goes out, and where the report goes.

    `file` is the batch file, None for standard input, beside which the state is kept. `retry_unknown` sends
    tasks again whose outcome is unknown or that may have been paid for; `later` submits all to the Batch API.
    """

    file: Path | None
    concurrency: int = 4
    rate: Rate | None = None
    report: Path | None = None
    retry_unknown: bool = False
    later: bool = False


class BatchTask(NamedTuple):
    """One image to make. `key` is its identity, `id` its row's; `kind` is the number of its options.

    `typed_prompt` is the prompt without presets, None where these do not change it.
    """

    key: str
    line: int
    id: str | None
    prompt: str
    output: str | None
    kind: int
    typed_prompt: str | None = None

    @property
    def label(self) -> str:
        """What tells it from the others: its row's id, or its line."""
        return self.id or f"line {self.line}"


@dataclass(frozen=True)
class BatchPlan:
    """The tasks in the order of the file, and their options, once for each distinct set.

    The drafts in `kinds` have no prompt, and images without their bytes; `requests` are what validation made
    of them. `notices` are for the user, before anything is sent.
    """

    name: str
    tasks: tuple[BatchTask, ...]
    kinds: tuple[GenerateOptions, ...]
    requests: tuple[ImageRequest, ...]
    notices: tuple[str, ...] = ()

    @property
    def has_notes(self) -> bool:
        """Whether notes are wanted: not where somebody asked for paths and errors alone."""
        return all(kind.display.format is not OutputFormat.PATHS for kind in self.kinds)

    def options(self, task: BatchTask) -> GenerateOptions:
        """Return everything about one task, ready for `app.generate.prepare`.

        Reads its input images again; raises `ImgcliError` (usage) where they have changed since.
        """
        kind = self.kinds[task.kind]
        draft = kind.draft
        if draft.references or draft.mask:  # no markup without an image either
            references = tuple(map(read_again, draft.references))
            mask, markup = (one and read_again(one) for one in (draft.mask, draft.markup))
            draft = replace(draft, references=references, mask=mask, markup=markup)
        output = replace(kind.output, name=task.output)
        return replace(
            kind, draft=replace(draft, prompt=task.prompt, typed_prompt=task.typed_prompt), output=output
        )

    def request(self, task: BatchTask) -> ImageRequest:
        """Return what would be sent, without the bytes of its images."""
        return replace(self.requests[task.kind], prompt=task.prompt, typed_prompt=task.typed_prompt)

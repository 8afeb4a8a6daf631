"""From the rows of a batch file to a plan: every row is checked before the first request goes out."""

from __future__ import annotations

import gc
import json
import os
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.app.batch_plan import BatchPlan, BatchTask
from imgcli.app.inputs import InputNames, read_inputs
from imgcli.app.plan import RequestPlan
from imgcli.app.variables import check_used
from imgcli.core import catalog
from imgcli.core.batch_file import PROMPT, Faults, read_rows
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.inherit import OptionSources
from imgcli.core.template import Expansion, Picker, Template, expand, normal_name
from imgcli.core.text import did_you_mean, is_encodable, shorten, similar_names, slug
from imgcli.core.validate import validate
from imgcli.store.input_images import STDIN
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import (
    FIELDS,
    STDOUT,
    NameFields,
    OutputTarget,
    current_folder,
    format_of_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgcli.app.batch_input import BatchInput
    from imgcli.app.batch_plan import RowOptions
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.batch_file import BatchRow
    from imgcli.core.request import DraftRequest, ImageRequest


_KEY_LENGTH = 32
_LONG = 32_000  # characters; a prompt of more is checked in full
_LARGEST_PROMPT = 256 * 1024  # bytes, as of a prompt in a file
_NAME_LENGTH = 60
_ID, _OUTPUT, _IMAGE, _MASK = "id", "output", "image", "mask"
_NO_SOURCES = OptionSources(frozenset(), frozenset())
_MOST_TEMPLATES = 1_000  # kept parsed; where there are more, each is another one
_NO_CELLS: dict[str, Any] = {}
_PLAIN_NAME = re.compile(r"[^{}~-][^{}]*\.(?:png|jpe?g|webp|gif|svg)")
"""Output names in which nothing can be wrong."""
_WORD = re.compile(r"\{([^\W\d][\w -]{0,59})\}")


def plan_batch(context: Context, given: BatchInput, rows: RowOptions) -> BatchPlan:
    """Read, check and expand a batch file. Raises `ImgcliError` (usage) if anything in it is wrong."""
    with _collector_paused():
        faults = Faults(given.name)
        parsed = read_rows(given.data, given.name, given.ending, faults)
        planner = _Planner(context, given, rows, faults)
        tasks = tuple(planner.tasks(parsed))
        planner.check_unused()
        faults.check()
        kinds = planner.kinds
        plan = BatchPlan(given.name, tasks, kinds.options, kinds.requests, planner.notices)
        _check_overwriting(context, plan)
        return plan


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector: it would look through hundreds of thousands of rows all the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _check_overwriting(context: Context, plan: BatchPlan) -> None:
    """Raise `ImgcliError` (usage) where --force would replace one image of the batch by another."""
    if all(kind.output.on_exists is not OnExists.REPLACE for kind in plan.kinds):
        return
    folder, now, lines = current_folder(), context.now(), dict[object, int]()
    for task in plan.tasks:
        request = plan.requests[task.kind]
        fields = NameFields(task.prompt, request.model, task.key, now)
        target = OutputTarget.of(task.output, fields, folder)
        path = target.folder / target.preferred_name(request.format)
        if path in lines:
            where = f"Lines {lines[path]} and {task.line} of {shorten(plan.name, _NAME_LENGTH)}"
            raise usage_error(
                f"{where} would both be saved as {shorten(path.name, _NAME_LENGTH)}, and --force would "
                "overwrite the one with the other.",
                "Leave --force out, or make the names differ: -o '{slug}-{id}.png'.",
            )
        lines[path] = task.line


class _Layout(NamedTuple):
    """What the columns of a row are: where prompt, id and output are, None without such a column.

    Options and variables by their names, each with its column.
    """

    prompt: str | None
    id: str | None
    output: str | None
    options: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...]


class _Planner:
    """Makes the tasks of one batch."""

    def __init__(self, context: Context, given: BatchInput, rows: RowOptions, faults: Faults) -> None:
        self.kinds = _Kinds(context, given, rows)
        self._given, self._rows, self._faults = given, rows, faults
        self._known = {*rows.names, PROMPT, _ID, _OUTPUT}
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._columns: dict[str, int] = {}
        self._names: frozenset[str] = frozenset()
        self._used, self._verbatim = set[str](), dict[str, int]()
        self._templates: dict[tuple[str, tuple[str, ...]], Template] = {}
        self._ids: dict[str, int] = {}
        self._equal: dict[tuple[str, str], int] = {}
        self._alike = Counter[str]()
        self._picker = Picker(given.seed)

    def tasks(self, rows: Sequence[BatchRow]) -> list[BatchTask]:
        """Return the tasks of all rows; what is wrong with one is a fault."""
        layouts = [self._layout(row) for row in rows]
        has_ids = any(layout.id for layout in self._layouts.values())
        declared = {*self._columns, *(one.name for one in self._given.variables)}
        self._names = frozenset(declared | ({_ID} if has_ids else set()))
        tasks = list[BatchTask]()
        for row, layout in zip(rows, layouts, strict=True):
            try:
                tasks += self._of_row(row, layout)
            except ImgcliError as error:
                self._faults.add_error(row.line, error)
        return tasks

    def check_unused(self) -> None:
        """Find columns and variables that nothing uses: they are typos."""
        if self._faults.count:
            return  # a row that is wrong may be the one that uses them
        check_used(self._given.variables, self._used)
        for name, line in self._columns.items():
            if name not in self._used:
                shown = shorten(name, _NAME_LENGTH)
                advice = did_you_mean(similar_names(name, self._known)[:1])
                what = f"There is no option {shown}, and no prompt or output uses {{{shown}}}."
                self._faults.add(line, what, advice or "Remove the column, or use it in a prompt.")

    @property
    def notices(self) -> tuple[str, ...]:
        """Notes on what is sent as it stands though it looks like a variable."""
        return tuple(
            f"{{{shorten(name, _NAME_LENGTH)}}} on line {line} is sent as it is: nothing declares it"
            for name, line in list(self._verbatim.items())[:3]
        )

    def _layout(self, row: BatchRow) -> _Layout:
        columns = tuple(row.cells)
        known = self._layouts.get(columns)
        if known is None:
            known = self._layouts[columns] = self._new_layout(columns, row.line)
        return known

    def _new_layout(self, columns: Sequence[str], line: int) -> _Layout:
        """Find out what the columns of a row are; rows with the same ones share it."""
        options, variables = dict[str, str](), dict[str, str]()
        for column in columns:
            name = normal_name(column)
            option = name.lower().replace("_", "-").replace(" ", "-")
            refusal = self._rows.refusal(option)
            if option in self._known:
                if option in options:
                    both = f"{shorten(options[option], _NAME_LENGTH)} and {shorten(column, _NAME_LENGTH)}"
                    self._faults.add(line, f"{both} are the same option.")
                options[option] = column
            elif refusal:
                self._faults.add_error(line, refusal)
            else:
                variables[name] = column
                self._columns.setdefault(name, line)
        prompt, row_id, output = (options.pop(name, None) for name in (PROMPT, _ID, _OUTPUT))
        return _Layout(prompt, row_id, output, tuple(options.items()), tuple(variables.items()))

    def _of_row(self, row: BatchRow, layout: _Layout) -> Sequence[BatchTask]:
        """Return a row's tasks. Raises `ImgcliError` (usage)."""
        line, values = row
        prompt = values[layout.prompt] if layout.prompt else self._given.prompt
        output = values[layout.output] if layout.output else self._given.output
        row_id = self._id(values[layout.id], line) if layout.id else None
        cells = {option: values[column] for option, column in layout.options} if layout.options else _NO_CELLS
        if prompt is None:
            raise usage_error(
                "The row has no prompt.", 'Add it, or give all rows one: --prompt "a {column}".'
            )
        if not isinstance(prompt, str) or not isinstance(output, str | None):
            name, value = (_OUTPUT, output) if isinstance(prompt, str) else (PROMPT, prompt)
            raise usage_error(f"{name} takes text, not {_shown(value)}.")
        if "{" in prompt:
            self._note(prompt, line)
        elif output is None or "{" not in output:
            return (self._task(line, row_id, prompt, output, cells),)
        if not self._names:
            return (self._task(line, row_id, prompt, output, cells),)
        made = self._expanded(row, layout, row_id, prompt, output)
        if len(made) == 1:
            return (self._task(line, row_id, *made[0], cells),)
        names = [f"{row_id}-{number}" if row_id else None for number in range(1, len(made) + 1)]
        return [self._task(line, name, *one, cells) for name, one in zip(names, made, strict=True)]

    def _id(self, value: object, line: int) -> str:
        """Return a row's id. Raises `ImgcliError` (usage) for one that another row has."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise usage_error(f"id takes text, not {_shown(value)}.")
        name = str(value).strip()
        first = self._ids.setdefault(name, line)
        if first != line:
            raise usage_error(f"The id {shorten(name, _NAME_LENGTH)} is that of line {first} already.")
        return name

    def _note(self, prompt: str, line: int) -> None:
        """Remember what looks like a variable and is none."""
        for name in _WORD.findall(prompt):
            if normal_name(name) not in self._names:
                self._verbatim.setdefault(name, line)

    def _expanded(
        self, row: BatchRow, layout: _Layout, row_id: str | None, prompt: str, output: str | None
    ) -> list[Expansion]:
        """Expand a row's templates. Raises `ImgcliError` (usage)."""
        variables = {one.name: one.values for one in self._given.variables}
        variables |= {name: _values(name, row.cells[column]) for name, column in layout.variables}
        if row_id is not None:
            variables[_ID] = (row_id,)
        # A row's own id is what {id} means in its output name; elsewhere that is the run's.
        reserved = tuple(one for one in FIELDS if one != _ID or row_id is None)
        words, name = self._template(prompt, ()), output and self._template(output, reserved)
        self._check_fields(output, variables, reserved)
        for template, what in ((words, "prompt"), (name or None, "output")):
            for used in (*template.products, *template.choices) if template else ():
                if used not in variables:
                    raise usage_error(f"The {what} uses {{{used}}}, and the row has no {used}.")
                self._used.add(used)
        return list(expand(words, name or None, variables, self._picker, self._position, slug))

    def _check_fields(
        self, output: str | None, variables: Mapping[str, object], reserved: Sequence[str]
    ) -> None:
        """Raise `ImgcliError` (usage) for a variable that is a field of the output name as well."""
        for name in reserved:
            if output and name in variables and f"{{{name}}}" in output:
                what = f"{{{name}}} is a field of the output name, and a variable as well."
                raise usage_error(what, "Give the variable another name.")

    def _template(self, text: str, reserved: tuple[str, ...]) -> Template:
        known = self._templates.get((text, reserved))
        if known is None:
            known = Template.parse(text, self._names, reserved)
            if len(self._templates) < _MOST_TEMPLATES:
                self._templates[text, reserved] = known
        return known

    def _position(self, alike: str) -> int:
        self._alike[alike] += 1
        return self._alike[alike]

    def _task(
        self, line: int, row_id: str | None, prompt: str, output: str | None, cells: dict[str, Any]
    ) -> BatchTask:
        """Return a task. Raises `ImgcliError` (usage)."""
        kinds = self.kinds
        kind = kinds.number(cells, output)
        if len(prompt) > _LONG or not prompt.isprintable() or not prompt or prompt.isspace():
            kinds.check_prompt(prompt, kind)
        digest = kinds.digests[kind]
        equal = digest, prompt
        occurrence = self._equal[equal] = self._equal.get(equal, 0) + 1
        key = sha256(f"{digest}\0{prompt}\0{occurrence}".encode()).hexdigest()[:_KEY_LENGTH]
        return BatchTask(key, line, row_id, prompt, output and kinds.path(output), kind)


def _values(name: str, value: object) -> tuple[str, ...]:
    """Return the values of a row's variable. Raises `ImgcliError` (usage)."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise usage_error(
            f"{shorten(name, _NAME_LENGTH)} takes text or a list of texts, not {_shown(value)}."
        )
    return tuple(one.strip() if isinstance(one, str) else json.dumps(one) for one in values)


def _shown(value: object) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), _NAME_LENGTH)


class _Kinds:
    """The distinct sets of options, each converted, checked and hashed once."""

    def __init__(self, context: Context, given: BatchInput, rows: RowOptions) -> None:
        self._context, self._given, self._rows = context, given, rows
        self._models, self._today, self._folder = catalog.load(), context.now().date(), current_folder()
        self._made: list[GenerateOptions] = []
        self._requests: list[ImageRequest] = []
        self.digests: list[str] = []
        self._numbers: dict[object, int | ImgcliError] = {}
        self._paths: dict[str, str | ImgcliError] = {}
        self._plans: dict[object, RequestPlan] = {}

    @property
    def options(self) -> tuple[GenerateOptions, ...]:
        """The options of each kind."""
        return tuple(self._made)

    @property
    def requests(self) -> tuple[ImageRequest, ...]:
        """What validation made of each."""
        return tuple(self._requests)

    def number(self, cells: dict[str, Any], output: str | None) -> int:
        """Return the number of a row's kind. Raises `ImgcliError` (usage)."""
        key = _hashable(cells), output and format_of_name(output)
        found = self._numbers.get(key)
        if found is None:
            try:
                found = self._make(cells, output)
            except ImgcliError as error:
                found = error
            self._numbers[key] = found
        if isinstance(found, ImgcliError):
            raise found
        return found

    def path(self, output: str) -> str:
        """Return an output name with `~` expanded. Raises `ImgcliError` (usage) for what cannot be a name."""
        if _PLAIN_NAME.fullmatch(output) and output.isprintable():
            return output
        found = self._paths.get(output)
        if found is None:
            found = os.path.expanduser(output)  # noqa: PTH111 - a slash at the end counts
            try:
                if output == STDOUT:
                    raise usage_error(
                        "A batch cannot write to standard output.", "Choose a folder: -o images/"
                    )
                fields = NameFields("a", "a", "a", self._context.now())
                OutputTarget.of(found, fields, self._folder)
            except ImgcliError as error:
                found = error
            self._paths[output] = found
        if isinstance(found, ImgcliError):
            raise found
        return found

    def check_prompt(self, prompt: str, kind: int) -> None:
        """Check a prompt that is not plain. Raises `ImgcliError` (usage)."""
        if "\0" in prompt:
            raise usage_error("The prompt holds a NUL character.")
        if len(prompt) > _LONG or not prompt.strip() or not is_encodable(prompt):
            validate(replace(self._made[kind].draft, prompt=prompt), self._models, self._today)
        if len(prompt.encode()) > _LARGEST_PROMPT:
            raise usage_error(f"The prompt is longer than {_LARGEST_PROMPT // 1024} kB.", "Shorten it.")

    def _make(self, cells: Mapping[str, Any], output: str | None) -> int:
        """Make a kind and return its number. Raises `ImgcliError` (usage)."""
        values = {name: self._rows.convert(name, value) for name, value in cells.items()}
        images, mask = values.pop(_IMAGE, self._given.images), values.pop(_MASK, self._given.mask)
        options = self._rows.options(values, None if output == STDOUT else output)
        plan = self._inputs(images, mask)
        draft = plan.inherit(options.draft, _NO_SOURCES, self._today).draft
        if draft.partials is None:
            draft = replace(draft, partials=0)  # nobody watches each of a thousand images arrive
        valid = validate(draft, self._models, self._today)
        draft = replace(draft, prompt="")
        self._made.append(
            replace(options, draft=draft, parents=plan.parents, notices=(*options.notices, *plan.notices))
        )
        self._requests.append(valid.request)
        server = options.server
        self.digests.append(_digest(draft, server.name(self._context.env), server.seed))
        return len(self._made) - 1

    def _inputs(self, images: Any, mask: Any) -> RequestPlan:  # noqa: ANN401 - converted values
        """Read the input images, and forget their bytes: a batch may have thousands of them."""
        names = (*images,), mask
        if names not in self._plans:
            if STDIN in images:
                raise usage_error("A batch cannot read an image from standard input.", "Name a file.")
            found, notes = read_inputs(self._context, InputNames(["a"], None, [*images] or None, mask))[1:]
            references = tuple(replace(one, data=None) for one in found.references)
            bare = replace(found, references=references, mask=found.mask and replace(found.mask, data=None))
            self._plans[names] = RequestPlan("a", bare, notices=notes)
        return self._plans[names]


def _hashable(cells: Mapping[str, Any]) -> object:
    """Return a row's options as a key; rows of a file mostly have theirs in the same order."""
    if not cells:
        return ()
    # True and 1 are equal, and mean different things to an option.
    return tuple((name, repr(value) if type(value) is not str else value) for name, value in cells.items())


_IDENTIFYING = (
    *("model", "image_model", "api", "size", "quality", "compression", "background", "moderation"),
    *("fidelity",),
)


def _digest(draft: DraftRequest, server: str | None, seed: int | None) -> str:
    """Return the hash of all that makes an image another one, but for the prompt.

    What was asked counts, not what it is filled up to: a default that changes with the calendar, or with
    another version, must not send a finished batch again. Partial images and streaming do not change the
    image. What is not set is left out, so that a later parameter changes no earlier hash.
    """
    asked: dict[str, object] = {name: getattr(draft, name) for name in _IDENTIFYING}
    images = [one.sha256 or one.url for one in draft.references]
    asked |= {"format": draft.format or draft.name_format, "server": server, "seed": seed}
    asked |= {"images": images or None, "mask": draft.mask and draft.mask.sha256}
    known = {name: value for name, value in asked.items() if value is not None}
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

"""Plans a batch from the rows of its file: every row is checked before the first request is sent."""

from __future__ import annotations

import gc
import json
from collections import Counter
from contextlib import contextmanager
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.app.batch.batch_kinds import LONG_PROMPT, BatchKinds, CommonError
from imgcli.app.batch.batch_plan import BatchPlan, BatchTask
from imgcli.app.batch.variables import check_used, frame_of
from imgcli.core.batch_file import PROMPT, Faults, read_rows
from imgcli.core.config import PLACEHOLDER
from imgcli.core.errors import ImgcliError, check_between, usage_error
from imgcli.core.option import option
from imgcli.core.template import Expansion, ImageTemplate, Picker, Template, expand, normal_name
from imgcli.core.text import did_you_mean, shorten, similar_names, slug
from imgcli.regex import regex
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import (
    FIELDS,
    NameFields,
    OutputTarget,
    current_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgcli.app.batch.batch_input import BatchInput
    from imgcli.app.batch.batch_plan import RowOptions
    from imgcli.app.context import Context
    from imgcli.core.batch_file import BatchRow


_KEY_LENGTH = 32
_NAME_LENGTH = 60
_ID, _OUTPUT, _MODEL, _COUNT = "id", "output", "model", "count"
_MOST_TEMPLATES = 1_000  # kept parsed; where there are more, each is another one
_MOST_VARIANTS = 100
_MOST_NOTES = 3
_NO_CELLS: dict[str, Any] = {}
_WORD = regex(r"\{([^\W\d][\w -]{0,59})\}")


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
    """Pause the garbage collector: it would look through hundreds of thousands of rows again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _check_overwriting(context: Context, plan: BatchPlan) -> None:
    """Raise `ImgcliError` (usage) where one image of the batch would overwrite another."""
    if all(kind.output.on_exists is not OnExists.REPLACE for kind in plan.kinds):
        return
    force = option("force")
    folder, now, lines = current_folder(), context.now(), dict[object, int]()
    for task in plan.tasks:
        request = plan.requests[task.kind]
        fields = NameFields(task.typed_prompt or task.prompt, request.model, task.key, now)
        target = OutputTarget.of(task.output, fields, folder)
        path = target.folder / target.preferred_name(request.format)
        if path in lines:
            where = f"Lines {lines[path]} and {task.line} of {shorten(plan.name, _NAME_LENGTH)}"
            raise usage_error(
                f"{where} would both be saved as {shorten(path.name, _NAME_LENGTH)}, and "
                f"{force} would overwrite the one with the other.",
                f"Leave {force} out, or make the names differ: {option('output')} '{{slug}}-{{id}}.png'.",
            )
        lines[path] = task.line


class _Layout(NamedTuple):
    """What the columns of a row are: where prompt, id and output are, None without such a column.

    Options and variables by their names, each with its column. With `has_variants` a row may be several
    images.
    """

    prompt: str | None
    id: str | None
    output: str | None
    options: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...]
    has_variants: bool = False


class _Planner:
    """Makes the tasks of one batch."""

    def __init__(self, context: Context, given: BatchInput, rows: RowOptions, faults: Faults) -> None:
        self.kinds = BatchKinds(context, given, rows)
        self._given, self._rows, self._faults = given, rows, faults
        self._known = {*rows.names, PROMPT, _ID, _OUTPUT}
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._columns: dict[str, int] = {}
        self._names: frozenset[str] = frozenset()
        self._used, self._verbatim = set[str](), dict[str, int]()
        self._templates: dict[tuple[str, tuple[str, ...]], Template] = {}
        self._outside: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._bare_kind = -1  # that of rows that set nothing, once there is one
        self._equal: dict[str, dict[str, int]] = {}
        self._alike = Counter[str]()
        self._picker = Picker(given.seed)
        self._frame = frame_of(given.presets)
        self._is_plain_frame = "{" not in self._frame.replace(PLACEHOLDER, "")
        self._has_variants = len(given.models) > 1 or given.times > 1

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
            except CommonError:
                raise
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
        """Notes on what looks like a variable and is sent as it stands, and on rows that save elsewhere."""
        verbatim = [
            f"{{{shorten(name, _NAME_LENGTH)}}} on line {line} is sent as it is: nothing declares it"
            for name, line in list(self._verbatim.items())[:_MOST_NOTES]
        ]
        # A batch file may come from somebody else, and the table has no room for the names.
        outside = [
            f"line {line} saves outside the current folder: {shorten(output, 2 * _NAME_LENGTH)}"
            for output, line in list(self._outside.items())[:_MOST_NOTES]
        ]
        more = len(self._outside) - len(outside)
        return (*verbatim, *outside, *([f"and {more:,} more outside the current folder"] if more else []))

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
            long = name.lower().replace("_", "-").replace(" ", "-")
            refusal = self._rows.refusal(long)
            if long in self._known:
                if long in options:
                    both = f"{shorten(options[long], _NAME_LENGTH)} and {shorten(column, _NAME_LENGTH)}"
                    self._faults.add(line, f"{both} are the same option.")
                options[long] = column
            elif refusal:
                self._faults.add_error(line, refusal)
            else:
                variables[name] = column
                self._columns.setdefault(name, line)
        prompt, row_id, output = (options.pop(name, None) for name in (PROMPT, _ID, _OUTPUT))
        has_variants = _MODEL in options or _COUNT in options
        return _Layout(prompt, row_id, output, tuple(options.items()), tuple(variables.items()), has_variants)

    def _of_row(self, row: BatchRow, layout: _Layout) -> Sequence[BatchTask]:
        """Return a row's tasks. Raises `ImgcliError` (usage)."""
        line, values = row
        given = self._given
        prompt = values[layout.prompt] if layout.prompt else given.prompt
        output = values[layout.output] if layout.output else given.output
        row_id = self._id(values[layout.id], line) if layout.id else None
        cells = {name: values[column] for name, column in layout.options} if layout.options else _NO_CELLS
        if prompt is None:
            raise _no_prompt(row)
        if not isinstance(prompt, str) or not (output is None or isinstance(output, str)):
            name, value = (_OUTPUT, output) if isinstance(prompt, str) else (PROMPT, prompt)
            raise usage_error(f"{name} must be text, not {_shown(value)}.")
        if "{" in prompt:
            self._note(prompt, line)
        if layout.output and output and (output[0] in "/~" or ".." in output):
            self._outside.setdefault(output, line)
        is_plain = "{" not in prompt and self._is_plain_frame and (output is None or "{" not in output)
        if is_plain and not layout.has_variants and not self._has_variants:
            return (self._task(line, row_id, self._framed(prompt, output), cells),)
        made = [self._framed(prompt, output)]
        if self._names and not is_plain:
            made = self._expanded(row, layout, row_id, prompt, output)
        return self._variants(line, row_id, made, cells)

    def _framed(self, prompt: str, output: str | None) -> Expansion:
        """Return a prompt within the presets that are in use."""
        if self._frame == PLACEHOLDER:
            return Expansion(prompt, output)
        framed = self._frame.replace(PLACEHOLDER, prompt)
        return Expansion(framed, output, None if framed == prompt else prompt)

    def _variants(
        self, line: int, row_id: str | None, made: Sequence[Expansion], cells: dict[str, Any]
    ) -> Sequence[BatchTask]:
        """Return the tasks of a row's expansions: each for every model, as often as it is asked for.

        Where they are several, ids and `{n}` in output names get a number. Raises `ImgcliError` (usage).
        """
        models = self._convert(_MODEL, cells, self._given.models)
        count = self._convert(_COUNT, cells, self._given.times)
        check_between(_COUNT, count, 1, _MOST_VARIANTS)
        own = {name: value for name, value in cells.items() if name not in (_MODEL, _COUNT)}
        if self._given.is_single_request:
            own[_COUNT], count = count, 1
        each = [{**own, _MODEL: model} for model in models] if models else [own]
        if len(made) * len(each) * count == 1:
            return (self._task(line, row_id, made[0], each[0]),)
        tasks = list[BatchTask]()
        for one, options in product(made, [options for options in each for _ in range(count)]):
            number = len(tasks) + 1
            name = f"{row_id}-{number}" if row_id else None
            image = one._replace(output=one.output and one.output.replace("{n}", str(number)))
            tasks.append(self._task(line, name, image, options))
        return tasks

    def _convert(self, name: str, cells: Mapping[str, Any], default: Any) -> Any:  # noqa: ANN401 - any option's
        return self._rows.convert(name, cells[name]) if name in cells else default

    def _id(self, value: object, line: int) -> str:
        """Return a row's id. Raises `ImgcliError` (usage) for one that another row has."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise usage_error(f"id must be text, not {_shown(value)}.")
        name = str(value).strip()
        first = self._ids.setdefault(name, line)
        if first != line:
            raise usage_error(f"The id {shorten(name, _NAME_LENGTH)} is already that of line {first}.")
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
        name = self._template(output, reserved) if output else None
        image = ImageTemplate.framed(self._template(prompt, ()), name, self._frame, self._names)
        self._check_fields(output, variables, reserved)
        for template, what in ((image.prompt, "prompt"), (name, "output")):
            for used in (*template.products, *template.choices) if template else ():
                if used not in variables:
                    raise usage_error(f"The {what} uses {{{used}}}, and the row has no {used}.")
                self._used.add(used)
        return list(expand(image, variables, self._picker, self._position, slug))

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

    def _task(self, line: int, row_id: str | None, image: Expansion, cells: dict[str, Any]) -> BatchTask:
        """Return a task. Raises `ImgcliError` (usage)."""
        prompt, output, typed = image
        kinds = self.kinds
        if cells or output is not self._given.output:
            kind = kinds.number(cells, output)
        elif (kind := self._bare_kind) < 0:
            kind = self._bare_kind = kinds.number(cells, output)
        if len(prompt) > LONG_PROMPT or not prompt.isprintable() or not prompt or prompt.isspace():
            kinds.check_prompt(prompt, kind)
        digest = kinds.digests[kind]
        equal = self._equal.get(digest)
        if equal is None:
            equal = self._equal[digest] = {}
        occurrence = equal[prompt] = equal.get(prompt, 0) + 1
        key = sha256(f"{digest}\0{prompt}\0{occurrence}".encode()).hexdigest()[:_KEY_LENGTH]
        return BatchTask(key, line, row_id, prompt, kinds.path(output) if output else output, kind, typed)


def _no_prompt(row: BatchRow) -> ImgcliError:
    """Return the error for a row without a prompt, with the column that was probably meant to be one."""
    for column in row.cells:
        if similar_names(normal_name(column), [PROMPT]):
            shown = shorten(column, _NAME_LENGTH)
            return usage_error(f"The row has no prompt, but it has {shown}.", did_you_mean([PROMPT]))
    advice = f'Add it, or give all rows one: {option("prompt")} "a {{column}}"'
    return usage_error("The row has no prompt.", advice)


def _values(name: str, value: object) -> tuple[str, ...]:
    """Return the values of a row's variable. Raises `ImgcliError` (usage)."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise usage_error(
            f"{shorten(name, _NAME_LENGTH)} must be text or a list of texts, not {_shown(value)}."
        )
    return tuple(one.strip() if isinstance(one, str) else json.dumps(one) for one in values)


def _shown(value: object) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), _NAME_LENGTH)

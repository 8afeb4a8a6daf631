"""Preview of a batch: what would be sent and cost, as a table, JSON lines or an estimate."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imgcli.app.batch.task_bounds import TaskBounds
from imgcli.app.context import size_of
from imgcli.app.money import budget
from imgcli.core.batch_result import TaskStatus
from imgcli.core.billing.bill import dollars
from imgcli.core.billing.bound import Bound, image_model_name
from imgcli.core.billing.budget import Estimate, estimate, estimate_line
from imgcli.core.errors import ImgcliError
from imgcli.core.messages import preset_words
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.output.json import to_json
from imgcli.output.tables.plan import PlannedImage, plan_lines
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgcli.app.batch.batch_plan import BatchPlan, BatchTask
    from imgcli.app.context import Context
    from imgcli.core.batch_result import TaskOutcome
    from imgcli.core.billing.budget import PastRun
    from imgcli.core.request import ImageRequest


NEW, DONE, UNKNOWN, SUBMITTED = "new", "done", "unknown", "submitted"
_STATUSES = {
    TaskStatus.SAVED: DONE,
    TaskStatus.FAILED_FREE: NEW,
    TaskStatus.FAILED_CHARGED: UNKNOWN,
    TaskStatus.UNKNOWN: UNKNOWN,
    TaskStatus.SUBMITTED: SUBMITTED,
}
_SHOWN, _INTRODUCED = 20, 5
_PIPE = 120  # columns where no terminal says how many it has
_NAME_LENGTH = 60


class BatchPreview:
    """A plan beside what is known of its tasks from earlier runs.

    With `retry_unknown`, tasks whose outcome is unknown are new.
    """

    def __init__(
        self,
        context: Context,
        plan: BatchPlan,
        outcomes: Mapping[str, TaskOutcome],
        *,
        retry_unknown: bool = False,
    ) -> None:
        self._context, self._plan, self._models = context, plan, context.models
        again = {UNKNOWN: NEW} if retry_unknown else {}
        found = {key: _STATUSES[outcome.status] for key, outcome in outcomes.items()}
        self._statuses = {key: again.get(status, status) for key, status in found.items()}
        self._bounds = TaskBounds(context, plan, self._models)
        self._new = [task for task in plan.tasks if self.status(task) == NEW]

    @property
    def has_price(self) -> bool:
        """Whether it is known what the new tasks cost at most, and that is something."""
        return not self._plan.kinds[0].server.is_free and self._total_bound() is not None

    def status(self, task: BatchTask) -> str:
        """Return `new` for a task that would be sent, else why it would not."""
        return self._statuses.get(task.key, NEW)

    def write_table(self) -> None:
        """Print the table with its totals on standard output."""
        columns = size_of(self._context.stdout).columns if self._context.stdout.isatty() else _PIPE
        SafeWriter(self._context.stdout).lines(self._table(_SHOWN, columns))

    def print_plan(self) -> None:
        """Print the first rows of the table, and its totals, on standard error: what is sent now."""
        columns = self._context.size().columns if self._context.stderr.isatty() else _PIPE
        self._context.write_lines([*self._table(_INTRODUCED, columns), ""])

    def _table(self, most: int, columns: int) -> list[str]:
        plan = self._plan
        tasks = plan.tasks if len(plan.tasks) <= most else (self._new or plan.tasks)[:most]
        common, hidden = self._common()
        if not any(task.id for task in tasks):
            hidden |= {"id"}
        lines = plan_lines([self._row(task) for task in tasks], columns, frozenset(hidden))
        rest = len(plan.tasks) - len(tasks)
        more = [f"... and {rest:,} more"] if rest else []
        return [*lines, *more, "", *self._totals(common)]

    def write_json(self) -> None:
        """Print one JSON object a task on standard output."""
        for task in self._plan.tasks:
            self._context.stdout.write(to_json(self._json(task)) + "\n")

    def write_estimate(self) -> None:
        """Print the range of what the new tasks may cost on standard error."""
        found, count = self._estimate(), len(self._new)
        if not count:
            return
        bound = self._total_bound()
        line = estimate_line(found, bound).removeprefix("estimate: ")
        free = "; a demo is free" if self._plan.kinds[0].server.demo else ""
        self._context.write_lines([f"estimate for {_images(count)}: {line}{free}"])

    def _common(self) -> tuple[list[str], set[str]]:
        """Return what all images have in common in words, and the columns that need not be shown for it."""
        kinds = [self._facts(request) for request in self._plan.requests]
        words, hidden = list[str](), set[str]()
        for index, name in enumerate(("model", "size", "quality")):
            values = {facts[index] for facts in kinds}
            if len(values) == 1 and len(self._plan.tasks) > 1:
                (value,) = values
                hidden.add(name)
                words.append(f"{shorten(value, _NAME_LENGTH)}{' quality' * (name == 'quality')}")
        presets = self._plan.requests[0].presets
        return [*words, *([preset_words(presets)] if presets else [])], hidden

    def _facts(self, request: ImageRequest) -> tuple[str, str, str]:
        return request.model, request.size or "auto", request.quality or "default"

    def _row(self, task: BatchTask) -> PlannedImage:
        bound, facts = self._bounds.of(task), self._facts(self._plan.requests[task.kind])
        price = dollars(bound.dollars) if bound else "unknown"
        return PlannedImage(
            str(task.line), task.id or "", task.typed_prompt or task.prompt, *facts, price, self.status(task)
        )

    def _totals(self, common: Sequence[str]) -> Iterator[str]:
        """Yield the sentences below the table."""
        counts = Counter(map(self.status, self._plan.tasks))
        words = [f"{counts[NEW]:,} to send"]
        words += [f"{counts[DONE]:,} done"] if counts[DONE] else []
        words += [f"{counts[SUBMITTED]:,} submitted"] if counts[SUBMITTED] else []
        if counts[UNKNOWN]:
            words.append(
                f"{counts[UNKNOWN]:,} of unknown outcome (sent again only with {option('retry-unknown')})"
            )
        how = f" ({', '.join(common)})" if common else ""
        yield f"{self._count_words()}{how}: {', '.join(words)}."
        bound = self._total_bound()
        if not self._new:
            return
        if self._plan.kinds[0].server.is_free:
            yield "Free." if bound is None else f"Free; at OpenAI at most {dollars(bound.dollars)}."
        elif bound is None:
            yield "The maximum cost is unknown."
        else:
            yield f"At most {dollars(bound.dollars)}, by prices and tables as of {bound.dated}."
            cap = self._plan.kinds[0].budget.run
            if cap and bound.dollars > cap.amount:
                yield f"{option(cap.option)} allows {dollars(cap.amount)}: the batch may stop before its end."

    def _count_words(self) -> str:
        """Format how many images there are, and in how many requests where one brings several."""
        requests = self._plan.requests
        images = sum(requests[task.kind].count or 1 for task in self._plan.tasks)
        count = len(self._plan.tasks)
        if images == count:
            return _images(count)
        return f"{_images(images)} in {'1 request' if count == 1 else f'{count:,} requests'}"

    def _total_bound(self) -> Bound | None:
        """Return the sum of what the new tasks cost at most, None where any is unknown."""
        bounds = [self._bounds.of(task) for task in self._new]
        known = [bound for bound in bounds if bound]
        if not known or len(known) < len(bounds):
            return None
        total = sum((bound.dollars for bound in known), Decimal(0))
        return replace(known[0], dollars=total, as_of=min(bound.as_of for bound in known))

    def _estimate(self) -> Estimate:
        """Return the sum of the estimates of all new tasks."""
        lengths = Counter((task.kind, len(task.prompt.encode())) for task in self._new)
        sample = {(task.kind, len(task.prompt.encode())): task for task in self._new}
        past: dict[int, list[PastRun]] = {}
        low, high, bases = Decimal(0), Decimal(0), dict[str, None]()
        is_known = True
        for key, count in lengths.items():
            request = self._plan.request(sample[key])
            if key[0] not in past:
                past[key[0]] = self._past(key[0], request)
            one = estimate(request, self._models, past[key[0]], len(request.references))
            low += (one.low or 0) * count
            high += (one.high or 0) * count
            is_known = is_known and one.high is not None
            bases[one.basis] = None
        first, *others = bases or {"": None}
        basis = f"{first}; and others" if others else first
        return Estimate(low or None, high if is_known else None, basis)

    def _past(self, kind: int, request: ImageRequest) -> list[PastRun]:
        with suppress(ImgcliError):  # an estimate does without a history that cannot be read
            host = self._plan.kinds[kind].server.host(self._context.env)
            return budget.past_runs(self._context, request, host)
        return []

    def _json(self, task: BatchTask) -> dict[str, Any]:
        request, bound = self._plan.requests[task.kind], self._bounds.of(task)
        images = [one.path or one.url for one in request.references]
        return {
            "line": task.line,
            "id": task.id,
            "task": task.key,
            "status": self.status(task),
            "prompt": task.prompt,
            "typed_prompt": task.typed_prompt,
            "presets": request.presets,
            "output": task.output,
            "api": request.api,
            "model": request.model,
            "image_model": image_model_name(request, self._models),
            "size": request.size,
            "quality": request.quality,
            "format": request.format,
            "images": images,
            "mask": request.mask.path if request.mask else None,
            "markup": request.markup.path if request.markup else None,
            "max_cost_usd": float(bound.dollars) if bound else None,
        }


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"

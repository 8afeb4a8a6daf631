"""The variants of one command: run together, shown together, with one bill and one exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from imgcli.app import desktop
from imgcli.app.artifacts import unfinished_notices
from imgcli.app.job_pool import JobPool, JobResult, Task
from imgcli.app.options import OutputFormat
from imgcli.app.process import Stop
from imgcli.app.reporting import Reporter, group_status, output_status
from imgcli.core.errors import most_severe
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import NameFields, OutputTarget, current_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.app.job import Job
    from imgcli.core.errors import ExitCode


def run_group(context: Context, jobs: Sequence[Job], limit: int) -> ExitCode:
    """Run prepared jobs, at most `limit` at a time, and return one exit code for all of them."""
    results: list[JobResult] = []
    options = jobs[0].options
    _number(context, jobs)
    tasks = iter([Task(job.id, partial(_prepared, job)) for job in jobs])
    if options.display.format is OutputFormat.PEOPLE:
        context.warn(unfinished_notices(context))
    with Reporter(context, options, jobs[0].models).sinks(_tiles(jobs)) as sinks:
        pool = JobPool(sinks, limit, Stop())

        def next_task() -> Task | None:
            is_in_vain = pool.outcome.broken and not options.output.save  # paid for, and seen by nobody
            return None if is_in_vain else next(tasks, None)

        pool.run(next_task, results.append)
    context.write_lines(pool.deferred())
    is_free = all(job.artifacts.is_free for job in jobs)
    if options.display.notifies:
        desktop.notify(context, [result.outcome for result in results])
    written = output_status(context, pool.outcome, jobs[0].id, is_free=is_free)
    whole = [path for job in jobs for path in job.artifacts.whole]
    desktop.open_results(context, whole, options.output.desktop)
    return most_severe([group_status([result.outcome for result in results]), written])


def _prepared(job: Job) -> Job:
    return job


def _number(context: Context, jobs: Sequence[Job]) -> None:
    """Number the files of one name in the order of the jobs, from the first number that is free."""
    numbers: dict[OutputTarget, int] = {}
    for job in jobs if jobs[0].options.output.save else ():
        output, request = job.options.output, job.valid.request
        fields = NameFields(request.subject, request.model, job.id, context.now(), output.title)
        target = OutputTarget.of(output.name, fields, current_folder())
        is_replacing = output.on_exists is OnExists.REPLACE
        number = numbers.get(target) or (1 if is_replacing else target.free_number(request.format))
        numbers[target] = number + 1
        job.options = replace(job.options, output=replace(output, number=number))


def _tiles(jobs: Sequence[Job]) -> dict[str, str]:
    """Name each job after what tells it from the others: its number, its model, or both."""
    models = Counter(job.valid.request.model for job in jobs)
    seen: Counter[str] = Counter()
    names: dict[str, str] = {}
    for number, job in enumerate(jobs, 1):
        model = job.valid.request.model
        seen[model] += 1
        own = f"{model} {seen[model]}" if models[model] > 1 else model
        names[job.id] = str(number) if len(models) == 1 else own
    return names

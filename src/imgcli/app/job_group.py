"""Several variants of one command: run together, shown together, with one bill and one exit code."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from imgcli.app import desktop
from imgcli.app.job_pool import JobPool, JobResult, Task
from imgcli.app.process import Stop
from imgcli.app.reporting import Reporter, exit_status, group_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.app.job import Job
    from imgcli.core.errors import ExitCode


def run_group(context: Context, jobs: Sequence[Job], limit: int) -> ExitCode:
    """Run prepared jobs, at most `limit` at a time, and return one exit code for all of them."""
    results: list[JobResult] = []
    options = jobs[0].options
    tasks = iter([Task(job.id, lambda job=job: job) for job in jobs])  # type: ignore[misc]
    with Reporter(context, options, jobs[0].models).sinks(_tiles(jobs)) as sinks:
        pool = JobPool(sinks, limit, Stop())
        pool.run(lambda: next(tasks, None), results.append)
    context.write_lines(pool.deferred())
    is_free = all(job.artifacts.is_free for job in jobs)
    exit_status(context, pool.outcome, jobs[0].id, is_free=is_free)
    whole = [path for job in jobs for path in job.artifacts.whole]
    desktop.hand_over(context, whole, options.output.desktop)
    return group_status([result.outcome for result in results])


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

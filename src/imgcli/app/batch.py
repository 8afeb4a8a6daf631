"""Running a batch: one task after the other, each as a single image is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.app.generate import generate
from imgcli.app.reporting import refuse
from imgcli.core.errors import ExitCode, ImgcliError, most_severe, usage_error
from imgcli.core.option import option

if TYPE_CHECKING:
    from imgcli.app.batch_plan import BatchOptions, BatchPlan
    from imgcli.app.context import Context


def run_batch(context: Context, plan: BatchPlan, options: BatchOptions) -> ExitCode:
    """Send the tasks of a plan one after the other.

    Returns OK where all are saved, PARTIAL where some are, else the most severe of their exit codes.
    """
    if options.later:
        from imgcli.app.later import submit_batch

        return submit_batch(context, plan, options)
    if options.report:
        raise usage_error(f"{option('report')} does not work yet.")
    context.warn(plan.notices)
    codes = [_run(context, plan, index) for index in range(len(plan.tasks))]
    if ExitCode.OK in codes and len(set(codes)) > 1:
        return ExitCode.PARTIAL
    return most_severe(codes)


def _run(context: Context, plan: BatchPlan, index: int) -> ExitCode:
    options = plan.kinds[0]
    try:
        options = plan.options(plan.tasks[index])
        return generate(context, [options])
    except ImgcliError as error:
        return refuse(context, error.problem, options.display.format)

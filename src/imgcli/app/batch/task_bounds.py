"""The maximum cost of each task of a batch."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from imgcli.core.billing.bound import Bound, upper_bound
from imgcli.core.errors import ImgcliError

if TYPE_CHECKING:
    from imgcli.app.batch.batch_plan import BatchPlan, BatchTask
    from imgcli.app.context import Context
    from imgcli.core.catalog import Catalog


class TaskBounds:
    """Upper bounds of a plan's tasks; those of one kind with prompts of one length have the same."""

    def __init__(self, context: Context, plan: BatchPlan, models: Catalog) -> None:
        self._plan, self._models = plan, models
        self._hosts = [kind.server.host(context.env) for kind in plan.kinds]
        self._found: dict[tuple[int, int], Bound | None] = {}

    def of(self, task: BatchTask) -> Bound | None:
        """Return the most that a task costs, None where that is unknown."""
        key = task.kind, len(task.prompt.encode())
        if key not in self._found:
            self._found[key] = None
            with suppress(ImgcliError):
                request = self._plan.request(task)
                self._found[key] = upper_bound(request, self._models, None, self._hosts[task.kind])
        return self._found[key]

"""The user's money before a run: the estimate that is told, and the limits that are kept to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.core.caps import Cap, Spent, check_day, check_run, read_cap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.cli.order import Order
    from imgcli.cli.world import World
    from imgcli.core.catalog import Catalog
    from imgcli.core.estimate import PastRun
    from imgcli.core.request import ImageRequest

MAX_COST = "--max-cost"
DAILY_CAP = "--daily-cap"


@dataclass(frozen=True)
class Budget:
    """What somebody wants to know and to limit; None means no limit."""

    estimate: bool = False
    run: Cap | None = None
    day: Cap | None = None


def budget(max_cost: str | None, daily_cap: str | None, *, estimate: bool) -> Budget:
    """Read the limits. Raises `ImgcliError` (usage)."""
    return Budget(estimate, read_cap(MAX_COST, max_cost), read_cap(DAILY_CAP, daily_cap))


def past_runs(world: World, request: ImageRequest) -> Sequence[PastRun]:  # noqa: ARG001 - what the history needs
    """Give this user's earlier runs alike: same API, models, size, quality and format.

    This is where the history is asked, once there is one; without one nobody has earlier runs.
    """
    return ()


def spent_today(world: World) -> Spent:  # noqa: ARG001 - see above
    """Give what this user spent since midnight; here, too, the history is asked."""
    return Spent()


def watch(world: World, order: Order, request: ImageRequest, models: Catalog) -> None:
    """Tell the estimate where it is wanted, and refuse what is beyond a limit: raises `ImgcliError` (usage).

    A demo costs nothing, so that nothing limits it.
    """
    wanted = order.budget
    limits = None if order.endpoint.demo else wanted.run or wanted.day
    if not wanted.estimate and limits is None:
        return
    from imgcli.core.estimate import estimate, estimate_line

    found = estimate(request, models, past_runs(world, request))
    if wanted.estimate:
        remark = "; a demo is free" if order.endpoint.demo else ""
        world.stderr.write(f"{estimate_line(found)}{remark}\n")
        world.stderr.flush()
    if limits and wanted.run:
        check_run(found, wanted.run)
    if limits and wanted.day:
        check_day(found, spent_today(world), wanted.day)

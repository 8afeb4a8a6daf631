"""The budget of a batch: what its tasks have cost, and what running ones may still cost."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import dollars
from imgcli.core.option import option

if TYPE_CHECKING:
    from imgcli.core.billing.budget import Cap


_NOTHING = Decimal(0)


class BatchBudget:
    """The limit of a whole batch, over all its runs. Threads may share it.

    `spent` is what earlier runs have cost. A task reserves its bound before it is sent, so that the limit
    holds whatever the tasks on their way turn out to cost.
    """

    def __init__(self, cap: Cap | None, spent: Decimal = _NOTHING) -> None:
        self._cap = cap
        self._spent = self._earlier = spent
        self._reserved: dict[str, Decimal] = {}
        self._lock = threading.Lock()

    def reserve(self, task: str, bound: Decimal | None) -> bool:
        """Reserve what a task may cost; False where the limit has no room for it now.

        While others are on their way, there may be room later: what they turn out not to cost. A task
        without a known bound fits only where there is no limit.
        """
        with self._lock:
            others = sum((amount for key, amount in self._reserved.items() if key != task), _NOTHING)
            if self._cap and (bound is None or self._spent + others + bound > self._cap.amount):
                return False
            self._reserved[task] = bound or _NOTHING
            return True

    def settle(self, task: str, cost: Decimal | None) -> None:
        """Let what a task has cost count in place of its bound, which stays where that is unknown."""
        with self._lock:
            bound = self._reserved.pop(task, _NOTHING)
            self._spent += bound if cost is None else cost

    @property
    def spent(self) -> Decimal:
        """What was spent in all runs; a task of unknown cost counts at its bound."""
        with self._lock:
            return self._spent

    @property
    def spent_now(self) -> Decimal:
        """What was spent in this run, likewise."""
        with self._lock:
            return self._spent - self._earlier

    @property
    def reserved(self) -> Decimal:
        """What the tasks on their way may cost."""
        with self._lock:
            return sum(self._reserved.values(), _NOTHING)

    @property
    def is_idle(self) -> bool:
        """Whether no task is on its way, so that a task without room now will not get any."""
        with self._lock:
            return not self._reserved

    def refusal(self, bound: Decimal | None) -> str:
        """Format why a task of this bound is not sent."""
        if self._cap is None:
            return ""
        limit = f"{option(self._cap.option)} allows {dollars(self._cap.amount)} for the whole batch"
        if bound is None:
            return f"The maximum cost of the next image is unknown; {limit}."
        so_far = f"The batch has cost up to {dollars(self.spent)} so far"
        return f"{so_far}, and the next image may cost up to {dollars(bound)}; {limit}."

"""The daily cap: what today has cost so far, and what a run reserves of it before it is sent."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.api.auth import server_host
from imgcli.app import lookup
from imgcli.core.billing.bound import Conversation, conversation_before, upper_bound
from imgcli.core.billing.budget import OFF, Cap, Spent, check_day
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.store.history.costs import OpenRun
from imgcli.store.history.recorder import PendingRows
from imgcli.store.history.repository import HistoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bound import Bound
    from imgcli.core.catalog import Catalog
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest
    from imgcli.store.history.costs import Day
    from imgcli.store.history.repository import FindAnswer, History


_HURRY = 0.1
"""Seconds for which giving a reservation back may take: what stays reserved ends with the day."""


def check(world: Context, order: GenerateOptions, decision: ValidRequest, models: Catalog) -> ValidRequest:
    """Bar or refuse what would bring today above the daily cap; raises `ImgcliError`. Reserves nothing."""
    claim = _Claim.of(world, order, decision, models)
    if claim:
        with _refusing(claim), lookup.books(world, world.reservation_wait) as history:
            history.day(_midnight(world), claim.on(history))
    return claim.decision if claim else decision


@contextmanager
def held(
    world: Context, order: GenerateOptions, decision: ValidRequest, desk: RunArtifacts, models: Catalog
) -> Iterator[ValidRequest]:
    """Reserve what a run may cost, as long as the daily cap has room for it, before anything is sent.

    Raises `ImgcliError`: usage where there is no room, unwritable where the history does not take it. What
    was not sent in the end is given back.
    """
    claim = _Claim.of(world, order, decision, models, desk.job)
    if claim is None:
        yield decision
        return
    try:
        with _refusing(claim), lookup.books(world, world.reservation_wait) as history:
            PendingRows(world.env).deliver(history)
            history.reserve(desk.job, (_midnight(world), world.now()), claim.on(history))
        yield claim.decision
    finally:
        if claim.is_granted and not desk.has_asked:
            with suppress(OSError), lookup.books(world, _HURRY) as history:
                history.release(desk.job)


@contextmanager
def _refusing(claim: _Claim) -> Iterator[None]:
    """Refuse a run that cannot be reserved, while it is free."""
    try:
        yield
    except OSError as error:
        why = error if isinstance(error, HistoryError) else f"there is no folder for it ({error.strerror})"
        what = f"{claim.cap.option} needs the history, which cannot be used: {why}."
        advice = f"Mend that, or remove the limit for one run: {claim.cap.option} {OFF}."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, Charged.NO, advice)) from None


@dataclass
class _Claim:
    """One run's claim on the day. `is_granted` is set when the day has room for it."""

    world: Context
    cap: Cap
    place: str | None
    models: Catalog
    decision: ValidRequest
    job: str | None = None
    is_granted: bool = field(default=False, init=False)

    @classmethod
    def of(
        cls,
        world: Context,
        order: GenerateOptions,
        decision: ValidRequest,
        models: Catalog,
        job: str | None = None,
    ) -> _Claim | None:
        """Make the claim; None where no daily cap holds."""
        cap = None if order.endpoint.is_free else order.budget.day
        if cap is None:
            return None
        return cls(world, cap, server_host(world.env, order.endpoint.base_url), models, decision, job)

    def on(self, history: History) -> Callable[[Day, FindAnswer], Decimal]:
        """Make what looks at a day and says how much of it the run needs; it raises `ImgcliError`."""

        def amount(day: Day, find: FindAnswer) -> Decimal:
            aside = next(iter(history.aside_since(_midnight(self.world))), None)
            spent = replace(self._spent(day, find), aside=aside)
            needed = self._checked(self.decision.request, spent, find)
            if self.decision.fallback and not self.decision.fallback_blocked:
                try:
                    needed = max(needed, self._checked(self.decision.fallback, spent, find))
                except ImgcliError as beyond:
                    self.decision = replace(self.decision, fallback_blocked=beyond.problem)
            self.is_granted = True
            return needed

        return amount

    def _checked(self, request: ImageRequest, spent: Spent, find: FindAnswer) -> Decimal:
        found = self._bound(request, self.place, find)
        check_day(found, spent, self.cap)
        return found.dollars

    def _bound(self, request: ImageRequest, asked: str | None, find: FindAnswer) -> Bound:
        before: Conversation | None = conversation_before(request, find)
        return upper_bound(request, self.models, before, asked)

    def _spent(self, day: Day, find: FindAnswer) -> Spent:
        """Add up the day; a run whose cost is not known counts at its bound."""
        amounts = [self._most(run, find) for run in (*day.open, *self._unremembered(day))]
        known = [amount for amount in amounts if amount is not None]
        return Spent(day.known, sum(known, Decimal(0)), len(known), len(amounts) - len(known))

    def _unremembered(self, day: Day) -> Iterator[OpenRun]:
        """Return today's runs that reserved nothing and that the history does not know."""
        from imgcli.app.unfinished_run import charged_since, recorded_place

        for record in charged_since(self.world, _midnight(self.world)):
            if record.job not in day.jobs and record.job != self.job:
                request = record.run.header.request if record.run.header else None
                yield OpenRun(record.job, Decimal(0), None, request, recorded_place(record))

    def _most(self, run: OpenRun, find: FindAnswer) -> Decimal | None:
        """Say what a run costs at most: what it reserved, else its request's bound; None for unknown."""
        if run.reserved is not None:
            return max(run.known, run.reserved)
        with suppress(ImgcliError):
            if run.request:
                return max(run.known, self._bound(run.request, run.endpoint, find).dollars)
        return None


def _midnight(world: Context) -> datetime:
    return datetime.combine(world.now().date(), time.min).astimezone()

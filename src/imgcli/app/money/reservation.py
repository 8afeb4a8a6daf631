"""The daily cap: what today has cost so far, and what a run reserves before it is sent."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import field, replace
from datetime import datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.app import lookup
from imgcli.core.billing.bound import Conversation, conversation_before, upper_bound
from imgcli.core.billing.budget import OFF, Cap, Spent, check_day
from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.option import option
from imgcli.dataclass import dataclass
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
    from imgcli.store.history.costs import DayCosts
    from imgcli.store.history.repository import FindAnswer, History


_HURRY = 0.1
"""Seconds for which giving a reservation back may take: what stays reserved ends with the day."""


def check(context: Context, options: GenerateOptions, valid: ValidRequest, models: Catalog) -> ValidRequest:
    """Block or refuse what would bring today above the daily cap; raises `ImgcliError`. Reserves nothing."""
    claim = _Claim.of(context, options, valid, models)
    if claim:
        with _refusing(claim), lookup.connect_history(context, context.reservation_wait) as history:
            history.day(_midnight(context), claim.on(history))
    return claim.valid if claim else valid


@contextmanager
def held(
    context: Context, options: GenerateOptions, valid: ValidRequest, artifacts: RunArtifacts, models: Catalog
) -> Iterator[ValidRequest]:
    """Reserve what a run may cost, as long as the daily cap has room for it, before anything is sent.

    Raises `ImgcliError`: usage where there is no room, unwritable where the history does not take it. What
    was not sent in the end is given back.
    """
    claim = _Claim.of(context, options, valid, models, artifacts.job)
    if claim is None:
        yield valid
        return
    try:
        with _refusing(claim), lookup.connect_history(context, context.reservation_wait) as history:
            PendingRows(context.env).deliver(history)
            history.reserve(artifacts.job, (_midnight(context), context.now()), claim.on(history))
        yield claim.valid
    finally:
        if claim.is_granted and not artifacts.has_asked:
            with suppress(OSError), lookup.connect_history(context, _HURRY) as history:
                history.release(artifacts.job)


def reserve_batch(context: Context, options: GenerateOptions, job: str, bound: Bound) -> None:
    """Reserve what a whole batch may cost, where a daily cap holds. Raises `ImgcliError` as `held` does."""
    cap = None if options.server.is_free else options.budget.day
    if cap is None:
        return
    account = _Account(context, cap, options.server.host(context.env), context.models, job)

    def amount(day: DayCosts, find: FindAnswer) -> Decimal:
        check_day(bound, account.spent(history, day, find), cap)
        return bound.dollars

    with _refusing(account), lookup.connect_history(context, context.reservation_wait) as history:
        PendingRows(context.env).deliver(history)
        history.reserve(job, (_midnight(context), context.now()), amount)


@contextmanager
def _refusing(claim: _Account) -> Iterator[None]:
    """Raise `ImgcliError` for a history that cannot be used, while that costs nothing."""
    try:
        yield
    except OSError as error:
        why = error if isinstance(error, HistoryError) else f"there is no folder for it ({error.strerror})"
        what = f"{option(claim.cap.option)} needs the history, which cannot be used: {why}."
        advice = f"Fix that, or lift the limit for one run: {option(claim.cap.option, OFF)}."
        raise ImgcliError(
            Problem(ExitCode.UNWRITABLE, what, advice=advice, parameters=(claim.cap.option,))
        ) from None


@dataclass
class _Account:
    """What today has cost, for a cap on it; `job` is the run that asks, None for none yet."""

    context: Context
    cap: Cap
    host: str | None
    models: Catalog
    job: str | None

    def spent(self, history: History, day: DayCosts, find: FindAnswer) -> Spent:
        """Add up the day; a run whose cost is not known counts at its bound."""
        amounts = [self._most(run, find) for run in (*day.open, *self._unrecorded(day))]
        known = [amount for amount in amounts if amount is not None]
        aside = next(iter(history.aside_since(_midnight(self.context))), None)
        return Spent(day.known, sum(known, Decimal(0)), len(known), len(amounts) - len(known), aside)

    def _unrecorded(self, day: DayCosts) -> Iterator[OpenRun]:
        """Return today's runs that reserved nothing and that the history does not know."""
        from imgcli.app.unfinished_run import charged_since, recorded_server

        for record in charged_since(self.context, _midnight(self.context)):
            if record.job not in day.jobs and record.job != self.job:
                request = record.run.header.request if record.run.header else None
                yield OpenRun(record.job, Decimal(0), None, request, recorded_server(record))

    def _most(self, run: OpenRun, find: FindAnswer) -> Decimal | None:
        """Return the most that a run costs: what it reserved, else its request's bound; None for unknown."""
        if run.reserved is not None:
            return max(run.known, run.reserved)
        with suppress(ImgcliError):
            if run.request:
                return max(run.known, self._bound(run.request, run.endpoint, find).dollars)
        return None

    def _bound(self, request: ImageRequest, host: str | None, find: FindAnswer) -> Bound:
        before: Conversation | None = conversation_before(request, find)
        return upper_bound(request, self.models, before, host)


@dataclass
class _Claim(_Account):
    """What one run may cost of the day's cap. `is_granted` is set when the day has room for it."""

    valid: ValidRequest
    is_granted: bool = field(default=False, init=False)

    @classmethod
    def of(
        cls,
        context: Context,
        options: GenerateOptions,
        valid: ValidRequest,
        models: Catalog,
        job: str | None = None,
    ) -> _Claim | None:
        """Return the claim; None where no daily cap holds."""
        cap = None if options.server.is_free else options.budget.day
        if cap is None:
            return None
        return cls(context, cap, options.server.host(context.env), models, job, valid)

    def on(self, history: History) -> Callable[[DayCosts, FindAnswer], Decimal]:
        """Return what computes the amount that the run needs of a day; it raises `ImgcliError`."""

        def amount(day: DayCosts, find: FindAnswer) -> Decimal:
            spent = self.spent(history, day, find)
            needed = self._checked(self.valid.request, spent, find)
            if self.valid.fallback and not self.valid.fallback_blocked:
                try:
                    needed = max(needed, self._checked(self.valid.fallback, spent, find))
                except ImgcliError as beyond:
                    self.valid = replace(self.valid, fallback_blocked=beyond.problem)
            self.is_granted = True
            return needed

        return amount

    def _checked(self, request: ImageRequest, spent: Spent, find: FindAnswer) -> Decimal:
        bound = self._bound(request, self.host, find)
        check_day(bound, spent, self.cap)
        return bound.dollars


def _midnight(context: Context) -> datetime:
    return datetime.combine(context.now().date(), time.min).astimezone()

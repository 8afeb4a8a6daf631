"""What the server remembers of earlier answers, so that a conversation can go on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from imgcli.standin.errors import invalid

REMEMBERED = 256
"""Answers that are kept; the one that was not used for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier answer: its turn, from 1; its conversation's first prompt and seed; whether it painted."""

    turn: int
    motif: str
    motif_seed: int
    painted: bool


class Memory:
    """Earlier answers by the id of their response or of their picture; threads may share it."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._past: OrderedDict[str, Past] = OrderedDict()

    def keep(self, key: str, past: Past) -> None:
        """Remember an answer under an id."""
        with self._lock:
            self._past[key] = past
            self._past.move_to_end(key)
            while len(self._past) > self._limit:
                self._past.popitem(last=False)

    def response(self, key: str) -> Past:
        """The answer that `previous_response_id` names."""
        past = self._find(key)
        if past is None:
            message = f"Previous response with id '{key}' not found."
            raise invalid("previous_response_not_found", message, "previous_response_id")
        return past

    def item(self, key: str) -> Past:
        """The answer that held the item of this id."""
        past = self._find(key)
        if past is None:
            message = (
                f"Item with id '{key}' not found. Items are not persisted when `store` is set to false. "
                "Try again with `store` set to true, or remove this item from your input."
            )
            raise invalid(None, message, "input", 404)
        return past

    def _find(self, key: str) -> Past | None:
        with self._lock:
            if key in self._past:
                self._past.move_to_end(key)
            return self._past.get(key)

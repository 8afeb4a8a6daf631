"""Signals at every moment of a run on a terminal."""

from __future__ import annotations

from faults.rows import Answer, Row, Tty

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
MOMENTS = {
    # where the stream stops: what is in the folder after the signal
    "after:created": {},
    "after:partial:0": {"a-cat.partial.png": "BLUE"},
    "40%": {"a-cat.partial.png": "BLUE"},
    "after:done": {"a-cat.png": "NOISE"},
}
EVERYDAY = (("SIGINT", "after:partial:0"), ("SIGTERM", "after:done"), ("SIGHUP", "after:partial:0"))
"""What is tried every day; all else in the slow tier."""


def stopped(signum: str, moment: str) -> Row:
    """Let a signal come while the stream stands still at a moment."""
    return Row(
        name=f"X7-{signum}-{moment}",
        promise="A signal leaves a usable terminal, and whatever had come.",
        replies=(Answer(cut=moment, end="stall"),),
        final="NOISE",
        signal=signum,
        at=moment,
        exit=signum,
        new=MOMENTS[moment],
        tty=Tty(120, 30),
    )

"""Planning kill -9 at random moments of a run, and of the recovery after it."""

from __future__ import annotations

import random

from faults.rows import Answer, Row

_PACED = Answer(
    pauses=(("after:created", 0.1), ("after:partial:0", 0.1), ("40%", 0.1), ("after:done", 0.6)), chunk=16_384
)


def killed(seed: int) -> Row:
    """Plan one kill: now and then before the request, mostly after it; sometimes recovery is killed too."""
    dice = random.Random(seed)
    early = dice.random() < 0.1
    return Row(
        name=f"X8-{seed}",
        promise="Nothing that had arrived is lost.",
        replies=(_PACED,),
        final="NOISE",
        signal="SIGKILL",
        at="start" if early else "asked",
        settle=dice.uniform(0, 1.0),
        recover_kills=tuple(dice.uniform(0, 0.4) for _ in range(3)) if seed % 5 == 0 else (),
    )

"""Playing one scenario from beginning to end, and judging it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from faults import disks
from faults.images import image
from faults.invariants import Evidence, data_is_in, violations
from faults.runner import FROM_SCRATCH, IMGCLI, Ended, Launch, SignalAt, injecting, present, wrapped
from faults.stage import staged
from terminal import PtyRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from faults.bodies import Script
    from faults.room import Tree
    from faults.rows import Row
    from faults.stage import Stage


def play(row: Row, root: Path, program: Sequence[str] = IMGCLI) -> Evidence:
    """Play a scenario and gather what it left."""
    with staged(row, root) as stage:
        before = stage.room.look()
        ended, terminal = on_terminal(stage) if row.tty else launch(stage, program)
        asked = len(stage.server.requests)
        after = stage.room.look()
        recoveries, settled, again = recovered(stage, after)
        told = stage.scripts[min(max(asked, 1), len(stage.scripts)) - 1]
        sent = _sent(row, told, stage.server.progress if asked else 0)
        by_itself = ended.exit_code not in (-signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
        others = stage.other.requests if stage.other else []
        return Evidence(
            row=row,
            inside=stage.room.inside,
            ended=ended,
            before=before,
            after=after,
            settled=settled,
            again=again,
            requests=stage.server.requests[:asked] + others,
            sent=sent,
            rough=list(told.partials),
            must_exist=sent if by_itself or stage.has_arrived else held(sent, after),
            recoveries=recoveries,
            requests_of_recovery=len(stage.server.requests) - asked,
            terminal=terminal,
        )


def _sent(row: Row, told: Script, progress: int) -> list[bytes]:
    """List the images that the client was sent in full."""
    return [image(spec) for spec in row.sent] if row.sent is not None else told.sent(progress)


def held(sent: list[bytes], tree: Tree) -> list[bytes]:
    """List the images that had arrived: those that the disk holds, as files or in a run's record."""
    entries = list(tree.values())
    return [data for data in sent if any(e.data == data or data_is_in(data, e.data) for e in entries)]


def launch(stage: Stage, program: Sequence[str]) -> tuple[Ended, None]:
    """Run the client as a script would."""
    row = stage.row
    if row.at == "start" and program == IMGCLI:
        program = FROM_SCRATCH
    command = wrapped([*program, *stage.args], row, stage.fill(row.redirect))
    here = stage.room.inside / "here"
    out = stage.room.inside.parent / "streams"
    out.mkdir(exist_ok=True)
    run = Launch(
        [*stage.enter, str(here), *command] if stage.enter else command,
        stage.env,
        here,
        out,
        None if row.stdin is None else row.stdin.encode("utf-8", "surrogateescape"),
        row.gone,
        row.seconds,
    )
    if row.signal:
        sending = SignalAt(signal.Signals[row.signal], lambda: _is_there(stage), row.settle)
        going_on = SignalAt(signal.SIGCONT, lambda: sending.done and row.resume > 0, row.resume)

        def watch(pid: int) -> None:
            stage.note()
            sending(pid)
            going_on(pid)

        run.watch = watch
    return run.run(), None


def _is_there(stage: Stage) -> bool:
    """Tell whether the moment of the scenario's signal has come."""
    if stage.row.at == "start":
        return True
    if stage.row.at == "asked":
        return bool(stage.server.requests)
    return stage.server.has_read(stage.scripts[0].offset(stage.row.at))


def on_terminal(stage: Stage) -> tuple[Ended, PtyRun]:
    """Run the client as a person would."""
    tty = stage.row.tty
    assert tty is not None
    env = {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | stage.env
    here = stage.room.inside / "here"
    with PtyRun(stage.args, env, here, columns=tty.columns, rows=tty.rows) as run:
        if stage.row.signal:
            run.wait_for(lambda _: _is_there(stage))
            for _ in range(3):
                run.read(0.1)
            run.kill(signal.Signals[stage.row.signal])
        code = run.finish(stage.row.seconds)
    shown = run.text.replace("\n", "")
    for text in tty.shows:
        assert stage.fill(text) in shown, run.text
    return Ended(code, b"", b""), run


def recovered(stage: Stage, after: Tree) -> tuple[list[Ended], Tree, Tree]:
    """Recover twice where a run left anything; give what lay there after the first and the second time."""
    if not _left(after) or stage.row.command[0] != "gen":
        return [], after, after
    for delay in stage.row.recover_kills:
        recover(stage, SignalAt(signal.SIGKILL, lambda: True, delay))
    for fault in stage.row.recover_faults:
        recover(stage, before=injecting(fault))
    first, settled = recover(stage)
    if settled == after or not (_left(settled) or stage.row.signal or stage.row.strace):
        return [first], settled, settled
    second, again = recover(stage)
    return [first, second], settled, again


def _left(tree: Tree) -> list[str]:
    """List what a recovery could do something about."""
    return [name for name in tree if name.endswith((".sse", ".part", ".tmp"))]


def recover(stage: Stage, watch: SignalAt | None = None, before: Sequence[str] = ()) -> tuple[Ended, Tree]:
    """Run `imgcli recover` in a scenario's room, killed on the way or under injected faults if need be."""
    here = stage.room.inside / "here"
    out = stage.room.inside.parent / "streams"
    out.mkdir(exist_ok=True)
    command = [*before, *(FROM_SCRATCH if watch else IMGCLI), "recover"]
    command = [*stage.enter, str(here), *command] if stage.enter else command
    env = {name: value for name, value in stage.env.items() if name != "PYTHONPATH"}
    run = Launch(command, env, here, out)
    run.watch = watch or run.watch
    ended = run.run()
    return ended, stage.room.look()


def expectations(seen: Evidence) -> Iterator[str]:
    """Compare the end of a scenario with what its row says."""
    row, ended = seen.row, seen.ended
    told = (ended.stderr + (seen.terminal.raw if seen.terminal else b"")).decode("utf-8", "replace")
    if ended.exit_code != row.expected_exit:
        yield f"exit {ended.exit_code}, expected {row.exit}: {told[-1500:]}"
    posts = sum(request.method == "POST" for request in seen.requests)
    if posts != row.posts:
        yield f"{posts} POSTs, expected {row.posts}"
    yield from _files(seen)
    words = " ".join(told.split())
    yield from (f"standard error lacks {text!r}: {words[-900:]}" for text in row.says if text not in words)
    for text in row.quiet_about:
        if any(text.encode() in data for _, data in seen.outputs):
            yield f"{text!r} was shown"
    if row.stdout is not None and row.stdout.encode() not in ended.stdout:
        yield f"standard output lacks {row.stdout!r}: {ended.stdout[:300]!r}"


def _files(seen: Evidence) -> Iterator[str]:
    """Compare the current folder with what the row says of it."""
    row = seen.row
    expected = ({"a-cat.png": row.final} if row.exit == 0 else {}) if row.new is None else row.new
    found = {
        name.removeprefix("here/"): entry.data
        for name, entry in seen.after.items()
        if name.startswith("here/") and (name not in seen.before or seen.before[name] != entry)
    }
    wanted = {name: image(spec) for name, spec in expected.items()}
    if found != wanted:
        sizes = {name: len(data) for name, data in found.items()}
        yield f"new files {sizes}, expected {expected}"


def judge(row: Row, root: Path, program: Sequence[str] = IMGCLI) -> list[str]:
    """Play a scenario and say everything that is wrong about its end; skips what this machine cannot do."""
    _require(row)
    seen = play(row, root, program)
    return [*expectations(seen), *violations(seen)]


def _require(row: Row) -> None:
    """Skip a scenario whose tools are missing: never where CI is set."""
    required = {"strace": bool(row.strace), "openssl": row.server.startswith("tls")}
    for name in [name for name, wanted in required.items() if wanted]:
        if not present(name):
            pytest.skip(f"{name} is not installed")
    if (row.tmpfs or row.offline) and not disks.permitted():
        assert not os.environ.get("CI"), "namespaces are not permitted here"
        pytest.skip("namespaces of our own, for tiny disks and no network, are not permitted here")

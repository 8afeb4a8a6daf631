"""What holds after every scenario, whatever was done to the client."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faults.room import CANARY_KEY, CANARY_PASSWORD, Tree, is_image, is_rough, is_temporary
from imgcli.core.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.rows import Row
    from faults.runner import Ended
    from terminal import PtyRun
    from wire import Request

MEMORY = 400.0
"""MB that no client may ever need."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT, signal.SIGKILL)
_NOTHING_SENT = {ExitCode.USAGE, ExitCode.UNWRITABLE}
_CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]")
_FOREIGN = re.compile(rb"\x1b\](?:0|1|2|8|52);|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]")
_TROUBLE = ("Traceback", "Exception ignored", "ResourceWarning")


@dataclass
class Evidence:
    """Everything that one scenario left behind.

    `after` is what lay there when the client had ended, `settled` and `again` after one and two recoveries;
    all three are the same where nothing was left to recover. `must_exist` are the images that the promise
    covers, `sent` those that the server sent in full, `rough` the previews.
    """

    row: Row
    inside: Path
    ended: Ended
    before: Tree
    after: Tree
    settled: Tree
    again: Tree
    requests: list[Request]
    sent: list[bytes]
    rough: list[bytes]
    must_exist: list[bytes]
    recoveries: list[Ended] = field(default_factory=list)
    requests_of_recovery: int = 0
    terminal: PtyRun | None = None

    @property
    def outputs(self) -> Iterator[tuple[str, bytes]]:
        """Everything that a client wrote to its streams."""
        for ended in (self.ended, *self.recoveries):
            yield "standard output", ended.stdout
            yield "standard error", ended.stderr
        yield "the terminal", self.terminal.raw if self.terminal else b""


def violations(evidence: Evidence) -> list[str]:
    """Check everything; a sentence for each invariant that does not hold."""
    return [f"{check.__name__}: {said}" for check in INVARIANTS for said in check(evidence)]


def images_are_whole(seen: Evidence) -> Iterator[str]:
    """No file under a final name that is not byte-identical to an image the server sent in full."""
    for tree in (seen.after, seen.settled):
        for name, entry in tree.items():
            if name in seen.before or entry.link:
                continue
            if is_rough(name) and entry.data not in seen.rough:
                yield f"{name} is none of the previews"
            if is_image(name) and entry.data not in seen.sent:
                yield f"{name} is none of the images that were sent in full"


def nothing_is_lost(seen: Evidence) -> Iterator[str]:
    """What was sent and read in full exists exactly once after `imgcli recover`."""
    copies = Counter(entry.data for name, entry in seen.settled.items() if not name.endswith(".sse"))
    for data in seen.must_exist:
        found = copies[data] + (seen.ended.stdout == data)
        if not seen.row.copies <= found <= max(seen.row.copies, seen.row.most_copies):
            yield f"{found} copies of an image of {len(data)} bytes, not {seen.row.copies}"


def data_is_in(data: bytes, record: bytes) -> bool:
    """Tell whether a record of a run holds an image in full."""
    import base64

    return base64.b64encode(data) in record


def sent_once(seen: Evidence) -> Iterator[str]:
    """One request at most, counted by the server, unless the scenario is a safe retry; none by recovery."""
    posts = sum(request.method == "POST" for request in seen.requests)
    if posts > max(seen.row.posts, 1):
        yield f"{posts} POSTs"
    if seen.requests_of_recovery:
        yield "recovery asked the server"
    if posts and seen.ended.exit_code in _NOTHING_SENT:
        yield f"exit {seen.ended.exit_code} says that nothing was sent"


def files_are_kept(seen: Evidence) -> Iterator[str]:
    """Files that were there before are as they were, unless --force was given."""
    if "--force" in seen.row.args:
        return
    for name, entry in seen.before.items():
        for when, tree in (("the run", seen.after), ("recovery", seen.settled), ("another", seen.again)):
            now = tree.get(name)
            if (now is None or now.content != entry.content) and not name.startswith("home/state/"):
                yield f"{name} was changed by {when}"


def nothing_is_left(seen: Evidence) -> Iterator[str]:
    """No temporary files after recovery; recovering twice is recovering once."""
    for name in seen.settled:
        if is_temporary(name):
            yield f"{name} was left"
    if seen.settled != seen.again:
        yield f"a second recovery changed {sorted(set(seen.settled.items()) ^ set(seen.again.items()))}"
    for ended in seen.recoveries:
        if ended.exit_code not in {int(code) for code in ExitCode}:
            yield f"recovery ended with {ended.exit_code}"


def secrets_stay_secret(seen: Evidence) -> Iterator[str]:
    """The key and the proxy's password are nowhere."""
    places = [*seen.outputs, *((name, entry.data) for name, entry in seen.again.items())]
    places += [(name, entry.data) for name, entry in seen.after.items()]
    places += [("the command line", line) for line in seen.ended.cmdlines]
    for name, data in places:
        for secret in (CANARY_KEY, CANARY_PASSWORD, CANARY_KEY[3:]):
            if secret.encode() in data and name not in seen.before:
                yield f"{secret} is in {name}"
    for name, entry in seen.after.items():
        if name.startswith("home/state/") and name not in seen.before and entry.mode & 0o077:
            yield f"{name} can be read by others ({entry.mode:o})"
    if seen.row.server == "plain":
        for request in seen.requests:
            if CANARY_KEY in str(request.headers) + request.body.decode(errors="replace"):
                yield "a server on this machine was given the key"


def only_terminals_get_escapes(seen: Evidence) -> Iterator[str]:
    """No escape code where there is no terminal; a terminal is put back, and nothing foreign reaches it."""
    for name, data in seen.outputs:
        if name == "the terminal":
            continue
        if data not in seen.sent and (found := _CONTROLS.search(data)):
            yield f"{found[0]!r} in {name}"
    if seen.terminal is not None:
        yield from _put_back(seen.terminal)


def _put_back(run: PtyRun) -> Iterator[str]:
    """The cursor is shown, at the left, in default colours; title and clipboard are the user's."""
    cursor = run.screen.cursor
    if cursor.hidden:
        yield "the cursor is hidden"
    if cursor.x:
        yield f"the cursor is in column {cursor.x}"
    if (cursor.attrs.fg, cursor.attrs.bg) != ("default", "default"):
        yield "the colours are not put back"
    if found := _FOREIGN.search(run.raw):
        yield f"the terminal was sent {found[0]!r}"


def stdout_is_the_result(seen: Evidence) -> Iterator[str]:
    """Standard output is empty, or JSON lines, or a path a line, or exactly the image."""
    if seen.row.command[0] != "gen" or "--dry-run" in seen.row.args:
        return
    output = seen.ended.stdout
    if "--jsonl" in seen.row.args:
        yield from _bad_lines(output, cut=seen.ended.exit_code < 0)
    elif "-o -" in " ".join(seen.row.args):
        if output and output not in seen.sent and seen.ended.exit_code >= 0:
            yield f"standard output holds {output[:60]!r}, not the image"
    else:
        for line in output.decode("utf-8", "surrogateescape").splitlines():
            name = str(Path(line).relative_to(seen.inside)) if Path(line).is_relative_to(seen.inside) else ""
            if name not in seen.after and not Path(line).is_char_device():
                yield f"standard output holds {line!r}, which is no file"


def _bad_lines(output: bytes, *, cut: bool) -> Iterator[str]:
    lines = output.split(b"\n")
    if lines.pop() and not cut:
        yield "the last JSON line has no end"
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            yield f"{line[:60]!r} is no JSON"
        else:
            if not line.isascii() or not isinstance(told, dict):
                yield f"{line[:60]!r} is no ASCII object"


def ends_are_documented(seen: Evidence) -> Iterator[str]:
    """A documented code or a signal; no traceback; and money is spoken of after every end but success."""
    code = seen.ended.exit_code
    if code not in {*map(int, ExitCode), *(-number for number in _SIGNALS)}:
        yield f"exit {code} is not documented"
    for name, data in seen.outputs:
        for word in _TROUBLE:
            if word.encode() in data:
                yield f"{word} in {name}: {data[-2000:].decode(errors='replace')}"
    untold = code < 0 and not seen.requests  # nothing was sent yet
    mute = (0, -signal.SIGPIPE, -signal.SIGKILL, -signal.SIGQUIT)
    speechless = code in mute or untold or "2>" in seen.row.redirect
    if not speechless and "stderr" not in seen.row.gone:
        told = seen.ended.stderr + (seen.terminal.raw if seen.terminal else b"")
        if b"charged" not in b" ".join(told.split()):
            yield f"nothing is said about money: {told[-300:].decode(errors='replace')}"


def within_bounds(seen: Evidence) -> Iterator[str]:
    """Memory and time have limits, and no process stays behind."""
    for ended in (seen.ended, *seen.recoveries):
        if not ended.in_time:
            yield f"still running after {ended.seconds:.0f} s"
        if ended.memory > MEMORY:
            yield f"{ended.memory:.0f} MB of memory"
        if ended.left_behind:
            yield "a process was left behind"


INVARIANTS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    images_are_whole,
    nothing_is_lost,
    sent_once,
    files_are_kept,
    nothing_is_left,
    secrets_stay_secret,
    only_terminals_get_escapes,
    stdout_is_the_result,
    ends_are_documented,
    within_bounds,
)

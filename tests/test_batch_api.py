"""OpenAI's Batch API: half price, answers within a day."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest

from beside import running, wait_for
from earlier import runs
from flatpaint import painted_flat
from images import encoded
from imgcli.api import batches
from imgcli.app.batch.batch_plan import BatchOptions, BatchPlan, BatchTask
from imgcli.app.context import Context
from imgcli.app.later.collect import collect
from imgcli.app.later.submit import submit_batch
from imgcli.app.options import (
    DisplayOptions,
    GenerateOptions,
    OutputFormat,
    OutputOptions,
    ServerOptions,
)
from imgcli.app.preview_options import PreviewOptions
from imgcli.core.catalog import load
from imgcli.core.request import DraftRequest
from imgcli.core.validate import validate
from imgcli.demo.batches_api import BatchSettings, BatchStore
from imgcli.demo.exchange import FileAnswer, JsonAnswer, invalid
from imgcli.demo.server import DemoServer
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Cli, Result
    from wire import ScriptedServer

    Demo = Callable[..., "AskedServer"]
    Prepare = Callable[[DemoServer | ScriptedServer], "Batch"]

ENDED = ("completed", "failed", "expired", "cancelled")
QUICK = BatchSettings(seconds=0.0, unsafe="forbidden")
SMALL = {"model": "gpt-image-2", "size": "816x816", "quality": "low"}


class AskedServer(DemoServer):
    """A demo server, and OpenAI's own client for it, which ends with it."""

    @cached_property
    def client(self) -> openai.OpenAI:
        """The client."""
        return openai.OpenAI(base_url=self.base_url, api_key="demo", max_retries=0)

    def close(self) -> None:
        """Close both."""
        self.client.close()
        super().close()


@pytest.fixture
def demo() -> Iterator[Callable[..., AskedServer]]:
    """Start demo servers with batches of the given settings; they stop with the test."""
    running: list[AskedServer] = []

    def start(settings: BatchSettings = QUICK, *, marked: bool = True) -> AskedServer:
        running.append(AskedServer(pace=0, seed=7, batches=settings, marked=marked))
        running[-1].start()
        return running[-1]

    with painted_flat():
        yield start
        for one in running:
            one.close()


def row(name: str, url: str = "/v1/images/generations", **body: Any) -> str:
    """One line of an input file."""
    told = {**SMALL, "prompt": "a cat", **body}
    return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": told}) + "\n"


def submitted(client: openai.OpenAI, text: str) -> Any:
    """A batch that OpenAI's client has created and seen to its end."""
    file = client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/images/generations",
        completion_window="24h",
        metadata={"who": "a test"},
    )
    wait_for(lambda: client.batches.retrieve(batch.id).status in ENDED)
    return client.batches.retrieve(batch.id)


def test_openais_client_runs_a_batch(demo: Demo) -> None:
    """OpenAI's own client can create, list and read a batch at the demo server, failed rows included."""
    client = demo().client
    batch = submitted(client, row("one") + row("two", prompt="a forbidden cat") + row("three"))
    assert ("completed", {"who": "a test"}) == (batch.status, batch.metadata)
    counts = batch.request_counts
    assert (3, 2, 1) == (counts.total, counts.completed, counts.failed)
    good = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert ["three", "one"] == [line["custom_id"] for line in good]
    assert [200, 200] == [line["response"]["status_code"] for line in good]
    assert all(line["response"]["body"]["data"][0]["b64_json"] for line in good)
    (bad,) = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert ("two", 400) == (bad["custom_id"], bad["response"]["status_code"])
    assert "moderation_blocked" == bad["response"]["body"]["error"]["code"]
    assert [batch.id] == [one.id for one in client.batches.list()]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_file"),
        ("[1]\n", "invalid_json_line"),
        (row("one") + row("one"), "duplicate_custom_id"),
        (row("one", url="/v1/responses"), "invalid_url"),
        (row("one").replace("POST", "GET"), "invalid_method"),
        (row("one") + row("two", model="gpt-image-1.5"), "mismatched_model"),
        (row("one", stream=True), "invalid_request"),
    ],
)
def test_a_bad_input_file_fails_the_batch(demo: Demo, text: str, code: str) -> None:
    """The demo server checks a batch's input as OpenAI does, and runs nothing of a bad one."""
    batch = submitted(demo().client, text)
    assert ("failed", None) == (batch.status, batch.output_file_id)
    assert code in [fault.code for fault in batch.errors.data]


CHEAP = ("-m", "gpt-image-2", "--quality", "low", "--size", "816x816")
ROWS = '{"prompt": "a cat", "id": "cat"}\n{"prompt": "a forbidden dog", "id": "dog"}\n{"prompt": "an owl"}\n'


def context_of(env: dict[str, str], stderr: StringIO, sleep: Callable[[float], None]) -> Context:
    """What a command would run in, with a clock of our own."""
    return Context(
        env=env,
        stdin=StringIO(),
        stdout=StringIO(),
        stderr=stderr,
        monotonic=time.monotonic,
        sleep=sleep,
        now=lambda: datetime.now(UTC),
        size=lambda: os.terminal_size((80, 24)),
        token=lambda: os.urandom(4).hex(),
    )


class Batch:
    """Runs `imgcli batch` at a server, with a file of three rows, the second of which is refused."""

    def __init__(self, imgcli: Cli, folder: Path, server: DemoServer | ScriptedServer) -> None:
        self.file = folder / "rows.jsonl"
        self.file.write_text(ROWS)
        self.env = {"OPENAI_BASE_URL": server.base_url}
        self._imgcli, self.server = imgcli, cast("Any", server)

    def __call__(self, *args: str, **popen: Any) -> Result:
        """Run `imgcli batch ARGS...`; keywords go to `subprocess.run`."""
        return self._imgcli("batch", *args, env=self.env, **popen)

    def submit(self, *args: str) -> Result:
        """Submit the file."""
        return self("rows.jsonl", "--later", *(args or CHEAP))

    def submitted(self, *args: str) -> str:
        """Submit the file and wait until the batch has ended; return its id."""
        done = self.submit(*args)
        assert 0 == done.exit_code, done.stderr
        client, (name,) = self.server.client, done.lines
        wait_for(lambda: client.batches.retrieve(name).status in ENDED)
        return name

    @property
    def state(self) -> list[dict[str, Any]]:
        """The lines of the state file after the first."""
        lines = self.file.with_name("rows.jsonl.imgcli.jsonl").read_text().splitlines()[1:]
        return [json.loads(line) for line in lines]

    @property
    def statuses(self) -> list[str]:
        """What the state file says of each row, newest last."""
        return [line["status"] for line in self.state]


@pytest.fixture
def batch(imgcli: Cli, folder: Path) -> Callable[[DemoServer | ScriptedServer], Batch]:
    """Prepare a batch file to be submitted to a server."""
    return lambda server: Batch(imgcli, folder, server)


def images(folder: Path) -> list[str]:
    """Name the images in a folder."""
    return sorted(path.name for path in folder.glob("*.png"))


class TestTheWay:
    """Submitted today, collected tomorrow."""

    def test_from_submitting_to_the_bill(
        self, demo: Demo, batch: Prepare, folder: Path, world: dict[str, str]
    ) -> None:
        """Rows are submitted, shown, and collected once: saved, in the history, and billed at half price."""
        server = demo(marked=False)
        mine = batch(server)
        name = mine.submitted()
        assert ["submitted"] * 3 == mine.statuses
        (listed,) = json.loads(mine("status", "--json").stdout)["batches"]
        assert (name, "completed", 2, 1, 3) == tuple(
            listed[key] for key in ("id", "status", "completed", "failed", "total")
        )
        assert name in mine("status").stdout.decode()
        (remote,) = server.client.batches.list()
        assert {"imgcli_batch": listed["key"]} == remote.metadata
        done = mine("collect", name[:12])
        assert 3 == done.exit_code, done.stderr
        assert {str(folder / "a-cat.png"), str(folder / "an-owl.png")} == set(done.lines)
        assert "line 2 (dog): The safety check refused this" in done.stderr
        assert "2 saved, 1 without an image" in done.stderr
        assert ["failed", "saved", "saved"] == sorted(mine.statuses[3:])
        known = {run.prompt: run for run in runs(world)}
        assert {"a cat": "ok", "an owl": "ok", "a forbidden dog": "refused"} == {
            prompt: run.outcome for prompt, run in known.items()
        }
        cat = known["a cat"]
        (charge,) = cat.charges
        assert charge.tokens_out
        assert charge.cost_out == Decimal(charge.tokens_out) * 30 / 1_000_000 / 2
        again = mine("collect", name)
        assert (0, []) == (again.exit_code, again.lines)
        assert "was already collected" in again.stderr
        assert ["a-cat.png", "an-owl.png"] == images(folder)
        assert 3 == len(runs(world))

    @pytest.mark.slow
    def test_text_models_and_edits(self, demo: Demo, batch: Prepare, folder: Path) -> None:
        """A file with text models, image models and edits becomes a batch for each model and endpoint."""
        server = demo()
        mine = batch(server)
        (folder / "in.png").write_bytes(_png())
        rows: list[dict[str, object]] = [
            {"prompt": "a cat", "model": "gpt-4o-mini", "image-model": "gpt-image-2"},
            {"prompt": "a bat", "model": "gpt-image-2"},
            {"prompt": "a hat", "model": "gpt-image-2", "image": "in.png", "output": "out/hat.png"},
        ]
        each = {"size": "816x816", "quality": "low"}
        mine.file.write_text("".join(json.dumps({**each, **row}) + "\n" for row in rows))
        done = mine("rows.jsonl", "--later")
        assert (0, 3) == (done.exit_code, len(done.lines)), done.stderr
        client = server.client
        wait_for(lambda: all(one.status in ENDED for one in client.batches.list()))
        counted = [(one.endpoint, one.request_counts) for one in client.batches.list()]
        ends = {path: counts.completed for path, counts in counted if counts}
        assert {f"/v1/{path}": 1 for path in ("responses", "images/generations", "images/edits")} == ends
        done = mine("collect", "--wait")
        assert (0, 3) == (done.exit_code, len(done.lines)), done.stderr
        assert "free" in done.stderr
        assert ["a-bat.png", "a-cat.png", "in.png"] == images(folder)
        assert ["hat.png"] == images(folder / "out")

    @pytest.mark.slow
    def test_the_batch_file_is_not_needed(self, demo: Demo, batch: Prepare, folder: Path) -> None:
        """What is collected on another day needs neither the batch file nor its state nor the same folder."""
        mine = batch(demo())
        name = mine.submitted(*CHEAP, "-o", "out/{slug}.png", "--embed")
        for path in folder.iterdir():
            path.unlink()
        (folder / "out").mkdir()
        (folder / "out" / "a-cat.png").touch()
        done = mine("collect", name, cwd=folder.parent)
        assert 3 == done.exit_code
        assert ["a-cat-2.png", "a-cat.png", "an-owl.png"] == images(folder / "out")
        assert "a-cat-2.png" in done.stderr
        assert b"an owl" in (folder / "out" / "an-owl.png").read_bytes()

    @pytest.mark.slow
    def test_the_state_is_found_from_elsewhere(self, demo: Demo, batch: Prepare, folder: Path) -> None:
        """The batch's own state learns what was collected, in whichever folder that happens."""
        mine = batch(demo())
        mine.submitted()
        assert 3 == mine("collect", cwd=folder.parent).exit_code
        assert ["failed", "saved", "saved"] == sorted(mine.statuses[3:])

    @pytest.mark.slow
    def test_a_record_that_cannot_be_read(self, demo: Demo, batch: Prepare, world: dict[str, str]) -> None:
        """Records of other versions, empty ones and odd ones are passed over; a torn line costs nothing."""
        mine = batch(demo())
        mine.submitted()
        (record,) = _records(world)
        head, *rest = record.read_text().splitlines()
        odd = {"a": "", "b": "{}\n", "c": head.replace(': 1, "key"', ': 9, "key"'), "d": "\0" * 99}
        for name, text in odd.items():
            record.with_name(f"{name}.jsonl").write_text(text)
        facts = json.loads(head) | {
            "total": "x",
            "state": 7,
            "bound": [1],
            "server": json.loads(head)["server"],
        }
        record.write_text("\n".join([json.dumps(facts), '{"task": 1}', *rest, '{"event": "coll']))
        assert 3 == mine("collect").exit_code
        assert '"closed"' in record.read_text()
        assert 0o600 == record.stat().st_mode & 0o777

    def test_submitted_rows_are_not_submitted_again(self, demo: Demo, batch: Prepare) -> None:
        """A second `--later` submits nothing; after collecting it submits what failed for free."""
        mine = batch(demo())
        mine.submitted()
        again = mine.submit()
        assert (0, []) == (again.exit_code, again.lines)
        assert "3 rows already submitted" in again.stderr
        assert 3 == mine("collect").exit_code
        third = mine.submit()
        assert "2 rows saved already" in third.stderr
        assert "submitted 1 row in 1 batch, free; " in third.stderr

    def test_quiet(self, demo: Demo, batch: Prepare) -> None:
        """With -q only the id is printed, and nothing where there is nothing to submit."""
        mine = batch(demo())
        first, again = mine.submit(*CHEAP, "-q", "--partials", "2"), mine.submit(*CHEAP, "-q")
        assert [(1, ""), (0, "")] == [(len(one.lines), one.stderr) for one in (first, again)]

    def test_half_of_nothing(self, demo: Demo, batch: Prepare) -> None:
        """The plan names the half price where something is to be paid for, and only there."""
        mine = batch(demo(marked=False))
        plan = ("rows.jsonl", "--later", "--dry-run", *CHEAP)
        before = mine(*plan).stderr
        mine.submit()
        assert (1, 0) == (before.count("the Batch API costs half of that"), mine(*plan).stderr.count("half"))

    def test_rows_in_a_batch_are_not_sent(self, demo: Demo, batch: Prepare) -> None:
        """A run of a batch whose rows are all submitted sends nothing, and ends as what is not ready."""
        mine = batch(demo())
        mine.submitted()
        done = mine("rows.jsonl", *CHEAP)
        assert (6, []) == (done.exit_code, done.lines), done.stderr
        assert "3 images are in batches at the server" in done.stderr

    def test_recover_points_to_it(self, demo: Demo, batch: Prepare, imgcli: Cli) -> None:
        """`imgcli recover --list` names the batches that wait to be collected."""
        mine = batch(demo())
        name = mine.submitted()
        told = imgcli("recover", "--list").stderr
        assert f"batch {name} (3 rows" in told
        assert "`imgcli batch collect` saves its images" in told


class TestEnds:
    """A batch that does not end well."""

    def test_expired(self, demo: Demo, batch: Prepare, folder: Path) -> None:
        """What an expired batch has answered is saved; the other rows cost nothing and can go again."""
        mine = batch(demo(BatchSettings(seconds=0, most=1, window=0)))
        mine.submitted()
        done = mine("collect")
        assert (3, ["an-owl.png"]) == (done.exit_code, images(folder))
        assert "line 1 (cat): The batch expired before this request was executed." in done.stderr
        assert ["failed", "failed", "saved"] == sorted(mine.statuses[3:])
        assert "submitted 2 rows" in mine.submit().stderr

    def test_cancelled(self, demo: Demo, batch: Prepare, folder: Path) -> None:
        """A batch can be cancelled; what it has answered by then is saved."""
        server = demo(BatchSettings(seconds=0, most=1))
        mine = batch(server)
        (name,) = mine.submit().lines
        client = server.client
        wait_for(lambda: client.batches.retrieve(name).status == "in_progress")
        early = mine("collect")
        assert (6, []) == (early.exit_code, early.lines)
        assert "is not ready" in early.stderr
        assert 0 == mine("cancel", name).exit_code
        wait_for(lambda: client.batches.retrieve(name).status == "cancelled")
        done = mine("collect")
        assert (3, ["an-owl.png"]) == (done.exit_code, images(folder))
        assert "The batch was cancelled before this request was executed." in done.stderr

    @pytest.mark.slow
    def test_too_late_to_cancel(self, demo: Demo, batch: Prepare) -> None:
        """A batch that has ended is not cancelled: it was paid for, and can be collected."""
        server = demo()
        mine = batch(server)
        (name,) = mine.submit().lines
        wait_for(lambda: server.client.batches.retrieve(name).status == "completed")
        late = mine("cancel", name)
        assert 2 == late.exit_code
        assert f"Batch {name} is completed; there is nothing to cancel" in late.stderr
        assert "what it has done is charged" in late.stderr
        assert "harged" not in late.stderr.partition("is charged")[2]
        assert f"imgcli batch collect {name}" in late.stderr

    @pytest.mark.parametrize("is_over", [True, False])
    def test_done_while_it_is_cancelled(
        self, demo: Demo, batch: Prepare, monkeypatch: pytest.MonkeyPatch, *, is_over: bool
    ) -> None:
        """A batch that is done, or about to be, when the server gets to cancel it was not cancelled."""
        server = demo()
        mine = batch(server)
        name = mine.submitted()
        told: list[str] = ["in_progress"] if is_over else ["in_progress", "finalizing"]
        found = BatchStore.batch

        def find(store: BatchStore, asked: str) -> JsonAnswer:
            answer = found(store, asked)
            return JsonAnswer({**answer.body, "status": told.pop(0)}) if told else answer

        monkeypatch.setattr(BatchStore, "batch", find)
        late = mine("cancel", name)
        assert 2 == late.exit_code, late.stderr
        fate = "is completed" if is_over else "has done all its rows"
        assert f"Batch {name} {fate}" in late.stderr
        assert "what it has done is charged" in late.stderr
        assert f"imgcli batch collect {name}{'' if is_over else ' --wait'}`" in late.stderr

    def test_no_word_about_money(self, batch: Prepare, server: Callable[..., ScriptedServer]) -> None:
        """A failure to ask about a batch does not say that nothing was charged: the batch may have been."""
        done = batch(server())("cancel", "batch_of_nobody")
        assert 2 == done.exit_code
        assert "harged" not in done.stderr

    def test_lost_answers(
        self, demo: Demo, batch: Prepare, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch whose answers the server does not give stays open, and is collected when it does."""
        server = demo()
        mine = batch(server)
        mine.submitted()
        with monkeypatch.context() as patch:
            patch.setattr(BatchStore, "content", _no_such_file)
            lost = mine("collect")
        assert (9, []) == (lost.exit_code, images(folder)), lost.stderr
        assert "the server no longer has the answers" in lost.stderr
        assert 3 == mine("collect").exit_code
        assert ["a-cat.png", "an-owl.png"] == images(folder)

    @pytest.mark.slow
    @pytest.mark.parametrize("option", [(), ("--no-history",)])
    def test_killed_while_collecting(
        self, demo: Demo, batch: Prepare, folder: Path, world: dict[str, str], option: tuple[str, ...]
    ) -> None:
        """What was saved last before a kill is not saved a second time, with the history or without."""
        mine = batch(demo())
        mine.file.write_text('{"prompt": "a fish"}\n')
        mine.submitted(*CHEAP, *option)
        (record,) = _records(world)
        before = record.read_bytes()
        assert 0 == mine("collect").exit_code
        assert "a fish" not in record.read_text()
        if not option:  # the history knows it by the job, wherever it is by now
            (folder / "a-fish.png").rename(folder / "moved.png")
        saved = images(folder)
        record.write_bytes(before)
        done = mine("collect")
        assert (0, saved) == (done.exit_code, images(folder)), done.stderr
        assert [str(folder / "a-fish.png")] == done.lines

    def test_two_collect_at_once(
        self, demo: Demo, batch: Prepare, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While one process collects a batch, another leaves it alone; what is saved is saved once."""
        mine = batch(demo())
        mine.submitted()
        give = BatchStore.content
        others: list[Result] = []

        def meanwhile(store: BatchStore, name: str) -> FileAnswer:
            others.append(mine("collect"))
            return give(store, name)

        monkeypatch.setattr(BatchStore, "content", meanwhile)
        assert 3 == mine("collect").exit_code
        assert [(0, [])] * 2 == [(other.exit_code, other.lines) for other in others]
        assert "another process is collecting" in others[0].stderr
        assert ["a-cat.png", "an-owl.png"] == images(folder)

    @pytest.mark.slow
    def test_killed_anywhere(
        self, demo: Demo, batch: Prepare, folder: Path, world: dict[str, str], imgcli: Cli
    ) -> None:
        """Killed at any point while it submits or collects, a batch is created once and saved once."""
        server = demo(BatchSettings(seconds=0))
        mine = batch(server)
        mine.file.write_text("".join(f'{{"prompt": "cat {number}"}}\n' for number in range(12)))
        chance = random.Random(7)

        def kill(*args: str, within: float) -> None:
            with running(mine.server, world, folder, command=("batch", *args)) as process:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(0, within))
                process.kill()
                process.wait()

        for _ in range(8):
            kill("rows.jsonl", "--later", *CHEAP, within=0.4)
        _age(world)
        assert 0 == mine.submit().exit_code
        client = server.client
        assert 1 == len(list(client.batches.list()))
        wait_for(lambda: all(one.status in ENDED for one in client.batches.list()))
        for _ in range(25):
            kill("collect", within=0.8)
        assert 0 == mine("collect").exit_code
        assert 0 == imgcli("recover").exit_code
        assert [f"cat-{number}.png" for number in sorted(map(str, range(12)))] == images(folder)
        assert 12 == len(runs(world))
        assert {"saved"} == {json.loads(line)["status"] for line in _last_lines(mine)}

    def test_waiting(self, demo: Demo, batch: Prepare, folder: Path, world: dict[str, str]) -> None:
        """`--wait` looks again after growing pauses, and says only what is new."""
        server = demo(BatchSettings(seconds=0, most=1, unsafe="forbidden"))
        mine = batch(server)
        (name,) = mine.submit().lines
        client = server.client
        wait_for(lambda: (counts := client.batches.retrieve(name).request_counts) and counts.completed)
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                client.batches.cancel(name)
                wait_for(lambda: client.batches.retrieve(name).status in ENDED)

        told = StringIO()
        context = context_of(world | mine.env, told, sleep)
        code = collect(context, ServerOptions(None, 10.0), [], wait=True)
        assert (3, [10.0, 15.0, 22.5]) == (code, pauses)
        assert 1 == told.getvalue().count("waiting for batch")
        assert ["an-owl.png"] == images(folder)

    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            (["{", "[]", '"x"', "{}"], "a line of the answers cannot be read"),
            pytest.param([{"custom_id": "x"}], "The batch has no answer for it.", marks=pytest.mark.slow),
            pytest.param(
                [{"response": {"status_code": 200, "body": {}}}], "incomplete JSON", marks=pytest.mark.slow
            ),
            pytest.param(
                [{"response": {"status_code": 200, "body": []}}], "incomplete JSON", marks=pytest.mark.slow
            ),
            pytest.param(
                [{"response": {"status_code": "200"}}],
                "The batch ended before this request was executed.",
                marks=pytest.mark.slow,
            ),
            pytest.param(
                [{"error": {"code": "odd", "message": "no\x1b[31m \u202eway"}}],
                "was executed. no",
                marks=pytest.mark.slow,
            ),
            pytest.param(
                [{"response": {"status_code": 500, "body": {"error": {"message": "Oh."}}}}],
                "Oh.",
                marks=pytest.mark.slow,
            ),
            ([{"response": {"status_code": 200, "body": {"data": [{"b64_json": "QUJD"}]}}}], "damaged"),
        ],
    )
    def test_odd_answers(
        self,
        demo: Demo,
        batch: Prepare,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        lines: list[Any],
        told: str,
    ) -> None:
        """Whatever a server answers: it is said of the row, in clean text, and nothing breaks."""
        mine = batch(demo())
        mine.file.write_text('{"prompt": "a fish"}\n')
        mine.submitted()
        key = mine.state[0]["task"]
        written = [one if isinstance(one, str) else json.dumps({"custom_id": key, **one}) for one in lines]
        answers = tmp_path / "answers"
        answers.write_text("\n".join(written))
        monkeypatch.setattr(BatchStore, "content", lambda _store, _name: FileAnswer(answers))
        done = mine("collect")
        assert told in done.stderr
        assert done.exit_code in {5, 9, 11}, done.stderr
        assert "\x1b" not in done.stderr
        assert "\u202e" not in done.stderr

    @pytest.mark.slow
    def test_two_answers_for_a_row(
        self, demo: Demo, batch: Prepare, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """An answer that comes twice is saved once."""
        mine = batch(demo())
        mine.file.write_text('{"prompt": "a fish"}\n')
        mine.submitted()
        give = BatchStore.content

        def twice(store: BatchStore, name: str) -> FileAnswer:
            doubled = tmp_path / "answers"
            doubled.write_bytes(give(store, name).path.read_bytes() * 2)
            return FileAnswer(doubled)

        monkeypatch.setattr(BatchStore, "content", twice)
        assert (0, ["a-fish.png"]) == (mine("collect").exit_code, images(folder))


class TestWithoutAnAnswer:
    """A server that is down, or that has lost a batch."""

    def test_server_is_down(self, demo: Demo, batch: Prepare) -> None:
        """Batches of a server that is down are shown as they are known here, and the reason is told once."""
        mine = batch(demo())
        first = mine.submitted()
        (second,) = mine.submit("-m", "gpt-image-2.5-flare").lines
        mine.server.close()
        shown = mine("status")
        assert {(first, "no answer", "?/3"), (second, "no answer", "?/3")} == {
            (cells[0], " ".join(cells[1:3]), cells[3]) for cells in map(str.split, shown.lines[1:])
        }
        assert 1 == shown.stderr.count("connection refused")
        told = json.loads(mine("status", "--json").stdout)["batches"]
        assert ["no answer"] * 2 == [one["status"] for one in told]
        left = mine("collect")
        assert 1 == left.stderr.count("connection refused")
        assert [
            f"note: batch {name} (3 rows, submitted 0 min ago)" in left.stderr for name in (first, second)
        ]
        assert [8, 8] == [shown.exit_code, left.exit_code]

    def test_no_key(self, demo: Demo, batch: Prepare, world: dict[str, str]) -> None:
        """Without a key the batches are shown as they are known here, and nobody is asked."""
        mine = batch(demo())
        name = mine.submitted()
        (record,) = _records(world)
        host = mine.env["OPENAI_BASE_URL"].split("/")[2]
        record.write_text(record.read_text().replace(f'"{host}"', '"api.openai.com"'))
        mine.env = {"OPENAI_API_KEY": ""}
        shown = mine("status")
        assert (4, name) == (shown.exit_code, shown.lines[1].split()[0])
        assert "OPENAI_API_KEY is not set" in shown.stderr

    def test_one_failure_spares_the_others(
        self, demo: Demo, batch: Prepare, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch that cannot be collected does not keep the others from being collected."""
        mine = batch(demo())
        first = mine.submitted()
        mine.file.write_text('{"prompt": "a fish"}\n')
        mine.submitted()
        _lose(monkeypatch, first)
        done = mine("collect")
        assert (5, ["a-fish.png"]) == (done.exit_code, images(folder)), done.stderr
        assert f"The server has no batch {first}" in done.stderr
        assert f"`imgcli recover --discard {first}`" in done.stderr

    @pytest.mark.parametrize("is_free", [True, False])
    def test_a_lost_batch_is_discarded(
        self,
        demo: Demo,
        batch: Prepare,
        imgcli: Cli,
        world: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
        *,
        is_free: bool,
    ) -> None:
        """A batch that the server has lost can be forgotten; rows that may have cost go again if asked."""
        mine = batch(demo(marked=is_free))
        name = mine.submitted()
        _lose(monkeypatch, name)
        status = mine("status")
        assert "not found" in status.stdout.decode()
        assert "`imgcli recover --discard ID` forgets it" in status.stderr
        assert 2 == imgcli("recover", name[:12]).exit_code
        assert 1 == len(_records(world))
        gone = imgcli("recover", "--discard", name[:12])
        assert (0, []) == (gone.exit_code, _records(world))
        assert f"discarded batch {name} (3 rows" in gone.stderr
        assert is_free != ("--retry-unknown" in gone.stderr)
        assert "no batch to collect" in mine("status").stderr
        if not is_free:
            kept = mine.submit()
            assert (0, []) == (kept.exit_code, kept.lines)
            assert "may have been paid for; --retry-unknown sends them again" in kept.stderr
        assert 1 == len(mine.submit(*CHEAP, "--retry-unknown").lines)

    def test_a_batch_that_is_being_collected(
        self, demo: Demo, batch: Prepare, imgcli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch that another process collects is not discarded under its hands."""
        mine = batch(demo())
        name = mine.submitted()
        give, told = BatchStore.content, list[str]()

        def meanwhile(store: BatchStore, file: str) -> FileAnswer:
            told.append(imgcli("recover", "--discard", name).stderr)
            return give(store, file)

        monkeypatch.setattr(BatchStore, "content", meanwhile)
        assert (3, ["a-cat.png", "an-owl.png"]) == (mine("collect").exit_code, images(folder))
        assert all(f"another process is collecting batch {name}" in one for one in told)
        assert "was already collected" in mine("collect", name).stderr

    def test_a_record_is_lost(self, demo: Demo, batch: Prepare, world: dict[str, str]) -> None:
        """Rows of a batch that this machine does not know are of unknown outcome, and can be sent again."""
        mine = batch(demo())
        mine.submitted()
        for record in _records(world):
            record.unlink()
        planned = [
            json.loads(line)["status"] for line in mine("rows.jsonl", "--dry-run", "--jsonl", *CHEAP).lines
        ]
        assert ["unknown"] * 3 == planned
        kept = mine("rows.jsonl", *CHEAP)
        assert (9, []) == (kept.exit_code, kept.lines)
        assert "--retry-unknown" in kept.stderr
        assert 3 == len(mine("rows.jsonl", *CHEAP, "--retry-unknown", "-q").lines)


class TestSubmitting:
    """Until the batch exists, nothing may be lost and nothing paid for twice."""

    def test_refused_upload(self, server: Callable[..., ScriptedServer], batch: Prepare) -> None:
        """A refused upload submits nothing, and the rows can be submitted again."""
        mine = batch(server(error_reply(404, "No batches here.")))
        done = mine.submit()
        assert (5, []) == (done.exit_code, done.lines), done.stderr
        assert "No batches here." in done.stderr
        assert "not every server has a Batch API" in done.stderr
        assert "Nothing was charged" in done.stderr
        assert [] == mine.statuses

    def test_refused_batch(self, server: Callable[..., ScriptedServer], batch: Prepare) -> None:
        """A refused batch is none: its rows can be submitted again, and nothing waits to be collected."""
        uploaded = Reply(b'{"id": "file-1", "object": "file"}', content_type="application/json")
        mine = batch(server(uploaded, error_reply(400, "Too many batches.")))
        done = mine.submit()
        assert (5, []) == (done.exit_code, done.lines), done.stderr
        assert ["held"] * 3 == mine.statuses[3:]
        assert "no batch to collect" in mine("status").stderr

    @pytest.mark.slow
    def test_lost_confirmation(self, demo: Demo, batch: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the answer to the creation is lost, the batch is found in the list, not created again."""
        server = demo()
        mine = batch(server)
        monkeypatch.setattr(BatchStore, "create", _then(BatchStore.create, _hang_up))
        assert 0 == mine.submit().exit_code
        assert 1 == len(list(server.client.batches.list()))

    def test_killed_after_creating(
        self, demo: Demo, batch: Prepare, folder: Path, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch that was created while its command was killed is found, and collected like any other."""
        server = demo()
        mine = batch(server)
        _kill_at_creation(monkeypatch, mine, world, folder, after=True)
        again = mine.submit()
        assert ([], "3 rows already submitted") == (again.lines, again.stderr[6:30])
        (name,) = [one.id for one in server.client.batches.list()]
        wait_for(lambda: server.client.batches.retrieve(name).status in ENDED)
        assert name in mine("status").stdout.decode()
        assert 3 == mine("collect", "--wait").exit_code
        assert ["a-cat.png", "an-owl.png"] == images(folder)

    @pytest.mark.slow
    def test_killed_before_creating(
        self, demo: Demo, batch: Prepare, folder: Path, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch that was not created when its command was killed is given up after a while, not before."""
        server = demo()
        mine = batch(server)
        _kill_at_creation(monkeypatch, mine, world, folder, after=False)
        assert "unknown" in mine("status").stdout.decode()
        assert [] == mine.submit().lines
        _age(world)
        assert 1 == len(mine.submit().lines)
        assert 1 == len(list(server.client.batches.list()))

    @pytest.mark.slow
    def test_limits_are_halved(self, demo: Demo, batch: Prepare) -> None:
        """Limits compare with half the price, for all rows together; the day's cap counts them."""
        server = demo(BatchSettings(seconds=0, most=0), marked=False)
        mine = batch(server)
        refused = mine.submit(*CHEAP, "--max-cost", "0.01")
        assert (2, 0) == (refused.exit_code, len(list(server.client.batches.list()))), refused.stderr
        assert "may cost up to $0.0104" in refused.stderr
        assert 0 == mine.submit(*CHEAP, "--max-cost", "0.0104", "--daily-cap", "0.02").exit_code
        mine.file.write_text(ROWS.replace("a cat", "a bat").replace("dog", "hog").replace("owl", "eel"))
        assert "may cost up to $0.0208" in mine.submit(*CHEAP, "--max-cost", "0.015").stderr
        assert "--daily-cap allows $0.0200 a day" in mine.submit(*CHEAP, "--daily-cap", "0.02").stderr

    def test_models(self, demo: Demo, batch: Prepare) -> None:
        """A model that the Batch API may not serve gets a note; the request goes without partial images."""
        mine = batch(demo())
        doubtful = mine.submit("-m", "gpt-image-2.6-flare", "--partials", "2")
        assert 0 == doubtful.exit_code, doubtful.stderr
        assert 1 == doubtful.stderr.count("it is not confirmed that the Batch API serves gpt-image-2.6-flare")
        assert 1 == doubtful.stderr.count("makes no partial images")

    @pytest.mark.parametrize("limit", ["MOST_REQUESTS", "LARGEST_FILE"])
    def test_large_batches_are_split(
        self, demo: Demo, world: dict[str, str], monkeypatch: pytest.MonkeyPatch, limit: str
    ) -> None:
        """More rows, or more bytes, than one batch takes become several batches."""
        server = demo(BatchSettings(seconds=0, most=0))
        monkeypatch.setattr(batches, limit, {"MOST_REQUESTS": 2, "LARGEST_FILE": 600}[limit])
        options = GenerateOptions(
            DraftRequest("a cat", "gpt-image-2"),
            OutputOptions(),
            DisplayOptions(OutputFormat.PEOPLE, None, PreviewOptions()),
            ServerOptions(server.base_url, 30.0),
        )
        tasks = tuple(
            BatchTask(f"{number:032x}", number, None, f"cat {number}", None, 0) for number in range(5)
        )
        request = validate(options.draft, load(), datetime.now(UTC).date()).request
        plan = BatchPlan("rows.txt", tasks, (options,), (request,))
        told = StringIO()
        assert 0 == submit_batch(context_of(world, told, time.sleep), plan, BatchOptions(None, later=True))
        assert "submitted 5 rows in 3 batches" in told.getvalue()
        client = server.client
        wait_for(lambda: all(one.status == "in_progress" for one in client.batches.list()))
        files = [client.files.content(one.input_file_id).text for one in client.batches.list()]
        assert [1, 2, 2] == [len(text.splitlines()) for text in files]

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (("--demo",), "imgcli demo-server"),
            (("--report", "report.csv"), "what became of the rows"),
            (("--no-save",), "nothing of it kept"),
            (("-m", "dall-e-3"), "Line 1: The Batch API does not serve dall-e-3."),
        ],
    )
    def test_what_does_not_fit(self, batch: Prepare, demo: Demo, args: tuple[str, ...], told: str) -> None:
        """What cannot be submitted is refused before anything is sent."""
        server = demo()
        refused = batch(server).submit(*args)
        assert (2, []) == (refused.exit_code, refused.lines), refused.stderr
        assert told in refused.stderr
        assert [] == list(server.client.files.list())

    @pytest.mark.parametrize("args", [("collect", "nope"), ("status", "nope"), ("cancel", "nope")])
    def test_unknown_ids(self, batch: Prepare, demo: Demo, args: tuple[str, str]) -> None:
        """A batch that was not submitted from here is an error, and nobody is asked."""
        done = batch(demo())(*args)
        assert 2 == done.exit_code
        assert "No batch nope was submitted from here." in done.stderr


def _last_lines(mine: Batch) -> list[str]:
    """Return the last line of each task in the state file."""
    return list({line["task"]: json.dumps(line) for line in mine.state}.values())


def _png() -> bytes:
    return encoded("PNG", size=(816, 816))


def _lose(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the demo server have no batch of this name any more."""
    found = BatchStore.batch

    def find(store: BatchStore, asked: str) -> Any:
        if asked == name:
            raise invalid(None, f"No batch found with id '{asked}'.", None, 404)
        return found(store, asked)

    monkeypatch.setattr(BatchStore, "batch", find)


def _no_such_file(_store: BatchStore, name: str) -> None:
    raise invalid(None, f"No such File object: {name}", "id", 404)


def _then(method: Callable[..., Any], action: Callable[[], None]) -> Callable[..., Any]:
    """Let something happen after a method, before its answer goes out."""

    def both(*args: Any) -> Any:
        answer = method(*args)
        action()
        return answer

    return both


def _hang_up() -> None:
    raise ConnectionResetError


def _kill_at_creation(
    monkeypatch: pytest.MonkeyPatch, mine: Batch, world: dict[str, str], folder: Path, *, after: bool
) -> None:
    """Submit, and kill the command when it has asked for the batch; create that only with `after`."""
    create = BatchStore.create
    command = ("batch", "rows.jsonl", "--later", *CHEAP)
    with monkeypatch.context() as patch, running(mine.server, world, folder, command=command) as one:

        def killing(store: BatchStore, request: Any) -> Any:
            answer = create(store, request) if after else None
            os.kill(one.pid, signal.SIGKILL)
            one.wait()
            if answer is None:
                raise ConnectionResetError
            return answer

        patch.setattr(BatchStore, "create", killing)
        one.wait()


def _age(world: dict[str, str]) -> None:
    """Let submitted batches be some years old."""
    for record in _records(world):
        record.write_text(record.read_text().replace(f"{datetime.now(UTC):%Y}-", "2020-"))


def _records(world: dict[str, str]) -> list[Path]:
    """List the records of submitted batches."""
    return list((Path(world["XDG_STATE_HOME"]) / "imgcli" / "batches").iterdir())

"""The history's file: found again by hash, id and parent; shared by many; set aside when it is of no use."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from beside import PATIENCE
from faults import disks
from imgcli.core.billing.bill import Part, Row
from imgcli.core.billing.spending import GroupBy, spending
from imgcli.core.errors import Charged
from imgcli.core.history import HistoryEntry, Parent, Role, SavedImage
from imgcli.core.image import ImageFormat
from imgcli.core.params import DEMO, Api, Quality
from imgcli.core.request import ImageRequest
from imgcli.store.history.ids import read_ids
from imgcli.store.history.repository import History, HistoryError
from imgcli.store.history.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcli.store.history.costs import DayCosts

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REQUEST = ImageRequest(
    "a cat", "gpt-4o-mini", Api.RESPONSES, size="1024x1024", quality=Quality.LOW, partials=3
)
SHA, OTHER = "ab" * 32, "cd" * 32
ROWS = (
    Row(Part.TEXT, "gpt-4o-mini", 2309, 0, 9, None, Decimal("0.00034635"), Decimal("0.0000054")),
    Row(Part.IMAGE, "gpt-image-2", 9, None, 2060, 3, None, Decimal("0.0618")),
)


def entry(number: int = 1, **fields: Any) -> HistoryEntry:
    """Build an entry, the later the higher its number."""
    moment = NOON + timedelta(minutes=number)
    told: dict[str, Any] = {
        "job": f"20261122-{number:06}-abcd",
        "started": moment,
        "ended": moment + timedelta(seconds=9),
        "prompt": "a cat",
        "request": REQUEST,
    }
    return HistoryEntry(**told | fields)


def image(sha256: str = SHA, **fields: Any) -> SavedImage:
    """Build an image."""
    told: dict[str, Any] = {"path": Path("/here/a-cat.png"), "format": ImageFormat.PNG, "size": (48, 32)}
    return SavedImage(0, sha256, 1234, **told | fields)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """An empty history in a folder that does not exist yet."""
    with History(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where its file will be."""
    return tmp_path / "data" / "history.sqlite3"


def test_everything_comes_back(history: History) -> None:
    """What was recorded is read again, to the last digit."""
    whole = entry(
        model="gpt-4o-mini",
        image_model="gpt-image-2",
        endpoint="api.openai.com",
        response_id="resp_1",
        usage={"input_tokens": 1, "odd": [None, 1.5, "ü"]},
        tool_usage={},
        cost=Decimal("0.000000123456789012345678901234567890"),
        prices_date=NOON.date(),
        outcome="elsewhere",
        message="It is safe in \N{SNOWMAN}.",
        images=(image(), replace(image(OTHER, path=None, size=None, format=None), image_index=1)),
        charges=ROWS,
        parents=(Parent(OTHER), Parent(SHA, Role.MASK)),
    )
    assert replace(whole, number=1) == history.record(whole) == history.find_id("1")


@pytest.mark.parametrize(
    "path", [Path("/here/a\ncat.png"), Path(os.fsdecode(b"/here/\xff\xfe.png")), Path("/here/\N{SNOWMAN}")]
)
def test_any_path(path: Path, history: History) -> None:
    """A file's name comes back as it was, also one that is no text."""
    history.record(entry(images=(image(path=path),)))
    (kept,) = next(history.entries()).images
    assert path == kept.path


@pytest.mark.parametrize("prompt", ["a \udcff cat", "nul \0 nul", "'; DROP TABLE runs; --", "𝄞" * 1000])
def test_any_prompt(prompt: str, history: History) -> None:
    """No prompt keeps a run from being remembered, and the request holds it as it was."""
    history.record(entry(prompt=prompt, request=replace(REQUEST, prompt=prompt)))
    found = next(history.entries())
    assert prompt.encode("utf-8", "replace").decode() == found.prompt
    assert found.request is not None
    assert prompt == found.request.prompt


def test_a_request_of_another_version(history: History, file: Path) -> None:
    """A run whose request cannot be read any more is still known, and an update does not lose it."""
    history.record(entry())
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE runs SET request = ?", ['{"prompt": "a cat", "hologram": true}'])
    found = next(history.entries())
    assert (None, "a cat") == (found.request, found.prompt)
    history.record(replace(entry(request=None), outcome="unknown"))
    with closing(sqlite3.connect(file)) as raw:
        assert [('{"prompt": "a cat", "hologram": true}', "unknown")] == raw.execute(
            "SELECT request, outcome FROM runs"
        ).fetchall()


def test_nonsense_in_the_cells(history: History, file: Path) -> None:
    """Cells that hold nonsense are unknown; the rest of the row is read."""
    history.record(entry(cost=Decimal(1), charges=ROWS, images=(image(),)))
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute(
            "UPDATE runs SET started = x'ff', ended = 'soon', cost = 'NaN', prices_date = 7, usage = '[1]',"
            " request = '{', charged = 'perhaps', endpoint = 7, model = CAST(x'ff41' AS TEXT)"
        )
        raw.execute("UPDATE charges SET part = 'air', tokens_in = 'many', cost_in = '1e'")
        raw.execute("UPDATE pictures SET format = 'tga', width = 'wide', path = 7")
    found = next(history.entries())
    assert (None, None, None, None, Charged.MAYBE) == (
        found.cost,
        found.prices_date,
        found.usage,
        found.request,
        found.charged,
    )
    assert ("\ufffdA", "a cat", 1) == (found.model, found.prompt, len(found.images))
    assert (None, None, None) == (found.images[0].path, found.images[0].size, found.charges[0].tokens_in)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ("1e999999999", None),
        ("1e-999999999", None),
        ("-1", None),
        ("Infinity", None),
        ("sNaN", None),
        (10**18, None),
        ("0.000000000125", Decimal("0.000000000125")),
        ("0", Decimal(0)),
        ("1e2", Decimal(100)),
    ],
)
def test_absurd_costs(cost: object, expected: Decimal | None, history: History, file: Path) -> None:
    """An amount that nobody can have paid is unknown, and the sums of the others are made all the same."""
    history.record(entry(1, cost=Decimal(1)))
    history.record(entry(2, cost=Decimal(2), charges=ROWS))
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE runs SET cost = ? WHERE id = 2", [cost])
        raw.execute("UPDATE charges SET cost_in = ?", [cost])
    assert [expected, Decimal(1)] == [found.cost for found in history.entries()]
    spent = spending(history.charges(), GroupBy.MODEL, datetime.date)
    assert (2, expected is None) == (spent.total.runs, spent.total.unknown == 1)


@pytest.mark.parametrize(
    "started", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "", "2026", 7, b"\xff"]
)
def test_absurd_times(started: object, history: History, file: Path) -> None:
    """A time that no clock shows in some zone is unknown, and the run can be shown and summed."""
    history.record(entry())
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE runs SET started = ?, ended = ?", [started, started])
    (found,) = history.entries()
    assert "a cat" == found.prompt
    for hours in (-14, 14):
        assert found.started == found.started.astimezone(timezone(timedelta(hours=hours)))
    assert [1] == [expense.number for expense in history.charges()]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("runs", name) for name in ("started", "endpoint", "cost", "prices_date", "prompt", "tool_usage")),
        *(("pictures", name) for name in ("sha256", "bytes", "path", "width")),
        ("charges", "cost_in"),
        ("parents", "role"),
    ],
)
def test_a_missing_column(table: str, column: str, tmp_path: Path) -> None:
    """A column that somebody took away is unknown; the rest is read, and the next runs are recorded whole."""
    whole = entry(images=(image(),), charges=ROWS, parents=(Parent(OTHER),))
    with History(tmp_path / "data") as history:
        history.record(whole)
    with closing(sqlite3.connect(tmp_path / "data" / "history.sqlite3")) as raw, raw:
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql > ''"
        ).fetchall():
            raw.execute(f"DROP INDEX {name}")
        raw.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    with History(tmp_path / "data") as history:
        (found,) = history.entries()
        assert (whole.job, 1, 2, 1) == (found.job, *map(len, (found.images, found.charges, found.parents)))
        newer = history.record(replace(whole, job="20261122-999999-abcd"))
        assert ([], newer) == (history.notices, history.find_id("20261122-999999-abcd"))
        assert [1, 2] == sorted(expense.number for expense in history.charges())


def test_by_hash(history: History) -> None:
    """An image is known by its bytes, whoever spells the hash; the newest run with it is given."""
    for number in (1, 3, 2):
        history.record(entry(number, images=(image(),)))
    found = history.find_sha256(SHA.upper())
    assert found is not None
    assert NOON + timedelta(minutes=3) == found.started
    assert history.find_sha256(OTHER) is None


def test_by_id(history: History) -> None:
    """A run is found by its number, its job, or a beginning of the job that no other has."""
    history.record(entry(1, job="20261122-150000-aaaa"))
    history.record(entry(2, job="20261122-160000-bbbb"))
    history.record(entry(3, job="3"))
    asked = [
        "1",
        "20261122-160000-bbbb",
        "20261122-15",
        "3",
        "20261122-1",
        "",
        "0",
        "9" * 30,
        "٣",
        "%",
        "\udcff",
    ]
    found = [history.find_id(text) for text in asked]
    assert [1, 2, 1, 3, *[None] * 7] == [one and one.number for one in found]


def test_the_latest(history: History) -> None:
    """The latest run is the newest that brought an image, kept or not, of any endpoint or of one."""
    assert history.latest() is None
    history.record(entry(1, images=(image(),), endpoint="api.openai.com"))
    history.record(entry(2, images=(image(),), endpoint=DEMO))
    history.record(entry(3, images=(image(path=None),), endpoint=DEMO))
    history.record(entry(4, outcome="refused", endpoint="api.openai.com"))
    asked = [None, DEMO, "api.openai.com", "localhost"]
    assert [3, 3, 1, None] == [one and one.number for one in map(history.latest, asked)]


def test_children(history: History) -> None:
    """The runs that an image went into are listed, the oldest first."""
    history.record(entry(1, parents=(Parent(OTHER),)))
    history.record(entry(2, parents=(Parent(OTHER, Role.REFERENCE), Parent(SHA))))
    history.record(entry(3))
    assert [[1, 2], [2], []] == [
        [child.number for child in history.children(sha)] for sha in (OTHER, SHA, "ef" * 32)
    ]
    second = history.find_id("2")
    assert second is not None
    assert SHA == second.parent


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("100%", [4]),
        ("%", [4]),
        ("_", [3]),
        ("'", [5]),
        ("KÖNIG", [2]),
        ("red.*", [6]),
        ("\\", [7]),
        ("revised", [1]),
        ("here/", [1]),
        ("nobody", []),
    ],
)
def test_search(search: str, found: list[int], tmp_path: Path) -> None:
    """A search finds the text itself, in any case and script; nothing in it is a wildcard."""
    prompts = ["a", "der König", "a_b", "100% wool", "it's", "red.*", "back\\slash"]
    with History(tmp_path) as history:
        for number, prompt in enumerate(prompts, 1):
            history.record(entry(number, prompt=prompt))
        shown = image(revised_prompt="Revised", path=Path("/here/x.png"))
        history.record(replace(entry(1, prompt="a"), images=(shown,)))
        assert found == [one.number for one in history.entries(search=search)]


def test_newest_first(history: History) -> None:
    """Runs are listed by when they began, as many as are wanted."""
    for number in (2, 3, 1):
        history.record(entry(number, prompt=str(number)))
    assert ["3", "2", "1"] == [one.prompt for one in history.entries()]
    assert ["3", "2"] == [one.prompt for one in history.entries(2)]


def test_a_job_has_one_row(history: History) -> None:
    """A run that is recorded again keeps its number, its beginning, and what only the first record knew."""
    first = entry(endpoint=DEMO, parents=(Parent(OTHER),), outcome="interrupted", cost=None)
    history.record(first)
    later = entry(request=None, prompt="", images=(image(),), cost=Decimal("0.5"), charges=ROWS)
    history.record(replace(later, started=NOON, ended=NOON))
    (found,) = history.entries()
    assert ("a cat", REQUEST, DEMO, (Parent(OTHER),), first.started) == (
        found.prompt,
        found.request,
        found.endpoint,
        found.parents,
        found.started,
    )
    assert ("ok", Decimal("0.5"), 1, 2, 1) == (
        found.outcome,
        found.cost,
        len(found.images),
        len(found.charges),
        found.number,
    )


def test_a_bill_is_not_lost(history: History) -> None:
    """A run that is recovered from less than it was recorded from keeps the bill that is known."""
    billed = entry(cost=Decimal("0.5"), charges=ROWS, usage={"input_tokens": 1}, prices_date=NOON.date())
    history.record(billed)
    history.record(entry(cost=None, images=(image(),)))
    (found,) = history.entries()
    assert (replace(billed, number=1, images=(image(),))) == found


def test_nothing_new_changes_nothing(history: History, file: Path) -> None:
    """Recording the same again, as a second recovery does, leaves the file as it was."""
    history.record(entry(images=(image(),), charges=ROWS))
    history.close()
    before = file.read_bytes()
    with History(file.parent) as again:
        again.record(replace(entry(images=(image(),), charges=ROWS), ended=NOON + timedelta(days=1)))
    assert before == file.read_bytes()


def test_charges(history: History) -> None:
    """Each run since a moment gives what it cost, with its bill's rows, also one that has none."""
    history.record(entry(1, cost=Decimal(1)))
    history.record(entry(2, cost=None, charges=ROWS, prices_date=NOON.date()))
    history.record(entry(3, cost=None, endpoint=DEMO))
    told = [(one.number, one.cost, one.is_free, one.known) for one in history.charges()]
    assert [
        (1, Decimal(1), False, Decimal(1)),
        (2, None, False, Decimal("0.06215175")),
        (3, None, True, Decimal(0)),
    ] == told
    (_, second, _) = history.charges()
    assert NOON.date() == second.prices_date
    assert [(row.model, row.cost, row.known) for row in ROWS] == [
        (share.model, share.cost, share.known) for share in second.shares
    ]
    assert [2, 3] == [one.number for one in history.charges(NOON + timedelta(minutes=2))]


def test_forgotten_is_gone(history: History, file: Path) -> None:
    """Nothing of a forgotten run is left in any file of ours, nor is its number given again."""
    for number in range(1, 30):
        secret = f"the secret {number}" * 200
        history.record(entry(number, prompt=secret, request=replace(REQUEST, prompt=secret)))
    history.record(entry(30, prompt="a dog", images=(image(revised_prompt="the secret dog"),)))
    assert 30 == history.forget([*range(1, 31), 77])
    assert [] == [path for path in file.parent.iterdir() if b"secret" in path.read_bytes()]
    assert 31 == history.record(entry(31)).number


def test_ids(history: History, file: Path) -> None:
    """A Tab offers numbers by their first digits, the newest first, with their prompts."""
    for number in range(1, 121):
        history.record(entry(number, prompt=f"p{number}"))
    assert [(120, "p120"), (119, "p119")] == read_ids(file, "", 2)
    assert [119, 118, 117, 116, 115, 114, 113, 112, 111, 110, 11] == [
        one for one, _ in read_ids(file, "11", 50)
    ]
    assert [[], [], []] == [read_ids(file, text, 50) for text in ("0", "x", "1 OR 1")]


def test_private(history: History, file: Path) -> None:
    """Nobody else reads what was asked for."""
    history.record(entry())
    modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert {0o600} == set(modes.values()), modes
    assert 0o700 == file.parent.stat().st_mode & 0o777


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Reading a history that is not there finds nothing, and leaves no file behind."""
    with History(tmp_path / "data") as history:
        assert [] == [*history.entries(), *history.children(SHA), *history.charges()]
        assert history.find_id("1") is None
        assert 0 == history.forget([1])
    assert [] == [path for path in tmp_path.rglob("*") if path.suffix == ".sqlite3"]


WRITERS = textwrap.dedent(
    """
    import os, sys
    from dataclasses import replace
    from pathlib import Path
    from imgcli.store.history.repository import History
    sys.path.insert(0, sys.argv[1])
    from test_history_store import entry, image
    begin, start = os.pipe()
    children = []
    for number in range(int(sys.argv[4])):
        child = os.fork()
        if child == 0:
            os.close(start)
            os.read(begin, 1)
            with History(Path(sys.argv[2]), patience=float(sys.argv[3])) as history:
                history.record(entry(number, images=(image(),)))
            os._exit(0)
        children.append(child)
    os.close(start)
    sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
    """
)


@pytest.mark.parametrize("many", [20, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "before",
    [None, pytest.param(b"no database at all" * 1000, marks=pytest.mark.slow)],
    ids=["new", "damaged"],
)
def test_many_at_once(before: bytes | None, many: int, tmp_path: Path) -> None:
    """Two hundred processes that end at once leave two hundred rows; over a damaged file as well."""
    if before:
        (tmp_path / "history.sqlite3").write_bytes(before)
    told = [str(Path(__file__).parent), str(tmp_path), str(PATIENCE), str(many)]
    done = subprocess.run([sys.executable, "-c", WRITERS, *told], check=False)
    assert 0 == done.returncode
    with History(tmp_path) as history:
        assert many == len(history.numbers())
        assert ([tmp_path / "history.damaged-1.sqlite3"] if before else []) == history.aside


def spoil(file: Path, how: str) -> None:
    """Turn a good history into one that is of no use."""
    if how == "garbage":
        file.write_bytes(os.urandom(50_000))
    elif how == "torn":
        data = file.read_bytes()
        file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        with closing(sqlite3.connect(file)) as raw, raw:
            raw.executescript(how)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("garbage", "damaged"),
        ("torn", "damaged"),
        ("cut", "damaged"),
        ("DROP TABLE charges", "damaged"),
        (f"PRAGMA user_version = {VERSION + 1}", "newer"),
        ("PRAGMA user_version = 0", "foreign"),
        ("PRAGMA user_version = -1", "foreign"),
    ],
)
def test_set_aside(how: str, word: str, tmp_path: Path) -> None:
    """A file that is of no use gets a telling name, is kept as it is, and the next run is remembered."""
    file = tmp_path / "history.sqlite3"
    for attempt in (1, 2):
        with History(tmp_path) as history:
            for number in range(9):
                history.record(entry(number, charges=ROWS, images=(image(),)))
        spoil(file, how)
        before = file.read_bytes()
        with History(tmp_path) as history:
            history.record(entry(10, charges=ROWS))
            aside = tmp_path / f"history.{word}-{attempt}.sqlite3"
            assert [10] == [int(one.job[9:15]) for one in history.entries()]
            assert str(aside) in " ".join(history.notices)
        assert before == aside.read_bytes()


def test_no_file_is_renamed_under_a_reader(tmp_path: Path) -> None:
    """A file that is of no use stays where it is for as long as another process has it open."""
    file, newer = tmp_path / "history.sqlite3", f"PRAGMA user_version = {VERSION + 1}"
    with History(tmp_path) as reader:
        reader.record(entry())
        spoil(file, newer)
        with pytest.raises(HistoryError, match="locked"), History(tmp_path, patience=0.1):
            pass
        assert (1, True) == (len(reader.numbers()), file.exists())
    with History(tmp_path) as history:
        assert "newer" in " ".join(history.notices)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with a history as version 1 of the tables left it (imgcli at 22942bd)."""
    with closing(sqlite3.connect(tmp_path / "history.sqlite3")) as raw:
        raw.executescript((Path(__file__).parent / "history_v1.sql").read_text())
        raw.execute("PRAGMA journal_mode = WAL")
    return tmp_path


def check_the_earlier(history: History) -> None:
    """Expect what `history_v1.sql` holds."""
    broken, demo, whole = history.entries()
    assert [True, False, True] == [one.billed for one in (broken, demo, whole)]
    assert (ROWS, (Parent(OTHER),)) == (whole.charges, whole.parents)
    assert [image(revised_prompt="A cat.")] == list(whole.images)
    assert [False, True, False] == [one.is_free for one in history.charges()]
    day: DayCosts = history.day(NOON, lambda day, _: day)
    assert (Decimal("0.06215175"), [None]) == (day.known, [one.reserved for one in day.open])


def test_a_history_of_an_earlier_version(earlier: Path) -> None:
    """It is read as it was, brought up to date in place, and takes new runs."""
    for number in (4, 5):
        with History(earlier) as history:
            history.record(entry(number, started=NOON - timedelta(days=1)))
            history.forget([number])
            check_the_earlier(history)
            assert ([], []) == (history.notices, history.aside)
    with closing(sqlite3.connect(earlier / "history.sqlite3")) as raw:
        assert [(VERSION,)] == raw.execute("PRAGMA user_version").fetchall()


@pytest.mark.skipif(os.geteuid() == 0 and not disks.permitted(), reason="root writes everywhere")
def test_a_history_of_an_earlier_version_that_cannot_be_written(earlier: Path) -> None:
    """It is read all the same, and nothing is written to a copy that would be lost."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_history_store import *\n"
        f"with History(Path({str(earlier)!r})) as history:\n"
        "    check_the_earlier(history)\n"
        "    with pytest.raises(HistoryError, match='cannot be written'):\n"
        "        history.record(entry(4))\n"
    )
    for path in earlier.iterdir():
        path.chmod(0o400)
    earlier.chmod(0o500)
    rights = "-dac_override,-dac_read_search,-fowner"
    lowered = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    done = subprocess.run([*lowered, sys.executable, "-c", code], check=False, capture_output=True, text=True)
    earlier.chmod(0o700)
    assert (0, "") == (done.returncode, done.stderr)


def test_twenty_bring_it_up_to_date_at_once(earlier: Path) -> None:
    """Whoever is first does, and the others find it done."""
    ready = threading.Barrier(20)

    def opened(number: int) -> int:
        ready.wait()
        with History(earlier) as history:
            history.record(entry(number))
            return len(history.notices)

    with ThreadPoolExecutor(20) as pool:
        assert 0 == sum(pool.map(opened, range(10, 30)))
    with History(earlier) as history:
        assert 23 == len(history.numbers())


def test_an_empty_file_is_no_damage(tmp_path: Path) -> None:
    """A process that died before it had made the tables harms nobody."""
    (tmp_path / "history.sqlite3").touch()
    with History(tmp_path) as history:
        history.record(entry())
        assert ([], 1) == (history.notices, len(history.numbers()))


def test_locked(tmp_path: Path) -> None:
    """A file that another program keeps locked is an error that says so, and stays where it is."""
    with History(tmp_path) as history:
        history.record(entry())
    with closing(sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with History(tmp_path, patience=0.1) as history:
            assert 1 == len(history.numbers())
            with pytest.raises(HistoryError, match="locked"):
                history.record(entry(2))
        other.execute("COMMIT")
        with History(tmp_path) as history:
            history.record(entry(2))
            assert ([], 2) == (history.notices, len(history.numbers()))


@pytest.mark.parametrize("place", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("gone/x")])
def test_no_file_at_all(place: Callable[[Path], object], tmp_path: Path) -> None:
    """What is no file in the history's place is an error at once, never waited for."""
    place(tmp_path / "history.sqlite3")
    with pytest.raises(HistoryError), History(tmp_path) as history:
        history.record(entry())


def test_a_number_that_nobody_has_is_no_beginning(folder: Path) -> None:
    """With one run in the history another number is unknown, though that run's name begins with it."""
    with History(folder) as history:
        history.record(entry(job="20261122-170304-ab12cd34"))
        assert [None, None] == [history.find_id(text) for text in ("2", "2026112")]
        assert history.find_id("20261122") == history.find_id("1")

"""`imgcli tree`: what an image came from, and what came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.embedded import embed
from imgcli.core.history import Family, HistoryEntry, Key, Parent, Role
from imgcli.core.image import ImageFormat
from imgcli.core.params import DEMO
from imgcli.core.request import InputImage
from imgcli.output.json import family_json
from imgcli.output.tables.history import DRAWN, TYPED, tree_lines
from imgcli.store.history.repository import History
from streams import BLUE, RED, whole_run
from terminal import PtyRun
from test_embedded import RECIPE
from test_history_store import REQUEST, entry, image
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]
    Remember = Callable[..., None]

KEYS = [
    "asked",
    "id",
    "started",
    "endpoint",
    "outcome",
    "cost_usd",
    "prompt",
    "pictures",
    "parents",
    "children",
]


def sha(number: int) -> str:
    """Name the image of a run."""
    return f"{number:064x}"


def run(number: int, *parents: int, **fields: Any) -> HistoryEntry:
    """Build a run that brought its image from those of others; its file bears its number."""
    made_of = (Parent(sha(parent)) for parent in parents)
    told: dict[str, Any] = {
        "prompt": f"step {number}",
        "cost": Decimal("0.05"),
        "images": (image(sha(number), path=Path(f"/here/{number}.png")),),
        "parents": tuple(made_of),
    }
    return entry(number, **told | fields)


@pytest.fixture
def remember(world: dict[str, str]) -> Remember:
    """Write runs into the history, as runs do."""

    def write(*entries: HistoryEntry) -> None:
        with History(Path(world["XDG_DATA_HOME"]) / "imgcli") as history:
            for one in entries:
                history.record(one)

    return write


def drawn(*rows: str) -> list[str]:
    """Spell the lines of runs: guides, number, and whether it is the one that was asked for."""
    lines = []
    for row in rows:
        mark, number = " (this one)" * row.endswith("*"), row.strip("│├└─ *")
        lines.append(f'{row.removesuffix("*")}{mark}  $0.0500  {number}.png  "step {number}"')
    return lines


def test_ancestors_and_descendants(remember: Remember, imgcli: Cli) -> None:
    """Everything above and below is drawn, and nothing beside."""
    remember(run(1), run(2, 1), run(3, 1), run(4, 3), run(5, 3), run(6, 5), run(7))
    assert drawn("1", "└─ 3*", "   ├─ 4", "   └─ 5", "      └─ 6") == imgcli("tree", "3").lines


def test_two_parents(remember: Remember, imgcli: Cli) -> None:
    """An image of two parents is drawn with its children under the one that was changed, and once more."""
    parents = (Parent(sha(2), Role.REFERENCE), Parent(sha(3)), Parent(sha(9), Role.MASK))
    remember(run(1), run(2, 1), run(3, 1), run(4, parents=parents), run(5, 4))
    assert [
        *drawn("1", "├─ 2"),
        *drawn("│  └─ 4*", "│     └─ 5"),
        *drawn("└─ 3"),
        "   └─ 4 (see above)",
    ] == imgcli("tree", "4").lines


def test_two_roots(remember: Remember, imgcli: Cli) -> None:
    """The line of the image that was changed comes first, then the other one's."""
    remember(run(1), run(2), run(3, parents=(Parent(sha(1), Role.REFERENCE), Parent(sha(2)))))
    assert [*drawn("2", "└─ 3*"), *drawn("1"), "└─ 3 (see above)"] == imgcli("tree", "3").lines


def test_what_else_went_into_a_child(remember: Remember, imgcli: Cli) -> None:
    """A descendant names what else it was made from; that is no relative."""
    remember(run(1), run(2), run(3, 1, 2, 99))
    assert [*drawn("1*"), drawn("└─ 3")[0] + f"  also from 2, {sha(99)[:12]}"] == imgcli("tree", "1").lines


def test_known_by_hash(remember: Remember, imgcli: Cli) -> None:
    """An image that no run brought is told by its hash, and by the name under which it was sent."""
    sent = InputImage("sea\x1b.png", "/x/sea.png", None, ImageFormat.PNG, sha(99), (1, 1), 1)
    remember(run(1, 99, 98, request=replace(REQUEST, references=(sent,))))
    assert [
        f"{sha(99)[:12]}  sea\ufffd.png  (not from any run in the history)",
        *drawn("└─ 1*"),
        f"{sha(98)[:12]}  (not from any run in the history)",
        "└─ 1 (see above)",
    ] == imgcli("tree", "1").lines


def test_a_photo_of_your_own(server: Server, gen: Gen, imgcli: Cli, remember: Remember, folder: Path) -> None:
    """A file that no run brought has a family too, under any name; so has one with a recipe elsewhere."""
    (folder / "photo.png").write_bytes(RED)
    mother = hashlib.sha256(RED).hexdigest()
    sent = InputImage("photo.png", str(folder / "photo.png"), None, ImageFormat.PNG, mother, (1, 1), 1)
    request = replace(REQUEST, references=(sent,))
    remember(run(1, parents=(Parent(mother),), request=request))
    (folder / "photo.png").rename(folder / "b.png")
    assert [f"{mother[:12]} (this one)  b.png  (not from any run in the history)", *drawn("└─ 1")] == (
        imgcli("tree", "b.png").lines
    )
    gen(server(Reply(whole_run())), "a cat", "-o", "c.png")  # the same bytes
    assert "2 (this one)" == imgcli("tree", "b.png").lines[0].partition("  ")[0]
    (folder / "d.png").write_bytes(embed(BLUE, replace(RECIPE, parents=(mother,))))
    lines = imgcli("tree", "d.png").lines
    assert lines[0].startswith("2  ")
    assert lines[1].endswith(' (this one)  d.png  "a cat"  (not from any run in the history)')


def test_nobody(imgcli: Cli, folder: Path) -> None:
    """An image without relatives is drawn alone, and you are told; a history is not begun for it."""
    (folder / "a.png").write_bytes(RED)
    done = imgcli("tree", "a.png")
    assert (0, 1) == (done.exit_code, len(done.lines))
    assert done.stderr.startswith("note: the history has no images that it was made from")


@pytest.mark.parametrize("name", ["12", "gone.png", ".", "notes.txt", ""])
def test_bad_input(name: str, imgcli: Cli, folder: Path) -> None:
    """An unknown id, no file, a folder or no image is a sentence, and exit code 2."""
    (folder / "notes.txt").write_text("hello")
    done = imgcli("tree", name)
    assert (2, b"") == (done.exit_code, done.stdout)
    assert done.stderr.startswith("error: ")


def test_failures_and_doubts(remember: Remember, imgcli: Cli) -> None:
    """A run that failed says so; a cost is unknown, at least something, or a demo's."""
    remember(
        run(1, endpoint=DEMO, prompt=""),
        run(2, 1, outcome="refused", cost=Decimal(0), images=(), prompt="\x1b[31mno"),
        run(3, 1, cost=None),
    )
    assert [
        "1 (this one)  demo  1.png",
        '├─ 2  $0.00  refused  "\ufffd[31mno"',
        '└─ 3  unknown  3.png  "step 3"',
    ] == imgcli("tree", "1").lines


def test_json(remember: Remember, imgcli: Cli) -> None:
    """Every member is one object, once, in ASCII; parents and children by their ids."""
    remember(run(1), run(2, 1, 99), run(3, 1, 2, prompt="ä"))
    done = imgcli("tree", "2", "--json")
    assert done.stdout.isascii()
    told = [json.loads(line) for line in done.lines]
    assert [KEYS] * 4 == [list(one) for one in told]
    assert [(1, [2, 3]), (2, [3]), (3, []), (None, [2])] == [(one["id"], one["children"]) for one in told]
    assert [False, True, False, False] == [one["asked"] for one in told]
    assert [{"sha256": sha(1), "id": 1}, {"sha256": sha(99), "id": None}] == told[1]["parents"]
    assert [{"sha256": sha(99), "path": None}] == told[3]["pictures"]
    assert (0.05, "ä") == (told[2]["cost_usd"], told[2]["prompt"])


def test_a_terminal_without_unicode(remember: Remember, imgcli: Cli) -> None:
    """Letters draw the tree where there are only letters."""
    remember(run(1), run(2, 1), run(3, 2), run(4, 1))
    done = imgcli("tree", "1", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert ["1 (this one)", "|- 2", "|  `- 3", "`- 4"] == [line.partition("  $")[0] for line in done.lines]


def test_a_narrow_terminal(remember: Remember, world: dict[str, str], folder: Path) -> None:
    """Every line fits into the terminal, however deep the tree is; ids come first and are whole."""
    remember(run(1), *(run(number, number - 1, prompt="long " * 40) for number in range(2, 31)))
    with PtyRun(["tree", "30"], world | {"TERM": "xterm"}, folder, columns=40, rows=40) as shown:
        assert 0 == shown.finish()
    lines = [line for line in shown.lines if line]
    assert [str(number) for number in range(1, 31)] == [line.strip(" …│└─").split()[0] for line in lines]


@pytest.mark.slow
def test_a_thousand_generations(remember: Remember, imgcli: Cli) -> None:
    """A long line is drawn to its end, no deeper than a reader can follow."""
    remember(run(1), *(run(number, number - 1) for number in range(2, 1001)))
    lines = imgcli("tree", "500").lines
    assert 1000 == len(lines)
    assert max(map(len, lines)) < 200


def test_circles(remember: Remember, imgcli: Cli) -> None:
    """A history that goes round in circles is drawn, and ends."""
    remember(run(1, 1, 3), run(2, 1), run(3, 2), run(4, 3))
    done = imgcli("tree", "4")
    assert (0, 4) == (done.exit_code, len([line for line in done.lines if "see above" not in line]))


def test_twins(remember: Remember, imgcli: Cli) -> None:
    """Of two runs that brought the very same image, a child's parent is the last one before it."""
    twin = (image(sha(1), path=Path("/here/1.png")),)
    remember(run(1), run(2, 1), run(3, images=twin), run(4, 1), run(5, images=twin))
    assert ["3  ", "└─ "] == [line[:3] for line in imgcli("tree", "4").lines]
    assert ["1  ", "└─ "] == [line[:3] for line in imgcli("tree", "2").lines]
    assert ["1 (", "├─ ", "└─ "] == [line[:3] for line in imgcli("tree", "1").lines]


@st.composite
def families(draw: st.DrawFn) -> Family:
    """Any tangle of runs and of images without one, with what lies outside of it."""
    keys = [*list[Key](range(1, draw(st.integers(2, 9)))), "a" * 64, "b" * 64]
    members = {key: entry(key) if isinstance(key, int) else None for key in keys}
    outside = [*keys, 77, "c" * 64]
    origins = {
        key: {sha(number): origin for number, origin in enumerate(draw(st.lists(st.sampled_from(outside))))}
        for key in keys
    }
    return Family(draw(st.sampled_from(keys)), members, origins)


@given(families(), st.sampled_from([None, 1, 20, 60]), st.sampled_from([DRAWN, TYPED]))
def test_any_family(family: Family, columns: int | None, guides: Any) -> None:
    """Whoever belongs to a family is drawn once in full, with every link to a parent, and the end comes."""
    branches = list(family.branches(4))
    full = [branch.key for branch in branches if not branch.is_repeated]
    assert sorted(map(str, family.members)) == sorted(map(str, full))
    links = sum(len(family.children(key)) for key in family.members)
    assert links <= len(branches) <= links + len(family.members)
    assert len(branches) == len(list(tree_lines(family, columns, guides)))
    assert full == [one["id"] or one["pictures"][0]["sha256"] for one in family_json(family)]
